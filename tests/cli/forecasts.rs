//! How long a comparison will take, and what it would have said of versions that were the same.

use serde_json::{Value, json};

use super::{desk::Desk, judge::feed};

const PLAN: [&str; 9] =
    ["plan", "--rate", "0.01", "--odds-ratio", "2", "--weight", "0.1", "--requests", "1000"];

fn plan(more: &[&'static str]) -> Vec<&'static str> {
    [&PLAN, more].concat()
}

#[test]
fn a_plan_says_how_long_it_takes() {
    let desk = Desk::new();
    let plan_json = desk.json(&plan(&[]));
    // (ln 20 + ln 8) / KL(2/11 ‖ 1/10), by hand.
    assert!((plan_json["hits"].as_f64().unwrap() - 165.225_873_651).abs() < 1e-6, "{plan_json}");
    // 4000 simulated rollouts elsewhere: half within 12 windows, nine tenths within 28; a pass in 10 and 27.
    let after = |side: &str, which: &str, by: &str| plan_json[side][which][by].as_u64().unwrap();
    assert!((10..=14).contains(&after("regression", "fail", "median")), "{plan_json}");
    assert!((24..=32).contains(&after("regression", "fail", "p90")), "{plan_json}");
    assert!((8..=12).contains(&after("same", "pass", "median")), "{plan_json}");
    assert!(plan_json["same"]["fail"]["share"].as_f64().unwrap() <= 0.05, "{plan_json}");
    assert_eq!(plan_json["scenario"]["requests"], 1000);

    let text = desk.run(&plan(&["--window", "5m"])).is(0).out;
    for words in ["166 hits", "16 windows (1h 20m)", "400 rollouts", "false alarms; at most 5 %"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(desk.run(&plan(&["--window", "5m"])).out, text, "the same seed, the same plan");
    assert_ne!(desk.run(&plan(&["--window", "5m", "--seed", "1000"])).out, text);
}

#[test]
fn several_plans_are_a_table() {
    let desk = Desk::new();
    let several = [
        "plan",
        "--rate",
        "0.01",
        "--odds-ratio",
        "2,5",
        "--weight",
        "0.1,0.5",
        "--requests",
        "1000",
        "--runs",
        "20",
    ];
    let table = desk.run(&several).is(0).out;
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.starts_with("WEIGHT  ODDS RATIO  HITS "), "{table}");
    let all = desk.json(&several);
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(all[3]["scenario"]["weight"], 0.5);
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let desk = Desk::new();
    let refused = |option: &'static str, value: &'static str, word: &str| {
        let mut arguments = PLAN.to_vec();
        match arguments.iter().position(|known| *known == option) {
            Some(at) => arguments[at + 1] = value,
            None => arguments.extend([option, value]),
        }
        desk.run(&arguments).is(2).says(&[word]);
    };
    refused("--rate", "2", "rate is 2");
    refused("--rate", "NaN", "rate is NaN");
    refused("--odds-ratio", "1", "odds-ratio is 1, but 1 is tolerated");
    refused("--weight", "0", "weight is 0");
    refused("--requests", "0", "requests is 0");
    refused("--alpha", "0", "alpha is 0");
    refused("--runs", "0", "runs");
    refused("--test", "symmetric", "--weight is 0.1");
    refused("--window", "often", "90s");
}

/// Windows of 500 requests on either side, with so many errors.
fn history(errors: impl Fn(u64) -> (u64, u64), windows: u64) -> String {
    let line = |end: u64| {
        let (candidate, baseline) = errors(end);
        let side = |x: u64| json!({ "n": 500, "x": x });
        json!({ "end": end, "metric": "errors", "candidate": side(candidate), "baseline": side(baseline) })
    };
    (0..windows).map(|end| format!("{}\n", line(end))).collect()
}

#[test]
fn a_quiet_history_keeps_its_promise() {
    let desk = Desk::new();
    let quiet = history(|end| (4 + end % 3, 4 + (end + 1) % 3), 300);
    desk.write("history.jsonl", quiet.as_bytes());
    let run = desk.run(&["calibrate", "history.jsonl", "--length", "30"]).is(0);
    assert!(run.out.starts_with("errors: no more false alarms than 5 %"), "{run:?}");
    let piped = feed(&desk, &["calibrate", "-", "--length", "30", "--json"], quiet.as_bytes()).is(0);
    let shown: Value = serde_json::from_str(&piped.out).unwrap();
    assert_eq!(shown["metrics"][0]["calibration"]["asIs"]["share"], 0.0);
    assert_eq!(shown["metrics"][0]["keeps"], true);
    // Both sides have one candidate's window in three more errors than the other; that is less than by chance.
    assert_eq!(shown["metrics"][0]["calibration"]["recommended"], 1.0);
}

#[test]
fn bursts_are_seen_and_a_remedy_is_suggested() {
    let desk = Desk::new();
    // Thirty errors of one client, now on the one side, now on the other, as a coin says.
    let coin = |end: u64| end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
    let bursts = history(
        |end| match coin(end) {
            0 => (35, 5),
            1 => (5, 35),
            _ => (5, 5),
        },
        600,
    );
    let run = feed(&desk, &["calibrate", "--length", "30", "--json"], bursts.as_bytes()).is(1);
    let shown: Value = serde_json::from_str(&run.out).unwrap();
    let calibration = &shown["metrics"][0]["calibration"];
    assert!(calibration["asIs"]["share"].as_f64().unwrap() > 0.2, "{calibration}");
    assert!(calibration["dispersion"]["between"].as_f64().unwrap() > 5.0, "{calibration}");
    let suggested = shown["metrics"][0]["suggested"].as_str().unwrap();
    assert!(suggested.contains("--dispersion"), "{suggested}");
    // The suggestion holds on the history that it was made for.
    let mut arguments = vec!["calibrate", "--length", "30"];
    arguments.extend(suggested.split(' '));
    feed(&desk, &arguments, bursts.as_bytes()).is(0);
}

#[test]
fn a_history_too_short_says_so() {
    let desk = Desk::new();
    let run = feed(&desk, &["calibrate", "--length", "30"], history(|_| (5, 5), 59).as_bytes()).is(3);
    assert!(run.out.contains("59 windows") && run.out.contains("takes 60"), "{run:?}");
    feed(&desk, &["calibrate", "--length", "30"], b"").is(3);
    feed(&desk, &["calibrate", "--length", "30"], b"{}\n").is(2).says(&["line 1", "missing field"]);
    desk.run(&["calibrate", "none.jsonl", "--length", "30"]).is(2).says(&["none.jsonl"]);
    desk.run(&["calibrate", "--length", "0"]).is(2).says(&["--length"]);
    desk.run(&["calibrate"]).is(2).says(&["--length"]);
}
