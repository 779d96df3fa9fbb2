//! Each rule but the plain comparison and the limit, which are in `judge.rs`: goldens, and what it does with
//! strata, shapes and gaps.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tidegate_metrics::{
    Better, Bound, Boundary, BurnRate, Comparison, Criterion, Evidence, Judge, Judgement, MeanComparison,
    Measure, Measurement, Method, Metric, Missing, Observation, Pair, RankComparison, Reading, Readings,
    Rule, Scenario, ScoreComparison, Simulation, Verdict, Window, judge, plan, trajectory,
};

fn window(minute: u64) -> Window {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + minute * 60);
    Window::new(start, start + Duration::from_secs(60)).unwrap()
}

fn counts(hits: u64, trials: u64) -> Observation {
    Observation::proportion(hits, trials).unwrap()
}

fn values(values: &[f64]) -> Observation {
    Observation::values(values.to_vec()).unwrap()
}

fn strata(strata: &[(&str, Observation)]) -> Observation {
    Observation::strata(strata.iter().map(|(name, stratum)| ((*name).to_owned(), stratum.clone())).collect())
        .unwrap()
}

fn evidence(windows: impl IntoIterator<Item = (Observation, Observation)>) -> Evidence {
    let mut evidence = Evidence::new();
    for ((candidate, baseline), minute) in windows.into_iter().zip(0..) {
        assert!(evidence.add(window(minute), candidate.into(), Some(baseline.into())));
    }
    evidence
}

fn alone(windows: impl IntoIterator<Item = Measurement>) -> Evidence {
    let mut evidence = Evidence::new();
    for (candidate, minute) in windows.into_iter().zip(0..) {
        assert!(evidence.add(window(minute), candidate, None));
    }
    evidence
}

fn by(rule: Rule) -> Criterion {
    Criterion::new(Metric::errors(), rule)
}

fn near(value: f64, golden: f64) {
    assert!((value / golden - 1.0).abs() < 1e-9, "{value} is not {golden}");
}

mod symmetric {
    use super::*;

    fn rule() -> Comparison {
        Comparison { method: Method::Symmetric, ..Comparison::default() }
    }

    #[test]
    fn the_golden_value() {
        // The leads 2, -1, 3, 0, 4, 5; the value was computed with exact rationals.
        let leads = [(12, 10), (9, 10), (13, 10), (10, 10), (14, 10), (15, 10)];
        let windows = leads.map(|(x_c, x_b)| (counts(x_c, 1000), counts(x_b, 1000)));
        let points = trajectory(&by(Rule::Compare(rule())), &evidence(windows));
        near(points[5].fail.exp(), 3.848_749_130);
    }

    #[test]
    fn sides_of_other_sizes_are_refused_in_words() {
        let judgement = judge(&by(Rule::Compare(rule())), &evidence([(counts(50, 100), counts(1, 900))]));
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert!(judgement.reason.unwrap().contains("equal size, not 100 and 900"));
        // The next window may be even again, but what is uneven together is so for long.
        let windows = |odd: u64| {
            evidence([
                (counts(5, 100), counts(1, 100)),
                (counts(5, odd), counts(1, 100)),
                (counts(5, 100), counts(1, 100)),
            ])
        };
        assert!(judge(&by(Rule::Compare(rule())), &windows(110)).reason.is_none());
        let slight = evidence((0..100).map(|_| (counts(5, 520), counts(5, 480))));
        let judgement = judge(&by(Rule::Compare(rule())), &slight);
        assert!(judgement.reason.unwrap().contains("of equal size"), "52 to 48 % is uneven in the long run");
        let problems =
            by(Rule::Compare(Comparison { tolerated: 1.5, ..rule() })).check().unwrap_err().problems;
        assert!(problems[0].starts_with("tolerated is 1.5"), "{problems:?}");
    }
}

mod by_strata {
    use super::*;

    /// The candidate gets more of the route that fails more. On neither route is it worse.
    fn unlike_mixes() -> (Observation, Observation) {
        (
            strata(&[("chat", counts(1, 100)), ("search", counts(90, 900))]),
            strata(&[("chat", counts(9, 900)), ("search", counts(10, 100))]),
        )
    }

    #[test]
    fn what_a_mix_of_routes_does_is_no_difference() {
        let (candidate, baseline) = unlike_mixes();
        let mixed = (candidate.overall().into_owned(), baseline.overall().into_owned());
        let criterion = Criterion::compare(Metric::errors());
        assert_eq!(judge(&criterion, &evidence([mixed])).verdict, Verdict::Fail);
        let judgement = judge(&criterion, &evidence([(candidate, baseline)]));
        assert_ne!(judgement.verdict, Verdict::Fail);
        near(judgement.effect.unwrap().estimate.unwrap(), 1.0);
        assert_eq!(judgement.candidate.trials, 1000);
    }

    #[test]
    fn their_evidence_is_multiplied() {
        let criterion = Criterion::compare(Metric::errors());
        let together = evidence([(
            strata(&[("a", counts(3, 100)), ("b", counts(4, 120))]),
            strata(&[("a", counts(9, 900)), ("b", counts(8, 880))]),
        )]);
        let apart = evidence([(counts(3, 100), counts(9, 900)), (counts(4, 120), counts(8, 880))]);
        near(trajectory(&criterion, &together)[0].fail, trajectory(&criterion, &apart)[1].fail);
    }

    #[test]
    fn a_stratum_on_one_side_says_nothing() {
        let criterion = Criterion::compare(Metric::errors());
        let lonely = evidence([(strata(&[("a", counts(50, 100))]), strata(&[("b", counts(1, 900))]))]);
        assert_eq!(trajectory(&criterion, &lonely)[0].fail, 0.0);
        let half = evidence([(strata(&[("a", counts(50, 100))]), counts(1, 900))]);
        let judgement = judge(&criterion, &half);
        assert!(judgement.reason.unwrap().contains("observe both alike"));
    }

    #[test]
    fn a_limit_adds_them_up() {
        let criterion = Criterion::at_most(Metric::errors(), tidegate_metrics::Statistic::Share, 0.05);
        let judgement =
            judge(&criterion, &alone([strata(&[("a", counts(60, 100)), ("b", counts(0, 50))]).into()]));
        assert_eq!(
            (judgement.verdict, judgement.candidate.hits, judgement.candidate.trials),
            (Verdict::Fail, 60, 150)
        );
    }
}

mod honesty {
    use super::*;

    #[test]
    fn nothing_passes_while_the_router_does_otherwise_than_it_was_told() {
        let rule = |weight| by(Rule::Compare(Comparison { weight: Some(weight), ..Comparison::default() }));
        let good = || evidence((0..20).map(|_| (counts(1, 500), counts(5, 500))));
        assert_eq!(judge(&rule(0.5), &good()).verdict, Verdict::Pass);
        let judgement = judge(&rule(0.1), &good());
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert!(judgement.reason.unwrap().contains("the router is not honest"));
        // A failure does not depend on who was sent where.
        let bad = evidence([(counts(60, 500), counts(5, 500))]);
        assert_eq!(judge(&rule(0.1), &bad).verdict, Verdict::Fail);
        assert!(rule(1.0).check().is_err());
    }
}

mod shared_alpha {
    use super::*;

    #[test]
    fn the_required_share_it() {
        let mut criteria = [
            Criterion::compare(Metric::errors()),
            Criterion::compare(Metric::latency()).advisory(),
            Criterion::at_most("refusals".into(), tidegate_metrics::Statistic::Share, 0.1),
            Criterion::new("queue".into(), Rule::Readings(Readings::new(Bound::AtMost(1.0)))),
        ];
        Criterion::share_alpha(&mut criteria, 0.04);
        let alphas = criteria.map(|criterion| match criterion.rule {
            Rule::Compare(comparison) => comparison.alpha,
            Rule::Limit(limit) => limit.alpha,
            _ => 0.0,
        });
        assert_eq!(alphas, [0.02, 0.05, 0.02, 0.0]);
    }
}

mod better_is_higher {
    use super::*;

    #[test]
    fn availability_is_compared_by_what_is_missing() {
        let rule = Comparison { better: Better::Higher, ..Comparison::default() };
        let up = by(Rule::Compare(rule));
        let down = Criterion::compare(Metric::errors());
        let good = trajectory(&up, &evidence([(counts(97, 100), counts(891, 900))]));
        let bad = trajectory(&down, &evidence([(counts(3, 100), counts(9, 900))]));
        assert_eq!(good[0].fail, bad[0].fail);
    }
}

mod latency {
    use super::*;

    const EDGES: [f64; 4] = [0.1, 0.2, 0.5, 1.0];

    fn histogram(counts: [u64; 5]) -> Observation {
        Observation::histogram(EDGES.to_vec(), counts.to_vec()).unwrap()
    }

    #[test]
    fn the_first_windows_say_where_to_look_and_the_next_are_averaged_over_edges() {
        let criterion = Criterion::compare(Metric::latency());
        let first = (histogram([5, 3, 1, 1, 0]), histogram([50, 30, 15, 4, 1]));
        let second = (histogram([10, 20, 40, 20, 10]), histogram([500, 300, 150, 40, 10]));
        let points = trajectory(&criterion, &evidence([first.clone(), second.clone()]));
        assert_eq!(points[0].fail, 0.0);
        // Half of the sample lie up to 0.1, 80 up to 0.2, 95 up to 0.5 and 99 up to 1: those are the quantiles' edges.
        let beyond = [(90, 500), (70, 200), (30, 50), (10, 10)];
        let single = beyond.map(|(x_c, x_b)| {
            let criterion = by(Rule::Compare(Comparison { negligible: 0.0, ..Comparison::default() }));
            trajectory(&criterion, &evidence([(counts(x_c, 100), counts(x_b, 1000))]))[0].fail.exp()
        });
        near(points[1].fail.exp(), single.iter().sum::<f64>() / 4.0);
        let judgement = judge(&criterion, &evidence([first, second]));
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(matches!(judgement.effect.unwrap().measure, Measure::OddsRatioBeyond(_)));
    }

    #[test]
    fn other_edges_than_at_first_are_no_evidence() {
        let criterion = Criterion::compare(Metric::latency());
        let other = Observation::histogram(vec![0.3], vec![900, 100]).unwrap();
        let judgement = judge(
            &criterion,
            &evidence([
                (histogram([50, 30, 15, 4, 1]), histogram([50, 30, 15, 4, 1])),
                (other.clone(), other),
            ]),
        );
        assert!(judgement.reason.unwrap().contains("has no edge 0.1 any more"));
    }

    #[test]
    fn a_mix_of_counts_and_values_is_none() {
        let criterion = Criterion::compare(Metric::latency());
        let judgement =
            judge(&criterion, &evidence([(counts(1, 2), counts(1, 2)), (values(&[1.0]), values(&[1.0]))]));
        assert!(judgement.reason.unwrap().contains("changed from counts to values"));
    }
}

mod scores {
    use super::*;

    fn criterion() -> Criterion {
        Criterion::new("quality".into(), Rule::CompareScores(ScoreComparison::default()))
    }

    fn around(mean: f64) -> Observation {
        values(&(0..50).map(|i| mean + f64::from(i % 5 - 2) * 0.05).collect::<Vec<_>>())
    }

    #[test]
    fn worse_fails_and_the_same_passes_with_bounds_that_say_so() {
        let worse = judge(&criterion(), &evidence((0..10).map(|_| (around(0.6), around(0.8)))));
        assert_eq!(worse.verdict, Verdict::Fail, "{worse}");
        let effect = worse.effect.unwrap();
        assert!((effect.estimate.unwrap() + 0.2).abs() < 1e-9 && effect.upper.unwrap() < 0.0, "{effect:?}");
        let same = judge(&criterion(), &evidence((0..20).map(|_| (around(0.8), around(0.8)))));
        assert_eq!(same.verdict, Verdict::Pass, "{same}");
        assert!(
            same.explain().contains("The candidate's mean less the baseline's is 0, confidence bounds"),
            "{}",
            same.explain()
        );
    }

    #[test]
    fn a_score_out_of_its_range_is_refused() {
        let judgement = judge(&criterion(), &evidence([(values(&[0.5, 1.5]), values(&[0.5]))]));
        assert_eq!(judgement.reason.as_deref(), Some("the score 1.5 is not between 0 and 1"));
    }

    #[test]
    fn stars_from_one_to_five_are_scores_too() {
        let stars = ScoreComparison { from: 1.0, to: 5.0, margin: 0.4, ..ScoreComparison::default() };
        let shown = |mean: f64| around(mean).overall().into_owned();
        let scaled = |observation: Observation| match observation {
            Observation::Values(list) => {
                values(&list.iter().map(|score| 1.0 + 4.0 * score).collect::<Vec<_>>())
            }
            other => other,
        };
        let windows = (0..10).map(|_| (scaled(shown(0.6)), scaled(shown(0.8))));
        let judgement = judge(&by(Rule::CompareScores(stars)), &evidence(windows));
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!((judgement.effect.unwrap().estimate.unwrap() + 0.8).abs() < 1e-9);
    }
}

mod means {
    use super::*;

    fn criterion(rule: MeanComparison) -> Criterion {
        Criterion::new("cost".into(), Rule::CompareMeans(rule))
    }

    fn spread(mean: f64, from: u32) -> Observation {
        values(&(from..from + 40).map(|i| mean * f64::from(37 * i % 101) / 50.0).collect::<Vec<_>>())
    }

    #[test]
    fn dearer_fails_as_dear_passes_and_neither_does_so_before_a_hundred_values() {
        let windows = |mean: f64, number: u32| {
            evidence((0..number).map(|i| (spread(mean, 40 * i), spread(1.0, 7 + 40 * i))))
        };
        let rule = MeanComparison::default();
        assert_eq!(judge(&criterion(rule), &windows(2.0, 2)).verdict, Verdict::Inconclusive);
        let dearer = judge(&criterion(rule), &windows(2.0, 5));
        assert_eq!(dearer.verdict, Verdict::Fail, "{dearer}");
        assert!(dearer.effect.unwrap().lower.unwrap() > 0.0);
        assert!(dearer.to_string().contains("asymptotic"), "{dearer}");
        let wide = MeanComparison { margin: 0.5, ..rule };
        assert_eq!(judge(&criterion(wide), &windows(1.0, 20)).verdict, Verdict::Pass);
        let tolerant = MeanComparison { tolerated: 1.5, ..rule };
        assert_ne!(judge(&criterion(tolerant), &windows(2.0, 20)).verdict, Verdict::Fail);
    }

    #[test]
    fn of_totals_windows_are_the_sample() {
        let total = |mean: f64, i: u32| {
            Observation::total(100.0 * mean * (1.0 + 0.1 * f64::from(i * 7 % 5)), 100).unwrap()
        };
        let windows = |mean: f64, number| evidence((0..number).map(|i| (total(mean, i), total(1.0, i + 3))));
        let rule = MeanComparison { margin: 0.5, ..MeanComparison::default() };
        assert_eq!(judge(&criterion(rule), &windows(2.0, 19)).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&criterion(rule), &windows(2.0, 20)).verdict, Verdict::Fail);
        let same = judge(&criterion(rule), &windows(1.0, 20));
        assert_eq!((same.verdict, same.candidate.trials), (Verdict::Pass, 2000), "{same}");
    }

    #[test]
    fn more_tokens_per_second_are_better() {
        let rule = MeanComparison { better: Better::Higher, ..MeanComparison::default() };
        let windows = |mean: f64| evidence((0..5).map(|i| (spread(mean, 40 * i), spread(1.0, 7 + 40 * i))));
        assert_eq!(judge(&criterion(rule), &windows(0.5)).verdict, Verdict::Fail);
        assert_eq!(judge(&criterion(rule), &windows(2.0)).verdict, Verdict::Pass);
    }
}

mod ranks {
    use super::*;

    fn rule(looks: u32) -> Rule {
        Rule::CompareRanks(RankComparison { windows: 4, looks, ..RankComparison::default() })
    }

    fn spread(from: f64) -> Observation {
        values(&(0..20).map(|i| from + f64::from(i * 7 % 20) * 0.01).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_is_said_between_looks() {
        let windows = |number| evidence((0..number).map(|_| (spread(1.2), spread(1.0))));
        for before in 1..4 {
            assert_eq!(judge(&by(rule(1)), &windows(before)).verdict, Verdict::Inconclusive, "{before}");
        }
        let at = judge(&by(rule(1)), &windows(4));
        assert_eq!(at.verdict, Verdict::Fail, "{at}");
        assert!((at.effect.unwrap().estimate.unwrap() - 0.2).abs() < 1e-9);
        assert!(at.p.unwrap() < 0.001);
        // One look is one look: what comes later does not count.
        let later = judge(&by(rule(1)), &windows(30));
        assert_eq!((later.verdict, later.p, later.effect), (at.verdict, at.p, at.effect));
    }

    #[test]
    fn the_same_passes_within_its_margin() {
        let same = judge(&by(rule(1)), &evidence((0..4).map(|_| (spread(1.0), spread(1.0)))));
        assert_eq!(same.verdict, Verdict::Pass, "{same}");
    }

    #[test]
    fn several_looks_take_more_at_the_first() {
        // z is 2.6: enough for one look (1.64) and for the first of three by Pocock (1.99), not by O'Brien and
        // Fleming (2.96).
        let slight = || evidence((0..4).map(|_| (spread(1.025), spread(1.0))));
        assert_eq!(judge(&by(rule(1)), &slight()).verdict, Verdict::Fail);
        assert_ne!(judge(&by(rule(3)), &slight()).verdict, Verdict::Fail);
        let pocock =
            RankComparison { windows: 4, looks: 3, boundary: Boundary::Pocock, ..RankComparison::default() };
        assert_eq!(judge(&by(Rule::CompareRanks(pocock)), &slight()).verdict, Verdict::Fail);
    }

    #[test]
    fn all_values_alike_are_no_difference() {
        let alike = || values(&[1.0; 10]);
        let judgement = judge(&by(rule(1)), &evidence((0..4).map(|_| (alike(), alike()))));
        assert_ne!(judgement.verdict, Verdict::Fail);
        near(judgement.p.unwrap(), 0.5_f64.max(judgement.p.unwrap()));
    }
}

mod gauges {
    use super::*;

    fn rule() -> Rule {
        Rule::Readings(Readings::new(Bound::AtMost(10.0)))
    }

    fn verdict(readings: &[f64]) -> Verdict {
        judge(&by(rule()), &alone(readings.iter().map(|reading| values(&[*reading]).into()))).verdict
    }

    #[test]
    fn three_of_five_are_too_many() {
        assert_eq!(verdict(&[11.0, 9.0, 11.0, 9.0]), Verdict::Inconclusive);
        assert_eq!(verdict(&[11.0, 9.0, 11.0, 9.0, 9.0]), Verdict::Pass);
        assert_eq!(verdict(&[11.0, 9.0, 11.0, 9.0, 11.0]), Verdict::Fail);
        assert_eq!(verdict(&[11.0, 11.0, 11.0]), Verdict::Fail);
        assert_eq!(verdict(&[11.0, 9.0, 9.0, 9.0, 9.0, 11.0, 11.0]), Verdict::Pass);
    }

    #[test]
    fn the_reading_of_a_window_is_as_said() {
        let worst =
            Readings { breaches: 1, of: 1, reading: Reading::Worst, ..Readings::new(Bound::AtMost(10.0)) };
        let spike = || alone([values(&[1.0, 11.0, 1.0]).into()]);
        assert_eq!(judge(&by(Rule::Readings(worst)), &spike()).verdict, Verdict::Fail);
        let mean = Readings { reading: Reading::Mean, ..worst };
        assert_eq!(judge(&by(Rule::Readings(mean)), &spike()).verdict, Verdict::Pass);
    }

    #[test]
    fn what_is_without_bound_breaks_the_bound_on_its_side_only() {
        let infinite = |negative| Measurement::from(Missing::Infinite { negative });
        let three = |negative| alone((0..3).map(|_| infinite(negative)));
        assert_eq!(judge(&by(rule()), &three(false)).verdict, Verdict::Fail);
        assert_eq!(judge(&by(rule()), &three(true)).verdict, Verdict::Inconclusive);
        let mean = Criterion::at_most("cost".into(), tidegate_metrics::Statistic::Mean, 2.0);
        assert_eq!(judge(&mean, &three(false)).verdict, Verdict::Fail);
        assert_eq!(judge(&mean, &three(true)).verdict, Verdict::Inconclusive);
    }
}

mod burn_rates {
    use super::*;

    fn run(bad: impl Fn(u64) -> u64, minutes: u64) -> Judgement {
        let criterion = by(Rule::BurnRate(BurnRate::fast(0.99)));
        judge(&criterion, &alone((0..minutes).map(|minute| counts(bad(minute), 100).into())))
    }

    #[test]
    fn both_windows_must_burn() {
        assert!(by(Rule::BurnRate(BurnRate::fast(0.9))).check().is_err(), "no share of errors burns so fast");
        assert_eq!(run(|_| 15, 60).verdict, Verdict::Fail);
        assert_eq!(run(|_| 14, 60).verdict, Verdict::Pass);
        // One bad minute of an hour burns in the short window only.
        assert_eq!(run(|minute| if minute == 59 { 100 } else { 0 }, 60).verdict, Verdict::Pass);
        // Once it has failed, it has.
        let over = run(|minute| if minute < 30 { 50 } else { 0 }, 60);
        assert_eq!(over.verdict, Verdict::Fail);
        assert!(over.explain().contains("The budget burns"), "{}", over.explain());
    }

    #[test]
    fn as_fast_as_the_factor_is_too_fast() {
        let verdict = |rate: BurnRate, bad: u64, trials: u64| {
            let windows = (0..(rate.long.as_secs() / 60)).map(|_| counts(bad, trials).into());
            judge(&by(Rule::BurnRate(rate)), &alone(windows)).verdict
        };
        for (rate, bad, trials) in [
            (BurnRate::fast(0.99), 144, 1_000),
            (BurnRate::slow(0.999), 6, 1_000),
            (BurnRate::steady(0.999), 1, 1_000),
        ] {
            assert_eq!(verdict(rate, bad, trials), Verdict::Fail, "{rate:?}");
            assert_eq!(verdict(rate, bad, trials + 1), Verdict::Pass, "{rate:?}");
        }
        assert!(by(Rule::BurnRate(BurnRate { factor: 100.0, ..BurnRate::fast(0.99) })).check().is_ok());
    }

    /// Three hours with gaps, and a judge that is written down and read again on the way.
    #[test]
    fn what_lies_behind_the_long_window_counts_no_more() {
        let criterion = by(Rule::BurnRate(BurnRate::fast(0.99)));
        let mut judge = Judge::new(criterion.clone()).unwrap();
        let minutes: Vec<_> = (0..180_u64).filter(|minute| minute % 17 < 13).collect();
        let bad = |minute: u64| 1 + minute * 7 % 11;
        for minute in &minutes {
            assert!(judge.take(window(*minute), &Pair::new(counts(bad(*minute), 100).into(), None)));
            if minute % 5 == 0 {
                judge = Judge::from_bytes(criterion.clone(), &judge.to_bytes()).unwrap();
            }
            let recent: Vec<_> = minutes.iter().filter(|m| *m <= minute && **m + 60 > *minute).collect();
            let burnt: u64 = recent.iter().map(|minute| bad(**minute)).sum();
            let rate = burnt as f64 / (100 * recent.len()) as f64 / (1.0 - 0.99);
            near(judge.judgement().effect.unwrap().estimate.unwrap(), rate);
        }
    }

    #[test]
    fn the_presets_are_those_of_the_workbook() {
        let presets = [BurnRate::fast(0.999), BurnRate::slow(0.999), BurnRate::steady(0.999)];
        let hours = presets.map(|rate| (rate.factor, rate.long.as_secs() / 3600, rate.short.as_secs() / 60));
        assert_eq!(hours, [(14.4, 1, 5), (6.0, 6, 30), (1.0, 72, 360)]);
        // The share of a budget of 30 days that is gone when the long window has burnt for its whole length.
        let budget = presets.map(|rate| rate.factor * rate.long.as_secs_f64() / (30.0 * 86_400.0));
        for (budget, golden) in budget.iter().zip([0.02, 0.05, 0.1]) {
            near(*budget, golden);
        }
    }
}

mod judges {
    use super::*;

    #[test]
    fn one_in_steps_says_what_one_at_once_does() {
        let windows: Vec<_> = (0..12).map(|i| (counts(i % 4, 100), counts(9, 900))).collect();
        let criterion = Criterion::compare(Metric::errors());
        let mut stepwise = Judge::new(criterion.clone()).unwrap();
        for (i, (candidate, baseline)) in windows.iter().enumerate() {
            let pair = Pair::new(candidate.clone().into(), Some(baseline.clone().into()));
            assert!(stepwise.take(window(i as u64), &pair));
            assert!(!stepwise.take(window(i as u64), &pair), "twice is once");
            let so_far = judge(&criterion, &evidence(windows[..=i].iter().cloned()));
            assert_eq!(stepwise.judgement(), so_far);
            assert_eq!(stepwise.verdict(), so_far.verdict);
        }
    }

    #[test]
    fn a_failure_is_explained_in_sentences() {
        let judgement =
            judge(&Criterion::compare(Metric::errors()), &evidence([(counts(30, 100), counts(9, 900))]));
        let text = judgement.explain();
        for part in [
            "The candidate fails on errors: in one window the candidate had 30 of 100 (30 %), the baseline had 9 of 900 (1 %).",
            "The odds ratio of candidate to baseline is 42.4, confidence bounds 14.2 to 155.",
            "and 20 suffices; a good candidate gets there in at most 5 % of rollouts",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn an_empty_stratum_map_or_a_nested_one_is_no_observation() {
        assert_eq!(Observation::strata(BTreeMap::new()), None);
        let nested = strata(&[("a", counts(1, 2))]);
        assert_eq!(Observation::strata([("b".to_owned(), nested)].into()), None);
        let text = r#"{"strata":{"a":{"strata":{"b":{"proportion":{"hits":1,"trials":2}}}}}}"#;
        assert!(serde_json::from_str::<Observation>(text).is_err());
    }
}

mod plans {
    use super::*;

    #[test]
    fn the_hits_that_a_regression_takes_are_as_computed() {
        let quick = Simulation { runs: 1, horizon: 1, seed: 0 };
        for (weight, odds_ratio, golden) in
            [(0.1, 1.5, 556.0), (0.1, 2.0, 165.0), (0.1, 3.0, 55.0), (0.1, 5.0, 21.0), (0.01, 2.0, 1344.0)]
        {
            let scenario = Scenario { rate: 0.01, odds_ratio, weight, requests: 1000 };
            let forecast = plan(&Comparison::default(), &scenario, quick).unwrap();
            assert!((forecast.hits - golden).abs() <= 0.5, "{weight} {odds_ratio}: {}", forecast.hits);
        }
    }

    #[test]
    fn simulated_and_computed_agree_and_replay() {
        let scenario = Scenario { rate: 0.01, odds_ratio: 3.0, weight: 0.1, requests: 1000 };
        let simulation = Simulation { runs: 200, horizon: 60, seed: 11 };
        let forecast = plan(&Comparison::default(), &scenario, simulation).unwrap();
        let median = f64::from(forecast.regression.fail.median.unwrap());
        assert!((0.5..2.0).contains(&(median / forecast.windows)), "{forecast:?}");
        assert!(forecast.same.fail.share <= 0.05 && forecast.same.pass.share > 0.9, "{forecast:?}");
        assert_eq!(plan(&Comparison::default(), &scenario, simulation).unwrap(), forecast);
    }

    #[test]
    fn what_cannot_be_planned_is_said() {
        let scenario = Scenario { rate: 0.01, odds_ratio: 1.0, weight: 0.1, requests: 1000 };
        let error = plan(&Comparison::default(), &scenario, Simulation::default()).unwrap_err();
        assert_eq!(error.to_string(), "oddsRatio is 1, but 1 is tolerated; name a regression above it");
    }
}
