//! What is told as an Event of Kubernetes, for `kubectl describe`.

use kube::runtime::events::{Event as Told, EventType};
use tidegate::canary::{Event, Record, Request, Rollout, State};

use crate::status::{weight, word};

/// The API server takes no longer notes.
const LONGEST: usize = 1000;

/// What is told of a record, after which the rollout is as given; nothing of most.
pub(crate) fn of(record: &Record, rollout: &Rollout) -> Option<Told> {
    let Record::Happen(event) = record else { return None };
    let (state, plan) = (rollout.state(), rollout.plan());
    let (type_, reason, note) = match event {
        _ if state.is_end() => {
            let good = matches!(state, State::Promoted | State::Compared { .. });
            (if good { EventType::Normal } else { EventType::Warning }, word(state), state.to_string())
        }
        Event::Ask(request) => (EventType::Normal, "Asked", asked(request)),
        Event::Drifted { why } => (EventType::Warning, "Drifted", why.clone()),
        Event::Failed { why } => (EventType::Warning, "Failed", why.clone()),
        Event::Frozen { why, .. } => (EventType::Normal, "Frozen", why.clone()),
        Event::Opened { by, .. } => (EventType::Normal, "GateOpened", format!("opened by {by}")),
        Event::Ready => (EventType::Normal, "Running", format!("what was to run is ready; now {state}")),
        Event::Recorded { .. } => {
            (EventType::Normal, "Recorded", format!("{} is {} now", plan.candidate, plan.channel))
        }
        Event::Routed => {
            let share = weight(rollout);
            (EventType::Normal, "TrafficMoved", format!("the candidate's slot has {share}; now {state}"))
        }
        Event::Shut { by, reason, .. } => (EventType::Warning, "GateShut", format!("shut by {by}: {reason}")),
        Event::Unready { slot, why } => (EventType::Warning, "Unready", format!("{slot}: {why}")),
        Event::Observed { .. } => match state {
            State::Gate { .. } => (EventType::Normal, "AtGate", format!("now {state}")),
            State::Retreat { .. } => (EventType::Warning, "Judged", state.to_string()),
            _ => return None,
        },
        _ => return None,
    };
    // Events of one reason and action become one, with the note of the first.
    let action = match (event, state) {
        (Event::Ask(request), _) => request.name().to_owned(),
        (_, State::Analyse { step, .. } | State::Gate { step, .. } | State::Shift { step, .. }) => {
            format!("{}{}", word(state), step + 1)
        }
        _ => word(state).to_owned(),
    };
    Some(told(type_, reason, &action, &note))
}

/// An Event, cut to what an API server takes.
pub(crate) fn told(type_: EventType, reason: &str, action: &str, note: &str) -> Told {
    let note = note.char_indices().take_while(|(at, c)| at + c.len_utf8() <= LONGEST).map(|(_, c)| c);
    Told {
        type_,
        reason: reason.to_owned(),
        note: Some(note.collect()),
        action: action.to_owned(),
        secondary: None,
    }
}

fn asked(request: &Request) -> String {
    let why = match request {
        Request::Abort { reason, .. }
        | Request::Override { reason, .. }
        | Request::Promote { reason, .. }
        | Request::Reject { reason, .. }
        | Request::Skip { reason, .. } => format!(": {reason}"),
        Request::Replace { plan, .. } => format!(": {} instead", plan.candidate),
        _ => String::new(),
    };
    format!("{} asked to {}{why}", request.by(), request.name())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;
    use tidegate::{canary::Release, registry::Digest};

    use super::*;
    use crate::plan::plan;

    #[test]
    fn each_step_is_told_for_itself_and_windows_are_not() {
        let release = |model: &str| Release { model: model.parse().unwrap(), digest: Digest::of(model) };
        let said = json!({"strategy": "blue-green"});
        let route = "serving/fraud".parse().unwrap();
        let (stable, candidate) = (release("fraud@1.0.0"), release("fraud@1.1.0"));
        let plan = plan(said.as_object().unwrap(), &route, &stable, &candidate).unwrap();
        let digest = candidate.digest;
        let mut rollout = Rollout::new(plan);
        let mut tell = |event: Event| {
            rollout.apply(&event, SystemTime::UNIX_EPOCH).unwrap();
            of(&Record::Happen(event), &rollout)
                .map(|told| (told.reason, told.action, told.note.unwrap_or_default()))
        };
        assert!(tell(Event::Checked).is_none());
        assert_eq!(tell(Event::Ready).unwrap().0, "Running");
        assert!(tell(Event::Elapsed).is_none());
        let (_, first, note) = tell(Event::Routed).unwrap();
        assert!(note.contains("slot has 0%"), "{note}");
        assert!(tell(Event::Elapsed).is_none());
        let approve = Request::Approve { by: "ada".to_owned(), digest };
        let (reason, action, note) = tell(Event::Ask(approve)).unwrap();
        assert_eq!((reason.as_str(), action.as_str()), ("Asked", "approve"));
        assert_eq!(note, "ada asked to approve");
        let (_, second, note) = tell(Event::Routed).unwrap();
        assert!(note.contains("slot has 100%"), "{note}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        let long = "ü".repeat(LONGEST);
        let told = told(EventType::Normal, "r", "a", &long);
        assert_eq!(told.note.unwrap().len(), LONGEST);
    }
}
