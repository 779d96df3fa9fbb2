//! Tables in files, and the summaries that come of them.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use tidegate_validation::drift::{
    Column, DriftGate, InvalidTable, Kind, Reading, Summary, UnlikeSummaries, Value,
};

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn open(&self, name: &str, content: impl AsRef<[u8]>) -> Result<Summary, InvalidTable> {
        Summary::open(self.write(name, content), &Reading::default())
    }

    fn refused(&self, content: impl AsRef<[u8]>) -> String {
        self.open("table", content).unwrap_err().to_string()
    }
}

/// Rows of a table with a column of each kind, as CSV and as JSON Lines.
fn rows(range: std::ops::Range<u32>) -> (String, String) {
    let (mut csv, mut lines) = (String::from("amount,country,vip,prompt,at,id,tier\n"), String::new());
    for row in range {
        let (amount, country) = (f64::from(row * 37 % 1009) / 8.0, ["de", "fr", "it"][row as usize % 3]);
        let (vip, tier) = (row % 4 == 0, row % 3);
        let prompt = format!("Where is parcel {}, please?", row * 7 % 977);
        let at = format!("2026-11-{:02}T08:00:00Z", row % 28 + 1);
        let said = if vip { "True" } else { "False" };
        let missing = row % 10 == 0;
        let written = if missing { String::new() } else { amount.to_string() };
        csv += &format!("{written},{country},{said},\"{prompt}\",{at},user-{row},{tier}.0\n");
        let amount = if missing { "null".to_owned() } else { amount.to_string() };
        lines += &format!(
            "{{\"amount\":{amount},\"country\":\"{country}\",\"vip\":{vip},\"prompt\":\"{prompt}\",\"at\":\"{at}\",\"id\":\"user-{row}\",\"tier\":{tier}}}\n"
        );
    }
    (csv, lines)
}

#[test]
fn one_table_is_the_same_in_every_format() {
    let desk = Desk::new();
    let (csv, lines) = rows(0..5_000);
    let from_csv = desk.open("a.csv", &csv).unwrap();
    let kinds: Vec<_> = from_csv.columns().map(|(name, column)| (name, column.kind())).collect();
    let expected = [
        ("amount", "numeric"),
        ("country", "categorical"),
        ("prompt", "text"),
        ("tier", "categorical"),
        ("vip", "categorical"),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(from_csv.left_out().collect::<Vec<_>>(), [("at", Kind::Time), ("id", Kind::Identifier)]);
    let amount = from_csv.column("amount").unwrap();
    assert_eq!((from_csv.rows(), amount.count(), amount.missing()), (5_000, 4_500, 500));
    assert_eq!(desk.open("b.jsonl", &lines).unwrap(), from_csv);
    // With other delimiters, a byte-order mark, and other ends of lines.
    let semicolons =
        format!("\u{feff}{}", csv.replace(", please", " please").replace(',', ";").replace('\n', "\r\n"));
    let commas = csv.replace(", please", " please");
    assert_eq!(desk.open("c.csv", semicolons).unwrap(), desk.open("d.csv", commas).unwrap());
    // Written down, and read as a table like any other.
    let written = desk.write("e.json", serde_json::to_string_pretty(&from_csv).unwrap());
    assert_eq!(Summary::open(&written, &Reading::default()).unwrap(), from_csv);
    let only = Reading { columns: [("vip".to_owned(), None)].into(), ..Reading::default() };
    assert_eq!(Summary::open(&written, &only).unwrap().columns().count(), 1);
}

#[test]
fn partitions_are_compared_as_the_whole() {
    let desk = Desk::new();
    let (parts, whole) = ([0..1_500, 1_500..1_501, 1_501..5_000], desk.write("whole.csv", rows(0..5_000).0));
    let few = Reading { texts: 40, ..Reading::default() };
    let whole = Summary::open(whole, &few).unwrap();
    let paths: Vec<PathBuf> = parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| match at {
            // Each in a format of its own, the last summarised where it lies.
            0 => desk.write("0.csv", rows(part).0),
            1 => desk.write("1.jsonl", rows(part).1),
            _ => {
                let mut summary = whole.emptied();
                summary.read(desk.write("2.csv", rows(part).0)).unwrap();
                desk.write("2.json", serde_json::to_string(&summary).unwrap())
            }
        })
        .collect();
    let merged = Summary::open_all(&paths, &few).unwrap();
    assert_eq!(merged, whole);
    let mut current = whole.emptied();
    current.read(desk.write("today.jsonl", rows(7_000..8_000).1)).unwrap();
    let gate = DriftGate::default();
    let found = |reference| gate.compare_summaries(reference, &current, &Default::default());
    assert_eq!(found(&merged), found(&whole));
}

#[test]
fn what_a_row_or_a_file_lacks_is_missing() {
    let desk = Desk::new();
    let lines =
        "{\"a\": 1, \"user\": {\"age\": 31, \"tags\": []}}\n\n{\"user\": {\"age\": \"x\"}, \"later\": 1}\n";
    let mut table = desk.open("a.jsonl", lines).unwrap();
    let counts = |table: &Summary, name: &str| {
        let column = table.column(name).unwrap();
        (column.count(), column.missing())
    };
    assert_eq!((counts(&table, "a"), counts(&table, "later")), ((1, 1), (1, 1)));
    assert_eq!(counts(&table, "user.age"), (2, 0), "it holds a text, so all of it is categories");
    assert_eq!(table.left_out().collect::<Vec<_>>(), [("user.tags", Kind::Nested)]);
    table.read(desk.write("b.csv", "user.age\n27\n28\n")).unwrap();
    assert_eq!((table.rows(), counts(&table, "a"), counts(&table, "user.age")), (4, (1, 3), (4, 0)));
}

#[test]
fn a_column_that_is_gone_has_drifted() {
    let desk = Desk::new();
    let reference = desk.open("a.csv", rows(0..1_000).0).unwrap();
    let mut current = Summary::new([("country", Column::categorical())]);
    (0..500).for_each(|row| current.push([("country", Value::Text(["de", "fr", "it"][row % 3]))]));
    let found = DriftGate::default().compare_summaries(&reference, &current, &Default::default());
    let verdict =
        |name: &str| found.features.iter().find(|feature| feature.name == name).unwrap().verdict.word();
    assert_eq!((verdict("country"), verdict("amount"), verdict("prompt")), ("pass", "fail", "fail"));
    assert_eq!(found.strain(), Some(20.0), "missing by 1, of 0.05 allowed");
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    let desk = Desk::new();
    let columns: String = (0..2_000).map(|column| format!("c{column},")).collect();
    for (content, parts) in [
        (&b""[..], &["it is empty"][..]),
        (b"[{\"a\": 1}]", &["one JSON array", "jq -c '.[]'"]),
        (b"{\"a\": 1}\n{\"a\": ", &["line 2", "no JSON object"]),
        (b"\x1f\x8b\x08", &["gzip"]),
        (b"a,b\n1,2\n3\n", &["line 3", "1 fields and the header 2"]),
        (b"a,a\n1,2\n", &["line 1", "column `a`", "rename one"]),
        (b"a,b\n1,\xff\xfe\n", &["line 2", "column `b`", "no UTF-8"]),
        (columns.as_bytes(), &["more than 1024 columns"]),
        (b"{\"summary\": \"tidegate:drift-summary/v9\", \"rows\": 0}", &["`tidegate:drift-summary/v9` is not", "anew"]),
        (
            b"{\"summary\": \"tidegate:drift-summary/v1\", \"rows\": 3, \"columns\": {\"a\": {\"categorical\": {\"limit\": 16, \"missing\": 0, \"categories\": {\"x\": 2}}}}}",
            &["column `a` has not as many values"],
        ),
    ] {
        let why = desk.refused(content);
        assert!(parts.iter().all(|part| why.contains(part)), "{why}");
    }
    let mut endless = b"a,b\n1,\"".to_vec();
    endless.resize(9 << 20, b'x');
    assert!(desk.refused(&endless).contains("is a quote never closed?"));
    let mut long = b"{\"a\": \"".to_vec();
    long.resize(9 << 20, b'x');
    assert!(desk.refused(&long).contains("longer than 4194304 bytes"));
    assert!(
        Summary::open(desk.0.path(), &Reading::default())
            .unwrap_err()
            .to_string()
            .contains("no regular file")
    );
    let gone = Summary::open(desk.0.path().join("gone.csv"), &Reading::default()).unwrap_err().to_string();
    assert!(gone.contains("gone.csv: it cannot be read") && gone.ends_with("; correct the path"), "{gone}");
    let columns = [("amont".to_owned(), None)].into();
    let csv = desk.write("a.csv", rows(0..100).0);
    let error = Summary::open(csv, &Reading { columns, ..Reading::default() }).unwrap_err();
    assert_eq!(error.suggestion(), Some("amount"), "{error}");
}

#[test]
fn summaries_of_other_tables_do_not_merge() {
    let of = |name: &str, column: Column| Summary::new([(name.to_owned(), column)]);
    let mut table = of("a", Column::numeric());
    let before = table.clone();
    let unlike = table.merge(&of("b", Column::numeric())).unwrap_err();
    assert!(matches!(unlike, UnlikeSummaries::Missing { name } if name == "b"));
    let unlike = table.merge(&of("a", Column::text())).unwrap_err();
    assert!(matches!(unlike, UnlikeSummaries::Kind { name, .. } if name == "a"));
    assert_eq!(table, before);
}

#[test]
fn memory_is_bounded_whatever_comes_in() {
    let mut column = Column::text();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3_000 {
        let text: String = (0..random.usize(1..9_000)).map(|_| random.char('a'..'ÿ')).collect();
        column.push(Value::Text(&text));
    }
    let written = serde_json::to_string(&column).unwrap();
    assert!(written.len() < 3 << 20, "{}", written.len());
    assert_eq!(serde_json::from_str::<Column>(&written).unwrap(), column);
}

/// Values of all sorts for a table of three columns.
fn row() -> impl Strategy<Value = (Option<f64>, Option<String>, Option<String>)> {
    let number = prop::option::of(-1e3..1e3_f64);
    let category = prop::option::of((0..90_u32).prop_map(|category| format!("c{category}")));
    let text = prop::option::of("[a-zé ]{0,12}");
    (number, category, text)
}

fn summarised(rows: &[(Option<f64>, Option<String>, Option<String>)]) -> Summary {
    let text = Column::Text(tidegate_validation::drift::TextColumn::with_limits(5, 16));
    let categories = Column::Categorical(tidegate_validation::drift::CategoricalColumn::with_limit(16));
    let mut table = Summary::new([("n", Column::numeric()), ("c", categories), ("t", text)]);
    for (number, category, text) in rows {
        let number = number.map_or(Value::Missing, Value::Number);
        let category = category.as_deref().map_or(Value::Missing, Value::Text);
        let text = text.as_deref().map_or(Value::Missing, Value::Text);
        table.push([("t", text), ("n", number), ("c", category)]);
    }
    table
}

proptest! {
    #[test]
    fn merging_is_associative_commutative_and_as_good_as_one_pass(
        a in prop::collection::vec(row(), 0..50),
        b in prop::collection::vec(row(), 0..50),
        c in prop::collection::vec(row(), 0..50),
    ) {
        let sent = |table: &Summary| -> Summary { serde_json::from_str(&serde_json::to_string(table).unwrap()).unwrap() };
        let both = |one: &Summary, other: &Summary| {
            let mut one = one.clone();
            one.merge(&sent(other)).unwrap();
            one
        };
        let whole = summarised(&[a.clone(), b.clone(), c.clone()].concat());
        let [a, b, c] = [a, b, c].map(|rows| summarised(&rows));
        prop_assert_eq!(both(&both(&a, &b), &c), both(&a, &both(&b, &c)));
        prop_assert_eq!(both(&a, &b), both(&b, &a));
        prop_assert_eq!(both(&both(&c, &a), &b), whole);
    }

    #[test]
    fn nothing_that_is_read_panics(content in prop::collection::vec(any::<u8>(), 0..300), begin in 0..4_usize) {
        let desk = Desk::new();
        let begin = [&b""[..], b"a,b\n", b"{\"a\": ", b"PAR1"][begin];
        let _ = desk.open("table", [begin, content.as_slice()].concat());
    }
}

#[test]
fn a_column_that_is_asked_for_is_compared_or_refused() {
    let desk = Desk::new();
    let csv = desk.write("a.csv", rows(0..3_000).0);
    let asked = |name: &str, kind| {
        let columns = [("amount".to_owned(), None), (name.to_owned(), kind)].into();
        Summary::open(&csv, &Reading { columns, ..Reading::default() })
    };
    for (name, told) in [("at", "time"), ("id", "identifier")] {
        let error = asked(name, None).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}=text")) && error.contains(told), "{error}");
        assert!(asked(name, Some(Kind::Text)).unwrap().column(name).is_some());
    }
    assert_eq!(asked("at", Some(Kind::Time)).unwrap().left_out().count(), 1);
}

#[test]
fn the_first_file_with_rows_says_what_columns_are() {
    let desk = Desk::new();
    let (csv, _) = rows(0..300);
    let header = csv.lines().next().unwrap();
    let empty = desk.write("0.csv", format!("{header}\n"));
    let paths = [empty.clone(), desk.write("1.csv", &csv), empty.clone()];
    let whole = desk.open("whole.csv", &csv).unwrap();
    assert_eq!(Summary::open_all(&paths, &Reading::default()).unwrap(), whole);
    for why in [
        Summary::open(&empty, &Reading::default()).unwrap_err(),
        Summary::open_all(&[&empty, &empty], &Reading::default()).unwrap_err(),
    ] {
        assert!(
            why.to_string().contains("it has no rows, so that nothing is known of its columns; name a"),
            "{why}"
        );
    }
}
