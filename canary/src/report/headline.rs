//! What was rolled out, how it ended and why.

use maud::{Markup, html};
use tidegate_metrics::{Evidence, plot::calendar};

use super::{story::Story, words};
use crate::{Cause, Pause, Rollout, State};

pub(super) fn headline(story: &Story<'_>) -> Markup {
    let plan = story.plan;
    let (start, end) = (story.start(), story.end());
    let trials = story.rollout.evidence().iter().map(Evidence::trials).max().unwrap_or(0);
    let over = story.rollout.state().is_end();
    html! {
        header {
            p.muted { bdi { (plan.candidate.model.name()) } " on " bdi { (plan.route) } }
            h2 { (versions(story)) " " (badge(&story.rollout)) }
            (outcome(story))
            dl.facts {
                div { dt { "Rollout" } dd { bdi { (story.id) } } }
                div { dt { "Channel" } dd { bdi { (plan.channel) } } }
                div { dt { "Opened" } dd { (calendar::time(start)) } }
                div {
                    dt { @if over { "Took" } @else { "So far" } }
                    dd { (words::duration(end.duration_since(start).unwrap_or_default())) }
                }
                div { dt { "Judged on" } dd { (words::count(trials)) " requests" } }
            }
        }
    }
}

/// `1.4.0 → 1.5.0`.
pub(super) fn versions(story: &Story<'_>) -> Markup {
    html! {
        bdi.versions { (story.plan.stable.model.version()) " → " b { (story.plan.candidate.model.version()) } }
    }
}

/// How it ended, or that it has not, in a word.
pub(super) fn badge(rollout: &Rollout) -> Markup {
    let pauses = rollout.pauses();
    let (class, word) = match rollout.state() {
        State::Compared { .. } => ("pass", "compared"),
        State::Promoted => ("pass", "promoted"),
        State::RolledBack { .. } => ("fail", "rolled back"),
        State::Seized { .. } => ("seized", "seized"),
        State::Stuck { .. } => ("fail", "stuck"),
        State::Unsettled { .. } => ("fail", "unsettled"),
        _ if !pauses.is_empty() && pauses.iter().all(|pause| *pause == Pause::Frozen) => {
            ("waiting", "frozen")
        }
        _ if !pauses.is_empty() => ("waiting", "paused"),
        State::Gate { .. } => ("waiting", "at a gate"),
        State::Restore { cause, .. }
        | State::Retreat { cause, .. }
        | State::Verify { cause, .. }
        | State::Ebb { cause, .. }
        | State::Withdraw { cause, .. }
            if !matches!(cause, Cause::Compared { .. }) =>
        {
            ("fail", "returning")
        }
        _ => ("running", "under way"),
    };
    html! { span.badge.(class) { (word) } }
}

fn outcome(story: &Story<'_>) -> Markup {
    html! {
        @match story.rollout.state() {
            State::Compared { verdict, judgements } => {
                p { "Both sides were compared: " b { (verdict) } ". All traffic is on stable, and the candidate is gone." }
                ul.why.(verdict) { @for judgement in judgements { li { bdi { (judgement) } } } }
            }
            State::Promoted => p { "The new version was promoted, baked and settled." },
            State::RolledBack { cause } => {
                p { "It was rolled back: all traffic is on stable, and the candidate is gone." }
                (why(cause))
            }
            State::Unsettled { cause } => {
                p { "The new version was promoted, but failed its bake. It is no last known good; roll it back." }
                (why(cause))
            }
            State::Seized { by } => p { "The route was taken by " b { bdi { (by) } } "; how it went on is theirs to say." },
            State::Stuck { during, why, remedy } => {
                p { "It got stuck while " (during) ", and needs a person: " b { (remedy) } "." }
                ul.why { li { bdi { (why) } } }
            }
            state => {
                p { "The rollout is " (state.doing()) "." }
                @for (_, gate) in story.rollout.closed_gates() {
                    p { "It waits for " bdi { (gate) } "." }
                }
                @for pause in story.rollout.pauses() {
                    p { "It does not go on, since " (pause) "." }
                }
            }
        }
    }
}

fn why(cause: &Cause) -> Markup {
    html! {
        ul.why {
            @match cause {
                Cause::Failed { judgements } => @for judgement in judgements { li { bdi { (judgement) } } },
                cause => li { bdi { (cause) } },
            }
        }
    }
}
