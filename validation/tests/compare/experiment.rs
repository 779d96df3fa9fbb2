//! Experiments in production: what is compared, and what is not to be.

use std::time::{Duration, SystemTime};

use tidegate_validation::{
    Method, Reason, Verdict,
    compare::{Arm, Compared, Experiment, Goal, Silent, Units},
};

use crate::close;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// So many units of each arm, all assigned at the same time, with what `outcomes` makes of the arm and the number of each.
fn units(candidate: u64, baseline: u64, outcomes: impl Fn(Arm, u64) -> Vec<f64>) -> Units {
    let mut units = Units::default();
    for (arm, count) in [(Arm::Candidate, candidate), (Arm::Baseline, baseline)] {
        for i in 0..count {
            let unit = format!("{arm:?} {i}");
            units.assign(&unit, arm, at(1_000));
            outcomes(arm, i).into_iter().for_each(|value| units.outcome(&unit, value, None));
        }
    }
    units
}

/// So many hits of each arm, and misses of the others.
fn hits(candidate: [u64; 2], baseline: [u64; 2]) -> Units {
    units(candidate[1], baseline[1], |arm, i| {
        let hits = if arm == Arm::Candidate { candidate[0] } else { baseline[0] };
        vec![f64::from(u8::from(i < hits))]
    })
}

fn misassigned(compared: &Compared) -> &str {
    match &compared.finding.verdict {
        Verdict::Inconclusive(Reason::Misassigned { what }) => what,
        verdict => panic!("{verdict:?}"),
    }
}

/// As in `tests/statistics/unpaired.rs`: the likelihood maximised with numpy, the score test inverted with SciPy.
#[test]
fn rates_are_compared_by_a_score_test() {
    let better = Experiment { goal: Goal::Better, confidence: 0.975, ..Experiment::default() };
    let compared = better.judge(&hits([56, 70], [48, 80]));
    let [split, difference] = compared.finding.evidence.as_slice() else { panic!("{compared:?}") };
    assert_eq!((compared.finding.verdict.clone(), difference.method), (Verdict::Pass, Method::Score));
    close(difference.estimate, 0.2);
    close(difference.lower.unwrap(), 0.052829713245844546);
    close(difference.upper.unwrap(), 0.3381729400158684);
    close(difference.p.unwrap(), 0.008258287929380758 / 2.0);
    assert_eq!(
        (split.n, split.threshold, compared.candidate_units, compared.baseline_units),
        (150, 0.5, 70, 80)
    );
    assert_eq!(better.judge(&hits([48, 80], [56, 70])).finding.verdict, Verdict::Fail);
}

/// SciPy 1.17.1: `ttest_ind(a, b, equal_var=False).confidence_interval(0.9)` and `(t.ppf(.95, df) + t.ppf(.8, df))·se`.
#[test]
fn values_are_compared_by_welchʼs_test() {
    let value = |arm, i: u64| match arm {
        Arm::Candidate => vec![(i * 37 % 101) as f64 / 10.0],
        _ => vec![(i * 53 % 97) as f64 / 10.0 + 0.4],
    };
    let of = |margin| Experiment { margin, ..Experiment::default() }.judge(&units(40, 45, value));
    let compared = of(1.0);
    let difference = &compared.finding.evidence[1];
    assert_eq!((compared.finding.verdict.clone(), difference.method), (Verdict::Pass, Method::Welch));
    close(difference.estimate, 0.073888888888888);
    close(difference.lower.unwrap(), -0.9870268613601043);
    close(difference.upper.unwrap(), 1.13480463913788);
    close(difference.detectable.unwrap(), 1.6003889273945069);
    let Verdict::Inconclusive(Reason::TooAlike { have: 85, need: Some(need) }) = of(0.9).finding.verdict
    else {
        panic!("{compared:?}")
    };
    // 85·(1.6003889/0.9738889)², rounded up.
    assert_eq!(need, 230);
}

/// Units count, and not their outcomes: numpy, as in the formula at `ClusteredMean`, and `stats.t`.
#[test]
fn outcomes_are_added_up_by_unit() {
    let candidate: [&[f64]; 5] = [&[1.0, 2.0, 3.0], &[2.0, 2.0], &[5.0], &[1.0, 4.0, 4.0, 1.0], &[3.0, 3.0]];
    let baseline: [&[f64]; 5] = [&[2.0, 2.0], &[4.0, 1.0, 1.0], &[3.0], &[0.0, 5.0], &[2.0, 2.0, 2.0]];
    let compared = Experiment::default().judge(&units(30, 30, |arm, i| {
        let of = if arm == Arm::Candidate { candidate } else { baseline };
        of[i as usize % 5].to_vec()
    }));
    let difference = &compared.finding.evidence[1];
    assert_eq!((difference.n, difference.method), (138, Method::Welch));
    close(difference.estimate, 0.4015151515151518);
    close(difference.lower.unwrap(), 0.18969719874235072);
    close(difference.upper.unwrap(), 0.613333104287953);
}

/// One user in twenty gets no hit from the candidate, of three questions each; the others nearly always do, as all do of
/// the baseline. It is worse by just the margin.
#[test]
fn units_that_were_not_seen_count_where_outcomes_are_hits() {
    let mut random = fastrand::Rng::with_seed(0x7469_6465);
    let experiment = Experiment { margin: 0.05, ..Experiment::default() };
    let (runs, mut passed) = (600, 0);
    for _ in 0..runs {
        let mut drawn = Units::default();
        for i in 0..80 {
            let (arm, lost) = if i % 2 == 0 { (Arm::Candidate, 0.05) } else { (Arm::Baseline, 0.0) };
            let (unit, own) = (i.to_string(), if random.f64() < lost { 0.0 } else { 0.99 });
            drawn.assign(&unit, arm, at(1_000));
            (0..3).for_each(|_| drawn.outcome(&unit, f64::from(u8::from(random.f64() < own)), None));
        }
        passed += u32::from(experiment.judge(&drawn).finding.verdict == Verdict::Pass);
    }
    // Three standard errors of as many runs above 5 %.
    assert!(f64::from(passed) / f64::from(runs) <= 0.077, "{passed} of {runs}");
    let all = units(30, 30, |_, _| vec![1.0, 1.0]);
    let found = &experiment.judge(&all).finding.evidence[1];
    // 1 − 0.05^(1/30)
    close(found.lower.unwrap(), -0.09503385285530419);
}

/// SciPy 1.17.1: `chisquare([5200, 4800])` is 6.33e-5, `chisquare([1100, 8900], [1000, 9000])` 8.58e-4, and twice the
/// lesser tail of `binom(1000, 0.5)` at 560 is 1.65e-4.
#[test]
fn arms_of_the_wrong_size_are_never_compared() {
    for (candidate, baseline, split, p) in [
        (5_200, 4_800, (1.0, 1.0), 6.334248366623988e-05),
        (1_100, 8_900, (0.1, 0.9), 0.0008581206663936758),
        (560, 440, (50.0, 50.0), 0.00016504987055045286),
    ] {
        let experiment = Experiment { split, ..Experiment::default() };
        // However much better the candidate looks.
        let compared = experiment.judge(&hits([candidate, candidate], [0, baseline]));
        assert!(
            misassigned(&compared).contains(&format!("{candidate} and {baseline} units")),
            "{compared:?}"
        );
        close(compared.finding.evidence[0].p.unwrap(), p);
        // Half as unlike is chance.
        let (some, rest) = (candidate - (candidate - baseline.min(candidate)) / 4, baseline);
        let fair = Experiment { split: (some as f64, rest as f64), ..Experiment::default() };
        assert_eq!(fair.judge(&hits([some, some], [0, rest])).finding.verdict, Verdict::Pass);
        let lenient = Experiment { mismatch: p / 2.0, split, ..Experiment::default() };
        assert_eq!(
            lenient.judge(&hits([candidate, candidate], [0, baseline])).finding.verdict,
            Verdict::Pass
        );
    }
}

/// Splits that are as they should be are seldom called a mismatch, and units that are lost are found.
#[test]
fn a_mismatch_is_seldom_chance() {
    let mut random = fastrand::Rng::with_seed(0x7469_6465);
    let mut alarms = |lose: f64, n: u64| {
        let runs = 100;
        let found = (0..runs).filter(|_| {
            let mut sizes = [0_u64; 2];
            for _ in 0..n {
                let arm = usize::from(random.bool());
                sizes[arm] += u64::from(arm == 1 || random.f64() >= lose);
            }
            let compared = Experiment::default().judge(&hits([sizes[0], sizes[0]], [sizes[1], sizes[1]]));
            matches!(compared.finding.verdict, Verdict::Inconclusive(Reason::Misassigned { .. }))
        });
        found.count()
    };
    assert!(alarms(0.0, 500) <= 2 && alarms(0.0, 3_000) <= 2);
    // Of which 0.99997 are found: `norm.sf(norm.isf(0.0005) - 7.319)`.
    assert!(alarms(0.25, 3_000) >= 99, "a quarter of one arm is lost");
}

#[test]
fn units_of_both_arms_are_left_out_and_many_are_no_experiment() {
    let crossing = |crossed: u64| {
        let mut units = hits([300, 500], [300, 500]);
        for i in 0..crossed {
            units.assign(&format!("Candidate {i}"), Arm::Baseline, at(2_000));
            units.assign(&format!("Baseline {i}"), Arm::Other, at(2_000));
        }
        Experiment { margin: 0.2, ..Experiment::default() }.judge(&units)
    };
    let few = crossing(4);
    assert_eq!((few.finding.verdict.clone(), few.left_out.both_arms), (Verdict::Pass, 8));
    assert_eq!((few.candidate_units, few.baseline_units), (496, 496));
    assert!(misassigned(&crossing(20)).contains("40 units were in both arms"));
}

#[test]
fn outcomes_count_once_and_after_their_unit_was_assigned() {
    let mut units = Units::default();
    units.assign("ada", Arm::Candidate, at(2_000));
    units.assign("ada", Arm::Candidate, at(1_000));
    units.assign("bob", Arm::Baseline, at(1_000));
    units.assign("cyd", Arm::Other, at(1_000));
    for (unit, value, time) in [
        ("ada", 1.0, 1_500),
        ("ada", 1.0, 1_500),
        ("ada", 1.0, 1_501),
        ("ada", 0.0, 999),
        ("bob", 0.0, 1_000),
        ("nobody", 1.0, 1_000),
        ("cyd", 1.0, 1_000),
    ] {
        units.outcome(unit, value, Some(at(time)));
    }
    let compared = Experiment::default().judge(&units);
    let left_out = compared.left_out;
    assert_eq!((left_out.duplicates, left_out.early, left_out.unassigned, left_out.other_arms), (1, 1, 1, 1));
    assert_eq!((compared.candidate_units, compared.baseline_units), (1, 1));
    // The earliest assignment holds, so the outcome at 1500 is none from before.
    assert_eq!(left_out.both_arms, 0);
}

#[test]
fn arms_that_differ_in_who_has_an_outcome_are_not_compared() {
    // A crash of the candidate takes a tenth of its outcomes with it, the bad ones.
    let partly = |arm, i: u64| match arm {
        Arm::Candidate if i.is_multiple_of(10) => vec![],
        Arm::Candidate => vec![1.0],
        _ => vec![f64::from(u8::from(!i.is_multiple_of(10)))],
    };
    let compared = Experiment::default().judge(&units(1_000, 1_000, partly));
    assert!(
        misassigned(&compared).contains("100 of 1000 units of the candidate have no outcome"),
        "{compared:?}"
    );
    assert_eq!((compared.left_out.silent_candidate, compared.left_out.silent_baseline), (100, 0));
    // Where silence is a miss, it is one.
    let zero = Experiment { silent: Silent::Zero, margin: 0.04, ..Experiment::default() };
    let compared = zero.judge(&units(1_000, 1_000, partly));
    assert_eq!(
        (compared.finding.verdict.clone(), compared.finding.evidence[1].estimate),
        (Verdict::Pass, 0.0)
    );
    // Missing alike is missing by chance.
    let alike = units(1_000, 1_000, |_, i| if i.is_multiple_of(10) { vec![] } else { vec![1.0] });
    assert_eq!(Experiment::default().judge(&alike).finding.verdict, Verdict::Pass);
}

#[test]
fn nothing_decides_nothing() {
    let none = Experiment::default().judge(&Units::default());
    assert_eq!(none.finding.verdict, Verdict::Inconclusive(Reason::NothingChecked));
    // One arm alone is a mismatch.
    misassigned(&Experiment::default().judge(&hits([500, 500], [0, 0])));
    let few = units(10, 10, |_, i| vec![i as f64]);
    assert_eq!(
        Experiment { margin: 100.0, ..Experiment::default() }.judge(&few).finding.verdict,
        Verdict::Inconclusive(Reason::TooAlike { have: 20, need: Some(40) })
    );
}
