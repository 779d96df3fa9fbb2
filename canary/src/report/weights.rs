//! The new version's share of traffic over time, with everything that people and the machine did about it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use maud::{Markup, html};

use super::{
    calendar,
    chart::{self, TimeAxis, percent, px},
    journal,
    story::{Line, Phase, Story},
    words,
};
use crate::{Event, Record, State, Weight};

/// The height of the plot, and of a lane of numbered events above it.
const HEIGHT: f64 = 140.0;
const LANE: f64 = 20.0;

/// The chart is as wide as the page: its places are in per cent, its text keeps its size.
pub(super) fn chart(story: &Story<'_>) -> Markup {
    let time = TimeAxis::new(story.start(), story.end());
    let events: Vec<_> = story.lines.iter().filter(|line| is_notable(line)).collect();
    let lanes = lanes(&time, &events);
    let top = lanes.iter().max().map_or(8.0, |most| (most + 1) as f64 * LANE + 4.0);
    let bottom = top + HEIGHT;
    let height = bottom + 46.0;
    html! {
        div.wide {
            svg height=(px(height)) role="img" aria-label="the new version's share of traffic over time" {
                @for weight in [0, 25, 50, 75, 100] {
                    @let y = px(bottom - HEIGHT * f64::from(weight) / 100.0);
                    line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                    text.tick.end x="-8" y=(y) dy="0.35em" { (weight) "%" }
                }
                (area(story, &time, bottom))
                line.axis x1="0" x2="100%" y1=(px(bottom)) y2=(px(bottom)) {}
                @for (place, label) in time.ticks(6) {
                    line.axis x1=(percent(place)) x2=(percent(place)) y1=(px(bottom)) y2=(px(bottom + 4.0)) {}
                    text.tick.middle x=(percent(place)) y=(px(bottom + 18.0)) { (label) }
                }
                (strip(story, &time, bottom + 28.0))
                @for ((number, line), lane) in (1..).zip(&events).zip(&lanes) {
                    @let (x, y) = (percent(time.place(line.at)), (*lane as f64 + 0.5) * LANE);
                    g.(tone(line)) {
                        line.event x1=(x) x2=(x) y1=(px(y)) y2=(px(bottom)) {}
                        circle cx=(x) cy=(px(y)) r="8" {}
                        text.middle x=(x) y=(px(y)) dy="0.35em" { (number) }
                    }
                }
            }
        }
        (phases(story))
        (legend(story, &events))
    }
}

/// A step line with the area under it, and each step's weight where there is room for it.
fn area(story: &Story<'_>, time: &TimeAxis, bottom: f64) -> Markup {
    let mut levels: Vec<(f64, f64, Weight)> = Vec::new();
    for (line, end) in story.stretches() {
        let to = time.place(end);
        match levels.last_mut() {
            Some(last) if last.2 == line.share => last.1 = last.1.max(to),
            last => {
                let from = last.map_or(0.0, |last| last.1);
                levels.push((from, to.max(from), line.share));
            }
        }
    }
    let y = |weight: Weight| bottom - HEIGHT * f64::from(weight.as_basis_points()) / 1e4;
    let before = std::iter::once(Weight::NONE).chain(levels.iter().map(|level| level.2));
    html! {
        @for (line, end) in story.stretches().filter(|(line, _)| line.paused || Phase::of(&line.state) == Phase::Gate) {
            @let (from, to) = (time.place(line.at), time.place(end));
            rect.hatched x=(percent(from)) width=(percent((to - from).max(0.0))) y=(px(bottom - HEIGHT)) height=(px(HEIGHT)) {}
        }
        @for (&(from, to, weight), before) in levels.iter().zip(before) {
            @let y = y(weight);
            rect.share x=(percent(from)) width=(percent(to - from)) y=(px(y)) height=(px(bottom - y)) {}
            line.share x1=(percent(from)) x2=(percent(from)) y1=(px(self::chart_y(before, bottom))) y2=(px(y)) {}
            line.share x1=(percent(from)) x2=(percent(to)) y1=(px(y)) y2=(px(y)) {}
            @if to - from > 0.07 && weight > Weight::NONE {
                text.note.strong x=(percent(from)) dx="5" y=(px(y + if weight > LABEL_BELOW { 15.0 } else { -6.0 })) { (weight) }
            }
        }
    }
}
