//! Judges and evidence as bytes: whoever takes them up again goes on to the last bit, and bytes of anybody else do
//! no harm.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use proptest::prelude::*;
use tidegate_metrics::{
    Better, Bound, Boundary, BurnRate, Comparison, Criterion, Evidence, Judge, Limit, MeanComparison,
    Measurement, Method, Metric, Missing, Observation, OnMissing, Pair, RankComparison, Reading, Readings,
    Rule, ScoreComparison, Statistic, Window,
};

/// Every rule, and every way in which one keeps what it has seen.
fn rules() -> Vec<Rule> {
    let comparison = Comparison::default();
    let bound = Bound::AtMost(0.3);
    vec![
        Rule::BurnRate(BurnRate { min_samples: 5, ..BurnRate::fast(0.95) }),
        Rule::BurnRate(BurnRate {
            long: Duration::from_secs(300),
            short: Duration::from_secs(60),
            ..BurnRate::steady(0.9)
        }),
        Rule::Compare(comparison),
        Rule::Compare(Comparison { weight: Some(0.5), negligible: 0.0, ..comparison }),
        Rule::Compare(Comparison { method: Method::Symmetric, dispersion: 3.0, ..comparison }),
        Rule::Compare(Comparison { better: Better::Higher, ..comparison }),
        Rule::CompareMeans(MeanComparison { cap: Some(5.0), ..MeanComparison::default() }),
        Rule::CompareRanks(RankComparison { windows: 3, looks: 2, ..RankComparison::default() }),
        Rule::CompareRanks(RankComparison {
            windows: 2,
            looks: 4,
            boundary: Boundary::Pocock,
            better: Better::Higher,
            ..RankComparison::default()
        }),
        Rule::CompareScores(ScoreComparison::default()),
        Rule::Limit(Limit::new(Statistic::Share, bound)),
        Rule::Limit(Limit::new(Statistic::Quantile(0.9), bound)),
        Rule::Limit(Limit::new(Statistic::Mean, bound)),
        Rule::Readings(Readings { breaches: 2, of: 3, reading: Reading::Worst, ..Readings::new(bound) }),
    ]
}

/// How a source answers: always alike but for gaps, or each time otherwise.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Counts,
    Histogram,
    Strata,
    Total,
    Values,
    Whatever,
}

const KINDS: [Kind; 6] =
    [Kind::Counts, Kind::Histogram, Kind::Strata, Kind::Total, Kind::Values, Kind::Whatever];

fn observation(chance: &mut Rng, kind: Kind) -> Observation {
    let trials = chance.u64(1..60);
    match kind {
        Kind::Counts => Observation::proportion(chance.u64(..=trials / 4), trials),
        Kind::Histogram => {
            let counts = (0..4).map(|_| chance.u64(..40)).collect();
            Observation::histogram(vec![0.1, 0.3, 1.0], counts)
        }
        Kind::Strata => {
            let names = ["gold", "silver", "tin"].into_iter().filter(|_| chance.u8(..4) > 0);
            let names: Vec<_> = names.collect();
            let names = if names.is_empty() { vec!["tin"] } else { names };
            let counts = names.into_iter().map(|name| (name.to_owned(), observation(chance, Kind::Counts)));
            Observation::strata(counts.collect())
        }
        Kind::Total => Observation::total(trials as f64 * chance.f64(), trials),
        Kind::Values => Observation::values((0..trials).map(|_| chance.f64()).collect()),
        Kind::Whatever => {
            let kind = KINDS[chance.usize(..5)];
            return observation(chance, kind);
        }
    }
    .unwrap()
}

fn measurement(chance: &mut Rng, kind: Kind) -> Measurement {
    match chance.u8(..40) {
        0 => Missing::NoData.into(),
        1 => Missing::Infinite { negative: chance.bool() }.into(),
        2 => Missing::SourceError { cause: "the cable is cut".to_owned(), retryable: true }.into(),
        3 => Missing::Stale { age: Duration::from_millis(chance.u64(..100_000)) }.into(),
        4 => Missing::TooFew { have: 1, need: 2 }.into(),
        5 => Missing::NotANumber.into(),
        _ => observation(chance, kind).into(),
    }
}

fn history(chance: &mut Rng, kind: Kind) -> Vec<(Window, Pair)> {
    let start = SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, chance.u32(..1_000_000_000));
    let pair = |i: u64| {
        let end = start + Duration::from_secs(30 * (i + 1));
        let window = Window::ending(end, Duration::from_secs(30)).unwrap();
        let baseline = (chance.u8(..20) > 0).then(|| measurement(chance, kind));
        (window, Pair::new(measurement(chance, kind), baseline))
    };
    (0..24_u64).map(pair).collect()
}

fn judges(on_missing: OnMissing) -> impl Iterator<Item = Judge> {
    rules()
        .into_iter()
        .map(move |rule| Judge::new(Criterion::new(Metric::errors(), rule).on_missing(on_missing)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_judge_goes_on_to_the_last_bit(seed: u64, at in 0..24_usize, kind in 0..KINDS.len()) {
        let mut chance = Rng::with_seed(seed);
        let history = history(&mut chance, KINDS[kind]);
        let on_missing = [OnMissing::Fail, OnMissing::Inconclusive, OnMissing::Pass][chance.usize(..3)];
        for mut judge in judges(on_missing) {
            for (window, pair) in &history[..at] {
                judge.take(*window, pair);
            }
            let mut again = Judge::from_bytes(judge.criterion().clone(), &judge.to_bytes()).unwrap();
            prop_assert_eq!(again.judgement(), judge.judgement());
            prop_assert_eq!(again.point(), judge.point());
            for (window, pair) in &history[at..] {
                prop_assert_eq!(again.take(*window, pair), judge.take(*window, pair));
                prop_assert_eq!(again.verdict(), judge.verdict());
                prop_assert_eq!(again.judgement(), judge.judgement());
            }
            prop_assert!(again.to_bytes() == judge.to_bytes(), "{:?}", judge.criterion());
        }
    }

    #[test]
    fn evidence_comes_back_to_the_last_bit(seed: u64, kind in 0..KINDS.len()) {
        let mut evidence = Evidence::new();
        for (window, pair) in history(&mut Rng::with_seed(seed), KINDS[kind]) {
            evidence.add(window, pair.candidate, pair.baseline);
        }
        let bytes = evidence.to_bytes();
        let again = Evidence::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&again, &evidence);
        prop_assert!(again.to_bytes() == bytes);
        for length in 0..bytes.len() {
            prop_assert_eq!(Evidence::from_bytes(&bytes[..length]), None);
        }
    }

    /// What reads as the state of a judge may say anything, but neither reading it nor going on with it fails.
    #[test]
    fn bytes_of_anybody_do_no_harm(seed: u64, kind in 0..KINDS.len(), noise: Vec<u8>) {
        let mut chance = Rng::with_seed(seed);
        let history = history(&mut chance, KINDS[kind]);
        for mut judge in judges(OnMissing::default()) {
            for (window, pair) in &history[..12] {
                judge.take(*window, pair);
            }
            let mut bytes = judge.to_bytes();
            for _ in 0..chance.usize(1..4) {
                let place = chance.usize(..bytes.len());
                let any = chance.u8(..);
                bytes[place] = [0, 1, 2, 127, 128, 255, any][chance.usize(..7)];
            }
            for bytes in [&bytes[..], &bytes[..chance.usize(..bytes.len())], &noise] {
                let Some(mut other) = Judge::from_bytes(judge.criterion().clone(), bytes) else { continue };
                for (window, pair) in &history {
                    other.take(*window, pair);
                }
                let _judgement = other.judgement().explain();
            }
        }
        let _evidence = Evidence::from_bytes(&noise);
    }
}

#[test]
fn the_state_of_one_rule_is_none_of_another() {
    let window = Window::ending(SystemTime::UNIX_EPOCH + Duration::from_secs(60), Duration::from_secs(30));
    let counts = || Measurement::from(Observation::proportion(1, 50).unwrap());
    let mut judge = Judge::new(Criterion::compare(Metric::errors())).unwrap();
    judge.take(window.unwrap(), &Pair::new(counts(), Some(counts())));
    let bytes = judge.to_bytes();
    let limit = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05);
    assert!(Judge::from_bytes(limit, &bytes).is_none());
    let longer = [&*bytes, &[0]].concat();
    assert!(Judge::from_bytes(judge.criterion().clone(), &longer).is_none());
    let invalid = Criterion::at_most(Metric::errors(), Statistic::Share, 7.0);
    assert!(Judge::from_bytes(invalid, &bytes).is_none());
}
