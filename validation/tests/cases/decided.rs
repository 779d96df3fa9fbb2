//! Whole records: whatever a check of them found is found again, and nobody is asked.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidegate_validation::{
    FnAgent, Record, Reply, Report, Rule, Run, Suite, Validator, Verdict,
    checks::{
        AnswerCase, Answers, Calibration, Consistency, Latency, Load, Matching, OverRefusal, Refusal, Safety,
        Smoke, SmokeCase, Tokens, TopicCase, Topics,
    },
    dataset::Dataset,
    load::{Arrivals, Limit},
    testkit::WordCounts,
};
use tokio::time::sleep;

use crate::{numbers, report};

const RULE: Rule = Rule::Point;
const QUICK: Duration = Duration::from_secs(1);

fn prompts() -> Vec<String> {
    vec!["1".to_owned(), "2".to_owned()]
}

/// Answers a number with itself, quickly and sure of it; or, if it is no good model, slowly with something else each
/// time, just as sure.
fn agent(good: bool, asked: &Arc<AtomicUsize>) -> FnAgent {
    let asked = Arc::clone(asked);
    FnAgent::new("agent", move |request| {
        let time = asked.fetch_add(1, Ordering::Relaxed);
        let number = request.prompt().lines().next().unwrap_or_default().to_owned();
        async move {
            sleep(if good { QUICK / 100 } else { QUICK * 4 }).await;
            let said = if good {
                format!("{number}\nConfidence: 100 %")
            } else {
                format!("no. {time} Confidence: 100 %")
            };
            Ok(Reply::text(said).with_usage(4, if good { 8 } else { 200 }))
        }
    })
}

/// A suite with `check` alone.
fn of(check: impl Validator) -> Suite {
    Suite::new("s").with(check)
}

/// A suite of each kind that asks and keeps no trials, by the questions of a dataset where it has one.
fn unlisted(dataset: Dataset) -> [Suite; 5] {
    let cases =
        || prompts().into_iter().map(|input| SmokeCase { target: Some(input.clone()), input }).collect();
    [
        of(Consistency { prompts: prompts(), repeats: 2, rule: RULE, ..Consistency::default() }),
        of(Latency { prompts: prompts(), max: QUICK, rule: RULE, ..Latency::default() }),
        of(Smoke { cases: cases(), ..Smoke::default() }),
        of(Calibration { dataset: Some(dataset), rule: RULE, ..Calibration::default() }),
        of(Load {
            prompts: prompts(),
            arrivals: Arrivals::Constant,
            duration: 20 * QUICK,
            limits: vec![Limit::latency(0.95, QUICK)],
            rule: RULE,
            ..Load::default()
        }),
    ]
}

/// A suite of each kind that keeps trials of its own questions.
fn listed() -> [Suite; 6] {
    let answers = prompts().into_iter().map(|input| AnswerCase { target: input.clone(), input });
    let topics = prompts().into_iter().map(|input| TopicCase { topics: vec![input.clone()], input });
    [
        of(Answers {
            cases: answers.collect(),
            matching: Matching::Contains,
            rule: RULE,
            ..Answers::default()
        }),
        of(Topics { cases: topics.collect(), rule: RULE, ..Topics::default() }),
        of(Tokens { prompts: prompts(), rule: RULE, ..Tokens::default() }),
        of(Refusal { prompts: prompts(), rule: RULE, ..Refusal::default() }),
        of(OverRefusal { prompts: prompts(), rule: RULE, ..OverRefusal::default() }),
        of(Safety { prompts: prompts(), rule: RULE, ..Safety::default() }),
    ]
}

async fn made(suite: &Suite, path: &Path, good: bool) -> (Report, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let run = Run::new(7).record(Record::at(path));
    let report = report(suite, &agent(good, &asked), &run).await;
    (report, asked.load(Ordering::Relaxed))
}

/// Verdicts, numbers and inputs; what was said is not kept of answers that are as they should be.
fn essence(report: &Report) -> String {
    let essence = report.findings.iter().map(|finding| {
        let cases: Vec<_> = finding.cases.iter().map(|case| (&case.input, case.outcome)).collect();
        (&finding.verdict, &finding.claim, &finding.evidence, cases)
    });
    format!("{:?}", essence.collect::<Vec<_>>())
}

/// The run without a record, the run that makes one and the run that has all of it say the same.
#[tokio::test(start_paused = true)]
async fn a_whole_record_gives_the_verdict_and_asks_nobody() {
    for good in [true, false] {
        let unlisted = unlisted(numbers(200)).map(|suite| (suite, true));
        for (suite, keeps_no_trials) in unlisted.into_iter().chain(listed().map(|suite| (suite, false))) {
            let check = suite.checks().next().unwrap().to_owned();
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("record");
            let plain = report(&suite, &agent(good, &Arc::default()), &Run::new(7)).await;
            let (first, asked) = made(&suite, &path, good).await;
            let before = std::fs::read_to_string(&path).unwrap();
            let (again, nobody) = made(&suite, &path, good).await;
            let decided = matches!(first.findings[0].verdict, Verdict::Pass | Verdict::Fail);
            assert!(decided && asked > 0, "{check} of a model that is {good}: {first}");
            assert_eq!(nobody, 0, "{check} is asked again");
            assert_eq!(essence(&again), essence(&first), "{check}");
            assert_eq!(again.findings[0].verdict, plain.findings[0].verdict, "{check}");
            assert_eq!(again.spent, first.spent, "{check}");
            let after = std::fs::read_to_string(&path).unwrap();
            assert!(!keeps_no_trials || (after == before && again.findings == first.findings), "{check}");
        }
    }
}

/// Of checks that keep no trials the finding is kept to the letter, whatever was said.
#[tokio::test(start_paused = true)]
async fn what_decided_is_not_asked_again_though_the_model_is_another_now() {
    for suite in unlisted(numbers(200)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let (first, _) = made(&suite, &path, true).await;
        let (again, nobody) = made(&suite, &path, false).await;
        assert_eq!((&again.findings, nobody), (&first.findings, 0));
        assert_eq!(first.findings[0].verdict, Verdict::Pass, "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_settings_questions_or_instruments_are_asked_anew() {
    let directory = tempfile::tempdir().unwrap();
    let twice =
        |repeats| of(Consistency { prompts: prompts(), repeats, rule: RULE, ..Consistency::default() });
    let path = directory.path().join("settings");
    assert_eq!(made(&twice(2), &path, true).await.1, 4);
    assert_eq!(made(&twice(3), &path, true).await.1, 6);
    // The last one counts.
    assert_eq!(made(&twice(3), &path, true).await.1, 0);
    assert_eq!(made(&twice(2), &path, true).await.1, 4);

    let path = directory.path().join("questions");
    let [.., calibration, _] = unlisted(numbers(200));
    assert_eq!(made(&calibration, &path, true).await.1, 200);
    let [.., calibration, _] = unlisted(numbers(201));
    assert_eq!(made(&calibration, &path, true).await.1, 201);

    let path = directory.path().join("instruments");
    assert_eq!(made(&twice(2), &path, true).await.1, 4);
    let asked = Arc::new(AtomicUsize::new(0));
    let run = Run::new(7).record(Record::at(&path)).embedder(WordCounts);
    drop(report(&twice(2), &agent(true, &asked), &run).await);
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

/// How many are asked at once, and for how long each is waited for, is part of what times mean.
#[tokio::test(start_paused = true)]
async fn other_terms_are_measured_anew() {
    let directory = tempfile::tempdir().unwrap();
    let latency = of(Latency { prompts: prompts(), max: QUICK, rule: RULE, ..Latency::default() });
    let asked = Arc::new(AtomicUsize::new(0));
    let plain = || Run::new(7).record(Record::at(directory.path().join("record")));
    let alone = || plain().concurrency(NonZeroUsize::MIN);
    let patient = || alone().call_timeout(90 * QUICK);
    let mut made = Vec::new();
    for run in [plain(), plain(), alone(), alone(), patient(), patient()] {
        let before = asked.load(Ordering::Relaxed);
        drop(report(&latency, &agent(true, &asked), &run).await);
        made.push(asked.load(Ordering::Relaxed) > before);
    }
    assert_eq!(made, [true, false, true, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_decided_nothing_is_asked_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    let proof =
        of(Consistency { prompts: prompts(), repeats: 2, rule: Rule::Bound, ..Consistency::default() });
    for _ in 0..2 {
        let (report, asked) = made(&proof, &path, true).await;
        assert!(matches!(report.findings[0].verdict, Verdict::Inconclusive(_)), "{report}");
        assert_eq!(asked, 4);
    }
}
