//! The picture of a load while it runs.

use std::{collections::VecDeque, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidegate::validation::load::{Distribution, Picture, Plan};

use super::told::time;

/// Seconds that the little bars are of.
const SECONDS: usize = 60;

/// The picture of a load while it runs, on standard error if that is a terminal.
pub(super) struct Live {
    bar: ProgressBar,
    slowest: VecDeque<Option<Duration>>,
}

impl Live {
    pub(super) fn new(plan: &Plan, shown: bool) -> Self {
        let all = plan.unmeasured().saturating_add(plan.profile.duration());
        let style = "{prefix} {bar:30} {elapsed_precise} of {len} s\n{msg}";
        let style = ProgressStyle::with_template(style).expect("the template is a constant and valid");
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar =
            ProgressBar::with_draw_target(Some(all.as_secs()), target).with_style(style).with_prefix("load");
        Self { bar, slowest: VecDeque::new() }
    }

    pub(super) fn show(&mut self, picture: &Picture<'_>) {
        if self.slowest.len() == SECONDS {
            self.slowest.pop_front();
        }
        self.slowest.push_back(picture.latency.quantile(0.99));
        self.bar.set_position(picture.at.as_secs());
        self.bar.set_prefix(if picture.warming { "warming up" } else { "load" });
        self.bar.set_message(frame(picture, &self.slowest));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn frame(picture: &Picture<'_>, slowest: &VecDeque<Option<Duration>>) -> String {
    let counts = picture.so_far.counts;
    let asked = format!(
        "  {} requests were due in the last second, {} sent, {} failed; {} are under way",
        picture.due, picture.sent, picture.failed, picture.in_flight
    );
    let so_far = format!(
        "  so far {} answered, {} failed, {} dropped",
        counts.answered, counts.failed, counts.dropped
    );
    let latency = format!("  latency {} in the last second", quantiles(picture.latency));
    let all = format!("          {} so far", quantiles(&picture.so_far.scheduled_latency));
    let mut lines = vec![asked, so_far, latency, all];
    lines.extend(spark(slowest).map(|bars| format!("  p99     {bars}")));
    lines.join("\n")
}

fn quantiles(times: &Distribution) -> String {
    let each = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
    let each = each.map(|(name, quantile)| {
        format!("{name} {}", times.quantile(quantile).map_or_else(|| "-".to_owned(), time))
    });
    each.join("  ")
}

/// `▁▁▃▁·█` from nothing to the greatest; a dot is a second without an answer.
fn spark(points: &VecDeque<Option<Duration>>) -> Option<String> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let greatest = points.iter().flatten().max()?.as_secs_f64();
    let bar = |point: &Option<Duration>| match point {
        Some(point) if greatest > 0.0 => BARS[(point.as_secs_f64() / greatest * 7.0).round() as usize],
        Some(_) => BARS[0],
        None => '·',
    };
    let bars: String = points.iter().map(bar).collect();
    Some(format!("{bars}  up to {}", time(Duration::from_secs_f64(greatest))))
}
