//! `tidegate load URL…`

mod live;
mod sending;
mod told;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::validation::{Verdict, load::Summary};

use self::sending::Driven;
pub(crate) use self::{
    sending::{Sending, client, misused},
    told::{histogram, result},
};
use crate::{
    Session,
    answer::{Answer, Status},
};

/// The confidence of the bounds that a summary says.
const CONFIDENCE: f64 = 0.95;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Load {
    #[command(flatten)]
    sending: Sending,
}

const EXAMPLES: &str = "\
Examples:
  tidegate load http://127.0.0.1:8000/v1 --model support --rate 5 --limit ttft.p95=500ms
  tidegate load http://127.0.0.1:8000/v1 --stage 1..20:2m --stage 20:5m --prompt 'Where is my parcel?' --json
  tidegate load http://127.0.0.1:8080/health --plain --rate 2000 --duration 30s --limit p99=20ms

Requests come when they are due, whether or not the last ones were answered, and latency begins there. Exit status: 0 every
limit is kept; 1 one is broken, or the load was stopped early; 3 it is not decided: too few requests, or this machine could
not keep up. Other hosts than this one are sent load only if --allow-host names them.";

impl Load {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let driven = self.sending.drive(session).await?;
        let summary = driven.measured.summary(CONFIDENCE);
        let text =
            [result(&driven.finding, &summary), histogram(&driven.measured.scheduled_latency)].join("\n");
        let json = document(&driven, &summary);
        Ok(Answer { text, json, status: status(&driven.finding.verdict) })
    }
}

/// The exit status of a verdict.
pub(crate) const fn status(verdict: &Verdict) -> Status {
    match verdict {
        Verdict::Pass => Status::Done,
        Verdict::Fail => Status::Refused,
        Verdict::Inconclusive(_) => Status::Inconclusive,
    }
}

/// What came of it, and how it was measured: what two loads must have in common to be compared.
fn document(driven: &Driven, summary: &Summary) -> Value {
    let Driven { finding, host, paths, settings, .. } = driven;
    json!({
        "verdict": finding.verdict.word(),
        "finding": finding,
        "summary": summary,
        "host": host,
        "paths": paths,
        "settings": settings,
    })
}
