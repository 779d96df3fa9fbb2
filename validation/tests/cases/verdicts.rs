use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate_validation::{
    AgentError, AgentId, FnAgent, Method, Outcome, Reason, Reply, Rule, Run, Sampling, Suite, Verdict,
    checks::Cases,
    dataset::{Dataset, Options},
    scorer::{Assertion, Exact, MockScorer, ScoreError},
};

use crate::{check, counting, numbers, report};

fn run() -> Run {
    Run::new(7)
}

fn dataset(lines: &str) -> Dataset {
    Dataset::from_bytes("lines", lines, &Options::default()).unwrap()
}

#[tokio::test]
async fn every_question_is_asked_once_in_order_and_scored() {
    let asked = Arc::default();
    let suite = Suite::new("s").with(check(numbers(100)));
    let report = report(&suite, &counting(&asked), &run()).await;
    let finding = &report.findings[0];
    let evidence = &finding.evidence[0];
    // 3, 10, …, 94 are missed.
    assert_eq!((finding.verdict.clone(), evidence.estimate, evidence.n), (Verdict::Pass, 0.86, 100));
    assert_eq!(evidence.method, Method::ClopperPearson);
    assert_eq!(*asked.lock().unwrap(), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!((finding.cases.len(), finding.cases[1].input.as_str()), (14, "10"));
    assert!(
        finding.cases[0].detail.contains("`3` expected, no number found in: no idea"),
        "{:?}",
        finding.cases[0]
    );
}

#[tokio::test]
async fn cases_that_are_shown_are_bounded() {
    let mute = FnAgent::new("mute", |_| async { Ok(Reply::text("?")) });
    let report = report(&Suite::new("s").with(check(numbers(5_000))), &mute, &run()).await;
    let finding = &report.findings[0];
    assert_eq!(
        (finding.verdict.clone(), finding.cases.len(), finding.evidence[0].n),
        (Verdict::Fail, 100, 5_000)
    );
}

#[tokio::test]
async fn repeats_of_a_question_are_one_cluster() {
    // Half the questions are always answered, the others never: 40 repeats teach nothing that one did not.
    let even = FnAgent::new("even", |request| async move {
        let number: u32 = request.prompt().parse().unwrap();
        Ok(Reply::text(if number.is_multiple_of(2) { number.to_string() } else { String::new() }))
    });
    let once = Cases { rule: Rule::Bound, ..check(numbers(20)) };
    let often = Cases { name: "often".to_owned(), repeats: 40, ..once.clone() };
    let report = report(&Suite::new("s").with(once).with(often), &even, &run()).await;
    let [once, often] = [0, 1].map(|at| &report.findings[at].evidence[0]);
    assert_eq!((once.n, often.n, often.method), (20, 800, Method::KornGraubard));
    assert_eq!((once.estimate, often.estimate), (0.5, 0.5));
    let width = |evidence: &tidegate_validation::Evidence| evidence.upper.unwrap() - evidence.lower.unwrap();
    assert!((width(once) - width(often)).abs() < 0.04, "{once} {often}");
    assert!(
        matches!(report.findings[1].verdict, Verdict::Inconclusive(Reason::TooFew { have: 17..=20, .. })),
        "{report}"
    );
}

#[tokio::test]
async fn questions_about_one_document_are_one_cluster() {
    let lines: String = (0..60)
        .map(|n| format!("{{\"input\": \"{n}\", \"target\": \"{n}\", \"cluster\": \"{}\", \"assert\": [{{\"kind\": \"exact\"}}]}}\n", n / 20))
        .collect();
    let right = FnAgent::new("right", |request| async move { Ok(Reply::text(request.prompt())) });
    let cases = Cases { floor: 0.9, rule: Rule::Bound, ..check(dataset(&lines)) };
    let report = report(&Suite::new("s").with(cases), &right, &run()).await;
    // 60 of 60 would do; three documents do not: 0.05^(1/3) is the most that they prove.
    let evidence = &report.findings[0].evidence[0];
    assert!((evidence.lower.unwrap() - 0.368_403).abs() < 1e-6, "{evidence}");
    assert!(
        matches!(report.findings[0].verdict, Verdict::Inconclusive(Reason::TooFew { have: 3, need: 29 })),
        "{report}"
    );
}

#[tokio::test]
async fn questions_count_by_their_weight() {
    let line = |n: u32, weight: u32| {
        format!(
            "{{\"input\": \"{n}\", \"target\": \"{n}\", \"weight\": {weight}, \"assert\": [{{\"kind\": \"contains\"}}]}}\n"
        )
    };
    let lines = [line(1, 3), line(3, 1)].concat();
    let report =
        report(&Suite::new("s").with(check(dataset(&lines))), &counting(&Arc::default()), &run()).await;
    assert_eq!(report.findings[0].evidence[0].estimate, 0.75);
}

#[tokio::test]
async fn what_cannot_be_scored_is_unknown_never_a_miss() {
    let mut scorer = MockScorer::new();
    scorer.expect_cost().returning(tidegate_validation::Cost::default);
    scorer.expect_score().returning(|question, _, _| match question.prompt() {
        "5" => Err(ScoreError::Unscorable { why: "the judge stammers".to_owned() }),
        _ => Ok(tidegate_validation::scorer::Score::at_least(0.5, 1.0, "fine")),
    });
    let cases = Cases { scorers: vec![Arc::new(scorer)], floor: 1.0, ..check(numbers(7)) };
    let agent = FnAgent::new("right", |request| async move { Ok(Reply::text(request.prompt())) });
    let report = report(&Suite::new("s").with(cases), &agent, &run()).await;
    let finding = &report.findings[0];
    assert!(
        matches!(&finding.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("stammers")),
        "{report}"
    );
    assert_eq!((finding.evidence[0].n, finding.evidence[0].unknown), (6, 1));
    assert_eq!(finding.cases[0].outcome, Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_is_unknown_and_a_dead_agent_ends_the_asking() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let dead = FnAgent::new("dead", move |_| {
        *count.lock().unwrap() += 1;
        async {
            Err(AgentError::Unavailable {
                agent: AgentId::new("dead"),
                why: "gone".into(),
                attempts: 5,
                source: None,
            })
        }
    });
    let run = run().concurrency(NonZeroUsize::MIN);
    let report = report(&Suite::new("s").with(check(numbers(1_000))), &dead, &run).await;
    assert!(
        matches!(&report.findings[0].verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("gone")),
        "{report}"
    );
    // Five at once, and then one a second until half a minute is over.
    assert_eq!(*asked.lock().unwrap(), 5 + 29);
}

#[tokio::test]
async fn a_budget_ends_the_asking_and_the_rest_is_unknown() {
    let asked = Arc::default();
    let report =
        report(&Suite::new("s").with(check(numbers(100))), &counting(&asked), &run().max_calls(30)).await;
    assert_eq!(asked.lock().unwrap().len(), 30);
    let finding = &report.findings[0];
    assert!(matches!(finding.verdict, Verdict::Inconclusive(Reason::Budget(_))), "{report}");
    assert_eq!((finding.evidence[0].n, finding.evidence[0].unknown), (30, 70));
}

#[tokio::test(start_paused = true)]
async fn answers_are_waited_for_side_by_side() {
    let slow = FnAgent::new("slow", |request| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(Reply::text(request.prompt()))
    });
    let begin = tokio::time::Instant::now();
    let run = run().concurrency(NonZeroUsize::new(8).unwrap());
    let report = report(&Suite::new("s").with(check(numbers(80))), &slow, &run).await;
    assert!(report.accepted(), "{report}");
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn assertions_of_the_check_come_on_top() {
    let exact = Assertion::Exact(Exact::default());
    let cases = Cases { assertions: vec![exact.into()], ..check(numbers(3)) };
    let report = report(&Suite::new("s").with(cases), &counting(&Arc::default()), &run()).await;
    // `It is 1.` gives the number and is not exactly it.
    assert_eq!(report.findings[0].evidence[0].estimate, 0.0);
}

#[tokio::test]
async fn choices_are_put_to_the_agent_under_the_system_message() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let agent = FnAgent::new("agent", move |request| {
        sink.lock().unwrap().push(request);
        async { Ok(Reply::text("B")) }
    });
    let line = r#"{"input": "Which?", "choices": ["x", "y"], "target": "y", "assert": [{"kind": "choice"}]}"#;
    let request = Sampling { system: Some("Be brief.".to_owned()), max_tokens: 3, ..Sampling::default() };
    let cases = Cases { request, ..check(dataset(line)) };
    assert!(report(&Suite::new("s").with(cases), &agent, &run()).await.accepted());
    let request = &seen.lock().unwrap()[0];
    assert_eq!(
        (request.messages[0].content.as_str(), request.max_tokens, request.seed),
        ("Be brief.", Some(3), Some(7))
    );
    assert!(request.messages[1].content.contains("A) x\nB) y\n"), "{request:?}");
}

#[test]
fn suite_files_hold_questions_or_name_them() {
    let inline = r#"
        [[checks]]
        kind = "cases"
        repeats = 3
        assert = [{ kind = "normalised" }]
        cases = [{ id = "a", input = "2+2?", target = "4" }]
    "#;
    assert!(format!("{:?}", Suite::from_toml(inline).unwrap()).contains("repeats: 3"));
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    write("data/q.jsonl", "{\"input\": \"2+2?\", \"target\": \"4\"}\n");
    let named = |dataset: &str| {
        format!("[[checks]]\nkind = \"cases\"\nassert = [{{ kind = \"exact\" }}]\ndataset = {dataset}\n")
    };
    write("suite.toml", &named("\"data/q.jsonl\""));
    let open = || Suite::open(directory.path().join("suite.toml"));
    assert_eq!(open().unwrap().checks().collect::<Vec<_>>(), ["cases"]);
    write("suite.toml", &named("{ path = \"data/q.jsonl\", format = \"inspect\" }"));
    assert!(open().is_ok());

    let told = |text: &str, path: &str, says: &str| {
        write("suite.toml", text);
        let error = open().unwrap_err();
        assert!(error.path() == path && error.to_string().contains(says), "{error}");
    };
    told(&named("\"../q.jsonl\""), "checks[0].dataset", "below the suite's directory");
    told(&named("\"/etc/passwd\""), "checks[0].dataset", "below the suite's directory");
    told(&named("\"data/none.jsonl\""), "checks[0].dataset", "cannot be read");
    #[cfg(unix)]
    {
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("data/away.jsonl")).unwrap();
        told(&named("\"data/away.jsonl\""), "checks[0].dataset", "outside of the suite's directory");
        std::os::unix::fs::symlink("q.jsonl", directory.path().join("data/near.jsonl")).unwrap();
        write("suite.toml", &named("\"data/near.jsonl\""));
        assert!(open().is_ok(), "a link that stays inside is followed");
    }
    told(
        &named("{ path = \"data/q.jsonl\", fromat = \"csv\" }"),
        "checks[0].dataset.fromat",
        "did you mean `format`",
    );
    told("[[checks]]\nkind = \"cases\"\n", "checks[0].dataset", "name a file, or write `cases`");
    told(
        &inline.replace("target = \"4\"", "traget = \"4\""),
        "checks[0].cases[0].traget",
        "did you mean `target`",
    );
    told(
        &inline.replace("normalised", "normalized"),
        "checks[0].assert[0].kind",
        "did you mean `normalised`",
    );
    told(
        &inline.replace("assert = [{ kind = \"normalised\" }]", ""),
        "checks[0].cases[0]",
        "what a good answer is",
    );
    told(&inline.replace(", target = \"4\"", ""), "checks[0].cases[0]", "compares with a target");
    told(&inline.replace("repeats = 3", "repeats = 0"), "checks[0].repeats", "from 1");
    told(&inline.replace("repeats = 3", "repeat = 3"), "checks[0].repeat", "did you mean `repeats`");
    write("data/q.jsonl", "{\"input\": \"2+2?\", \"target\": \"4\"}\n{\"inptu\": \"x\"}\n");
    told(&named("\"data/q.jsonl\""), "checks[0].dataset", "line 2, field `inptu`");
    let text = Suite::from_toml(&named("\"data/q.jsonl\"")).unwrap_err();
    assert!(text.to_string().contains("`Suite::open`"), "{text}");
}

#[tokio::test]
async fn the_digest_of_a_suite_is_also_of_its_questions() {
    let directory = tempfile::tempdir().unwrap();
    let suite = directory.path().join("suite.toml");
    std::fs::write(
        &suite,
        "checks = [{ kind = \"cases\", assert = [{ kind = \"exact\" }], dataset = \"q.jsonl\" }]",
    )
    .unwrap();
    let digest = async |question: &str| {
        std::fs::write(directory.path().join("q.jsonl"), question).unwrap();
        let agent = FnAgent::new("a", |_| async { Ok(Reply::text("a")) });
        report(&Suite::open(&suite).unwrap(), &agent, &run()).await.suite_digest.unwrap()
    };
    let one = digest("{\"input\": \"a\", \"target\": \"a\"}").await;
    assert_ne!(one, digest("{\"input\": \"b\", \"target\": \"a\"}").await);
    assert_eq!(one, digest("{\"input\": \"a\", \"target\": \"a\"}").await);
}
