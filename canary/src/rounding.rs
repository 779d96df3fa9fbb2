//! Rounding, where a data plane has coarser or finer parts than basis points: shares to whole parts, and the
//! weights that it has to shares.
//!
//! By the largest remainder: all parts are given away, and no side is off by a whole one. But a side that has
//! anything never rounds to nothing, least of all the candidate: nobody would look for requests there.

use std::cmp::Reverse;

use crate::{Slot, Traffic, Weight};

const SLOTS: [Slot; 3] = [Slot::Stable, Slot::Baseline, Slot::Candidate];

/// What stable, baseline and candidate get of `total` parts. Exact where that can be.
pub(crate) fn parts_of(traffic: &Traffic, total: u64) -> [u64; 3] {
    let shares = SLOTS.map(|slot| traffic.weight(slot).as_basis_points().into());
    apportion(shares, total).expect("shares sum to a whole")
}

/// The split that stable, baseline and candidate have by these weights, to the basis point; `None` when all of
/// them are 0.
pub(crate) fn split_of(weights: [u64; 3]) -> Option<Traffic> {
    let shares = apportion(weights, Weight::FULL.as_basis_points().into())?;
    let [_, baseline, candidate] = shares.map(|bp| u16::try_from(bp).ok().and_then(Weight::basis_points));
    Traffic::split(candidate?).with_baseline(baseline?)
}

/// `total` in the proportions of `weights`.
fn apportion(weights: [u64; 3], total: u64) -> Option<[u64; 3]> {
    let sum: u128 = weights.into_iter().map(u128::from).sum();
    if sum == 0 {
        return None;
    }
    let exact = weights.map(|weight| u128::from(weight) * u128::from(total));
    let mut parts =
        exact.map(|part| u64::try_from(part / sum).expect("a part of a total fits where that does"));
    // Of equal remainders the candidate's comes first.
    let mut order = [2, 1, 0];
    order.sort_by_key(|&i| Reverse(exact[i] % sum));
    let left = total - parts.iter().sum::<u64>();
    order.iter().zip(0..left).for_each(|(&i, _)| parts[i] += 1);
    for i in [2, 1, 0] {
        let most = (0..3).max_by_key(|&i| parts[i]).filter(|&most| parts[most] > 1);
        if let Some(most) = most.filter(|_| weights[i] > 0 && parts[i] == 0) {
            parts[most] -= 1;
            parts[i] = 1;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_remainder_gets_what_is_left_and_nobody_gets_nothing() {
        let cases = [
            ([1, 1, 1], 10_000, [3_333, 3_333, 3_334]),
            ([2, 0, 1], 10_000, [6_667, 0, 3_333]),
            ([9_999, 0, 1], 100, [99, 0, 1]),
            ([9_950, 0, 50], 100, [99, 0, 1]),
            ([1, 0, u64::MAX], 10_000, [1, 0, 9_999]),
            ([1, 1, 9_998], 10, [1, 1, 8]),
            ([0, 0, 7], 3, [0, 0, 3]),
            // There is not a part for everybody.
            ([5_000, 2_500, 2_500], 2, [1, 0, 1]),
            ([9_999, 0, 1], 1, [1, 0, 0]),
        ];
        for (weights, total, expected) in cases {
            assert_eq!(apportion(weights, total), Some(expected), "{weights:?} of {total}");
        }
        assert_eq!(apportion([0; 3], 10), None);
    }

    proptest! {
        #[test]
        fn everything_is_given_away_in_proportion(
            weights in prop_oneof![prop::array::uniform3(0u64..4), prop::array::uniform3(any::<u64>())],
            total in prop_oneof![3u64..20, any::<u64>().prop_map(|total| total.max(3))],
        ) {
            let Some(parts) = apportion(weights, total) else {
                prop_assert_eq!(weights, [0; 3]);
                return Ok(());
            };
            let sum: u128 = weights.into_iter().map(u128::from).sum();
            prop_assert_eq!(parts.into_iter().map(u128::from).sum::<u128>(), u128::from(total));
            for (weight, part) in weights.into_iter().zip(parts) {
                prop_assert_eq!(weight > 0, part > 0, "{} of {:?} became {}", weight, weights, part);
                let fair = u128::from(weight) * u128::from(total) / sum;
                // Another for each of two sides that would have had nothing.
                prop_assert!(u128::from(part).abs_diff(fair) <= 2, "{:?}: {:?}", weights, parts);
            }
        }

        #[test]
        fn what_can_be_exact_is(candidate in 0u16..=100, baseline in 0u16..=100, fold in 1u64..500) {
            let [candidate, baseline] = [candidate, baseline.min(100 - candidate)].map(Weight::percent);
            let traffic = Traffic::split(candidate.unwrap()).with_baseline(baseline.unwrap()).unwrap();
            let parts = parts_of(&traffic, 100 * fold);
            for (slot, part) in SLOTS.into_iter().zip(parts) {
                prop_assert_eq!(part, u64::from(traffic.weight(slot).as_basis_points()) / 100 * fold);
            }
            prop_assert_eq!(split_of(parts), Some(traffic));
        }
    }
}
