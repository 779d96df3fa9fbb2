//! Summaries: parts, wherever they were made, are as good as the whole.

use proptest::prelude::*;
use serde_json::json;
use tidegate_validation::drift::{
    Binning, CategoricalColumn, Column, Gaps, Histogram, NumericColumn, Permutations, Value,
};

use crate::close;

/// Written down, and read again.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// Numbers of many magnitudes, some of them ties, some not finite.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3_f64,
        2 => (-20_i32..20).prop_map(f64::from),
        1 => any::<f64>(),
        1 => Just(-0.0),
    ]
}

/// Some limits make all numbers tell apart, others few of them.
fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![Just(16_usize), Just(40), Just(NumericColumn::LIMIT)]
}

fn summarised(values: &[f64], limit: usize) -> NumericColumn {
    let mut column = NumericColumn::with_limit(limit);
    column.extend(values.iter().copied());
    column
}

proptest! {
    #[test]
    fn merged_parts_are_the_whole(
        parts in prop::collection::vec(prop::collection::vec(number(), 0..80), 1..6),
        others in prop::collection::vec(number(), 1..80),
        limit in limit(),
        turn in 0_usize..6,
    ) {
        let whole = summarised(&parts.concat(), limit);
        let mut merged = NumericColumn::with_limit(limit);
        let turn = turn % parts.len();
        for part in parts[turn..].iter().chain(&parts[..turn]) {
            merged.merge(&sent(&summarised(part, limit)));
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(&sent(&merged), &whole);
        // Equal summaries are compared with the same result, to the bit.
        let current = summarised(&others, limit);
        let compare = |reference: &NumericColumn| {
            (Gaps::between(reference, &current), Histogram::of_numbers(reference, &current, Binning::Deciles))
        };
        prop_assert_eq!(format!("{:?}", compare(&merged)), format!("{:?}", compare(&whole)));
        prop_assert_eq!(whole.count() + whole.missing(), parts.concat().len() as u64);
    }

    #[test]
    fn merging_is_associative(
        a in prop::collection::vec(number(), 0..60),
        b in prop::collection::vec(number(), 0..60),
        c in prop::collection::vec(number(), 0..60),
        limits in prop::array::uniform3(limit()),
    ) {
        let [a, b, c] = [(a, limits[0]), (b, limits[1]), (c, limits[2])].map(|(values, limit)| summarised(&values, limit));
        let both = |one: &NumericColumn, other: &NumericColumn| {
            let mut one = one.clone();
            one.merge(other);
            one
        };
        prop_assert_eq!(both(&both(&a, &b), &c), both(&a, &both(&b, &c)));
        prop_assert_eq!(both(&a, &b), both(&b, &a));
    }

    #[test]
    fn merged_categories_are_the_whole(
        parts in prop::collection::vec(prop::collection::vec(0_u32..60, 0..60), 1..6),
        others in prop::collection::vec(0_u32..60, 1..80),
        limit in prop_oneof![Just(16_usize), Just(30), Just(4096)],
    ) {
        let of = |values: &[u32]| {
            let mut column = CategoricalColumn::with_limit(limit);
            values.iter().for_each(|value| column.push(&format!("category {value}")));
            column
        };
        let whole = of(&parts.concat());
        let mut merged = CategoricalColumn::with_limit(limit);
        parts.iter().rev().for_each(|part| merged.merge(&sent(&of(part))));
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(whole.count(), parts.concat().len() as u64);
        let current = of(&others);
        prop_assert_eq!(Histogram::of_categories(&merged, &current), Histogram::of_categories(&whole, &current));
        // What is not told apart hides drift, and makes none.
        let exact = |values: &[u32]| {
            let mut column = CategoricalColumn::new();
            values.iter().for_each(|value| column.push(&format!("category {value}")));
            column
        };
        if let Some(coarse) = Histogram::of_categories(&whole, &current) {
            let fine = Histogram::of_categories(&exact(&parts.concat()), &exact(&others)).unwrap();
            prop_assert!(coarse.total_variation() <= fine.total_variation() + 1e-9);
            prop_assert!(coarse.jensen_shannon_nats() <= fine.jensen_shannon_nats() + 1e-9);
        }
    }
}

proptest! {
    /// Whatever somebody writes down as a summary is refused, or compared without a panic and in time.
    #[test]
    fn summaries_by_anybody_are_survived(
        keys in prop::collection::btree_set(any::<u64>(), 1..30),
        counts in prop::collection::vec(prop_oneof![1_u64..10, any::<u64>()], 30),
        dropped in 0_u32..70,
        values in prop::collection::vec(number(), 1..30),
    ) {
        let mut keys: Vec<u64> = keys.iter().map(|key| key.checked_shr(dropped).unwrap_or(0) << dropped.min(63)).collect();
        keys.dedup();
        let counts = &counts[..keys.len()];
        let value = |key: u64| f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key });
        let range = [value(keys[0]), value(*keys.last().unwrap())];
        let text = json!({"limit": 30, "missing": 1, "range": range, "droppedBits": dropped, "keys": keys, "counts": counts});
        if let Ok(column) = serde_json::from_value::<NumericColumn>(text) {
            let other = summarised(&values, 16);
            for (one, another) in [(&column, &other), (&other, &column), (&column, &column)] {
                let _ = Gaps::between(one, another);
                for binning in [Binning::Deciles, Binning::Evidently] {
                    if let Some(histogram) = Histogram::of_numbers(one, another, binning) {
                        let shuffles = Permutations { count: 20, seed: 7 };
                        prop_assert!(!histogram.psi_p(shuffles).is_nan() && !histogram.chi_square_p(shuffles).is_nan());
                    }
                }
                let mut merged = one.clone();
                merged.merge(another);
            }
        }
    }
}

#[test]
fn a_million_numbers_take_no_more_than_the_limit() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut column = NumericColumn::with_limit(1_000);
    column.extend((0..1_000_000).map(|_| random.f64()));
    assert_eq!(column.count(), 1_000_000);
    assert!(column.rank_error() > 0.0 && column.rank_error() < 0.01, "{}", column.rank_error());
    let text = serde_json::to_string(&column).unwrap();
    assert!(text.len() < 80_000, "{} bytes", text.len());
}

#[test]
fn a_million_names_take_no_more_than_the_limit() {
    let mut column = CategoricalColumn::with_limit(64);
    (0..1_000_000).for_each(|i| column.push(&format!("{i}")));
    column.push(&"x".repeat(1 << 20));
    assert!(!column.is_exact() && column.count() == 1_000_001 && column.categories().count() == 0);
    assert!(serde_json::to_string(&column).unwrap().len() < 4_000);
    let mut long = CategoricalColumn::new();
    long.push(&"x".repeat(1 << 20));
    long.push(&("x".repeat(1 << 20) + "y"));
    assert!(long.categories().count() == 2 && long.categories().all(|(name, _)| name.len() <= 256));
}

#[test]
fn a_reader_pushes_what_it_finds() {
    let mut numbers = Column::numeric();
    for value in [
        Value::Text(" 1.5 "),
        Value::Text("inf"),
        Value::Text(""),
        Value::Number(f64::NAN),
        Value::Number(2.0),
    ] {
        numbers.push(value);
    }
    assert_eq!((numbers.count(), numbers.missing()), (2, 3));
    let mut categories = Column::categorical();
    for value in [Value::Text("a"), Value::Text(""), Value::Number(1.0), Value::Text("1"), Value::Missing] {
        categories.push(value);
    }
    let Column::Categorical(column) = &categories else { panic!("{categories:?}") };
    assert_eq!(column.categories().collect::<Vec<_>>(), [("", 1), ("1", 2), ("a", 1)]);
    assert_eq!(categories.missing(), 1);
    let unlike = numbers.merge(&categories).unwrap_err();
    assert_eq!((unlike.reference, unlike.current), ("numeric", "categorical"));
    assert_eq!(categories.merge(&numbers).unwrap_err().reference, "categorical");
    assert_eq!(numbers.compare(&categories, Binning::Deciles).unwrap_err(), unlike);
    let compared = numbers.compare(&sent(&numbers), Binning::Deciles).unwrap();
    assert_eq!((compared.counts, compared.missing), ((2, 2), (3, 3)));
    close(compared.gaps.unwrap().wasserstein, 0.0);
}

/// What was written down elsewhere may have been written by anybody.
#[test]
fn summaries_that_make_no_sense_are_refused() {
    let good = json!({"limit": 16, "missing": 0, "range": [1.0, 2.0], "droppedBits": 0,
        "keys": [0xbff0_0000_0000_0000_u64, 0xc000_0000_0000_0000_u64], "counts": [3, 4]});
    assert_eq!(serde_json::from_value::<NumericColumn>(good.clone()).unwrap().count(), 7);
    for (field, wrong) in [
        ("limit", json!(1_u64 << 60)),
        ("limit", json!(0)),
        ("range", json!([2.0, 1.0])),
        ("range", json!([1.0, 5.0])),
        ("range", json!(null)),
        ("droppedBits", json!(64)),
        ("droppedBits", json!(63)),
        ("keys", json!([0xc000_0000_0000_0000_u64, 0xbff0_0000_0000_0000_u64])),
        ("keys", json!([])),
        ("counts", json!([3])),
        ("counts", json!([3, 0])),
        ("counts", json!([u64::MAX, 1])),
        ("surprise", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[field] = wrong.clone();
        assert!(serde_json::from_value::<NumericColumn>(bad).is_err(), "{field}: {wrong}");
    }
    for bad in [
        json!({"limit": 16, "missing": 0}),
        json!({"limit": 1, "missing": 0, "categories": {"a": 1}}),
        json!({"limit": 16, "missing": 0, "categories": {"a": 0}}),
        json!({"limit": 16, "missing": 0, "categories": {"a": u64::MAX, "b": 1}}),
        json!({"limit": 16, "missing": 0, "categories": {"x".repeat(300): 1}}),
        json!({"limit": 16, "missing": 0, "categories": {"a": 1}, "digests": {"droppedBits": 0, "keys": [], "counts": []}}),
        json!({"limit": 16, "missing": 0, "digests": {"droppedBits": 1, "keys": [1], "counts": [1]}}),
    ] {
        assert!(serde_json::from_value::<CategoricalColumn>(bad.clone()).is_err(), "{bad}");
    }
}

/// Counts that are as great as can be said add up without a panic.
#[test]
fn enormous_counts_are_compared_or_not_but_survived() {
    let enormous = |counts: u64| -> Column {
        serde_json::from_value(json!({"numeric": {"limit": 16, "missing": u64::MAX, "range": [1.0, 1.0],
            "droppedBits": 0, "keys": [0xbff0_0000_0000_0000_u64], "counts": [counts]}}))
        .unwrap()
    };
    let mut column = enormous(u64::MAX);
    column.merge(&enormous(u64::MAX)).unwrap();
    assert_eq!((column.count(), column.missing()), (u64::MAX, u64::MAX));
    assert!(column.compare(&column, Binning::Deciles).is_ok());
}
