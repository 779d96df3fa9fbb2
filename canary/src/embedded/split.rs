//! Which slot a request is for: a pure function of the request, the traffic and one draw.

use http::{HeaderMap, header::COOKIE};
use tidegate_registry::Digest;

use crate::{Key, RouteId, Slot, Traffic};

/// Where a request goes, and whether it is part of the sample that sides are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) slot: Slot,
    pub(super) counted: bool,
}

/// Chooses by exception, by user or by `draw` (0 to 9 999), in that order.
pub(super) fn choose(traffic: &Traffic, route: &RouteId, headers: &HeaderMap, draw: u16) -> Choice {
    let exception = traffic.exceptions().iter().find(|exception| {
        value(headers, &exception.key).is_some_and(|value| value == exception.value.as_bytes())
    });
    if let Some(exception) = exception {
        // Where a side has a share of all requests, these are no fair sample; where it has none, they are all there is.
        return Choice { slot: exception.to, counted: traffic.weight(exception.to).is_none() };
    }
    let user = traffic.sticky().and_then(|key| value(headers, key));
    let point = user.map_or(draw, |user| place(route, user));
    Choice { slot: slot_at(traffic, point), counted: true }
}

/// The candidate has the points from 0 up, the baseline those from the top down: a user whose point is
/// with the candidate stays there as its weight grows.
fn slot_at(traffic: &Traffic, point: u16) -> Slot {
    if point < traffic.weight(Slot::Candidate).as_basis_points() {
        Slot::Candidate
    } else if point >= traffic.weight(Slot::Baseline).rest().as_basis_points() {
        Slot::Baseline
    } else {
        Slot::Stable
    }
}

/// A user's point, 0 to 9 999. The route takes part, so that it is not always the same users who try things.
fn place(route: &RouteId, user: &[u8]) -> u16 {
    (number(&[route.as_str().as_bytes(), b"\0", user].concat()) % 10_000) as u16
}

/// A number that follows from `bytes` and looks like any other.
pub(super) fn number(bytes: &[u8]) -> u64 {
    let digest = Digest::of(bytes);
    let (head, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*head)
}

fn value<'h>(headers: &'h HeaderMap, key: &Key) -> Option<&'h [u8]> {
    match key {
        Key::Header(name) => headers.get(name.as_str()).map(http::HeaderValue::as_bytes),
        Key::Cookie(name) => headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|cookies| cookies.as_bytes().split(|&b| b == b';'))
            .find_map(|cookie| cookie.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::{Exception, Weight};

    fn route() -> RouteId {
        "serving/fraud".parse().unwrap()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    fn split(bp: u16) -> Traffic {
        Traffic::split(Weight::basis_points(bp).unwrap())
    }

    #[test]
    fn every_point_has_one_slot_and_shares_are_exact() {
        let traffic = split(1_250).with_baseline(Weight::basis_points(1_250).unwrap()).unwrap();
        let count = |slot| (0..10_000).filter(|&point| slot_at(&traffic, point) == slot).count();
        assert_eq!(
            (count(Slot::Stable), count(Slot::Baseline), count(Slot::Candidate)),
            (7_500, 1_250, 1_250)
        );
    }

    #[test]
    fn an_exception_wins_over_weights_and_counts_only_beside_none() {
        let key = Key::Cookie("tidegate".to_owned());
        let exception = Exception { key, value: "canary".to_owned(), to: Slot::Candidate };
        for (weight, counted) in [(1, false), (0, true)] {
            let traffic = split(weight).with_exceptions([exception.clone()]);
            let choice = choose(&traffic, &route(), &headers("cookie", "a=b; tidegate=canary; c=d"), 9_999);
            assert_eq!(choice, Choice { slot: Slot::Candidate, counted });
        }
        let traffic = split(0).with_exceptions([exception]);
        for other in ["tidegate=canaryX", "xtidegate=canary", "tidegate", "canary"] {
            assert_eq!(
                choose(&traffic, &route(), &headers("cookie", other), 0).slot,
                Slot::Stable,
                "{other}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_user_never_leaves_a_growing_candidate(user in "[a-z0-9]{1,20}", a in 0u16..=10_000, b in 0u16..=10_000) {
            let (low, high) = (a.min(b), a.max(b));
            let sticky = |bp| split(bp).with_sticky(Some(Key::Header("x-user".to_owned())));
            let side = |traffic: &Traffic, draw| choose(traffic, &route(), &headers("x-user", &user), draw).slot;
            prop_assert_eq!(side(&sticky(low), 0), side(&sticky(low), 9_999));
            if side(&sticky(low), 0) == Slot::Candidate {
                prop_assert_eq!(side(&sticky(high), 0), Slot::Candidate);
            }
        }
    }

    #[test]
    fn users_are_spread_evenly() {
        let traffic = split(1_000).with_sticky(Some(Key::Header("x-user".to_owned())));
        let on = (0..20_000)
            .filter(|user| {
                choose(&traffic, &route(), &headers("x-user", &user.to_string()), 0).slot == Slot::Candidate
            })
            .count();
        // 2 000 expected; five standard deviations of a binomial are 212.
        assert!((1_788..=2_212).contains(&on), "{on}");
    }
}
