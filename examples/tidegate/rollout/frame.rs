//! What a person who watches sees: a pure function of how the rollout stands and of the paper it is drawn on.

use std::time::Duration;

use console::Style;
use tidegate::canary::{Entry, Event, Record, Require, Slot, State, Step, Weight, report};

use super::{
    end,
    view::{Stuck, View},
};
use crate::{
    picture::{Paper, criterion, event, widest},
    words::{ago, plain},
};

/// Lines no wider than the paper, and no more than it has.
pub(super) fn frame(view: &View<'_>, paper: Paper) -> Vec<String> {
    let paper = paper.of_bearable_width();
    let mut lines = head(view, paper);
    lines.push(String::new());
    lines.extend(bars(view, paper));
    lines.push(String::new());
    lines.extend(steps(view, paper));
    lines.extend(criteria(view, paper));
    let obstacles = view.obstacles().iter().flat_map(|obstacle| obstacle.lines(paper)).collect();
    let tail: Vec<String> = [obstacles, outcome(view, paper)].concat();
    let left = paper.height.map(|height| height.saturating_sub(lines.len() + tail.len() + 2));
    lines.extend(events(view, paper, left.unwrap_or(10).min(10)));
    lines.extend(tail);
    if let Some(height) = paper.height {
        lines.truncate(height);
    }
    lines
}

fn head(view: &View<'_>, paper: Paper) -> Vec<String> {
    let plan = view.plan();
    let [stable, candidate] = [&plan.stable, &plan.candidate].map(|release| release.model.version());
    let name = plan.candidate.model.name();
    let title = format!("{name} {stable} → {candidate} on {}", plain(plan.route.as_str()));
    let (word, style) = badge(view);
    let mut about = vec![format!("rollout {}", plain(&view.id.to_string()))];
    about.push(match view.ended() {
        None => format!("opened {} ago", ago(view.since(view.opened()))),
        Some(ended) => {
            let took = ended.duration_since(view.opened()).unwrap_or_default();
            format!("took {}, ended {} ago", ago(took), ago(view.since(ended)))
        }
    });
    if let Some(step) = view.step() {
        about.push(format!("step {} of {}", step + 1, plan.steps.len()));
    }
    if let Some(since) = view.in_step_since() {
        about.push(format!("for {}", ago(view.since(since))));
    }
    let mut lines = paper.beside(&title, Style::new().bold(), word, style);
    lines.extend(
        paper.wrapped(&about.join(" · "), 0).into_iter().map(|line| paper.paint(&line, Style::new().dim())),
    );
    lines
}

/// How it stands, in a word or two.
fn badge(view: &View<'_>) -> (&'static str, Style) {
    let style = Style::new().bold();
    match view.rollout.state() {
        State::Compared { .. } => ("COMPARED", style.green()),
        State::Promoted => ("PROMOTED", style.green()),
        State::RolledBack { .. } => ("ROLLED BACK", style.red()),
        State::Seized { .. } => ("SEIZED", style.red()),
        State::Stuck { .. } => ("STUCK", style.red()),
        State::Unsettled { .. } => ("UNSETTLED", style.red()),
        State::Gate { .. } => ("AT A GATE", style.yellow()),
        _ if !view.rollout.pauses().is_empty() => ("PAUSED", style.yellow()),
        state if !state.is_before_promotion() && view.bakes() => ("BAKING", style.cyan()),
        _ => ("UNDER WAY", style.cyan()),
    }
}

/// The share of each side.
fn bars(view: &View<'_>, paper: Paper) -> Vec<String> {
    let (traffic, moving) = view.traffic();
    let plan = view.plan();
    // Once the candidate was promoted, it is what runs in the stable slot.
    let renewed = !view.rollout.state().is_before_promotion() && view.rollout.promotion_is_recorded();
    let stable = if renewed { &plan.candidate } else { &plan.stable };
    let sides = [
        (Slot::Stable, stable, Style::new().blue()),
        (Slot::Baseline, stable, Style::new().magenta()),
        (Slot::Candidate, &plan.candidate, Style::new().cyan()),
    ];
    let room = paper.width.saturating_sub(2 + 11 + 8 + 2 + 14).clamp(10, 60);
    let unseen = view.stuck().is_some_and(|stuck| stuck.unseen);
    let sign = if unseen {
        "?"
    } else if moving {
        "→"
    } else {
        " "
    };
    sides
        .into_iter()
        .filter(|(slot, ..)| *slot != Slot::Baseline || plan.baseline)
        .filter(|(slot, ..)| *slot != Slot::Candidate || !view.rollout.promotion_is_recorded())
        .map(|(slot, release, style)| {
            let weight = traffic.weight(slot);
            let (full, rest) = bar(weight, room);
            let bar = paper.paint(&full, style) + &paper.paint(&rest, Style::new().dim());
            let copies = match (slot, traffic.mirror()) {
                (Slot::Candidate, share) if share > Weight::NONE => format!("  copies of {share}"),
                _ => String::new(),
            };
            let version = release.model.version().to_string();
            let side =
                format!("  {:<11}{bar} {sign}{:>6}  {version}{copies}", slot.to_string(), weight.to_string());
            console::truncate_str(&side, paper.width, "…").into_owned()
        })
        .collect()
}

/// A bar of `room` columns, to an eighth of one, and what is left of it.
fn bar(weight: Weight, room: usize) -> (String, String) {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths =
        usize::from(weight.as_basis_points()) * room * 8 / usize::from(Weight::FULL.as_basis_points());
    // What is not nothing is seen.
    let eighths = if weight > Weight::NONE { eighths.max(1) } else { 0 };
    let full = "█".repeat(eighths / 8) + PARTS[eighths % 8];
    let used = eighths.div_ceil(8);
    (full, "·".repeat(room - used))
}

fn steps(view: &View<'_>, paper: Paper) -> Vec<String> {
    let plan = view.plan();
    let state = view.rollout.state();
    let stuck = view.stuck();
    let (done, here) = match (&stuck, view.step()) {
        (Some(stuck), _) if promotes(&stuck.state) => (plan.steps.len(), None),
        (Some(stuck), _) => (stuck.step.unwrap_or(0), stuck.step),
        (None, Some(step)) => (step, Some(step)),
        (None, None) if matches!(state, State::Preflight | State::Provision { .. } | State::Warm { .. }) => {
            (0, None)
        }
        // Those that return were somewhere on the way.
        (None, None) if returns(state) => (0, None),
        (None, None) => (plan.steps.len(), None),
    };
    // What is ahead of one that is stuck does not come.
    let (current, ahead) = if stuck.is_some() { ("✗", "–") } else { ("●", "○") };
    let mark = |n: usize| match () {
        () if n < done => "✓",
        () if Some(n) == here => current,
        () => ahead,
    };
    let mut stations: Vec<String> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(n, step)| {
            let share = if step.mirror > Weight::NONE {
                format!("copies {}", step.mirror)
            } else {
                step.weight.to_string()
            };
            let gates: String =
                step.gates.iter().map(|gate| format!(" + {}", plain(&gate.to_string()))).collect();
            format!("{} {share}{gates}", mark(n))
        })
        .collect();
    if !plan.bake_criteria.is_empty() && plan.timing.bake > Duration::ZERO {
        let mark = match state {
            State::Promoted => "✓",
            State::Bake { .. } | State::Settle { .. } => "●",
            _ => ahead,
        };
        stations.push(format!("{mark} bake"));
    }
    let mut lines = paper.listed("steps", &stations.join("   "), Style::new());
    lines.extend(paper.listed("now", &now(view), Style::new()));
    lines
}

fn returns(state: &State) -> bool {
    matches!(
        state,
        State::Retreat { .. }
            | State::Restore { .. }
            | State::Verify { .. }
            | State::Ebb { .. }
            | State::Withdraw { .. }
            | State::RolledBack { .. }
            | State::Seized { .. }
            | State::Stuck { .. }
    )
}

/// Whether the steps are behind it, and it does not return.
fn promotes(state: &State) -> bool {
    !state.is_before_promotion() && !returns(state)
}

/// Where it got stuck, and that nothing follows from there.
fn stuck_at(view: &View<'_>, during: &str) -> String {
    let steps = view.plan().steps.len();
    let place = match view.stuck() {
        Some(stuck) if promotes(&stuck.state) => format!("after step {steps} of {steps}"),
        Some(Stuck { step: Some(step), .. }) => format!("at step {} of {steps}", step + 1),
        _ => "before the first step".to_owned(),
    };
    format!("stuck {place}, while {}; the rest does not happen by itself", plain(during))
}

/// What it is doing, and what it takes to go on.
fn now(view: &View<'_>) -> String {
    let plan = view.plan();
    let State::Analyse { step, since, .. } = view.rollout.state() else {
        return match view.rollout.state() {
            State::Bake { since, .. } => format!(
                "{}, {} of {}",
                view.rollout.state().doing(),
                ago(view.since(*since)),
                ago(plan.timing.bake)
            ),
            State::Stuck { during, .. } => stuck_at(view, during),
            state => state.doing().to_owned(),
        };
    };
    let Step { soak, min_trials, require, .. } = &plan.steps[*step];
    let mut parts = vec![view.rollout.state().doing().to_owned()];
    let spent = view.since(*since);
    if *soak > Duration::ZERO {
        parts.push(format!("soaked {} of {}", ago(spent.min(*soak)), ago(*soak)));
    }
    if *min_trials > 0 {
        parts.push(format!("needs {min_trials} requests"));
    }
    parts.push(match require {
        Require::Pass => "the evidence must be for it".to_owned(),
        _ => "nothing may speak against it".to_owned(),
    });
    let horizon = plan.timing.horizon.max(*soak);
    parts.push(format!("undecided for {} at most", ago(horizon)));
    parts.join(" · ")
}

fn criteria(view: &View<'_>, paper: Paper) -> Vec<String> {
    let plan = view.plan();
    let criteria = if view.bakes() { &plan.bake_criteria } else { &plan.criteria };
    if criteria.is_empty() {
        return Vec::new();
    }
    let width = widest(criteria);
    let judgements = view.rollout.judgements();
    let judged = criteria.iter().zip(&judgements);
    let lines = judged.flat_map(|(of, judgement)| criterion(of, judgement, width, paper));
    [String::new()].into_iter().chain(lines).collect()
}

/// The last things that happened, the newest last; windows in a row are one.
fn events(view: &View<'_>, paper: Paper, most: usize) -> Vec<String> {
    let observes = |entry: &Entry| matches!(entry.record, Record::Happen(Event::Observed { .. }));
    let runs: Vec<&[Entry]> = view.entries.chunk_by(|a, b| observes(a) && observes(b)).collect();
    let shown = &runs[runs.len().saturating_sub(most)..];
    let line = |run: &&[Entry]| {
        let last = run.last()?;
        let what = match run.len() {
            1 => plain(&report::sentence(&last.record)),
            windows => format!("{windows} windows observed"),
        };
        Some(event(view.since(last.at), &what, paper))
    };
    if shown.is_empty() {
        return Vec::new();
    }
    [String::new()].into_iter().chain(shown.iter().filter_map(line)).collect()
}

fn outcome(view: &View<'_>, paper: Paper) -> Vec<String> {
    if !view.rollout.state().is_end() {
        return Vec::new();
    }
    let (_, style) = badge(view);
    let lines = paper.wrapped(&end::sentence(view.rollout), 0);
    [String::new()].into_iter().chain(lines.iter().map(|line| paper.paint(line, style.clone()))).collect()
}
