//! Which calls stand for which expected ones.

/// The most pairs of a call and an expected one that fit, none in two pairs; by augmenting paths, for one call may
/// fit several expected ones, and taking the first can leave another without.
pub(super) fn most_pairs(calls: usize, expected: usize, fits: impl Fn(usize, usize) -> bool) -> usize {
    let fitting: Vec<Vec<usize>> =
        (0..calls).map(|call| (0..expected).filter(|&wanted| fits(call, wanted)).collect()).collect();
    let mut taken = vec![None; expected];
    (0..calls).filter(|&call| place(call, &fitting, &mut taken, &mut vec![false; expected])).count()
}

/// Finds an expected call for `call`, if need be by moving others.
fn place(call: usize, fitting: &[Vec<usize>], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    fitting[call].iter().any(|&wanted| {
        if std::mem::replace(&mut seen[wanted], true) {
            return false;
        }
        let free = taken[wanted].is_none_or(|other| place(other, fitting, taken, seen));
        if free {
            taken[wanted] = Some(call);
        }
        free
    })
}

/// Whether the expected calls are made in their order, whatever is between.
pub(super) fn subsequence(calls: usize, expected: usize, fits: impl Fn(usize, usize) -> bool) -> bool {
    let mut next = 0;
    for call in 0..calls {
        if next < expected && fits(call, next) {
            next += 1;
        }
    }
    next == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greedy_choice_is_mended() {
        // Call 0 fits both, call 1 only the first.
        assert_eq!(most_pairs(2, 2, |call, wanted| call == 0 || wanted == 0), 2);
        assert_eq!(most_pairs(3, 1, |_, _| true), 1);
        assert_eq!(most_pairs(0, 3, |_, _| true), 0);
    }

    #[test]
    fn the_largest_matching_is_found_among_many() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..300 {
            let (calls, expected) = (random.usize(0..6), random.usize(0..6));
            let fits: Vec<Vec<bool>> =
                (0..calls).map(|_| (0..expected).map(|_| random.bool()).collect()).collect();
            assert_eq!(
                most_pairs(calls, expected, |a, b| fits[a][b]),
                brute(&fits, 0, &mut vec![false; expected])
            );
        }
    }

    fn brute(fits: &[Vec<bool>], call: usize, taken: &mut Vec<bool>) -> usize {
        if call == fits.len() {
            return 0;
        }
        let mut best = brute(fits, call + 1, taken);
        for wanted in 0..taken.len() {
            if fits[call][wanted] && !taken[wanted] {
                taken[wanted] = true;
                best = best.max(1 + brute(fits, call + 1, taken));
                taken[wanted] = false;
            }
        }
        best
    }
}
