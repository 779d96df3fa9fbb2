//! What columns look like beside each other.

use tidegate_validation::drift::{Binning, Column, DriftGate, Summary, Value};

fn numbers(values: impl IntoIterator<Item = f64>) -> Column {
    let mut column = Column::numeric();
    values.into_iter().for_each(|value| column.push(Value::Number(value)));
    column
}

fn names<'a>(values: impl IntoIterator<Item = &'a str>) -> Column {
    let mut column = Column::categorical();
    values.into_iter().for_each(|value| column.push(Value::Text(value)));
    column
}

#[test]
fn blocks_show_where_numbers_lie() {
    let (low, high) = (numbers((0..100).map(f64::from)), numbers((100..240).map(f64::from)));
    let compared = low.compare(&high, Binning::Deciles).unwrap();
    let (before, now) = compared.picture.as_ref().unwrap().blocks();
    assert_eq!((before.chars().count(), now.chars().count()), (24, 24));
    assert!(before.starts_with('█') && before.ends_with("    "), "{before}|");
    assert!(now.starts_with("    ") && !now.ends_with(' '), "{now}|");
    let svg = compared.svg();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    assert!(svg.contains("D = 1.000") && svg.contains("stroke-dasharray"), "{svg}");
    assert!(numbers([]).compare(&low, Binning::Deciles).unwrap().svg().is_empty());
    for odd in [numbers([5.0; 9]), numbers([f64::MIN, f64::MAX]), numbers([0.0, 5e-324])] {
        let svg = odd.compare(&odd, Binning::Deciles).unwrap().svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn bars_show_the_most_frequent_categories() {
    let many: Vec<String> = (0..40).flat_map(|name| vec![format!("c{name}"); 41 - name]).collect();
    let (before, now) = (names(many.iter().map(String::as_str)), names(["c0", "c39", "c39"]));
    let svg = before.compare(&now, Binning::Deciles).unwrap().svg();
    assert!(svg.contains(">c39<") && svg.contains("29 others"), "{svg}");
}

#[test]
fn names_are_text_and_never_markup() {
    let hostile = "</title><script>alert(1)</script>\u{202e}\u{1b}[2J";
    let mut texts = Column::text();
    (0..200).for_each(|row| texts.push(Value::Text(&format!("{hostile} {row}"))));
    let mut table = Summary::new([(hostile, names(vec![hostile; 200])), ("text", texts)]);
    (0..0).for_each(|_: u32| table.push([]));
    let page =
        DriftGate::default().compare_summaries(&table, &table, &Default::default()).html(hostile, hostile);
    assert!(!page.contains("<script") && !page.contains('\u{202e}') && !page.contains('\u{1b}'));
    assert!(
        page.contains("&lt;script&gt;") && page.contains("None of 2 features is known to have drifted"),
        "{page}"
    );
}
