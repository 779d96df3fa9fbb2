//! Events in words.

use tidegate_canary::metrics::{
    Criterion, Effect, Evidence, Measure, Measurement, Tally, Window, judge,
    plot::words::{self, clip, count},
};

use super::moment::Tone;
use crate::{Event, State, Vigil, VigilEvent, VigilRequest, Way};

/// What an event of a watch is, as the rest of a sentence that begins with who did it, where that is not the watch.
pub(super) fn of_watch(event: &VigilEvent, watch: &Vigil) -> (Option<String>, Tone, String) {
    let release = &watch.watch().release.model;
    let (tone, what) = match event {
        VigilEvent::Ask(request) => return asked(request),
        VigilEvent::Alarmed { why, .. } => (Tone::Bad, format!("is alarmed: {}", why.join("; "))),
        VigilEvent::Begun { id, order, .. } => {
            (Tone::Plain, format!("goes back to {} by rollback {id}", order.to.model))
        }
        VigilEvent::Blinded { why } => (Tone::Bad, format!("is blind: {why}")),
        VigilEvent::Expired { .. } | VigilEvent::Moved { .. } => (Tone::Plain, watch.state().to_string()),
        VigilEvent::Held { why, .. } => (Tone::Bad, format!("does not go back without a person: {why}")),
        VigilEvent::Returned { done, end, .. } => {
            (if *done { Tone::Good } else { Tone::Bad }, format!("is over; the rollback is {end}"))
        }
        VigilEvent::Sighted => (Tone::Good, format!("sees {release} again, and nothing wrong")),
    };
    (None, tone, what)
}

fn asked(request: &VigilRequest) -> (Option<String>, Tone, String) {
    let (tone, what) = match request {
        VigilRequest::Alarm { reason, .. } => (Tone::Bad, format!("says that something is wrong: {reason}")),
        VigilRequest::Hold { reason, .. } => {
            (Tone::Person, format!("wants nothing to be done without a person: {reason}"))
        }
        VigilRequest::Resume { .. } => (Tone::Person, "lets the watch act by itself again".to_owned()),
        VigilRequest::RollBack { reason, .. } => (Tone::Person, format!("wants to go back: {reason}")),
        VigilRequest::Stop { reason, .. } => (Tone::Person, format!("stops the watch: {reason}")),
    };
    (Some(request.by().to_owned()), tone, what)
}

/// What an event of a rollback is, as the rest of a sentence that begins with the rollback. `before` is where it was.
pub(super) fn of_rollback(event: &Event, before: &State, undo: &crate::Undo) -> (Tone, String) {
    let order = undo.order();
    let (from, to) = (&order.from.model, &order.to.model);
    match (event, before) {
        (Event::Aborted { by, reason }, _) => (Tone::Plain, format!("was called off by {by}: {reason}")),
        (Event::Condemned, _) => {
            (Tone::Plain, format!("put the content of {from} into quarantine, until a person lifts that"))
        }
        (Event::Displaced { why, .. }, _) => {
            (Tone::Bad, format!("saw that something else has replaced {to}: {why}"))
        }
        (Event::Elapsed, _) => (Tone::Plain, "let requests in flight end".to_owned()),
        (Event::Failed { why } | Event::Unreached { why, .. }, _) => {
            (Tone::Bad, format!("could not go on while {}: {why}", before.doing()))
        }
        (Event::Moved { why }, _) => (Tone::Person, format!("stepped back: {why}")),
        (Event::Observed { .. }, _) => match undo.state() {
            State::Done { .. } => (Tone::Good, format!("is {}", undo.state())),
            State::Stuck { during, why, .. } if *during == before.doing() => {
                (Tone::Bad, format!("saw that {to} is not well either: {why}"))
            }
            State::Stuck { .. } => (Tone::Bad, format!("is {}", undo.state())),
            _ => (Tone::Plain, format!("looked at {to} in service")),
        },
        (Event::Omitted { why }, _) => {
            let what = format!("could not finish {}: {why}; it went on with the rest", before.doing());
            (Tone::Bad, what)
        }
        (Event::Ready, State::Stage) => (Tone::Plain, format!("made {to} run in the candidate's slot")),
        (Event::Ready, _) => (Tone::Plain, format!("made {to} run in the stable slot")),
        (Event::Recorded { seq }, _) => {
            let channel = &order.channel;
            (Tone::Plain, format!("recorded that {channel} is {to}, by record {seq} of its model"))
        }
        (Event::Removed, _) => match undo.state() {
            State::Done { .. } => {
                (Tone::Good, format!("emptied the candidate's slot, and is {}", undo.state()))
            }
            State::Stuck { .. } => {
                (Tone::Bad, format!("emptied the candidate's slot, and is {}", undo.state()))
            }
            _ => (Tone::Plain, "emptied the candidate's slot".to_owned()),
        },
        (Event::Routed, State::Clear) => {
            (Tone::Plain, "sent all traffic to the stable slot, to free the candidate's".to_owned())
        }
        (Event::Routed, State::Shift) => {
            (Tone::Good, format!("sent all traffic to {to}, in the candidate's slot for now"))
        }
        (Event::Routed, _) => (Tone::Good, format!("sent all traffic to {to}, in the stable slot")),
        (Event::Took(took), _) => {
            let traffic =
                took.traffic.as_ref().map(|traffic| format!(", with {traffic}")).unwrap_or_default();
            (
                Tone::Plain,
                format!("took the route from rollout {}, which was under way{traffic}", took.rollout),
            )
        }
        (Event::Verified { way }, _) => {
            let way = match way {
                Way::Busy => "the candidate's slot has traffic and has to be freed first",
                Way::Free => "the candidate's slot is free, so that it can be staged there",
                Way::InPlace => "it replaces what runs there step by step, under traffic",
                Way::Occupied => "the stable slot is down, so that it has to be made to run there",
                Way::Staged => "it runs in the candidate's slot and has traffic there already",
                Way::There => "it runs in the stable slot already",
            };
            (Tone::Plain, format!("found {to} in the registry; {way}"))
        }
    }
}

/// What was seen in one window, in the terms of the criterion.
pub(super) fn measured(criterion: &Criterion, window: Window, seen: &Measurement) -> String {
    if let Measurement::Missing(missing) = seen {
        return clip(missing, 100);
    }
    let mut evidence = Evidence::default();
    // It is the only one, so that it is not there already.
    let _new = evidence.add(window, seen.clone(), None);
    let judgement = judge(criterion, &evidence);
    let Tally { hits, trials } = judgement.candidate;
    match judgement.effect {
        Some(Effect { measure: Measure::Mean, estimate: Some(mean), .. }) => {
            format!("mean {} of {}", words::number(mean), count(trials))
        }
        _ if trials == 0 => "nothing".to_owned(),
        _ => {
            let share = words::percent(hits as f64 / trials as f64);
            format!("{} of {} ({share})", count(hits), count(trials))
        }
    }
}
