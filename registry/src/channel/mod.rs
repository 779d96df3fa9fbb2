//! Channels: which version is `production`, who said so, and what was it before.

mod moves;
mod policy;
mod signed;
mod watch;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

pub(crate) use self::policy::check_publication;
pub use self::{
    moves::{Cause, Expect, Move},
    policy::{Policy, Rule, Unmet},
    watch::{Moved, Poll},
};
use crate::{
    Channel, Error, Log, ModelName, ModelRef, Result, Seq, Stamp,
    catalogue::{Catalogue, Catalogues, Fact},
    telemetry::{Kind, observe, operation},
};

/// The channels of every model in a log: promotion with compare-and-set, policies, and history.
///
/// A channel is not a pointer that is overwritten; it is the last [`Move`] in its history. Clones share what
/// they have read, so asking again costs one request.
#[derive(Clone, Debug)]
pub struct Channels {
    log: Arc<dyn Log>,
    catalogues: Arc<Catalogues>,
}

impl Channels {
    /// The channels recorded in `log`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, catalogues: Arc::default() }
    }

    /// Moves `channel` to a version, if the channel is where `expect` says and its [`Policy`] allows it.
    ///
    /// Saying the same [`Cause::Rollout`] or [`Cause::Rollback`] (the same id) of the same version again
    /// returns the move that it made, whatever has happened to the channel since: retrying is safe.
    /// Asking with [`Cause::Promote`] for the version that the channel points to already changes
    /// nothing and returns the last move. Publishing at the same time never gets in the way.
    ///
    /// A way back is not held up: with [`Cause::Rollback`] and [`Cause::Revert`] to a version that the
    /// channel pointed to before, the policy does not count. Quarantined content is never moved to.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the version is not published in this log, [`Error::ChannelMoved`] when
    /// the expectation is wrong, [`Error::NotAllowed`] when the policy refuses it or its content is in
    /// quarantine, [`Error::CommitUnknown`] when it cannot be told whether the channel moved, and those of
    /// [`Log::read`].
    pub async fn promote(
        &self,
        to: &ModelRef,
        channel: &Channel,
        expect: &Expect,
        cause: Cause,
        stamp: Stamp,
    ) -> Result<Move> {
        let evidence = self.evidence(to, channel).await?;
        let mut before = None;
        let commit = self.catalogues.commit(&*self.log, to.name(), &stamp, |catalogue| {
            let published = catalogue.published(to)?;
            let history = catalogue.history(channel);
            before = history.iter().find(|made| made.to == *to && made.cause.repeats(&cause)).cloned();
            if before.is_some() {
                return Ok(Vec::new());
            }
            let current = catalogue.current(channel);
            expect.check(to.name(), channel, current)?;
            before = current.filter(|current| current.to == *to && cause == Cause::Promote).cloned();
            if before.is_some() {
                return Ok(Vec::new());
            }
            policy::check(catalogue, &published, channel, &cause, stamp.at, &evidence)?;
            Ok(vec![Fact::Promote {
                channel: channel.clone(),
                to: to.clone(),
                from: current.map(|current| current.to.clone()),
                cause: cause.clone(),
            }])
        });
        let span =
            operation!(INFO, "tidegate.registry.promote", tidegate.model = %to, tidegate.channel = %channel);
        let (catalogue, _) = observe(Kind::Operation("promote"), span, commit).await?;
        let made = before.or_else(|| catalogue.history(channel).last().cloned());
        Ok(made.expect("a commit that wrote a move has it in its state"))
    }

    /// What [`promote`](Self::promote) of `to` for this `cause` would be refused for by the channel's policy at `at`;
    /// nothing, if it would be allowed. For rollouts and rollbacks, which end in that and should not begin without.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the version is not published in this log; otherwise those of [`Log::read`].
    pub async fn unmet(
        &self,
        to: &ModelRef,
        channel: &Channel,
        cause: &Cause,
        at: SystemTime,
    ) -> Result<Vec<Unmet>> {
        let evidence = self.evidence(to, channel).await?;
        let catalogue = self.fold(to.name()).await?;
        let published = catalogue.published(to)?;
        Ok(policy::unmet(&catalogue, &published, channel, cause, at, &evidence))
    }

    /// Makes `channel` point nowhere, if it is where `expect` says. Of a channel that points nowhere this
    /// changes nothing. Returns the move that ended.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelMoved`] when the expectation is wrong; otherwise as [`promote`](Self::promote).
    pub async fn demote(
        &self,
        name: &ModelName,
        channel: &Channel,
        expect: &Expect,
        reason: impl Into<String> + Send,
        stamp: Stamp,
    ) -> Result<Option<Move>> {
        let reason = reason.into();
        let commit = self.catalogues.commit(&*self.log, name, &stamp, |catalogue| {
            catalogue.expect_versions()?;
            let current = catalogue.current(channel);
            expect.check(name, channel, current)?;
            let end = |current: &Move| Fact::Demote {
                channel: channel.clone(),
                seq: current.seq,
                reason: reason.clone(),
            };
            Ok(current.map(end).into_iter().collect())
        });
        let span =
            operation!(INFO, "tidegate.registry.demote", tidegate.model = %name, tidegate.channel = %channel);
        let (catalogue, _) = observe(Kind::Operation("demote"), span, commit).await?;
        Ok(catalogue.history(channel).last().cloned())
    }

    /// Moves `channel` back to the version that it pointed to before its last move, which `expect` says. With
    /// [`Expect::Any`], reverting twice is going back and forth: after an error, look first.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no version to go back to, or it was deleted; otherwise as
    /// [`promote`](Self::promote).
    pub async fn revert(
        &self,
        name: &ModelName,
        channel: &Channel,
        expect: &Expect,
        reason: impl Into<String> + Send,
        stamp: Stamp,
    ) -> Result<Move> {
        let catalogue = self.fold(name).await?;
        let last = catalogue.history(channel).last();
        expect.check(name, channel, catalogue.current(channel))?;
        // What was emptied goes back to where it was; what moved goes back to where it came from.
        let back = last.and_then(|last| match last.ended {
            Some(_) => Some((last.seq, last.to.clone())),
            None => Some((last.seq, last.from.clone()?)),
        });
        let Some((of, to)) = back else {
            return Err(Error::NotFound {
                what: format!("a version that {name}:{channel} pointed to before"),
                remedy: "read the history of the channel, and promote the version that is wanted".to_owned(),
            });
        };
        // Exactly the move that was looked at is taken back, or none.
        let expect = catalogue.current(channel).map_or(Expect::Absent, |current| Expect::Seq(current.seq));
        self.promote(&to, channel, &expect, Cause::Revert { of, reason: reason.into() }, stamp).await
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
        let commit = self.catalogues.commit(&*self.log, name, &stamp, |catalogue| {
            let made = find(catalogue.history(channel))?;
            let fact = || Fact::Settle { channel: channel.clone(), seq };
            Ok(if made.settled.is_some() { Vec::new() } else { vec![fact()] })
        });
        let span =
            operation!(INFO, "tidegate.registry.settle", tidegate.model = %name, tidegate.channel = %channel);
        let (catalogue, _) = observe(Kind::Operation("settle"), span, commit).await?;
        find(catalogue.history(channel))
    }

    /// The last move of a channel: where it points, since when and why. `None` if it points nowhere.
    ///
    /// # Errors
    ///
    /// Those of [`Log::read`], and [`Error::Corrupt`] or [`Error::TooNew`] for a log that cannot be
    /// understood.
    pub async fn current(&self, name: &ModelName, channel: &Channel) -> Result<Option<Move>> {
        Ok(self.fold(name).await?.current(channel).cloned())
    }

    /// Every move of a channel, oldest first.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn history(&self, name: &ModelName, channel: &Channel) -> Result<Vec<Move>> {
        Ok(self.fold(name).await?.history(channel).to_vec())
    }

    /// Where a channel pointed at `time`: the last move stamped then or earlier, if it had not ended by
    /// then. Stamps carry the clocks of those who moved it, so an answer is as good as they were.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn at(&self, name: &ModelName, channel: &Channel, time: SystemTime) -> Result<Option<Move>> {
        let catalogue = self.fold(name).await?;
        let last = catalogue.history(channel).iter().rfind(|made| made.stamp.at <= time);
        let ended = |made: &&Move| made.ended.as_ref().is_some_and(|ended| ended.stamp.at <= time);
        Ok(last.filter(|made| !ended(made)).cloned())
    }

    /// Every channel of a model that points anywhere, and its last move, ascending by name.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn all(&self, name: &ModelName) -> Result<Vec<(Channel, Move)>> {
        let catalogue = self.fold(name).await?;
        Ok(catalogue.currents().map(|(channel, made)| (channel.clone(), made.clone())).collect())
    }

    /// Sets what has to hold for a version that `channel` is moved to from now on; `None` lifts it. Setting
    /// an equal policy again changes nothing. Where the channel points already it stays.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when a rule can never hold; otherwise as [`promote`](Self::promote).
    pub async fn set_policy(
        &self,
        name: &ModelName,
        channel: &Channel,
        policy: Option<Policy>,
        stamp: Stamp,
    ) -> Result<()> {
        policy.as_ref().map_or(Ok(()), |policy| policy.check(channel))?;
        let commit = self.catalogues.commit(&*self.log, name, &stamp, |catalogue| {
            catalogue.expect_versions()?;
            if catalogue.policy(channel) == policy.as_ref() {
                return Ok(Vec::new());
            }
            Ok(vec![Fact::Policy { channel: channel.clone(), policy: policy.clone() }])
        });
        commit.await.map(drop)
    }

    /// Every policy of a model's channels.
    ///
    /// # Errors
    ///
    /// As [`current`](Self::current).
    pub async fn policies(&self, name: &ModelName) -> Result<BTreeMap<Channel, Policy>> {
        Ok(self.fold(name).await?.policies().clone())
    }

    async fn fold(&self, name: &ModelName) -> Result<Catalogue> {
        self.catalogues.fold(&*self.log, name).await
    }
}
