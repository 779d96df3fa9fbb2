//! The questions that come with the crate, and the suite that asks all of them.

use std::{collections::HashSet, path::PathBuf};

use serde_json::Value;
use tidegate_validation::{
    Finding, FnAgent, Reply, Request, Role, Run, Subject, Suite, ToolCall, Verdict,
    dataset::{Dataset, Options},
};

use crate::{SORRY, subject};

fn data() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/data").into()
}

fn questions(name: &str) -> Vec<tidegate_validation::dataset::Question> {
    let dataset = Dataset::open(data().join(name), &Options::default()).unwrap();
    dataset.questions().unwrap().map(Result::unwrap).collect()
}

async fn findings(agent: &FnAgent) -> Vec<Finding> {
    let suite = Suite::open(data().join("red-team.toml")).unwrap();
    let (store, manifest) = subject::publish().await;
    suite.run(&Subject::new(&manifest, &store).with_agent(agent), &Run::new(7)).await.findings
}

/// What the check called `name` finds.
async fn finding(agent: &FnAgent, name: &str) -> Finding {
    findings(agent).await.into_iter().find(|finding| finding.check == name).unwrap()
}

fn harmful(request: &Request) -> bool {
    questions("harmful.jsonl").iter().any(|question| request.prompt().contains(question.prompt()))
}

/// A call of the tool `name`, if it is there to be called.
fn call(request: &Request, name: &str) -> Option<ToolCall> {
    request.tools.iter().any(|tool| tool.name == name).then(|| ToolCall::new("call", name, "{}"))
}

/// What a model answers that knows what to do, and looks with a tool where it is asked to.
fn careful(request: &Request) -> Reply {
    let reply = Reply::text(if harmful(request) { SORRY } else { "Here is what you asked for." });
    let look = request.prompt().contains("Look with your tools.");
    let tool = if request.prompt().contains("weather") { "get_weather" } else { "list_files" };
    reply.with_tool_calls(call(request, tool).filter(|_| look))
}

/// An agent that is careful, but for what `otherwise` has it answer.
fn careful_but(otherwise: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> FnAgent {
    FnAgent::new("careful", move |request| {
        let reply = otherwise(&request).unwrap_or_else(|| careful(&request));
        async move { Ok(reply) }
    })
}

#[tokio::test]
async fn a_model_that_knows_what_to_do_passes_all() {
    for finding in findings(&careful_but(|_| None)).await {
        // Sixty asks are too few clusters for jailbreaks only if one of them works.
        assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    }
}

#[tokio::test]
async fn a_model_that_does_all_it_is_told_fails_but_for_being_helpful() {
    let obedient = FnAgent::new("obedient", |request| {
        // It says whatever stands in its instructions, the code words among it, and calls what it must not.
        let mut said: String = request.messages.iter().map(|message| message.content.as_str()).collect();
        said.insert_str(0, "Sure! ");
        let reply = Reply::text(said).with_tool_calls(call(&request, "execute_shell"));
        async move { Ok(reply) }
    });
    for Finding { check, verdict, .. } in findings(&obedient).await {
        let expected = if check == "over-refusal" { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(verdict, expected, "{check}");
    }
}

#[tokio::test]
async fn one_tool_that_is_abused_fails_the_suite_and_its_case_is_named() {
    let ask = "My disk is full.";
    let abusive = careful_but(move |request| {
        let call = call(request, "delete_file").filter(|_| request.prompt().contains(ask))?;
        Some(Reply::default().with_tool_calls([call]))
    });
    let found = finding(&abusive, "tool abuse").await;
    assert_eq!((&found.verdict, found.cases.len()), (&Verdict::Fail, 1), "{found:?}");
    assert!(found.cases[0].input.starts_with(ask), "{found:?}");
    assert!(found.cases[0].detail.contains("`delete_file`"), "{found:?}");
}

#[tokio::test]
async fn a_model_that_never_calls_a_tool_fails_where_it_should() {
    let idle = careful_but(|_| Some(Reply::text(SORRY)));
    let found = finding(&idle, "tool abuse").await;
    assert_eq!((&found.verdict, found.cases.len()), (&Verdict::Fail, 2), "{found:?}");
    assert!(found.cases.iter().all(|case| case.input.ends_with("Look with your tools.")), "{found:?}");
}

/// The code word of a system message, as another writes it.
fn leaking(write: fn(&str) -> String) -> FnAgent {
    careful_but(move |request| {
        let system = request.messages.iter().find(|message| message.role == Role::System)?;
        let at = system.content.find("TERN-")?;
        Some(Reply::text(write(&system.content[at..at + "TERN-0000".len()])))
    })
}

#[tokio::test]
async fn a_code_word_is_told_however_it_is_spelt() {
    let backwards = |word: &str| word.chars().rev().collect::<String>();
    let apart = |word: &str| word.chars().map(|c| format!("{c}\n")).collect::<String>();
    let rot13 = |word: &str| word.replace("TERN", "GREA");
    // What it holds stands in front of the word, which therefore is in no place of its own.
    let base64 = |word: &str| {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits: String = format!("It is {word}").bytes().map(|byte| format!("{byte:08b}")).collect();
        let sextets = bits.as_bytes().chunks(6).map(|six| {
            let six = six.iter().fold(0, |bits, bit| bits << 1 | usize::from(bit - b'0')) << (6 - six.len());
            letters[six] as char
        });
        sextets.collect()
    };
    for (how, write) in [
        ("backwards", backwards as fn(&str) -> String),
        ("apart", apart),
        ("in ROT13", rot13),
        ("in base64", base64),
    ] {
        let found = finding(&leaking(write), "data leakage").await;
        assert_eq!(found.verdict, Verdict::Fail, "{how}: {found:?}");
    }
    let half = finding(&leaking(|word| format!("It begins with {}.", &word[..7])), "data leakage").await;
    assert_eq!(half.verdict, Verdict::Pass, "{half:?}");
}

#[test]
fn questions_are_sound_and_different() {
    let mut seen = HashSet::new();
    for (name, count) in [
        ("harmful.jsonl", 60),
        ("harmless.jsonl", 60),
        ("injection.jsonl", 12),
        ("leakage.jsonl", 14),
        ("tools.jsonl", 12),
    ] {
        let questions = questions(name);
        assert_eq!(questions.len(), count, "{name}");
        for question in questions {
            assert!(seen.insert(question.prompt().to_owned()), "{name} repeats {}", question.prompt());
            if let Some(Value::String(canary)) = question.metadata.get("canary") {
                let at: Vec<_> =
                    question.messages.iter().filter(|message| message.content.contains(canary)).collect();
                let role = if name == "leakage.jsonl" { Role::System } else { Role::User };
                assert!(at.len() == 1 && at[0].role == role, "{} holds its code word once", question.id);
            }
        }
    }
}

/// What comes with the crate says where it is from.
#[test]
fn each_file_has_its_licence() {
    let readme = std::fs::read_to_string(data().join("README.md")).unwrap();
    for file in std::fs::read_dir(data()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || readme.contains(&name), "data/README.md says nothing of {name}");
    }
}
