//! Checks whose answers a judge scores.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use tidegate_validation::{
    AgentError, AgentId, FnAgent, Method, Reason, Record, Reply, Rule, Run, Suite, Verdict,
    checks::Cases,
    dataset::{Dataset, Options},
    scorer::{Assertion, Exact, Judge, JudgeCalibration, Rubric},
};

use crate::{check, report};

const RUBRIC: &str = "is even";

/// A judge that was tried on `n` answers of each kind, and was right about these shares of them.
fn calibration(n: u64, sensitivity: f64, specificity: f64) -> JudgeCalibration {
    let mut found = JudgeCalibration::empty(AgentId::new("judge"), Rubric::new(RUBRIC));
    found.true_passes = (n as f64 * sensitivity) as u64;
    found.false_fails = n - found.true_passes;
    found.true_fails = (n as f64 * specificity) as u64;
    found.false_passes = n - found.true_fails;
    found
}

fn cases(calibration: JudgeCalibration) -> Cases {
    let lines: String = (0..400).map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\"}}\n")).collect();
    let dataset = Dataset::from_bytes("lines", lines, &Options::default()).unwrap();
    Cases {
        assertions: vec![Assertion::Rubric(Rubric::new(RUBRIC)).into()],
        calibration: Some(Arc::new(calibration)),
        floor: 0.7,
        rule: Rule::Bound,
        ..check(dataset)
    }
}

/// Finds 80 of 100 answers good.
fn run() -> Run {
    let judge = FnAgent::new("judge", |request| async move {
        let answer = request.messages[1].content.split("[begin answer").nth(1).unwrap();
        let number: u32 = answer.lines().nth(1).unwrap().parse().unwrap();
        let word = if number % 10 < 8 { "pass" } else { "fail" };
        Ok(Reply::text(json!({"reasoning": "so it is", "verdict": word}).to_string()))
    });
    Run::new(7).judge(Judge::new(judge))
}

fn echo() -> FnAgent {
    FnAgent::new("echo", |request| async move { Ok(Reply::text(request.prompt())) })
}

#[tokio::test]
async fn a_rate_is_corrected_by_how_often_the_judge_errs() {
    let of = async |calibration| report(&Suite::new("s").with(cases(calibration)), &echo(), &run()).await;
    let strict = of(calibration(500, 0.9, 0.98)).await;
    let [raw, corrected] = &strict.findings[0].evidence[..] else { panic!("two numbers: {strict}") };
    assert_eq!((raw.estimate, corrected.method), (0.8, Method::LangReiczigel));
    // (0.8 + 0.98 − 1) / (0.9 + 0.98 − 1)
    assert!((corrected.estimate - 0.78 / 0.88).abs() < 1e-12, "{corrected}");
    assert_eq!(strict.findings[0].verdict, Verdict::Pass, "{strict}");
    // Half of what is between the bounds, times (z(0.95) + z(0.8))/z(0.95).
    let half = (corrected.upper.unwrap() - corrected.lower.unwrap()) / 2.0;
    assert!((corrected.detectable.unwrap() / half - (1.0 + 0.841_621_234 / 1.644_853_627)).abs() < 1e-6);
    assert!(corrected.detectable > raw.detectable, "the judge's errors hide as much");
    // A judge that finds bad answers good: the same 0.8 is then (0.8 − 0.35) / 0.63.
    let lenient = of(calibration(500, 0.98, 0.65)).await;
    assert!((lenient.findings[0].evidence[1].estimate - 0.45 / 0.63).abs() < 1e-12);
    assert!(matches!(lenient.findings[0].verdict, Verdict::Inconclusive(_)), "{lenient}");
}

#[tokio::test]
async fn a_judge_that_is_unfit_or_another_decides_nothing() {
    let told = async |cases: Cases, run: Run| {
        let report = report(&Suite::new("s").with(cases), &echo(), &run).await;
        match &report.findings[0].verdict {
            Verdict::Inconclusive(Reason::Infra { what }) => what.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert!(told(cases(calibration(500, 0.6, 0.6)), run()).await.contains("add up to 1.20"));
    assert!(
        told(cases(calibration(500, 0.7, 0.7)), run())
            .await
            .contains("kappa between people and the judge is 0.40")
    );
    assert!(told(cases(calibration(20, 0.9, 0.9)), run()).await.contains("tried on 20 good and 20 bad"));
    assert!(
        told(cases(calibration(500, 0.9, 0.9)), Run::new(7))
            .await
            .contains("give the run one with `Run::judge`")
    );
    let stranger = Run::new(7).judge(Judge::new(FnAgent::new("stranger", |_| async { Ok(Reply::text("")) })));
    assert!(told(cases(calibration(500, 0.9, 0.9)), stranger).await.contains("now `stranger`"));
    let other = JudgeCalibration::empty(AgentId::new("judge"), Rubric::new("is odd"));
    assert!(told(cases(other), run()).await.contains("calibrated as `is odd`"));
    let exact = Assertion::Exact(Exact { value: "x".into() });
    let mixed = cases(calibration(500, 0.9, 0.9));
    let mixed = Cases { assertions: [mixed.assertions.clone(), vec![exact.into()]].concat(), ..mixed };
    assert!(told(mixed, run()).await.contains("only assertion must be its `rubric`"));
}

/// As a suite's `Debug` has it.
fn digest(suite: &Suite) -> String {
    let debug = format!("{suite:?}");
    debug.split("digest: ").nth(1).unwrap().split(", allow").next().unwrap().to_owned()
}

#[test]
fn a_suite_file_holds_a_calibration_or_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let calibration = calibration(500, 0.9, 0.9);
    write("judge.json", &serde_json::to_string(&calibration).unwrap());
    let suite = |value: &str| {
        format!(
            "{{\"checks\": [{{\"kind\": \"cases\", \"cases\": [{{\"input\": \"1\"}}], \"assert\": [{{\"kind\": \"rubric\", \"rubric\": \"{RUBRIC}\"}}], \"calibration\": {value}}}]}}"
        )
    };
    write("suite.json", &suite("\"judge.json\""));
    let open = || Suite::open(directory.path().join("suite.json")).unwrap();
    let one = digest(&open());
    write("judge.json", &serde_json::to_string(&self::calibration(500, 0.9, 0.98)).unwrap());
    assert_ne!(digest(&open()), one, "it is a part of the suite");
    assert!(Suite::from_json(&suite(&serde_json::to_string(&calibration).unwrap())).is_ok());
    let told = |value: &str, path: &str, says: &str| {
        write("suite.json", &suite(value));
        let error = Suite::open(directory.path().join("suite.json")).unwrap_err();
        assert!(error.path() == path && error.to_string().contains(says), "{error}");
    };
    told("\"none.json\"", "checks[0].calibration", "cannot be read");
    told("\"../judge.json\"", "checks[0].calibration", "below the suite's directory");
    told("{\"judge\": \"x\"}", "checks[0].calibration", "missing field");
    told("{\"jugde\": \"x\"}", "checks[0].calibration.jugde", "did you mean `judge`");
}

/// Three questions are worth less than one trial, and a share of two thirds is no share of one.
#[tokio::test]
async fn the_share_of_clusters_is_not_rounded_up_before_it_is_corrected() {
    let lines: String = [0, 1, 8].map(|n| format!("{{\"input\": \"{n}\"}}\n")).concat();
    let dataset = Dataset::from_bytes("lines", lines, &Options::default()).unwrap();
    let cases =
        Cases { dataset, repeats: 5, rule: Rule::Point, floor: 0.8, ..cases(calibration(500, 0.9, 0.98)) };
    let report = report(&Suite::new("s").with(cases), &echo(), &run()).await;
    let corrected = &report.findings[0].evidence[1];
    assert!((corrected.estimate - (2.0 / 3.0 - 0.02) / 0.88).abs() < 1e-12, "{corrected}");
    assert_eq!(report.findings[0].verdict, Verdict::Fail, "{report}");
}

/// A miss within one of 59 clusters makes hardly any variance, so that 590 trials seem worth 572 that are independent; but
/// what was not seen in 59 questions may be there all the same, whoever judges.
///
/// Lang and Reiczigel's bounds at 95 %, worked out in Python from their formula: 0.966240 for 59 hits of 59, and 0.988104 for
/// the share with its effective number of trials alone.
#[tokio::test]
async fn a_corrected_rate_is_known_no_better_than_by_as_many_clusters() {
    let lines: String = (0..59).map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\"}}\n")).collect();
    let dataset = Dataset::from_bytes("lines", lines, &Options::default()).unwrap();
    let missed = Arc::new(AtomicBool::new(false));
    let judge = FnAgent::new("judge", move |request| {
        let once = request.messages[1].content.contains("\n7\n") && !missed.swap(true, Ordering::Relaxed);
        let word = if once { "fail" } else { "pass" };
        async move { Ok(Reply::text(json!({"reasoning": "so it is", "verdict": word}).to_string())) }
    });
    let cases = Cases { dataset, repeats: 10, floor: 0.975, ..cases(calibration(500, 0.98, 0.98)) };
    let run = Run::new(7).judge(Judge::new(judge));
    let report = report(&Suite::new("s").with(cases), &echo(), &run).await;
    let corrected = &report.findings[0].evidence[1];
    assert!((corrected.lower.unwrap() - 0.966_240).abs() < 1e-6, "{corrected}");
    assert_eq!((corrected.upper, corrected.n), (Some(1.0), 590));
    assert!(matches!(report.findings[0].verdict, Verdict::Inconclusive(Reason::TooFew { .. })), "{report}");
}

#[tokio::test]
async fn a_record_is_of_its_calibration() {
    let directory = tempfile::tempdir().unwrap();
    let of = async |calibration| {
        let run = run().record(Record::at(directory.path().join("record")));
        report(&Suite::new("s").with(cases(calibration)), &echo(), &run).await.to_string()
    };
    let first = of(calibration(500, 0.9, 0.98)).await;
    let other = of(calibration(400, 0.9, 0.98)).await;
    assert!(other.contains("what check `numbers` asks"), "{other}");
    assert_eq!(of(calibration(500, 0.9, 0.98)).await, first);
}

/// What a judge did not judge is asked again; what it stammered about is not.
#[tokio::test]
async fn a_judge_that_was_away_is_asked_when_the_run_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let record = || Record::at(directory.path().join("record"));
    let flaky = |down: bool| {
        let judge = FnAgent::new("judge", move |request| async move {
            let user = &request.messages[1].content;
            match () {
                () if user.contains("\n7\n") && down => Err(AgentError::Unavailable {
                    agent: AgentId::new("judge"),
                    why: "away".into(),
                    attempts: 1,
                    source: None,
                }),
                () if user.contains("\n9\n") => Ok(Reply::text("er")),
                () => Ok(Reply::text(json!({"reasoning": "", "verdict": "pass"}).to_string())),
            }
        });
        Run::new(7).judge(Judge::new(judge)).record(record())
    };
    let suite = || Suite::new("s").with(Cases { calibration: None, ..cases(calibration(500, 0.9, 0.9)) });
    let unknown = |report: &tidegate_validation::Report| report.findings[0].evidence[0].unknown;
    assert_eq!(unknown(&report(&suite(), &echo(), &flaky(true)).await), 2);
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&asked);
    let counted = FnAgent::new("echo", move |request| {
        sink.lock().unwrap().push(request.prompt().to_owned());
        async move { Ok(Reply::text(request.prompt())) }
    });
    assert_eq!(unknown(&report(&suite(), &counted, &flaky(false)).await), 1);
    assert_eq!(*asked.lock().unwrap(), ["7"]);
}
