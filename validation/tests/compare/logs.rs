//! Logs of experiments, in JSON Lines and CSV, and what is wrong with some.

use std::fs;

use tidegate_validation::{
    Verdict,
    compare::{CompareError, Experiment, Units},
};

const NEW: &str = "candidate";

/// A user a line, of arms by turns, assigned at second `i`.
fn assigned(count: u64) -> String {
    let arm = |i: u64| if i.is_multiple_of(2) { NEW } else { "baseline" };
    (0..count).map(|i| format!("{{\"unit\": \"u{i}\", \"arm\": \"{}\", \"time\": {i}}}\n", arm(i))).collect()
}

fn read(assignments: &str, outcomes: &str) -> Result<Units, CompareError> {
    let directory = tempfile::tempdir().unwrap();
    let [log, told] = ["assignments", "outcomes"].map(|name| directory.path().join(name));
    fs::write(&log, assignments).unwrap();
    fs::write(&told, outcomes).unwrap();
    Experiment::default().read(&log, &told)
}

fn refused(assignments: &str, outcomes: &str) -> String {
    read(assignments, outcomes).unwrap_err().to_string()
}

#[test]
fn both_forms_say_the_same() {
    let hit = |i: u64| i % 20 < 15;
    let lines: String =
        (0..800).map(|i| format!("{{\"unit\": \"u{i}\", \"hit\": {}, \"page\": 3}}\n", hit(i))).collect();
    let rows: String =
        (0..800).map(|i| format!("u{i},{},\"a, b\"\n", if hit(i) { "yes" } else { "0" })).collect();
    let csv_log: String = (0..800)
        .map(|i| {
            let arm = if i % 2 == 0 { NEW } else { "baseline" };
            format!("1970-01-01T00:{:02}:{:02}Z,{arm},u{i}\n", i / 60, i % 60)
        })
        .collect();
    let units = read(&assigned(800), &lines).unwrap();
    let other = read(&format!("time,arm,unit\n{csv_log}"), &format!("unit,hit,note\n{rows}")).unwrap();
    assert_eq!(other, units);
    let compared = Experiment { margin: 0.1, ..Experiment::default() }.judge(&units);
    assert_eq!(
        (compared.finding.verdict.clone(), compared.finding.evidence[1].n),
        (Verdict::Pass, 800),
        "{compared:?}"
    );
}

#[test]
fn values_and_times_are_read_as_they_are_written() {
    let outcomes = "unit,value,time\nu0,1.5,0\nu0,2.5,10\nu1,-3e2,1970-01-01 00:00:07Z\nu1,7,0\nu0,2.5,10\n";
    let units = read(&assigned(2), outcomes).unwrap();
    let left_out = units.left_out();
    // One outcome is from before its unit was assigned, one is there twice.
    assert_eq!((left_out.early, left_out.duplicates), (1, 1));
    let numbered = "{\"unit\": 7, \"arm\": \"candidate\", \"time\": 0.5}\n{\"unit\": \"8\", \"arm\": \"baseline\", \"time\": 1}";
    assert_eq!(read(numbered, "unit,hit\n7,1\n8,0\n").unwrap().len(), 2);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_a_remedy() {
    let fine = assigned(4);
    for (log, outcomes, told) in [
        ("", "", "no unit is in arm `candidate` alone"),
        (
            &fine.replace(NEW, "Candidate"),
            "",
            "no unit is in arm `candidate` alone; name the arms as the log does",
        ),
        ("{\"unit\": \"a\", \"time\": 1}\n", "", "line 1: it has no `arm`; add it"),
        ("{\"unit\": \"a\", \"arm\": \"candidate\"}\n", "", "line 1: it has no `time`; add it"),
        ("{\"unit\": {}, \"arm\": \"candidate\", \"time\": 1}\n", "", "line 1: `unit` is no text"),
        (
            "\n{\"unit\": \"a\", \"arm\": \"candidate\", \"time\": \"yesterday\"}\n",
            "",
            "line 2: `time` is `\"yesterday\"`; write it in UTC",
        ),
        ("{\"unit\": \"a\", \"arm\": \"candidate\", \"time\": -1}\n", "", "`time` is `-1`"),
        ("{\"unit\": \"a\", \"arm\": \"candidate\", \"time\": 1e300}\n", "", "`time` is `1e+300`"),
        ("{\"unit\": \"a\"\n", "", "line 1: it is no JSON"),
        ("{}\n[1]\n", "", "line 1: it has no `arm`"),
        (&fine, "{\"unit\": \"u0\"}\n", "line 1: it has neither `value` nor `hit`"),
        (&fine, "{\"unit\": \"u0\", \"hit\": true, \"value\": 1}\n", "it has a `value` and a `hit`"),
        (&fine, "{\"unit\": \"u0\", \"hit\": 2}\n", "`hit` is `2`; write true or false"),
        (&fine, "{\"unit\": \"u0\", \"value\": \"much\"}\n", "`value` is `\"much\"` and no number"),
        (&fine, "unit,value\nu0,inf\n", "line 2: `value` is `\"inf\"` and no number"),
        (&fine, "unit,value\nu0\n", "the row has 1 cells and the header 2"),
        (
            &fine,
            "unit,hit\nu0,1\nu1,0\nu0,1\n",
            "line 4: the unit has an outcome already; give outcomes a `time`",
        ),
        (&fine, "\u{0}\u{1}\u{2}", "cells"),
    ] {
        match read(log, outcomes) {
            // A header of garbage and no row is no outcome at all.
            Ok(units) => assert_eq!((outcomes, units.len()), ("\u{0}\u{1}\u{2}", 4)),
            Err(error) => assert!(error.to_string().contains(told), "{error} does not say {told}"),
        }
    }
    let missing = Experiment::default().read("nowhere".as_ref(), "nowhere".as_ref()).unwrap_err().to_string();
    assert!(missing.starts_with("nowhere: it cannot be read"), "{missing}");
    for (experiment, told) in [
        (
            Experiment { baseline: NEW.to_owned(), ..Experiment::default() },
            "`baseline` is the arm of the candidate",
        ),
        (Experiment { split: (0.0, 1.0), ..Experiment::default() }, "`split` must be two numbers above 0"),
        (Experiment { mismatch: 0.0, ..Experiment::default() }, "`mismatch` 0 must be above 0"),
        (Experiment { margin: -1.0, ..Experiment::default() }, "`margin` -1 must be above 0"),
    ] {
        let error = experiment.read("nowhere".as_ref(), "nowhere".as_ref()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

/// Every beginning of a log, and every log with a byte changed, is read or refused, and nothing panics.
#[test]
fn damaged_logs_are_read_or_refused() {
    let log = assigned(6);
    let outcomes = "unit,value,time\nu0,1.5,1\nu1,2,\"3\"\nu2,0.5,1970-01-01T00:00:09Z\n";
    for cut in 0..log.len() {
        drop(read(&log[..cut], outcomes));
    }
    for at in 0..outcomes.len() {
        for byte in [b'"', b'\n', b',', b'{', 0, b'9'] {
            let mut damaged = outcomes.as_bytes().to_vec();
            damaged[at] = byte;
            drop(read(&log, &String::from_utf8(damaged).unwrap()));
        }
    }
    assert!(
        refused(&"[".repeat(100_000), "").contains("CSV") || !refused(&"[".repeat(100_000), "").is_empty()
    );
}
