//! Pairs of numbers, and what they show.

use fastrand::Rng;
use proptest::prelude::*;
use tidegate_validation::{
    Evidence, Method, Reason, Verdict,
    compare::{Comparison, Goal, Pairs},
};

use crate::close;

fn better() -> Comparison {
    Comparison { goal: Goal::Better, ..Comparison::default() }
}

fn margin(margin: f64) -> Comparison {
    Comparison { margin, ..Comparison::default() }
}

/// `n` cases of which the candidate gains and loses some.
fn counted(n: u32, gained: u32, lost: u32) -> Pairs {
    let mut pairs = Pairs::default();
    for case in 0..n {
        let (candidate, baseline) = match case {
            case if case < gained => (1.0, 0.0),
            case if case < gained + lost => (0.0, 1.0),
            case => (f64::from(case % 2), f64::from(case % 2)),
        };
        pairs.push(&case.to_string(), Some(candidate), Some(baseline));
    }
    pairs
}

fn evidence(comparison: &Comparison, pairs: &Pairs) -> Evidence {
    comparison.judge("x", pairs).1.unwrap()
}

#[test]
fn whether_it_is_better_is_mcnemarʼs_test() {
    let (verdict, found) = better().judge("right answers", &counted(200, 15, 5));
    let found = found.unwrap();
    assert_eq!((verdict, found.method), (Verdict::Pass, Method::McNemar));
    close(found.p.unwrap(), 0.020694732666015625);
    close(found.estimate, 0.05);
    assert_eq!(found.measure, "right answers, candidate less baseline");
    assert_eq!(better().judge("", &counted(200, 5, 15)).0, Verdict::Fail);
    // One-sided 0.0577: not at 95 %.
    assert!(matches!(better().judge("", &counted(200, 14, 6)).0, Verdict::Inconclusive(_)));
}

#[test]
fn whether_it_is_not_worse_is_tangoʼs_test() {
    let found = evidence(&margin(0.05), &counted(200, 4, 6));
    close(found.lower.unwrap(), -0.03972041);
    close(found.upper.unwrap(), 0.01797808);
    assert_eq!((found.method, found.threshold), (Method::Tango, -0.05));
    assert_eq!(margin(0.05).judge("", &counted(200, 4, 6)).0, Verdict::Pass);
    assert!(matches!(margin(0.03).judge("", &counted(200, 4, 6)).0, Verdict::Inconclusive(_)));
    assert_eq!(margin(0.03).judge("", &counted(200, 1, 40)).0, Verdict::Fail);
    // Nothing unlike is not certainty: 150 of 150 alike are not worse by 0.02, 100 of 100 may be.
    assert_eq!(margin(0.02).judge("", &counted(150, 0, 0)).0, Verdict::Pass);
    assert!(matches!(margin(0.02).judge("", &counted(100, 0, 0)).0, Verdict::Inconclusive(_)));
}

#[test]
fn what_does_not_decide_says_how_many_pairs_would() {
    let seen = counted(100, 9, 5);
    let (Verdict::Inconclusive(Reason::TooAlike { have: 100, need: Some(need) }), _) =
        better().judge("", &seen)
    else {
        panic!("{:?}", better().judge("", &seen))
    };
    // As many pairs of these rates have the power that is promised: 4 in 5.
    let mut random = Rng::with_seed(3);
    let runs = 400;
    let passed = (0..runs).filter(|_| {
        let mut pairs = Pairs::default();
        for case in 0..need {
            let (candidate, baseline) = match random.f64() {
                at if at < 0.09 => (1.0, 0.0),
                at if at < 0.14 => (0.0, 1.0),
                _ => (1.0, 1.0),
            };
            pairs.push(&case.to_string(), Some(candidate), Some(baseline));
        }
        better().judge("", &pairs).0 == Verdict::Pass
    });
    let power = passed.count() as f64 / f64::from(runs);
    assert!((0.72..0.88).contains(&power), "{power} with {need} pairs");
    let none = better().judge("", &counted(100, 5, 5)).0;
    assert_eq!(none, Verdict::Inconclusive(Reason::TooAlike { have: 100, need: None }));
}

#[test]
fn what_could_be_seen_is_said() {
    // √200·δ = 1.644854·√0.1 + 0.841621·√(0.1 − δ²)
    let found = evidence(&better(), &counted(200, 15, 5));
    let shown = found.detectable.unwrap();
    close(200_f64.sqrt() * shown, 1.644853627 * 0.1_f64.sqrt() + 0.841621234 * (0.1 - shown * shown).sqrt());
    assert!(found.to_string().ends_with(&format!("a distance of {shown:.3} from 0 would show")), "{found}");
    // Where nothing was unlike, what would show is unlike by itself.
    let shown = evidence(&better(), &counted(200, 0, 0)).detectable.unwrap();
    assert!((0.02..0.05).contains(&shown), "{shown}");
}

/// SciPy 1.17.1: `stats.t` over `(i·29 mod 31 − 14)/40` is (−0.012934, 0.082934), and its BCa of 100 000 resamples is
/// (−0.0117, 0.0821); what may be among others, `0.035 − 1.035·(1 − 0.05^(1/60))`, is less than both.
#[test]
fn scores_are_resampled_and_no_surer_than_student() {
    let mut pairs = Pairs::default();
    for i in 0..60 {
        let difference = f64::from(i * 29 % 31 - 14) / 40.0;
        pairs.push(&i.to_string(), Some(0.5 + difference / 2.0), Some(0.5 - difference / 2.0));
    }
    let found = evidence(&margin(0.05), &pairs);
    assert_eq!((found.method, found.n), (Method::Bootstrap, 60));
    close(found.estimate, 0.035);
    let (lower, upper) = (found.lower.unwrap(), found.upper.unwrap());
    assert!((lower + 0.015_407).abs() < 1e-6 && (0.082934..0.0845).contains(&upper), "{lower} {upper}");
    close(found.detectable.unwrap(), 0.07225237119616343);
    assert_eq!(margin(0.05).judge("", &pairs).0, Verdict::Pass);
    assert_eq!(evidence(&margin(0.05), &pairs), found, "the same seed gives the same bounds");
}

#[test]
fn repeats_are_no_new_cases() {
    let of = |repeats: usize| {
        let mut pairs = Pairs::default();
        for case in 0..40 {
            let lost = f64::from(case % 4 > 0);
            for _ in 0..repeats {
                pairs.push(&format!("case {case}"), Some(lost), Some(1.0));
            }
        }
        pairs
    };
    let (once, often) = (evidence(&better(), &of(1)), evidence(&better(), &of(50)));
    assert_eq!((once.method, often.method, often.n), (Method::McNemar, Method::Bootstrap, 2_000));
    let width = |found: &Evidence| found.upper.unwrap() - found.lower.unwrap();
    assert!((width(&once) - width(&often)).abs() < 0.03, "{once} {often}");
    assert_eq!(of(50).clusters(), 40);
}

#[test]
fn scores_that_are_all_alike_are_not_certain() {
    let of = |cases: u32| {
        let mut pairs = Pairs::default();
        (0..cases).for_each(|case| pairs.push(&case.to_string(), Some(0.75), Some(0.75)));
        // One with repeats, so that they are no plain pairs.
        pairs.push("0", Some(0.25), Some(0.25));
        pairs
    };
    let found = evidence(&margin(0.05), &of(30));
    // 1 − 0.05^(1/30)
    close(found.lower.unwrap(), -0.09503385285530419);
    // 0.05^(1/59) is the first above 0.95.
    let few = Verdict::Inconclusive(Reason::TooAlike { have: 30, need: Some(59) });
    assert_eq!(margin(0.05).judge("", &of(30)).0, few);
    assert_eq!(margin(0.1).judge("", &of(30)).0, Verdict::Pass);
}

#[test]
fn few_clusters_decide_nothing() {
    let mut pairs = Pairs::default();
    for case in 0..19 {
        pairs.push(&case.to_string(), Some(0.9 + f64::from(case) / 1_000.0), Some(0.1));
    }
    let few = Verdict::Inconclusive(Reason::TooAlike { have: 19, need: Some(Comparison::FEWEST) });
    assert_eq!(better().judge("", &pairs).0, few);
    pairs.push("another", Some(0.95), Some(0.1));
    assert_eq!(better().judge("", &pairs).0, Verdict::Pass);
}

#[test]
fn a_verdict_holds_however_the_unknown_would_have_come_out() {
    let with = |mut pairs: Pairs, sides: [Option<f64>; 2], times: u32| {
        for i in 0..times {
            pairs.push_unknown(&format!("unknown {i}"), sides[0], sides[1], Reason::Silent);
        }
        margin(0.05).judge("", &pairs)
    };
    let (verdict, found) = with(counted(400, 4, 6), [None, Some(1.0)], 5);
    assert_eq!((verdict, found.unwrap().unknown), (Verdict::Pass, 5));
    // Lost by all of them it would be worse by 0.055 or so.
    let unclear = Verdict::Inconclusive(Reason::Silent);
    assert_eq!(with(counted(400, 4, 6), [None, Some(1.0)], 20).0, unclear);
    // A baseline that is right cannot have been worse: what is unknown is then no loss.
    assert_eq!(with(counted(400, 4, 6), [None, Some(0.0)], 20).0, Verdict::Pass);
    assert_eq!(with(counted(400, 0, 60), [None, None], 5).0, Verdict::Fail);
    assert_eq!(with(Pairs::default(), [None, None], 5), (unclear, None));
    // Out of range is not known either.
    let mut pairs = Pairs::default();
    [f64::NAN, -0.1, 1.1].iter().for_each(|value| pairs.push("a", Some(*value), Some(1.0)));
    assert_eq!((pairs.len(), pairs.unknown()), (3, 3));
}

#[test]
fn settings_that_make_no_sense_decide_nothing() {
    for comparison in [
        margin(0.0),
        margin(1.5),
        margin(f64::NAN),
        Comparison { confidence: 0.5, ..margin(0.05) },
        Comparison { confidence: 1.0, ..margin(0.05) },
        Comparison { resamples: 0, ..margin(0.05) },
    ] {
        assert!(
            matches!(comparison.judge("", &counted(1_000, 0, 0)).0, Verdict::Inconclusive(_)),
            "{comparison:?}"
        );
    }
    assert_eq!(better().judge("", &Pairs::default()), (Verdict::Inconclusive(Reason::NothingChecked), None));
}

/// The error that counts: a candidate that is worse by the margin passes seldom, and a baseline's equal is seldom better.
#[test]
fn wrong_verdicts_are_rare() {
    let runs = 600;
    let count = |mut draw: Box<dyn FnMut(&mut Rng) -> Pairs>, comparison: Comparison| {
        let mut random = Rng::with_seed(0x7469_6465);
        let passed = (0..runs).filter(|_| comparison.judge("", &draw(&mut random)).0 == Verdict::Pass);
        passed.count() as f64 / f64::from(runs)
    };
    // Three standard errors of as many runs above 5 %.
    let most = 0.05 + 3.0 * (0.05_f64 * 0.95 / f64::from(runs)).sqrt();
    let worse = |random: &mut Rng| {
        let mut pairs = Pairs::default();
        for case in 0..150 {
            let at = random.f64();
            let (candidate, baseline) = if at < 0.05 { (1.0, 0.0) } else { (f64::from(at >= 0.15), 1.0) };
            pairs.push(&case.to_string(), Some(candidate), Some(baseline));
        }
        pairs
    };
    let passed = count(Box::new(worse), margin(0.05));
    assert!(passed <= most, "{passed} of candidates worse by the margin passed");
    // Scores of 25 cases with three repeats each, in which cases differ and so do their repeats.
    let alike = |random: &mut Rng| {
        let mut pairs = Pairs::default();
        for case in 0..25 {
            let of_case = random.f64() * 0.4 - 0.2;
            for _ in 0..3 {
                let noise = (random.f64() - 0.5) * 0.2;
                pairs.push(&case.to_string(), Some(0.5 + of_case + noise), Some(0.5));
            }
        }
        pairs
    };
    let passed = count(Box::new(alike), Comparison { resamples: 1_000, ..better() });
    assert!(passed <= most, "{passed} of equals were found better");
    // One case in twenty is lost outright, and what slips in the others is made up for by what is gained.
    for cases in [20, 30, 40, 80] {
        let lost = move |random: &mut Rng| {
            let mut pairs = Pairs::default();
            for case in 0..cases {
                let of_case = f64::from(random.f64() >= 0.05);
                for _ in 0..3 {
                    let noise = (random.f64() - 0.5) * 0.02;
                    pairs.push(&case.to_string(), Some(of_case * 0.9), Some(0.9 + noise));
                }
            }
            pairs
        };
        let passed = count(Box::new(lost), Comparison { resamples: 200, ..margin(0.045) });
        assert!(passed <= most, "{passed} of candidates that lose one in twenty of {cases} passed");
    }
}

proptest! {
    #[test]
    fn the_order_of_pairs_changes_nothing(values in prop::collection::vec((0_u8..3, 0_u8..3, 0_u8..12), 1..60), by in 0_usize..60) {
        let of = |values: &[(u8, u8, u8)]| {
            let mut pairs = Pairs::default();
            for (candidate, baseline, cluster) in values {
                let value = |of: u8| (of < 2).then(|| f64::from(of));
                pairs.push(&cluster.to_string(), value(*candidate), value(*baseline));
            }
            pairs
        };
        let mut turned = values.clone();
        turned.rotate_left(by % values.len());
        let comparison = Comparison { resamples: 100, ..margin(0.1) };
        prop_assert_eq!(comparison.judge("", &of(&values)), comparison.judge("", &of(&turned)));
    }

    #[test]
    fn sides_are_alike(n in 1_u32..80, gained in 0_u32..40, lost in 0_u32..40) {
        prop_assume!(gained + lost <= n);
        let (one, other) = (evidence(&better(), &counted(n, gained, lost)), evidence(&better(), &counted(n, lost, gained)));
        close(one.estimate, -other.estimate);
        close(one.lower.unwrap(), -other.upper.unwrap());
    }
}
