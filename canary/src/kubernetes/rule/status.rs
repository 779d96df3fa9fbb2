//! What gateways report on an HTTPRoute.

use serde::Deserialize;

use crate::kubernetes::unfit::NotTakenUp;

/// The status, as far as it matters here.
#[derive(Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    parents: Vec<Parent>,
}

#[derive(Deserialize)]
struct Parent {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default, rename = "observedGeneration")]
    seen: i64,
    #[serde(default)]
    message: String,
}

impl Status {
    /// Whether every parent accepts the route, as it is at `generation`, with all its backends.
    pub(super) fn taken_up(&self, generation: i64) -> Result<(), NotTakenUp> {
        if self.parents.is_empty() {
            return Err(NotTakenUp::Nobody);
        }
        self.parents.iter().try_for_each(|parent| {
            parent.condition("Accepted", generation)?.must_be("Accepted", "True")?;
            parent.condition("ResolvedRefs", generation)?.must_be("ResolvedRefs", "True")?;
            // Only set where a gateway dropped rules that it could not use.
            let partial = parent.condition("PartiallyInvalid", generation);
            partial.map_or(Ok(()), |partial| partial.must_be("PartiallyInvalid", "False"))
        })
    }
}

impl Parent {
    fn condition(&self, r#type: &str, wanted: i64) -> Result<&Condition, NotTakenUp> {
        let found = self.conditions.iter().find(|condition| condition.r#type == r#type);
        match found {
            Some(condition) if condition.seen >= wanted => Ok(condition),
            _ => Err(NotTakenUp::Lags { seen: found.map_or(0, |condition| condition.seen), wanted }),
        }
    }
}

impl Condition {
    fn must_be(&self, condition: &'static str, status: &str) -> Result<(), NotTakenUp> {
        if self.status == status {
            return Ok(());
        }
        let message = self.message.chars().take(200).collect();
        Err(NotTakenUp::Condition { condition, status: self.status.clone(), message })
    }
}
