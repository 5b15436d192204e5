//! Revocations: each kind ends by itself, and none hides another.

use super::*;

const JUDGED_AT: u64 = 7;

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn resource() -> ResourceId {
    ResourceId::parse("refunds").unwrap()
}

fn subject(issuer: &str, sub: &str) -> Subject {
    Subject { issuer: issuer.into(), sub: sub.into() }
}

fn claims() -> OurClaims {
    let actor = |sub: &str| Actor { issuer: "https://deputy.example".into(), sub: sub.into() };
    let chain = ActorChain::default().extended(actor("cl_planner")).unwrap();
    OurClaims {
        kind: OurKind::Call,
        path: vec![DelegationId::from_bytes([1; 16]), DelegationId::from_bytes([2; 16])],
        txn: TransactionId::from_bytes([3; 16]),
        subject: subject("https://idp.example", "alice"),
        sub: "alice".into(),
        own: false,
        audience: "https://refunds.example".into(),
        client: client("cl_billing"),
        chain: chain.extended(actor("cl_billing")).unwrap(),
        via: Vec::new(),
        scope: scope("read"),
        authority: Authority::default(),
        issued_at: Timestamp::EPOCH,
        expires_at: Timestamp::MAX,
        root_revision: 5,
        revision: JUDGED_AT,
        authentication: Authentication::default(),
        bound: None,
    }
}

fn revocation(revision: u64, target: Target) -> Revocation {
    Revocation { revision, target, bar: None, at: Timestamp::EPOCH }
}

/// One of every kind that ends [`claims`].
fn ending() -> Vec<Target> {
    vec![
        Target::Delegation(DelegationId::from_bytes([1; 16])),
        Target::Delegation(DelegationId::from_bytes([2; 16])),
        Target::Transaction(TransactionId::from_bytes([3; 16])),
        Target::Subject(subject("https://idp.example", "alice")),
        Target::Agent(client("cl_billing")),
        Target::Agent(client("cl_planner")),
        Target::Resource(resource()),
        Target::Issuer("https://idp.example".into()),
    ]
}

/// One of every kind that has nothing to do with [`claims`].
fn unrelated() -> Vec<Target> {
    vec![
        Target::Delegation(DelegationId::from_bytes([9; 16])),
        Target::Transaction(TransactionId::from_bytes([9; 16])),
        Target::Subject(subject("https://other.example", "alice")),
        Target::Subject(subject("https://idp.example", "bob")),
        Target::Agent(client("cl_other")),
        Target::Resource(ResourceId::parse("tickets").unwrap()),
        Target::Tool(resource(), tool_name("list")),
        Target::Issuer("https://other.example".into()),
    ]
}

fn ends(revocations: &[Revocation]) -> bool {
    let mut all = Revocations::default();
    for revocation in revocations {
        all.apply(revocation);
    }
    all.ends(&claims(), Some(&resource()))
}

#[test]
fn each_kind_ends_by_itself() {
    assert!(!ends(&[]));
    for target in ending() {
        assert!(ends(&[revocation(JUDGED_AT + 1, target.clone())]), "{target:?}");
    }
    for target in unrelated() {
        assert!(!ends(&[revocation(JUDGED_AT + 1, target.clone())]), "{target:?}");
    }
}

#[test]
fn a_cut_off_ends_what_was_judged_before_it_and_nothing_later() {
    for target in ending() {
        let is_final = matches!(target, Target::Delegation(_) | Target::Transaction(_));
        let at = |revision| ends(&[revocation(revision, target.clone())]);
        assert_eq!(at(JUDGED_AT), is_final, "{target:?}");
        assert_eq!(at(JUDGED_AT - 1), is_final, "{target:?}");
    }
}

#[test]
fn no_revocation_masks_another() {
    let revocations = |targets: Vec<Target>, revision| {
        targets.into_iter().map(move |target| revocation(revision, target))
    };
    for target in ending() {
        let one = || std::iter::once(revocation(JUDGED_AT + 1, target.clone()));
        // Others around it, and an older one of the same target after it.
        let mut all: Vec<Revocation> = revocations(unrelated(), JUDGED_AT + 2)
            .chain(one())
            .chain(revocations(ending(), 1).filter(|r| r.target == target))
            .collect();
        assert!(ends(&all), "{target:?}");
        all.reverse();
        assert!(ends(&all), "{target:?}");
    }
}

#[test]
fn an_agent_that_acts_for_itself_is_ended_with_its_id() {
    let mut own = claims();
    own.own = true;
    own.client = client("cl_other");
    own.chain = ActorChain::default();
    own.subject = subject("https://deputy.example", "cl_planner");
    let mut all = Revocations::default();
    all.apply(&revocation(JUDGED_AT + 1, Target::Agent(client("cl_planner"))));
    assert!(all.ends(&own, None));
    // A person who is called like an agent is not one.
    own.own = false;
    assert!(!all.ends(&own, None));
}

#[test]
fn a_bar_holds_for_its_source_and_nobody_else() {
    let txn = TransactionId::from_bytes([3; 16]);
    let parent = DelegationId::from_bytes([1; 16]);
    let mut all = Revocations::default();
    for bar in [Bar::Root(txn), Bar::Child(parent, client("cl_billing"))] {
        let target = Target::Delegation(DelegationId::from_bytes([9; 16]));
        all.apply(&Revocation { bar: Some(bar), ..revocation(8, target) });
    }
    assert!(all.bars_root(txn) && !all.bars_root(TransactionId::from_bytes([4; 16])));
    assert!(all.bars_child(parent, &client("cl_billing")));
    assert!(!all.bars_child(parent, &client("cl_planner")));
    assert!(!all.ends(&claims(), None), "a bar ends nothing that lives");
    let mut by_transaction = Revocations::default();
    by_transaction.apply(&revocation(8, Target::Transaction(txn)));
    assert!(by_transaction.bars_root(txn));
}

#[test]
fn cut_offs_only_ever_move_later() {
    let alice = subject("https://idp.example", "alice");
    let at = |s| Timestamp::from_epoch_s(s).unwrap();
    let mut all = Revocations::default();
    // The wall clock was set back between the two.
    for (revision, s) in [(8, 100), (9, 50)] {
        let target = Target::Subject(alice.clone());
        all.apply(&Revocation { at: at(s), ..revocation(revision, target) });
    }
    let cut = all.subject_cut(&alice).unwrap();
    assert_eq!((cut.revision, cut.at), (9, at(100)));
    let issuer = Target::Issuer("https://idp.example".into());
    all.apply(&Revocation { at: at(200), ..revocation(3, issuer) });
    let cut = all.subject_cut(&alice).unwrap();
    assert_eq!((cut.revision, cut.at), (9, at(200)));
    assert_eq!(all.subject_cut(&subject("https://other.example", "alice")), None);
}

#[test]
fn what_nobody_could_use_any_more_is_forgotten_and_nothing_younger() {
    let at = |seconds| Timestamp::from_epoch_s(seconds).unwrap();
    let mut all = Revocations::default();
    for (n, target) in ending().into_iter().enumerate() {
        let bar = Some(Bar::Root(TransactionId::from_bytes([u8::try_from(n).unwrap(); 16])));
        all.apply(&Revocation { revision: 8, target, bar, at: at(10) });
    }
    let whole = all.len();
    assert!(!all.forget(at(9)));
    assert_eq!(all.len(), whole);
    // Revoked once more: the later moment counts.
    let again = Target::Subject(subject("https://idp.example", "alice"));
    all.apply(&Revocation { revision: 9, target: again, bar: None, at: at(11) });
    assert!(all.forget(at(10)));
    assert_eq!(all.len(), 1);
    assert!(all.ends(&claims(), None));
    assert!(all.forget(at(11)) && all.is_empty());
}
