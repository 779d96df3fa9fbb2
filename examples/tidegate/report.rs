//! `tidegate report ROUTE`

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::canary::{Entry, Error, Record, RolloutId, RouteId, RouteJournal, report};

use crate::{
    Session,
    answer::Answer,
    failure::Failure,
    words::{count, plain},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Report {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: RouteId,
    /// Which rollout [default: the one that was opened last]
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    id: Option<RolloutId>,
    /// Everything that ever happened on the route
    #[arg(long)]
    all: bool,
    /// Where the page goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tidegate report serving/fraud -o report.html
  tidegate report serving/fraud --id ci-8841 > report.html

The page needs nothing but itself: no script, no link. It can be written while the rollout is under way.";

impl Report {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        let journal = RouteJournal::open(Arc::new(registry.store), &self.route).await?;
        let entries = self.chosen(journal.entries())?;
        let page = report::html(self.route.as_str(), entries);
        let Some(output) = self.output else {
            let json = json!({ "route": self.route, "records": entries.len(), "html": page });
            return Ok(Answer::done(page, json));
        };
        std::fs::write(&output, &page).map_err(|source| Failure::Lost {
            what: format!("`{}` cannot be written", output.display()),
            source,
        })?;
        let records = count(entries.len(), "record");
        let text = format!("wrote {}: {records} of {}", output.display(), plain(self.route.as_str()));
        Ok(Answer::done(
            text,
            json!({ "route": self.route, "records": entries.len(), "file": output.display().to_string() }),
        ))
    }

    /// From where the rollout was opened to where the next one was.
    fn chosen<'a>(&self, entries: &'a [Entry]) -> Result<&'a [Entry]> {
        let opens = |entry: &Entry| match &entry.record {
            Record::Open { id, .. } => Some(id.clone()),
            _ => None,
        };
        let wanted = |entry: &Entry| {
            opens(entry).is_some_and(|opened| self.id.as_ref().is_none_or(|wanted| *wanted == opened))
        };
        match (entries.iter().rposition(wanted), &self.id) {
            _ if self.all && !entries.is_empty() => Ok(entries),
            (Some(begin), _) => {
                let after = &entries[begin + 1..];
                let end = after.iter().position(|entry| opens(entry).is_some()).unwrap_or(after.len());
                Ok(&entries[begin..=begin + end])
            }
            (None, Some(id)) => {
                let known: Vec<String> =
                    entries.iter().filter_map(opens).map(|id| format!("`{id}`")).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let why = format!("there is no rollout `{id}` of {}, only: {known}", self.route);
                Err(Failure::Misused(why).into())
            }
            (None, None) => Err(Error::NothingOpened.into()),
        }
    }
}
