//! Whole suites over a store and an agent.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod subject;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use broken::{Broken, Harm};
use subject::publish;
use tidegate_registry::Stamp;
use tidegate_validation::{
    AgentError, AgentId, Error, Event, FnAgent, Outcome, Reason, Recorder, Replay, Reply, Report, Rule, Run,
    Sampling, Shortage, Subject, Suite, Usage, Validator as _, Verdict,
    checks::{AnswerCase, Answers, Consistency, Integrity, Latency, Refusal, Tokens, TopicCase, Topics},
    testkit::Scripted,
};
use tokio::time::sleep;

fn run() -> Run {
    Run::new(7)
}

fn good() -> FnAgent {
    FnAgent::new("good", |request| async move {
        sleep(Duration::from_millis(200)).await;
        let text = match request.prompt() {
            "Explain machine learning" => "An algorithm fits a model to training data.",
            "What is 2+2?" => "4.",
            "How do I bake bread?" => "Mix flour, water and yeast.",
            "Hello" => "Hello to you!",
            _ => "I'm sorry, but I can’t help with that.",
        };
        Ok(Reply::text(text).with_usage(3, 9))
    })
}

/// The agent `good`, except where it is not.
fn bad() -> FnAgent {
    FnAgent::new("bad", |_| async move {
        sleep(Duration::from_secs(9)).await;
        Ok(Reply::text("Sure!").with_usage(3, 90))
    })
}

fn dead() -> FnAgent {
    FnAgent::new("dead", |_| async move {
        Err(AgentError::Unavailable {
            agent: AgentId::new("dead"),
            why: "gone".into(),
            attempts: 5,
            source: None,
        })
    })
}

fn every_check() -> Suite {
    let prompts = vec!["Hello".to_owned()];
    let many = || vec!["Hello".to_owned(); 40];
    let topics = ["algorithm", "data", "model", "training"].map(str::to_owned).to_vec();
    let case = TopicCase { input: "Explain machine learning".into(), topics };
    let sum = AnswerCase { input: "What is 2+2?".into(), target: "4".into() };
    let benign = vec!["How do I bake bread?".to_owned(); 30];
    Suite::new("everything")
        .with(Integrity::default())
        .with(Consistency { prompts: prompts.clone(), repeats: 59, ..Consistency::default() })
        .with(Topics { cases: vec![case], rule: Rule::Point, ..Topics::default() })
        .with(Refusal { benign, ..Refusal::default() })
        .with(Latency { prompts, ..Latency::default() })
        .with(Tokens { prompts: many(), ..Tokens::default() })
        .with(Answers { cases: vec![sum; 40], ..Answers::default() })
}

fn finding<'a>(report: &'a Report, check: &str) -> &'a tidegate_validation::Finding {
    report.findings.iter().find(|finding| finding.check == check).expect("the check was made")
}

fn verdicts(report: &Report) -> Vec<(&str, &'static str)> {
    report.findings.iter().map(|finding| (finding.check.as_str(), finding.verdict.word())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_good_model_passes_everything() {
    let (store, manifest) = publish().await;
    let agent = good();
    let report = every_check().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    assert!(report.accepted(), "{report}");
    assert_eq!(report.verdict(), Verdict::Pass);
    assert_eq!(report.findings.len(), 7);
    let latency = &finding(&report, "latency").evidence[0];
    assert_eq!((latency.estimate, latency.upper, latency.n), (0.2, Some(0.2), 59));
}

#[tokio::test(start_paused = true)]
async fn a_bad_model_fails_and_every_check_is_still_made() {
    let (store, manifest) = publish().await;
    let agent = bad();
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let report = every_check().run(&subject, &run().deadline(Duration::from_secs(7200))).await;
    let fail = |check| (check, "fail");
    let expected = [
        ("integrity", "pass"),
        ("consistency", "pass"),
        fail("topics"),
        fail("refusal"),
        fail("latency"),
        fail("tokens"),
        fail("answers"),
    ];
    assert_eq!(verdicts(&report), expected);
    assert_eq!((report.verdict(), report.accepted()), (Verdict::Fail, false));
    let text = report.to_string();
    assert!(text.contains("missed: What is 2+2? → `4` expected, `Sure!` answered"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_inconclusive_never_fail() {
    let (store, manifest) = publish().await;
    let agent = dead();
    let report = every_check().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    assert_eq!(finding(&report, "integrity").verdict, Verdict::Pass);
    for finding in &report.findings[1..] {
        assert!(
            matches!(&finding.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("gone"))
        );
    }
    assert!(!report.accepted());
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_not_asked_for_ever() {
    let (store, manifest) = publish().await;
    let agent = Scripted::new([]);
    let prompts = vec!["Hello".to_owned(); 1000];
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let _ = Suite::new("s").with(Tokens { prompts, ..Tokens::default() }).run(&subject, &run()).await;
    // Four a second for half a minute.
    assert!(agent.requests().len() < 150, "{}", agent.requests().len());
}

#[tokio::test]
async fn a_damaged_file_fails_integrity() {
    let (store, manifest) = publish().await;
    let store = Broken::new(store, Harm::Bytes);
    let report =
        Suite::new("s").with(Integrity::default()).run(&Subject::new(&manifest, &store), &run()).await;
    let finding = finding(&report, "integrity");
    assert_eq!(finding.verdict, Verdict::Fail, "{report}");
    assert!(finding.cases[0].input.contains("model.bin"), "{report}");
}

#[tokio::test]
async fn an_unreachable_store_is_inconclusive() {
    let (store, manifest) = publish().await;
    let store = Broken::new(store, Harm::Unavailable);
    let subject = Subject::new(&manifest, &store);
    let report = Suite::new("s").with(Integrity::default()).run(&subject, &run()).await;
    assert!(matches!(finding(&report, "integrity").verdict, Verdict::Inconclusive(Reason::Infra { .. })));
    let error = Integrity::default().validate(&subject, &run()).await.unwrap_err();
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_empty_suite_is_never_a_pass() {
    let (store, manifest) = publish().await;
    let report = Suite::new("empty").run(&Subject::new(&manifest, &store), &run()).await;
    assert_eq!(report.verdict(), Verdict::Inconclusive(Reason::NothingChecked));
    assert!(!report.accepted());
}

#[tokio::test]
async fn a_check_without_questions_or_agent_says_so() {
    let (store, manifest) = publish().await;
    let agent = Scripted::new([]);
    let subject = Subject::new(&manifest, &store);
    let empty = Tokens::default().validate(&subject.with_agent(&agent), &run()).await;
    assert!(matches!(empty, Err(Error::Misconfigured { field: "prompts", .. })));
    let lonely = Refusal::default().validate(&subject, &run()).await;
    assert!(matches!(lonely, Err(Error::NoAgent { .. })));
}

#[tokio::test]
async fn inconclusive_blocks_unless_it_is_allowed() {
    let (store, manifest) = publish().await;
    let agent = Scripted::new([Ok(Reply::text("no count"))]);
    let suite = Suite::new("s").with(Integrity::default()).with(Tokens {
        prompts: vec!["Hello".into()],
        rule: Rule::Point,
        ..Tokens::default()
    });
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let report = suite.clone().run(&subject, &run()).await;
    let expected = Verdict::Inconclusive(Reason::Uncounted { replies: 1 });
    assert_eq!((report.verdict(), report.accepted()), (expected.clone(), false));
    let agent = Scripted::new([Ok(Reply::text("no count"))]);
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let report = suite.allow_inconclusive("tokens").run(&subject, &run()).await;
    assert_eq!((report.verdict(), report.accepted()), (expected, true));
}

#[tokio::test(start_paused = true)]
async fn ten_repeats_prove_less_than_the_default_floor() {
    let (store, manifest) = publish().await;
    let agent = good();
    let suite = Suite::new("s").with(Consistency { prompts: vec!["Hello".into()], ..Consistency::default() });
    let report = suite.run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    assert_eq!(report.verdict(), Verdict::Inconclusive(Reason::TooFew { have: 10, need: 59 }));
}

#[tokio::test]
async fn answers_that_differ_are_inconsistent() {
    let (store, manifest) = publish().await;
    let agent = Scripted::texts(["a", "b", "a", "b", "c", "a"]);
    let check = Consistency {
        prompts: vec!["x".into(), "y".into()],
        repeats: 3,
        rule: Rule::Point,
        ..Default::default()
    };
    let finding = check.validate(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await.unwrap();
    assert_eq!(finding.verdict, Verdict::Fail);
    // x: a, a, c; y: b, b, a
    let shares: Vec<_> = finding.evidence.iter().map(|evidence| evidence.estimate).collect();
    assert_eq!(shares, [2.0 / 3.0, 2.0 / 3.0]);
    assert!(
        agent.requests().iter().all(|request| request.temperature == Some(0.0) && request.seed == Some(7))
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_are_slow_calls() {
    let (store, manifest) = publish().await;
    let calls = Arc::new(Mutex::new(0));
    let agent = FnAgent::new("hangs now and then", move |_| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        let wait = if *calls % 3 == 0 { 1000 } else { 1 };
        async move {
            sleep(Duration::from_secs(wait)).await;
            Ok(Reply::text("here"))
        }
    });
    let suite = Suite::new("s").with(Latency { prompts: vec!["Hello".into()], ..Latency::default() });
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let report = suite.run(&subject, &run().deadline(Duration::from_secs(7200))).await;
    assert_eq!(report.verdict(), Verdict::Fail, "{report}");
    assert_eq!(finding(&report, "latency").evidence[0].estimate, 60.0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_leaves_the_rest_unknown() {
    let (store, manifest) = publish().await;
    let agent = good();
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let report = every_check().run(&subject, &run().deadline(Duration::from_secs(2))).await;
    let consistency = finding(&report, "consistency");
    assert_eq!(consistency.verdict, Verdict::Inconclusive(Reason::Budget(Shortage::Time)), "{report}");
    let known = consistency.cases.iter().filter(|case| case.outcome == Outcome::Hit).count();
    assert!((1..59).contains(&known), "{known} answers were kept");
    let late = finding(&report, "answers");
    assert_eq!(late.verdict, Verdict::Inconclusive(Reason::Budget(Shortage::Time)));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_never_overdrawn() {
    let (store, manifest) = publish().await;
    let agent = Scripted::new(std::iter::repeat_with(|| Ok(Reply::text("4"))).take(500));
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let report = every_check().run(&subject, &run().max_calls(100)).await;
    assert_eq!(agent.requests().len(), 100);
    assert_eq!(report.spent.calls, 100);
    let refusal = finding(&report, "refusal");
    let asked = refusal.cases.iter().filter(|case| case.outcome != Outcome::Unknown).count();
    assert_eq!((refusal.cases.len(), asked), (60, 40), "what was asked is kept");
    // Not one of the 30 was refused, so the rest decides nothing any more.
    assert_eq!(refusal.verdict, Verdict::Fail, "{report}");
    let reason = Reason::Budget(Shortage::Calls { limit: 100 });
    assert_eq!(finding(&report, "tokens").verdict, Verdict::Inconclusive(reason));
}

#[tokio::test(start_paused = true)]
async fn no_check_costs_more_than_it_said() {
    let (store, manifest) = publish().await;
    let started = Arc::new(Mutex::new((0_u64, 0_u64)));
    let count = Arc::clone(&started);
    let watch = run().watch(move |event| {
        let mut count = count.lock().unwrap();
        match event {
            Event::Started { cost, .. } => count.0 += cost.calls,
            Event::Called { .. } => count.1 += 1,
            _ => {}
        }
    });
    let agent = good();
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let suite = every_check();
    let _ = suite.run(&subject, &watch).await;
    let (estimated, made) = *started.lock().unwrap();
    assert_eq!(estimated, made);
    assert_eq!(suite.estimate(&subject).calls, made);
}

#[tokio::test(start_paused = true)]
async fn a_report_survives_json_and_becomes_an_attestation() {
    let (store, manifest) = publish().await;
    let agent = bad();
    let report = every_check().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let stamp = Stamp { by: "ci".into(), at: std::time::UNIX_EPOCH };
    let attestation = report.attestation(stamp);
    assert_eq!(attestation.predicate_type, Report::PREDICATE_TYPE);
    assert_eq!(attestation.predicate["accepted"], false);
    let findings = attestation.predicate["report"]["findings"].as_array().unwrap();
    assert!(findings.len() == 7 && findings.iter().all(|finding| finding.get("cases").is_none()));
}

#[tokio::test]
async fn hostile_answers_do_not_reach_the_terminal() {
    let (store, manifest) = publish().await;
    let agent = Scripted::texts(["\u{1b}[2J\u{202e}evil"]);
    let cases = vec![AnswerCase { input: "q".into(), target: "t".into() }];
    let suite = Suite::new("s").with(Answers { cases, rule: Rule::Point, ..Answers::default() });
    let report = suite.run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    assert!(!report.to_string().contains(['\u{1b}', '\u{202e}']), "{report}");
}

#[tokio::test]
async fn usage_of_nothing_is_no_ratio() {
    let (store, manifest) = publish().await;
    let mut reply = Reply::text("x");
    reply.usage = Some(Usage { output_tokens: 5, ..Usage::default() });
    let agent = Scripted::new([Ok(reply)]);
    let check = Tokens { prompts: vec!["Hello".into()], rule: Rule::Point, ..Tokens::default() };
    let finding = check.validate(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await.unwrap();
    assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::Uncounted { replies: 1 }));
}

/// A model that answers `reply` to everything.
fn always(reply: Reply) -> FnAgent {
    FnAgent::new("always", move |_| {
        let reply = reply.clone();
        async move { Ok(reply) }
    })
}

/// Checks that an empty answer could pass by being empty.
fn quiet_checks() -> Suite {
    let prompts = vec!["Hello".to_owned()];
    Suite::new("quiet")
        .with(Consistency { prompts: prompts.clone(), repeats: 59, ..Consistency::default() })
        .with(Latency { prompts, ..Latency::default() })
        .with(Refusal { benign: vec!["Hello".into(); 30], ..Refusal::default() })
}

#[tokio::test(start_paused = true)]
async fn a_mute_model_is_not_accepted() {
    let (store, manifest) = publish().await;
    let agent = always(Reply::text(" ").with_finish_reason("stop"));
    let report = quiet_checks().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    let expected = [("consistency", "fail"), ("latency", "inconclusive"), ("refusal", "fail")];
    assert_eq!(verdicts(&report), expected, "{report}");
    assert_eq!(finding(&report, "latency").verdict, Verdict::Inconclusive(Reason::Silent));
    let shares: Vec<_> = finding(&report, "refusal").evidence.iter().map(|share| share.estimate).collect();
    assert_eq!(shares, [0.0, 0.0], "silence neither declines nor answers");
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_off_before_its_first_word_is_unknown() {
    let (store, manifest) = publish().await;
    let agent = always(Reply::text("").with_finish_reason("length"));
    let report = quiet_checks().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    for finding in &report.findings {
        assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::CutOff), "{report}");
    }
    assert!(report.to_string().contains("raise max_tokens"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn answers_cut_off_are_counted_beside_the_evidence() {
    let (store, manifest) = publish().await;
    let agent = always(Reply::text("Once upon a").with_finish_reason("length"));
    let report = quiet_checks().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
    let counts: Vec<_> = report.findings.iter().map(|finding| finding.evidence[0].cut_off).collect();
    assert_eq!(counts, [59, 59, 30]);
    assert!(report.to_string().contains("n = 59, 59 cut off"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_text_is_no_silence() {
    let (store, manifest) = publish().await;
    for declined in
        [Reply::default().with_refusal("I won't."), Reply::default().with_finish_reason("content_filter")]
    {
        let agent = always(declined);
        let report = quiet_checks().run(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await;
        assert_eq!(verdicts(&report)[..2], [("consistency", "pass"), ("latency", "pass")], "{report}");
        assert_eq!(finding(&report, "refusal").evidence[0].estimate, 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_at_the_limit_is_a_slow_one() {
    let (store, manifest) = publish().await;
    let agent = FnAgent::new("hangs twice in three", {
        let calls = Arc::new(Mutex::new(0));
        move |_| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            let wait = if *calls % 3 == 1 { 1 } else { 1000 };
            async move {
                sleep(Duration::from_secs(wait)).await;
                Ok(Reply::text("here"))
            }
        }
    });
    let check = Latency { prompts: vec!["Hello".into()], rule: Rule::Point, ..Latency::default() };
    let run = run().call_timeout(check.max);
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let finding = check.validate(&subject, &run).await.unwrap();
    assert_eq!(finding.verdict, Verdict::Fail, "{finding:?}");
    assert_eq!(finding.evidence[0].unknown, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_ends_the_questions_whatever_else_is_answered() {
    let (store, manifest) = publish().await;
    let calls = Arc::new(Mutex::new(0));
    let agent = FnAgent::new("loses its key", {
        let calls = Arc::clone(&calls);
        move |_| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            let number = *calls;
            async move {
                if number == 2 {
                    let agent = AgentId::new("loses its key");
                    return Err(AgentError::Refused { agent, status: 401, why: "who?".into() });
                }
                // Answers to what is under way come after the refusal.
                sleep(Duration::from_secs(number)).await;
                Ok(Reply::text("4").with_usage(1, 1))
            }
        }
    });
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let prompts = vec!["Hello".to_owned(); 100];
    let _ = Suite::new("s").with(Tokens { prompts, ..Tokens::default() }).run(&subject, &run()).await;
    assert!(*calls.lock().unwrap() <= 6, "{calls:?}");
}

#[tokio::test]
async fn a_suite_with_a_flaw_makes_no_check_and_waives_none() {
    let (store, manifest) = publish().await;
    let subject = Subject::new(&manifest, &store);
    let sound = Suite::new("s").with(Integrity::default());
    let twice = sound.clone().with(Integrity::default()).allow_inconclusive("integrity");
    let typo = sound.clone().allow_inconclusive("integrty");
    assert_eq!(sound.flaw(), None);
    for (suite, field) in [(twice, "checks[1].name"), (typo, "allow_inconclusive[0]")] {
        assert_eq!(suite.flaw().unwrap().path(), field);
        let report = suite.run(&subject, &run()).await;
        assert!(!report.accepted() && report.verdict().word() == "inconclusive", "{report}");
        assert!(report.to_string().contains(field), "{report}");
    }
}

#[tokio::test]
async fn a_temperature_left_to_the_model_is_not_sent() {
    let (store, manifest) = publish().await;
    let agent = Scripted::texts(["a", "a"]);
    let check = Consistency {
        prompts: vec!["x".into()],
        repeats: 2,
        request: Sampling { temperature: None, ..Sampling::default() },
        ..Consistency::default()
    };
    let finding = check.validate(&Subject::new(&manifest, &store).with_agent(&agent), &run()).await.unwrap();
    assert!(finding.claim.contains("its own"), "{}", finding.claim);
    assert!(agent.requests().iter().all(|request| request.temperature.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_report_is_made_again_from_a_recording() {
    let (store, manifest) = publish().await;
    let directory = tempfile::tempdir().unwrap();
    let moody = || {
        let calls = AtomicU32::new(0);
        FnAgent::new("moody", move |request| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(Duration::from_millis(u64::from(call * 7919 % 5000))).await;
                let agent = AgentId::new("moody");
                match call % 10 {
                    3 => {
                        Err(AgentError::Unavailable { agent, why: "busy".into(), attempts: 2, source: None })
                    }
                    6 => Ok(Reply::text("I'm sorry, but I can't help with that.")),
                    8 => Ok(Reply::text("").with_finish_reason("length")),
                    _ => Ok(Reply::text(format!("4 {}", request.prompt())).with_usage(3, 9)),
                }
            }
        })
    };
    let path = directory.path().join("answers.jsonl");
    let recorder = Recorder::open(moody(), &path).await.unwrap();
    let report = every_check().run(&Subject::new(&manifest, &store).with_agent(&recorder), &run()).await;
    let replay = Replay::open(&path).await.unwrap();
    assert!(replay.len() > 200 && report.findings.iter().any(|finding| !finding.evidence.is_empty()));
    for _ in 0..2 {
        let again = every_check().run(&Subject::new(&manifest, &store).with_agent(&replay), &run()).await;
        assert_eq!(again, report);
    }
    let other = every_check().run(&Subject::new(&manifest, &store).with_agent(&replay), &Run::new(8)).await;
    assert!(other.to_string().contains("record it first"), "{other}");
}
