//! The transitions: one match on where it is and what happened.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use super::{Cause, Event, IllegalEvent, Pause, Rollout, State, asked::remedy};
use crate::{Slot, Weight, plan::OnDrift};
use tidegate_metrics::Window;

/// The start of the year 9000. Up to here every time that a plan can lead to has a window of its own.
pub(super) const LAST: Duration = Duration::from_secs(221_845_392_000);

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
        if let Event::Ask(request) = event {
            return self.ask(request, at).map_err(|remedy| illegal(event, &self.state, remedy));
        }
        let since = at;
        self.state = match (&self.state, event) {
            // What was owed was done.
            (State::Preflight, Event::Checked) if self.pauses.is_empty() => State::Provision { since },
            (State::Provision { .. }, Event::Ready) => State::Warm { since },
            (State::Warm { .. }, Event::Elapsed) if self.pauses.is_empty() => State::Shift { step: 0, since },
            (&State::Shift { step, .. }, Event::Routed) => self.begin(step, at),
            (&State::Analyse { step, .. }, Event::Elapsed)
                if !self.plan.observes(step) && self.pauses.is_empty() =>
            {
                self.after_step(step, at)
            }
            (&State::Analyse { step, .. }, Event::Observed { window, samples })
                if self.plan.observes(step) && samples.len() == self.plan.criteria.len() =>
            {
                self.analyse(*window, samples, at)
            }
            (&State::Gate { step, .. }, Event::Observed { window, samples })
                if self.plan.observes(step) && samples.len() == self.plan.criteria.len() =>
            {
                self.stand(*window, samples, at)
            }
            (State::Rush { .. }, Event::Routed) => State::Renew { since },
            (State::Renew { .. }, Event::Ready) => State::Return { since },
            (State::Renew { .. }, Event::Barred { why }) => {
                State::Restore { since, cause: Cause::Broken { why: why.clone() } }
            }
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
                if samples.len() == self.plan.bake_criteria.len() =>
            {
                self.watch_promoted(*window, samples, at)
            }
            (State::Settle { .. }, Event::Settled) => State::Promoted,

            // The way back.
            (State::Restore { cause, .. }, Event::Ready) => State::Retreat { since, cause: cause.clone() },
            (State::Retreat { cause, .. }, Event::Routed) if self.plan.verifies() => {
                State::Verify { since, from: self.window_after(at), cause: cause.clone() }
            }
            (State::Retreat { cause, .. }, Event::Routed) => State::Ebb { since, cause: cause.clone() },
            (State::Verify { .. }, Event::Observed { window, samples })
                if samples.len() == self.plan.bake_criteria.len() =>
            {
                self.watch_stable(*window, samples, at)
            }
            (State::Ebb { cause, .. }, Event::Elapsed) => State::Withdraw { since, cause: cause.clone() },
            (State::Withdraw { cause, .. }, Event::Removed) => match (self.next.take(), cause) {
                (Some(plan), _) => {
                    *self = Self::new(*plan);
                    return Ok(());
                }
                (None, Cause::Compared { verdict, judgements }) => {
                    State::Compared { verdict: *verdict, judgements: judgements.clone() }
                }
                (None, cause) => State::RolledBack { cause: cause.clone() },
            },

            // What was owed could not be done.
            (state, Event::Failed { why }) => match self.after_failure(why, at) {
                Some(next) => next,
                None => return Err(illegal(event, state, "nothing is owed that could fail")),
            },

            // The world is not as it was left. Windows that were open meanwhile say nothing.
            (State::Analyse { .. } | State::Gate { .. }, Event::Drifted { why }) => {
                match self.plan.on_drift {
                    OnDrift::Abort => State::Retreat { since, cause: Cause::Broken { why: why.clone() } },
                    OnDrift::Pause => {
                        self.pauses.insert(Pause::Drifted);
                        self.in_new_window(at)
                    }
                    OnDrift::Reassert => self.unseen(why, at),
                }
            }
            (
                State::Analyse { .. } | State::Gate { .. } | State::Bake { .. } | State::Verify { .. },
                Event::Drifted { why } | Event::Unseen { why },
            ) => self.unseen(why, at),
            (
                State::Analyse { .. } | State::Gate { .. },
                Event::Unready { slot: Slot::Baseline | Slot::Candidate, why },
            ) => State::Retreat { since, cause: Cause::Broken { why: why.clone() } },
            (State::Analyse { .. } | State::Gate { .. }, Event::Unready { .. }) => {
                self.pauses.insert(Pause::StableUnready);
                self.in_new_window(at)
            }
            (_, Event::Recovered) if self.pauses.remove(&Pause::StableUnready) => {
                self.state = self.in_new_window(at);
                self.proceed(at)
            }
            (state, Event::Frozen { on, .. })
                if state.is_before_promotion() && *on != self.freezes && !on.is_empty() =>
            {
                self.freeze(on.clone());
                self.proceed(at)
            }
            (_, Event::Thawed) if !self.freezes.is_empty() => {
                self.freeze(BTreeSet::new());
                self.proceed(at)
            }

            // Gates.
            (State::Gate { .. }, &Event::Opened { gate, .. })
                if self.closed_gates().any(|(place, _)| place == gate) =>
            {
                self.open(gate, at)
            }
            (State::Gate { .. }, Event::Shut { gate, by, reason })
                if self.closed_gates().any(|(place, _)| place == *gate) =>
            {
                State::Retreat { since, cause: Cause::Rejected { by: by.clone(), reason: reason.clone() } }
            }

            (state, Event::Seize { .. }) if state.is_end() => return Ok(()),
            (_, Event::Seize { by }) => State::Seized { by: by.clone() },

            (state, event) => return Err(illegal(event, state, remedy(state, event))),
        };
        Ok(())
    }

    /// Other freezes are on. What was said of one that has ended is not said of the next.
    fn freeze(&mut self, on: BTreeSet<usize>) {
        self.overridden.retain(|freeze| on.contains(freeze));
        let counts = !on.is_subset(&self.overridden);
        self.freezes = on;
        self.pause_while(Pause::Frozen, counts);
    }

    /// The traffic of a step is in force.
    fn begin(&mut self, step: usize, at: SystemTime) -> State {
        self.split = tidegate_metrics::statistics::Split::new();
        self.trial.begin();
        // Requests count when they end: those of the traffic before have to be gone.
        State::Analyse { step, since: at, from: self.window_after(at + self.plan.timing.drain) }
    }

    /// A step went well.
    pub(super) fn after_step(&self, step: usize, at: SystemTime) -> State {
        if self.plan.steps[step].gates.is_empty() {
            self.beyond(step, at)
        } else {
            State::Gate { step, from: self.window_after(at), open: BTreeSet::new() }
        }
    }

    /// A step went well and nothing stands before the next.
    pub(super) fn beyond(&self, step: usize, at: SystemTime) -> State {
        if step + 1 < self.plan.steps.len() {
            State::Shift { step: step + 1, since: at }
        } else {
            self.finish(at)
        }
    }

    /// A gate has opened.
    pub(super) fn open(&mut self, gate: usize, at: SystemTime) -> State {
        if let State::Gate { open, .. } = &mut self.state {
            open.insert(gate);
        }
        self.proceed(at)
    }

    /// Goes on from where it is, if it stands before gates that are all open and nothing holds it up.
    pub(super) fn proceed(&self, at: SystemTime) -> State {
        match &self.state {
            State::Gate { step, .. } if self.pauses.is_empty() && self.closed_gates().next().is_none() => {
                self.beyond(*step, at)
            }
            state => state.clone(),
        }
    }

    fn after_failure(&self, why: &str, at: SystemTime) -> Option<State> {
        let since = at;
        let cause = Cause::Broken { why: why.to_owned() };
        let stuck = |remedy: &'static str| State::Stuck {
            during: self.state.doing().into(),
            why: why.to_owned(),
            remedy: remedy.into(),
        };
        Some(match self.state {
            State::Preflight => State::RolledBack { cause },
            State::Provision { .. } => State::Withdraw { since, cause },
            State::Rush { .. } | State::Shift { .. } => State::Retreat { since, cause },
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
            State::Restore { .. } => stuck(
                "the candidate's slot carries all traffic and keeps it; make the version before run in the stable slot, then send all traffic there",
            ),
            State::Settle { .. } => State::Unsettled { cause },
            State::Retreat { .. } => {
                stuck("the candidate may still have traffic; send all of it to a side that is ready, by hand")
            }
            State::Withdraw { .. } => stuck("all traffic is on stable; remove the candidate's slot by hand"),
            _ => return None,
        })
    }

    /// A window said nothing, since the traffic was not as owed, or nobody could say. That may go on up to the
    /// horizon.
    fn unseen(&mut self, why: &str, at: SystemTime) -> State {
        let timing = &self.plan.timing;
        let (horizon, bake, verify) = (timing.horizon, timing.bake, timing.verify);
        match self.state {
            State::Analyse { step, since, .. } if at >= since + horizon.max(self.plan.steps[step].soak) => {
                let here = self.in_new_window(at);
                self.at_horizon(step, false, at).unwrap_or(here)
            }
            State::Bake { since, .. } if at >= since + bake + horizon => {
                State::Unsettled { cause: Cause::Broken { why: why.to_owned() } }
            }
            State::Verify { since, .. } if at >= since + verify + horizon => State::Stuck {
                during: self.state.doing().into(),
                why: why.to_owned(),
                remedy: "see to it that all traffic is on stable, then remove the candidate's slot by hand"
                    .into(),
            },
            _ => self.in_new_window(at),
        }
    }

    /// Where it is, but for the window that is observed next, which begins after `at`.
    fn in_new_window(&self, at: SystemTime) -> State {
        let mut state = self.state.clone();
        if let State::Analyse { from, .. }
        | State::Gate { from, .. }
        | State::Verify { from, .. }
        | State::Bake { from, .. } = &mut state
        {
            *from = self.window_after(at);
        }
        state
    }

    pub(super) fn window_after(&self, at: SystemTime) -> SystemTime {
        Window::first_after(at, self.plan.timing.window).expect("a plan's window has a length").start()
    }

    /// The candidate's share of the requests of both sides that are compared in `step`, if its requests are a
    /// fair sample of them.
    pub(super) fn fair_share(&self, step: usize) -> Option<f64> {
        let share = |weight: Weight| f64::from(weight.as_basis_points()) / 10_000.0;
        let traffic = self.plan.traffic(step);
        let [candidate, baseline] = [Slot::Candidate, Slot::Baseline].map(|slot| share(traffic.weight(slot)));
        let fair = if baseline > 0.0 { candidate / (candidate + baseline) } else { candidate };
        // Some users ask more than others, some sources count requests that were sent by exception, and not every
        // request that could be copied is.
        let by_weight = traffic.sticky().is_none() && traffic.exceptions().is_empty();
        (by_weight && traffic.mirror().is_none() && fair > 0.0 && fair < 1.0).then_some(fair)
    }
}

fn illegal(event: &Event, state: &State, remedy: &'static str) -> IllegalEvent {
    IllegalEvent { event: event.name(), state: state.to_string(), remedy }
}
