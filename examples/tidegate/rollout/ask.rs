//! What people ask of a rollout, by its journal.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::canary::{Request, Rollout, RolloutId, RouteJournal, WallClock};

use super::{
    plan,
    target::{self, Target, latest},
    view::{View, of_the_last},
};
use crate::{
    Session,
    answer::{Answer, Status},
    arguments::reason,
    failure::Failure,
    words::plain,
};

/// A rollout, and why something is asked of it.
#[derive(Debug, Args)]
struct Reasoned {
    #[command(flatten)]
    target: Target,
    /// Why; it is on record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidegate rollout pause --route serving/fraud")]
pub(crate) struct Pause {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidegate rollout resume --route serving/fraud")]
pub(crate) struct Resume {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = APPROVE)]
pub(crate) struct Approve {
    #[command(flatten)]
    target: Target,
    /// The content that you looked at: its digest, or the first 12 digits of it or more
    #[arg(long, value_name = "DIGEST", value_parser = digits)]
    digest: Option<String>,
}

const APPROVE: &str = "\
Examples:
  tidegate rollout approve --route serving/fraud                         shows what would be approved
  tidegate rollout approve --route serving/fraud --digest 4b1f09a2c3de

The approval is on record with the name in --by, and counts for this content only.";

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate rollout reject --route serving/fraud --reason \"answers are rude\""
)]
pub(crate) struct Reject {
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidegate rollout abort --route serving/fraud --reason \"alerts fire\"")]
pub(crate) struct Abort {
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate rollout skip --route serving/fraud --reason \"proven in staging\""
)]
pub(crate) struct Skip {
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate rollout promote --route serving/fraud --reason \"stable is broken\""
)]
pub(crate) struct Promote {
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate rollout override --route serving/fraud --reason \"security fix\""
)]
pub(crate) struct Override {
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, Args)]
#[command(after_help = REPLACE)]
pub(crate) struct Replace {
    /// The plan that is to take its place, for the same route and from the same version
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Only if this is the rollout that was opened last
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
}

const REPLACE: &str = "\
Example:
  tidegate rollout replace plan.yaml

Traffic returns to stable, what was seen is forgotten, and the rollout begins again by the other plan, under
the same id.";

impl Pause {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        ask(session, &self.target, |by| Request::Hold { by }).await
    }
}

impl Resume {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        ask(session, &self.target, |by| Request::Resume { by }).await
    }
}

impl Reject {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        signed(session, self.reasoned, |by, reason| Request::Reject { by, reason }).await
    }
}

impl Abort {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        // In an emergency nobody is sent away for want of a name.
        let Reasoned { target, reason } = self.reasoned;
        ask(session, &target, |by| Request::Abort { by, reason }).await
    }
}

impl Skip {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        signed(session, self.reasoned, |by, reason| Request::Skip { by, reason }).await
    }
}

impl Promote {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        signed(session, self.reasoned, |by, reason| Request::Promote { by, reason }).await
    }
}

impl Override {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        signed(session, self.reasoned, |by, reason| Request::Override { by, reason }).await
    }
}

impl Approve {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (_, journal) = self.target.open(session).await?;
        let (_, rollout) = latest(&journal)?;
        let candidate = rollout.plan().candidate.clone();
        let Some(digits) = &self.digest else {
            return Ok(shown(&journal, rollout));
        };
        expect_name(session)?;
        if !candidate.digest.hex().starts_with(digits.as_str()) {
            let why = format!(
                "the candidate is {candidate} with digest {}, which does not begin with {digits}; look at this one, then approve it",
                candidate.digest
            );
            return Err(Failure::Misused(why).into());
        }
        let digest = candidate.digest;
        write(session, journal, |by| Request::Approve { by, digest }).await
    }
}

impl Replace {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        expect_name(session)?;
        let file = plan::read(&self.plan)?;
        let (registry, journal) = target::open(session, &file.spec().route, self.id.as_ref()).await?;
        let stable = latest(&journal)?.1.plan().stable.clone();
        let plan = Box::new(plan::replacement(file, &registry, stable).await?);
        write(session, journal, |by| Request::Replace { by, plan }).await
    }
}

async fn signed(
    session: &Session,
    Reasoned { target, reason }: Reasoned,
    request: impl FnOnce(String, String) -> Request,
) -> Result<Answer> {
    expect_name(session)?;
    ask(session, &target, |by| request(by, reason)).await
}

async fn ask(session: &Session, target: &Target, request: impl FnOnce(String) -> Request) -> Result<Answer> {
    let (_, journal) = target.open(session).await?;
    write(session, journal, request).await
}

async fn write(
    session: &Session,
    mut journal: RouteJournal,
    request: impl FnOnce(String) -> Request,
) -> Result<Answer> {
    let request = request(session.by.clone());
    let name = request.name();
    journal.ask(request, WallClock::system().now()).await?;
    let (id, rollout) = latest(&journal)?;
    let view = View { id, rollout, entries: of_the_last(journal.entries()), now: WallClock::system().now() };
    let mut text =
        format!("{name}: rollout {} is {}", plain(&id.to_string()), plain(&rollout.state().to_string()));
    for obstacle in view.obstacles() {
        text.push_str(&format!("\n  {}: {}", obstacle.why, obstacle.ends.join(", ")));
    }
    Ok(Answer::done(text, json!({ "asked": name, "rollout": view.json() })))
}

/// What would be approved. Nothing is.
fn shown(journal: &RouteJournal, rollout: &Rollout) -> Answer {
    let candidate = &rollout.plan().candidate;
    let mut lines = vec![
        format!("nothing is approved yet; this would be: {candidate}"),
        format!("  digest {}", candidate.digest),
    ];
    lines.extend(rollout.judgements().iter().map(|judgement| format!("  {}", plain(&judgement.to_string()))));
    let view = View::of(journal, WallClock::system().now());
    lines.extend(view.iter().flat_map(View::waits));
    let json = json!({ "approved": false, "candidate": candidate, "rollout": view.map(|view| view.json()) });
    Answer { text: lines.join("\n"), json, status: Status::Refused }
}

fn expect_name(session: &Session) -> Result<(), Failure> {
    if session.is_nobody() {
        return Err(Failure::Misused("this needs a name; say with --by whose it is".to_owned()));
    }
    Ok(())
}

/// Of a digest, at least so many that nobody hits upon them by chance.
fn digits(text: &str) -> Result<String, String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if !(12..=64).contains(&hex.len()) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("write at least the first 12 hex digits of the digest".to_owned());
    }
    Ok(hex)
}
