//! What the questions of a dataset take, and when they are asked no more.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tidegate_validation::{
    AgentError, AgentId, Budget, Cached, Embedder as _, Event, FnAgent, Outcome, Reason, Record, Reply, Rule,
    Run, Shortage, Subject, Suite, Tokenizer, Verdict,
    checks::{Calibration, Cases, Consistency, Load, Smoke, SmokeCase},
    dataset::{Dataset, Options},
    scorer::{Assertion, Judge, Rubric, Similar},
    testkit::WordCounts,
};
use tokio::time::{Instant, sleep};

use crate::{answer, check, counting, numbers, published, report, reported};

/// One token, whatever is asked.
#[derive(Debug)]
struct One;

impl Tokenizer for One {
    fn count(&self, _: &tidegate_validation::Request) -> u64 {
        1
    }
}

fn one_by_one() -> Run {
    Run::new(7).concurrency(NonZeroUsize::MIN)
}

fn judge() -> Judge {
    let verdict = json!({"reasoning": "", "verdict": "pass"}).to_string();
    Judge::new(FnAgent::new("judge", move |_| {
        let verdict = verdict.clone();
        async move { Ok(Reply::text(verdict)) }
    }))
}

fn rubric(votes: u32) -> Assertion {
    Assertion::Rubric(Rubric { votes, ..Rubric::new("is fine") })
}

fn away(agent: &str) -> AgentError {
    AgentError::Unavailable { agent: AgentId::new(agent), why: "away".into(), attempts: 1, source: None }
}

#[tokio::test(start_paused = true)]
async fn questions_that_are_refused_are_no_sign_of_a_dead_agent() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let strict = FnAgent::new("strict", move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            match request.prompt().parse::<u32>().unwrap() {
                number if number < 50 => {
                    let agent = AgentId::new("strict");
                    Err(AgentError::Refused { agent, status: 400, why: "too long".into() })
                }
                number => Ok(answer(&number.to_string())),
            }
        }
    });
    let report = report(&Suite::new("s").with(check(numbers(100))), &strict, &one_by_one()).await;
    let evidence = &report.findings[0].evidence[0];
    assert_eq!((asked.load(Ordering::Relaxed), evidence.n, evidence.unknown), (100, 50, 50), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_again_is_waited_for() {
    let begin = Instant::now();
    let restarted = FnAgent::new("restarted", move |request| async move {
        match begin.elapsed() < Duration::from_secs(20) {
            true => Err(away("restarted")),
            false => Ok(answer(request.prompt())),
        }
    });
    let report = report(&Suite::new("s").with(check(numbers(1_000))), &restarted, &one_by_one()).await;
    // Five at once, then one a second.
    assert_eq!(report.findings[0].evidence[0].unknown, 24, "{report}");
}

#[tokio::test]
async fn what_was_not_asked_is_no_answer() {
    let locked = FnAgent::new("locked", |_| async {
        Err(AgentError::Refused { agent: AgentId::new("locked"), status: 401, why: "no key".into() })
    });
    let report = report(&Suite::new("s").with(check(numbers(9))), &locked, &one_by_one()).await;
    let finding = &report.findings[0];
    assert_eq!(finding.claim, "the check could not be made");
    assert!(
        matches!(&finding.verdict, Verdict::Inconclusive(Reason::Denied { what }) if what.contains("status 401")),
        "{report}"
    );
}

#[tokio::test]
async fn a_judge_without_budget_ends_what_nobody_could_judge() {
    let asked = Arc::default();
    let cases = Cases { assertions: vec![rubric(1).into()], ..check(numbers(100)) };
    let directory = tempfile::tempdir().unwrap();
    let record = Record::at(directory.path().join("record"));
    let run = one_by_one().judge(judge()).max_calls(11).record(record.clone());
    let report = report(&Suite::new("s").with(cases), &counting(&asked), &run).await;
    assert_eq!(asked.lock().unwrap().len(), 6);
    let finding = &report.findings[0];
    assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::Budget(Shortage::Calls { limit: 11 })));
    assert_eq!((finding.evidence[0].n, finding.evidence[0].unknown), (5, 95));
    let gaps = record.gaps().unwrap();
    assert_eq!(
        (gaps.unscored, gaps.lost, gaps.short.len(), gaps.may_be_filled()),
        (1, 0, 1, false),
        "{gaps:?}"
    );
}

#[tokio::test]
async fn a_judge_that_refuses_an_answer_for_good_is_not_asked_about_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let strict = || {
        let asked = Arc::clone(&asked);
        Judge::new(FnAgent::new("judge", move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            let agent = AgentId::new("judge");
            async move { Err(AgentError::Refused { agent, status: 400, why: "content policy".into() }) }
        }))
    };
    let suite = Suite::new("s").with(Cases { assertions: vec![rubric(1).into()], ..check(numbers(3)) });
    for _ in 0..2 {
        let record = Record::at(directory.path().join("record"));
        let run = one_by_one().judge(strict()).record(record.clone());
        let report = report(&suite, &counting(&Arc::default()), &run).await;
        let verdict = &report.findings[0].verdict;
        assert!(matches!(verdict, Verdict::Inconclusive(Reason::Refused { .. })), "{report}");
        assert!(record.gaps().unwrap().is_empty());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_answer_too_large_to_be_judged_keeps_no_other_from_it() {
    let asked = Arc::new(AtomicU64::new(0));
    let huge = |at: u64| {
        let count = Arc::clone(&asked);
        count.store(0, Ordering::Relaxed);
        FnAgent::new("verbose", move |request| {
            let large = count.fetch_add(1, Ordering::Relaxed) == at;
            let number = request.prompt().to_owned();
            async move {
                let text =
                    format!("It is {number}{}", if large { "!".repeat(60_000) } else { ".".to_owned() });
                Ok(Reply::text(text).with_usage(1, if large { 256 } else { 2 }))
            }
        })
    };
    let verdict = json!({"reasoning": "", "verdict": "pass"}).to_string();
    let judge = Judge::new(FnAgent::new("judge", move |_| {
        let verdict = verdict.clone();
        async move { Ok(Reply::text(verdict).with_usage(1, 1)) }
    }));
    let run = one_by_one().judge(judge).budget(Budget::default().tokens(40_000));
    for at in [0, 1, 12] {
        let cases = Cases { assertions: vec![rubric(1).into()], ..check(numbers(30)) };
        let report = report(&Suite::new("s").with(cases), &huge(at), &run).await;
        let evidence = &report.findings[0].evidence[0];
        assert_eq!((evidence.n, evidence.unknown), (29, 1), "answer {at}: {report}");
    }
}

#[tokio::test]
async fn what_questions_need_is_missed_before_the_first_call() {
    for (assert, lacks) in [
        (r#"{"kind": "rubric", "rubric": "is fine"}"#, "Run::judge"),
        (r#"{"kind": "not", "of": {"kind": "similar", "value": "x"}}"#, "Run::embedder"),
    ] {
        let plain = r#"{"input": "1", "assert": [{"kind": "refusal"}]}"#;
        let lines = format!("{plain}\n{{\"input\": \"2\", \"assert\": [{assert}]}}\n");
        let dataset = Dataset::from_bytes("lines", lines, &Options::default()).unwrap();
        let asked = Arc::default();
        let report = report(&Suite::new("s").with(check(dataset)), &counting(&asked), &one_by_one()).await;
        assert!(report.to_string().contains(lacks), "{report}");
        assert!(asked.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn estimates_count_votes_and_what_a_verdict_may_take() {
    let started = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&started);
    let run = one_by_one().judge(judge().max_tokens(50)).watch(move |event| {
        if let Event::Started { cost, .. } = event {
            sink.lock().unwrap().push(cost);
        }
    });
    let cases = Cases { assertions: vec![rubric(3).into()], ..check(numbers(4)) };
    drop(report(&Suite::new("s").with(cases), &counting(&Arc::default()), &run).await);
    let cost = started.lock().unwrap()[0];
    assert_eq!((cost.calls, cost.judged, cost.output_tokens), (4 + 12, 12, 4 * 256 + 12 * 50));
}

#[tokio::test]
async fn an_embedder_is_paid_from_the_budget_unless_it_is_free() {
    let similar = Assertion::Similar(Similar { value: "It is 1.".into(), ..Similar::default() });
    let suite =
        || Suite::new("s").with(Cases { assertions: vec![similar.clone().into()], ..check(numbers(9)) });
    let of = async |budget: Budget| {
        let run = one_by_one().embedder(WordCounts).budget(budget.tokenizer(One));
        report(&suite(), &counting(&Arc::default()), &run).await
    };
    let paid = of(Budget::default().calls(5)).await;
    assert!(matches!(paid.findings[0].verdict, Verdict::Inconclusive(Reason::Budget(_))), "{paid}");
    // Two are answered and compared; what the third is compared with is not to be had.
    assert_eq!((paid.findings[0].evidence[0].n, paid.spent.calls), (2, 5));
    // A token for each of the two texts, and 3 + 9 for each answer.
    assert_eq!(of(Budget::default()).await.spent.tokens, 9 * (2 + 12));
    let free = of(Budget::default().calls(9).free(WordCounts.fingerprint())).await;
    assert_eq!((free.findings[0].evidence[0].n, free.spent.calls, free.spent.tokens), (9, 9, 9 * 12));
}

#[tokio::test]
async fn latencies_of_other_runs_are_not_judged() {
    let line = r#"{"input": "1", "assert": [{"kind": "latency", "max": "5s"}]}"#;
    let dataset = || Dataset::from_bytes("lines", line, &Options::default()).unwrap();
    let asked = Arc::default();
    let cached = Cached::in_memory(counting(&asked), NonZeroUsize::new(9).unwrap());
    for times in 1..3 {
        let report = reported(&Suite::new("s").with(check(dataset())), &cached, &one_by_one()).await;
        assert!(report.accepted(), "{report}");
        assert_eq!((asked.lock().unwrap().len(), report.findings[0].evidence[0].remembered), (times, 0));
    }
    let stale = FnAgent::new("stale", |_| async {
        let mut reply = Reply::text("1");
        reply.remembered = true;
        Ok(reply)
    });
    let report = report(&Suite::new("s").with(check(dataset())), &stale, &one_by_one()).await;
    assert_eq!(report.findings[0].cases[0].outcome, Outcome::Unknown, "{report}");
}

#[tokio::test]
async fn a_run_that_goes_on_has_what_was_left_and_reports_all() {
    let directory = tempfile::tempdir().unwrap();
    let record = || Record::at(directory.path().join("record"));
    let suite = || {
        let prompts = vec!["1".to_owned()];
        let twice = Consistency { prompts, repeats: 2, rule: Rule::Point, ..Consistency::default() };
        Suite::new("s").with(twice).with(check(numbers(30)))
    };
    let made = Arc::default();
    let of = async |calls| {
        let run = one_by_one().max_calls(calls).record(record());
        report(&suite(), &counting(&made), &run).await.spent
    };
    let first = of(7).await;
    assert_eq!((first.calls, first.tokens), (7, 7 * 12));
    // None of the four calls that are left asks the first check anew: it decided.
    let second = of(11).await;
    assert_eq!((second.calls, second.tokens, made.lock().unwrap().len()), (11, 11 * 12, 11));
    let asked = made.lock().unwrap().clone();
    assert_eq!((&asked[..2], &asked[2..]), (&["1", "1"].map(str::to_owned)[..], &asked_of(0..9)[..]));
    assert_eq!(of(11).await.calls, 11);
    assert_eq!(made.lock().unwrap().len(), 11, "nothing is left");
}

#[tokio::test]
async fn a_process_that_was_killed_had_spent_what_was_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    let slow = FnAgent::new("counting", |request| async move {
        let wait = if request.prompt() == "0" { 50 } else { 3_600_000 };
        sleep(Duration::from_millis(wait)).await;
        Ok(answer(request.prompt()))
    });
    let suite = Suite::new("s").with(check(numbers(9)));
    let run = Run::new(7).budget(Budget::default().tokenizer(One)).record(Record::at(&path));
    let cut = tokio::time::timeout(Duration::from_millis(300), report(&suite, &slow, &run)).await;
    assert!(cut.is_err(), "it was given up");
    let none = Run::new(7).max_calls(0).record(Record::at(&path));
    let spent = report(&suite, &counting(&Arc::default()), &none).await.spent;
    // One call took 12, and three may have taken 257 each.
    assert_eq!((spent.calls, spent.tokens), (4, 12 + 3 * 257));
}

#[tokio::test]
async fn progress_counts_what_was_found_in_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let record = || Record::at(directory.path().join("record"));
    let suite = Suite::new("s").with(Cases { assertions: vec![rubric(1).into()], ..check(numbers(9)) });
    let seen = Arc::new(Mutex::new((0, 0)));
    let sink = Arc::clone(&seen);
    let run = one_by_one().judge(judge()).record(record());
    drop(report(&suite, &counting(&Arc::default()), &run).await);
    let watched = run.watch(move |event| {
        let mut seen = sink.lock().unwrap();
        match event {
            Event::Called { .. } => seen.0 += 1,
            Event::Recalled { check, calls } => {
                assert_eq!(check, "numbers");
                seen.1 += calls;
            }
            _ => {}
        }
    });
    drop(report(&suite, &counting(&Arc::default()), &watched).await);
    assert_eq!(*seen.lock().unwrap(), (0, 18));
}

/// What a check found while it could is not undone by a run that has nothing left to ask it again.
#[tokio::test]
async fn what_was_found_is_not_lost_to_a_budget_that_is_used_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    let text = "name = \"s\"\n[[checks]]\nkind = \"consistency\"\nprompts = [\"1\"]\nrepeats = 2\nrule = \"point\"\n";
    let made = Arc::default();
    let of = async |suite: Suite, path| {
        report(&suite, &counting(&made), &one_by_one().max_calls(3).record(Record::at(path))).await
    };
    let first = of(Suite::from_toml(text).unwrap(), path.clone()).await;
    assert_eq!(first.findings[0].verdict, Verdict::Pass);
    let before = std::fs::read_to_string(&path).unwrap();
    let again = of(Suite::from_toml(text).unwrap(), path.clone()).await;
    assert_eq!(again.findings, first.findings);
    let after = std::fs::read_to_string(&path).unwrap();
    assert_eq!(before.matches("\"found\"").count(), after.matches("\"found\"").count());
    // A suite that was put together may be another one by now: what it found is what the record ends with.
    let times = |repeats| Consistency {
        prompts: vec!["1".into()],
        repeats,
        rule: Rule::Point,
        ..Consistency::default()
    };
    let path = directory.path().join("other");
    assert!(of(Suite::new("s").with(times(2)), path.clone()).await.accepted());
    let before = std::fs::read_to_string(&path).unwrap().matches("\"found\"").count();
    assert!(!of(Suite::new("s").with(times(3)), path.clone()).await.accepted());
    let after = std::fs::read_to_string(&path).unwrap();
    assert_eq!(after.matches("\"found\"").count(), before + 1);
    let last = after.lines().rfind(|line| line.contains("\"found\"")).unwrap();
    assert!(last.contains("\"inconclusive\""), "{last}");
}

/// A suite of one check, as a file in `directory`.
fn opened(directory: &Path, check: &str) -> Suite {
    let path = directory.join("suite.toml");
    std::fs::write(&path, format!("name = \"s\"\n[[checks]]\n{check}\n")).unwrap();
    Suite::open(path).unwrap()
}

/// What was measured by other instruments, against another version or in other files says nothing of these.
#[tokio::test]
async fn what_was_found_in_another_way_does_not_stand_in_for_what_cannot_be_paid() {
    let directory = tempfile::tempdir().unwrap();
    let record = |name: &str| Record::at(directory.path().join(name));
    let asked = || counting(&Arc::default());
    let of = |verdict: &Verdict| match verdict {
        Verdict::Inconclusive(Reason::Budget(_)) => "short",
        verdict => verdict.word(),
    };

    let alike = "kind = \"consistency\"\nprompts = [\"1\"]\nrepeats = 2\nrule = \"point\"";
    let suite = opened(directory.path(), alike);
    let run = || one_by_one().max_calls(2).record(record("embedder"));
    let first = report(&suite, &asked(), &run()).await;
    let again = report(&suite, &asked(), &run()).await;
    let other = report(&suite, &asked(), &run().embedder(WordCounts)).await;
    let verdicts = [first, again, other].map(|report| of(&report.findings[0].verdict));
    assert_eq!(verdicts, ["pass", "pass", "short"]);

    let line = |n: u32| json!({"id": n.to_string(), "input": n.to_string(), "assert": [{"kind": "contains", "value": "It is"}]});
    let lines: String = (0..40).filter(|n| n % 7 != 3).map(|n| format!("{}\n", line(n))).collect();
    std::fs::write(directory.path().join("lines.jsonl"), lines).unwrap();
    let suite = opened(directory.path(), "kind = \"compare\"\ndataset = \"lines.jsonl\"\nmargin = 0.9");
    let (store, manifest) = published().await;
    let agent = asked();
    let compared = async |baseline: &str, time: Duration| {
        let baseline = FnAgent::new(baseline, |request| async move { Ok(answer(request.prompt())) });
        let subject = Subject::new(&manifest, &store).with_agent(&agent).with_baseline(&baseline);
        let run = one_by_one().deadline(time).record(record("baseline"));
        of(&suite.run(&subject, &run).await.findings[0].verdict)
    };
    assert_eq!(compared("old", Duration::from_secs(900)).await, "pass");
    assert_eq!(compared("old", Duration::ZERO).await, "pass");
    assert_eq!(compared("older", Duration::ZERO).await, "short");

    let log = |results: &serde_json::Value| {
        let run = json!({"tool": {"driver": {"name": "T", "version": "1", "rules": []}}, "results": results});
        let log = json!({"version": "2.1.0", "runs": [run]}).to_string();
        std::fs::write(directory.path().join("scan.sarif"), log).unwrap();
    };
    log(&json!([]));
    let suite = opened(directory.path(), "kind = \"sarif\"\nfiles = [\"scan.sarif\"]");
    let scanned = async |time: Duration| {
        let run = one_by_one().deadline(time).record(record("sarif"));
        of(&report(&suite, &asked(), &run).await.findings[0].verdict)
    };
    assert_eq!(scanned(Duration::from_secs(900)).await, "pass");
    log(&json!([{"ruleId": "R", "level": "error", "message": {"text": "bad"}}]));
    assert_eq!(scanned(Duration::ZERO).await, "short");
    assert_eq!(scanned(Duration::from_secs(900)).await, "fail");
}

fn asked_of(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Checks whose answers are not recorded have spent what they took all the same.
#[tokio::test(start_paused = true)]
async fn what_checks_took_that_record_no_answer_is_spent() {
    let directory = tempfile::tempdir().unwrap();
    let prompts = || vec!["0".to_owned(), "1".to_owned()];
    let smoke = || Smoke {
        cases: prompts().into_iter().map(|input| SmokeCase { input, target: None }).collect(),
        within: Duration::MAX,
        ..Smoke::default()
    };
    let calibration = || Calibration { dataset: Some(numbers(2)), ..Calibration::default() };
    let load = || Load { prompts: prompts(), ..Load::default() };
    let suites = [
        ("smoke", Suite::new("s").with(smoke())),
        ("calibration", Suite::new("s").with(calibration())),
        ("load", Suite::new("s").with(load())),
    ];
    for (name, suite) in suites {
        let record = || Record::at(directory.path().join(name));
        let hangs = FnAgent::new("counting", |request| async move {
            let first = request.prompt().starts_with('0');
            sleep(Duration::from_millis(if first { 50 } else { 3_600_000 })).await;
            Ok(answer("0"))
        });
        let run = Run::new(7).record(record());
        let cut = tokio::time::timeout(Duration::from_secs(5), report(&suite, &hangs, &run)).await;
        assert!(cut.is_err(), "{name} was given up");
        let none = Run::new(7).max_calls(0).record(record());
        let spent = report(&suite, &counting(&Arc::default()), &none).await.spent;
        assert!(spent.calls >= 1 && spent.tokens >= 12, "{name}: {spent:?}");
    }
}
