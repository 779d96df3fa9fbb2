//! What a line of a journal means for people.

use std::{fmt, time::SystemTime};

use serde::Serialize;
use tidegate_registry::Seq;

use super::id;
use crate::{Release, RolloutId, RouteId, Weight};

/// What a line of a route's journal means for people and machines. As JSON it is what a
/// [`Webhook`](super::Webhook) sends; fields may be added to it, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Notice {
    /// What makes it this message and no other: `route/<route>/<record>`, where the route is percent-encoded but for
    /// letters, digits, `-`, `_`, `~` and `/`. Whoever gets an id for the second time has got the notice already.
    pub id: String,
    /// When it happened, by the clock of whoever wrote it down.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
    /// What happened.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, as one sentence that needs nothing else to be understood.
    pub summary: String,
    /// The route.
    pub route: RouteId,
    /// The record of its journal that says so.
    pub seq: Seq,
    /// The rollout, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// What was in service before the rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Release>,
    /// What is rolled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Release>,
    /// The step that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Place>,
    /// Who asked for it or did it, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, with the numbers: a sentence each. At most 20 of at most 1 000 characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What a person must do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What it does to the incident of its rollout. There is at most one at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Place {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// The candidate's share of the traffic.
    pub weight: Weight,
    /// The share of stable's requests that the candidate gets copies of.
    #[serde(skip_serializing_if = "Weight::is_none")]
    pub mirror: Weight,
}

/// What happened. Names are for ever; more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Somebody asked for something that no other kind tells.
    Asked,
    /// The promoted version is being watched.
    Baking,
    /// A line of the journal cannot be read or does not follow from those before it.
    Broken,
    /// An end: both sides are compared.
    Compared,
    /// Somebody had changed the traffic, and it was put right.
    Drifted,
    /// A gate has opened.
    GateOpened,
    /// A step went well, and gates have to open.
    GateWaits,
    /// A rollout has begun.
    Opened,
    /// It does not go on, although it could.
    Paused,
    /// The channel says that the candidate is what is in service.
    Promoted,
    /// The steps are over, and the candidate is being promoted.
    Promoting,
    /// The candidate runs, still without traffic.
    Ready,
    /// Whoever had taken the route gave it back.
    Released,
    /// Another plan has taken the place of the one before.
    Replaced,
    /// It goes on again.
    Resumed,
    /// All traffic is back on stable.
    Returned,
    /// Traffic is to go back to stable.
    Returning,
    /// An end: all traffic is on stable and the candidate is gone.
    RolledBack,
    /// Somebody promotes the candidate without further proof.
    Rushed,
    /// Somebody took the route.
    Seized,
    /// The end that was wanted: promoted, baked and settled.
    Settled,
    /// The traffic of a step is in force.
    StepBegun,
    /// An end for a person.
    Stuck,
    /// Nobody can say what traffic is in force. Of windows in a row, the first is told.
    Unseen,
    /// An end: promoted, but the bake went badly.
    Unsettled,
}

/// How bad it is, from nothing to the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "these four are what systems that page people know")]
pub enum Severity {
    /// It goes as it should.
    #[default]
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Users may have been hurt, and something is being done about it.
    Error,
    /// Nothing more happens without a person.
    Critical,
}

/// What a notice does to the incident of its rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "an incident is open or it is not")]
pub enum Incident {
    /// Somebody has to be woken; or, where it is open already, there is more to know.
    Opens,
    /// It is over.
    Resolves,
}

impl Notice {
    /// The name of what it may be an incident of: its rollout, or its route where it is about none.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.rollout {
            Some(rollout) => format!("{}/{rollout}", self.route),
            None => self.route.to_string(),
        }
    }

    pub(super) fn id_of(route: &RouteId, seq: Seq) -> String {
        format!("route/{}/{seq}", id::encoded(route.as_str()))
    }
}

impl Kind {
    /// Its name, as machines know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Baking => "baking",
            Self::Broken => "broken",
            Self::Compared => "compared",
            Self::Drifted => "drifted",
            Self::GateOpened => "gate-opened",
            Self::GateWaits => "gate-waits",
            Self::Opened => "opened",
            Self::Paused => "paused",
            Self::Promoted => "promoted",
            Self::Promoting => "promoting",
            Self::Ready => "ready",
            Self::Released => "released",
            Self::Replaced => "replaced",
            Self::Resumed => "resumed",
            Self::Returned => "returned",
            Self::Returning => "returning",
            Self::RolledBack => "rolled-back",
            Self::Rushed => "rushed",
            Self::Seized => "seized",
            Self::Settled => "settled",
            Self::StepBegun => "step-begun",
            Self::Stuck => "stuck",
            Self::Unseen => "unseen",
            Self::Unsettled => "unsettled",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// `step 2 of 4`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of {}", self.number, self.of)
    }
}
