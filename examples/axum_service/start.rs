//! What a rollout is started with: a name of the caller's, and a plan as files have it.

use std::{borrow::Cow, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;
use tidegate::{
    canary::{
        Plan, Release, RolloutId,
        plan_file::{self, Format, PlanFile, Wanted},
    },
    registry::{Channels, ModelStore as _, ModelStoreExt as _, ObjectBacked},
};

use crate::problem::{Kind, Problem, in_words};

/// A rollout to start. The same start twice is one rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// What to call it, such as the id of a pipeline run.
    pub(crate) id: Id,
    /// What is to happen.
    #[schemars(with = "PlanDocument")]
    pub(crate) plan: Value,
}

/// A rollout's id that can stand in an address as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"))]
pub(crate) struct Id(#[schemars(with = "String")] RolloutId);

/// The schema of a plan is that of plan files.
struct PlanDocument;

impl Id {
    pub(crate) const fn get(&self) -> &RolloutId {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let fits = text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match text.parse() {
            Ok(id) if begins && fits => Ok(Self(id)),
            _ => {
                Err("an id is 1 to 100 letters, digits, `.`, `_` and `-`, and begins with a letter or digit")
            }
        }
    }
}

impl Start {
    /// The plan, with what it leaves open pinned by what the registry says now.
    pub(crate) async fn pin(&self, registry: &ObjectBacked) -> Result<Plan, Problem> {
        let invalid = |detail: String| Problem::new(Kind::Invalid, detail, "Correct the plan.");
        let file = PlanFile::read(&self.plan.to_string(), Format::Json)
            .map_err(|error| invalid(in_words(&error)))?;
        // Without a word, it is rolled out from what its channel points to.
        let in_service = || {
            let (name, channel) = (file.candidate().model(), &file.spec().channel);
            format!("{name}:{channel}").parse().map(Wanted::Selected)
        };
        let stable = match file.stable() {
            Some(wanted) => wanted.clone(),
            None => in_service().map_err(tidegate::registry::Error::from)?,
        };
        let stable = pin(registry, &stable).await?;
        let candidate = pin(registry, file.candidate()).await?;
        file.pin(stable, candidate).map_err(|error| invalid(in_words(&error)))
    }
}

async fn pin(registry: &ObjectBacked, wanted: &Wanted) -> Result<Release, Problem> {
    match wanted {
        Wanted::Pinned(release) => Ok(release.clone()),
        Wanted::Selected(selector) => {
            let channels = Channels::new(Arc::new(registry.clone()));
            let model = registry.resolve(selector, &channels).await?;
            Ok(Release::from(&registry.manifest(&model).await?))
        }
    }
}

impl JsonSchema for PlanDocument {
    fn schema_name() -> Cow<'static, str> {
        "Plan".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        // What it refers to becomes part of the document, beside everything else.
        let text = plan_file::schema().to_string().replace("\"#/$defs/", "\"#/components/schemas/");
        let mut schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$schema");
            if let Some(Value::Object(parts)) = fields.remove("$defs") {
                schemas.definitions_mut().extend(parts);
            }
        }
        Schema::try_from(schema).expect("the schema of an object is one")
    }
}
