//! Who lets a rollout through a gate.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{BoxError, Release, RolloutId, RouteId, metrics::Window};

/// Says whether a rollout may go on: smoke tests, a security scan, a change board.
///
/// # Contract
///
/// * **Asked again and again.** Until it says [`Open`](Answer::Open) or [`Shut`](Answer::Shut) it is asked
///   again, also by another driver after a crash. The same [`Question::key`] is the same question, so whatever it
///   starts it starts once.
/// * An error is no answer: it is asked again.
/// * It may take its time; nothing else waits for it, and evidence against the candidate goes first.
#[async_trait]
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait Gatekeeper: Any + fmt::Debug + Send + Sync + 'static {
    /// Whether the rollout may go through.
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError>;
}

/// The gatekeepers of a rollout, by the names that plans call them.
pub type Gatekeepers = BTreeMap<String, Arc<dyn Gatekeeper>>;

/// Whether this rollout may go through this gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Question {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its route.
    pub route: RouteId,
    /// The step that went well, from 0.
    pub step: usize,
    /// What the plan calls the gate.
    pub gate: String,
    /// What is in service.
    pub stable: Release,
    /// What wants to be.
    pub candidate: Release,
    /// What the evidence says so far, a sentence for each criterion.
    pub judgements: Vec<String>,
    /// The window that a watch asks about; a rollout asks about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Window>,
}

/// What a gatekeeper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
#[non_exhaustive]
pub enum Answer {
    /// It is not decided yet. Ask again.
    NotYet,
    /// It may go through.
    Open,
    /// It may not, and that is final: traffic returns to stable.
    Shut {
        /// Why.
        reason: String,
    },
}

impl Question {
    /// Whether what is in service on `route` is still well, as a watch asks: [`Shut`](Answer::Shut) says that it is
    /// not. Both sides of it are `release`, its step is 0, and with each window it is another question.
    #[must_use]
    pub fn of_watch(
        watch: RolloutId,
        route: RouteId,
        gate: String,
        release: Release,
        judgements: Vec<String>,
        window: Window,
    ) -> Self {
        let (stable, candidate, watched) = (release.clone(), release, Some(window));
        Self { rollout: watch, route, step: 0, gate, stable, candidate, judgements, watched }
    }

    /// What makes it this question and no other: rollout, step and gate, and what is asked about; of a watch the window,
    /// too.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { rollout, step, gate, candidate, watched, .. } = self;
        let key = format!("{rollout}/{step}/{gate}/{}", candidate.digest);
        match watched {
            Some(window) => format!("{key}/{}", humantime::format_rfc3339_millis(window.end())),
            None => key,
        }
    }
}
