//! The plan as tables.

use maud::{Markup, html};

use super::words;
use crate::{AtHorizon, Exception, Finish, Key, OnDrift, Plan, Require, Step};

pub(super) fn table(plan: &Plan) -> Markup {
    let timing = &plan.timing;
    let durations = [
        ("window", timing.window),
        ("lag", timing.lag),
        ("warm-up", timing.warm_up),
        ("patience", timing.patience),
        ("drain", timing.drain),
        ("bake", timing.bake),
        ("verify", timing.verify),
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
                @if plan.baseline { div { dt { "baseline" } dd { "of the candidate's size" } } }
                @if plan.on_drift != OnDrift::default() { div { dt { "at drift" } dd { (on_drift(plan.on_drift)) } } }
                @if plan.finish == Finish::Compare { div { dt { "at the end" } dd { "a comparison" } } }
                @for freeze in &plan.freeze { div.long { dt { "freeze" } dd { bdi { (freeze) } } } }
                @if let Some(reason) = &plan.unproven { div.long { dt { "unproven" } dd { bdi { (reason) } } } }
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
            td {
                @if step.mirror.is_none() { b { (step.weight) } } @else { b { (step.mirror) } " copied" }
            }
            td { (words::duration(step.soak)) }
            td { (words::count(step.min_trials)) }
            td {
                @match step.require {
                    Require::NoFailure => "no failure",
                    Require::Pass => "a pass",
                }
                @for gate in &step.gates { ", " bdi { (gate) } }
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

const fn on_drift(on_drift: OnDrift) -> &'static str {
    match on_drift {
        OnDrift::Abort => "return to stable",
        OnDrift::Pause => "wait for a person",
        OnDrift::Reassert => "put it right",
    }
}

fn place(key: &Key) -> Markup {
    let (kind, name) = match key {
        Key::Cookie(name) => ("cookie", name),
        Key::Header(name) => ("header", name),
    };
    html! { (kind) " " code { bdi { (name) } } }
}
