//! Where to go back to: a pure choice from a channel's history.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_registry::{Cause, ModelRef, Move};

/// Where a rollback goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Target {
    /// To this version, because a person says so: whatever its history is.
    Exactly(ModelRef),
    /// To the newest version that finished its bake in this channel and was not rolled back from since.
    #[default]
    LastGood,
}

/// The version to go back to, and why it and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// What is to be left.
    pub from: ModelRef,
    /// Where to go.
    pub to: ModelRef,
    /// The versions that were passed over on the way back, newest first.
    pub passed_over: Vec<(ModelRef, PassedOver)>,
}

/// Why a version is no last known good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassedOver {
    /// It is what is to be left.
    InService,
    /// It was rolled back from.
    RolledBackFrom,
    /// It never finished a bake here.
    Unsettled,
}

/// There is nowhere to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTarget {
    /// The channel is empty.
    #[error(
        "nothing was ever promoted to this channel, so there is nothing to roll back from; promote a version first"
    )]
    EmptyChannel,
    /// The version asked for is the one in service.
    #[error("{0} is what is in service already; name another version")]
    InService(ModelRef),
    /// No version in the history is known to be good.
    #[error("no version in this channel's history is known to be good ({}); name one with an exact target", join(.0))]
    NoneGood(Vec<(ModelRef, PassedOver)>),
}

impl Target {
    /// Chooses from `history`, oldest first, as [`Channels::history`](tidegate_registry::Channels::history) gives it.
    /// What is to be left is `tried`, the candidate of a rollout that is not over, or else what the channel
    /// points to.
    ///
    /// # Errors
    ///
    /// [`NoTarget`] says why there is none.
    pub fn choose(&self, history: &[Move], tried: Option<&ModelRef>) -> Result<Choice, NoTarget> {
        let head = &history.last().ok_or(NoTarget::EmptyChannel)?.to;
        let from = tried.unwrap_or(head).clone();
        let mut passed_over = Vec::new();
        let to = match self {
            Self::Exactly(to) if *to == from => return Err(NoTarget::InService(from)),
            Self::Exactly(to) => to.clone(),
            Self::LastGood => loop {
                let seen = |to: &ModelRef| passed_over.iter().any(|(passed, _)| passed == to);
                let Some(next) = history.iter().rev().find(|candidate| !seen(&candidate.to)) else {
                    return Err(NoTarget::NoneGood(passed_over));
                };
                match why_not(&next.to, &from, history) {
                    Some(reason) => passed_over.push((next.to.clone(), reason)),
                    None => break next.to.clone(),
                }
            },
        };
        Ok(Choice { from, to, passed_over })
    }
}

/// What speaks against `version` as a last known good: the last word in its history decides.
fn why_not(version: &ModelRef, in_service: &ModelRef, history: &[Move]) -> Option<PassedOver> {
    if version == in_service {
        return Some(PassedOver::InService);
    }
    for (i, moved) in history.iter().enumerate().rev() {
        if moved.from.as_ref() == Some(version) && left_for_bad(moved, &history[..i]) {
            return Some(PassedOver::RolledBackFrom);
        }
        if moved.to == *version && moved.settled.is_some() {
            return None;
        }
    }
    Some(PassedOver::Unsettled)
}

/// Whether a move says that what it left is bad. Going forth again to a version that was rolled back from takes
/// that rollback back, and says nothing against the version in between.
fn left_for_bad(moved: &Move, before: &[Move]) -> bool {
    let is_rollback = |moved: &Move| matches!(moved.cause, Cause::Rollback { .. });
    let undone = before.iter().rev().find(|earlier| earlier.from.as_ref() == Some(&moved.to));
    is_rollback(moved) && !undone.is_some_and(is_rollback)
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InService => "is in service",
            Self::RolledBackFrom => "was rolled back from",
            Self::Unsettled => "never finished its bake",
        })
    }
}

fn join(passed_over: &[(ModelRef, PassedOver)]) -> String {
    let words: Vec<String> = passed_over.iter().map(|(model, why)| format!("{model} {why}")).collect();
    words.join(", ")
}
