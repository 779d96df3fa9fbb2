//! Plans as people write them: TOML, YAML or JSON.
//!
//! A plan file is a [`PlanSpec`] as text, with two liberties. `stable` may be left out, and then is whatever is in
//! service; and both sides may be [wanted](Wanted) by a selector, `fraud@^1.2`, instead of being pinned by their
//! digests. Whoever starts the rollout resolves and [pins](PlanFile::pin) them, so that a [`Plan`] always says
//! which bytes it is about.
//!
//! ```
//! use tidegate_canary::plan_file::{Format, PlanFile};
//!
//! let file = PlanFile::read(
//!     r#"
//!     route: serving/fraud
//!     candidate: fraud@^1.2
//!     steps:
//!       - { weight: 10%, soak: 5m, require: pass }
//!       - { weight: 100%, soak: 5m }
//!     criteria:
//!       - metric: errors
//!         rule: { limit: { statistic: share, bound: { atMost: 0.05 } } }
//!     timing: { bake: 0s }
//!     "#,
//!     Format::Yaml,
//! )?;
//! assert_eq!(file.spec().steps.len(), 2);
//!
//! let typo = PlanFile::read("route: serving/fraud\ncandidat: fraud@^1.2", Format::Yaml).unwrap_err();
//! assert!(typo.to_string().contains("did you mean `candidate`?"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Files come from outside: one is at most 1 MiB long, nested at most 64 deep where it is YAML and 128 where it is
//! JSON, and the aliases of a YAML file cannot make it any larger than that. An error names the field,
//! `steps[2].weight`.

mod invalid;
#[cfg(feature = "schema")]
mod schema;
mod text;

use std::fmt;

use serde_json::{Value, json};
use tidegate_registry::{Digest, Invalid, ModelName, Selector};

#[cfg(feature = "schema")]
pub use self::schema::schema;
use self::text::typed;
pub use self::{invalid::InvalidPlanFile, text::Format};
use crate::{InvalidPlan, Plan, PlanSpec, Release};

/// A plan as it was read, which may not say yet which bytes it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanFile {
    /// Where a release was not pinned, something else stands in for it.
    spec: PlanSpec,
    stable: Option<Wanted>,
    candidate: Wanted,
}

/// Which version a plan file means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever pins must handle both")]
pub enum Wanted {
    /// Exactly this one.
    Pinned(Release),
    /// Whichever the selector finds when the rollout is started.
    Selected(Selector),
}

impl PlanFile {
    /// How long a file may be, in bytes.
    pub const LONGEST: usize = 1 << 20;

    /// Reads a plan. All of it is checked that can be checked without a registry.
    ///
    /// # Errors
    ///
    /// [`InvalidPlanFile`] names the first field that is wrong, and the remedy.
    pub fn read(text: &str, format: Format) -> Result<Self, InvalidPlanFile> {
        let mut fields = format.parse(text)?;
        let mut wanted = |side: &str| fields.remove(side).map(|value| Wanted::read(value, side)).transpose();
        let (stable, candidate) = (wanted("stable")?, wanted("candidate")?);
        let stands_in = |wanted: Option<&Wanted>, version: &str| {
            let name = wanted.or(candidate.as_ref()).map_or("model", |wanted| wanted.model().as_str());
            json!({ "model": format!("{name}@{version}"), "digest": Digest::of(version) })
        };
        let [was, is] = match (&stable, &candidate) {
            (Some(Wanted::Pinned(stable)), Some(Wanted::Pinned(candidate))) => {
                [json!(stable), json!(candidate)]
            }
            _ => [stands_in(stable.as_ref(), "0.0.1"), stands_in(candidate.as_ref(), "0.0.2")],
        };
        fields.insert("stable".to_owned(), was);
        fields.insert("candidate".to_owned(), is);
        let spec: PlanSpec = typed(Value::Object(fields), "")?;
        let missing = || InvalidPlanFile::field("candidate", "it is missing; write for example `fraud@^1.2`");
        let file = Self { spec, stable, candidate: candidate.ok_or_else(missing)? };
        file.spec.clone().build().map_err(InvalidPlanFile::Plan)?;
        Ok(file)
    }

    /// The plan, in which `stable` and `candidate` say nothing yet unless both were pinned.
    #[must_use]
    pub const fn spec(&self) -> &PlanSpec {
        &self.spec
    }

    /// What it is to be rolled out from; if it does not say, from what its channel points to.
    #[must_use]
    pub const fn stable(&self) -> Option<&Wanted> {
        self.stable.as_ref()
    }

    /// What it is to be rolled out.
    #[must_use]
    pub const fn candidate(&self) -> &Wanted {
        &self.candidate
    }

    /// The plan for these two.
    ///
    /// # Errors
    ///
    /// [`InvalidPlan`] where they do not go together.
    pub fn pin(self, stable: Release, candidate: Release) -> Result<Plan, InvalidPlan> {
        PlanSpec { stable, candidate, ..self.spec }.build()
    }
}

impl Wanted {
    fn read(value: Value, path: &str) -> Result<Self, InvalidPlanFile> {
        match value {
            Value::String(text) => {
                text.parse().map(Self::Selected).map_err(|error: Invalid| InvalidPlanFile::field(path, error))
            }
            other => typed(other, path).map(Self::Pinned),
        }
    }

    /// The model that is meant, whatever its version.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        match self {
            Self::Pinned(release) => release.model.name(),
            Self::Selected(selector) => selector.name(),
        }
    }
}

impl From<Plan> for PlanFile {
    fn from(plan: Plan) -> Self {
        let spec = PlanSpec::from(plan);
        let [stable, candidate] =
            [&spec.stable, &spec.candidate].map(|release| Wanted::Pinned(release.clone()));
        Self { stable: Some(stable), candidate, spec }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(release) => release.fmt(f),
            Self::Selected(selector) => selector.fmt(f),
        }
    }
}
