//! Verdicts about columns.

use tidegate_validation::{
    Finding, Method, Outcome, Reason, Verdict,
    drift::{Column, DriftGate, Effect, Gaps, NumericColumn, NumericEffect, Permutations, Value},
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
