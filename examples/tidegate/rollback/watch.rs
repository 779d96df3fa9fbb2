//! `tidegate rollback watch FILE --environment FILE`

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
};

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};
use tidegate::{
    canary::{RolloutId, WallClock, metrics::Verdict},
    registry::Log,
    rollback::{Guard, Ledger, Look, Vigil, Vigilance},
};
use tokio::sync::Notify;

use super::{
    follower::{Follower, Looks},
    persist::persist,
    same::Begun,
    watch_file::WatchFile,
};
use crate::{
    Session,
    answer::{self, Answer, Status},
    environment::{EnvironmentFile, Taken},
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Watch {
    /// What is guarded, and how: a .yaml, .toml or .json file
    #[arg(value_name = "FILE")]
    watch: PathBuf,
    /// Where things are: a .yaml, .toml or .json file, as for `tidegate rollout start`
    #[arg(long, short, value_name = "FILE")]
    environment: PathBuf,
    /// What the watch is to be called; the same id is the same watch [default: that of the one under way, or a new
    /// one]
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
    /// Compare with what the version before has shown while it was replaced, for the criteria that compare
    #[arg(long)]
    reference: bool,
}

const EXAMPLES: &str = "\
Example:
  tidegate rollback watch watch.yaml --environment machine.yaml

A watch says what is guarded; all but the route and the model has defaults (15 % errors, p95 of 10 s, 95 % availability):
  route: serving/fraud
  model: fraud                          # what production points to is guarded
  criteria:
    - { metric: errors, rule: { limit: { statistic: share, bound: { atMost: 0.05 } } } }
  window: 30s
  span: 5m
  lasts: 1day
  patience: 5m                          # so long it may see nothing
  onBlind: hold                         # or roll-back
  alarms: [alertmanager]                # gates of the environment that say when something is wrong
  brakes: { most: 3, within: 1day, coolDown: 1h }
  verify: ahead                         # read the bytes of where it would go back to daily; or before, or never
  quarantine: true

On a terminal it is a picture that is drawn anew, without colours where NO_COLOR is set; elsewhere a line for each record
of the watch, and of the rollback that it begins; with --json a document a line, each with its `kind`: `watch` says the
id, `record` and `rollback` what happened, `end` how it ended. Killed anywhere, the same command goes on; with a file that
says something else than the watch under way it is refused. While the registry is away it waits for it.
Server processes of this machine are left to other commands until it goes back: they go on as they are, but one that
crashes meanwhile is not started again before `rollout start`, `rollback run` or the watch itself acts.

Exit status: 0 guarded to the end, and good; 1 it went back, was stopped or got stuck; 3 undecided; 130 interrupted.";

impl Watch {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let file = WatchFile::read(&self.watch)?;
        let environment = EnvironmentFile::read(&self.environment)?;
        let location = session.location()?;
        let registry = location.open().await?;
        location.expect_writable().await?;
        let clock = WallClock::system();

        let route = file.route()?;
        let log: Arc<dyn Log> = Arc::new(registry.store.clone());
        let ledger = Ledger::<Vigil>::open(Arc::clone(&log), &route).await?;
        let before = ledger.latest().filter(|(id, vigil)| match &self.id {
            Some(wanted) => wanted == id,
            None => !vigil.state().is_end(),
        });
        let recorded = before.map(|(_, vigil)| vigil.watch());
        let watch = file.watch(&registry, recorded, self.reference).await?;
        let id = match before {
            Some((id, vigil)) => {
                let begun = Begun { what: "watch", id, is_over: vigil.state().is_end() };
                begun.expect_same(&fields(&watch)?, &fields(vigil.watch())?)?;
                id.clone()
            }
            None => {
                let now = humantime::format_rfc3339_seconds(clock.now());
                self.id.clone().map_or_else(|| format!("{}-watch-{now}", watch.release).parse(), Ok)?
            }
        };
        let environment = environment.open(&registry, &route, clock, Taken::WhenNeeded).await?;
        let world = environment.world(&registry, clock);
        let seen = Looks::default();
        let mut follower =
            Follower::new(log, route.clone(), id.clone(), Arc::clone(&seen), session.json).await?;
        if !follower.draws() {
            // Whoever does not read it can have the watch all the same.
            let _unread = answer::say(&if session.json {
                json!({ "kind": "watch", "id": id, "route": route, "release": watch.release }).to_string()
            } else {
                format!("watch {id}: {} on {}", watch.release, plain(route.as_str()))
            });
        }

        let happened = Arc::new(Notify::new());
        let go = async || {
            let guard = Guard::open(world.clone(), id.clone(), watch.clone()).await?;
            happened.notify_one();
            let (bell, seen) = (Arc::clone(&happened), Arc::clone(&seen));
            let guard = guard.on_record(move |_, _| bell.notify_one());
            let look = move |looks: &[Look]| {
                looks.clone_into(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
            };
            guard.on_look(look).run().await
        };
        let end = tokio::select! {
            end = persist(clock, go) => end,
            () = follower.show(&happened, clock) => unreachable!("it shows for as long as it is let"),
            () = environment.scrape(clock) => unreachable!("it scrapes for as long as it is let"),
            () = environment.tell() => unreachable!("it tells for as long as it is let"),
        };
        follower.show_the_end(clock).await;
        environment.tell_the_end().await;
        let end = end?;
        let said = end.to_string();
        let text = if follower.draws() { String::new() } else { format!("the watch {}", plain(&said)) };
        let json = json!({ "kind": "end", "id": id, "said": said });
        Ok(Answer { text, json, status: status(&end) })
    }
}

/// The exit status of an end; of what is no end, that it is done as far as it is.
pub(super) const fn status(state: &Vigilance) -> Status {
    match state {
        Vigilance::Kept { verdict: Verdict::Pass } | Vigilance::Moved { .. } => Status::Done,
        Vigilance::Kept { .. } => Status::Inconclusive,
        state if state.is_end() => Status::Refused,
        _ => Status::Done,
    }
}

/// What a file would say of it.
fn fields(watch: &tidegate::rollback::Watch) -> Result<Map<String, Value>> {
    let Value::Object(fields) = serde_json::to_value(watch)? else {
        unreachable!("a watch is written as an object")
    };
    Ok(fields)
}
