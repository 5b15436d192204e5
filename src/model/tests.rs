//! The laws of the nouns: what may never be true of them, whatever comes in.

mod ceilings;
mod constraints;
mod max_calls;
mod revocations;
mod shapes;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    actor::{Actor, ActorChain, ChainError},
    authority::{Authority, Entry, ToolName, Tools},
    ceiling::{Ceiling, CeilingEntry, Excess},
    constraint::{
        Argument, Arguments, ClaimFault, ClaimName, Clauses, Constraint, Moment, Never,
        PointerError, Root, Shape, SubjectClaims, Values, ViolationKind,
    },
    max_calls::{Limit, MaxCalls},
    resource::{About, DpopUse, Effect, Enforces, Resource, ResourceId, Tool},
    revocation::{Bar, Revocation, Revocations, Target},
    scope::{NotAScope, Scope, ScopeToken},
    signing::SigningAlgorithm,
    subject::Subject,
    token::{Authentication, OurClaims, OurKind},
    uri::{NotAUri, Uri},
};
use crate::base::{
    id::{ClientId, DelegationId, TransactionId},
    json::{self, Limits, Object, Value},
    secret::Fingerprint,
    time::Timestamp,
};

fn value(text: &str) -> Value {
    json::parse(text.as_bytes(), &Limits::DEFAULT).unwrap()
}

fn object(text: &str) -> Object {
    value(text).as_object().unwrap().clone()
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// Arguments that name these and no others.
fn closed<'a, C>(named: impl IntoIterator<Item = (&'a str, Argument<C>)>) -> Arguments<C> {
    let named = named.into_iter().map(|(pointer, argument)| (pointer.to_owned(), argument));
    Arguments::Closed(Shape::of(named).unwrap())
}

fn tool_name(text: &str) -> ToolName {
    ToolName::parse(text).unwrap()
}

mod scopes {
    use super::*;

    #[test]
    fn the_empty_scope_grants_nothing() {
        assert!(scope("").is_empty());
        assert!(scope("").is_subset(&scope("a")));
        assert!(!scope("a").is_subset(&scope("")));
    }

    #[test]
    fn rfc6749_3_3_tokens_are_separated_by_one_space() {
        for text in [" a", "a ", "a  b", "a\tb", "a\"b", "a\\b", "ä", "a\u{7f}"] {
            assert_eq!(Scope::parse(text), Err(NotAScope::Token), "{text:?}");
        }
        assert_eq!(Scope::parse("a b a"), Err(NotAScope::Repeated));
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        assert!(ScopeToken::parse(&"a".repeat(ScopeToken::MAX_BYTES)).is_ok());
        assert!(ScopeToken::parse(&"a".repeat(ScopeToken::MAX_BYTES + 1)).is_err());
        let tokens = |n: usize| (0..n).map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
        assert!(Scope::parse(&tokens(Scope::MAX_TOKENS)).is_ok());
        assert_eq!(Scope::parse(&tokens(Scope::MAX_TOKENS + 1)), Err(NotAScope::TooMany));
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        prop::collection::btree_set("[a-d]{1,2}", 0..6)
            .prop_map(|tokens| Scope::of(tokens.iter().map(String::as_str)).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(a in any_scope()) {
            prop_assert_eq!(scope(&a.to_string()), a);
        }
    }
}

mod uris {
    use super::*;

    #[test]
    fn only_scheme_and_host_are_lower_cased() {
        let same = [
            ("HTTPS://API.Example/Path?Q=A", "https://api.example/Path?Q=A"),
            ("https://api.example:8443/MCP", "https://api.example:8443/MCP"),
            ("https://api.example/", "https://api.example"),
            ("https://api.example/mcp/", "https://api.example/mcp/"),
            ("URN:example:Tool", "urn:example:Tool"),
        ];
        for (raw, kept) in same {
            assert_eq!(Uri::parse(raw).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn ri1_whatever_could_name_two_things_is_refused() {
        let cases = [
            ("https://a.example/#f", NotAUri::Fragment),
            ("https://a.example#", NotAUri::Fragment),
            ("https://user@a.example/", NotAUri::Userinfo),
            ("https://a.example/x/../y", NotAUri::DotSegment),
            ("https://a.example/%2E%2e/y", NotAUri::DotSegment),
            ("https://a.example/.", NotAUri::DotSegment),
            ("https:///x", NotAUri::Scheme),
            ("https:a.example", NotAUri::Scheme),
            ("ftp://a.example", NotAUri::Scheme),
            ("//a.example", NotAUri::Scheme),
            ("a.example", NotAUri::Scheme),
            ("urn:", NotAUri::Scheme),
            ("", NotAUri::Scheme),
            ("https://a.example/\\x", NotAUri::Characters),
            ("https://ä.example/", NotAUri::Characters),
            ("https://a.example/ ", NotAUri::Characters),
        ];
        for (raw, error) in cases {
            assert_eq!(Uri::parse(raw), Err(error), "{raw}");
        }
        let long = |n: usize| format!("https://a.example/{}", "x".repeat(n - 18));
        assert!(Uri::parse(&long(Uri::MAX_BYTES)).is_ok());
        assert_eq!(Uri::parse(&long(Uri::MAX_BYTES + 1)), Err(NotAUri::Characters));
    }

    proptest! {
        #[test]
        fn reading_what_was_read_changes_nothing(raw in "(https?|HTTP|urn):(//)?[aA.:@/%2e?=#-]{0,20}") {
            if let Ok(uri) = Uri::parse(&raw) {
                prop_assert_eq!(Uri::parse(uri.as_str()).unwrap(), uri);
            }
        }
    }
}

mod actors {
    use super::*;

    fn actor(sub: &str) -> Actor {
        Actor { issuer: "https://deputy.example/oauth2".into(), sub: sub.into() }
    }

    #[test]
    fn rfc8693_4_1_the_outermost_actor_is_the_current_one() {
        let chain = ActorChain::default().extended(actor("first")).unwrap();
        let chain = chain.extended(actor("second")).unwrap();
        assert_eq!(chain.current(), Some(&actor("second")));
        assert_eq!(chain.hops(), [actor("second"), actor("first")]);
        let act = object(chain.act().unwrap());
        assert_eq!(act.get("sub"), Some(&"second".into()));
        assert_eq!(act.get("act").unwrap().as_object().unwrap().get("sub"), Some(&"first".into()));
    }

    #[test]
    fn tx9_the_chain_of_the_rfc_s_own_figure_is_read_from_the_outside() {
        // RFC 8693 figure 6, with the issuers that the Actor Profile asks for.
        let figure = r#"{"iss":"https://issuer.example.com","sub":"https://service16.example.com","act":{"iss":"https://issuer.example.com","sub":"https://service77.example.com"}}"#;
        let chain = ActorChain::from_act(figure).unwrap();
        assert_eq!(&*chain.current().unwrap().sub, "https://service16.example.com");
        assert_eq!(&*chain.hops().last().unwrap().sub, "https://service77.example.com");
    }

    #[test]
    fn act6_inherited_bytes_stay_as_they_are() {
        let inherited = r#"{ "x":[1.0, "é"],"sub":"a","iss":"https://i.example" }"#;
        let chain = ActorChain::from_act(inherited).unwrap();
        let grown = chain.extended(actor("b")).unwrap();
        assert!(grown.act().unwrap().ends_with(&format!(r#""act":{inherited}}}"#)));
        assert_eq!(ActorChain::from_act(grown.act().unwrap()).unwrap(), grown);
    }

    #[test]
    fn act1_an_actor_without_issuer_or_subject_is_nobody() {
        for text in [
            "{}",
            "[]",
            "\"a\"",
            "null",
            r#"{"sub":"a"}"#,
            r#"{"iss":"https://i.example"}"#,
            r#"{"iss":"https://i.example","sub":1}"#,
            r#"{"iss":"https://i.example","sub":""}"#,
            r#"{"iss":"https://i.example","sub":"a\u0000"}"#,
            r#"{"iss":"https://i.example","sub":"a","act":null}"#,
            r#"{"iss":"https://i.example","sub":"a","act":{"sub":"b"}}"#,
            r#"{"iss":"https://i.example","sub":"a","sub":"b"}"#,
        ] {
            assert_eq!(ActorChain::from_act(text), Err(ChainError::Malformed), "{text}");
        }
    }

    #[test]
    fn act5_a_chain_ends_at_its_depth_and_is_never_cut() {
        let mut chain = ActorChain::default();
        for i in 0..ActorChain::MAX_DEPTH {
            chain = chain.extended(actor(&format!("a{i}"))).unwrap();
        }
        assert_eq!(chain.extended(actor("more")), Err(ChainError::TooDeep));
        let text = chain.act().unwrap();
        assert!(ActorChain::from_act(text).is_ok());
        let deeper = format!(r#"{{"iss":"i","sub":"s","act":{text}}}"#);
        assert_eq!(ActorChain::from_act(&deeper), Err(ChainError::TooDeep));
    }

    #[test]
    fn nobody_acts_twice_in_one_chain() {
        let chain = ActorChain::default().extended(actor("a")).unwrap();
        let chain = chain.extended(actor("b")).unwrap();
        assert_eq!(chain.extended(actor("a")), Err(ChainError::Cycle));
        let other = Actor { issuer: "https://other.example".into(), sub: "a".into() };
        assert!(chain.extended(other).is_ok());
    }

    proptest! {
        #[test]
        fn a_chain_reads_back_as_it_was_grown(subs in prop::collection::btree_set("[ -~]{1,9}", 1..8)) {
            let mut chain = ActorChain::default();
            for sub in &subs {
                chain = chain.extended(actor(sub)).unwrap();
            }
            prop_assert_eq!(ActorChain::from_act(chain.act().unwrap()).unwrap(), chain);
        }
    }
}
