//! What has to open before the next step.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Calendar;

/// What has to open after a step, before the next one begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Gate {
    /// A person approves, and says which content: [`Request::Approve`](crate::Request::Approve).
    Approval,
    /// The [`Gatekeeper`](crate::Gatekeeper) of this name lets it through, for example a webhook that runs smoke
    /// tests.
    Check(String),
    /// The clock shows one of these times.
    Window(Calendar),
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval => f.write_str("approval"),
            Self::Check(name) => write!(f, "check `{name}`"),
            Self::Window(calendar) => write!(f, "window {calendar}"),
        }
    }
}
