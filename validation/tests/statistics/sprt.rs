//! The sequential test: its bounds, its errors, and what they cost.

use proptest::prelude::*;
use tidegate_validation::statistics::{Course, Sprt};

use crate::{close, near, share};

fn test(most: u64) -> Sprt {
    Sprt::new(0.8, 0.95, 0.05, 0.05, most).unwrap()
}

#[test]
fn bounds_and_steps() {
    near(test(100).bounds(), (-2.944439, 2.944439));
    near(test(100).steps(), (0.171850, -1.386294));
}

#[test]
fn eighteen_straight_hits_are_accepted_and_three_straight_misses_rejected() {
    let mut hits = test(100);
    let courses: Vec<_> = (0..18).map(|_| hits.push(true)).collect();
    assert!(courses[..17].iter().all(|course| *course == Course::Open));
    assert_eq!(courses[17], Course::Accepted);
    let mut misses = test(100);
    assert_eq!([(); 3].map(|()| misses.push(false)), [Course::Open, Course::Open, Course::Rejected]);
}

#[test]
fn what_has_ended_stays_as_it_is() {
    let mut ended = test(5);
    (0..5).for_each(|_| _ = ended.push(true));
    assert_eq!((ended.course(), ended.counts()), (Course::Truncated, (5, 0)));
    assert_eq!(ended.push(false), Course::Truncated);
    assert_eq!(ended.counts(), (5, 0));
}

#[test]
fn waldʼs_expectations() {
    let (at_bad, at_good) = test(1_000).expected_trials();
    assert!((at_bad - 18.96).abs() < 0.05 && (at_good - 28.21).abs() < 0.05, "{at_bad} {at_good}");
    let lopsided = Sprt::new(0.5, 0.7, 0.01, 0.2, 1_000).unwrap().expected_trials();
    // By the formulas of Wald, from the errors themselves.
    let [up, down] = [(0.8_f64 / 0.01).ln(), (0.2_f64 / 0.99).ln()];
    let drift = |rate: f64| rate * 1.4_f64.ln() + (1.0 - rate) * 0.6_f64.ln();
    near(lopsided, ((0.01 * up + 0.99 * down) / drift(0.5), (0.8 * up + 0.2 * down) / drift(0.7)));
}

#[test]
fn errors_are_what_they_may_be_together() {
    for (bad, good, alpha, beta) in
        [(0.8, 0.95, 0.05, 0.05), (0.5, 0.6, 0.01, 0.1), (0.9, 0.99, 0.05, 0.2), (0.98, 0.999, 0.025, 0.025)]
    {
        let test = Sprt::new(bad, good, alpha, beta, 20_000).unwrap();
        let (accepts, rejects) = (test.odds(bad).accepts, test.odds(good).rejects);
        assert!(accepts + rejects <= alpha + beta, "{accepts} and {rejects} for {bad} and {good}");
        // Wald's bounds for each.
        assert!(accepts <= alpha / (1.0 - beta) && rejects <= beta / (1.0 - alpha));
    }
}

/// Half of what a fixed number takes: 46 by the normal law, 50 exactly.
#[test]
fn fewer_trials_than_a_fixed_number() {
    assert!(test(1_000).odds(0.95).trials < 33.0);
    assert!(test(1_000).odds(0.8).trials < 23.0);
}

#[test]
fn the_odds_are_those_of_simulation() {
    for rate in [0.8, 0.88, 0.95] {
        let odds = test(60).odds(rate);
        let mut trials = 0;
        let mut ends = |end: Course| {
            share(20_000, |random| {
                let mut test = test(60);
                while test.push(random.f64() < rate) == Course::Open {}
                trials += test.counts().0 + test.counts().1;
                test.course() == end
            })
        };
        for (end, chance) in [
            (Course::Accepted, odds.accepts),
            (Course::Rejected, odds.rejects),
            (Course::Truncated, odds.truncated),
        ] {
            let seen = ends(end);
            assert!((seen - chance).abs() < 0.012, "{end:?} at {rate}: {seen} and not {chance}");
        }
        assert!((trials as f64 / 60_000.0 - odds.trials).abs() < 0.4);
    }
}

#[test]
fn tests_that_make_no_sense() {
    for (bad, good, alpha, beta, most) in [
        (0.9, 0.9, 0.05, 0.05, 10),
        (0.0, 0.9, 0.05, 0.05, 10),
        (0.5, 1.0, 0.05, 0.05, 10),
        (0.5, 0.9, 0.0, 0.05, 10),
        (0.5, 0.9, 0.05, 0.5, 10),
        (0.5, 0.9, 0.05, f64::NAN, 10),
        (0.5, 0.9, 0.05, 0.05, 0),
        (0.5, 0.9, 0.05, 0.05, Sprt::MOST + 1),
    ] {
        assert_eq!(Sprt::new(bad, good, alpha, beta, most), None);
    }
}

proptest! {
    #[test]
    fn something_becomes_of_every_test(bad in 0.05_f64..0.9, gap in 0.02_f64..0.9, rate in 0.0_f64..=1.0, most in 1_u64..200) {
        let good = bad + gap * (0.99 - bad);
        let odds = Sprt::new(bad, good, 0.05, 0.1, most).unwrap().odds(rate);
        close(odds.accepts + odds.rejects + odds.truncated, 1.0);
        prop_assert!(odds.trials <= most as f64 + 1e-9);
    }

    #[test]
    fn a_better_rate_is_accepted_more_often(rate in 0.0_f64..0.99, step in 0.0_f64..0.01) {
        prop_assert!(test(80).odds(rate).accepts <= test(80).odds(rate + step).accepts + 1e-12);
    }
}
