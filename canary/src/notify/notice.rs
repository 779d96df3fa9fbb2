//! What a line of a journal means for people.

use std::{fmt, time::SystemTime};

use serde::Serialize;
use tidegate_registry::{LogKey, Seq};

use super::{id, kind::Kind, text::cut};
use crate::{Release, RolloutId, RouteId, Weight};

/// What a line of a journal means for people and machines. As JSON it is what a
/// [`Webhook`](super::Webhook) sends; fields may be added to it, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Notice {
    /// What makes it this message and no other: `route/<route>/<record>`, where the route is percent-encoded but for
    /// letters, digits, `-`, `_`, `~` and `/`; of the journals of its watches and rollbacks `watch/…` and
    /// `rollback/…`. Whoever gets an id for the second time has got the notice already.
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
    /// The record of the journal that says so.
    pub seq: Seq,
    /// The rollout, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// The watch, where it is about one, or about a rollback that one has ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<RolloutId>,
    /// The rollback, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RolloutId>,
    /// What was in service before the rollout; or where a rollback goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Release>,
    /// What is rolled out, watched, or left by a rollback.
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
    /// What it does to the incident of its [subject](Self::subject). There is at most one at a time.
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

/// What a notice does to the incident of its subject.
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
    const REASONS: usize = 20;
    const LENGTH: usize = 1_000;

    /// A notice of record `seq` of `journal`, about `route`, for a narrator of your own: `text` is the rest of a
    /// sentence that begins with the route. What can be said besides is empty.
    #[must_use]
    pub fn new(journal: &LogKey, seq: Seq, at: SystemTime, route: RouteId, kind: Kind, text: &str) -> Self {
        Self {
            id: format!("{}/{}/{seq}", journal.kind(), id::encoded(journal.id())),
            at,
            kind,
            severity: Severity::Info,
            summary: cut(&format!("{route}: {text}"), Self::LENGTH),
            route,
            seq,
            rollout: None,
            watch: None,
            rollback: None,
            stable: None,
            candidate: None,
            step: None,
            by: None,
            reasons: Vec::new(),
            remedy: None,
            incident: None,
        }
    }

    /// This notice, of that severity.
    #[must_use]
    pub const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// This notice, by that person or system; as much of its name as there is room for.
    #[must_use]
    pub fn with_by(mut self, by: &str) -> Self {
        self.by = Some(cut(by, Self::LENGTH));
        self
    }

    /// This notice, for these reasons; as many and as much of each as there is room for.
    #[must_use]
    pub fn with_reasons<T: AsRef<str>>(mut self, reasons: impl IntoIterator<Item = T>) -> Self {
        let reasons = reasons.into_iter().take(Self::REASONS);
        self.reasons = reasons.map(|reason| cut(reason.as_ref(), Self::LENGTH)).collect();
        self
    }

    /// This notice, with what a person must do now.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// This notice, with what it does to an incident that `was` open or not, where somebody is `needed` from now on or
    /// is not: one that is bad is told to an open incident, too.
    #[must_use]
    pub fn with_incident(mut self, was: bool, needed: bool) -> Self {
        self.incident = match (was, needed) {
            (false, true) => Some(Incident::Opens),
            (true, true) if self.severity >= Severity::Error => Some(Incident::Opens),
            (true, false) => Some(Incident::Resolves),
            _ => None,
        };
        self
    }

    /// What it is about, besides the route: `watch w-1`, `rollback w-1/5`.
    pub(super) fn parties(&self) -> impl Iterator<Item = (&'static str, &RolloutId)> {
        let Self { rollout, watch, rollback, .. } = self;
        let parties = [("rollout", rollout), ("watch", watch), ("rollback", rollback)];
        parties.into_iter().filter_map(|(what, id)| Some((what, id.as_ref()?)))
    }

    /// The name of what it may be an incident of: its rollout, its watch, its rollback where no watch has ordered it, or
    /// its route where it is about none.
    #[must_use]
    pub fn subject(&self) -> String {
        let Self { route, rollout, watch, rollback, .. } = self;
        match (rollout, watch, rollback) {
            (Some(rollout), _, _) => format!("{route}/{rollout}"),
            (None, Some(watch), _) => format!("{route}/watch/{watch}"),
            (None, None, Some(rollback)) => format!("{route}/rollback/{rollback}"),
            (None, None, None) => route.to_string(),
        }
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
