//! What people ask of a rollout here.

use std::time::SystemTime;

use axum::{
    extract::{Form, State, rejection::FormRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use tidegate::{
    canary::{Error, Event, Pause, Request, Rollout, RouteJournal, State as Place, metrics::plot::words},
    registry::Digest,
};

use crate::{Dashboard, refusal::Refusal, rollout, session::Session, watched::in_words};

/// One of the buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wish {
    Approve,
    Resume,
    Pause,
    Override,
    Skip,
    Promote,
    Reject,
    Abort,
}

/// The form that the buttons are of.
#[derive(Deserialize)]
pub(crate) struct Asked {
    form_token: String,
    route: String,
    /// The rollout that the page was about.
    id: String,
    /// Its step, where it was in one.
    step: Option<usize>,
    /// The content of the candidate that the page showed.
    digest: Digest,
    ask: Wish,
    #[serde(default)]
    reason: String,
}

const LONGEST_REASON: usize = 500;

/// Why a request was not written.
pub(crate) enum Objection {
    /// It is not possible, or not any more.
    Impossible(String),
    Failed(Error),
}

pub(crate) async fn take(
    State(dashboard): State<Dashboard>,
    session: Session,
    form: Result<Form<Asked>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(asked) = form.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    session.admit(&asked.form_token)?;
    let watched = dashboard.route(&asked.route)?;
    let request = asked.ask.request(&session.name, reason(&asked)?, asked.digest);
    let link = rollout::link(&watched.route, Some(&asked.id));
    match watched.ask(request, dashboard.clock.now(), |journal| asked.admit(journal)).await {
        Ok(()) => {
            tracing::info!(route = %watched.route, by = session.name, ask = ?asked.ask, "asked");
            Ok(Redirect::to(&link).into_response())
        }
        Err(Objection::Impossible(why)) => {
            let page = rollout::page(&dashboard, &session, watched, None, Some(&why)).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        Err(Objection::Failed(error)) => {
            let why = format!("The journal could not be written: {}.", in_words(&error));
            Err(Refusal::new(StatusCode::BAD_GATEWAY, why))
        }
    }
}

fn reason(asked: &Asked) -> Result<&str, Refusal> {
    let reason = asked.reason.trim();
    if asked.ask.needs_reason()
        && (reason.is_empty()
            || reason.chars().count() > LONGEST_REASON
            || reason.contains(|c| words::is_deceptive(c) || c.is_control()))
    {
        return Err(Refusal::malformed(format!(
            "This needs a reason, in one line of 1 to {LONGEST_REASON} characters; go back and write it."
        )));
    }
    Ok(reason)
}

impl Asked {
    /// Whether the page was about what is there now.
    fn admit(&self, journal: &RouteJournal) -> Result<(), Objection> {
        let old = |why: &str| Err(Objection::Impossible(why.to_owned()));
        match journal.latest() {
            Some((id, _)) if id.to_string() != self.id => {
                old("another rollout has been opened since; look at that one")
            }
            Some((_, rollout))
                if matches!(self.ask, Wish::Approve | Wish::Skip) && step(rollout) != self.step =>
            {
                old("it has gone on since that page was made; look where it is now")
            }
            _ => Ok(()),
        }
    }
}

impl Wish {
    const ALL: [Self; 8] = [
        Self::Approve,
        Self::Resume,
        Self::Pause,
        Self::Override,
        Self::Skip,
        Self::Promote,
        Self::Reject,
        Self::Abort,
    ];

    /// What can be asked now, and makes a difference.
    pub(crate) fn possible(rollout: &Rollout, at: SystemTime) -> Vec<Self> {
        let digest = rollout.plan().candidate.digest;
        let makes_sense = |wish: &Self| match wish {
            Self::Pause => !rollout.pauses().contains(&Pause::Held),
            _ => true,
        };
        let is_possible = |wish: &Self| rollout.check(&Event::Ask(wish.request("", "", digest)), at).is_ok();
        Self::ALL.into_iter().filter(makes_sense).filter(is_possible).collect()
    }

    /// Its name in a form.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Approve => "approve",
            Self::Override => "override",
            Self::Pause => "pause",
            Self::Promote => "promote",
            Self::Reject => "reject",
            Self::Resume => "resume",
            Self::Skip => "skip",
        }
    }

    /// What is on the button.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Abort => "Abort",
            Self::Approve => "Approve",
            Self::Override => "Override the freeze",
            Self::Pause => "Pause",
            Self::Promote => "Promote at once",
            Self::Reject => "Reject",
            Self::Resume => "Resume",
            Self::Skip => "Skip this step",
        }
    }

    /// What comes of it.
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Abort => "All traffic returns to stable, and the rollout is over.",
            Self::Approve => "The gate opens for exactly this content.",
            Self::Override => "What the freeze holds up goes on.",
            Self::Pause => "It stays where it is. Evidence against the candidate still counts.",
            Self::Promote => "The candidate gets all traffic and is promoted, without further proof.",
            Self::Reject => "The gate stays shut: all traffic returns to stable, and the rollout is over.",
            Self::Resume => "It goes on from where it is.",
            Self::Skip => "What it is doing is taken for done, whatever is missing.",
        }
    }

    pub(crate) const fn needs_reason(self) -> bool {
        !matches!(self, Self::Approve | Self::Pause | Self::Resume)
    }

    fn request(self, by: &str, reason: &str, digest: Digest) -> Request {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        match self {
            Self::Abort => Request::Abort { by, reason },
            Self::Approve => Request::Approve { by, digest },
            Self::Override => Request::Override { by, reason },
            Self::Pause => Request::Hold { by },
            Self::Promote => Request::Promote { by, reason },
            Self::Reject => Request::Reject { by, reason },
            Self::Resume => Request::Resume { by },
            Self::Skip => Request::Skip { by, reason },
        }
    }
}

/// The step that it is in, if any.
pub(crate) const fn step(rollout: &Rollout) -> Option<usize> {
    match rollout.state() {
        Place::Shift { step, .. } | Place::Analyse { step, .. } | Place::Gate { step, .. } => Some(*step),
        _ => None,
    }
}

impl From<Error> for Objection {
    fn from(error: Error) -> Self {
        match error {
            Error::Illegal(_) | Error::NothingOpened => Self::Impossible(error.to_string()),
            error => Self::Failed(error),
        }
    }
}
