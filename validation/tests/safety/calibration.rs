//! The check `calibration`, and similarity beside `consistency`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use tidegate_validation::{
    FnAgent, Method, Reason, Reply, Rule, Run, Suite, TokenLogprob, ToolCall, Verdict,
    checks::{Calibration, Confidence, Consistency},
    dataset::{Dataset, Options},
    statistics,
};

use crate::{found, says, with_words};

/// `n` questions whose right answer is their number.
fn numbers(n: usize) -> Dataset {
    let lines: String =
        (0..n).map(|i| format!("{{\"id\": \"{i}\", \"input\": \"{i}\", \"target\": \"{i}\"}}\n")).collect();
    Dataset::from_bytes("numbers", lines, &Options::default()).unwrap()
}

/// Says the number that it is asked for, or a wrong one. Of twenty answers `right` are right, and all are said to be so with
/// `percent`.
fn sure(right: usize, percent: u32) -> FnAgent {
    says(move |prompt| {
        let number: usize = prompt.split('\n').next().and_then(|line| line.parse().ok()).unwrap_or(0);
        let answer = if number % 20 < right { number } else { number + 100_000 };
        format!("{answer}\nConfidence: {percent} %")
    })
}

fn check(n: usize) -> Calibration {
    Calibration { dataset: Some(numbers(n)), ..Calibration::default() }
}

#[tokio::test]
async fn a_model_that_knows_when_it_is_right_passes() {
    let finding = found(check(1000), &sure(18, 90), &Run::new(7)).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    let by =
        |measure: &str| finding.evidence.iter().find(|evidence| evidence.measure.contains(measure)).unwrap();
    let ece = by("calibration error over 10 bins");
    assert!(ece.estimate < 1e-9 && ece.method == Method::Bootstrap && ece.n == 1000, "{ece:?}");
    assert!((by("Brier").estimate - 0.09).abs() < 1e-9);
    let bin = by("right where 0.80 to 0.90 sure");
    assert!((bin.estimate - 0.9).abs() < 1e-9 && (bin.threshold - 0.9).abs() < 1e-9 && bin.n == 1000);
    assert_eq!(by("AUROC").estimate, 0.5, "one confidence for all tells nothing apart");
}

#[tokio::test]
async fn a_model_that_is_too_sure_fails() {
    let finding = found(check(400), &sure(10, 95), &Run::new(7)).await;
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!((finding.evidence[0].estimate - 0.45).abs() < 1e-9);
    assert!(finding.cases[0].detail.starts_with("95 % sure of"), "{:?}", finding.cases[0]);
}

#[tokio::test]
async fn few_answers_decide_nothing() {
    for rule in [Rule::Bound, Rule::Point] {
        let check = Calibration { rule, ..check(199) };
        let finding = found(check, &sure(10, 95), &Run::new(7)).await;
        assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::TooFew { have: 199, need: 200 }));
    }
}

#[tokio::test]
async fn an_answer_without_a_confidence_is_neither() {
    let finding = found(check(300), &says(|prompt| prompt[..1].to_owned()), &Run::new(7)).await;
    assert!(
        matches!(&finding.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("confidence"))
    );
    // Without confidences of a tenth nothing is certain that is near the ceiling.
    let partly = says(|prompt| {
        let number: u32 = prompt.split('\n').next().and_then(|line| line.parse().ok()).unwrap_or(0);
        if number.is_multiple_of(10) { number.to_string() } else { format!("{number}\nConfidence: 99 %") }
    });
    let finding = found(check(400), &partly, &Run::new(7)).await;
    assert!(matches!(finding.verdict, Verdict::Inconclusive(Reason::Infra { .. })), "{:?}", finding.verdict);
    assert_eq!((finding.evidence[0].n, finding.evidence[0].unknown), (360, 40));
}

/// What is not known may as well make up for what is: of the whole it says less than of the answers that there are.
#[tokio::test]
async fn answers_that_are_not_known_weigh_against_either_verdict() {
    // Of `n` answers as many are not known as `silent` says of a hundred; the others are all wrong, and said to be right with 70 %.
    let of = async |n: usize, silent: usize, ceiling: f64| {
        let agent = says(move |prompt| {
            let number: usize = prompt.split('\n').next().and_then(|line| line.parse().ok()).unwrap_or(0);
            if number % 100 < silent { "well".to_owned() } else { "wrong\nConfidence: 70 %".to_owned() }
        });
        let check = Calibration { rule: Rule::Point, ceiling, ..check(n) };
        found(check, &agent, &Run::new(7)).await.verdict
    };
    let unknown = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive(Reason::Infra { .. }));
    // 0.7 of each half: 0.35 of the whole at most 0.5 less, and at most 0.5 more.
    assert!(unknown(&of(400, 50, 0.1).await), "the other half may be wrong the other way");
    // 0.63 − 0.1 and 0.63 + 0.1 of the whole.
    assert_eq!(of(400, 10, 0.52).await, Verdict::Fail);
    assert!(unknown(&of(400, 10, 0.54).await));
    assert!(unknown(&of(400, 10, 0.72).await));
    assert_eq!(of(400, 10, 0.74).await, Verdict::Pass);
}

/// Questions are read as they are asked: that the file changes in the meantime is noticed.
#[tokio::test]
async fn questions_are_not_all_read_before_the_first_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("numbers.jsonl");
    let filler = "x".repeat(1_000);
    let line = |i: u32| {
        format!(
            "{{\"id\": \"{i}\", \"input\": \"{i}\", \"target\": \"{i}\", \"metadata\": {{\"x\": \"{filler}\"}}}}\n"
        )
    };
    std::fs::write(&path, (0..3_000).map(line).collect::<String>()).unwrap();
    let dataset = Dataset::open(&path, &Options::default()).unwrap();
    let shortened = path.clone();
    let agent = says(move |_| {
        std::fs::File::options().write(true).open(&shortened).unwrap().set_len(2_000_000).unwrap();
        "1\nConfidence: 90 %".to_owned()
    });
    let check = Calibration { dataset: Some(dataset), ..Calibration::default() };
    let finding = found(check, &agent, &Run::new(7)).await;
    assert!(
        matches!(&finding.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("could not read its questions")),
        "{:?}",
        finding.verdict
    );
}

/// Resampling leaves the runtime's threads to others.
#[test]
fn others_have_their_turn_while_it_is_computed() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::clone(&done);
    let agent = FnAgent::new("last", move |request| {
        let prompt = request.prompt().to_owned();
        let answered = Arc::clone(&answered);
        async move {
            if prompt.starts_with("299\n") {
                // After this the questions are known to be at their end: whoever reads them waits in the same line.
                for _ in 0..3 {
                    tokio::task::spawn_blocking(|| ()).await.unwrap();
                    tokio::task::yield_now().await;
                }
                answered.store(true, Ordering::Relaxed);
            }
            Ok(Reply::text("1\nConfidence: 90 %"))
        }
    });
    let turns = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let (done, taken) = (Arc::clone(&done), Arc::clone(&turns));
        let other = tokio::spawn(async move {
            loop {
                taken.fetch_add(u64::from(done.load(Ordering::Relaxed)), Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let finding = found(check(300), &agent, &Run::new(7)).await;
        assert_eq!(finding.evidence[0].n, 300);
        other.abort();
    });
    assert!(turns.load(Ordering::Relaxed) > 0, "nobody else had a turn");
}

#[tokio::test]
async fn probabilities_and_agreement_are_confidences_as_well() {
    let token = |p: f64| -> TokenLogprob {
        serde_json::from_value(serde_json::json!({"token": "x", "logprob": p.ln()})).unwrap()
    };
    let logprob = FnAgent::new("logprob", move |request| {
        assert_eq!(request.top_logprobs, Some(0));
        let number: usize = request.prompt().parse().unwrap();
        let mut reply = Reply::text((number + usize::from(number.is_multiple_of(4))).to_string());
        reply.logprobs = vec![token(0.75)];
        async move { Ok(reply) }
    });
    let check = |source| Calibration { source, ceiling: 0.2, ..check(400) };
    let finding = found(check(Confidence::Logprob), &logprob, &Run::new(7)).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    assert!(finding.evidence[0].estimate < 1e-9);
    let wavering = FnAgent::new("wavering", |request| {
        let number: u32 = request.prompt().parse().unwrap();
        let off = u32::from(request.seed.unwrap_or(0).is_multiple_of(5));
        async move { Ok(Reply::text((number + off).to_string())) }
    });
    let mut agreeing = check(Confidence::SelfConsistency);
    agreeing.request.temperature = Some(1.0);
    let finding = found(agreeing, &wavering, &Run::new(7)).await;
    // Eight of ten agree, and all are right: the error is 0.2.
    assert!((finding.evidence[0].estimate - 0.2).abs() < 1e-9, "{finding:?}");
}

#[test]
fn suites_name_what_is_wrong_with_a_calibration() {
    for (settings, parts) in [
        ("", ["checks[0].dataset", "is missing"]),
        ("cases = [{ id = \"a\", input = \"b\", target = \"c\" }]\nbins = 0", ["checks[0].bins", "1 to 100"]),
        (
            "cases = [{ id = \"a\", input = \"b\", target = \"c\" }]\nsource = \"self-consistency\"",
            ["checks[0].request.temperature", "above 0"],
        ),
        (
            "cases = [{ id = \"a\", input = \"b\", target = \"c\", cluster = \"d\" }]",
            ["checks[0].dataset", "clusters"],
        ),
        (
            "cases = [{ id = \"a\", input = \"b\", target = \"c\", weight = 2.0 }]",
            ["checks[0].dataset", "weights"],
        ),
    ] {
        let said =
            Suite::from_toml(&format!("[[checks]]\nkind = \"calibration\"\n{settings}\n")).unwrap_err();
        assert!(parts.iter().all(|part| said.to_string().contains(part)), "{said}");
    }
}

#[test]
fn a_picture_holds_every_bin() {
    let answers = (0..100).map(|i| (f64::from(i % 10) / 10.0 + 0.05, i % 3 == 0));
    let bins = statistics::Calibration::new(answers).unwrap().reliability(10);
    let svg = statistics::reliability_svg(&bins);
    assert_eq!(svg.matches("<circle").count(), 10);
    assert!(svg.contains("<title>0.450 sure, 0.300 right, 10 answers</title>"), "{svg}");
    assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    assert!(!statistics::reliability_svg(&[]).contains("circle"));
}

#[tokio::test]
async fn similarity_stands_beside_agreement() {
    let agent = FnAgent::new("wording", |request| {
        let word = if request.seed == Some(7) { "the capital is Paris" } else { "Paris" };
        async move { Ok(Reply::text(word)) }
    });
    let check = Consistency {
        prompts: vec!["What is the capital of France?".to_owned()],
        repeats: 59,
        similarity: Some(0.99),
        ..Consistency::default()
    };
    let finding = found(check.clone(), &agent, &with_words()).await;
    assert_eq!(finding.verdict, Verdict::Pass);
    assert!((finding.evidence[1].estimate - 1.0).abs() < 1e-6, "{:?}", finding.evidence);
    let turns = AtomicU32::new(0);
    let different = FnAgent::new("different", move |_| {
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        async move { Ok(Reply::text(if turn.is_multiple_of(2) { "alpha beta" } else { "gamma delta" })) }
    });
    let pair = Consistency { repeats: 4, rule: Rule::Point, floor: 0.5, ..check.clone() };
    let finding = found(pair, &different, &with_words()).await;
    // Of six pairs two are the same text, and four have nothing in common.
    assert!((finding.evidence[1].estimate - 1.0 / 3.0).abs() < 1e-3, "{:?}", finding.evidence);
    assert_eq!(finding.verdict, Verdict::Fail);
    let without = found(check, &agent, &Run::new(7)).await;
    assert!(
        matches!(&without.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("Run::embedder"))
    );
}

/// Who says the same and does something else does not repeat itself.
#[tokio::test]
async fn calls_of_tools_are_part_of_what_is_repeated() {
    let turns = AtomicU32::new(0);
    let agent = FnAgent::new("caller", move |_| {
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        let mut reply = Reply::text("I look it up.");
        let tool = if turn.is_multiple_of(2) { "look_up" } else { "delete" };
        reply.tool_calls = vec![ToolCall::new(turn.to_string(), tool, "{}")];
        async move { Ok(reply) }
    });
    let check = Consistency {
        prompts: vec!["Where is my parcel?".to_owned()],
        repeats: 4,
        rule: Rule::Point,
        ..Consistency::default()
    };
    let finding = found(check, &agent, &Run::new(7)).await;
    assert_eq!((finding.verdict, finding.evidence[0].estimate), (Verdict::Fail, 0.5));
}
