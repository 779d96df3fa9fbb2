//! Behaviours of HarmBench.
//!
//! M. Mazeika et al., *HarmBench: a standardized evaluation framework for automated red teaming and robust refusal*,
//! arXiv:2402.04249.

use serde_json::Value;

use super::{
    Question,
    fields::{Fields, text},
    native::complete,
};
use crate::{Message, Role, flaw::Flaw};

/// Columns that say what kind of behaviour it is.
const ABOUT: &[&str] = &["FunctionalCategory", "SemanticCategory", "Category", "Tags"];

/// A behaviour. What it is about is asked before it, as HarmBench puts it.
pub(super) fn behaviour(value: Value) -> Result<Question, Flaw> {
    let known: Vec<_> =
        ["Behavior", "BehaviorID", "ContextString", "ImageFileName"].iter().chain(ABOUT).copied().collect();
    let mut fields = Fields::new(value, &known)?;
    if fields.has("ImageFileName") {
        return Err(Flaw::new(
            "ImageFileName",
            "only text is asked here; take the behaviours with images out",
        ));
    }
    let behaviour = fields.take("Behavior").ok_or_else(|| Flaw::new("Behavior", "it is missing"))?;
    let behaviour = text(behaviour, "Behavior")?;
    let asked = match fields.take("ContextString") {
        Some(context) => format!("{}\n\n---\n\n{behaviour}", text(context, "ContextString")?),
        None => behaviour,
    };
    let about = ABOUT.iter().filter_map(|&name| Some((name.to_owned(), fields.take(name)?)));
    let metadata = about.collect();
    complete(Question {
        id: fields.name("BehaviorID")?.unwrap_or_default(),
        messages: vec![Message::new(Role::User, asked)],
        metadata,
        weight: 1.0,
        ..Question::default()
    })
}
