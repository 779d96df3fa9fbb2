//! What a rollout waits for, in sentences.

use std::time::{Duration, SystemTime};

use tidegate::canary::{Duty, Gate, Pause, Rollout, State, metrics::plot::calendar};

/// A driver that is so late is not running, or cannot reach the registry.
const LATE: Duration = Duration::from_secs(60);

/// Where the rollout is and what makes it go on; what a person has to do, if anything.
pub(crate) fn sentences(rollout: &Rollout, now: SystemTime) -> Vec<String> {
    let (state, plan, duty) = (rollout.state(), rollout.plan(), rollout.duty());
    if let State::Stuck { during, why, remedy } = state {
        return vec![format!("It got stuck while {during}: {why}."), format!("It needs a person: {remedy}.")];
    }
    let mut place = format!("It is {}", state.doing());
    if let State::Shift { step, .. } | State::Analyse { step, .. } | State::Gate { step, .. } = state {
        let weights = &plan.steps[*step];
        place += &match weights.mirror.is_none() {
            true => format!(" at {} of the traffic", weights.weight),
            false => format!(" on copies of {} of the traffic", weights.mirror),
        };
        place += &format!(", step {} of {}", step + 1, plan.steps.len());
    }
    let mut sentences = vec![place + &pace(&duty) + "."];
    for (_, gate) in rollout.closed_gates() {
        sentences.push(match gate {
            Gate::Approval => format!("It waits until somebody approves {}.", plan.candidate.model),
            Gate::Check(name) => format!("It waits for the check {name} to let it through."),
            gate => format!("It waits for the {gate}."),
        });
    }
    let pauses = rollout.pauses();
    if !pauses.is_empty() {
        let why = pauses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        sentences.push(format!("It does not go on, since {why}."));
    }
    if pauses.iter().any(|pause| pause.is_for_a_person()) {
        sentences.push("It goes on when somebody resumes it.".to_owned());
    }
    if pauses.contains(&Pause::Frozen) {
        sentences.push("The freeze ends by itself, or when somebody overrides it.".to_owned());
    }
    if let Some(due) = due(&duty)
        && due + LATE < now
    {
        let due = calendar::clock(due);
        sentences
            .push(format!("Its next record was due at {due}. Does its driver run, and reach the registry?"));
    }
    sentences
}

/// When it goes on, or gives up.
fn pace(duty: &Duty) -> String {
    match duty {
        Duty::Observe { due, .. } => format!("; the next look is at {}", calendar::clock(*due)),
        Duty::Wait { until } => format!(", until {}", calendar::clock(*until)),
        Duty::Ensure { until, .. }
        | Duty::Promote { until }
        | Duty::Remove { until, .. }
        | Duty::Route { until, .. }
        | Duty::Settle { until, .. } => format!(", and gives up at {}", calendar::clock(*until)),
        _ => String::new(),
    }
}

/// When a record must have been written.
fn due(duty: &Duty) -> Option<SystemTime> {
    match duty {
        Duty::Observe { due, .. } => Some(*due),
        Duty::Wait { until }
        | Duty::Ensure { until, .. }
        | Duty::Promote { until }
        | Duty::Remove { until, .. }
        | Duty::Route { until, .. }
        | Duty::Settle { until, .. } => Some(*until),
        _ => None,
    }
}
