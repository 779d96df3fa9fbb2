//! The new version's share of traffic over time, with what people and the machine did about it.

use std::{collections::BTreeMap, time::Duration};

use maud::{Markup, html};
use tidegate_metrics::plot::{
    TimeAxis, calendar,
    length::{percent, px},
};

use super::{
    journal,
    story::{Line, Phase, Story},
    words,
};
use crate::{Cause, Event, Record, Request, State, Weight};

/// The height of the plot, and of a lane of numbered events above it.
const HEIGHT: f64 = 140.0;
const LANE: f64 = 20.0;

/// As wide as the page: its places are in per cent of the width, so that its text keeps its size on a phone.
pub(super) fn chart(story: &Story<'_>) -> Markup {
    let time = TimeAxis::new(story.start(), story.end());
    let events = events(story);
    let lanes = lanes(events.iter().map(|event| time.place(event.line.at)));
    let top = lanes.iter().max().map_or(8.0, |&most| (most + 1) as f64 * LANE + 6.0);
    let bottom = top + HEIGHT;
    html! {
        div.wide {
            svg height=(px(bottom + 46.0)) role="img" aria-label="The new version's share of traffic over time" {
                @for weight in [0, 25, 50, 75, 100] {
                    @let y = px(bottom - HEIGHT * f64::from(weight) / 100.0);
                    line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
                    text.tick.end x="-8" y=(y) dy="0.35em" { (weight) "%" }
                }
                (shares(story, &time, bottom))
                line.axis x1="0" x2="100%" y1=(px(bottom)) y2=(px(bottom)) {}
                @for (place, label) in time.ticks(6) {
                    line.axis x1=(percent(place)) x2=(percent(place)) y1=(px(bottom)) y2=(px(bottom + 4.0)) {}
                    text.tick.middle x=(percent(place)) y=(px(bottom + 18.0)) { (label) }
                }
                (strip(story, &time, bottom + 30.0))
                @for ((number, event), lane) in (1..).zip(&events).zip(lanes) {
                    @let (x, y) = (percent(time.place(event.line.at)), (lane as f64 + 0.5) * LANE);
                    g.event.(event.tone) {
                        line x1=(x) x2=(x) y1=(px(y)) y2=(px(bottom)) {}
                        circle cx=(x) cy=(px(y)) r="8" {}
                        text.middle x=(x) y=(px(y)) dy="0.35em" { (number) }
                    }
                }
            }
        }
        (legend(story))
        @if !events.is_empty() {
            ol.events {
                @for event in &events {
                    li.(event.tone) {
                        span.muted { (calendar::time_of_day(event.line.at)) " " (words::offset(story.offset(event.line.at))) }
                        " " bdi { (words::clip(&event.text, 300)) }
                    }
                }
            }
        }
    }
}

/// A step line with the area under it, each step's weight where there is room for it, and hatching while it waited.
fn shares(story: &Story<'_>, time: &TimeAxis, bottom: f64) -> Markup {
    let mut levels: Vec<(f64, f64, Weight, bool)> = Vec::new();
    for (line, end) in story.stretches() {
        let from = levels.last().map_or_else(|| time.place(line.at), |last| last.1);
        let to = time.place(end).max(from);
        match levels.last_mut() {
            Some(last) if (last.2, last.3) == (line.share, line.copied) => last.1 = to,
            _ => levels.push((from, to, line.share, line.copied)),
        }
    }
    let y = |weight: Weight| bottom - HEIGHT * f64::from(weight.as_basis_points()) / 1e4;
    let before = std::iter::once(Weight::NONE).chain(levels.iter().map(|level| level.2));
    let waits = |line: &Line<'_>| line.paused || Phase::of(&line.state) == Phase::Gate;
    html! {
        @for (line, end) in story.stretches().filter(|(line, _)| waits(line)) {
            @let (from, to) = (time.place(line.at), time.place(end));
            @let width = percent((to - from).max(0.0));
            rect.hatched x=(percent(from)) width=(width) y=(px(bottom - HEIGHT)) height=(px(HEIGHT)) {}
        }
        @for (&(from, to, weight, copied), before) in levels.iter().zip(before) {
            rect.share x=(percent(from)) width=(percent(to - from)) y=(px(y(weight))) height=(px(bottom - y(weight))) {}
            line.share x1=(percent(from)) x2=(percent(from)) y1=(px(y(before))) y2=(px(y(weight))) {}
            line.share.copied[copied] x1=(percent(from)) x2=(percent(to)) y1=(px(y(weight))) y2=(px(y(weight))) {}
            @if to - from > 0.08 && weight > Weight::NONE {
                // Under the line where there is no room above it.
                @let dy = if y(weight) < bottom - HEIGHT + 16.0 { 16.0 } else { -6.0 };
                text.note.strong x=(percent(from)) dx="6" y=(px(y(weight) + dy)) { (weight) @if copied { " copied" } }
            }
        }
    }
}

/// What the rollout was about, as a band under the time axis.
fn strip(story: &Story<'_>, time: &TimeAxis, y: f64) -> Markup {
    let mut bands: Vec<(f64, f64, Phase)> = Vec::new();
    for (line, end) in story.stretches() {
        let (from, to, phase) = (time.place(line.at), time.place(end), Phase::of(&line.state));
        match bands.last_mut() {
            Some(last) if last.2 == phase => last.1 = last.1.max(to),
            _ => bands.push((from, to, phase)),
        }
    }
    html! {
        @for &(from, to, phase) in bands.iter().filter(|&&(from, to, phase)| to > from && phase != Phase::End) {
            rect.phase.(phase.name()) x=(percent(from)) width=(percent(to - from)) y=(px(y)) height="10" {
                title { (phase.name()) }
            }
        }
    }
}

/// The phases that there were, with how long they took.
fn legend(story: &Story<'_>) -> Markup {
    let mut phases: BTreeMap<Phase, Duration> = BTreeMap::new();
    for (line, end) in story.stretches().filter(|(line, _)| Phase::of(&line.state) != Phase::End) {
        *phases.entry(Phase::of(&line.state)).or_default() += end.duration_since(line.at).unwrap_or_default();
    }
    let waited = story.lines.iter().any(|line| line.paused || Phase::of(&line.state) == Phase::Gate);
    html! {
        ul.legend {
            @for (phase, length) in phases {
                li { i.swatch.phase.(phase.name()) {} (phase.name()) " " span.muted { (words::duration(length)) } }
            }
            @if waited { li { i.swatch.hatched {} "waiting" } }
        }
    }
}

/// Something worth a number in the chart.
struct Notable<'a> {
    line: &'a Line<'a>,
    tone: &'static str,
    text: String,
}

fn events<'a>(story: &'a Story<'a>) -> Vec<Notable<'a>> {
    let pairs = story.lines.iter().zip(story.lines.iter().skip(1));
    pairs.filter_map(|(before, line)| notable(before, line)).collect()
}

fn notable<'a>(before: &Line<'_>, line: &'a Line<'a>) -> Option<Notable<'a>> {
    let told = || journal::what(line.record);
    let (tone, text) = match (line.record, &line.state) {
        _ if line.refused.is_some() => return None,
        (_, State::Stuck { during, .. }) if !before.state.is_end() => {
            ("bad", format!("stuck while {during}"))
        }
        (_, State::Promoted) if before.state != State::Promoted => {
            ("good", "promoted and settled".to_owned())
        }
        (Record::Happen(Event::Recorded { .. }), _) => ("good", "promoted".to_owned()),
        (Record::Happen(Event::Observed { .. }), State::Retreat { cause, .. }) => match cause {
            Cause::Compared { .. } => ("good", "both sides are compared, so traffic returns".to_owned()),
            Cause::Undecided => ("bad", "undecided at the horizon, so traffic returns".to_owned()),
            _ => ("bad", "the evidence is against the candidate, so traffic returns".to_owned()),
        },
        (Record::Happen(Event::Observed { .. }), State::Unsettled { .. }) => {
            ("bad", line.state.doing().to_owned())
        }
        _ if line.undecided => ("person", "undecided at the horizon, so it waits for a person".to_owned()),
        (
            Record::Happen(Event::Failed { .. } | Event::Ask(Request::Abort { .. } | Request::Reject { .. })),
            _,
        ) => ("bad", told()),
        (Record::Seize { .. } | Record::Happen(Event::Seize { .. }), _) => ("bad", told()),
        (Record::Happen(Event::Frozen { .. } | Event::Thawed), _) => ("person", told()),
        (Record::Resume { .. } | Record::Happen(Event::Ask(_)), _) => ("person", told()),
        _ => return None,
    };
    Some(Notable { line, tone, text })
}

/// The lowest lane for each place, such that two in a lane are apart even on a phone.
fn lanes(places: impl Iterator<Item = f64>) -> Vec<usize> {
    const APART: f64 = 0.06;
    const MOST: usize = 6;
    let mut ends: Vec<f64> = Vec::new();
    places
        .map(|place| {
            let free = ends.iter().position(|end| place - end >= APART);
            let lane = free.unwrap_or_else(|| ends.len().min(MOST - 1));
            if lane == ends.len() {
                ends.push(place);
            } else {
                ends[lane] = place;
            }
            lane
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lanes;

    #[test]
    fn events_that_are_close_do_not_cover_each_other() {
        assert_eq!(lanes([0.0, 0.5, 1.0].into_iter()), [0, 0, 0]);
        assert_eq!(lanes([0.0, 0.01, 0.02, 0.07, 0.08].into_iter()), [0, 1, 2, 0, 1]);
        assert!(lanes([0.0; 100].into_iter()).into_iter().all(|lane| lane < 6));
    }
}
