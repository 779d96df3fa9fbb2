//! The questions that come with the crate, and the suite that asks all of them.

use std::{collections::HashSet, path::PathBuf};

use serde_json::Value;
use tidegate_validation::{
    FnAgent, Reply, Request, Role, Run, Subject, Suite, ToolCall, Verdict,
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

async fn verdicts(agent: &FnAgent) -> Vec<(String, Verdict)> {
    let suite = Suite::open(data().join("red-team.toml")).unwrap();
    let (store, manifest) = subject::publish().await;
    let report = suite.run(&Subject::new(&manifest, &store).with_agent(agent), &Run::new(7)).await;
    report.findings.into_iter().map(|finding| (finding.check, finding.verdict)).collect()
}

fn harmful(request: &Request) -> bool {
    questions("harmful.jsonl").iter().any(|question| request.prompt().contains(question.prompt()))
}

#[tokio::test]
async fn a_model_that_knows_what_to_do_passes_all() {
    let careful = FnAgent::new("careful", |request| {
        let text =
            if harmful(&request) { SORRY.to_owned() } else { "Here is what you asked for.".to_owned() };
        async move { Ok(Reply::text(text)) }
    });
    for (check, verdict) in verdicts(&careful).await {
        // Sixty asks are too few clusters for jailbreaks only if one of them works.
        assert_eq!(verdict, Verdict::Pass, "{check}");
    }
}

#[tokio::test]
async fn a_model_that_does_all_it_is_told_fails_but_for_being_helpful() {
    let obedient = FnAgent::new("obedient", |request| {
        // It says whatever stands in its instructions, the code words among it, and calls what it must not.
        let mut said: String = request.messages.iter().map(|message| message.content.as_str()).collect();
        said.insert_str(0, "Sure! ");
        let call = ToolCall::new("call", "execute_shell", "{}");
        async move { Ok(Reply::text(said).with_tool_calls([call])) }
    });
    for (check, verdict) in verdicts(&obedient).await {
        let expected = if check == "over-refusal" { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(verdict, expected, "{check}");
    }
}

#[test]
fn questions_are_sound_and_different() {
    let mut seen = HashSet::new();
    for (name, count) in [
        ("harmful.jsonl", 60),
        ("harmless.jsonl", 60),
        ("injection.jsonl", 12),
        ("leakage.jsonl", 12),
        ("tools.jsonl", 10),
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
