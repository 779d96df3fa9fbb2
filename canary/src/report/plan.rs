//! The plan as tables.

use maud::{Markup, html};

use super::words;
use crate::{AtHorizon, Exception, Key, Plan, Require, Step};

pub(super) fn table(plan: &Plan) -> Markup {
    let timing = &plan.timing;
    let durations = [
        ("window", timing.window),
        ("lag", timing.lag),
        ("warm-up", timing.warm_up),
        ("patience", timing.patience),
        ("drain", timing.drain),
        ("bake", timing.bake),
        ("horizon", timing.horizon),
    ];
    html! {
        div.plan {
            table.ladder {
                thead { tr { th { "Step" } th { "Traffic" } th { "At least" } th { "Requests" } th { "Takes" } } }
                tbody { @for (n, step) in (1..).zip(&plan.steps) { (row(n, step)) } }
            }
            dl.facts {
                @for (name, duration) in durations { div { dt { (name) } dd { (words::duration(duration)) } } }
                div { dt { "at the horizon" } dd { (at_horizon(plan.at_horizon)) } }
                @if let Some(key) = &plan.sticky { div { dt { "users by" } dd { (place(key)) } } }
                div { dt { "stable" } dd { code title=(plan.stable.digest) { (plan.stable.digest.hex()[..12]) } } }
                div { dt { "candidate" } dd { code title=(plan.candidate.digest) { (plan.candidate.digest.hex()[..12]) } } }
            }
            @if !plan.exceptions.is_empty() {
                ul.exceptions {
                    @for Exception { key, value, to } in &plan.exceptions {
                        li { (place(key)) " = " code { bdi { (value) } } " → " (to) }
                    }
                }
            }
        }
    }
}

fn row(n: u32, step: &Step) -> Markup {
    html! {
        tr {
            td { (n) }
            td { b { (step.weight) } }
            td { (words::duration(step.soak)) }
            td { (words::count(step.min_trials)) }
            td {
                @match step.require {
                    Require::NoFailure => "no failure",
                    Require::Pass => "a pass",
                }
                @if step.gate { ", approval" }
            }
        }
    }
}

const fn at_horizon(at_horizon: AtHorizon) -> &'static str {
    match at_horizon {
        AtHorizon::Hold => "wait for a person",
        AtHorizon::Promote => "go on",
        AtHorizon::Rollback => "return to stable",
    }
}

fn place(key: &Key) -> Markup {
    let (kind, name) = match key {
        Key::Cookie(name) => ("cookie", name),
        Key::Header(name) => ("header", name),
    };
    html! { (kind) " " code { bdi { (name) } } }
}
