//! Seeds of PyRIT: a document with a list of prompts, or of objectives, each a text.

use serde_json::{Map, Value};

use super::{
    MOST_QUESTIONS, Question,
    fields::{Fields, text},
    native::complete,
};
use crate::{Message, Role, flaw::Flaw};

/// Under which names the list stands.
const LISTS: [&str; 2] = ["seeds", "prompts"];
/// What a seed says, or all have in common, that is kept.
const KEPT: &[&str] = &["dataset_name", "harm_categories", "source"];
/// What else they may say, and nothing about what is asked.
const BESIDE: &[&str] = &[
    "added_by",
    "authors",
    "date_added",
    "description",
    "groups",
    "id",
    "is_general_technique",
    "is_objective",
    "metadata",
    "name",
    "prompt_group_alias",
    "prompt_group_id",
    "seed_type",
    "value_sha256",
];

/// Whether a document is a list of seeds.
pub(super) fn is_seeds(document: &Map<String, Value>) -> bool {
    let first = LISTS.iter().find_map(|&list| document.get(list)?.as_array()?.first());
    first.is_some_and(|seed| seed.get("value").is_some())
}

/// All questions of a document, each with what the document says of all.
pub(super) fn questions(document: Map<String, Value>) -> Result<Vec<Question>, Flaw> {
    let mut fields = fields(Value::Object(document), &LISTS)?;
    only_text(&mut fields)?;
    let lists = LISTS.map(|list| fields.take(list).map(|seeds| (list, seeds)));
    let ([Some((list, Value::Array(seeds))), None] | [None, Some((list, Value::Array(seeds)))]) = lists
    else {
        return Err(Flaw::new(LISTS[0], "write one list of seeds, each with a `value`"));
    };
    if seeds.len() > MOST_QUESTIONS {
        return Err(Flaw::new(list, format!("there are more than {MOST_QUESTIONS} seeds; split the file")));
    }
    let common = kept(&mut fields);
    let template = is_template(&mut fields);
    let seeds = seeds.into_iter().enumerate();
    seeds
        .map(|(i, seed)| {
            question(seed, &common, template).map_err(|flaw| flaw.below(&format!("{list}[{i}]")))
        })
        .collect()
}

/// A question, of a document that says whether its seeds are templates, unless they say so themselves.
fn question(seed: Value, common: &Map<String, Value>, template: Option<bool>) -> Result<Question, Flaw> {
    let mut fields = fields(seed, &["value", "sequence", "role"])?;
    only_text(&mut fields)?;
    if fields.take("role").is_some_and(|role| role != "user") {
        return Err(Flaw::new("role", "each seed is asked by a user; take the others out"));
    }
    if fields.take("sequence").is_some_and(|turn| turn != 0) {
        let why = "it is a later turn of a conversation, and each seed is asked by itself; write conversations as \
            `messages` in our own format";
        return Err(Flaw::new("sequence", why));
    }
    let value =
        fields.take("value").ok_or_else(|| Flaw::new("value", "it is missing; write what is asked"))?;
    let asked = text(value, "value")?;
    let template = is_template(&mut fields).or(template).unwrap_or(false);
    if template && ["{{", "{%"].iter().any(|gap| asked.contains(gap)) {
        let why = "it is a template of Jinja, and nothing is filled in here; write the prompt itself";
        return Err(Flaw::new("value", why));
    }
    let metadata = common.clone().into_iter().chain(kept(&mut fields)).collect();
    complete(Question {
        messages: vec![Message::new(Role::User, asked)],
        metadata,
        weight: 1.0,
        ..Question::default()
    })
}

/// The fields of a seed or of a document, which may have `own` beside those of both.
fn fields(value: Value, own: &[&str]) -> Result<Fields, Flaw> {
    let known = [own, KEPT, BESIDE, &["data_type", "is_jinja_template", "parameters"]].concat();
    Fields::new(value, &known)
}

/// Says what cannot be asked as it stands.
fn only_text(fields: &mut Fields) -> Result<(), Flaw> {
    if fields.take("data_type").is_some_and(|kind| kind != "text") {
        return Err(Flaw::new("data_type", "only text is asked here; take the others out"));
    }
    if fields.take("parameters").is_some_and(|list| list.as_array().is_none_or(|list| !list.is_empty())) {
        let why = "it is a template, and nothing is filled in here; write the prompt itself";
        return Err(Flaw::new("parameters", why));
    }
    Ok(())
}

/// Whether what is asked is a template, if that is said.
fn is_template(fields: &mut Fields) -> Option<bool> {
    fields.take("is_jinja_template").map(|said| said == true)
}

fn kept(fields: &mut Fields) -> Map<String, Value> {
    KEPT.iter().filter_map(|&name| Some((name.to_owned(), fields.take(name)?))).collect()
}
