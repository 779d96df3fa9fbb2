//! `tidegate attest SELECTOR --type URI FILE`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};
use tidegate::registry::{Attestation, ModelRef, Selector};

use crate::{
    Session,
    answer::Answer,
    document::{Document, Format},
    failure::Failure,
    words::{plain, stamp},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Attest {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// What kind of statement it is: a URI, as in-toto's `predicateType`
    #[arg(long = "type", value_name = "URI", value_parser = predicate_type)]
    predicate_type: String,
    /// The statement itself, in-toto's `predicate`: a .json file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Example:
  tidegate attest fraud-scorer@1.4.0 --type https://in-toto.io/attestation/test-result/v0.1 result.json

A statement with `\"result\": \"PASSED\"`, or with `\"accepted\": true`, has a result, which a policy can ask for.";

impl Attest {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let predicate = read(&self.file)?;
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let attestation = Attestation::new(self.predicate_type, session.stamp(), predicate);
        registry.attestations.attest(&model, attestation.clone()).await?;
        Ok(recorded(&model, &attestation))
    }
}

/// The answer to a statement that was recorded.
pub(crate) fn recorded(model: &ModelRef, attestation: &Attestation) -> Answer {
    let text = format!("recorded about {model}: {}", told(attestation));
    let json = json!({ "model": model, "result": attestation.result(), "attestation": attestation });
    Answer::done(text, json)
}

/// What a statement is, in a line: its type, what it comes to, by whom.
pub(crate) fn told(attestation: &Attestation) -> String {
    let result = attestation.result().map_or_else(String::new, |result| format!("{result}, "));
    let accepted = match attestation.predicate["accepted"].as_bool() {
        Some(true) => "accepted, ",
        Some(false) => "not accepted, ",
        None => "",
    };
    // One says in other words what the other does.
    let result = if accepted.is_empty() { plain(&result) } else { accepted.to_owned() };
    format!("{}, {result}{}", plain(&attestation.predicate_type), stamp(&attestation.stamp))
}

fn read(path: &std::path::Path) -> Result<Value, Failure> {
    let misused = |why: &str| Failure::Misused(format!("statement `{}` {why}", path.display()));
    let Document { text, format } = Document::read("statement", path)?;
    if format != Format::Json {
        return Err(misused("is not .json; a predicate is written in JSON"));
    }
    let predicate: Value =
        serde_json::from_str(&text).map_err(|error| misused(&format!("is no JSON: {error}")))?;
    if predicate.get("predicate").is_some() && predicate.get("predicateType").is_some() {
        return Err(misused(
            "is a whole in-toto statement; write its `predicate` alone, and its type to --type",
        ));
    }
    if ["payload", "payloadType", "signatures"].iter().all(|field| predicate.get(field).is_some()) {
        return Err(misused("is a signed envelope; write the `predicate` of the statement inside of it"));
    }
    if !predicate.is_object() {
        return Err(misused("is no JSON object; write {\"result\": \"PASSED\"}, for example"));
    }
    Ok(predicate)
}

fn predicate_type(text: &str) -> Result<String, String> {
    let uri = Url::parse(text).is_ok() && !text.contains(char::is_whitespace);
    let hint = "write a URI, for example https://in-toto.io/attestation/test-result/v0.1";
    if uri { Ok(text.to_owned()) } else { Err(hint.to_owned()) }
}
