//! What people and other systems say to a watch, by its journal.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::{
    canary::{RouteId, WallClock},
    rollback::{Ledger, Vigil, VigilRequest, Vigilance},
};

use crate::{
    Session,
    answer::{Answer, Status},
    arguments::reason,
    words::{ago, plain},
};

/// How long whoever keeps a watch may take to act on a decision: several of its looks into the journal.
const PROMPT: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
struct Reasoned {
    /// The route
    #[arg(long, value_name = "ROUTE")]
    route: RouteId,
    /// Why; it is on record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate rollback hold --route serving/fraud --reason \"a migration runs\""
)]
pub(crate) struct Hold {
    #[command(flatten)]
    asked: Reasoned,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidegate rollback resume --route serving/fraud")]
pub(crate) struct Resume {
    /// The route
    #[arg(long, value_name = "ROUTE")]
    route: RouteId,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate rollback stop --route serving/fraud --reason \"the test is over\""
)]
pub(crate) struct Stop {
    #[command(flatten)]
    asked: Reasoned,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate rollback alarm --route serving/fraud --by alertmanager --reason \"HighErrorRate fires\"
  tidegate rollback alarm --route serving/fraud --reason \"customers complain\" --now

An alarm is evidence: brakes and people may hold it up. With --now it is a decision of yours, which nothing holds up;
it waits for some seconds to see that somebody acts on it, and ends with status 5 if nobody does: then the watch is not
running, and there is said what to run.")]
pub(crate) struct Alarm {
    #[command(flatten)]
    asked: Reasoned,
    /// Go back now, whatever the watch sees
    #[arg(long)]
    now: bool,
}

impl Hold {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let Reasoned { route, reason } = self.asked;
        ask(session, &route, VigilRequest::Hold { by: session.by.clone(), reason }).await
    }
}

impl Resume {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        ask(session, &self.route, VigilRequest::Resume { by: session.by.clone() }).await
    }
}

impl Stop {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let Reasoned { route, reason } = self.asked;
        ask(session, &route, VigilRequest::Stop { by: session.by.clone(), reason }).await
    }
}

impl Alarm {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (Reasoned { route, reason }, by) = (self.asked, session.by.clone());
        if !self.now {
            return ask(session, &route, VigilRequest::Alarm { by, reason }).await;
        }
        let (mut ledger, silent) = asked(session, &route, VigilRequest::RollBack { by, reason }).await?;
        if acts(&mut ledger).await {
            return Ok(said(&ledger));
        }
        Ok(nobody(&ledger, silent))
    }
}

async fn ask(session: &Session, route: &RouteId, request: VigilRequest) -> Result<Answer> {
    Ok(said(&asked(session, route, request).await?.0))
}

/// The journal after that, and how old its last line was before.
async fn asked(
    session: &Session,
    route: &RouteId,
    request: VigilRequest,
) -> Result<(Ledger<Vigil>, Duration)> {
    let registry = session.location()?.open().await?;
    let mut ledger = Ledger::<Vigil>::open(Arc::new(registry.store), route).await?;
    let now = WallClock::system().now();
    let last = ledger.lines().last().map_or(now, |last| last.at);
    ledger.ask(request, now).await?;
    Ok((ledger, now.duration_since(last).unwrap_or_default()))
}

/// Whether somebody does what follows from the decision.
async fn acts(ledger: &mut Ledger<Vigil>) -> bool {
    let clock = WallClock::system();
    let until = clock.now() + PROMPT;
    let waits = |ledger: &Ledger<Vigil>| {
        ledger.latest().is_some_and(|(_, vigil)| matches!(vigil.state(), Vigilance::Alarmed { .. }))
    };
    while waits(ledger) && clock.now() < until {
        clock.sleep_until(clock.now() + Duration::from_millis(200)).await;
        // The decision is on record, whether that can be read now or not.
        let _later = ledger.catch_up().await;
    }
    !waits(ledger)
}

fn said(ledger: &Ledger<Vigil>) -> Answer {
    let said = ledger.latest().map(|(id, vigil)| (id.to_string(), format!("the watch {}", vigil.state())));
    let (id, said) = said.unwrap_or_default();
    Answer::done(format!("asked; {}", plain(&said)), json!({ "watch": id, "said": said }))
}

/// It is on record, but nobody does it.
fn nobody(ledger: &Ledger<Vigil>, silent: Duration) -> Answer {
    let Answer { text, mut json, .. } = said(ledger);
    let watch = ledger.latest().map(|(_, vigil)| vigil.watch());
    let (route, name) = watch
        .map(|watch| (plain(watch.route.as_str()), watch.release.model.name().to_string()))
        .unwrap_or_default();
    let text = format!(
        "{text}\nbut nobody has acted on it for {}, and the line of its journal before was {} old, so perhaps nobody keeps this watch;\n\
         start `tidegate rollback watch` with its file again, which goes back first of all, or go back yourself:\n  \
         tidegate rollback run {name} --route {route} --environment FILE --reason …",
        ago(PROMPT),
        ago(silent)
    );
    json["acted"] = false.into();
    json["secondsSilent"] = silent.as_secs().into();
    Answer { text, json, status: Status::Waiting }
}
