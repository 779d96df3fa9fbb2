//! What a person who watches sees: a pure function of how the watch stands and of the paper it is drawn on.

use console::Style;
use tidegate::{
    canary::report,
    metrics::{Verdict, judge},
    rollback::Vigilance,
};

use super::{
    spark::{Point, spark},
    view::View,
};
use crate::{
    picture::{Paper, criterion, event, widest},
    words::{ago, plain},
};

/// How many windows there are little bars for.
const BARS: usize = 30;

/// Lines no wider than the paper, and no more than it has.
pub(super) fn frame(view: &View, paper: Paper) -> Vec<String> {
    let paper = paper.of_bearable_width();
    let mut lines = head(view, paper);
    lines.push(String::new());
    lines.extend(paper.listed("now", &now(view), Style::new()));
    lines.extend(criteria(view, paper));
    let obstacle = view.obstacle().map(|obstacle| obstacle.lines(paper)).unwrap_or_default();
    let tail = [obstacle, outcome(view, paper)].concat();
    let left = paper.height.map(|height| height.saturating_sub(lines.len() + tail.len() + 2));
    lines.extend(events(view, paper, left.unwrap_or(10).min(10)));
    lines.extend(tail);
    if let Some(height) = paper.height {
        lines.truncate(height);
    }
    lines
}

fn head(view: &View, paper: Paper) -> Vec<String> {
    let watch = view.watch();
    let (name, version) = (watch.release.model.name(), watch.release.model.version());
    let title = format!("{name} {version} on {}", plain(watch.route.as_str()));
    let (word, style) = badge(view.vigil.state());
    let mut about = vec![format!("watch {}", plain(&view.id.to_string()))];
    if view.vigil.state().is_end() {
        let took = view.last.duration_since(view.opened).unwrap_or_default();
        about.push(format!("took {}, ended {} ago", ago(took), ago(view.since(view.last))));
    } else {
        about.push(format!("opened {} ago", ago(view.since(view.opened))));
        let left = view.vigil.until().duration_since(view.now).unwrap_or_default();
        about.push(format!("{} left", ago(left)));
    }
    let [every, over] = [watch.window, watch.span].map(humantime::format_duration);
    about.push(format!("a look every {every} over {over}"));
    let mut lines = paper.beside(&title, Style::new().bold(), word, style);
    lines.extend(
        paper.wrapped(&about.join(" · "), 0).into_iter().map(|line| paper.paint(&line, Style::new().dim())),
    );
    lines
}

/// How it stands, in a word or two.
fn badge(state: &Vigilance) -> (&'static str, Style) {
    let style = Style::new().bold();
    match state {
        Vigilance::Alarmed { .. } => ("ALARMED", style.red()),
        Vigilance::Blind { .. } => ("BLIND", style.yellow()),
        Vigilance::Held { .. } => ("HELD", style.yellow()),
        Vigilance::Kept { verdict: Verdict::Pass } => ("GOOD", style.green()),
        Vigilance::Kept { .. } => ("UNDECIDED", style.yellow()),
        Vigilance::Moved { .. } => ("MOVED ON", style.green()),
        Vigilance::Returned { done: true, .. } => ("BROUGHT BACK", style.red()),
        Vigilance::Returned { .. } => ("STUCK", style.red()),
        Vigilance::Returning { .. } => ("GOING BACK", style.red()),
        Vigilance::Stopped { .. } => ("STOPPED", style.yellow()),
        _ => ("WATCHING", style.cyan()),
    }
}

fn now(view: &View) -> String {
    let state = plain(&view.vigil.state().to_string());
    match &view.undo {
        Some(undo) if !view.vigil.state().is_end() => {
            format!("{state}: {}", plain(&undo.state().to_string()))
        }
        _ => state,
    }
}

/// What it has to show, what the looks of the span say of it, and how it went from window to window.
fn criteria(view: &View, paper: Paper) -> Vec<String> {
    let criteria = &view.watch().criteria;
    if criteria.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new()];
    let width = widest(criteria);
    if view.looks.is_empty() {
        lines.extend(criteria.iter().map(|of| {
            let demand = format!("    {:<width$}  {}", plain(of.metric.as_str()), plain(&report::demand(of)));
            console::truncate_str(&demand, paper.width, "…").into_owned()
        }));
        return lines;
    }
    let newest = &view.looks[view.looks.len().saturating_sub(BARS)..];
    for (place, (of, judgement)) in criteria.iter().zip(&view.judgements()).enumerate() {
        lines.extend(criterion(of, judgement, width, paper));
        let alone = |look| Point::of(&judge(of, &view.watch().evidence(place, std::slice::from_ref(look))));
        let points: Vec<Option<Point>> = newest.iter().map(alone).collect();
        lines.extend(spark(&points).into_iter().flat_map(|spark| paper.wrapped(&spark, 6)));
    }
    lines
}

/// The last things that happened, the newest last.
fn events(view: &View, paper: Paper, most: usize) -> Vec<String> {
    let shown = &view.events[view.events.len().saturating_sub(most)..];
    if shown.is_empty() {
        return Vec::new();
    }
    let lines = shown.iter().map(|(at, what)| event(view.since(*at), &plain(what), paper));
    [String::new()].into_iter().chain(lines).collect()
}

fn outcome(view: &View, paper: Paper) -> Vec<String> {
    let state = view.vigil.state();
    if !state.is_end() {
        return Vec::new();
    }
    let (_, style) = badge(state);
    let said = paper.wrapped(&format!("the watch {}", plain(&state.to_string())), 0);
    let said = said.iter().map(|line| paper.paint(line, style.clone()));
    let remedy = state.remedy().map(|remedy| paper.wrapped(remedy, 2)).unwrap_or_default();
    [String::new()].into_iter().chain(said).chain(remedy).collect()
}
