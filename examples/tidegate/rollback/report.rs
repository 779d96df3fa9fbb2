//! `tidegate rollback report ROUTE`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::{
    canary::{RolloutId, RouteId},
    rollback::report::{self, Incident},
};

use super::goal::looked_at;
use crate::{Session, answer::Answer, failure::Failure, words::plain};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate rollback report serving/fraud -o incident.html
  tidegate rollback report serving/fraud --id watch-1 --markdown > incident.md

The Markdown has empty sections for what no journal knows: the cause, and what is to change.")]
pub(crate) struct Report {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: RouteId,
    /// Which watch or rollback [default: the last]
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
    /// As Markdown instead of HTML
    #[arg(long)]
    markdown: bool,
    /// Where it goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        let incident = Incident::read(&looked_at(&registry), &self.route, self.id.as_ref()).await?;
        let Some(incident) = incident else {
            let which = self.id.map(|id| format!(" `{id}`")).unwrap_or_default();
            let route = plain(self.route.as_str());
            let why = format!("there is no watch or rollback{which} of {route}; check the name of the route");
            return Err(Failure::NotFound(why).into());
        };
        let page = if self.markdown { report::markdown(&incident) } else { report::html(&incident) };
        let Some(output) = self.output else {
            let form = if self.markdown { "markdown" } else { "html" };
            return Ok(Answer::done(page.clone(), json!({ "route": self.route, (form): page })));
        };
        std::fs::write(&output, &page).map_err(|source| Failure::Lost {
            what: format!("`{}` cannot be written", output.display()),
            source,
        })?;
        let file = output.display().to_string();
        Ok(Answer::done(format!("wrote {file}"), json!({ "route": self.route, "file": file })))
    }
}
