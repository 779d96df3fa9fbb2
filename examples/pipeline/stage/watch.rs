//! Looking after the version once it has all users, and going back by itself where that is bad.

#[path = "../../tidegate/rollback/persist.rs"]
mod persist;
#[path = "../../tidegate/rollback/watch_file.rs"]
mod watch_file;

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use serde::Deserialize;
use tidegate::{
    canary::{RolloutId, metrics::Verdict as Found},
    registry::Log,
    rollback::{Guard, Ledger, Vigil, Vigilance},
};

use self::{persist::persist, watch_file::WatchFile};
use super::{At, Ending, Preview, unread};
use crate::{
    environment::{EnvironmentFile, Taken},
    failure::Failure,
    ground::Ground,
    progress::{Outcome, Verdict},
    words::plain,
};

/// A watch, and where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watch {
    /// As for `tidegate rollback watch`.
    watch: PathBuf,
    pub(super) environment: String,
}

impl Watch {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let registry = ground.registry()?;
        let file = WatchFile::read(&ground.release.path(&self.watch))?;
        let environment =
            EnvironmentFile::read(&ground.release.path(ground.environment_file(&self.environment)?))?;
        let route = file.route()?;
        let model = &ground.release.model;
        let id: RolloutId =
            format!("{}-{}-{}-{}", model.name(), model.version(), at.stage, at.round).parse()?;
        let log: Arc<dyn Log> = Arc::new(registry.store.clone());
        let ledger = Ledger::<Vigil>::open(log, &route).await?;
        let before = ledger.latest().filter(|(latest, _)| *latest == id).map(|(_, vigil)| vigil.watch());
        let watch = file.watch(registry, before, false).await?;
        if watch.release.model != *model {
            let why = format!(
                "{} is in service on {route}, and not {model}; there is nothing of this release to look after",
                watch.release
            );
            return Ok(Outcome::new(Verdict::Undecided, why).into());
        }
        let clock = ground.clock;
        let environment = environment.open(registry, &route, clock, Taken::WhenNeeded).await?;
        let world = environment.world(registry, clock);
        let go = async || {
            let guard = Guard::open(world.clone(), id.clone(), watch.clone()).await?;
            let (say, said) = (ground.sayer().say_news(), format!("{}: the watch ", at.stage));
            guard.on_record(move |_, vigil| say(format!("{said}{}", vigil.state()))).run().await
        };
        let end = tokio::select! {
            end = persist(clock, go) => end,
            () = environment.scrape(clock) => unreachable!("it scrapes for as long as it is let"),
            () = environment.tell() => unreachable!("it tells for as long as it is let"),
        };
        environment.tell_the_end().await;
        let end = end?;
        Ok(Outcome::new(verdict(&end), format!("the watch {}", plain(&end.to_string()))).into())
    }

    pub(super) fn preview(&self, ground: &Ground) -> Preview {
        let path = ground.release.path(&self.watch);
        let lacks = ground.missing("watch", &self.watch);
        let wrong = match lacks {
            Some(_) => None,
            None => WatchFile::read(&path).err().map(|error| format!("{error:#}")),
        };
        let preview = Preview::new(format!("guards {}, and goes back by itself", ground.release.model))
            .taking(format!("the watch `{}`", path.display()))
            .taking(format!("the environment {}", self.environment))
            .lacking(lacks)
            .lacking(wrong);
        match ground.environment_file(&self.environment) {
            Ok(file) => preview.lacking(unread(ground, file)),
            Err(error) => preview.lacking([Failure::to_string(&error)]),
        }
    }
}

/// Where another version is in service by now, this one was not seen to be good.
const fn verdict(state: &Vigilance) -> Verdict {
    match state {
        Vigilance::Kept { verdict: Found::Pass } => Verdict::Passed,
        Vigilance::Kept { .. } | Vigilance::Moved { .. } => Verdict::Undecided,
        _ => Verdict::Failed,
    }
}
