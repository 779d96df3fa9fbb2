//! The check of kind `compare`.

use std::{
    fs,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tidegate_validation::{
    AgentError, AgentId, Budget, FnAgent, Method, Reason, Record, Reply, Run, Shortage, Subject, Suite,
    Validator as _, Verdict,
    checks::Compare,
    compare::{Alignment, Goal, Measure},
    scorer::{Assertion, Weighted},
};

use crate::{agent, dataset, finding, numbers, subject};

fn run() -> Run {
    Run::new(7).concurrency(NonZeroUsize::new(4).unwrap())
}

#[tokio::test]
async fn both_are_asked_the_same_and_compared_in_pairs() {
    let (new, old) = (agent("new", |n| n % 50 == 3), agent("old", |n| n % 40 == 7));
    let found = finding(Compare::new(numbers(300)), &new, &old, &run()).await;
    let evidence = &found.evidence[0];
    // It loses 3, 53, …, 253 and gains 7, 47, …, 287; none of them is both.
    assert_eq!((found.verdict.clone(), evidence.method, evidence.n), (Verdict::Pass, Method::Tango, 300));
    assert!((evidence.estimate - 2.0 / 300.0).abs() < 1e-12, "{evidence}");
    assert_eq!(
        found.cases.iter().map(|case| case.input.as_str()).collect::<Vec<_>>(),
        ["3", "53", "103", "153", "203", "253"]
    );
    assert!(found.cases[0].detail.contains("no number found in: no idea"), "{:?}", found.cases[0]);
    assert_eq!(found.claim, "the candidate is not worse than the baseline by more than 0.05, old");
    assert!(evidence.detectable.is_some());
}

#[tokio::test]
async fn a_worse_candidate_fails_and_a_better_one_is_told_from_an_equal_one() {
    let (bad, good) = (agent("bad", |n| n % 4 == 0), agent("good", |_| false));
    let better = || Compare { goal: Goal::Better, ..Compare::new(numbers(100)) };
    assert_eq!(finding(Compare::new(numbers(100)), &bad, &good, &run()).await.verdict, Verdict::Fail);
    assert_eq!(finding(better(), &bad, &good, &run()).await.verdict, Verdict::Fail);
    assert_eq!(finding(better(), &good, &bad, &run()).await.verdict, Verdict::Pass);
    let equal = finding(better(), &good, &good, &run()).await.verdict;
    assert_eq!(equal, Verdict::Inconclusive(Reason::TooAlike { have: 100, need: None }));
}

#[tokio::test]
async fn it_costs_twice_and_takes_no_more() {
    let (store, manifest) = subject::publish().await;
    let asked = Arc::new(Mutex::new(0_u64));
    let counting = |name: &str| {
        let asked = Arc::clone(&asked);
        FnAgent::new(name, move |request| {
            *asked.lock().unwrap() += 1;
            async move { Ok(Reply::text(request.prompt())) }
        })
    };
    let (new, old) = (counting("new"), counting("old"));
    let subject = Subject::new(&manifest, &store).with_agent(&new).with_baseline(&old);
    let check = Compare { repeats: 2, ..Compare::new(numbers(30)) };
    let cost = check.estimate(&subject);
    assert_eq!((cost.calls, cost.output_tokens), (120, 120 * 256));
    let report = Suite::new("s").with(check).run(&subject, &run()).await;
    assert_eq!((*asked.lock().unwrap(), report.spent.calls), (120, 120));
    assert_eq!(report.findings[0].evidence[0].method, Method::Bootstrap, "repeats are clusters");
}

#[tokio::test]
async fn without_a_baseline_nothing_is_asked() {
    let (store, manifest) = subject::publish().await;
    let new = agent("new", |_| panic!("it is not asked"));
    let subject = Subject::new(&manifest, &store).with_agent(&new);
    let report = Suite::new("s").with(Compare::new(numbers(3))).run(&subject, &run()).await;
    assert_eq!(report.findings[0].verdict, Verdict::Inconclusive(Reason::NoBaseline));
    assert!(report.to_string().contains("Subject::with_baseline"), "{report}");
}

#[tokio::test]
async fn the_budget_holds_for_both_together() {
    let (new, old) = (agent("new", |_| false), agent("old", |_| false));
    let short = finding(Compare::new(numbers(200)), &new, &old, &run().max_calls(101)).await;
    assert!(
        matches!(short.verdict, Verdict::Inconclusive(Reason::Budget(Shortage::Calls { .. }))),
        "{short:?}"
    );
    let evidence = &short.evidence[0];
    assert!((45..=50).contains(&evidence.n) && evidence.n + evidence.unknown == 200, "{evidence}");
}

#[tokio::test]
async fn what_one_side_did_not_answer_is_not_known() {
    let away = |name: &'static str, at: u64| {
        FnAgent::new(name, move |request| async move {
            match request.prompt().parse::<u64>().unwrap() {
                number if number == at => Err(AgentError::Unavailable {
                    agent: AgentId::new(name),
                    why: "busy".into(),
                    attempts: 1,
                    source: None,
                }),
                number => Ok(Reply::text(number.to_string())),
            }
        })
    };
    let found = finding(Compare::new(numbers(300)), &away("new", 5), &away("old", 9), &run()).await;
    assert_eq!(
        (found.verdict.clone(), found.evidence[0].n, found.evidence[0].unknown),
        (Verdict::Pass, 298, 2)
    );
    let few = finding(Compare::new(numbers(60)), &away("new", 5), &away("old", 9), &run()).await;
    assert!(matches!(few.verdict, Verdict::Inconclusive(Reason::Infra { .. })), "{few:?}");
    let dead = FnAgent::new("old", |_| async {
        let agent = AgentId::new("old");
        Err(AgentError::Unavailable { agent, why: "down".into(), attempts: 1, source: None })
    });
    let unmade = finding(Compare::new(numbers(60)), &agent("new", |_| false), &dead, &run()).await;
    assert!(unmade.evidence.is_empty() && unmade.claim == "the check could not be made", "{unmade:?}");
}

/// Has no answer to the numbers that `gone` holds of; `asked` has all that it was asked for.
fn partial(name: &'static str, gone: fn(u64) -> bool, asked: &Arc<Mutex<Vec<u64>>>) -> FnAgent {
    let asked = Arc::clone(asked);
    FnAgent::new(name, move |request| {
        let number = request.prompt().parse().unwrap();
        asked.lock().unwrap().push(number);
        async move {
            match gone(number) {
                true => Err(AgentError::Refused { agent: AgentId::new(name), status: 400, why: "no".into() }),
                false => Ok(Reply::text(number.to_string()).with_usage(3, 9)),
            }
        }
    })
}

/// What would be compared with nothing is not asked, and not paid for.
#[tokio::test]
async fn a_pair_that_is_given_up_on_one_side_is_not_asked_on_the_other() {
    let [of_new, of_old] = [(); 2].map(|()| Arc::default());
    let (new, old) = (partial("new", |n| n % 2 == 0, &of_new), partial("old", |_| false, &of_old));
    let half = finding(Compare::new(numbers(40)), &new, &old, &run()).await;
    assert_eq!((half.evidence[0].n, half.evidence[0].unknown), (20, 20), "{half:?}");
    of_old.lock().unwrap().sort_unstable();
    assert_eq!(*of_old.lock().unwrap(), (0..40).filter(|n| n % 2 == 1).collect::<Vec<_>>());
    assert!(
        matches!(&half.verdict, Verdict::Inconclusive(Reason::Refused { what }) if what.contains("new")),
        "{half:?}"
    );

    let one_by_one = || run().concurrency(NonZeroUsize::MIN);
    let [of_new, of_old] = [(); 2].map(|()| Arc::default());
    let (new, old) = (partial("new", |_| false, &of_new), partial("old", |n| n < 30, &of_old));
    let late = finding(Compare::new(numbers(40)), &new, &old, &one_by_one()).await;
    assert_eq!((late.evidence[0].n, late.evidence[0].unknown), (10, 30), "{late:?}");
    assert!(
        matches!(&late.verdict, Verdict::Inconclusive(Reason::Refused { what }) if what.contains("old")),
        "{late:?}"
    );
    assert_eq!(of_new.lock().unwrap().len(), 1 + 10, "the baseline is asked first while it gives no answer");
    assert_eq!(of_old.lock().unwrap().len(), 40);
}

#[tokio::test]
async fn a_side_without_budget_ends_the_calls_of_the_other() {
    let [of_new, of_old] = [(); 2].map(|()| Arc::default());
    let (new, old) = (partial("new", |_| false, &of_new), partial("old", |_| false, &of_old));
    let budget = Budget::default().calls(3).free(AgentId::new("new"));
    let run = run().concurrency(NonZeroUsize::MIN).budget(budget);
    let short = finding(Compare::new(numbers(40)), &new, &old, &run).await;
    assert_eq!(short.verdict, Verdict::Inconclusive(Reason::Budget(Shortage::Calls { limit: 3 })));
    assert_eq!((short.evidence[0].n, short.evidence[0].unknown), (3, 37));
    assert_eq!([of_new.lock().unwrap().len(), of_old.lock().unwrap().len()], [4, 3]);
}

#[tokio::test]
async fn scores_are_compared_where_that_is_asked_for() {
    let lines: String = (0..60)
        .map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\", \"target\": \"the cat sat on the mat\"}}\n"))
        .collect();
    let f1: Assertion = serde_json::from_str(r#"{"kind": "f1", "threshold": 0.1}"#).unwrap();
    let says =
        |name: &str, text: &'static str| FnAgent::new(name, move |_| async move { Ok(Reply::text(text)) });
    let (short, whole) = (says("short", "the cat sat"), says("whole", "the cat sat on the mat"));
    let check = |measure| Compare {
        measure,
        assertions: vec![Weighted::from(f1.clone())],
        ..Compare::new(dataset(&lines))
    };
    let by_outcome = finding(check(Measure::Outcome), &short, &whole, &run()).await;
    assert_eq!((by_outcome.verdict, by_outcome.evidence[0].estimate), (Verdict::Pass, 0.0));
    let by_score = finding(check(Measure::Score), &short, &whole, &run()).await;
    // F1 of 3 of 6 words: 2/3.
    assert!((by_score.evidence[0].estimate + 1.0 / 3.0).abs() < 1e-9, "{:?}", by_score.evidence);
    assert_eq!(by_score.verdict, Verdict::Fail);
}

#[tokio::test]
async fn a_record_is_gone_on_from_and_holds_two_checks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    let recorded = || run().record(Record::at(&path));
    let (new, old) = (agent("new", |n| n % 9 == 1), agent("old", |n| n % 9 == 2));
    let first = finding(Compare::new(numbers(80)), &new, &old, &recorded()).await;
    let lines = fs::read_to_string(&path).unwrap();
    let trials = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let names: Vec<_> = trials.filter_map(|line| line["check"].as_str().map(str::to_owned)).collect();
    let of = |name: &str| names.iter().filter(|check| *check == name).count();
    assert_eq!((of("compare"), of("compare (baseline)")), (80, 80));
    let silent = |name: &str| FnAgent::new(name, |_| async { panic!("nothing is asked again") });
    let again = finding(Compare::new(numbers(80)), &silent("new"), &silent("old"), &recorded()).await;
    assert_eq!(again, first);
    // Beside another baseline it is another comparison.
    let other = finding(Compare::new(numbers(80)), &new, &agent("older", |_| false), &recorded()).await;
    assert!(
        matches!(&other.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("record of another run") || what.contains("of another run")),
        "{other:?}"
    );
    // The record has no second side for either of its checks, and says so.
    assert!(Alignment::default().read(&path, &path).unwrap().checks.len() == 2);
}

#[tokio::test]
async fn a_verdict_does_not_depend_on_how_many_are_asked_at_once() {
    let (new, old) = (agent("new", |n| n % 7 == 1), agent("old", |n| n % 8 == 1));
    let check = || Compare { repeats: 3, ..Compare::new(numbers(90)) };
    let one = finding(check(), &new, &old, &Run::new(7).concurrency(NonZeroUsize::MIN)).await;
    assert_eq!(finding(check(), &new, &old, &run()).await, one);
}

#[test]
fn a_suite_file_says_it() {
    let cases = r#"cases = [{ input = "1", target = "1" }], assert = [{ kind = "exact" }]"#;
    let suite = |more: &str| Suite::from_toml(&format!("checks = [{{ kind = \"compare\", {cases}{more} }}]"));
    assert!(suite("").is_ok());
    assert!(
        suite(", goal = \"better\", measure = \"score\", repeats = 3, confidence = 0.9, resamples = 2000")
            .is_ok()
    );
    let weighted = "checks = [{ kind = \"compare\", cases = [{ input = \"1\", target = \"1\", weight = 2 }], assert = [{ kind = \"exact\" }] }]";
    for (refused, path, told) in [
        (suite(", margin = 0"), "checks[0].margin", "must be above 0 and at most 1"),
        (suite(", confidence = 0.4"), "checks[0].confidence", "above 0.5"),
        (suite(", goal = \"beter\""), "checks[0].goal", "did you mean `better`?"),
        (suite(", floor = 0.9"), "checks[0].floor", "there is no field `floor`"),
        (suite(", resamples = 0"), "checks[0].resamples", "must be from 1"),
        (suite(", repeats = 0"), "checks[0].repeats", "must be from 1"),
        (Suite::from_toml(weighted), "checks[0].dataset", "take the weights out"),
        (
            Suite::from_toml("checks = [{ kind = \"compare\", cases = [{ input = \"1\" }] }]"),
            "checks[0].cases",
            "nothing says what a good answer is",
        ),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.path().starts_with(path) && refused.to_string().contains(told), "{refused}");
    }
}
