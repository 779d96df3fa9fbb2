//! The check of kind `preference`, and the judge behind it.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tidegate_validation::{
    AgentError, AgentId, Budget, FnAgent, Method, Reason, Record, Reply, Run, Shortage, Suite, Tokenizer,
    Unit, Verdict,
    checks::Preference,
    compare::{Preferring, Winner},
    dataset::{Dataset, Question},
    scorer::{Judge, ScoreError},
};

use crate::{dataset, finding};

/// A run whose judge prefers the longer answer, but for those that say `same`; `biased` prefers what comes first.
fn judged(biased: bool) -> (Run, Arc<Mutex<u32>>) {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let judge = FnAgent::new("judge", move |request| {
        *counted.lock().unwrap() += 1;
        let answer = |name: &str| {
            let (_, rest) =
                request.messages[1].content.split_once(&format!("[begin {name} answer ")).unwrap();
            rest.split_once("]\n").unwrap().1.split_once("\n[end ").unwrap().0.len()
        };
        let word = match answer("first").cmp(&answer("second")) {
            _ if biased => "first",
            std::cmp::Ordering::Greater => "first",
            std::cmp::Ordering::Less => "second",
            std::cmp::Ordering::Equal => "tie",
        };
        let said = json!({"reasoning": "length", "verdict": word}).to_string();
        async { Ok(Reply::text(said)) }
    });
    (Run::new(7).judge(Judge::new(judge)), calls)
}

fn prefer() -> Preferring {
    Preferring { rubric: "helps more".to_owned(), votes: 1 }
}

fn questions(count: usize) -> Dataset {
    dataset(&(0..count).map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\"}}\n")).collect::<String>())
}

/// Gives long answers to the numbers that `long` holds of.
fn agent(name: &str, long: fn(u64) -> bool) -> FnAgent {
    FnAgent::new(name, move |request| async move {
        let number = request.prompt().parse().unwrap();
        Ok(Reply::text(if long(number) { "a long and helpful answer" } else { "hm" }))
    })
}

#[tokio::test]
async fn wins_are_counted_with_ties_by_half() {
    let (run, calls) = judged(false);
    let (new, old) = (agent("new", |n| n % 10 < 6), agent("old", |n| n % 10 >= 8));
    let found = finding(Preference::new(questions(100), prefer()), &new, &old, &run).await;
    let evidence = &found.evidence[0];
    // 60 wins, 20 losses, 20 ties: 0.6 + 0.1.
    assert_eq!((found.verdict, evidence.estimate, evidence.threshold), (Verdict::Pass, 0.7, 0.45));
    assert_eq!((evidence.method, evidence.unit, evidence.n), (Method::Tango, Unit::Share, 100));
    let (lower, upper) = (evidence.lower.unwrap(), evidence.upper.unwrap());
    assert!(0.6 < lower && lower < 0.66 && 0.74 < upper && upper < 0.78, "{evidence}");
    assert_eq!(*calls.lock().unwrap(), 200, "both orders of each pair");
    assert_eq!(found.cases.len(), 20);
    assert!(found.cases[0].detail.starts_with("worse than the other"), "{:?}", found.cases[0]);
}

#[tokio::test]
async fn a_judge_that_only_looks_at_the_order_prefers_nobody() {
    let (run, _) = judged(true);
    let (new, old) = (agent("new", |_| true), agent("old", |_| false));
    let found = finding(Preference::new(questions(50), prefer()), &new, &old, &run).await;
    assert_eq!(found.evidence[0].estimate, 0.5);
    let said =
        prefer().between(&Question::new("q", "?"), &Reply::text("long"), &Reply::text("s"), &run).await;
    assert_eq!(said.unwrap().0, Winner::Tie);
}

#[tokio::test]
async fn an_answer_of_nothing_is_judged_as_one() {
    let (run, _) = judged(false);
    // A question with a target: the other answer is still what the baseline said, and not that.
    let question = Question::new("q", "?").with_target("a very long target, longer than any answer");
    let said = prefer().between(&question, &Reply::text("yes"), &Reply::text(""), &run).await.unwrap();
    assert_eq!(said.0, Winner::Candidate);
    let none = prefer().between(&question, &Reply::text("yes"), &Reply::text("no"), &Run::new(1)).await;
    assert!(matches!(none, Err(ScoreError::Missing { .. })), "{none:?}");
}

#[tokio::test]
async fn a_judge_that_says_nothing_makes_pairs_unknown_and_they_are_judged_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.jsonl");
    let mute = FnAgent::new("judge", |_| async { Ok(Reply::text("I would rather not")) });
    let recorded = |run: Run| run.record(Record::at(&path));
    let (new, old) = (agent("new", |_| true), agent("old", |_| false));
    let check = || Preference::new(questions(40), prefer());
    let unknown = finding(check(), &new, &old, &recorded(Run::new(7).judge(Judge::new(mute)))).await;
    assert!(matches!(unknown.verdict, Verdict::Inconclusive(Reason::Infra { .. })), "{unknown:?}");
    std::fs::remove_file(&path).unwrap();
    let (run, calls) = judged(false);
    let first = finding(check(), &new, &old, &recorded(run.clone())).await;
    let before = *calls.lock().unwrap();
    let again = finding(check(), &new, &old, &recorded(run)).await;
    assert_eq!((again, *calls.lock().unwrap()), (first, before), "what is on record is not judged again");
}

/// One token, whatever is asked.
#[derive(Debug)]
struct One;

impl Tokenizer for One {
    fn count(&self, _: &tidegate_validation::Request) -> u64 {
        1
    }
}

/// Says the same to everything, but nothing where it is `gone`; `asked` counts.
fn curt(name: &'static str, gone: bool, asked: &Arc<Mutex<u32>>) -> FnAgent {
    let asked = Arc::clone(asked);
    FnAgent::new(name, move |_| {
        *asked.lock().unwrap() += 1;
        async move {
            match gone {
                true => Err(AgentError::Refused { agent: AgentId::new(name), status: 400, why: "no".into() }),
                false => Ok(Reply::text("hm").with_usage(3, 9)),
            }
        }
    })
}

#[tokio::test]
async fn what_nobody_can_compare_is_not_asked() {
    let one_by_one = |run: Run| run.concurrency(NonZeroUsize::MIN);
    let [of_new, of_old] = [(); 2].map(|()| Arc::default());
    let (new, old) = (curt("new", false, &of_new), curt("old", false, &of_old));
    // Enough for all the answers of at most 256 tokens, and for no verdict of at most 1 024.
    let budget = Budget::default().tokens(900).tokenizer(One);
    let run = one_by_one(judged(false).0.budget(budget));
    let short = finding(Preference::new(questions(20), prefer()), &new, &old, &run).await;
    assert!(
        matches!(short.verdict, Verdict::Inconclusive(Reason::Budget(Shortage::Tokens { .. }))),
        "{short:?}"
    );
    // The first few show that no pair is smaller.
    assert_eq!([*of_new.lock().unwrap(), *of_old.lock().unwrap()], [5, 5]);

    for (gone, expected) in [([true, false], [20, 0]), ([false, true], [1, 20])] {
        let [of_new, of_old] = [(); 2].map(|()| Arc::default());
        let (new, old) = (curt("new", gone[0], &of_new), curt("old", gone[1], &of_old));
        let run = one_by_one(judged(false).0);
        let unmade = finding(Preference::new(questions(20), prefer()), &new, &old, &run).await;
        assert!(
            matches!(&unmade.verdict, Verdict::Inconclusive(Reason::Refused { what }) if what.contains("400")),
            "{unmade:?}"
        );
        assert_eq!([*of_new.lock().unwrap(), *of_old.lock().unwrap()], expected);
    }
}

#[tokio::test]
async fn without_a_judge_nothing_is_asked() {
    let silent = FnAgent::new("new", |_| async { panic!("it is not asked") });
    let found = finding(Preference::new(questions(3), prefer()), &silent, &silent, &Run::new(7)).await;
    assert!(
        matches!(&found.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("Run::judge")),
        "{found:?}"
    );
}

#[test]
fn a_suite_file_says_it() {
    let suite = |more: &str| {
        Suite::from_toml(&format!(
            "checks = [{{ kind = \"preference\", cases = [{{ input = \"1\" }}]{more} }}]"
        ))
    };
    assert!(suite(", prefer = { rubric = \"helps more\", votes = 3 }, margin = 0.2, repeats = 2").is_ok());
    for (refused, path, told) in [
        (suite(""), "checks[0].prefer", "it is missing"),
        (suite(", prefer = { rubric = \"\" }"), "checks[0].prefer", "say what makes an answer better"),
        (suite(", prefer = { rubric = \"x\", votes = 2 }"), "checks[0].prefer", "must be odd"),
        (suite(", prefer = { rubric = \"x\" }, measure = \"score\""), "checks[0].measure", "take it out"),
        (
            suite(", prefer = { rubric = \"x\" }, assert = []"),
            "checks[0].assert",
            "there is no field `assert`",
        ),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.path().starts_with(path) && refused.to_string().contains(told), "{refused}");
    }
}
