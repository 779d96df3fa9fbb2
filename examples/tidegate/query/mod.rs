//! `tidegate query METRIC --source FILE --label NAME=VALUE`

pub(crate) mod auth;
mod evidence;
pub(crate) mod source;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use tidegate::{
    canary::WallClock,
    metrics::{Measurement, Metric, Selector, Window},
};

use crate::{
    Session,
    answer::{Answer, Status},
    arguments::{label, moment, span},
    document::Document,
    failure::Failure,
    words::{plain, time},
};
use evidence::Raw;
use source::{Asked, SourceFile};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Query {
    /// The metric: `errors`, `ttft`, or what the file calls it
    #[arg(value_name = "METRIC")]
    metric: String,
    /// Where to ask and how: a .toml or .json file
    #[arg(long, value_name = "FILE")]
    source: PathBuf,
    /// A label of the side that is meant, as the queries of the file name it; several times for several
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// The length of the window
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = span)]
    window: Duration,
    /// The end of the window [default: the last whole minute that is a minute ago; for `scrape`, when the
    /// window is over]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end: Option<SystemTime>,
    /// Leave out what the server answered
    #[arg(long)]
    brief: bool,
}

const EXAMPLES: &str = "\
A file for Prometheus, with queries of its own and those of the catalogue for LLM servers:
  [prometheus]
  url = \"http://localhost:9090\"
  auth = { bearer_env = \"PROMETHEUS_TOKEN\" } # a variable of the environment; or basic_env, headers_env
  catalogue = { server = \"vllm\", matchers = 'version=\"{{version}}\"' }
  [prometheus.queries.errors.proportion]
  hits = 'http_requests_total{version=\"{{version}}\",code=~\"5..\"}'
  trials = 'http_requests_total{version=\"{{version}}\"}'

Other sources: scrape, cloudwatch, datadog, dynatrace, elasticsearch, graphite, influxdb, influxdb3, json,
newrelic; their keys are named in token_env, api_key_env and the like. Example:
  tidegate query errors --source source.toml --label version=1.4.0 --window 1m

Exit status: 0 something was observed, 3 nothing was (and why), 1 the source refused or answered nonsense,
4 it cannot be reached.";

impl Query {
    pub(crate) async fn run(self, _: &Session) -> Result<Answer> {
        let file: SourceFile = Document::parse("source", &self.source)?;
        let raw = Raw::default();
        let asked = file.open(Some(raw.clone())).await?;
        let selector = self.labels.iter().fold(Selector::default(), |selector, (name, value)| {
            selector.with(name.as_str(), value.as_str())
        });
        let clock = WallClock::system();
        let window = self.window_of(&asked, clock)?;
        if let Asked::Scrape { source: scrape, .. } = &asked {
            let _bar = waiting(window);
            // A scrape at each end, and some in between, that a restart is seen.
            let every = (self.window / 4).max(Duration::from_millis(100));
            for _ in 0..=self.window.as_nanos().div_ceil(every.as_nanos().max(1)) {
                scrape.scrape(clock.now()).await;
                tokio::time::sleep(every).await;
            }
            scrape.scrape(clock.now()).await;
        }
        let metric = Metric::new(self.metric.as_str());
        let measured = asked.source().observe(&metric, &selector, window).await?;
        Ok(self.answer(&metric, &selector, window, &measured, &raw))
    }

    fn window_of(&self, asked: &Asked, clock: WallClock) -> Result<Window> {
        const MINUTE: u64 = 60;
        let end = match (self.end, asked) {
            (Some(_), Asked::Scrape { .. }) => {
                let why = "--end is of the past, which a scrape does not know; leave it out";
                return Err(Failure::Misused(why.to_owned()).into());
            }
            (Some(end), _) => end,
            (None, Asked::Scrape { .. }) => clock.now() + self.window,
            (None, _) => {
                let now = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
                SystemTime::UNIX_EPOCH + Duration::from_secs((now / MINUTE).saturating_sub(1) * MINUTE)
            }
        };
        let why = || Failure::Misused("--window must be longer than nothing and end after 1970".to_owned());
        Ok(Window::ending(end, self.window).ok_or_else(why)?)
    }

    fn answer(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
        measured: &Measurement,
        raw: &Raw,
    ) -> Answer {
        let (said, status) = match measured {
            Measurement::Observed(observation) => (evidence::observed(observation), Status::Done),
            Measurement::Missing(missing) => {
                (format!("nothing: {}", plain(&missing.to_string())), Status::Inconclusive)
            }
            _ => ("an answer that this program does not know".to_owned(), Status::Inconclusive),
        };
        let mut text = format!(
            "{} from {} to {}: {said}",
            plain(metric.as_str()),
            time(window.start()),
            time(window.end())
        );
        if !self.brief {
            text.push_str(&raw.text());
        }
        let json = json!({
            "metric": metric,
            "selector": selector,
            "window": window,
            "measurement": measured,
            "evidence": if self.brief { json!([]) } else { raw.json() },
        });
        Answer { text, json, status }
    }
}

/// Shows that the window has to pass first, on standard error if that is a terminal.
fn waiting(window: Window) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_message(format!("scraping until the window is over, {}", time(window.end())));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
