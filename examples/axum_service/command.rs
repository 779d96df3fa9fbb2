//! What can be asked of a rollout.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate::{
    canary::{Request, metrics::plot::words},
    registry::Digest,
};

/// What to ask of a rollout. Who asks is whose token it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "command", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Command {
    /// Give up: all traffic returns to stable.
    Abort { reason: Reason },
    /// Open the gate for exactly this content of the candidate.
    Approve { digest: Digest },
    /// Let what a freeze holds up go on.
    Override { reason: Reason },
    /// Stay where it is. Evidence against the candidate still counts.
    Pause {},
    /// Give the candidate all traffic and promote it, without further proof.
    Promote { reason: Reason },
    /// Keep the gate shut: all traffic returns to stable.
    Reject { reason: Reason },
    /// Go on.
    Resume {},
    /// Take the step for done, whatever is missing.
    Skip { reason: Reason },
}

/// Why, in one line.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 500))]
pub(crate) struct Reason(String);

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let is_line = !text.contains(|c: char| c.is_control() || words::is_deceptive(c));
        if text.trim().is_empty() || text.chars().count() > 500 || !is_line {
            return Err("a reason is one line of 1 to 500 characters");
        }
        Ok(Self(text))
    }
}

impl Command {
    /// Every one of them, as for the candidate with this digest.
    pub(crate) fn all(digest: Digest) -> [Self; 8] {
        let reason = Reason::default;
        [
            Self::Approve { digest },
            Self::Resume {},
            Self::Pause {},
            Self::Override { reason: reason() },
            Self::Skip { reason: reason() },
            Self::Promote { reason: reason() },
            Self::Reject { reason: reason() },
            Self::Abort { reason: reason() },
        ]
    }

    /// What it is called in a request to this API.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Abort { .. } => "abort",
            Self::Approve { .. } => "approve",
            Self::Override { .. } => "override",
            Self::Pause {} => "pause",
            Self::Promote { .. } => "promote",
            Self::Reject { .. } => "reject",
            Self::Resume {} => "resume",
            Self::Skip { .. } => "skip",
        }
    }

    /// As it goes into the journal, with who and why.
    pub(crate) fn request(self, by: &str) -> Request {
        let by = by.to_owned();
        match self {
            Self::Abort { reason } => Request::Abort { by, reason: reason.0 },
            Self::Approve { digest } => Request::Approve { by, digest },
            Self::Override { reason } => Request::Override { by, reason: reason.0 },
            Self::Pause {} => Request::Hold { by },
            Self::Promote { reason } => Request::Promote { by, reason: reason.0 },
            Self::Reject { reason } => Request::Reject { by, reason: reason.0 },
            Self::Resume {} => Request::Resume { by },
            Self::Skip { reason } => Request::Skip { by, reason: reason.0 },
        }
    }
}
