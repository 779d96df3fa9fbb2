//! What evidence means: golden values, the identity that the guarantee rests on, and the laws of verdicts.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tidegate_metrics::{
    Bound, Comparison, Criterion, Evidence, Importance, Judgement, Limit, Measurement, Metric, Missing,
    Observation, OnMissing, Rule, Statistic, Table, Verdict, Window, judge, trajectory,
};

/// `(n_c, n_b, x_c, x_b)` of five windows; their e-values were computed with exact rationals.
const WINDOWS: [(u64, u64, u64, u64); 5] =
    [(100, 900, 3, 9), (100, 900, 1, 10), (120, 880, 4, 8), (100, 900, 0, 7), (500, 500, 12, 6)];

fn window(minute: u64) -> Window {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + minute * 60);
    Window::new(start, start + Duration::from_secs(60)).unwrap()
}

fn proportion(hits: u64, trials: u64) -> Measurement {
    Observation::proportion(hits, trials).unwrap().into()
}

fn paired((n_c, n_b, x_c, x_b): (u64, u64, u64, u64)) -> (Measurement, Option<Measurement>) {
    (proportion(x_c, n_c), Some(proportion(x_b, n_b)))
}

fn evidence(windows: &[(u64, u64, u64, u64)]) -> Evidence {
    let mut evidence = Evidence::new();
    for (minute, counts) in windows.iter().enumerate() {
        let (candidate, baseline) = paired(*counts);
        assert!(evidence.add(window(minute as u64), candidate, baseline));
    }
    evidence
}

fn alone(measurements: impl IntoIterator<Item = Measurement>) -> Evidence {
    let mut evidence = Evidence::new();
    for (minute, measurement) in measurements.into_iter().enumerate() {
        assert!(evidence.add(window(minute as u64), measurement, None));
    }
    evidence
}

fn near(value: f64, golden: f64) {
    assert!((value / golden - 1.0).abs() < 1e-9, "{value} is not {golden}");
}

mod golden {
    use super::*;

    #[test]
    fn two_sides_without_hits_pass_by_what_is_negligible() {
        let quiet = vec![(100, 900, 0, 0); 10];
        let criterion = Criterion::compare(Metric::errors());
        let judgement = judge(&criterion, &evidence(&quiet));
        assert_eq!(judgement.verdict, Verdict::Pass, "{judgement}");
        // Half of the bet lies on odds of which nothing is learned; the other half is the mean over the grid of
        // (1 - p + p/r)^-1000 at p = 1 %, for a thousand requests without an error.
        let grid = [1.1_f64, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
        let share = grid.map(|r| (1.0 - 0.01 + 0.01 / r).powf(-1000.0)).iter().sum::<f64>() / 8.0;
        near(judgement.pass.log_e.exp(), 0.5 + 0.5 * share);

        let strict = Comparison { negligible: 0.0, ..Comparison::default() };
        let strict = Criterion::new(Metric::errors(), Rule::Compare(strict));
        let judgement = judge(&strict, &evidence(&quiet));
        assert_eq!((judgement.verdict, judgement.pass.log_e), (Verdict::Inconclusive, 0.0));
    }

    #[test]
    fn one_likelihood_ratio() {
        near(Table::new((3, 100), (9, 900)).unwrap().log_likelihood_ratio(2.0, 1.0).exp(), 2.561_552_218);
    }

    #[test]
    fn evidence_for_worse_after_each_window() {
        let points = trajectory(&Criterion::compare(Metric::errors()), &evidence(&WINDOWS));
        let expected = [1.623_556_345, 0.945_846_484_1, 3.137_699_929, 1.567_208_865, 3.475_310_307];
        assert_eq!(points.len(), expected.len());
        for (point, golden) in points.iter().zip(expected) {
            near(point.fail.exp(), golden);
        }
    }

    #[test]
    fn evidence_for_no_worse_than_half_as_much_again() {
        let log: f64 = WINDOWS
            .iter()
            .map(|&(n_c, n_b, x_c, x_b)| {
                Table::new((x_c, n_c), (x_b, n_b)).unwrap().log_likelihood_ratio(1.0, 1.5)
            })
            .sum();
        near(log.exp(), 0.143_652_169_3);
    }
}

mod guarantee {
    use super::*;

    /// Fisher's noncentral hypergeometric distribution, straight from its definition.
    fn probabilities(n_c: u64, n_b: u64, hits: u64, odds_ratio: f64) -> Vec<(u64, f64)> {
        let log_choose =
            |n: u64, k: u64| -> f64 { (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum() };
        let logs: Vec<(u64, f64)> = (hits.saturating_sub(n_b)..=hits.min(n_c))
            .map(|x| (x, log_choose(n_c, x) + log_choose(n_b, hits - x) + x as f64 * odds_ratio.ln()))
            .collect();
        let greatest = logs.iter().map(|(_, log)| *log).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|(_, log)| (log - greatest).exp()).sum();
        logs.into_iter().map(|(x, log)| (x, (log - greatest).exp() / sum)).collect()
    }

    fn expectation(n_c: u64, n_b: u64, hits: u64, truth: f64, alternative: f64, null: f64) -> f64 {
        probabilities(n_c, n_b, hits, truth)
            .into_iter()
            .map(|(x, probability)| {
                let table = Table::new((x, n_c), (hits - x, n_b)).unwrap();
                probability * table.log_likelihood_ratio(alternative, null).exp()
            })
            .sum()
    }

    proptest! {
        #[test]
        fn a_window_is_expected_to_multiply_by_one_at_the_null(
            n_c in 1_u64..300, n_b in 1_u64..300, share in 0.0..1.0_f64, r in 0.2..5.0_f64, r0 in 0.5..3.0_f64,
        ) {
            let hits = ((n_c + n_b) as f64 * share) as u64;
            let expected = expectation(n_c, n_b, hits, r0, r, r0);
            prop_assert!((expected - 1.0).abs() < 1e-9, "{expected}");
        }

        #[test]
        fn and_by_no_more_on_its_far_side(
            n_c in 1_u64..120, n_b in 1_u64..300, share in 0.0..1.0_f64,
            up in 1.0..30.0_f64, r0 in 0.5..3.0_f64, milder in 0.05..1.0_f64,
        ) {
            let hits = ((n_c + n_b) as f64 * share) as u64;
            let failing = expectation(n_c, n_b, hits, r0 * milder, r0 * up, r0);
            prop_assert!(failing <= 1.0 + 1e-9, "{failing}");
            let passing = expectation(n_c, n_b, hits, r0 / milder, r0 / up, r0);
            prop_assert!(passing <= 1.0 + 1e-9, "{passing}");
        }
    }
}

mod replay {
    use super::*;

    fn counts() -> impl Strategy<Value = (u64, u64, u64, u64)> {
        (0_u64..200, 0_u64..900).prop_flat_map(|(n_c, n_b)| (Just(n_c), Just(n_b), 0..=n_c, 0..=n_b))
    }

    proptest! {
        #[test]
        fn shuffled_and_repeated_windows_change_nothing(
            (windows, order) in prop::collection::vec(counts(), 1..12).prop_flat_map(|windows| {
                let order: Vec<usize> = (0..windows.len()).chain(0..windows.len()).collect();
                (Just(windows), Just(order).prop_shuffle())
            }),
        ) {
            let straight = evidence(&windows);
            let mut shuffled = Evidence::new();
            let mut added = 0;
            for i in order {
                let (candidate, baseline) = paired(windows[i]);
                added += usize::from(shuffled.add(window(i as u64), candidate, baseline));
            }
            prop_assert_eq!(added, windows.len());
            prop_assert_eq!(&shuffled, &straight);
            let criterion = Criterion::compare(Metric::errors());
            let (a, b) = (judge(&criterion, &straight), judge(&criterion, &shuffled));
            prop_assert_eq!(a.fail.log_e.to_bits(), b.fail.log_e.to_bits());
            prop_assert_eq!(a.pass.log_e.to_bits(), b.pass.log_e.to_bits());
            prop_assert_eq!(a, b);
        }

        #[test]
        fn what_is_written_reads_back_to_the_last_bit(windows in prop::collection::vec(counts(), 0..6)) {
            let straight = evidence(&windows);
            let text = serde_json::to_string(&straight).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Evidence>(&text).unwrap(), &straight);
            let judgement = judge(&Criterion::compare(Metric::errors()), &straight);
            let text = serde_json::to_string(&judgement).unwrap();
            let again: Judgement = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(again.fail.log_e.to_bits(), judgement.fail.log_e.to_bits());
            prop_assert_eq!(again, judgement);
        }
    }

    #[test]
    fn a_window_that_overlaps_is_not_added() {
        let mut evidence = evidence(&WINDOWS);
        let before = evidence.clone();
        let start = window(2).start() + Duration::from_secs(30);
        for end in [window(2).end(), window(2).end() + Duration::from_secs(10), window(9).end()] {
            assert!(!evidence.add(Window::new(start, end).unwrap(), proportion(5, 5), None));
        }
        let around = Window::new(window(0).start() - Duration::from_secs(1), window(9).end()).unwrap();
        assert!(!evidence.add(around, proportion(5, 5), None));
        assert_eq!(evidence, before);
        assert!(evidence.add(window(9), proportion(5, 5), None));
        assert!(evidence.add(window(7), proportion(5, 5), None), "between two others is room");
    }

    #[test]
    fn impossible_evidence_is_not_read() {
        let overlap = serde_json::to_string(&evidence(&WINDOWS[..1])).unwrap();
        let twice = format!("[{0},{0}]", &overlap[1..overlap.len() - 1]);
        assert!(serde_json::from_str::<Evidence>(&twice).unwrap_err().to_string().contains("overlap"));
        for observation in [
            r#"{"proportion":{"hits":2,"trials":1}}"#,
            r#"{"proportion":{"hits":2,"trials":18446744073709551615}}"#,
            r#"{"proportion":{"hits":2,"trials":3,"rate":4}}"#,
            r#"{"histogram":{"edges":[2.0,1.0],"counts":[1,2,3]}}"#,
            r#"{"histogram":{"edges":[1.0],"counts":[1]}}"#,
            r#"{"histogram":{"edges":[],"counts":[1]}}"#,
            r#"{"values":[1.0,null]}"#,
        ] {
            assert!(serde_json::from_str::<Observation>(observation).is_err(), "{observation}");
        }
    }
}

mod verdicts {
    use super::*;

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        prop::sample::select(vec![Verdict::Fail, Verdict::Inconclusive, Verdict::Pass])
    }

    proptest! {
        #[test]
        fn they_combine_in_any_order_and_grouping(a in any_verdict(), b in any_verdict(), c in any_verdict()) {
            prop_assert_eq!(Verdict::over([a, b]), Verdict::over([b, a]));
            prop_assert_eq!(Verdict::over([Verdict::over([a, b]), c]), Verdict::over([a, Verdict::over([b, c])]));
            prop_assert_eq!(Verdict::over([a, a]), a);
        }

        #[test]
        fn one_more_never_makes_a_pass(known in prop::collection::vec(any_verdict(), 0..5), more in any_verdict()) {
            let before = Verdict::over(known.iter().copied());
            let after = Verdict::over(known.iter().copied().chain([more]));
            prop_assert!(after == before || after < Verdict::Pass || known.is_empty());
            prop_assert!(known.is_empty() || after <= before);
        }
    }

    #[test]
    fn without_evidence_nothing_passes() {
        assert_eq!(Verdict::over([]), Verdict::Inconclusive);
        assert_eq!(Verdict::of(&[]), Verdict::Inconclusive);
        let judgement = judge(&Criterion::compare(Metric::errors()), &Evidence::new());
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn advice_decides_nothing() {
        let bad = evidence(&[(1000, 1000, 300, 3)]);
        let advice = judge(&Criterion::compare(Metric::errors()).advisory(), &bad);
        assert_eq!((advice.verdict, advice.importance), (Verdict::Fail, Importance::Advisory));
        assert_eq!(Verdict::of(std::slice::from_ref(&advice)), Verdict::Inconclusive);
        let required = judge(&Criterion::compare(Metric::errors()), &bad);
        assert_eq!(Verdict::of(&[advice, required]), Verdict::Fail);
    }

    #[test]
    fn what_once_sufficed_suffices_for_good_and_failure_outweighs() {
        let bad = (1000, 1000, 60, 3);
        let good = (10_000, 10_000, 100, 400);
        let criterion = Criterion::compare(Metric::errors());
        assert_eq!(judge(&criterion, &evidence(&[bad])).verdict, Verdict::Fail);
        assert_eq!(judge(&criterion, &evidence(&[good])).verdict, Verdict::Pass);
        assert_eq!(judge(&criterion, &evidence(&[bad, good, good])).verdict, Verdict::Fail);
        let points = trajectory(&criterion, &evidence(&[bad, good, good]));
        assert!(points[2].fail < points[0].fail, "the evidence itself goes up and down");
        let turned = evidence(&[good, (10_000, 10_000, 900, 100)]);
        assert_eq!(judge(&criterion, &turned).verdict, Verdict::Fail);
    }

    #[test]
    fn a_person_can_read_it() {
        let judgement = judge(&Criterion::compare(Metric::errors()), &evidence(&[(412, 3688, 31, 5)]));
        let line = judgement.to_string();
        assert_eq!(
            line,
            "errors 31 of 412 against 5 of 3688, odds ratio 59.9 (above 17.7): evidence for worse 7.7e23, needs 20: fail"
        );
        let waiting =
            judge(&Criterion::at_most(Metric::errors(), Statistic::Share, 0.05), &alone([proportion(1, 20)]));
        let line = waiting.to_string();
        assert_eq!(line, "errors 1 of 20: evidence for worse 1 of 20, for good 1 of 20: inconclusive");
    }
}

mod missing {
    use super::*;

    const GONE: Measurement = Measurement::Missing(Missing::NoData);

    fn good() -> Measurement {
        proportion(0, 1000)
    }

    fn verdict(on_missing: OnMissing, measurements: impl IntoIterator<Item = Measurement>) -> Verdict {
        let criterion = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05).on_missing(on_missing);
        judge(&criterion, &alone(measurements)).verdict
    }

    #[test]
    fn stale_success_is_not_health() {
        assert_eq!(verdict(OnMissing::Inconclusive, [good()]), Verdict::Pass);
        assert_eq!(verdict(OnMissing::Inconclusive, [good(), GONE]), Verdict::Inconclusive);
        assert_eq!(verdict(OnMissing::Inconclusive, [good(), GONE, good()]), Verdict::Pass);
        assert_eq!(verdict(OnMissing::Inconclusive, [GONE]), Verdict::Inconclusive);
    }

    #[test]
    fn it_fails_or_passes_only_where_that_is_written() {
        assert_eq!(verdict(OnMissing::Fail, [good(), GONE, good()]), Verdict::Fail);
        assert_eq!(verdict(OnMissing::Fail, []), Verdict::Inconclusive);
        assert_eq!(verdict(OnMissing::Pass, [GONE]), Verdict::Pass);
        assert_eq!(verdict(OnMissing::Pass, []), Verdict::Inconclusive);
        assert_eq!(verdict(OnMissing::Pass, [GONE, proportion(0, 1)]), Verdict::Inconclusive);
    }

    #[test]
    fn evidence_for_a_failure_stands() {
        for on_missing in [OnMissing::Inconclusive, OnMissing::Fail, OnMissing::Pass] {
            assert_eq!(verdict(on_missing, [proportion(500, 1000), GONE]), Verdict::Fail);
        }
    }

    #[test]
    fn either_side_of_a_comparison_may_be_missing() {
        let criterion = Criterion::compare(Metric::errors());
        let mut evidence = evidence(&[(10_000, 10_000, 100, 400)]);
        assert_eq!(judge(&criterion, &evidence).verdict, Verdict::Pass);
        evidence.add(window(5), good(), Some(GONE));
        let judgement = judge(&criterion, &evidence);
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert_eq!(judgement.reason.as_deref(), Some("the baseline: no data"));
        assert_eq!((judgement.windows, judgement.candidate.trials), (2, 10_000));
    }

    #[test]
    fn a_wrong_shape_is_said_and_never_passes() {
        let values: Measurement = Observation::values(vec![1.0]).unwrap().into();
        for on_missing in [OnMissing::Inconclusive, OnMissing::Fail, OnMissing::Pass] {
            assert_eq!(verdict(on_missing, [values.clone(), good()]), Verdict::Inconclusive);
        }
        let no_baseline = judge(&Criterion::compare(Metric::errors()), &alone([good()]));
        assert_eq!(no_baseline.verdict, Verdict::Inconclusive);
        assert!(no_baseline.reason.unwrap().contains("needs a baseline"));
        let impossible = Measurement::Observed(Observation::Proportion { hits: 2, trials: 1 });
        assert_eq!(verdict(OnMissing::Pass, [impossible]), Verdict::Inconclusive);
    }
}

mod limits {
    use super::*;

    fn verdict(criterion: &Criterion, measurement: impl Into<Measurement>) -> Verdict {
        judge(criterion, &alone([measurement.into()])).verdict
    }

    #[test]
    fn a_share_is_judged_on_counts_not_on_its_ratio() {
        let errors = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05);
        assert_eq!(verdict(&errors, proportion(1, 1)), Verdict::Inconclusive, "100 % of one request");
        assert_eq!(verdict(&errors, proportion(2, 20)), Verdict::Inconclusive);
        assert_eq!(verdict(&errors, proportion(40, 400)), Verdict::Fail);
        assert_eq!(verdict(&errors, proportion(4, 400)), Verdict::Pass);
        let available = Criterion::at_least(Metric::new("availability"), Statistic::Share, 0.95);
        assert_eq!(verdict(&available, proportion(360, 400)), Verdict::Fail);
        assert_eq!(verdict(&available, proportion(396, 400)), Verdict::Pass);
    }

    #[test]
    fn at_the_ends_of_the_scale_one_hit_decides() {
        let none = Criterion::at_most(Metric::errors(), Statistic::Share, 0.0);
        assert_eq!(verdict(&none, proportion(1, 1_000_000)), Verdict::Fail);
        assert_eq!(verdict(&none, proportion(0, 29)), Verdict::Inconclusive);
        assert_eq!(verdict(&none, proportion(0, 30)), Verdict::Pass);
        assert_eq!(judge(&none, &alone([proportion(0, 30), proportion(1, 1)])).verdict, Verdict::Fail);
        let all = Criterion::at_least(Metric::errors(), Statistic::Share, 1.0);
        assert_eq!(verdict(&all, proportion(99, 100)), Verdict::Fail);
        assert_eq!(verdict(&all, proportion(100, 100)), Verdict::Pass);
        for anything in [
            Criterion::at_most(Metric::errors(), Statistic::Share, 1.0),
            Criterion::at_least(Metric::errors(), Statistic::Share, 0.0),
        ] {
            assert_eq!(verdict(&anything, proportion(50, 100)), Verdict::Pass);
            assert_eq!(verdict(&anything, proportion(0, 0)), Verdict::Inconclusive);
        }
    }

    #[test]
    fn no_pass_before_enough_samples() {
        let patient = Criterion::at_most(Metric::errors(), Statistic::Share, 0.05).with_min_samples(1000);
        let judgement = judge(&patient, &alone([proportion(0, 999)]));
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert_eq!(judgement.reason.as_deref(), Some("only 999 of the 1000 values that it takes"));
        assert_eq!(verdict(&patient, proportion(0, 1000)), Verdict::Pass);
        assert_eq!(verdict(&patient, proportion(100, 100)), Verdict::Fail);
    }

    #[test]
    fn a_quantile_counts_what_lies_beyond() {
        let fast = Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 0.5);
        let with_slow = |slow: usize| {
            Observation::values((0..1000).map(|i| if i < slow { 0.9 } else { 0.1 }).collect()).unwrap()
        };
        assert_eq!(verdict(&fast, with_slow(100)), Verdict::Fail);
        assert_eq!(verdict(&fast, with_slow(50)), Verdict::Inconclusive);
        assert_eq!(verdict(&fast, with_slow(10)), Verdict::Pass);
        let slow = Criterion::at_least(Metric::new("think"), Statistic::Quantile(0.05), 0.5);
        let mirrored = |fast: usize| {
            Observation::values((0..1000).map(|i| if i < fast { 0.1 } else { 0.9 }).collect()).unwrap()
        };
        assert_eq!(verdict(&slow, mirrored(100)), Verdict::Fail);
        assert_eq!(verdict(&slow, mirrored(10)), Verdict::Pass);
    }

    #[test]
    fn a_bucket_that_hides_the_bound_speaks_for_neither() {
        let histogram = |counts: [u64; 3]| Observation::histogram(vec![0.25, 1.0], counts.to_vec()).unwrap();
        let fast = Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 0.5);
        assert_eq!(verdict(&fast, histogram([0, 1000, 0])), Verdict::Inconclusive, "all between 0.25 and 1");
        assert_eq!(verdict(&fast, histogram([0, 900, 100])), Verdict::Fail);
        assert_eq!(verdict(&fast, histogram([990, 10, 0])), Verdict::Pass);
        let on_the_edge = Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 1.0);
        assert_eq!(verdict(&on_the_edge, histogram([0, 1000, 0])), Verdict::Pass);
        let slow = Criterion::at_least(Metric::latency(), Statistic::Quantile(0.05), 0.5);
        assert_eq!(verdict(&slow, histogram([0, 1000, 0])), Verdict::Inconclusive);
        assert_eq!(verdict(&slow, histogram([100, 900, 0])), Verdict::Fail);
        assert_eq!(verdict(&slow, histogram([10, 0, 990])), Verdict::Pass);
    }

    #[test]
    fn a_mean_is_a_labelled_heuristic() {
        let cheap = Criterion::at_most(Metric::new("cost"), Statistic::Mean, 2.0).with_min_samples(4);
        let values = |values: &[f64]| Observation::values(values.to_vec()).unwrap();
        assert_eq!(verdict(&cheap, values(&[9.0; 3])), Verdict::Inconclusive);
        assert_eq!(verdict(&cheap, values(&[1.0, 2.0, 3.0, 4.0])), Verdict::Fail);
        let judgement = judge(&cheap, &alone([values(&[1.0; 4]).into()]));
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert!(!judgement.pass.suffices());
        let line = "cost: pass (the mean of 4 values is 1.000000, which no error bound stands behind)";
        assert_eq!(judgement.to_string(), line);
        assert_eq!(verdict(&cheap, values(&[f64::MAX, f64::MAX, -f64::MAX, f64::MAX])), Verdict::Fail);
        let points = trajectory(&cheap, &alone([values(&[1.0]).into()]));
        assert_eq!((points[0].fail, points[0].pass), (0.0, 0.0));
        assert_eq!(points[0].effect.unwrap().estimate, Some(1.0));
    }
}

mod criteria {
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = Comparison {
            alpha: 0.0,
            beta: f64::NAN,
            tolerated: -1.0,
            margin: f64::INFINITY,
            negligible: 1.0,
            ..Comparison::default()
        };
        let criterion = Criterion::new(Metric::new(""), Rule::Compare(wrong));
        let problems = criterion.check().unwrap_err().problems;
        for field in ["metric", "alpha", "beta", "tolerated", "margin", "negligible"] {
            assert_eq!(
                problems.iter().filter(|problem| problem.starts_with(field)).count(),
                1,
                "{field}: {problems:?}"
            );
        }
        let judgement = judge(&criterion, &evidence(&WINDOWS));
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert!(trajectory(&criterion, &evidence(&WINDOWS)).is_empty());
        for (statistic, bound, field) in [
            (Statistic::Share, 1.5, "bound"),
            (Statistic::Share, f64::NAN, "bound"),
            (Statistic::Mean, f64::INFINITY, "bound"),
            (Statistic::Quantile(1.0), 0.5, "quantile"),
            (Statistic::Quantile(95.0), 0.5, "quantile"),
        ] {
            let invalid = Criterion::at_most(Metric::errors(), statistic, bound).check().unwrap_err();
            assert_eq!(invalid.problems.len(), 1, "{invalid}");
            assert!(invalid.problems[0].starts_with(field), "{invalid}");
        }
    }

    #[test]
    fn a_file_says_only_what_differs_from_the_defaults() {
        let read = |text| serde_json::from_str::<Criterion>(text).unwrap();
        assert_eq!(
            read(r#"{"metric":"errors","rule":{"compare":{}}}"#),
            Criterion::compare(Metric::errors())
        );
        assert_eq!(
            read(
                r#"{"metric":"latency","rule":{"limit":{"statistic":{"quantile":0.95},"bound":{"atMost":5.0}}}}"#
            ),
            Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 5.0)
        );
        let typo = r#"{"metric":"errors","rule":{"compare":{"alhpa":0.1}}}"#;
        assert!(serde_json::from_str::<Criterion>(typo).unwrap_err().to_string().contains("alhpa"));
    }

    fn wild() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            0.0..1.0_f64,
            Just(f64::MIN_POSITIVE),
            Just(1.0 - f64::EPSILON),
            -1.0..40.0_f64
        ]
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let statistic =
            prop_oneof![Just(Statistic::Share), Just(Statistic::Mean), wild().prop_map(Statistic::Quantile)];
        let bound = (wild(), any::<bool>())
            .prop_map(|(v, most)| if most { Bound::AtMost(v) } else { Bound::AtLeast(v) });
        prop_oneof![
            [wild(), wild(), wild(), wild(), wild()].prop_map(
                |[alpha, beta, tolerated, margin, negligible]| {
                    Rule::Compare(Comparison {
                        alpha,
                        beta,
                        tolerated,
                        margin,
                        negligible,
                        ..Comparison::default()
                    })
                }
            ),
            (statistic, bound, wild(), wild(), any::<u64>()).prop_map(
                |(statistic, bound, alpha, beta, min_samples)| {
                    Rule::Limit(Limit { statistic, bound, alpha, beta, min_samples })
                }
            ),
        ]
    }

    fn any_measurement() -> impl Strategy<Value = Measurement> {
        let few = || prop_oneof![0_u64..50, 0_u64..100_000, any::<u64>()];
        prop_oneof![
            Just(Measurement::Missing(Missing::NoData)),
            (few(), few())
                .prop_map(|(hits, trials)| Measurement::Observed(Observation::Proportion { hits, trials })),
            (0_u64..100, 100_u64..1_000_000).prop_map(|(hits, trials)| proportion(hits, trials)),
            prop::collection::vec(any::<f64>(), 0..5)
                .prop_map(|v| Measurement::Observed(Observation::Values(v))),
            (prop::collection::vec(any::<f64>(), 0..3), prop::collection::vec(any::<u64>(), 0..4))
                .prop_map(|(edges, counts)| Measurement::Observed(Observation::Histogram { edges, counts })),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_judged_gives_finite_numbers(
            rule in any_rule(),
            measured in prop::collection::vec((any_measurement(), prop::option::of(any_measurement())), 0..6),
        ) {
            let mut evidence = Evidence::new();
            for (minute, (candidate, baseline)) in measured.into_iter().enumerate() {
                evidence.add(window(minute as u64), candidate, baseline);
            }
            let criterion = Criterion::new(Metric::errors(), rule);
            let judgement = judge(&criterion, &evidence);
            for strength in [judgement.fail, judgement.pass] {
                prop_assert!(strength.log_e.is_finite() && strength.threshold.is_finite(), "{judgement:?}");
            }
            for point in trajectory(&criterion, &evidence) {
                prop_assert!(point.fail.is_finite() && point.pass.is_finite(), "{point:?}");
            }
            prop_assert!(!judgement.to_string().is_empty());
        }
    }
}
