//! Questions that are asked until the answers decide.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate_validation::{
    AgentError, AgentId, Finding, FnAgent, Method, Reason, Record, Reply, Rule, Run, Suite, Verdict,
    checks::Cases,
    dataset::{Dataset, Options},
};

use crate::{check, numbers, report};

fn sequential(dataset: Dataset) -> Cases {
    let rule = Rule::Sequential { good: 0.95, beta: 0.05, most: 500 };
    Cases { floor: 0.8, rule, ..check(dataset) }
}

fn run(at_once: usize) -> Run {
    Run::new(7).concurrency(NonZeroUsize::new(at_once).unwrap())
}

/// Answers what `wrong` does not hold of with the number that it was asked for, the sooner the later it was asked.
fn agent(wrong: fn(u64) -> bool) -> (FnAgent, Arc<Mutex<Vec<u64>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&asked);
    let agent = FnAgent::new("numbers", move |request| {
        let number: u64 = request.prompt().parse().unwrap();
        sink.lock().unwrap().push(number);
        async move {
            tokio::time::sleep(Duration::from_millis(1_000_u64.saturating_sub(number))).await;
            Ok(Reply::text(if wrong(number) { "no idea".to_owned() } else { number.to_string() }))
        }
    });
    (agent, asked)
}

async fn finding(check: Cases, agent: &FnAgent, run: &Run) -> Finding {
    report(&Suite::new("s").with(check), agent, run).await.findings.remove(0)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_after_the_answers_have_decided() {
    let (good, asked) = agent(|_| false);
    let passed = finding(sequential(numbers(400)), &good, &run(1)).await;
    assert_eq!((passed.verdict, asked.lock().unwrap().len()), (Verdict::Pass, 18));
    assert_eq!((passed.evidence[0].n, passed.evidence[0].method), (18, Method::Sequential));
    let (bad, asked) = agent(|_| true);
    let failed = finding(sequential(numbers(400)), &bad, &run(1)).await;
    assert_eq!((failed.verdict, asked.lock().unwrap().len()), (Verdict::Fail, 3));
}

/// Of eight questions under way the last is answered first; what counts is their order.
#[tokio::test(start_paused = true)]
async fn a_verdict_does_not_depend_on_which_answer_comes_first() {
    for wrong in [|n| n % 9 == 4, |n| n % 3 == 1, |n| n == 0] {
        let (one_by_one, _) = agent(wrong);
        let expected = finding(sequential(numbers(400)), &one_by_one, &run(1)).await;
        let (at_once, asked) = agent(wrong);
        let found = finding(sequential(numbers(400)), &at_once, &run(8)).await;
        assert_eq!(found, expected);
        let (asked, counted) = (asked.lock().unwrap().len() as u64, found.evidence[0].n);
        assert!(counted <= asked && asked < counted + 8, "{asked} were asked for {counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_miss_for_a_pass() {
    let flaky = FnAgent::new("flaky", |request| async move {
        match request.prompt() {
            "4" => Err(AgentError::Unavailable {
                agent: AgentId::new("flaky"),
                why: "busy".into(),
                attempts: 1,
                source: None,
            }),
            prompt => Ok(Reply::text(prompt)),
        }
    });
    let found = finding(sequential(numbers(400)), &flaky, &run(1)).await;
    assert_eq!((found.verdict, found.evidence[0].n, found.evidence[0].unknown), (Verdict::Pass, 26, 1));
}

#[tokio::test(start_paused = true)]
async fn questions_that_run_out_do_not_decide() {
    let (good, _) = agent(|_| false);
    let few = finding(sequential(numbers(10)), &good, &run(4)).await;
    assert_eq!(few.verdict, Verdict::Inconclusive(Reason::TooFew { have: 10, need: 18 }));
    let rule = Rule::Sequential { good: 0.95, beta: 0.05, most: 12 };
    let cut = finding(Cases { rule, ..sequential(numbers(100)) }, &good, &run(4)).await;
    assert_eq!(cut.verdict, Verdict::Inconclusive(Reason::Truncated { most: 12 }));
    assert!(cut.evidence[0].detectable.is_none());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_asked_than_may_be_however_many_at_once() {
    let (good, asked) = agent(|_| false);
    let rule = Rule::Sequential { good: 0.95, beta: 0.05, most: 10 };
    let cut = finding(Cases { rule, ..sequential(numbers(100)) }, &good, &run(8)).await;
    assert_eq!(cut.verdict, Verdict::Inconclusive(Reason::Truncated { most: 10 }));
    assert_eq!(asked.lock().unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_comes_to_the_same_end() {
    let directory = tempfile::tempdir().unwrap();
    let recorded = || run(4).record(Record::at(directory.path().join("record.jsonl")));
    let (first, _) = agent(|n| n % 10 == 2);
    let before = finding(sequential(numbers(400)), &first, &recorded()).await;
    let (second, asked) = agent(|n| n % 10 == 2);
    let after = finding(sequential(numbers(400)), &second, &recorded()).await;
    // What was under way when it was decided is on record as well, and is not counted this time either. Of what is
    // beyond, as many are under way again.
    assert_eq!(after, before);
    assert!(asked.lock().unwrap().len() <= 4, "{asked:?}");
}

#[tokio::test]
async fn trials_that_depend_on_each_other_are_refused_with_a_remedy() {
    let dataset = |lines: &str| Dataset::from_bytes("lines", lines, &Options::default()).unwrap();
    let assert = r#""assert": [{"kind": "contains", "value": "x"}]"#;
    let clustered = dataset(&format!("{{\"id\": \"a\", \"input\": \"a\", \"cluster\": \"c\", {assert}}}\n"));
    let weighted = dataset(&format!("{{\"id\": \"a\", \"input\": \"a\", \"weight\": 2, {assert}}}\n"));
    let repeated = Cases { repeats: 3, ..sequential(numbers(10)) };
    for (check, what) in [
        (sequential(clustered), "questions in clusters"),
        (sequential(weighted), "questions of different weights"),
        (repeated, "questions that are repeated"),
    ] {
        let (agent, asked) = agent(|_| false);
        let found = finding(check, &agent, &run(1)).await;
        let Verdict::Inconclusive(reason) = &found.verdict else { panic!("{found:?}") };
        let told = reason.to_string();
        assert!(told.contains(what) && told.contains("write \"bound\""), "{told}");
        assert!(asked.lock().unwrap().is_empty());
    }
}

/// Repeats of a single question are all there is to know about it.
#[tokio::test(start_paused = true)]
async fn one_question_may_be_repeated() {
    let (good, _) = agent(|_| false);
    let check = Cases { repeats: 100, ..sequential(numbers(1)) };
    let found = finding(check, &good, &run(1)).await;
    assert_eq!((found.verdict, found.evidence[0].n), (Verdict::Pass, 18));
}

#[test]
fn a_suite_file_says_it_in_a_line() {
    let suite = |rule: &str, kind: &str| {
        Suite::from_toml(&format!(
            "checks = [{{ kind = \"{kind}\", floor = 0.8, rule = {rule}, cases = [{{ input = \"a\", target = \"b\"{} }}] }}]",
            if kind == "cases" { ", assert = [{ kind = \"exact\" }]" } else { "" }
        ))
    };
    assert!(suite("{ sequential = { good = 0.95 } }", "cases").is_ok());
    for (rule, kind, told) in [
        ("{ sequential = { good = 0.95 } }", "answers", "is for checks of kind `cases`"),
        ("{ sequential = { good = 0.7 } }", "cases", "good = 0.7 must be above the floor"),
        ("{ sequential = { good = 0.95, beta = 0.6 } }", "cases", "beta = 0.6 must be above 0 and below 0.5"),
        ("{ sequential = { good = 0.95, most = 0 } }", "cases", "most = 0 must be from 1"),
        ("{ sequential = { good = 0.95, mots = 9 } }", "cases", "did you mean `most`?"),
    ] {
        let refused = suite(rule, kind).unwrap_err();
        assert!(refused.path().starts_with("checks[0].rule"), "{refused}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
}
