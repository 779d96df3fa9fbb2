//! `tidegate plan --rate R --odds-ratio O --weight W --requests N`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::json;
use tidegate::metrics::{self, Comparison, Decided, Forecast, Rule, Scenario, Simulation};

use crate::{
    answer::Answer,
    arguments::span,
    aside,
    failure::Failure,
    judge::{
        numbers::{percent, short},
        options::{self, Chances, CountTest, Tolerance},
    },
    words::table,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plan {
    /// The baseline's share of hits: its error rate, or its share of requests that are slow
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    rate: f64,
    /// The regression to be seen: how many times the baseline's the candidate's odds of a hit are; several
    /// with commas
    #[arg(long, value_name = "RATIO", required = true, value_delimiter = ',', allow_negative_numbers = true)]
    odds_ratio: Vec<f64>,
    /// The candidate's share of requests; several with commas
    #[arg(long, value_name = "SHARE", required = true, value_delimiter = ',', allow_negative_numbers = true)]
    weight: Vec<f64>,
    /// Requests in a window, both sides together
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    requests: u64,
    /// How long a window is, to be told times as well
    #[arg(long, value_name = "TIME", value_parser = span)]
    window: Option<Duration>,
    /// How windows will be judged
    #[arg(long, value_enum, default_value_t = CountTest::Conditional)]
    test: CountTest,
    #[command(flatten)]
    chances: Chances,
    #[command(flatten)]
    tolerance: Tolerance,
    /// Rollouts to simulate
    #[arg(long, value_name = "N", default_value_t = Simulation::default().runs)]
    runs: u32,
    /// Windows after which a simulated rollout ends undecided
    #[arg(long, value_name = "N", default_value_t = Simulation::default().horizon)]
    horizon: u32,
    /// Decides what is left to chance, so that a plan can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  tidegate plan --rate 0.01 --odds-ratio 2 --weight 0.1 --requests 1000 --window 5m
  tidegate plan --rate 0.01 --odds-ratio 1.5,2,5 --weight 0.01,0.1,0.5 --requests 1000";

/// A scenario and what it comes to.
#[derive(Debug, Serialize)]
struct Planned {
    scenario: Scenario,
    #[serde(flatten)]
    forecast: Forecast,
}

impl Plan {
    pub(crate) async fn run(self) -> Result<Answer> {
        aside::run(move || self.answer()).await
    }

    fn answer(&self) -> Result<Answer> {
        let comparison = options::comparison(self.chances, self.tolerance, self.test, None);
        options::check(Rule::Compare(comparison))?;
        let scenarios =
            self.weight.iter().flat_map(|weight| self.odds_ratio.iter().map(|ratio| (*weight, *ratio)));
        let planned = scenarios.map(|(weight, odds_ratio)| self.plan(&comparison, weight, odds_ratio));
        let planned = planned.collect::<Result<Vec<_>, Failure>>()?;
        Ok(match planned.as_slice() {
            [one] => Answer::done(self.told(one, &comparison), json!(one)),
            several => Answer::done(self.table(several), json!(several)),
        })
    }

    fn plan(&self, comparison: &Comparison, weight: f64, odds_ratio: f64) -> Result<Planned, Failure> {
        if self.test == CountTest::Symmetric && (weight - 0.5).abs() > 0.05 {
            let why =
                format!("--weight is {weight}, but --test symmetric takes sides of equal size; say 0.5");
            return Err(Failure::Misused(why));
        }
        let scenario = Scenario { rate: self.rate, odds_ratio, weight, requests: self.requests };
        let simulation = Simulation { runs: self.runs, horizon: self.horizon, seed: self.seed };
        match metrics::plan(comparison, &scenario, simulation) {
            Ok(forecast) => Ok(Planned { scenario, forecast }),
            Err(invalid) => Err(Failure::Misused(invalid.to_string().replace("oddsRatio", "odds-ratio"))),
        }
    }

    fn told(&self, Planned { scenario, forecast }: &Planned, comparison: &Comparison) -> String {
        let Forecast { hits, requests, windows, regression, same, simulation, .. } = forecast;
        let Simulation { runs, horizon, .. } = simulation;
        let Scenario { rate, odds_ratio, weight, .. } = scenario;
        let half = |decided: &Decided| self.windows(decided.median);
        let most = |decided: &Decided| self.windows(decided.p90);
        let within = format!("within {horizon} windows");
        [
            format!(
                "A candidate with {} times the odds of a hit, where the baseline has {} and the candidate gets {} of {} requests a window:",
                short(*odds_ratio), percent(*rate), percent(*weight), scenario.requests
            ),
            format!(
                "  by the formula   fails after about {} hits, {} requests on both sides: {}",
                hits.ceil(), requests.ceil(), self.long(windows.ceil())
            ),
            format!(
                "  by simulation    half of {runs} rollouts fail after {}, 90 % after {}; {} {within}",
                half(&regression.fail), most(&regression.fail), percent(regression.fail.share)
            ),
            format!(
                "                   {} pass at some look{}",
                percent(regression.pass.share), self.promised(comparison, *odds_ratio)
            ),
            "A candidate that is the same as the baseline:".to_owned(),
            format!(
                "  by simulation    half of {runs} rollouts pass after {}, 90 % after {}; {} {within}",
                half(&same.pass), most(&same.pass), percent(same.pass.share)
            ),
            format!(
                "                   {} fail, which are false alarms; at most {} are promised",
                percent(same.fail.share), percent(comparison.alpha)
            ),
        ]
        .join("\n")
    }

    /// What is promised of those that pass, where anything is.
    fn promised(&self, comparison: &Comparison, odds_ratio: f64) -> String {
        let margin = comparison.tolerated * (1.0 + comparison.margin);
        if odds_ratio >= margin && comparison.negligible == 0.0 {
            format!("; at most {} are promised", percent(comparison.beta))
        } else {
            format!("; it may, as odds below {} times the baseline's are good enough", short(margin))
        }
    }

    fn table(&self, several: &[Planned]) -> String {
        let heading = [
            "WEIGHT",
            "ODDS RATIO",
            "HITS",
            "REQUESTS",
            "WINDOWS",
            "HALF FAIL",
            "90 % FAIL",
            "SAME: HALF PASS",
            "90 % PASS",
            "FALSE ALARMS",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(several.iter().map(|Planned { scenario, forecast }| {
            let Forecast { regression, same, .. } = forecast;
            let after = |windows: Option<u32>| {
                windows.map_or_else(|| format!(">{}", self.horizon), |n| self.cell(n.into()))
            };
            vec![
                percent(scenario.weight),
                short(scenario.odds_ratio),
                forecast.hits.ceil().to_string(),
                forecast.requests.ceil().to_string(),
                self.cell(forecast.windows.ceil()),
                after(regression.fail.median),
                after(regression.fail.p90),
                after(same.pass.median),
                after(same.pass.p90),
                percent(same.fail.share),
            ]
        }));
        table(&rows)
    }

    fn windows(&self, windows: Option<u32>) -> String {
        windows
            .map_or_else(|| format!("more than {}", self.long(self.horizon.into())), |n| self.long(n.into()))
    }

    /// `12 windows (1h)`
    fn long(&self, windows: f64) -> String {
        let word = if windows == 1.0 { "window" } else { "windows" };
        let time = self.time(windows).map(|time| format!(" ({time})")).unwrap_or_default();
        format!("{windows} {word}{time}")
    }

    /// `12 (1h)`
    fn cell(&self, windows: f64) -> String {
        let time = self.time(windows).map(|time| format!(" ({time})")).unwrap_or_default();
        format!("{windows}{time}")
    }

    /// How long so many windows are, as far as that can be said.
    fn time(&self, windows: f64) -> Option<String> {
        let time = Duration::try_from_secs_f64((self.window?.as_secs_f64() * windows).round()).ok()?;
        Some(humantime::format_duration(time).to_string())
    }
}
