//! The transitions: one match on where it is and what happened.

use std::time::{Duration, SystemTime};

use super::{Cause, Event, IllegalEvent, Pause, Request, Rollout, Sample, State};
use crate::{
    Weight,
    plan::{AtHorizon, Require},
};
use tidegate_metrics::{Criterion, Evidence, Verdict, Window};

/// The start of the year 9000. Up to here every time that a plan can lead to has a window of its own.
const LAST: Duration = Duration::from_secs(221_845_392_000);

impl Rollout {
    /// Changes nothing before it is sure that the event is possible.
    pub(super) fn happen(&mut self, event: &Event, at: SystemTime) -> Result<(), IllegalEvent> {
        if at > SystemTime::UNIX_EPOCH + LAST {
            return Err(illegal(
                event,
                &self.state,
                "its time lies after the year 9000; set the clock right",
            ));
        }
        let since = at;
        self.state = match (&self.state, event) {
            // What was owed was done.
            (State::Preflight, Event::Checked) => State::Provision { since },
            (State::Provision { .. }, Event::Ready) => State::Warm { since },
            (State::Warm { .. }, Event::Elapsed) if self.pauses.is_empty() => State::Shift { step: 0, since },
            (&State::Shift { step, .. }, Event::Routed) => {
                State::Analyse { step, since, from: self.window_after(at), trials: self.trials() }
            }
            (&State::Analyse { step, .. }, Event::Elapsed)
                if self.weight(step) == Weight::NONE && self.pauses.is_empty() =>
            {
                self.after_step(step, at)
            }
            (&State::Analyse { step, .. }, Event::Observed { window, samples })
                if self.weight(step) > Weight::NONE && samples.len() == self.evidence.len() =>
            {
                self.analyse(*window, samples, at)
            }
            (&State::Gate { step, from }, Event::Observed { window, samples })
                if self.weight(step) > Weight::NONE && samples.len() == self.evidence.len() =>
            {
                collect(&mut self.evidence, &self.plan.criteria, *window, samples);
                match self.verdict() {
                    Verdict::Fail => State::Retreat { since, cause: self.failed() },
                    _ => State::Gate { step, from: from.max(window.end()) },
                }
            }
            // Windows that were open while the route was not as it should say nothing.
            (&State::Analyse { step, since, trials, .. }, Event::Drifted { .. }) => {
                State::Analyse { step, since, from: self.window_after(at), trials }
            }
            (&State::Gate { step, .. }, Event::Drifted { .. }) => {
                State::Gate { step, from: self.window_after(at) }
            }
            (&State::Bake { since, promoted, .. }, Event::Drifted { .. }) => {
                State::Bake { since, from: self.window_after(at), promoted }
            }
            (State::Renew { .. }, Event::Ready) => State::Return { since },
            (State::Return { .. }, Event::Routed) => State::Record { since },
            (State::Record { .. }, &Event::Recorded { seq }) => {
                self.promoted = true;
                State::Drain { since, promoted: seq }
            }
            (&State::Drain { promoted, .. }, Event::Elapsed) => State::Retire { since, promoted },
            (&State::Retire { promoted, .. }, Event::Removed) if !self.plan.bakes() => {
                State::Settle { since, promoted }
            }
            (&State::Retire { promoted, .. }, Event::Removed) => {
                State::Bake { since, from: self.window_after(at), promoted }
            }
            (State::Bake { .. }, Event::Observed { window, samples })
                if samples.len() == self.bake_evidence.len() =>
            {
                self.bake(*window, samples, at)
            }
            (State::Settle { .. }, Event::Settled) => State::Promoted,
            (State::Retreat { cause, .. }, Event::Routed) => State::Ebb { since, cause: cause.clone() },
            (State::Ebb { cause, .. }, Event::Elapsed) => State::Withdraw { since, cause: cause.clone() },
            (State::Withdraw { cause, .. }, Event::Removed) => State::RolledBack { cause: cause.clone() },

            // What was owed could not be done.
            (state, Event::Failed { why }) => match self.after_failure(why, at) {
                Some(next) => next,
                None => return Err(illegal(event, state, "nothing is owed that could fail")),
            },

            // What was asked.
            (State::Gate { .. }, Event::Ask(Request::Approve { .. })) if !self.pauses.is_empty() => {
                return Err(illegal(event, &self.state, "it is held; resume it first"));
            }
            (&State::Gate { step, .. }, Event::Ask(Request::Approve { .. })) => self.beyond(step, at),
            (State::Gate { .. }, Event::Ask(Request::Reject { by, reason })) => {
                State::Retreat { since, cause: Cause::Rejected { by: by.clone(), reason: reason.clone() } }
            }
            (state, Event::Ask(Request::Hold { .. })) if before_promotion(state) => {
                self.pauses.insert(Pause::Held);
                return Ok(());
            }
            (state, Event::Ask(Request::Resume { .. }))
                if before_promotion(state) && !self.pauses.is_empty() =>
            {
                self.pauses.clear();
                match *state {
                    // Whoever resumes an undecided step gives it its whole time again.
                    State::Analyse { step, from, trials, .. } => State::Analyse { step, since, from, trials },
                    _ => return Ok(()),
                }
            }
            (state, Event::Ask(Request::Abort { by, reason })) if before_promotion(state) => {
                let cause = Cause::Requested { by: by.clone(), reason: reason.clone() };
                match state {
                    State::Preflight => State::RolledBack { cause },
                    State::Provision { .. } | State::Warm { .. } => State::Withdraw { since, cause },
                    _ => State::Retreat { since, cause },
                }
            }
            (state, Event::Seize { .. }) if state.is_end() => return Ok(()),
            (_, Event::Seize { by }) => State::Seized { by: by.clone() },

            (state, event) => return Err(illegal(event, state, remedy(state, event))),
        };
        Ok(())
    }

    fn analyse(&mut self, window: Window, samples: &[Sample], at: SystemTime) -> State {
        let State::Analyse { step, since, from, trials } = self.state else {
            unreachable!("only called while analysing");
        };
        collect(&mut self.evidence, &self.plan.criteria, window, samples);
        let verdict = self.verdict();
        if verdict == Verdict::Fail {
            return State::Retreat { since: at, cause: self.failed() };
        }
        let here = State::Analyse { step, since, from: from.max(window.end()), trials };
        if !self.pauses.is_empty() {
            return here;
        }
        let wanted = &self.plan.steps[step];
        let proven = wanted.require == Require::NoFailure || verdict == Verdict::Pass;
        // By the window's end and not by the clock: a driver that was away has not been watching.
        let now = window.end();
        // At least one request, whatever the plan says: without evidence no step ends well.
        let seen = self.trials() >= trials.saturating_add(wanted.min_trials.max(1));
        if now >= since + wanted.soak && seen && proven {
            return self.after_step(step, at);
        }
        if now < since + self.plan.timing.horizon {
            return here;
        }
        match self.plan.at_horizon {
            AtHorizon::Hold => {
                self.pauses.insert(Pause::Undecided);
                here
            }
            AtHorizon::Promote => self.after_step(step, at),
            AtHorizon::Rollback => State::Retreat { since: at, cause: Cause::Undecided },
        }
    }

    fn bake(&mut self, window: Window, samples: &[Sample], at: SystemTime) -> State {
        let State::Bake { since, from, promoted } = self.state else {
            unreachable!("only called while baking");
        };
        collect(&mut self.bake_evidence, &self.plan.bake_criteria, window, samples);
        match self.verdict() {
            Verdict::Fail => State::Unsettled { cause: self.failed() },
            Verdict::Pass if window.end() >= since + self.plan.timing.bake => {
                State::Settle { since: at, promoted }
            }
            Verdict::Inconclusive
                if window.end() >= since + self.plan.timing.bake + self.plan.timing.horizon =>
            {
                State::Unsettled { cause: Cause::Undecided }
            }
            _ => State::Bake { since, from: from.max(window.end()), promoted },
        }
    }

    /// A step went well.
    fn after_step(&self, step: usize, at: SystemTime) -> State {
        if self.plan.steps[step].gate {
            State::Gate { step, from: self.window_after(at) }
        } else {
            self.beyond(step, at)
        }
    }

    /// A step went well and nothing stands before the next.
    fn beyond(&self, step: usize, at: SystemTime) -> State {
        if step + 1 < self.plan.steps.len() {
            State::Shift { step: step + 1, since: at }
        } else {
            State::Renew { since: at }
        }
    }

    fn after_failure(&self, why: &str, at: SystemTime) -> Option<State> {
        let since = at;
        let cause = Cause::Broken { why: why.to_owned() };
        let stuck = |remedy| State::Stuck { during: self.state.doing(), why: why.to_owned(), remedy };
        Some(match self.state {
            State::Preflight => State::RolledBack { cause },
            State::Provision { .. } => State::Withdraw { since, cause },
            State::Shift { .. } => State::Retreat { since, cause },
            State::Renew { .. } => stuck(
                "the candidate's slot carries all traffic and keeps it; mend the stable slot, or roll back to the version before",
            ),
            State::Return { .. } => {
                stuck("both slots run the new version; mend the router, then send all traffic to stable")
            }
            State::Record { .. } => stuck(
                "all traffic is on the new version but the channel does not say so; look at the channel's history, then promote by hand",
            ),
            State::Retire { .. } => stuck("all traffic is on stable; remove the candidate's slot by hand"),
            State::Settle { .. } => State::Unsettled { cause },
            State::Retreat { .. } => {
                stuck("the candidate may still have traffic; send all of it to a side that is ready, by hand")
            }
            State::Withdraw { .. } => stuck("all traffic is on stable; remove the candidate's slot by hand"),
            _ => return None,
        })
    }

    fn failed(&self) -> Cause {
        let judgements = self.judgements();
        let failed = judgements.iter().filter(|judgement| judgement.verdict == Verdict::Fail);
        Cause::Failed { judgements: failed.map(ToString::to_string).collect() }
    }

    fn weight(&self, step: usize) -> Weight {
        self.plan.steps[step].weight
    }

    fn window_after(&self, at: SystemTime) -> SystemTime {
        Window::first_after(at, self.plan.timing.window).expect("a plan's window has a length").start()
    }
}

fn collect(evidence: &mut [Evidence], criteria: &[Criterion], window: Window, samples: &[Sample]) {
    for ((evidence, criterion), sample) in evidence.iter_mut().zip(criteria).zip(samples) {
        // Once the candidate has all traffic there is nothing to compare it with, and what was known stays.
        if sample.baseline.is_some() || !criterion.needs_baseline() {
            // A window that is there already was journaled twice and counts once.
            evidence.add(window, sample.candidate.clone(), sample.baseline.clone());
        }
    }
}

const fn before_promotion(state: &State) -> bool {
    matches!(
        state,
        State::Preflight
            | State::Provision { .. }
            | State::Warm { .. }
            | State::Shift { .. }
            | State::Analyse { .. }
            | State::Gate { .. }
    )
}

const fn remedy(state: &State, event: &Event) -> &'static str {
    match event {
        _ if state.is_end() => "it is over; open a new one",
        Event::Ask(Request::Abort { .. }) => {
            "its promotion has begun, or it is returning already; use a rollback to go back from a promoted version"
        }
        Event::Ask(Request::Approve { .. }) | Event::Ask(Request::Reject { .. }) => {
            "there is no gate to open here; wait until it asks for approval"
        }
        Event::Ask(Request::Hold { .. }) => "nothing is left that could be held",
        Event::Ask(Request::Resume { .. }) => "it is not paused",
        _ => "that is not what is owed",
    }
}

fn illegal(event: &Event, state: &State, remedy: &'static str) -> IllegalEvent {
    IllegalEvent { event: event.name(), state: state.to_string(), remedy }
}
