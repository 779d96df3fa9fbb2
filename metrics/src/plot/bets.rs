//! The evidence over time, against what it takes to decide.

use std::{f64::consts::LN_10, time::SystemTime};

use maud::{Markup, html};

use super::{
    Course, TimeAxis,
    axis::Scale,
    calendar,
    chart::{Cuts, Mark, Plot},
    words,
};
use crate::Point;

/// Nothing where the rule is not one of evidence.
pub(super) fn draw(course: &Course<'_>, time: TimeAxis) -> Option<Markup> {
    let Course { evidence, points, judgement, gaps, .. } = course;
    let (start, _) = evidence.windows().next().filter(|_| judgement.fail.threshold > 0.0)?;
    let start = start.start();
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
    let scale = scale(&sides);
    let plot =
        Plot { time, scale, ticks: scale.whole_ticks(6), unit: "e-value", say: words::power, levels, notes };
    let cuts = Cuts::at(gaps, []);
    let inside = html! {
        @for gap in gaps { (plot.hatched(gap)) }
        @for side in sides { (plot.line(side.name, &side.points, &cuts)) }
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
    Some(plot.draw(&words::clip(label, 300), &inside, &above))
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
