//! `tidegate bench SELECTOR URL…`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::{
    registry::{Filter, ModelRef, ModelStoreExt as _, Selector},
    validation::{
        Verdict,
        load::{Benchmark, Comparison, Machine},
    },
};

use crate::{
    Session,
    answer::Answer,
    load::{self, Sending},
    registry::Registry,
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// Which version is served there: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// Compare with this version [default: the highest one below that has a benchmark]
    #[arg(long, value_name = "SELECTOR")]
    against: Option<Selector>,
    /// How much slower than that one it may be, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = tolerance)]
    tolerance: f64,
    /// Only measure and compare, and record nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sending: Sending,
}

const EXAMPLES: &str = "\
Examples:
  tidegate bench support@1.1.0 http://127.0.0.1:8000/v1 --model support --rate 2 --duration 2m
  tidegate bench support@1.1.0 http://127.0.0.1:8000/v1 --against support:production --tolerance 0.05

It is a load, as of `tidegate load`, whose result is recorded about the version and compared with that of the one before:
each quantile as a share of what it was, with its bounds. One that was sent too late or too little says nothing of the version
and is not recorded. Benchmarks of other settings, on other machines or hosts, by more
or fewer URLs or at other paths are not compared. Exit status: 0 limits are kept, and nothing is proven slower than tolerated, nor left open; 1 a limit is broken, or
it is slower; 3 it is not decided.";

impl Bench {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let location = session.location()?;
        let registry = location.open().await?;
        if !self.dry_run {
            location.expect_writable().await?;
        }
        let model = registry.resolve(&self.selector).await?;
        let before = match &self.against {
            Some(selector) => Some(registry.resolve(selector).await?),
            None => None,
        };
        let before = previous(&registry, &model, before).await?;
        let driven = self.sending.drive(session).await?;
        let summary = driven.measured.summary(Benchmark::CONFIDENCE);
        let finding = driven.finding;
        let mut text = load::result(&finding, &summary);
        let flawed = summary.flaw.is_some();
        let benchmark =
            Benchmark::new(summary, Machine::here(), driven.host, driven.settings, &finding.verdict)
                .paths(driven.paths);
        let comparison = before.map(|(version, before)| (version, benchmark.against(&before)));
        let compared = comparison.as_ref().map(|(_, comparison)| comparison.judge(self.tolerance));
        let verdict = Verdict::over([&finding.verdict].into_iter().chain(&compared));
        // What says nothing of the version would hide what was recorded before.
        let attested = !self.dry_run && !flawed;
        if attested {
            registry.attestations.attest(&model, benchmark.attestation(session.stamp())).await?;
            text.push_str(&format!("\n\nrecorded about {model}"));
        } else if flawed {
            text.push_str("\n\nnot recorded, as it says nothing of the version; measure it again");
        }
        text.push_str(&match (&comparison, &compared) {
            (Some((version, comparison)), Some(compared)) => told(version, comparison, compared),
            _ => format!("\n\nno version of {} below has a benchmark to compare with", model.name()),
        });
        let json = json!({
            "model": model,
            "verdict": verdict.word(),
            "finding": finding,
            "benchmark": benchmark,
            "attested": attested,
            "against": comparison.as_ref().map(|(version, _)| version),
            "comparison": comparison.as_ref().map(|(_, comparison)| comparison),
            "compared": compared,
        });
        Ok(Answer { text, json, status: load::status(&verdict) })
    }
}

/// The benchmark to compare with, and whose it is: that of `wanted`, or of the highest version below `model` that has one.
async fn previous(
    registry: &Registry,
    model: &ModelRef,
    wanted: Option<ModelRef>,
) -> Result<Option<(ModelRef, Benchmark)>> {
    let versions = match wanted {
        Some(wanted) => vec![wanted],
        None => {
            let all = registry.store.list(model.name(), Filter::default()).await?;
            let below = all.into_iter().rev().filter(|published| published.version < *model.version());
            below.map(|published| model.name().at(published.version)).collect()
        }
    };
    for version in versions {
        let stated = registry.attestations.of(&version).await?;
        if let Some(benchmark) = stated.iter().rev().find_map(Benchmark::of) {
            return Ok(Some((version, benchmark)));
        }
    }
    Ok(None)
}

/// A share from 0 on.
fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if f64::is_finite(share) && share >= 0.0 => Ok(share),
        _ => Err("give a share from 0 on, such as 0.1".to_owned()),
    }
}

fn told(version: &ModelRef, comparison: &Comparison, verdict: &Verdict) -> String {
    let mut lines = vec![format!("\n\ncompared with {version}: {}", verdict.word())];
    lines
        .extend(comparison.differences.iter().map(|difference| format!("  different {}", plain(difference))));
    let judged = |quantile: &f64| Comparison::JUDGED.contains(quantile);
    let ratios = comparison.ratios.iter().filter(|ratio| judged(&ratio.quantile));
    lines.extend(ratios.map(|ratio| format!("  {ratio}")));
    if let Verdict::Inconclusive(reason) = verdict {
        lines.push(format!("  {}", plain(&reason.to_string())));
    }
    lines.join("\n")
}
