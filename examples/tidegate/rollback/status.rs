//! `tidegate rollback status --route ROUTE`

use std::{sync::Arc, time::SystemTime};

use anyhow::Result;
use clap::Args;
use tidegate::{
    canary::{RolloutId, RouteId, WallClock},
    registry::Log,
    rollback::{self, Ledger, Record, Undo, Vigil},
};

use super::{
    frame::frame,
    view::{View, returns_by, steps},
    watch,
};
use crate::{Session, answer::Answer, arguments::moment, failure::Failure, picture::Paper, words::plain};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate rollback status --route serving/fraud
  tidegate rollback status --route serving/fraud --at 2026-11-24T15:04:05Z

What a watch has seen is shown where it runs; here there is what its journal keeps of it, the time before an alarm.
Exit status: 0 it is under way or has ended well, 1 it has not, 3 it has ended undecided.")]
pub(crate) struct Status {
    /// The route
    #[arg(long, value_name = "ROUTE")]
    route: RouteId,
    /// Which watch [default: the last]
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
    /// As it was then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<SystemTime>,
    /// Of this many columns [default: as wide as the terminal, or 100]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
}

impl Status {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let log: Arc<dyn Log> = Arc::new(session.location()?.open().await?.store);
        let watches = Ledger::<Vigil>::open(Arc::clone(&log), &self.route).await?;
        let opened = watches.lines().iter().filter(|line| self.at.is_none_or(|at| line.at <= at));
        let mut ids = opened.filter_map(|line| match &line.record {
            Record::Open { id, .. } => Some(id),
            _ => None,
        });
        let id = match &self.id {
            Some(wanted) => ids.find(|id| *id == wanted),
            None => ids.next_back(),
        };
        let now = self.at.unwrap_or_else(|| WallClock::system().now());
        let Some(id) = id else { return Err(self.nothing(&watches)) };
        let watch = steps(&watches, id, self.at);
        let rollback = match watch.last().and_then(|(_, vigil)| returns_by(vigil.state())) {
            Some(id) => steps(&Ledger::<Undo>::open(log, &self.route).await?, id, self.at),
            None => Vec::new(),
        };
        let Some(view) = View::of(id, &watch, &rollback, Vec::new(), now) else {
            return Err(self.nothing(&watches));
        };
        let lines = frame(&view, Paper::of_answers(self.width));
        let text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
        Ok(Answer { text, json: view.json(), status: watch::status(view.vigil.state()) })
    }

    fn nothing(&self, watches: &Ledger<Vigil>) -> anyhow::Error {
        if watches.lines().is_empty() {
            return rollback::Error::NothingOpened { kind: "watch" }.into();
        }
        let (id, at) = (self.id.as_ref(), self.at);
        let id = id.map(|id| format!(" `{}`", plain(&id.to_string()))).unwrap_or_default();
        let by = if at.is_some() { ", or none had been opened by --at" } else { "" };
        Failure::NotFound(format!("there is no watch{id} of {}{by}", plain(self.route.as_str()))).into()
    }
}
