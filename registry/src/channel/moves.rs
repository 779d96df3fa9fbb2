//! A move of a channel, why it was made, and where one believed the channel to be.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Channel, Error, ModelName, ModelRef, Result, Seq, Stamp, Withdrawal};

/// A channel came to point to a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Move {
    /// The record that says so; one record can hold several moves, of different channels.
    pub seq: Seq,
    /// Where the channel points since.
    pub to: ModelRef,
    /// Where it pointed before.
    pub from: Option<ModelRef>,
    /// Why it was moved.
    pub cause: Cause,
    /// Who moved it, and when.
    pub stamp: Stamp,
    /// When the version finished its bake under this move, if it did. Only a settled version is a
    /// last known good.
    pub settled: Option<Stamp>,
    /// When the channel came to point nowhere, if it did not move on from here to another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Withdrawal>,
}

/// Why a channel was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// Somebody asked for it.
    Promote,
    /// Somebody took back the move `of`: the channel points again to where it did before.
    Revert {
        /// The move that was taken back.
        of: Seq,
        /// Why.
        reason: String,
    },
    /// It is the end of a rollout, whose id makes recording it idempotent.
    Rollout {
        /// The rollout.
        id: String,
    },
    /// It is the way back from a version that was not good.
    Rollback {
        /// The rollback, whose id makes recording it idempotent.
        id: String,
        /// Why.
        reason: String,
    },
}

/// What a caller believes about a channel when it moves it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// It points nowhere yet.
    Absent,
    /// Whatever: the caller has not looked.
    Any,
    /// It points to this version.
    At(ModelRef),
    /// Its last move is this one.
    Seq(Seq),
}

impl Move {
    pub(crate) const fn new(
        seq: Seq,
        to: ModelRef,
        from: Option<ModelRef>,
        cause: Cause,
        stamp: Stamp,
    ) -> Self {
        Self { seq, to, from, cause, stamp, settled: None, ended: None }
    }
}

impl Cause {
    /// Whether `self` and `other` are the same event, told twice. Asking for something is not an event
    /// with an identity: two people may ask for the same.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rollout { id }, Self::Rollout { id: other })
            | (Self::Rollback { id, .. }, Self::Rollback { id: other, .. }) => id == other,
            _ => false,
        }
    }
}

impl Expect {
    /// Whether the channel, which is at `current`, is where it is expected.
    pub(crate) fn check(&self, name: &ModelName, channel: &Channel, current: Option<&Move>) -> Result<()> {
        let holds = match self {
            Self::Absent => current.is_none(),
            Self::Any => true,
            Self::At(model) => current.is_some_and(|current| current.to == *model),
            Self::Seq(seq) => current.is_some_and(|current| current.seq == *seq),
        };
        if holds {
            return Ok(());
        }
        let found = match (self, current) {
            (_, None) => "none".to_owned(),
            // In the terms of the expectation that it disappoints.
            (Self::Seq(_), Some(current)) => format!("record {}", current.seq),
            (_, Some(current)) => current.to.version().to_string(),
        };
        Err(Error::ChannelMoved {
            name: name.clone(),
            channel: channel.clone(),
            expected: self.to_string(),
            found,
        })
    }
}

/// `none`, a version or a sequence number.
impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Any => f.write_str("any version"),
            Self::At(model) => write!(f, "{}", model.version()),
            Self::Seq(seq) => write!(f, "record {seq}"),
        }
    }
}
