//! The questions of a configuration of promptfoo: each prompt with the variables of each test.

mod assertion;
mod template;

use serde_json::{Map, Value};

use self::{assertion::assertion, template::filled};
use super::{
    MOST_QUESTIONS, Question,
    fields::{Fields, conversation},
    native::complete,
};
use crate::{
    Message, Role,
    flaw::{Flaw, join, read},
};

/// What says how promptfoo itself goes about it, and nothing about what is asked or expected.
const BESIDE: &[&str] = &[
    "$schema",
    "commandLineOptions",
    "description",
    "env",
    "evaluateOptions",
    "metadata",
    "outputPath",
    "providers",
    "sharing",
    "tags",
    "targets",
    "writeLatestResults",
];

/// Most bytes of all questions together: each prompt is repeated for each test.
const MOST_BYTES: usize = 64 << 20;

/// One of the prompts.
enum Prompt {
    Chat(Vec<Message>),
    Text(String),
}

/// A test, or what all tests have in common.
#[derive(Default)]
struct Test {
    vars: Map<String, Value>,
    assertions: Vec<Value>,
    metadata: Map<String, Value>,
    threshold: Option<f64>,
}

/// All questions of a configuration.
pub(super) fn questions(document: Map<String, Value>) -> Result<Vec<Question>, Flaw> {
    let known: Vec<_> = ["prompts", "tests", "defaultTest"].iter().chain(BESIDE).copied().collect();
    let mut fields = Fields::new(Value::Object(document), &known)?;
    let prompts = prompts(fields.take("prompts"))?;
    let common = match fields.take("defaultTest") {
        Some(test) => Test::read(test, "defaultTest")?,
        None => Test::default(),
    };
    let tests = match fields.take("tests") {
        Some(Value::Array(tests)) if !tests.is_empty() => tests,
        Some(Value::String(_)) => {
            return Err(Flaw::new("tests", "files are not read from here; write the tests out"));
        }
        _ => {
            return Err(Flaw::new(
                "tests",
                "it has no test, and nothing asked is no pass; write a list of tests",
            ));
        }
    };
    if prompts.len().saturating_mul(tests.len()) > MOST_QUESTIONS {
        return Err(Flaw::new(
            "tests",
            format!("prompts × tests are more than {MOST_QUESTIONS} questions; split it"),
        ));
    }
    let mut questions = Vec::new();
    let mut bytes = 0;
    for (i, test) in tests.into_iter().enumerate() {
        let path = format!("tests[{i}]");
        let test = Test::read(test, &path)?.over(&common);
        for (j, prompt) in prompts.iter().enumerate() {
            let question = test.asked(prompt, &format!("prompts[{j}]"), &path)?;
            bytes += question.messages.iter().map(|message| message.content.len()).sum::<usize>();
            if bytes > MOST_BYTES {
                return Err(Flaw::new(
                    path,
                    format!("the questions up to here are more than {MOST_BYTES} bytes; split it"),
                ));
            }
            questions.push(question);
        }
    }
    Ok(questions)
}

fn prompts(value: Option<Value>) -> Result<Vec<Prompt>, Flaw> {
    let list = match value {
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(text @ Value::String(_)) => vec![text],
        _ => return Err(Flaw::new("prompts", "it has no prompt; write a list of prompts")),
    };
    list.into_iter().enumerate().map(|(i, value)| prompt(value, &format!("prompts[{i}]"))).collect()
}

fn prompt(value: Value, path: &str) -> Result<Prompt, Flaw> {
    let text = match value {
        Value::String(text) => text,
        value => {
            let mut fields = Fields::new(value, &["id", "label", "raw"]).map_err(|flaw| flaw.below(path))?;
            match fields.take("raw") {
                Some(Value::String(text)) => text,
                _ => return Err(Flaw::new(join(path, "raw"), "write the prompt as text")),
            }
        }
    };
    if is_file(&text) {
        return Err(Flaw::new(path, "files are not read from here; write the prompt itself"));
    }
    match text.trim_start().starts_with('[').then(|| serde_json::from_str::<Value>(&text)) {
        Some(Ok(messages @ Value::Array(_))) => conversation(messages, path).map(Prompt::Chat),
        _ => Ok(Prompt::Text(text)),
    }
}

/// Whether promptfoo would read the prompt from a file.
fn is_file(prompt: &str) -> bool {
    const ENDS: &[&str] = &[
        ".cjs", ".csv", ".j2", ".js", ".json", ".jsonl", ".md", ".mjs", ".py", ".ts", ".txt", ".yaml", ".yml",
    ];
    let one_word = !prompt.trim().contains(char::is_whitespace);
    prompt.starts_with("file://")
        || prompt.starts_with("exec:")
        || one_word && ENDS.iter().any(|end| prompt.trim().ends_with(end))
}

impl Test {
    fn read(value: Value, path: &str) -> Result<Self, Flaw> {
        const KNOWN: &[&str] = &["description", "vars", "assert", "threshold", "metadata"];
        if value.is_string() {
            return Err(Flaw::new(path, "files are not read from here; write the test itself"));
        }
        let mut fields = Fields::new(value, KNOWN).map_err(|flaw| flaw.below(path))?;
        let mut read_fields = || {
            let vars = fields.table("vars")?;
            let assertions = match fields.take("assert") {
                Some(list) => read(list, "assert")?,
                None => Vec::new(),
            };
            let threshold =
                fields.number("threshold", "above 0 and at most 1", |least| least > 0.0 && least <= 1.0)?;
            let mut metadata = fields.table("metadata")?;
            if let Some(description) = fields.take("description") {
                metadata.entry("description").or_insert(description);
            }
            Ok(Self { vars, assertions, metadata, threshold })
        };
        read_fields().map_err(|flaw: Flaw| flaw.below(path))
    }

    /// This test on top of what all have in common.
    fn over(self, common: &Self) -> Self {
        let on = |below: &Map<String, Value>, above| below.clone().into_iter().chain(above).collect();
        Self {
            vars: on(&common.vars, self.vars),
            assertions: common.assertions.iter().cloned().chain(self.assertions).collect(),
            metadata: on(&common.metadata, self.metadata),
            threshold: self.threshold.or(common.threshold),
        }
    }

    fn asked(&self, prompt: &Prompt, at: &str, path: &str) -> Result<Question, Flaw> {
        let fill = |template: &str| {
            filled(template, &self.vars, at).map_err(|flaw| match flaw.path.as_str() {
                path_of_prompt if path_of_prompt == at => flaw,
                _ => flaw.below(path),
            })
        };
        let messages = match prompt {
            Prompt::Text(text) => vec![Message::new(Role::User, fill(text)?)],
            Prompt::Chat(messages) => messages
                .iter()
                .map(|message| Ok(Message { content: fill(&message.content)?, ..message.clone() }))
                .collect::<Result<_, Flaw>>()?,
        };
        let assertions = (self.assertions.iter().enumerate())
            .map(|(i, value)| assertion(value.clone(), &self.vars, &format!("{path}.assert[{i}]")))
            .collect::<Result<_, _>>()?;
        complete(Question {
            messages,
            metadata: self.metadata.clone(),
            weight: 1.0,
            assertions,
            threshold: self.threshold,
            ..Question::default()
        })
        .map_err(|flaw| flaw.below(path))
    }
}
