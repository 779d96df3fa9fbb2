//! Who had the traffic, how things were with the watch, and what the rollback did, over time.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};
use tidegate_canary::metrics::plot::{
    TimeAxis, calendar,
    length::{percent, px},
    words,
};

use super::story::{BACK, Milestone, Story};
use crate::{State, Vigilance};

/// The height of a row, and of the numbered milestones above them.
const ROW: f64 = 34.0;
const TOP: f64 = 26.0;

struct Row {
    name: &'static str,
    /// From when to when, its class, and what it says.
    bands: Vec<(SystemTime, SystemTime, &'static str, String)>,
}

/// As wide as the page: its places are in per cent of the width, so that its text keeps its size on a phone.
pub(super) fn chart(story: &Story<'_>) -> Markup {
    let (start, end) = extent(story);
    let time = TimeAxis::new(start, end);
    let rows = rows(story, end);
    let bottom = TOP + ROW * rows.len() as f64;
    html! {
        div.wide.course {
            svg height=(px(bottom + 22.0)) role="img" aria-label="Traffic, watch and rollback over time" {
                @for (n, row) in rows.iter().enumerate() {
                    @let y = TOP + ROW * n as f64;
                    text.tick x="0" y=(px(y + 9.0)) { (row.name) }
                    @for (from, to, class, says) in row.bands.iter().filter(|band| band.1 > start) {
                        @let (from, to) = (time.place((*from).max(start)), time.place(*to));
                        @let width = (to - from).max(0.002);
                        rect.stretch.(class) x=(percent(from)) width=(percent(width)) y=(px(y + 13.0)) height="14" {
                            title { (says) }
                        }
                    }
                }
                line.axis x1="0" x2="100%" y1=(px(bottom)) y2=(px(bottom)) {}
                @for (place, label) in time.ticks(6) {
                    line.axis x1=(percent(place)) x2=(percent(place)) y1=(px(bottom)) y2=(px(bottom + 4.0)) {}
                    text.tick.middle x=(percent(place)) y=(px(bottom + 18.0)) { (label) }
                }
                @for (n, (milestone, place)) in (1..).zip(places(story, &time)) {
                    g.event.(tone(milestone)) {
                        line x1=(percent(time.place(milestone.at))) x2=(percent(place)) y1=(px(bottom)) y2="18" {}
                        circle cx=(percent(place)) cy="10" r="8" {}
                        text.middle x=(percent(place)) y="10" dy="0.35em" { (n) }
                    }
                }
            }
        }
        ul.legend {
            @for (class, what) in legend(&rows) { li { i.swatch.stretch.(class) {} (what) } }
        }
        ol.events {
            @for (milestone, took) in story.steps() {
                li.(tone(milestone)) {
                    span.muted { (calendar::time_of_day(milestone.at)) " " (story.offset(milestone.at)) }
                    " " b { (milestone.what) }
                    @if let Some(took) = took { span.muted { ", " (words::duration(took)) " later" } }
                }
            }
        }
    }
}

/// Of a watch that went on for long, only the end is of interest.
fn extent(story: &Story<'_>) -> (SystemTime, SystemTime) {
    let ends = [
        story.watch.as_ref().and_then(|of| of.places.last().map(|(at, _)| *at)),
        story.rollback.as_ref().and_then(|of| of.places.last().map(|(at, _)| *at)),
    ];
    let begins =
        [story.watch.as_ref().map(|of| of.places[0].0), story.rollback.as_ref().map(|of| of.places[0].0)];
    let first = begins.into_iter().flatten().min().unwrap_or(story.zero);
    let focus = story.milestones.first().map_or(story.zero, |milestone| milestone.at);
    let end = ends.into_iter().flatten().max().unwrap_or(focus).max(focus);
    let lead = (end.duration_since(focus).unwrap_or_default() / 4).max(Duration::from_secs(60));
    // Where it is not over, how things are needs room, too.
    let end = if story.is_over() { end } else { end.checked_add(lead).unwrap_or(end) };
    (focus.checked_sub(lead).unwrap_or(focus).max(first).min(focus), end)
}

fn rows(story: &Story<'_>, end: SystemTime) -> Vec<Row> {
    let mut rows = Vec::new();
    let start = SystemTime::UNIX_EPOCH;
    let mut traffic = Row { name: "Traffic", bands: Vec::new() };
    let back = story.milestones.iter().find(|milestone| milestone.what == BACK).map(|milestone| milestone.at);
    let left = format!("on {}", story.left);
    match (back, story.to) {
        (Some(back), Some(to)) => {
            traffic.bands.push((start, back, "left", left));
            traffic.bands.push((back, end, "target", format!("on {to}")));
        }
        _ => traffic.bands.push((start, end, "left", left)),
    }
    rows.push(traffic);
    if let Some(watch) = &story.watch {
        let places = watch.places.iter().map(|(at, vigil)| (*at, watching(vigil.state())));
        rows.push(Row { name: "Watch", bands: bands(places.collect(), end) });
    }
    if let Some(rollback) = &story.rollback {
        let places = rollback.places.iter().map(|(at, undo)| (*at, undoing(undo.state())));
        rows.push(Row { name: "Rollback", bands: bands(places.collect(), end) });
    }
    rows
}

type Place = (SystemTime, Option<(&'static str, &'static str)>);

fn bands(places: Vec<Place>, end: SystemTime) -> Vec<(SystemTime, SystemTime, &'static str, String)> {
    let mut bands: Vec<(SystemTime, SystemTime, &'static str, String)> = Vec::new();
    let ends = places.iter().skip(1).map(|(at, _)| *at).chain([end]).collect::<Vec<_>>();
    for ((from, place), to) in places.into_iter().zip(ends) {
        let Some((class, says)) = place else { continue };
        match bands.last_mut() {
            Some(last) if last.2 == class && last.1 >= from => last.1 = last.1.max(to),
            _ => bands.push((from, to.max(from), class, says.to_owned())),
        }
    }
    bands
}

const fn watching(state: &Vigilance) -> Option<(&'static str, &'static str)> {
    Some(match state {
        Vigilance::Watching => ("watching", "sees nothing wrong"),
        Vigilance::Blind { .. } => ("blind", "blind"),
        Vigilance::Alarmed { .. } => ("alarmed", "alarmed"),
        Vigilance::Held { .. } => ("held", "held for a person"),
        Vigilance::Returning { .. } => ("returning", "waits for the rollback"),
        _ => return None,
    })
}

const fn undoing(state: &State) -> Option<(&'static str, &'static str)> {
    Some(match state {
        State::Verify
        | State::Clear
        | State::Ebb
        | State::Stage
        | State::Restore
        | State::Reassert { .. }
        | State::Replace => ("staging", "makes the target run"),
        State::Shift | State::Return => ("moving", "moves traffic"),
        State::Still | State::Drain { .. } => ("draining", "lets requests end"),
        State::Record | State::Condemn { .. } | State::Retire { .. } => {
            ("recording", "records and clears up")
        }
        State::Prove { .. } => ("proving", "watches the target"),
        State::Aborted { .. } | State::Done { .. } | State::Stuck { .. } => return None,
    })
}

fn legend(rows: &[Row]) -> Vec<(&'static str, String)> {
    let mut known: Vec<(&'static str, String)> = Vec::new();
    for (_, _, class, says) in rows.iter().flat_map(|row| &row.bands) {
        if known.iter().all(|(other, _)| other != class) {
            known.push((class, says.clone()));
        }
    }
    known
}

/// Where the number of each milestone stands: beside the one before, where they would cover each other.
fn places<'a>(story: &'a Story<'_>, time: &TimeAxis) -> Vec<(&'a Milestone, f64)> {
    const APART: f64 = 0.06;
    let mut places: Vec<f64> = story.milestones.iter().map(|milestone| time.place(milestone.at)).collect();
    let mut least: f64 = 0.0;
    for place in &mut places {
        *place = place.max(least);
        least = *place + APART;
    }
    let mut most: f64 = 1.0;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - APART;
    }
    story.milestones.iter().zip(places).collect()
}

fn tone(milestone: &Milestone) -> &'static str {
    use super::story::{BEGAN, DECIDED, HELD, RECOVERED, SEEN};
    match milestone.what {
        BEGAN | SEEN => "bad",
        HELD | DECIDED => "person",
        BACK | RECOVERED => "good",
        _ => "plain",
    }
}
