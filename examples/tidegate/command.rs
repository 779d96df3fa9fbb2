//! The subcommands.

use anyhow::Result;
use clap::Subcommand;

use crate::{
    Session, answer::Answer, approve, at, attest, bench, bom, cache, calibrate, calibrate_judge, compare,
    delete, demote, drift, expire, fsck, gc, history, judge, key, list, load, plan, plan_schema, policy,
    promote, publish, pull, pull_oci, push_oci, quarantine, query, report, revert, rollback, rollout, scan,
    show, sign, smoke, suite_schema, validate, verify, watch, yank,
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
    /// Look into model files for what they would do to whoever loads them
    Scan(scan::Scan),
    /// See whether rows are still what they were, column by column
    Drift(drift::Drift),
    /// Run a suite of checks against a version that is being served
    Validate(Box<validate::Validate>),
    /// Compare a candidate's recorded answers with its baseline's, or the arms of an experiment in production
    Compare(compare::Compare),
    /// See from answers that people judged how far a judge is to be believed
    CalibrateJudge(calibrate_judge::CalibrateJudge),
    /// Print the JSON Schema of suite files
    SuiteSchema(suite_schema::SuiteSchema),
    /// Ask a model a few questions, all of which it must answer in time
    Smoke(smoke::Smoke),
    /// Send a model the requests that users will, and see what it withstands
    Load(load::Load),
    /// Record what a version withstands, and compare it with the version before
    Bench(bench::Bench),
    /// Say from windows on standard input whether a candidate is worse than what is in service
    Judge(judge::Judge),
    /// Say how long it will take to see that a candidate is worse
    Plan(plan::Plan),
    /// Print the JSON Schema of plan files
    PlanSchema(plan_schema::PlanSchema),
    /// Release a version step by step while judging it, and look after such rollouts
    Rollout(rollout::Rollout),
    /// Guard what was promoted, go back from it, rehearse that, and write down what happened
    Rollback(rollback::Rollback),
    /// Write what happened in a rollout as an HTML page
    Report(report::Report),
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
            Self::Scan(scan) => scan.run(session).await,
            Self::Drift(drift) => drift.run(session).await,
            Self::Validate(validate) => validate.run(session).await,
            Self::Compare(compare) => compare.run().await,
            Self::CalibrateJudge(calibrate) => calibrate.run().await,
            Self::SuiteSchema(schema) => Ok(schema.run()),
            Self::Smoke(smoke) => smoke.run().await,
            Self::Load(load) => load.run(session).await,
            Self::Bench(bench) => bench.run(session).await,
            Self::Judge(judge) => judge.run(session).await,
            Self::Plan(plan) => plan.run().await,
            Self::PlanSchema(schema) => Ok(schema.run()),
            Self::Rollback(rollback) => rollback.run(session).await,
            Self::Rollout(rollout) => rollout.run(session).await,
            Self::Report(report) => report.run(session).await,
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
        match self {
            Self::Judge(_) | Self::Watch(_) => true,
            Self::Rollback(rollback) => rollback.goes_on(),
            Self::Rollout(rollout) => rollout.goes_on(),
            _ => false,
        }
    }

    /// Whether it answers with a document for each of many things.
    pub(crate) const fn is_many(&self) -> bool {
        matches!(self, Self::Scan(_))
    }

    /// What is said on standard error where RUST_LOG does not say it.
    pub(crate) fn loud(&self) -> &'static str {
        match self {
            Self::Rollback(rollback) => rollback.loud(),
            Self::Rollout(rollout) => rollout.loud(),
            _ => "warn",
        }
    }

    /// What there is to say when it was told to end.
    pub(crate) const fn parting(&self) -> Option<&'static str> {
        match self {
            Self::Rollback(rollback) => rollback.parting(),
            Self::Rollout(rollout) => rollout.parting(),
            _ => None,
        }
    }
}
