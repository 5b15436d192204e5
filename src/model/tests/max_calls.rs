//! How many calls: only ever fewer.

use super::*;
use crate::model::max_calls::MoreCalls;

fn id(n: u8) -> DelegationId {
    DelegationId::from_bytes([n; 16])
}

#[test]
fn what_is_not_asked_for_is_inherited_and_more_is_refused() {
    let none = MaxCalls::default();
    assert_eq!((none.narrowest(), none.narrowed(id(1), None)), (None, Ok(none.clone())));
    let five = none.narrowed(id(1), Some(5)).unwrap();
    assert_eq!(five.limits(), [Limit { delegation: id(1), calls: 5 }]);
    assert_eq!(five.narrowed(id(2), None).as_ref(), Ok(&five));
    assert_eq!(five.narrowed(id(2), Some(5)).as_ref(), Ok(&five), "nothing new to count");
    assert_eq!(five.narrowed(id(2), Some(6)), Err(MoreCalls));
    let three = five.narrowed(id(2), Some(3)).unwrap();
    assert_eq!(three.narrowest(), Some(3));
    assert_eq!(three.limits()[0], five.limits()[0], "whoever is above counts on");
}

#[test]
fn limits_of_a_token_shrink_strictly() {
    let limits = |calls: &[u32]| {
        let limit = |(n, calls): (u8, &u32)| Limit { delegation: id(n), calls: *calls };
        MaxCalls::new((0_u8..).zip(calls).map(limit).collect())
    };
    assert!(limits(&[]).is_some() && limits(&[9, 8, 7, 6, 5, 4, 3, 2, 1]).is_some());
    for bad in [&[3, 3][..], &[3, 4], &[0], &[1_000_001], &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]] {
        assert_eq!(limits(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn a_line_of_delegations_only_shrinks(asked in prop::collection::vec(prop::option::of(1..40_u32), 0..9)) {
        let mut held = MaxCalls::default();
        for (n, asked) in (0_u8..).zip(asked) {
            match held.narrowed(id(n), asked) {
                Err(MoreCalls) => prop_assert!(asked > held.narrowest()),
                Ok(child) => {
                    prop_assert!(child.limits().starts_with(held.limits()), "all count on");
                    prop_assert_eq!(MaxCalls::new(child.limits().to_vec()), Some(child.clone()));
                    prop_assert!(held.narrowest().is_none_or(|h| child.narrowest() <= Some(h)));
                    held = child;
                }
            }
        }
    }
}
