//! The fetcher and the key store against a real issuer that misbehaves in every way we know.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use deputy::{
    base::{
        json::Value,
        time::{Seconds, Timestamp},
    },
    demo::issuer::{Issuer, Mode, claims::Claims},
    jose::{self, Algorithm, Profile, TypRule},
    model::issuer::KeySource,
    service::remote::{
        error::FetchError,
        fetch::{Fetcher, Options},
        keys::{Ages, COOLDOWN, Fetched, IssuerKeys, KeysUnavailable, Source},
    },
};

/// One key store and the hand that moves its clock.
struct Trust {
    keys: Arc<IssuerKeys>,
    now: Timestamp,
}

impl Trust {
    fn new() -> Trust {
        Trust::within(Options::default().total_timeout)
    }

    /// A store that gives an issuer `total_timeout` for a fetch.
    fn within(total_timeout: Duration) -> Trust {
        let options = Options { allow_loopback_http: true, total_timeout, ..Options::default() };
        let keys = IssuerKeys::new(Arc::new(Fetcher::new(options)), Ages::default());
        Trust { keys: Arc::new(keys), now: Timestamp::from_epoch_s(1_800_000_000).unwrap() }
    }

    async fn ask(
        &self,
        source: &Registered,
        kid: Option<&str>,
    ) -> Result<Arc<Fetched>, KeysUnavailable> {
        let asked = self.keys.keys(source.source(), kid, self.now);
        tokio::time::timeout(Duration::from_secs(8), asked).await.expect("bounded wait")
    }

    async fn code(&self, source: &Registered) -> &'static str {
        self.ask(source, None).await.unwrap_err().cause.code()
    }

    fn advance(&mut self, seconds: u32) {
        self.now = self.now.plus(Seconds::new(seconds));
    }
}

/// What a registration says of an issuer's keys.
#[derive(Debug)]
struct Registered {
    issuer: String,
    keys: KeySource,
    algorithms: BTreeSet<String>,
}

impl Registered {
    fn source(&self) -> Source<'_> {
        Source { issuer: &self.issuer, keys: &self.keys, algorithms: &self.algorithms }
    }
}

fn registered(issuer: &Issuer, keys: KeySource) -> Registered {
    let algorithms = ["ES256", "RS256"].map(str::to_owned).into();
    Registered { issuer: issuer.url(), keys, algorithms }
}

fn discovered(issuer: &Issuer) -> Registered {
    registered(issuer, KeySource::Discovery)
}

fn at_uri(issuer: &Issuer) -> Registered {
    registered(issuer, KeySource::JwksUri(issuer.jwks_uri()))
}

#[tokio::test]
async fn keys_come_by_discovery_by_uri_and_inline() {
    let issuer = Issuer::start("idp").await.unwrap();
    issuer.rotate(Algorithm::Rs256).unwrap();
    let inline = KeySource::Inline(issuer.jwks().to_string());
    let pinned = registered(&issuer, inline);
    for source in [discovered(&issuer), at_uri(&issuer), pinned] {
        let trust = Trust::new();
        let fetched = trust.ask(&source, None).await.unwrap();
        assert!(fetched.keys.contains_kid(&issuer.kid()), "{source:?}");
        assert_eq!(trust.keys.cached(&issuer.url()).unwrap().generation, fetched.generation);
    }
    assert_eq!(issuer.jwks_hits(), 2, "an inline set is never fetched");
}

#[tokio::test]
async fn tokens_of_the_issuer_open_with_the_keys_that_were_fetched() {
    const ID_TOKEN: Profile = Profile {
        name: "id_token",
        typ: TypRule { accepted: &["JWT"], absent: false },
        algs: &[Algorithm::Es256, Algorithm::Rs256],
        max_bytes: 8_192,
        header_jwk: false,
    };
    let issuer = Issuer::start("idp").await.unwrap();
    for alg in [Algorithm::Es256, Algorithm::Rs256] {
        issuer.rotate(alg).unwrap();
        let trust = Trust::new();
        let fetched = trust.ask(&discovered(&issuer), Some(&issuer.kid())).await.unwrap();
        let token = issuer.id_token(Claims::new("alice", "deputy", trust.now)).unwrap();
        let opened = jose::open(&token, &ID_TOKEN).unwrap().verify_with(&fetched.keys).unwrap();
        assert_eq!(opened.claims.get("sub").and_then(Value::as_str), Some("alice"));
    }
}

#[tokio::test]
async fn a_key_of_an_algorithm_that_was_not_registered_is_not_held() {
    let issuer = Issuer::start("idp").await.unwrap();
    let new = issuer.rotate(Algorithm::Rs256).unwrap();
    let source = Registered {
        algorithms: ["ES256", "unheard-of"].map(str::to_owned).into(),
        ..at_uri(&issuer)
    };
    let fetched = Trust::new().ask(&source, None).await.unwrap();
    assert_eq!(fetched.keys.iter().len(), 1);
    assert!(!fetched.keys.contains_kid(&new));
}

#[tokio::test]
async fn rfc8414_metadata_is_found_when_there_is_no_openid_configuration() {
    let issuer = Issuer::start("idp").await.unwrap();
    issuer.set_mode(Mode::OAuthOnly);
    let trust = Trust::new();
    assert!(trust.ask(&discovered(&issuer), None).await.is_ok());
    assert_eq!(issuer.hits("/.well-known/oauth-authorization-server/idp"), 1);
}

#[tokio::test]
async fn every_bad_answer_is_a_refusal_that_says_why() {
    let canary = Issuer::start("canary").await.unwrap();
    for (mode, code) in [
        (Mode::Down, "connection"),
        (Mode::Huge, "too_large"),
        (Mode::Redirect(canary.jwks_uri()), "redirect"),
        (Mode::Garbage, "bad_json"),
        (Mode::Html, "bad_json"),
        (Mode::WrongIssuer(canary.url()), "wrong_issuer"),
        (Mode::ForeignKeys(canary.jwks_uri()), "foreign_keys"),
        (Mode::ManyKeys(100), "bad_keys"),
        (Mode::ManyKeys(2_000), "too_large"),
        (Mode::DuplicateKid, "bad_keys"),
        (Mode::SymmetricKey, "bad_keys"),
        (Mode::PrivateKey, "bad_keys"),
    ] {
        let issuer = Issuer::start("idp").await.unwrap();
        issuer.set_mode(mode.clone());
        let trust = Trust::new();
        assert_eq!(trust.code(&discovered(&issuer)).await, code, "{mode:?}");
        assert_eq!(trust.keys.counts(&issuer.url()).failures, 1, "{mode:?}");
    }
    assert_eq!(canary.jwks_hits(), 0, "i9: nobody is sent elsewhere");
}

#[tokio::test]
async fn a_slow_issuer_is_given_up_at_the_deadline() {
    for mode in [Mode::Slow(60_000), Mode::Drip] {
        let issuer = Issuer::start("idp").await.unwrap();
        issuer.set_mode(mode.clone());
        let trust = Trust::within(Duration::from_millis(300));
        assert_eq!(trust.code(&discovered(&issuer)).await, "timeout", "{mode:?}");
    }
}

#[tokio::test]
async fn i9_a_flood_of_unknown_key_ids_costs_one_fetch_per_cooldown() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    let seconds = 35_u32;
    for second in 0..seconds {
        for n in 0..5 {
            let kid = format!("stranger-{second}-{n}");
            let fetched = trust.ask(&source, Some(&kid)).await.unwrap();
            assert!(!fetched.keys.contains_kid(&kid));
        }
        trust.advance(1);
    }
    let most = u64::from(seconds) / u64::try_from(COOLDOWN.get()).unwrap() + 1;
    assert_eq!(issuer.jwks_hits(), most);
    assert_eq!(trust.keys.counts(&issuer.url()).fetches, most);
}

#[tokio::test]
async fn i9_an_issuer_that_is_down_is_asked_ever_more_rarely() {
    let issuer = Issuer::start("idp").await.unwrap();
    issuer.set_mode(Mode::Down);
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    let mut asked_at = Vec::new();
    for second in 0..200_u32 {
        let before = trust.keys.counts(&issuer.url()).fetches;
        let refused = trust.ask(&source, None).await.unwrap_err();
        assert!((1..=60).contains(&refused.retry_after.get()), "{refused:?}");
        if trust.keys.counts(&issuer.url()).fetches > before {
            asked_at.push(second);
        }
        trust.advance(1);
    }
    assert_eq!(asked_at, [0, 10, 30, 70, 130, 190]);
}

#[tokio::test]
async fn i9_a_flapping_issuer_is_asked_no_more_often_and_its_last_good_keys_serve() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    trust.ask(&source, None).await.unwrap();
    let seconds = 400_u32;
    for second in 0..seconds {
        let modes = [Mode::Good, Mode::Down, Mode::Garbage, Mode::SymmetricKey];
        issuer.set_mode(modes[usize::try_from(second / 7).unwrap() % modes.len()].clone());
        let stranger = format!("stranger-{second}");
        let served = trust.ask(&source, Some(&stranger)).await.unwrap();
        assert!(served.keys.contains_kid(&issuer.kid()), "in second {second}");
        trust.advance(1);
    }
    let counts = trust.keys.counts(&issuer.url());
    let most = u64::from(seconds) / u64::try_from(COOLDOWN.get()).unwrap() + 1;
    assert!(counts.fetches <= most && counts.failures > 5, "{counts:?}");
}

#[tokio::test]
async fn a_new_key_is_found_and_a_removed_key_dies() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    let old = issuer.kid();
    let first = trust.ask(&source, Some(&old)).await.unwrap();

    let new = issuer.rotate(Algorithm::Es256).unwrap();
    issuer.retire_old();
    trust.advance(10);
    let second = trust.ask(&source, Some(&new)).await.unwrap();

    assert!(second.keys.contains_kid(&new));
    assert!(!second.keys.contains_kid(&old), "the set is replaced, not merged");
    assert_ne!(first.generation, second.generation);
}

#[tokio::test]
async fn a_removed_key_dies_within_the_maximum_age_without_any_hint() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    let old = issuer.kid();
    trust.ask(&source, Some(&old)).await.unwrap();
    issuer.rotate(Algorithm::Es256).unwrap();
    issuer.retire_old();
    trust.advance(900);
    assert!(!trust.ask(&source, Some(&old)).await.unwrap().keys.contains_kid(&old));
}

#[tokio::test]
async fn an_ageing_set_is_refreshed_while_callers_keep_using_it() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    let first = trust.ask(&source, None).await.unwrap();
    trust.advance(301);
    issuer.set_mode(Mode::Slow(100));
    let served = trust.ask(&source, None).await.unwrap();
    assert!(Arc::ptr_eq(&first, &served), "nobody waits for a refresh ahead");
    // An unknown key id joins the refresh that is under way, so its answer is the refreshed set.
    let refreshed = trust.ask(&source, Some("unknown")).await.unwrap();
    assert_eq!(refreshed.fetched_at, trust.now);
    assert_eq!(refreshed.generation, first.generation, "the same set keeps its generation");
    assert_eq!(issuer.jwks_hits(), 2);
}

#[tokio::test]
async fn an_outage_serves_the_last_good_set_for_a_day() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::new();
    let good = trust.ask(&source, None).await.unwrap();
    for mode in [Mode::Down, Mode::Garbage, Mode::PrivateKey, Mode::DuplicateKid] {
        issuer.set_mode(mode.clone());
        trust.advance(1_000);
        let served = trust.ask(&source, None).await.unwrap();
        assert_eq!(served.generation, good.generation, "{mode:?}");
    }
    trust.advance(86_400);
    assert!(trust.ask(&source, None).await.is_err(), "nothing is trusted for ever");
    issuer.set_mode(Mode::Good);
    trust.advance(60);
    assert!(trust.ask(&source, None).await.is_ok(), "and it recovers by itself");
}

#[tokio::test]
async fn an_outage_delays_callers_once_not_always() {
    let issuer = Issuer::start("idp").await.unwrap();
    let source = at_uri(&issuer);
    let mut trust = Trust::within(Duration::from_secs(1));
    trust.ask(&source, None).await.unwrap();
    issuer.set_mode(Mode::Slow(60_000));
    trust.advance(1_000);
    trust.ask(&source, None).await.unwrap();
    trust.advance(10);
    let at_once = trust.keys.keys(source.source(), None, trust.now);
    let served = tokio::time::timeout(Duration::from_millis(500), at_once).await;
    assert!(served.is_ok(), "known to be down: the last good set is served at once");
}

#[tokio::test]
async fn i10_a_hanging_issuer_does_not_delay_another() {
    let (slow, good) = (Issuer::start("a").await.unwrap(), Issuer::start("b").await.unwrap());
    slow.set_mode(Mode::Slow(60_000));
    let trust = Trust::within(Duration::from_secs(2));
    let (a, b) = (discovered(&slow), discovered(&good));
    tokio::join!(async { assert_eq!(trust.code(&a).await, "timeout") }, async {
        for _ in 0..50 {
            let asked = trust.keys.keys(b.source(), None, trust.now);
            let answer = tokio::time::timeout(Duration::from_millis(1_500), asked).await;
            assert!(answer.is_ok_and(|keys| keys.is_ok()), "while `a` hangs");
        }
    },);
    assert_eq!(trust.keys.counts(&good.url()).fetches, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callers_share_one_fetch() {
    let issuer = Issuer::start("idp").await.unwrap();
    issuer.set_mode(Mode::Slow(100));
    let (trust, source) = (Trust::new(), Arc::new(at_uri(&issuer)));
    let callers: Vec<_> = (0..50)
        .map(|n| {
            let (keys, source, now) = (Arc::clone(&trust.keys), Arc::clone(&source), trust.now);
            tokio::spawn(async move {
                let kid = format!("k{n}");
                keys.keys(
                    source.source(),
                    Some(&kid).filter(|_| n % 2 == 0).map(String::as_str),
                    now,
                )
                .await
            })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(issuer.jwks_hits(), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_waste_the_fetch() {
    let issuer = Issuer::start("idp").await.unwrap();
    issuer.set_mode(Mode::Slow(100));
    let (trust, source) = (Trust::new(), at_uri(&issuer));
    let gone = trust.keys.keys(source.source(), None, trust.now);
    assert!(tokio::time::timeout(Duration::from_millis(20), gone).await.is_err());
    assert!(trust.ask(&source, None).await.is_ok());
    assert_eq!(issuer.jwks_hits(), 1);
}

#[tokio::test]
async fn a_changed_registration_takes_effect_at_once() {
    let (old, new) = (Issuer::start("a").await.unwrap(), Issuer::start("b").await.unwrap());
    let trust = Trust::new();
    let before = trust.ask(&at_uri(&old), None).await.unwrap();
    let moved = registered(&old, KeySource::JwksUri(new.jwks_uri()));
    let after = trust.ask(&moved, None).await.unwrap();
    assert!(after.keys.contains_kid(&new.kid()) && !after.keys.contains_kid(&old.kid()));
    assert_ne!(before.generation, after.generation);
    trust.keys.forget(&old.url());
    assert!(trust.keys.cached(&old.url()).is_none());
}

#[tokio::test]
async fn http_off_loopback_is_refused_in_production() {
    let issuer = Issuer::start("idp").await.unwrap();
    let fetcher = Fetcher::new(Options::default());
    let refused = fetcher.get(&issuer.jwks_uri()).await.unwrap_err();
    assert!(matches!(refused, FetchError::BadUrl { .. }));
    assert_eq!(issuer.jwks_hits(), 0);
}
