//! Windows on standard input, judged as they come.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread,
};

use serde_json::{Value, json};

use super::desk::{Desk, Run};

/// `(n_c, n_b, x_c, x_b)` and the evidence for a failure after each, from exact rational arithmetic.
const GOLDEN: [((u64, u64, u64, u64), f64); 5] = [
    ((100, 900, 3, 9), 1.623_556_345),
    ((100, 900, 1, 10), 0.945_846_484_1),
    ((120, 880, 4, 8), 3.137_699_929),
    ((100, 900, 0, 7), 1.567_208_865),
    ((500, 500, 12, 6), 3.475_310_307),
];

/// The lines of the golden windows, which end at 0, 1, 2, 3 and 4.
fn golden() -> Vec<String> {
    let lines = (0..).zip(&GOLDEN).map(|(end, ((n_c, n_b, x_c, x_b), _))| {
        let end: u64 = end;
        window(&json!(end), "errors", (x_c, n_c), (x_b, n_b))
    });
    lines.collect()
}

fn window(end: &Value, metric: &str, candidate: (&u64, &u64), baseline: (&u64, &u64)) -> String {
    let side = |(x, n): (&u64, &u64)| json!({ "n": n, "x": x });
    json!({ "end": end, "metric": metric, "candidate": side(candidate), "baseline": side(baseline) })
        .to_string()
}

/// Judges so many windows of a candidate with this share of errors and a baseline that has 1 %.
fn windows(count: usize, metric: &str, errors: u64) -> Vec<String> {
    (0..count).map(|end| window(&json!(end), metric, (&errors, &100), (&10, &1000))).collect()
}

pub(crate) fn feed(desk: &Desk, arguments: &[&str], input: &[u8]) -> Run {
    let mut command = desk.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.to_owned());
    // A program that ends early reads no more, which is for the test to see in its answer.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("a child");
    writer.join().expect("the writer does not panic");
    Run::of(&output)
}

fn judge(desk: &Desk, more: &[&str], lines: &[String]) -> Run {
    feed(desk, &[&["judge"], more].concat(), lines.join("\n").as_bytes())
}

fn answers(run: &Run) -> Vec<Value> {
    run.out.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
}

/// A judge that is fed line by line.
struct Sitting {
    child: Child,
    stdin: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
}

impl Sitting {
    fn new(desk: &Desk, more: &[&str]) -> Self {
        let mut command = desk.command(&[&["judge", "--json"], more].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { stdin: child.stdin.take(), out, child }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("a pipe"), "{line}").expect("it reads");
    }

    /// The next answer, as soon as it is there.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("text");
        line
    }
}

#[test]
fn evidence_is_as_computed_elsewhere() {
    let desk = Desk::new();
    let run = judge(&desk, &["--json"], &golden()).is(3);
    let answers = answers(&run);
    assert_eq!(answers.len(), GOLDEN.len());
    for (end, (answer, (_, expected))) in answers.iter().zip(GOLDEN).enumerate() {
        let e = answer["log_e_fail"].as_f64().unwrap().exp();
        assert!((e / expected - 1.0).abs() < 1e-9, "{e} {expected}");
        assert_eq!((&answer["end"], &answer["metric"]), (&json!(end), &json!("errors")));
        assert_eq!(answer["verdict"], "inconclusive");
    }
    let last = &answers[4];
    assert!((last["p"].as_f64().unwrap() - 1.0 / 3.475_310_307).abs() < 1e-9);
    assert_eq!(last["n"], json!({ "candidate": 920, "baseline": 4080 }));
    assert_eq!(last["x"], json!({ "candidate": 20, "baseline": 40 }));
    let bounds = [&last["interval"][0], &last["interval"][1]].map(|bound| bound.as_f64().unwrap());
    let effect = last["effect"].as_f64().unwrap();
    assert!(bounds[0] < 1.0 && 1.0 < effect && effect < bounds[1], "{last}");
    assert!(last["why"].as_str().unwrap().contains("over 5 windows"));
    // Against an odds ratio of 1.5, in favour of 0.5, 0.8 and 1 in its units: no golden value, but it fell.
    assert!(last["log_e_pass"].as_f64().unwrap() < 0.0);
}

#[test]
fn the_exit_status_is_the_verdict() {
    let desk = Desk::new();
    let says = |lines: &[String], status: i32, word: &str| {
        let run = judge(&desk, &["--json"], lines).is(status);
        assert_eq!(answers(&run).last().unwrap()["verdict"], word);
        let text = judge(&desk, &[], lines).is(status);
        assert_eq!(text.out.lines().count(), lines.len() + 1, "{text:?}");
    };
    says(&windows(60, "errors", 1), 0, "pass");
    says(&windows(9, "errors", 9), 1, "fail");
    says(&windows(1, "errors", 1), 3, "inconclusive");
    let empty = judge(&desk, &[], &[]).is(3);
    assert!(empty.out.contains("there was no window"), "{empty:?}");
    assert_eq!(judge(&desk, &["--json"], &[String::new(), "  ".to_owned()]).is(3).out, "");
}

#[test]
fn each_metric_is_judged_by_itself() {
    let desk = Desk::new();
    let (good, bad) = (windows(60, "errors", 1), windows(60, "refusals", 9));
    let mixed: Vec<_> = good.iter().zip(&bad).flat_map(|(one, other)| [one.clone(), other.clone()]).collect();
    let run = judge(&desk, &["--json"], &mixed).is(1);
    let alone = judge(&desk, &["--json"], &good).is(0);
    let of_errors: Vec<_> = run.out.lines().filter(|line| line.contains(r#""metric":"errors""#)).collect();
    assert_eq!(of_errors, alone.out.lines().collect::<Vec<_>>());
    let text = judge(&desk, &[], &mixed).is(1);
    assert!(text.out.ends_with("All 2 metrics together: fail.\n"), "{text:?}");

    desk.write("criteria.json", br#"{"errors": {"rule": {"compare": {}}}, "refusals": {"rule": {"compare": {}}, "importance": "advisory"}}"#);
    judge(&desk, &["--criterion", "criteria.json"], &mixed).is(0);
    // What is required and was never observed has not passed.
    desk.write("criteria.toml", b"[errors.rule.compare]\nalpha = 0.01\n[refusals.rule.compare]\n");
    judge(&desk, &["--criterion", "criteria.toml"], &good).is(3);
    desk.write("one.json", br#"{"metric": "errors", "rule": {"compare": {}}}"#);
    judge(&desk, &["--criterion", "one.json"], &mixed).is(2);
    desk.write("list.json", br#"[{"metric": "errors", "rule": {"compare": {}}}]"#);
    let run = judge(&desk, &["--criterion", "list.json"], &mixed).is(2);
    assert!(run.err.contains("line 2") && run.err.contains("there is one for errors"), "{run:?}");
}

#[test]
fn neither_order_nor_repetition_matters_in_the_end() {
    let desk = Desk::new();
    let lines = golden();
    let last = |lines: &[String]| {
        let run = judge(&desk, &[], lines).is(3);
        run.out.lines().last().unwrap().to_owned()
    };
    let expected = last(&lines);
    for turned in 0..lines.len() {
        let mut shuffled = lines.clone();
        shuffled.rotate_left(turned);
        assert_eq!(last(&shuffled), expected);
        shuffled.reverse();
        assert_eq!(last(&shuffled), expected);
        shuffled.swap(1, 3);
        assert_eq!(last(&[shuffled.clone(), shuffled].concat()), expected);
    }
    // Of what comes again the answer is what all windows say, so that the last line is the same, too.
    let once = judge(&desk, &["--json"], &lines).is(3).out;
    let twice = judge(&desk, &["--json"], &[lines.clone(), lines].concat()).is(3).out;
    assert!(twice.starts_with(&once));
    assert_eq!(twice.lines().last(), once.lines().last());
    assert_eq!(twice.lines().count(), 10);
}

#[test]
fn ends_are_given_back_as_they_came() {
    let desk = Desk::new();
    let ends = ["0", "1.50", "2e0", r#""1970-01-01T00:00:03Z""#, r#""1970-01-01T02:00:04.5+02:00""#];
    let line = |end: &&str| {
        format!(
            r#"{{"metric": "m", "end" : {end}, "candidate": {{"x":1,"n":9.0}}, "baseline": {{"n":1e1,"x":1}}}}"#
        )
    };
    let lines: Vec<String> = ends.iter().map(line).collect();
    let run = judge(&desk, &["--json"], &lines).is(3);
    for (answer, end) in run.out.lines().zip(ends) {
        assert!(answer.starts_with(&format!(r#"{{"end":{end},"metric":"m","#)), "{answer}");
    }
    // Both of these mean 1.5, so it is one window.
    let again = judge(&desk, &["--json"], &[lines[1].clone(), lines[1].replace("1.50", "15e-1")]).is(3);
    assert_eq!(answers(&again)[1]["n"]["candidate"], 9);
}

#[test]
fn a_window_with_other_numbers_is_an_error() {
    let desk = Desk::new();
    let mut lines = golden();
    lines.push(lines[1].replace("10", "11"));
    let run = judge(&desk, &[], &lines).is(2);
    assert!(run.err.contains("line 6") && run.err.contains("in line 2"), "{run:?}");
    let spans = [(60, 120), (119, 180)];
    let spans = spans.map(|(start, end)| json!({ "start": start, "end": end, "metric": "m" }).to_string());
    judge(&desk, &[], &spans[..1]).is(3);
    let run = judge(&desk, &[], &spans).is(2);
    assert!(run.err.contains("line 2") && run.err.contains("overlaps that of line 1"), "{run:?}");
    let next = json!({ "start": 120, "end": 180, "metric": "m" }).to_string();
    judge(&desk, &[], &[next, spans[0].clone()]).is(3);
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    let desk = Desk::new();
    let side = |side: &str| {
        format!(r#"{{"end":5,"metric":"errors","baseline":{{"n":9,"x":0}},"candidate":{side}}}"#)
    };
    let lines = [
        ("[1, 2]".to_owned(), "no JSON object"),
        (r#"{"end":5,"#.to_owned(), "EOF"),
        (r#"{"metric":"errors"}"#.to_owned(), "missing field `end`"),
        (r#"{"end":5,"metric":"errors","candidat":null}"#.to_owned(), "unknown field `candidat`"),
        (r#"{"end":5,"metric":""}"#.to_owned(), "metric is empty"),
        (r#"{"end":-5,"metric":"errors"}"#.to_owned(), "end is -5"),
        (r#"{"end":1e400,"metric":"errors"}"#.to_owned(), "end is 1e400"),
        (r#"{"end":1e18,"metric":"errors"}"#.to_owned(), "year 10000"),
        (r#"{"end":"noon","metric":"errors"}"#.to_owned(), "seconds since 1970"),
        (r#"{"start":5,"end":5,"metric":"errors"}"#.to_owned(), "starts before it ends"),
        (side("[9, 1]"), "candidate: [9, 1] is no side"),
        (side(r#"{"n":9}"#), "not clear what was observed"),
        (side(r#"{"n":9,"x":10}"#), "x is 10 of 9"),
        (side(r#"{"n":-9,"x":0}"#), "`-9`, expected a whole number"),
        (side(r#"{"n":9,"x":0.5}"#), "`0.5`, expected a whole number"),
        (side(r#"{"n":1e400,"x":0}"#), "number out of range"),
        (side(r#"{"n":1099511627777,"x":0}"#), "from 0 to 1099511627776"),
        (side(r#"{"n":9,"n":10,"x":0}"#), "duplicate field `n`"),
        (side(r#"{"n":9,"x":0,"values":[]}"#), "not clear what was observed"),
        (side(r#"{"edges":[2,1],"counts":[1,1,1]}"#), "edges must ascend"),
        (side(r#"{"sum":1,"count":0}"#), "count is 0"),
        (side(r#"{"strata":{}}"#), "at least one"),
        (side(r#"{"strata":{"a":{"n":9,"x":10}}}"#), "stratum `a`: x is 10 of 9"),
        (side(r#"{"strata":{"a":{"strata":{"b":{"n":1,"x":1}}}}}"#), "stratum `a`"),
        (side(&"[".repeat(100_000)), "no window"),
        (format!(r#"{{"end":5,"metric":"{}"}}"#, "m".repeat(1 << 20)), "longer than 1 MiB"),
    ];
    for (line, problem) in lines {
        let run = judge(&desk, &[], &[golden()[0].clone(), String::new(), line]).is(2);
        assert!(run.err.starts_with("error: line 3 ") && run.err.contains(problem), "{problem}: {}", run.err);
        assert_eq!(run.out.lines().count(), 1, "what came before is answered");
    }
    let run = feed(&desk, &["judge", "--json"], b"{\"end\":5,\"metric\":\"\xff\"}\n").is(2);
    assert_eq!(answers(&run)[0]["error"]["kind"], "usage");
    assert!(run.err.contains("line 1 is no UTF-8"), "{run:?}");
}

#[test]
fn counts_of_any_size_are_judged() {
    let desk = Desk::new();
    let most = 1_u64 << 40;
    let sizes = [
        (most, most, 0, most),
        (most / 2, most, most / 2, most),
        (0, most, most, most),
        (1, 1, 1, most),
        (0, 0, 0, 0),
    ];
    let lines: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(end, (x_c, n_c, x_b, n_b))| window(&json!(end), "errors", (x_c, n_c), (x_b, n_b)))
        .collect();
    for answer in answers(&judge(&desk, &["--json"], &lines).is(1)) {
        assert!(answer["log_e_fail"].is_number() && answer["log_e_pass"].is_number(), "{answer}");
    }
}

#[test]
fn what_is_missing_is_said_and_is_no_evidence() {
    let desk = Desk::new();
    let missing = [
        r#"{"end":61,"metric":"errors","candidate":null,"baseline":{"n":1000,"x":10}}"#,
        r#"{"end":61,"metric":"errors","candidate":{"n":100,"x":1}}"#,
    ];
    for line in missing {
        let mut lines = windows(60, "errors", 1);
        judge(&desk, &[], &lines).is(0);
        lines.push(line.to_owned());
        let run = judge(&desk, &["--json"], &lines).is(3);
        assert!(answers(&run)[60]["why"].as_str().unwrap().contains("no data"), "{run:?}");
    }
}

#[test]
fn other_tests_take_what_they_judge() {
    let desk = Desk::new();
    let sides = |end: u64, candidate: Value, baseline: Value| {
        json!({ "end": end, "metric": "m", "candidate": candidate, "baseline": baseline }).to_string()
    };
    let values = |from: f64| json!({ "values": (0..50).map(|n| from + f64::from(n % 10) / 100.0).collect::<Vec<_>>() });
    let says = |options: &[&str], status: i32, line: &dyn Fn(u64) -> String| {
        let lines: Vec<String> = (0..40).map(line).collect();
        let run = judge(&desk, &[&["--json"], options].concat(), &lines).is(status);
        assert_eq!(run.out.lines().count(), 40, "{run:?}");
    };
    let worse = |end: u64| sides(end, values(0.3), values(0.6));
    let same = |end: u64| sides(end, values(0.6), values(0.6));
    says(&["--test", "scores"], 1, &worse);
    says(&["--test", "scores"], 0, &same);
    says(&["--test", "scores", "--better", "lower"], 0, &worse);
    says(&["--test", "means"], 1, &|end| sides(end, values(0.6), values(0.3)));
    says(&["--test", "ranks", "--windows", "5"], 1, &|end| sides(end, values(0.6), values(0.3)));
    says(&[], 1, &|end| sides(end, values(0.6), values(0.3)));
    says(&["--test", "limit", "--statistic", "p95", "--at-most", "0.8"], 0, &same);
    says(&["--test", "limit", "--statistic", "mean", "--at-least", "0.8"], 1, &same);
    let counts = |x: u64| json!({ "n": 100, "x": x });
    says(&["--test", "limit", "--at-most", "0.02"], 1, &|end| sides(end, counts(9), Value::Null));
    says(&["--test", "limit", "--at-least", "0.5"], 0, &|end| sides(end, counts(90), Value::Null));
    says(&["--test", "symmetric"], 1, &|end| sides(end, counts(9), counts(2)));
    says(&["--better", "higher"], 1, &|end| sides(end, counts(80), counts(95)));
    says(&["--tolerated", "20"], 0, &|end| sides(end, counts(9), counts(2)));
    let histogram = |low: u64| json!({ "edges": [0.1, 0.5], "counts": [low, 100 - low, 0] });
    says(&["--test", "limit", "--statistic", "p50", "--at-most", "0.1"], 1, &|end| {
        sides(end, histogram(20), Value::Null)
    });
    let strata =
        |x: u64| json!({ "strata": { "/chat": { "n": 100, "x": x }, "/embed": { "n": 50, "x": 1 } } });
    says(&[], 1, &|end| sides(end, strata(9), strata(1)));
}

#[test]
fn options_that_make_no_sense_are_named() {
    let desk = Desk::new();
    let refused = |options: &[&str], words: &[&str]| judge(&desk, options, &golden()).is(2).says(words);
    refused(&["--alpha", "2"], &["alpha is 2, not between 0 and 1"]);
    refused(&["--alpha", "-1", "--dispersion", "0.5"], &["alpha is -1", "dispersion is 0.5"]);
    refused(&["--beta", "often"], &["--beta"]);
    refused(&["--test", "limit"], &["--at-most 0.02"]);
    refused(&["--test", "limit", "--at-most", "2"], &["bound is 2"]);
    refused(&["--test", "limit", "--at-most", "1", "--at-least", "1"], &["--at-least"]);
    refused(&["--test", "limit", "--at-most", "1", "--statistic", "p100"], &["p99.9"]);
    refused(
        &["--test", "limit", "--at-most", "1", "--tolerated", "2"],
        &["--tolerated has no part in --test limit"],
    );
    refused(&["--windows", "9"], &["--windows has no part in --test conditional"]);
    refused(&["--test", "symmetric", "--tolerated", "2"], &["tolerated is 2"]);
    refused(&["--criterion", "none.json"], &["none.json", "cannot be read"]);
    refused(&["--criterion", "none.json", "--alpha", "0.1"], &["--criterion", "--alpha"]);
    let criteria: [(&[u8], &str); 7] = [
        (b"{", "EOF"),
        (b"[]", "no criterion"),
        (b"7", "no criterion"),
        (br#"{"metric": "m", "rule": {"compare": {"alpa": 1}}}"#, "unknown field `alpa`"),
        (br#"{"metric": "m", "rule": {"compare": {"alpha": 1}}}"#, "alpha is 1"),
        (br#"{"m": {"metric": "n", "rule": {"compare": {}}}}"#, "has n under the name m"),
        (
            br#"[{"metric": "m", "rule": {"compare": {}}}, {"metric": "m", "rule": {"compare": {}}}]"#,
            "two criteria for m",
        ),
    ];
    for (file, problem) in criteria {
        desk.write("c.json", file);
        refused(&["--criterion", "c.json"], &["c.json", problem]);
    }
}

#[test]
fn each_line_is_answered_at_once() {
    let desk = Desk::new();
    let mut sitting = Sitting::new(&desk, &[]);
    for (end, line) in golden().iter().enumerate() {
        sitting.say(line);
        assert!(sitting.answer().starts_with(&format!(r#"{{"end":{end},"#)));
    }
    assert!(sitting.child.try_wait().unwrap().is_none(), "it waits for more");
    drop(sitting.stdin.take());
    assert_eq!(sitting.child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = Desk::new();
    let mut sitting = Sitting::new(&desk, &[]);
    sitting.say(&golden()[0]);
    sitting.answer();
    let Sitting { child, mut stdin, out } = sitting;
    drop(out);
    writeln!(stdin.as_mut().unwrap(), "{}", golden()[1]).unwrap();
    let run = Run::of(&child.wait_with_output().unwrap()).is(3);
    assert_eq!(run.err, "");
}

#[test]
fn a_judge_that_was_killed_goes_on() {
    let desk = Desk::new();
    let lines = golden();
    let whole = judge(&desk, &["--json"], &lines).is(3).out;
    let mut sitting = Sitting::new(&desk, &["--state", "s"]);
    for line in &lines[..3] {
        sitting.say(line);
        sitting.answer();
    }
    let busy = judge(&desk, &["--state", "s"], &[]).is(2);
    assert!(busy.err.contains("in use by another judge"), "{busy:?}");
    // SIGKILL, where there are signals.
    sitting.child.kill().unwrap();
    sitting.child.wait().unwrap();
    // As if it had been killed while it wrote.
    let mut state = fs::read(desk.path("s")).unwrap();
    state.extend_from_slice(&lines[3].as_bytes()[..40]);
    desk.write("s", &state);

    // It is fed what was answered last once more, and the rest.
    let rest = judge(&desk, &["--json", "--state", "s"], &lines[2..]).is(3).out;
    assert_eq!(rest.lines().collect::<Vec<_>>(), whole.lines().skip(2).collect::<Vec<_>>());
    let kept = fs::read_to_string(desk.path("s")).unwrap();
    assert_eq!(kept.lines().skip(1).collect::<Vec<_>>(), lines);
    let text = judge(&desk, &["--state", "s"], &[]).is(3).out;
    assert_eq!(Some(text.trim_end()), judge(&desk, &[], &lines).is(3).out.lines().last());
}

#[test]
fn a_state_of_other_windows_is_refused_and_left_alone() {
    let desk = Desk::new();
    let lines = golden();
    judge(&desk, &["--state", "s", "--alpha", "0.01"], &lines).is(3);
    let before = fs::read(desk.path("s")).unwrap();
    judge(&desk, &["--state", "s"], &[]).is(2).says(&["other options", "0.01"]);
    let conflict = [lines[1].replace("10", "11")];
    judge(&desk, &["--state", "s", "--alpha", "0.01"], &conflict)
        .is(2)
        .says(&["line 1 ", "line 3 of state `s`"]);
    assert_eq!(fs::read(desk.path("s")).unwrap(), before);

    for foreign in
        ["my notes", "my notes\n", "{}\n", r#"{"tidegateJudge":2,"criteria":{"each":{"compare":{}}}}"#]
    {
        desk.write("notes", foreign.as_bytes());
        judge(&desk, &["--state", "notes"], &lines).is(2).says(&["notes", "name another file"]);
        assert_eq!(fs::read(desk.path("notes")).unwrap(), foreign.as_bytes());
    }
    judge(&desk, &["--state", "no/where"], &lines).is(2).says(&["cannot be opened"]);
    // Killed while it wrote its first line.
    desk.write("s", &before[..20]);
    judge(&desk, &["--state", "s", "--alpha", "0.01"], &lines).is(3);
    assert_eq!(fs::read(desk.path("s")).unwrap(), before);
    // A line in the midst of it that is damaged is not passed over.
    desk.write("s", String::from_utf8(before).unwrap().replace(r#""end":2"#, r#""end":?"#).as_bytes());
    judge(&desk, &["--state", "s", "--alpha", "0.01"], &[]).is(2).says(&["line 4 of state `s`"]);
}
