//! Was the answer quick and cheap enough?

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError};
use crate::{Money, Price, Reply};

/// The answer took at most so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct LatencyLimit {
    /// The longest latency, such as `2s 500ms`.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub max: Duration,
}

/// The answer cost at most so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct CostLimit {
    /// The most that it may cost, such as `"0.002"`.
    pub max: Money,
    /// What tokens cost.
    pub price: Price,
}

impl LatencyLimit {
    pub(super) fn score(self, reply: &Reply) -> Result<Score, ScoreError> {
        if reply.remembered {
            return Err(ScoreError::unscorable(
                "the answer was remembered, and its latency is that of another run; ask without what remembers it",
            ));
        }
        Ok(Score::whether(reply.latency <= self.max, format!("took {:.3?}", reply.latency)))
    }
}

impl CostLimit {
    pub(super) fn score(self, reply: &Reply) -> Result<Score, ScoreError> {
        let usage = reply.usage.ok_or_else(|| {
            ScoreError::unscorable(
                "the reply came without token counts; serve the model with `usage` switched on",
            )
        })?;
        let cost = self.price.of(usage.input_tokens, usage.cached_tokens, usage.answered());
        Ok(Score::whether(cost <= self.max, format!("cost {cost}")))
    }
}
