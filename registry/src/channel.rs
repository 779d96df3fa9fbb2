//! Channels: which version is `production`, who said so, and what was it before.

use std::{fmt, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    Channel, Error, Log, ModelName, ModelRef, Result, Seq, Stamp,
    commit::{commit, fold},
    record::Fact,
};

/// The channels of every model in a log: promotion with compare-and-set, and history.
///
/// A channel is not a pointer that is overwritten; it is the last [`Move`] in its history.
#[derive(Clone, Debug)]
pub struct Channels {
    log: Arc<dyn Log>,
}

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
}

/// Why a channel was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// Somebody asked for it.
    Promote,
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

impl Cause {
    /// Whether `self` and `other` are the same event, told twice. Asking for something is not an event
    /// with an identity: two people may ask for the same.
    fn repeats(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rollout { id }, Self::Rollout { id: other })
            | (Self::Rollback { id, .. }, Self::Rollback { id: other, .. }) => id == other,
            _ => false,
        }
    }
}

impl Expect {
    fn holds(&self, last: Option<&Move>) -> bool {
        match self {
            Self::Absent => last.is_none(),
            Self::Any => true,
            Self::At(model) => last.is_some_and(|last| last.to == *model),
            Self::Seq(seq) => last.is_some_and(|last| last.seq == *seq),
        }
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

impl Channels {
    /// The channels recorded in `log`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log }
    }

    /// Moves `channel` to a version, if the channel is where `expect` says.
    ///
    /// Saying the same [`Cause::Rollout`] or [`Cause::Rollback`] (the same id) of the same version again
    /// returns the move that it made, whatever has happened to the channel since: retrying is safe.
    /// Asking with [`Cause::Promote`] for the version that the channel points to already changes
    /// nothing and returns the last move. Publishing at the same time never gets in the way.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the version is not published in this log, [`Error::ChannelMoved`] when
    /// the expectation is wrong, [`Error::CommitUnknown`] when it cannot be told whether the channel
    /// moved, and those of [`Log::read`].
    pub async fn promote(
        &self,
        to: &ModelRef,
        channel: &Channel,
        expect: &Expect,
        cause: Cause,
        stamp: Stamp,
    ) -> Result<Move> {
        let mut before = None;
        let (catalogue, _) = commit(&*self.log, to.name(), &stamp, |catalogue| {
            catalogue.published(to)?;
            let history = catalogue.history(channel);
            before = history.iter().find(|made| made.to == *to && made.cause.repeats(&cause)).cloned();
            if before.is_some() {
                return Ok(Vec::new());
            }
            let last = history.last();
            if !expect.holds(last) {
                return Err(Error::ChannelMoved {
                    name: to.name().clone(),
                    channel: channel.clone(),
                    expected: expect.to_string(),
                    found: found(expect, last),
                });
            }
            before = last.filter(|last| last.to == *to && cause == Cause::Promote).cloned();
            if before.is_some() {
                return Ok(Vec::new());
            }
            Ok(vec![Fact::Promote {
                channel: channel.clone(),
                to: to.clone(),
                from: last.map(|last| last.to.clone()),
                cause: cause.clone(),
            }])
        })
        .await?;
        let made = before.or_else(|| catalogue.history(channel).last().cloned());
        Ok(made.expect("a commit that wrote a move has it in its state"))
    }

    /// Says that the version which `channel` moved to at `seq` has finished its bake. Saying it again
    /// changes nothing; the first stamp stays.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the channel has no move `seq`; otherwise as
    /// [`promote`](Self::promote).
    pub async fn settle(&self, name: &ModelName, channel: &Channel, seq: Seq, stamp: Stamp) -> Result<Move> {
        let find = |history: &[Move]| {
            history.iter().find(|made| made.seq == seq).cloned().ok_or_else(|| Error::NotFound {
                what: format!("move {seq} of {name}:{channel}"),
                remedy: "read the history of the channel for its moves".to_owned(),
            })
        };
        let (catalogue, _) = commit(&*self.log, name, &stamp, |catalogue| {
            let made = find(catalogue.history(channel))?;
            let fact = || Fact::Settle { channel: channel.clone(), seq };
            Ok(if made.settled.is_some() { Vec::new() } else { vec![fact()] })
        })
        .await?;
        find(catalogue.history(channel))
    }

    /// The last move of a channel: where it points, since when and why. `None` if it points nowhere.
    ///
    /// # Errors
    ///
    /// Those of [`Log::read`], and [`Error::Corrupt`] or [`Error::TooNew`] for a log that cannot be
    /// understood.
    pub async fn current(&self, name: &ModelName, channel: &Channel) -> Result<Option<Move>> {
        Ok(fold(&*self.log, name).await?.history(channel).last().cloned())
    }

    /// Every move of a channel, oldest first.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn history(&self, name: &ModelName, channel: &Channel) -> Result<Vec<Move>> {
        Ok(fold(&*self.log, name).await?.history(channel).to_vec())
    }

    /// Where a channel pointed at `time`: the last move stamped then or earlier. Stamps carry the clocks
    /// of those who moved it, so an answer is as good as they were.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn at(&self, name: &ModelName, channel: &Channel, time: SystemTime) -> Result<Option<Move>> {
        let catalogue = fold(&*self.log, name).await?;
        Ok(catalogue.history(channel).iter().rfind(|made| made.stamp.at <= time).cloned())
    }

    /// Every channel of a model and its last move, ascending by name.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn all(&self, name: &ModelName) -> Result<Vec<(Channel, Move)>> {
        Ok(fold(&*self.log, name).await?.heads())
    }
}

/// Where the channel is, in the terms of the expectation that it disappoints.
fn found(expect: &Expect, last: Option<&Move>) -> String {
    match (expect, last) {
        (_, None) => "none".to_owned(),
        (Expect::Seq(_), Some(last)) => format!("record {}", last.seq),
        (_, Some(last)) => last.to.version().to_string(),
    }
}
