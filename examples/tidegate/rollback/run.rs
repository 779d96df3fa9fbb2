//! `tidegate rollback run NAME --route ROUTE --environment FILE`

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};
use tidegate::{
    canary::{RolloutId, WallClock, World},
    registry::{Cause, ModelRef},
    rollback::{
        self, Choice, Helped, Ledger, Line, NoTarget, Order, PassedOver, Recovery, Rollback, State, Survey,
        Undo, Vigil, Watch,
    },
};

use super::{
    goal::{self, Goal},
    persist::persist,
    same::Begun,
    unjudged,
    watch_file::proof,
};
use crate::{
    Session,
    answer::{self, Answer, Status},
    arguments::reason,
    environment::{EnvironmentFile, Taken},
    failure::Failure,
    words::{plain, time},
};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate rollback run fraud --route serving/fraud --environment machine.yaml --reason \"it is slow\" --quarantine
  tidegate rollback run fraud --route serving/fraud --environment machine.yaml --reason rehearsal --to fraud@1.0.0

The old version runs before traffic goes to it, and traffic is seen to have gone before that counts. A rollout that is
under way on the route is over. Killed anywhere, the same command goes on; with other words than it was begun with it
is refused. While the registry is away it waits for it. What a rollback has gone back to is left for a third version
only where --to, --back or --again say so; and while it cannot be read what is in quarantine, it goes only with --unsure.

With --json each line has a `kind`: `rollback` says the id, `choice` where it goes and why, each `record` what happened,
`end` how it ended.
Exit status: 0 done; 1 refused, or stuck, and it says what a person must do; 3 done, but it was not seen to help.")]
pub(crate) struct Run {
    #[command(flatten)]
    goal: Goal,
    /// Where things are: a .yaml, .toml or .json file, as for `tidegate rollout start`
    #[arg(long, short, value_name = "FILE")]
    environment: PathBuf,
    /// Why; it is on record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// What the rollback is to be called; the same id is the same rollback [default: that of the one under way, or a
    /// new one]
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
    /// Put the content of what is left into quarantine
    #[arg(long)]
    quarantine: bool,
    /// Do not wait to see whether it helped
    #[arg(long)]
    no_proof: bool,
    /// Leave also what a rollback has gone back to, for the last known good version before it
    #[arg(long)]
    again: bool,
}

impl Run {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let environment = EnvironmentFile::read(&self.environment)?;
        let location = session.location()?;
        let registry = location.open().await?;
        location.expect_writable().await?;
        let clock = WallClock::system();
        let environment = environment.open(&registry, &self.goal.route, clock, Taken::WhenNeeded).await?;
        let world = environment.world(&registry, clock);

        let ledger = Ledger::<Undo>::open(Arc::clone(&world.log), &self.goal.route).await?;
        let before = ledger.latest().filter(|(id, undo)| match &self.id {
            Some(wanted) => wanted == id,
            None => !undo.state().is_end(),
        });
        let json = session.json;
        let (id, order) = match before {
            Some((id, undo)) => {
                self.expect_same(&world, id, undo).await?;
                say_begun(json, id, undo.order(), None);
                (id.clone(), undo.order().clone())
            }
            None => {
                let (order, choice) = self.chosen(&world, &session.by).await?;
                let now = humantime::format_rfc3339_seconds(clock.now());
                let id = self.id.clone().map_or_else(|| format!("{}-back-{now}", order.from).parse(), Ok)?;
                say_begun(json, &id, &order, Some(&choice));
                (id, order)
            }
        };
        let go = async || {
            let rollback = Rollback::open(world.clone(), id.clone(), order.clone()).await?;
            let told = move |line: &Line<Undo>, undo: &Undo| say(&told(json, "record", line, undo));
            rollback.on_record(told).run().await
        };
        let end = tokio::select! {
            end = persist(clock, go) => end,
            () = environment.scrape(clock) => unreachable!("it scrapes for as long as it is let"),
            () = environment.tell() => unreachable!("it tells for as long as it is let"),
        };
        environment.tell_the_end().await;
        let end = end?;
        // What was seen to end is told, whether more can be read of it or not.
        let ledger = Ledger::<Undo>::open(Arc::clone(&world.log), &self.goal.route).await.ok();
        let ended = ledger.as_ref().and_then(Ledger::latest).filter(|(latest, _)| *latest == id);
        let command = ended.map(|(_, undo)| unjudged::command(undo)).unwrap_or_default();
        let text = format!("rollback {id} is {}{command}", plain(&end.to_string()));
        let status = match end {
            State::Done { helped: Helped::Unproven, .. } => Status::Inconclusive,
            State::Done { .. } => Status::Done,
            _ => Status::Refused,
        };
        let done = matches!(end, State::Done { .. });
        let json = json!({ "kind": "end", "id": id, "done": done, "said": end.to_string() });
        Ok(Answer { json, text, status })
    }

    /// A new order. What a rollback has put in service is not left for a third version without a word.
    async fn chosen(&self, world: &World, by: &str) -> Result<(Order, Choice)> {
        let chosen = self.goal.order(world, &self.reason).await;
        let goes_on = self.again || self.goal.to.is_some() || self.goal.back.is_some();
        let from = if goes_on { None } else { left(&chosen) };
        if let Some(from) = from
            && let Some(returned) = self.goal.returned(world, from).await?
        {
            let why = format!(
                "{returned}; say where to go from there by --to or --back, or --again for the last known good version before"
            );
            return Err(Failure::Returned(why).into());
        }
        let (order, choice) = chosen?;
        let recovery = if self.no_proof { None } else { expected(world, &order).await? };
        Ok((Order { by: Some(by.to_owned()), quarantine: self.quarantine, recovery, ..order }, choice))
    }

    /// Whoever says something else than what was begun does not mean it.
    async fn expect_same(&self, world: &World, id: &RolloutId, undo: &Undo) -> Result<()> {
        let order = undo.order();
        let words = |to: Option<String>, order: &Order, name: String, no_proof: bool| {
            let span = |span| humantime::format_duration(span).to_string();
            let words = json!({
                "NAME": name, "--channel": order.channel, "--to": to, "--reason": order.reason,
                "--drain": span(order.drain), "--patience": span(order.patience),
                "--quarantine": order.quarantine, "--no-proof": no_proof,
            });
            let Value::Object(words) = words else { unreachable!("it is written as one") };
            words
        };
        let goal = &self.goal;
        let given = Order {
            channel: goal.channel.clone(),
            reason: self.reason.clone(),
            drain: goal.drain,
            patience: goal.patience,
            quarantine: self.quarantine,
            ..order.clone()
        };
        let to = self.wanted(world, id, order).await?.map(|to| to.to_string());
        let was = to.is_some().then(|| order.to.to_string());
        let given: Map<_, _> = words(to, &given, goal.name.to_string(), self.no_proof);
        let recorded = words(was, order, order.from.model.name().to_string(), order.recovery.is_none());
        let begun = Begun { what: "rollback", id, is_over: undo.state().is_end() };
        Ok(begun.expect_same(&given, &recorded)?)
    }

    /// Where --to or --back lead, by the history before the rollback.
    async fn wanted(&self, world: &World, id: &RolloutId, order: &Order) -> Result<Option<ModelRef>> {
        if self.goal.back.is_none() {
            return Ok(self.goal.to.clone());
        }
        let id = id.to_string();
        let history = self.goal.history(world).await?;
        let own = |cause: &Cause| matches!(cause, Cause::Rollback { id: by, .. } if *by == id);
        let before = history.split(|moved| own(&moved.cause)).next().unwrap_or_default();
        // What speaks against a version does not change which one it is.
        let choice = self.goal.target().choose(before, Some(&order.from.model), &Survey::default());
        Ok(Some(choice.map_err(rollback::Error::from)?.to))
    }
}

/// What has to be seen of the target: what the last watch of the route has looked at, or else the usual limits.
async fn expected(world: &World, order: &Order) -> Result<Option<Recovery>> {
    let ledger = Ledger::<Vigil>::open(Arc::clone(&world.log), &order.route).await?;
    let watched = ledger.latest().and_then(|(_, vigil)| proof(&vigil.watch().criteria));
    let usual = || proof(&Watch::new(order.route.clone(), order.to.clone()).criteria);
    Ok(watched.or_else(usual))
}

/// What is to be left, also where there is nowhere to go.
fn left(chosen: &Result<(Order, Choice)>) -> Option<&ModelRef> {
    match chosen {
        Ok((_, choice)) => Some(&choice.from),
        Err(error) => match error.downcast_ref()? {
            rollback::Error::NoTarget(NoTarget::NoneGood(passed_over)) => {
                let in_service = passed_over.iter().find(|(_, why)| *why == PassedOver::InService);
                in_service.map(|(model, _)| model)
            }
            _ => None,
        },
    }
}

/// First of all, under which name it can be found again.
fn say_begun(json: bool, id: &RolloutId, order: &Order, choice: Option<&Choice>) {
    let route = &order.route;
    if !json {
        let route = plain(route.as_str());
        say(&match choice {
            Some(choice) => format!("rollback {id} on {route}: {}", goal::words(choice)),
            None => format!("rollback {id} on {route} goes on: {} → {}", order.from, order.to),
        });
        return;
    }
    let new = choice.is_some();
    say(&json!({ "kind": "rollback", "id": id, "route": route, "new": new, "from": order.from, "to": order.to })
        .to_string());
    if let Some(choice) = choice {
        let mut document = goal::document(choice);
        document["kind"] = "choice".into();
        say(&document.to_string());
    }
}

/// Whoever does not read it can have the rollback all the same.
fn say(line: &str) {
    let _unread = answer::say(line);
}

/// What happened, as a line.
pub(super) fn told(json: bool, kind: &str, line: &Line<Undo>, undo: &Undo) -> String {
    if json {
        let line = serde_json::to_value(line).unwrap_or(Value::Null);
        return json!({ "kind": kind, "line": line, "state": undo.state().to_string() }).to_string();
    }
    format!("{}  {}", time(line.at), plain(&undo.state().to_string()))
}
