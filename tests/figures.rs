//! The table of figures in README.md is that of the benches: no figure is forgotten, and none is there that nothing measures.

#[path = "../benches/figures/mod.rs"]
mod figures;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use figures::{
    Figure, Outcome, Spread,
    promised::{PROMISED, Program, Promise, RUNS},
    row::{FALLS_SHORT, HOLDS, NOT_MEASURED, Row, Unit, wanted_written},
    table::{cells, markdown, rows_of, written},
};

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn promise(what: &str) -> &'static Promise {
    PROMISED.iter().find(|promise| promise.what == what).unwrap_or_else(|| panic!("{what} is not promised"))
}

fn row(what: &str, figure: Figure) -> Row {
    Row { promise: promise(what), outcome: Outcome::Measured(figure) }
}

#[test]
fn the_readme_has_a_row_for_each_figure_and_no_other() {
    let readme = read("README.md");
    let rows: Vec<_> = rows_of(&readme).unwrap().map(cells).collect();
    let named: Vec<_> = rows.iter().map(|cells| cells[0]).collect();
    let promised: Vec<_> = PROMISED.iter().map(|promise| promise.what).collect();
    assert_eq!(named, promised);
    for (cells, promise) in rows.iter().zip(PROMISED) {
        let [what, measured, beside, ratio, wanted, verdict] = cells[..] else { panic!("{cells:?}") };
        assert_eq!(wanted, wanted_written(promise.wanted, promise.unit), "{what}");
        assert!(beside.starts_with(promise.beside), "{what}: {beside} is not {}", promise.beside);
        let none = measured.starts_with(NOT_MEASURED);
        assert!(none || !measured.is_empty() || !ratio.is_empty(), "{what}: nothing is said");
        assert!(!none || measured.len() > NOT_MEASURED.len(), "{what}: nothing says why it was not measured");
        let judged = !promise.wanted.is_empty() && !none;
        assert!(if judged { [HOLDS, FALLS_SHORT].contains(&verdict) } else { verdict.is_empty() }, "{what}");
    }
}

/// Sources of a program, from the root.
fn sources(program: &Program) -> Vec<PathBuf> {
    let (name, folders): (_, &[_]) = match program {
        Program::Bench(name) => (name, &["benches", "validation/benches"]),
        Program::Example(name) => (name, &["examples"]),
    };
    let candidates =
        folders.iter().flat_map(|folder| [format!("{folder}/{name}.rs"), format!("{folder}/{name}")]);
    let found = candidates.map(PathBuf::from).flat_map(|path| {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        if whole.is_dir() {
            let files =
                fs::read_dir(whole).expect("a folder").map(|file| file.expect("a readable entry").path());
            files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
        } else if whole.is_file() {
            vec![path]
        } else {
            Vec::new()
        }
    });
    found.collect()
}

#[test]
fn each_figure_is_said_by_the_run_that_it_is_promised_of() {
    let names: BTreeSet<_> = PROMISED.iter().map(|promise| promise.what).collect();
    assert_eq!(names.len(), PROMISED.len(), "two have one name");
    for promise in PROMISED {
        let run = RUNS.iter().find(|run| run.name == promise.run);
        let run = run.unwrap_or_else(|| panic!("nothing runs {}", promise.run));
        let said = sources(&run.program).iter().any(|file| read(file).contains(promise.what));
        assert!(said, "{} does not say {}", promise.run, promise.what);
    }
}

#[test]
fn each_bench_is_run_and_says_something() {
    let benches = ["Cargo.toml", "validation/Cargo.toml"].map(|manifest| {
        let manifest: toml::Table = read(manifest).parse().unwrap();
        let benches = manifest["bench"].as_array().unwrap().clone();
        benches.iter().map(|bench| bench["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    for bench in benches.concat().iter().filter(|name| *name != "table") {
        let runs = RUNS.iter().filter(|run| matches!(run.program, Program::Bench(name) if name == bench));
        let says = runs.clone().all(|run| PROMISED.iter().any(|promise| promise.run == run.name));
        assert!(runs.count() > 0 && says, "{bench} is in no table");
    }
}

#[test]
fn new_rows_take_the_place_of_old_ones_and_of_no_others() {
    let page = read("README.md");
    let list = row("list all 100 000 versions", Figure::of(0.3712));
    let new = written(&page, &[list]).unwrap();
    let changed: Vec<_> = page.lines().zip(new.lines()).filter(|(before, after)| before != after).collect();
    let [(before, after)] = changed[..] else { panic!("{changed:?}") };
    assert!(before.starts_with("| list all 100 000 versions |"), "{before}");
    assert_eq!(after, "| list all 100 000 versions | 371 ms | | | | |");
    assert_eq!(page.lines().count(), new.lines().count());
}

#[test]
fn a_page_without_rows_gets_all_and_says_that_they_were_not_measured() {
    let page = "before\n<!-- figures -->\n<!-- /figures -->\nafter\n";
    let new = written(page, &[]).unwrap();
    assert!(new.starts_with("before\n") && new.ends_with("\nafter\n"), "{new}");
    let rows: Vec<_> = rows_of(&new).unwrap().collect();
    assert_eq!(rows.len(), PROMISED.len());
    assert!(rows.iter().all(|row| cells(row)[1] == "not measured: not run yet"), "{new}");
    assert!(written("no table", &[]).is_err());
}

/// A row that nobody promises any more is a number that nothing measures.
#[test]
fn a_row_that_is_not_promised_goes() {
    let page = "<!-- figures -->\n| what |\n|---|\n| lines of code | 7 | | | | |\n<!-- /figures -->\n";
    assert!(!written(page, &[]).unwrap().contains("lines of code"));
}

#[test]
fn a_figure_that_falls_short_says_so() {
    let newest = "the newest of 100 000 versions, by a client that knows nothing yet";
    let verdict = |seconds| cells(&row(newest, Figure::of(seconds)).markdown())[5].to_owned();
    assert_eq!(verdict(0.02), HOLDS);
    assert_eq!(verdict(0.020_01), FALLS_SHORT);
    assert_eq!(verdict(f64::NAN), FALLS_SHORT);
    // At its worst.
    let commits = "commits to one model, one after the other";
    let spread = Spread::of([199.0, 900.0]);
    assert_eq!(row(commits, Figure::of(spread)).holds(), Some(false));
    let router = "a server behind the embedded router, with a split of 10 %, under `wrk`";
    assert_eq!(row(router, Figure::of(89.0).beside(100.0)).holds(), Some(false));
    assert_eq!(row(router, Figure::of(89.0).beside(100.0).ratio(0.91)).holds(), Some(true));
    // In each way.
    let pickle = "scan a pickle of 26 MB that is all opcodes";
    for (rate, beside, holds) in [(290e6, 2e6, true), (290e6, 6e6, false), (190e6, 2e6, false)] {
        assert_eq!(row(pickle, Figure::of(rate).beside(beside)).holds(), Some(holds));
    }
    assert_eq!(row(pickle, Figure::of(290e6)).holds(), None);
    assert!(row(pickle, Figure::of(290e6)).markdown().contains("| ≥ 200 MB/s and ≥ 50 × |"));
    let publish = "publish one file of 4 GiB";
    assert_eq!(row(publish, Figure::of(0.75).beside(1.0)).holds(), Some(true));
    assert_eq!(row(publish, Figure::of(0.76).beside(1.0)).holds(), Some(false));
    // Nothing is judged without the yardstick.
    assert_eq!(row(router, Figure::of(89.0)).holds(), None);
    let text = row(router, Figure::of(89.0)).markdown();
    assert!(text.contains("the same server without it: not measured: needs wrk"), "{text}");
}

#[test]
fn what_was_not_measured_has_no_number_and_no_verdict() {
    let promise = promise("memory at most, publish 10 GiB");
    let row = Row { promise, outcome: Outcome::NotMeasured("its run failed".to_owned()) };
    assert_eq!(
        row.markdown(),
        "| memory at most, publish 10 GiB | not measured: its run failed | | | ≤ 256 MiB | |"
    );
    assert_eq!(row.json()["not_measured"], "its run failed");
    assert_eq!(row.json()["holds"], serde_json::Value::Null);
    assert!(markdown(&[row]).starts_with("| what |"));
}

#[test]
fn numbers_are_written_with_three_digits_and_their_unit() {
    let cases = [
        (Unit::Seconds, 0.0131, 0.0131, "13.1 ms"),
        (Unit::Seconds, 3.7e-6, 3.7e-6, "3.7 µs"),
        (Unit::Seconds, 61.25, 61.25, "61.2 s"),
        (Unit::Seconds, 0.9e-3, 1.2e-3, "900 µs to 1.2 ms"),
        (Unit::Seconds, -20e-6, -20e-6, "-20 µs"),
        (Unit::Percent, 1.43, 2.3, "1.43 to 2.3 %"),
        (Unit::Bytes, 1.5e9, 1.5e9, "1.5 GB"),
        (Unit::Mebibytes, 110_100_480.0, 110_100_480.0, "105 MiB"),
        (Unit::Of("a second"), 2678.6, 2678.6, "2 679 a second"),
        (Unit::Of("a second"), 1_234_567.0, 1_234_567.0, "1 234 567 a second"),
        (Unit::Times, 0.0619, 0.0619, "0.062 ×"),
        (Unit::Times, 0.7, 0.7, "0.7 ×"),
        (Unit::Rate, 381.4e6, 381.4e6, "381 MB/s"),
        (Unit::Of("in 20 s"), 0.0, 0.0, "0 in 20 s"),
    ];
    for (unit, least, most, text) in cases {
        assert_eq!(unit.written(Spread { least, most }), text);
    }
}
