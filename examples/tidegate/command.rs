//! The subcommands.

use anyhow::Result;
use clap::Subcommand;

use crate::{
    Session, answer::Answer, approve, at, attest, bom, cache, calibrate, delete, demote, expire, fsck, gc,
    history, judge, key, list, plan, policy, promote, publish, pull, pull_oci, push_oci, quarantine, query,
    revert, show, sign, validate, verify, watch, yank,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish the files of a directory as a new version
    Publish(publish::Publish),
    /// Download a version and verify every byte of it
    Pull(pull::Pull),
    /// Look after a cache of delivered files
    Cache(cache::Cache),
    /// Copy a version to an OCI registry, as a ModelPack artifact
    PushOci(push_oci::PushOci),
    /// Import a model from an OCI registry as a version, or into a directory
    PullOci(pull_oci::PullOci),
    /// List the models, or the versions of one
    List(list::List),
    /// Show what is known about a version
    Show(show::Show),
    /// Read a version in the registry again and compare it with its manifest, and see who signed it
    Verify(verify::Verify),
    /// Run a suite of checks against a version that is being served
    Validate(validate::Validate),
    /// Say from windows on standard input whether a candidate is worse than what is in service
    Judge(judge::Judge),
    /// Say how long it will take to see that a candidate is worse
    Plan(plan::Plan),
    /// See from a history how often a version would be taken for worse than itself
    Calibrate(calibrate::Calibrate),
    /// Ask a source for one metric, and see what it answered
    Query(query::Query),
    /// Record a statement about a version
    Attest(attest::Attest),
    /// Approve of a version, for policies that ask for it
    Approve(approve::Approve),
    /// Make keys to sign with
    Key(key::Key),
    /// Sign a version, as OpenSSF Model Signing
    Sign(sign::Sign),
    /// Print the bill of materials of a version, as CycloneDX
    Bom(bom::Bom),
    /// Point a channel to a version
    Promote(promote::Promote),
    /// Make a channel point nowhere
    Demote(demote::Demote),
    /// Take the last move of a channel back
    Revert(revert::Revert),
    /// Show where a channel pointed, the last move first
    History(history::History),
    /// Say where a channel pointed at a time
    At(at::At),
    /// Follow a channel, a line a move
    Watch(watch::Watch),
    /// Show, set and check what has to hold for a promotion
    Policy(policy::Policy),
    /// Say that nobody should start to use a version
    Yank(yank::Yank),
    /// Take a yank back
    Unyank(yank::Unyank),
    /// Say that the content of a version must not be promoted
    Quarantine(quarantine::Quarantine),
    /// Take a quarantine back
    Lift(quarantine::Lift),
    /// Delete a version for good
    Delete(delete::Delete),
    /// Delete the old versions of a model
    Expire(expire::Expire),
    /// Remove from the store what no version uses
    Gc(gc::Gc),
    /// Look whether everything in the registry is as it was written
    Fsck(fsck::Fsck),
}

impl Command {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        match self {
            Self::Publish(publish) => publish.run(session).await,
            Self::Pull(pull) => pull.run(session).await,
            Self::Cache(cache) => cache.run().await,
            Self::PushOci(push) => push.run(session).await,
            Self::PullOci(pull) => pull.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Verify(verify) => verify.run(session).await,
            Self::Validate(validate) => validate.run(session).await,
            Self::Judge(judge) => judge.run(session).await,
            Self::Plan(plan) => plan.run().await,
            Self::Calibrate(calibrate) => calibrate.run().await,
            Self::Query(query) => query.run(session).await,
            Self::Attest(attest) => attest.run(session).await,
            Self::Approve(approve) => approve.run(session).await,
            Self::Key(key) => key.run(session).await,
            Self::Sign(sign) => sign.run(session).await,
            Self::Bom(bom) => bom.run(session).await,
            Self::Promote(promote) => promote.run(session).await,
            Self::Demote(demote) => demote.run(session).await,
            Self::Revert(revert) => revert.run(session).await,
            Self::History(history) => history.run(session).await,
            Self::At(at) => at.run(session).await,
            Self::Watch(watch) => watch.run(session).await,
            Self::Policy(policy) => policy.run(session).await,
            Self::Yank(yank) => yank.run(session).await,
            Self::Unyank(unyank) => unyank.run(session).await,
            Self::Quarantine(quarantine) => quarantine.run(session).await,
            Self::Lift(lift) => lift.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
            Self::Expire(expire) => expire.run(session).await,
            Self::Gc(gc) => gc.run(session).await,
            Self::Fsck(fsck) => fsck.run(session).await,
        }
    }

    /// Whether it answers line by line for as long as it is let, so that being told to end is no failure to
    /// explain.
    pub(crate) const fn goes_on(&self) -> bool {
        matches!(self, Self::Judge(_) | Self::Watch(_))
    }
}
