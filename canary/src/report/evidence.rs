//! The evidence of each criterion over time, against what it takes to decide.

use std::{collections::BTreeSet, f64::consts::LN_10, time::SystemTime};

use maud::{Markup, html};
use tidegate_metrics::{Criterion, Evidence, Judgement, Point, Window, judge, trajectory};

use super::{
    axis::{Scale, TimeAxis},
    calendar,
    chart::{self, Mark, Plot},
    criterion, words,
};

/// A section with a small chart for each criterion. All of them share one time axis.
pub(super) fn section(name: &str, criteria: &[Criterion], evidence: &[Evidence]) -> Markup {
    let windows = || evidence.iter().flat_map(Evidence::windows).map(|(window, _)| window);
    let extent = windows().map(|window| window.start()).min().zip(windows().map(|window| window.end()).max());
    html! {
        section {
            h3 { (name) }
            @if let Some((start, end)) = extent {
                (legend())
                div.cards {
                    @for (criterion, evidence) in criteria.iter().zip(evidence) {
                        (card(criterion, evidence, TimeAxis::new(start, end)))
                    }
                }
            } @else {
                p.muted { "No window was observed." }
            }
        }
    }
}

/// How to read the charts.
pub(super) fn primer() -> Markup {
    html! {
        details {
            summary { "How to read the evidence" }
            p {
                "Evidence is an e-value: by how much the observations so far have multiplied a bet against a "
                "hypothesis. Evidence for worse is a bet against “the candidate is no worse than tolerated”, evidence for "
                "good one against “the candidate is worse than the margin or the limit allows”. While its hypothesis is "
                "true, a bet is unlikely to grow: the chance that it ever reaches 20 is at most 1 in 20, however often one "
                "looks (Ville 1939). So the first crossing of a dashed line decides, and later observations do not take it "
                "back. A window without data is no evidence, neither for nor against."
            }
        }
    }
}

fn legend() -> Markup {
    let key = |inside| html! { svg.key width="26" height="12" aria-hidden="true" { (inside) } };
    let line = |class: &str| html! { line class=(class) x1="0" x2="26" y1="6" y2="6" {} };
    html! {
        ul.legend {
            li { (key(html! { (line("line worse")) (chart::mark("worse", 20.0, 6.0, Mark::Diamond)) })) "evidence for worse" }
            li { (key(html! { (line("line good")) (chart::mark("good", 20.0, 6.0, Mark::Disc)) })) "evidence for good" }
            li { (key(line("level either"))) "what it takes" }
            li { i.swatch.hatched {} "no evidence" }
        }
    }
}

fn card(criterion: &Criterion, evidence: &Evidence, time: TimeAxis) -> Markup {
    let judgement = judge(criterion, evidence);
    let points = trajectory(criterion, evidence);
    let gaps = criterion::gaps(criterion, evidence);
    let start = evidence.windows().next().map_or(SystemTime::UNIX_EPOCH, |(window, _)| window.start());
    html! {
        // Five children, each a row of the grid, so that neighbours line up.
        figure.card {
            figcaption {
                h4 {
                    bdi { (words::clip(&criterion.metric, 60)) } " " span.muted { (criterion::brief(criterion)) }
                    span.badge.(judgement.verdict) { (judgement.verdict) }
                }
                p.rule.muted { (criterion::rule(criterion)) }
            }
            div { @if !points.is_empty() { (plot(start, time, &judgement, &points, &gaps)) } }
            (criterion::counts(criterion, &judgement))
            p.judgement { bdi { (words::clip(&judgement, 600)) } }
            div { (criterion::reasons(&gaps)) }
        }
    }
}

fn plot(
    start: SystemTime,
    time: TimeAxis,
    judgement: &Judgement,
    points: &[Point],
    gaps: &[(Window, String)],
) -> Markup {
    let worse =
        Side::new(("worse", Mark::Diamond), judgement.fail.threshold, start, points, |point| point.fail);
    let good = Side::new(("good", Mark::Disc), judgement.pass.threshold, start, points, |point| point.pass);
    let sides = [&good, &worse];
    let levels = if (worse.needs - good.needs).abs() < 0.05 {
        vec![("either", good.needs)]
    } else {
        sides.map(|side| (side.name, side.needs)).to_vec()
    };
    let note = |side: &&Side| {
        let (_, (at, _)) = side.crossing?;
        Some((side.name, format!("{} {} at {}", side.mark.glyph(), side.name, calendar::clock(at))))
    };
    let notes = sides.iter().filter_map(note).collect();
    let plot = Plot { time, scale: scale(&sides), unit: "e-value", say: words::power, levels, notes };
    let ends: BTreeSet<_> = gaps.iter().map(|(window, _)| window.end()).collect();
    let inside = html! {
        @for (window, reason) in gaps { (plot.hatched(window.start(), window.end(), &words::clip(reason, 200))) }
        @for side in sides { (plot.line(side.name, &side.points, |at| ends.contains(&at))) }
    };
    let above = html! {
        @for side in sides {
            @if let Some(crossing) = side.crossing {
                (plot.crossing(side.name, side.mark, crossing, side.needs))
            }
            @if let Some(&(_, last)) = side.points.last() { (plot.beyond(side.name, last)) }
        }
    };
    let label = format!("Evidence over time: {judgement}");
    plot.draw(&words::clip(label, 300), &inside, &above)
}

/// One of the two bets, in powers of ten.
struct Side {
    name: &'static str,
    mark: Mark,
    needs: f64,
    points: Vec<(SystemTime, f64)>,
    /// The look that first sufficed, and the one before it.
    crossing: Option<((SystemTime, f64), (SystemTime, f64))>,
}

impl Side {
    fn new(
        (name, mark): (&'static str, Mark),
        threshold: f64,
        start: SystemTime,
        points: &[Point],
        log_e: fn(&Point) -> f64,
    ) -> Self {
        let needs = threshold / LN_10;
        // A bet begins with a capital of 1.
        let looks = points.iter().map(|point| (point.end, log_e(point) / LN_10));
        let points: Vec<_> = std::iter::once((start, 0.0)).chain(looks).collect();
        let enough = points.windows(2).find(|pair| pair[1].1 >= needs);
        Self { name, mark, needs, crossing: enough.map(|pair| (pair[0], pair[1])), points }
    }
}

/// Wide enough for what decides; what goes far beyond that leaves the scale rather than flattening the rest.
fn scale(sides: &[&Side]) -> Scale {
    let needs = sides.iter().map(|side| side.needs).fold(0.0, f64::max);
    let values = || sides.iter().flat_map(|side| &side.points).map(|&(_, value)| value);
    let most = values().fold(needs + 0.7, f64::max).min(needs * 1.3 + 2.5);
    let least = values().fold(-1.0, f64::min).max(-3.0);
    Scale { from: least.floor(), to: most.ceil() }
}
