//! Where to go back to: a pure choice from a channel's history and what is known of its versions.

use std::{fmt, num::NonZeroUsize};

use serde::{Deserialize, Serialize};
use tidegate_registry::{Cause, ModelRef, Move};

use crate::{Survey, survey::Unfit};

/// Where a rollback goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Target {
    /// So many versions back in the channel's history, each counted once, whether it was good or not: 1 is what was
    /// in service before.
    Back(NonZeroUsize),
    /// To this version, because a person says so: whatever its history is.
    Exactly(ModelRef),
    /// To the newest version that finished its bake in this channel, was not rolled back from since, can run, and
    /// that nothing stands before which must not be rolled back past.
    #[default]
    LastGood,
}

/// The version to go back to, and why it and no other. Journaled with an order, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Choice {
    /// What was asked for.
    pub target: Target,
    /// What is to be left.
    pub from: ModelRef,
    /// Where to go.
    pub to: ModelRef,
    /// The versions that were passed over on the way back, newest first.
    pub passed_over: Vec<(ModelRef, PassedOver)>,
    /// Behind a last known good, the versions further back, newest first, and what speaks against each of them as one;
    /// nothing where it is only that the choice is newer. Empty for other targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<(ModelRef, Option<PassedOver>)>,
    /// Why it was not known what is in quarantine, where a person has gone on despite that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsure: Option<String>,
}

/// Why a version is not gone back to. Journaled with an order, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PassedOver {
    /// A version that must not be rolled back from or past lies between.
    Beyond(ModelRef),
    /// It is what is to be left.
    InService,
    /// It was rolled back from.
    RolledBackFrom,
    /// It has the content of what is to be left.
    SameContent,
    /// It cannot run.
    Unfit(Unfit),
    /// It never finished a bake here.
    Unsettled,
    /// It would be good, but a version further back was asked for.
    Younger,
}

/// There is nowhere to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTarget {
    /// The channel is empty.
    #[error("this channel points to nothing, so there is nothing to roll back from; promote a version first")]
    EmptyChannel,
    /// The version asked for is the one in service.
    #[error("{0} is what is in service already; name another version")]
    InService(ModelRef),
    /// No version in the history is known to be good.
    #[error("no version in this channel's history is known to be good ({}); name one with an exact target", join(.0))]
    NoneGood(Vec<(ModelRef, PassedOver)>),
    /// The history is not that long.
    #[error(
        "only {have} versions were in this channel before, not {wanted}; name a version with an exact target"
    )]
    TooFarBack {
        /// How far back was asked for.
        wanted: usize,
        /// How far it goes.
        have: usize,
    },
    /// The version asked for cannot be gone back to.
    #[error("{model} cannot be gone back to, it {why}; name another version")]
    Unfit {
        /// The version.
        model: ModelRef,
        /// Why.
        why: PassedOver,
    },
}

impl Target {
    /// Chooses from `history`, oldest first, as [`Channels::history`](tidegate_registry::Channels::history) gives it.
    /// What is to be left is `tried`, the candidate of a rollout that is not over, or else what the channel
    /// points to.
    ///
    /// # Errors
    ///
    /// [`NoTarget`] says why there is none.
    pub fn choose(
        &self,
        history: &[Move],
        tried: Option<&ModelRef>,
        survey: &Survey,
    ) -> Result<Choice, NoTarget> {
        let head = history.last().filter(|head| head.ended.is_none()).map(|head| &head.to);
        let from = tried.or(head).ok_or(NoTarget::EmptyChannel)?.clone();
        let refuse = |model: &ModelRef, why| NoTarget::Unfit { model: model.clone(), why };
        let mut older = Vec::new();
        let (to, passed_over) = match self {
            Self::Exactly(to) if *to == from => return Err(NoTarget::InService(from)),
            Self::Exactly(to) => match survey.unfit(to) {
                Some(unfit) => return Err(refuse(to, PassedOver::Unfit(unfit.clone()))),
                None => (to.clone(), Vec::new()),
            },
            Self::Back(wanted) => {
                let mut back = versions(history).into_iter().filter(|version| **version != from);
                let younger: Vec<_> = back.by_ref().take(wanted.get() - 1).cloned().collect();
                let Some(to) = back.next() else {
                    return Err(NoTarget::TooFarBack { wanted: wanted.get(), have: younger.len() });
                };
                let between = std::iter::once(&from).chain(&younger);
                if let Some(one_way) = between.into_iter().find(|version| survey.is_one_way(version)) {
                    return Err(refuse(to, PassedOver::Beyond(one_way.clone())));
                }
                if let Some(unfit) = survey.unfit(to) {
                    return Err(refuse(to, PassedOver::Unfit(unfit.clone())));
                }
                (to.clone(), younger.into_iter().map(|version| (version, PassedOver::Younger)).collect())
            }
            Self::LastGood => {
                let mut looked_at = against(history, &from, survey).into_iter();
                let mut passed_over = Passed::new();
                let to = looked_at.by_ref().find_map(|(version, why)| match why {
                    None => Some(version),
                    Some(why) => {
                        passed_over.push((version, why));
                        None
                    }
                });
                older.extend(looked_at);
                match to {
                    Some(to) => (to, passed_over),
                    None => return Err(NoTarget::NoneGood(passed_over)),
                }
            }
        };
        Ok(Choice { target: self.clone(), from, to, passed_over, older, unsure: None })
    }
}

impl NoTarget {
    /// What was passed over in vain, newest first.
    pub(crate) fn passed_over(self) -> Vec<(ModelRef, PassedOver)> {
        match self {
            Self::NoneGood(passed_over) => passed_over,
            Self::Unfit { model, why } => vec![(model, why)],
            Self::EmptyChannel | Self::InService(_) | Self::TooFarBack { .. } => Vec::new(),
        }
    }
}

type Passed = Vec<(ModelRef, PassedOver)>;

/// What speaks against each version of a history as a last known good, newest first.
fn against(history: &[Move], from: &ModelRef, survey: &Survey) -> Vec<(ModelRef, Option<PassedOver>)> {
    let mut barrier = survey.is_one_way(from).then(|| from.clone());
    let why = |version: &ModelRef| {
        let why = why_not(version, from, history, survey, barrier.as_ref());
        if barrier.is_none() && survey.is_one_way(version) {
            barrier = Some(version.clone());
        }
        (version.clone(), why)
    };
    versions(history).into_iter().map(why).collect()
}

/// The versions of a history, each once, by when they were last in service, newest first.
fn versions(history: &[Move]) -> Vec<&ModelRef> {
    let mut versions = Vec::new();
    for moved in history.iter().rev() {
        if !versions.contains(&&moved.to) {
            versions.push(&moved.to);
        }
    }
    versions
}

/// What speaks against `version` as a last known good: the last word in its history decides.
fn why_not(
    version: &ModelRef,
    in_service: &ModelRef,
    history: &[Move],
    survey: &Survey,
    barrier: Option<&ModelRef>,
) -> Option<PassedOver> {
    if version == in_service {
        return Some(PassedOver::InService);
    }
    if survey.is_same(version, in_service) {
        return Some(PassedOver::SameContent);
    }
    if let Some(unfit) = survey.unfit(version) {
        return Some(PassedOver::Unfit(unfit.clone()));
    }
    let beyond = || barrier.cloned().map(PassedOver::Beyond);
    for (i, moved) in history.iter().enumerate().rev() {
        if moved.from.as_ref() == Some(version) && left_for_bad(moved, &history[..i]) {
            return Some(PassedOver::RolledBackFrom);
        }
        if moved.to == *version && moved.settled.is_some() {
            return beyond();
        }
    }
    Some(PassedOver::Unsettled)
}

/// Whether a move says that what it left is bad. One from a candidate that was never promoted leaves what was and stays
/// in service, and says nothing against that. Going forth again to a version that was rolled back from takes
/// that rollback back, and says nothing against the version in between.
fn left_for_bad(moved: &Move, before: &[Move]) -> bool {
    let is_rollback = |moved: &Move| matches!(moved.cause, Cause::Rollback { .. });
    let undone = before.iter().rev().find(|earlier| earlier.from.as_ref() == Some(&moved.to));
    is_rollback(moved) && moved.from.as_ref() != Some(&moved.to) && !undone.is_some_and(is_rollback)
}

/// As the rest of a sentence that begins with "it".
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond(one_way) => write!(f, "lies before {one_way}, which must not be rolled back past"),
            Self::InService => f.write_str("is in service"),
            Self::RolledBackFrom => f.write_str("was rolled back from"),
            Self::SameContent => f.write_str("has the same content as what is to be left"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Unsettled => f.write_str("never finished its bake"),
            Self::Younger => f.write_str("is younger than what was asked for"),
        }
    }
}

/// As the rest of a sentence that begins with "it".
impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { why } => write!(f, "is damaged: {why}"),
            Self::Gone => f.write_str("is not in the registry any more"),
            Self::Quarantined { why } => write!(f, "is in quarantine: {why}"),
            Self::Refused { why } => write!(f, "would not be made to run: {why}"),
        }
    }
}

fn join(passed_over: &[(ModelRef, PassedOver)]) -> String {
    let words: Vec<String> = passed_over.iter().map(|(model, why)| format!("{model} {why}")).collect();
    words.join(", ")
}
