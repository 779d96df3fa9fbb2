//! What came of a load, in words and bars.

use std::time::Duration;

use tidegate::validation::{
    Finding, Outcome, Verdict,
    load::{Distribution, Spread, Summary},
};

use crate::words::{plain, row, table};

/// The verdict, what it stands on, and the times.
pub(crate) fn result(finding: &Finding, summary: &Summary) -> String {
    let mut lines = vec![format!("{}: {}", finding.verdict.word(), finding.claim)];
    lines.extend(finding.evidence.iter().map(|evidence| format!("  {evidence}")));
    if let Verdict::Inconclusive(reason) = &finding.verdict {
        lines.push(format!("  {}", plain(&reason.to_string())));
    }
    let misses = finding.cases.iter().filter(|case| case.outcome == Outcome::Miss);
    lines.extend(misses.map(|case| format!("  failed: {} ({})", plain(&case.input), plain(&case.detail))));
    let counts = summary.counts;
    lines.push(format!(
        "\n{} due, {} answered ({} within all limits), {} failed, {} dropped, {} unfinished; {} of warm-up not counted",
        counts.due, counts.answered, counts.good, counts.failed, counts.dropped, counts.unfinished, counts.warmup
    ));
    let tokens = summary.output_tokens_per_second;
    let tokens = tokens.map(|rate| format!(", {rate:.1} output tokens a second")).unwrap_or_default();
    lines.push(format!(
        "{:.2} of {:.2} requests a second sent, {:.2} within all limits{tokens}\n",
        summary.achieved_per_second, summary.asked_per_second, summary.goodput_per_second
    ));
    lines.push(times(summary));
    lines.join("\n")
}

fn times(summary: &Summary) -> String {
    let mut rows = vec![row(["", "N", "P50", "P90", "P95", "P99", "P99.9", "MAX"])];
    for (name, spread) in [
        ("latency as scheduled", &summary.latency),
        ("latency as served", &summary.service_latency),
        ("dispatch delay", &summary.dispatch_delay),
        ("time to first token", &summary.ttft),
        ("time between parts", &summary.itl),
        ("time per output token", &summary.tpot),
    ] {
        if spread.n > 0 {
            rows.push(times_of(name, spread));
        }
    }
    table(&rows)
}

fn times_of(name: &str, spread: &Spread) -> Vec<String> {
    let seconds =
        |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |s| time(Duration::from_secs_f64(s)));
    let quantiles = Spread::QUANTILES.map(|quantile| seconds(spread.at(quantile).map(|found| found.value)));
    let mut cells = vec![name.to_owned(), spread.n.to_string()];
    cells.extend(quantiles);
    cells.push(seconds(spread.max));
    cells
}

/// `850 µs`, `12.3 ms`, `4.41 s`: three digits.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        1e-3..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.digits$} {unit}")
}

/// How often which latency was, in bars. Each is up to twice as long as the one before.
pub(crate) fn histogram(latency: &Distribution) -> String {
    const WIDTH: f64 = 50.0;
    let Some(longest) = latency.max() else { return String::new() };
    let mut edges = vec![Duration::from_micros(125)];
    while let Some(&edge) = edges.last().filter(|edge| **edge < longest) {
        edges.push(edge * 2);
    }
    let counts = latency.between(&edges);
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let greatest = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let bars = edges.iter().zip(&counts).skip(first).map(|(edge, &count)| {
        let width = (count as f64 / greatest * WIDTH).ceil() as usize;
        format!("{:>10} {} {count}", time(*edge), "█".repeat(width))
    });
    let bars: Vec<_> = bars.collect();
    format!("\nlatency as scheduled, up to\n{}", bars.join("\n"))
}
