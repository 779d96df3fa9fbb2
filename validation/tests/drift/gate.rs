//! Verdicts about columns.

use tidegate_validation::{
    Finding, Method, Outcome, Reason, Verdict,
    drift::{Column, DriftGate, Effect, Gaps, NumericColumn, NumericEffect, Permutations, TextColumn, Value},
};

use crate::{normal, share};

fn numbers(values: impl IntoIterator<Item = f64>) -> Column {
    let mut column = Column::numeric();
    values.into_iter().for_each(|value| column.push(Value::Number(value)));
    column
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Column {
    let mut column = Column::categorical();
    values.into_iter().for_each(|value| column.push(Value::Text(value)));
    column
}

fn drawn(random: &mut fastrand::Rng, n: u32, middle: f64) -> Column {
    numbers((0..n).map(|_| middle + normal(random)))
}

fn judged(reference: &Column, current: &Column) -> Finding {
    DriftGate::default().judge("inputs", [("feature", reference, current)])
}

#[test]
fn a_drift_fails_and_says_which_feature() {
    let mut random = fastrand::Rng::with_seed(7);
    let (still, same) = (drawn(&mut random, 500, 0.0), drawn(&mut random, 400, 0.0));
    let (before, after) = (drawn(&mut random, 500, 0.0), drawn(&mut random, 400, 0.5));
    let finding = DriftGate::default().judge("inputs", [("age", &still, &same), ("income", &before, &after)]);
    assert_eq!(finding.verdict, Verdict::Fail);
    let outcomes: Vec<_> = finding.cases.iter().map(|case| (case.input.as_str(), case.outcome)).collect();
    assert_eq!(outcomes, [("age", Outcome::Hit), ("income", Outcome::Miss)]);
    let evidence = &finding.evidence[1];
    assert!(
        evidence.estimate > 0.4
            && evidence.p.unwrap() < 0.001
            && evidence.method == Method::KolmogorovSmirnov
    );
    assert!(evidence.to_string().ends_with(", p < 0.001, n = 900"), "{evidence}");
}

#[test]
fn what_nobody_minds_is_no_drift_however_many_rows_prove_it() {
    let mut random = fastrand::Rng::with_seed(7);
    let finding = judged(&drawn(&mut random, 100_000, 0.0), &drawn(&mut random, 100_000, 0.05));
    assert_eq!(finding.verdict, Verdict::Pass);
    assert!(finding.evidence[0].p.unwrap() < 0.001);
}

#[test]
fn too_few_rows_decide_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    let finding = judged(&drawn(&mut random, 99, 0.0), &drawn(&mut random, 500, 9.0));
    assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::TooFewRows { have: 99, need: 100 }));
    assert!(finding.evidence.is_empty());
    assert_eq!(
        judged(&numbers([]), &numbers([])).verdict,
        Verdict::Inconclusive(Reason::TooFewRows { have: 0, need: 100 })
    );
    let none = DriftGate::default().judge("inputs", []);
    assert_eq!(none.verdict, Verdict::Inconclusive(Reason::NothingChecked));
}

#[test]
fn more_than_is_allowed_but_maybe_by_chance_decides_nothing() {
    let gate = DriftGate { numeric_limit: 0.0, ..DriftGate::default() };
    let mut random = fastrand::Rng::with_seed(7);
    let (before, after) = (drawn(&mut random, 200, 0.0), drawn(&mut random, 200, 0.0));
    let finding = gate.judge("inputs", [("feature", &before, &after)]);
    assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::MayBeChance));
    let nonsense =
        DriftGate { numeric_limit: f64::NAN, ..gate }.judge("inputs", [("feature", &before, &after)]);
    assert_ne!(nonsense.verdict, Verdict::Pass);
}

#[test]
fn columns_of_two_kinds_and_coarse_ones_decide_nothing() {
    let finding = judged(&numbers([1.0]), &texts(["1"]));
    assert!(
        matches!(&finding.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("summarise the feature alike"))
    );
    let coarse = || {
        let mut column = NumericColumn::with_limit(16);
        column.extend((0..1000).map(|i| 1e6 + f64::from(i) / 1e3).chain([1e-30, -1e30]));
        Column::Numeric(column)
    };
    assert_eq!(judged(&coarse(), &coarse()).verdict, Verdict::Inconclusive(Reason::TooCoarse));
}

#[test]
fn values_that_go_missing_are_a_drift() {
    let mut random = fastrand::Rng::with_seed(7);
    let (before, mut after) = (drawn(&mut random, 500, 0.0), drawn(&mut random, 450, 0.0));
    (0..50).for_each(|_| after.push(Value::Missing));
    let finding = judged(&before, &after);
    assert_eq!((finding.verdict, finding.evidence[1].method), (Verdict::Fail, Method::Score));
    let mut gone = Column::numeric();
    (0..500).for_each(|_| gone.push(Value::Missing));
    assert_eq!(judged(&before, &gone).verdict, Verdict::Fail);
}

#[test]
fn each_effect_tells_a_drift_from_none() {
    let mut random = fastrand::Rng::with_seed(7);
    let (before, same, after) =
        (drawn(&mut random, 2_000, 0.0), drawn(&mut random, 2_000, 0.0), drawn(&mut random, 2_000, 1.0));
    let choose = |random: &mut fastrand::Rng, shares: &[(&'static str, f64)]| {
        let at = random.f64();
        shares.iter().find(|(_, up_to)| at < *up_to).map_or("other", |(name, _)| name)
    };
    let mut draw = |shares: &[(&'static str, f64)]| {
        texts((0..2_000).map(|_| choose(&mut random, shares)).collect::<Vec<_>>())
    };
    let (red, red_too, blue) = (
        draw(&[("red", 0.7), ("blue", 0.9)]),
        draw(&[("red", 0.7), ("blue", 0.9)]),
        draw(&[("red", 0.3), ("blue", 0.9)]),
    );
    for effect in [Effect::CramersV, Effect::JensenShannon, Effect::Psi, Effect::TotalVariation] {
        let gate =
            DriftGate { numeric: NumericEffect::Binned(effect), categorical: effect, ..DriftGate::default() };
        let verdict = |one, other| gate.judge("inputs", [("feature", one, other)]).verdict;
        assert_eq!(
            (verdict(&before, &same), verdict(&before, &after)),
            (Verdict::Pass, Verdict::Fail),
            "{effect:?}"
        );
        assert_eq!(
            (verdict(&red, &red_too), verdict(&red, &blue)),
            (Verdict::Pass, Verdict::Fail),
            "{effect:?}"
        );
    }
    for numeric in [NumericEffect::KolmogorovSmirnov, NumericEffect::Wasserstein] {
        let gate = DriftGate { numeric, ..DriftGate::default() };
        let verdict = |one, other| gate.judge("inputs", [("feature", one, other)]).verdict;
        assert_eq!(
            (verdict(&before, &same), verdict(&before, &after)),
            (Verdict::Pass, Verdict::Fail),
            "{numeric:?}"
        );
    }
}

/// Eight features, none of which has drifted, and no limit to shield them: any alarm is a wrong one.
#[test]
fn of_many_features_any_is_accused_as_seldom_as_one_may_be() {
    for numeric in [NumericEffect::KolmogorovSmirnov, NumericEffect::Binned(Effect::Psi)] {
        let alarms = share(200, |random| {
            let gate = DriftGate {
                numeric,
                numeric_limit: 0.0,
                alpha: 0.1,
                permutations: Permutations { count: 249, seed: random.u64(..) },
                ..DriftGate::default()
            };
            let columns: Vec<_> =
                (0..8).map(|_| (drawn(random, 110, 0.0), drawn(random, 130, 0.0))).collect();
            let features = columns.iter().map(|(reference, current)| ("feature", reference, current));
            gate.judge("inputs", features).verdict == Verdict::Fail
        });
        assert!(alarms <= 0.15, "{alarms} with {numeric:?}");
    }
}

#[test]
fn one_number_beyond_measure_does_not_hide_a_drift() {
    let (before, now) =
        (numbers((0..1_000).map(f64::from).chain([1e200])), numbers((0..1_000).map(|n| f64::from(n + 700))));
    assert_eq!(judged(&before, &now).verdict, Verdict::Fail);
    let (Column::Numeric(reference), Column::Numeric(current)) = (&before, &now) else { unreachable!() };
    let gaps = Gaps::between(reference, current).unwrap();
    assert_eq!(gaps.wasserstein_normed, f64::INFINITY, "{gaps:?}");
}

#[test]
fn categories_that_are_not_told_apart_are_no_pass() {
    let names: Vec<String> = (0..20_000).map(|n| format!("name {n}")).collect();
    let many = || texts(names.iter().map(String::as_str));
    assert_eq!(judged(&many(), &many()).verdict, Verdict::Inconclusive(Reason::TooCoarse));
    // What is found all the same stands.
    let few = texts((0..20_000).map(|n| if n % 2 == 0 { "yes" } else { "no" }));
    assert_eq!(judged(&many(), &few).verdict, Verdict::Fail);
}

/// Numbers of which one occurs over and over, as 0 does where there is nothing to count, among more than are told apart.
fn with_mass(random: &mut fastrand::Rng, mass: f64, share: f64, middle: f64) -> Column {
    let mut column = NumericColumn::with_limit(2_000);
    column.extend((0..60_000).map(|_| {
        let drawn = middle + normal(random).abs();
        if random.f64() < share { mass } else { drawn }
    }));
    Column::Numeric(column)
}

#[test]
fn a_number_that_occurs_over_and_over_is_not_coarse() {
    let mut random = fastrand::Rng::with_seed(7);
    for (mass, middle) in [(0.0, 0.0), (-999.0, 0.0), (100.0, 99.5), (-100.0, -100.7)] {
        let mut column = |share: f64| with_mass(&mut random, mass, share, middle);
        let (before, same, fewer) = (column(0.6), column(0.6), column(0.3));
        let Column::Numeric(summed) = &before else { unreachable!() };
        assert!(summed.rank_error() < 0.01, "{mass}: {}", summed.rank_error());
        let text = serde_json::to_string(&before).unwrap();
        let read: Column = serde_json::from_str(&text).unwrap();
        assert_eq!(read, before);
        assert_eq!(judged(&read, &same).verdict, Verdict::Pass, "{mass}");
        assert_eq!(judged(&before, &fewer).verdict, Verdict::Fail, "{mass}");
    }
    // Two numbers that are counted as one by either side are not one.
    let column = |mass: f64| {
        let mut column = NumericColumn::with_limit(16);
        column.extend((0..900).map(|_| mass).chain((0..100).map(|n| 2_f64.powi(n))));
        column
    };
    let gaps = Gaps::between(&column(1.0), &column(1.0 + f64::EPSILON)).unwrap();
    assert!(gaps.kolmogorov_smirnov >= 0.9 && gaps.rank_error < 0.2, "{gaps:?}");
}

#[test]
fn what_is_known_of_cells_is_held_against_them() {
    let mut random = fastrand::Rng::with_seed(7);
    let written = serde_json::to_value(with_mass(&mut random, 0.0, 0.6, 0.0)).unwrap();
    let refused = |at: usize, change: &dyn Fn(u64) -> u64| {
        let mut written = written.clone();
        let number = &mut written["numeric"]["ends"][3][at];
        *number = change(number.as_u64().unwrap()).into();
        serde_json::from_value::<Column>(written).is_err()
    };
    assert!(refused(0, &|_| 0) && refused(2, &|_| u64::MAX) && refused(1, &|count| count + 1_000_000));
    // What an earlier version wrote has none, and says less.
    let mut earlier = written.clone();
    earlier["numeric"].as_object_mut().unwrap().remove("ends");
    let Column::Numeric(earlier) = serde_json::from_value(earlier).unwrap() else { unreachable!() };
    assert!(earlier.rank_error() > 0.5);
}

#[test]
fn texts_that_are_counted_too_coarsely_are_no_pass() {
    let texts = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut column = TextColumn::with_limits(0, 16);
        (0..3_000).for_each(|_| column.push(&"word ".repeat(random.usize(100..200))));
        Column::Text(column)
    };
    let finding = judged(&texts(7), &texts(8));
    assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::TooCoarse), "{finding:?}");
}

#[test]
fn one_number_far_off_hides_no_drift() {
    let ages = |from: i32| (from..from + 1_000).map(f64::from);
    for outlier in [1e7, f64::MAX] {
        let reference = || numbers(ages(0).chain([outlier]));
        let finding = judged(&reference(), &numbers(ages(700)));
        assert_eq!(finding.verdict, Verdict::Fail, "{finding:?}");
        let outlier_now = judged(&reference(), &numbers(ages(0).chain([outlier])));
        assert_eq!(outlier_now.verdict, Verdict::Pass, "{outlier_now:?}");
    }
    // The published one is what it was.
    let column = |values: Vec<f64>| {
        let mut column = NumericColumn::new();
        column.extend(values);
        column
    };
    let reference = column(ages(0).chain([1e7]).collect());
    let gaps = Gaps::between(&reference, &column(ages(700).collect())).unwrap();
    assert!(gaps.wasserstein_normed < 0.1 && gaps.wasserstein_robust > 1.0, "{gaps:?}");
    // Where most are one number, the deviation is what there is.
    let mostly = column((0..1_000).map(|row| if row < 900 { 0.0 } else { f64::from(row) }).collect());
    let gaps = Gaps::between(&mostly, &column(ages(0).collect())).unwrap();
    assert_eq!(gaps.wasserstein_robust, gaps.wasserstein_normed);
}
