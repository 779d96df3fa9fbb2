//! Trials that are taken until they decide: the rule of a gate.

use fastrand::Rng;
use proptest::prelude::*;
use tidegate_validation::{
    Gate, Method, Outcome, Reason, Rule, Sequence, Tally, Verdict,
    statistics::{Course, Sprt},
};

use crate::share;

fn gate(most: u64) -> Gate {
    Gate { floor: 0.8, rule: Rule::Sequential { good: 0.95, beta: 0.05, most }, confidence: 0.95 }
}

/// Takes outcomes until it is over, or there are none left.
fn run(gate: &Gate, outcomes: impl IntoIterator<Item = Outcome>) -> (Sequence, Tally) {
    let (mut sequence, mut tally) = (gate.sequence().unwrap(), Tally::default());
    for outcome in outcomes {
        if sequence.is_over() {
            break;
        }
        sequence.push(outcome);
        match outcome {
            Outcome::Unknown => tally.unknown(Reason::Silent),
            known => tally.count(known),
        }
    }
    (sequence, tally)
}

fn verdict(gate: &Gate, outcomes: impl IntoIterator<Item = Outcome>) -> Verdict {
    let (sequence, tally) = run(gate, outcomes);
    sequence.judge("hits", &tally).0
}

#[test]
fn eighteen_straight_hits_pass_and_three_straight_misses_fail() {
    let (passed, tally) = run(&gate(100), [Outcome::Hit; 100]);
    let (verdict, evidence) = passed.judge("hits", &tally);
    let evidence = evidence.unwrap();
    assert_eq!((verdict, tally.hits), (Verdict::Pass, 18));
    // What it stopped at is no fair estimate, so nothing is said about bounds.
    assert_eq!((evidence.method, evidence.n, evidence.lower), (Method::Sequential, 18, None));
    let (failed, tally) = run(&gate(100), [Outcome::Miss; 100]);
    assert_eq!((failed.judge("hits", &tally).0, tally.misses), (Verdict::Fail, 3));
}

#[test]
fn what_does_not_decide_says_what_is_missing() {
    assert_eq!(
        verdict(&gate(100), [Outcome::Hit; 10]),
        Verdict::Inconclusive(Reason::TooFew { have: 10, need: 18 })
    );
    assert_eq!(verdict(&gate(17), [Outcome::Hit; 30]), Verdict::Inconclusive(Reason::Truncated { most: 17 }));
    assert_eq!(verdict(&gate(100), []), Verdict::Inconclusive(Reason::NothingChecked));
}

#[test]
fn trials_without_a_result_are_misses_for_a_pass_and_hits_for_a_failure() {
    let with = |unknown: usize, then: Outcome| {
        let outcomes = [vec![Outcome::Unknown; unknown], vec![then; 200]].concat();
        run(&gate(500), outcomes)
    };
    let (passed, tally) = with(1, Outcome::Hit);
    assert_eq!(passed.judge("", &tally).0, Verdict::Pass);
    // ⌈(2.944439 + 1.386294)/0.171850⌉, where 18 would do without the miss.
    assert_eq!(tally.hits, 26);
    let (failed, tally) = with(9, Outcome::Miss);
    assert_eq!((failed.judge("", &tally).0, tally.misses), (Verdict::Fail, 4));
    // Three of them would have been enough to fail: nothing that follows makes it pass.
    let (open, tally) = with(3, Outcome::Hit);
    assert_eq!(open.judge("", &tally).0, Verdict::Inconclusive(Reason::Silent));
    assert!(tally.hits < 30, "and it is not asked on when nothing can be decided any more: {tally:?}");
}

/// Wald's errors: exactly, by all courses that the test can take, and as often in simulation of the rule itself.
#[test]
fn errors_are_as_rare_as_they_may_be() {
    const RUNS: u32 = 8_000;
    for (floor, good, confidence, beta) in
        [(0.8, 0.95, 0.95, 0.05), (0.9, 0.99, 0.95, 0.1), (0.5, 0.7, 0.99, 0.2)]
    {
        let gate = Gate { floor, rule: Rule::Sequential { good, beta, most: 2_000 }, confidence };
        let alpha = 1.0 - confidence;
        let test = Sprt::new(floor, good, alpha, beta, 2_000).unwrap();
        let wrong = |rate: f64, wrong: Verdict| {
            share(RUNS, |random| verdict(&gate, std::iter::repeat_with(|| draw(random, rate))) == wrong)
        };
        // Three standard errors of as many runs.
        let tolerance = |chance: f64| 3.0 * (chance * (1.0 - chance) / f64::from(RUNS)).sqrt();
        let passes = wrong(floor, Verdict::Pass);
        assert!(passes <= alpha + tolerance(alpha), "{passes} of versions at the floor {floor} passed");
        assert!((passes - test.odds(floor).accepts).abs() <= tolerance(alpha));
        let fails = wrong(good, Verdict::Fail);
        assert!(fails <= beta + tolerance(beta), "{fails} of versions at {good} failed");
        assert!((fails - test.odds(good).rejects).abs() <= tolerance(beta));
    }
}

fn draw(random: &mut Rng, rate: f64) -> Outcome {
    if random.f64() < rate { Outcome::Hit } else { Outcome::Miss }
}

/// A fixed number takes 50 at the same errors.
#[test]
fn it_takes_fewer_trials_than_a_fixed_number() {
    let mut trials = 0;
    share(2_000, |random| {
        let (_, tally) = run(&gate(1_000), std::iter::repeat_with(|| draw(random, 0.95)));
        trials += tally.hits + tally.misses;
        true
    });
    let mean = trials as f64 / 2_000.0;
    let exact = Sprt::new(0.8, 0.95, 0.05, 0.05, 1_000).unwrap().odds(0.95).trials;
    // Wald's own approximation leaves out by how much the bounds are overshot: 28.2.
    assert!((mean - exact).abs() < 1.5 && 28.2 < exact && exact < 33.0, "{mean} {exact}");
}

#[test]
fn a_tally_alone_is_judged_by_where_the_test_stands() {
    let judge = |hits, misses| {
        let mut tally = Tally::default();
        (tally.hits, tally.misses) = (hits, misses);
        gate(1_000).judge("", &tally).0
    };
    assert_eq!(judge(18, 0), Verdict::Pass);
    assert_eq!(judge(0, 3), Verdict::Fail);
    assert_eq!(judge(17, 0), Verdict::Inconclusive(Reason::TooFew { have: 17, need: 18 }));
}

#[test]
fn a_rule_is_written_as_it_is_read() {
    for (rule, json) in [
        (Rule::Bound, r#""bound""#),
        (
            Rule::Sequential { good: 0.95, beta: 0.05, most: 1_000 },
            r#"{"sequential":{"good":0.95,"beta":0.05,"most":1000}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        assert_eq!(serde_json::from_str::<Rule>(json).unwrap(), rule);
    }
    let brief = serde_json::from_str::<Rule>(r#"{"sequential": {"good": 0.95}}"#).unwrap();
    assert_eq!(brief, Rule::Sequential { good: 0.95, beta: 0.05, most: 1_000 });
    assert!(serde_json::from_str::<Rule>(r#"{"sequential": {"good": 0.95, "bad": 0.8}}"#).is_err());
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![6 => Just(Outcome::Hit), 2 => Just(Outcome::Miss), 1 => Just(Outcome::Unknown)]
}

proptest! {
    #[test]
    fn a_verdict_holds_however_the_unknown_would_have_come_out(
        outcomes in prop::collection::vec(outcome(), 0..150), completions in prop::collection::vec(any::<bool>(), 150),
    ) {
        let decided = verdict(&gate(500), outcomes.iter().copied());
        prop_assume!(!matches!(decided, Verdict::Inconclusive(_)));
        let completed = outcomes.iter().zip(&completions).map(|(outcome, hit)| match outcome {
            Outcome::Unknown if *hit => Outcome::Hit,
            Outcome::Unknown => Outcome::Miss,
            known => *known,
        });
        prop_assert_eq!(verdict(&gate(500), completed), decided);
    }

    #[test]
    fn without_unknown_trials_it_is_the_test_itself(outcomes in prop::collection::vec(any::<bool>(), 0..80), most in 1_u64..80) {
        let mut test = Sprt::new(0.8, 0.95, 1.0 - 0.95, 0.05, most).unwrap();
        outcomes.iter().for_each(|hit| _ = test.push(*hit));
        let as_outcomes = outcomes.iter().map(|hit| if *hit { Outcome::Hit } else { Outcome::Miss });
        let reached = match verdict(&gate(most), as_outcomes) {
            Verdict::Pass => Course::Accepted,
            Verdict::Fail => Course::Rejected,
            Verdict::Inconclusive(Reason::Truncated { .. }) => Course::Truncated,
            Verdict::Inconclusive(_) => Course::Open,
        };
        prop_assert_eq!(reached, test.course());
    }
}
