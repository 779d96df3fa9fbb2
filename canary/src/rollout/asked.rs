//! What people may ask for, and when.

use std::time::SystemTime;

use tidegate_metrics::statistics::Split;

use super::{Cause, Event, Pause, Request, Rollout, State};
use crate::Gate;

impl Rollout {
    /// Does what was asked, or says what to do instead.
    pub(super) fn ask(&mut self, request: &Request, at: SystemTime) -> Result<(), &'static str> {
        let since = at;
        let early = self.state.is_before_promotion();
        let undecided = || -> Result<(), &'static str> {
            match () {
                () if self.pauses.contains(&Pause::Held) => Err("it is held; resume it first"),
                () if self.pauses.contains(&Pause::Frozen) => {
                    Err("a freeze is on; override it first, with a reason")
                }
                () => Ok(()),
            }
        };
        self.state = match request {
            Request::Abort { by, reason } => {
                let cause = Cause::Requested { by: by.clone(), reason: reason.clone() };
                if self.next.take().is_some() {
                    return Ok(());
                }
                self.give_up(cause, at).ok_or_else(|| remedy_of(&self.state, request))?
            }
            Request::Replace { by, plan } => {
                if plan.route != self.plan.route || plan.stable != self.plan.stable {
                    return Err(
                        "the other plan is for another route, or from another version; open it as a rollout of its own",
                    );
                }
                if matches!(self.state, State::Preflight) {
                    *self = Self::new((**plan).clone());
                    return Ok(());
                }
                let back = self.give_up(Cause::Replaced { by: by.clone() }, at);
                let back = back.ok_or_else(|| remedy_of(&self.state, request))?;
                self.next = Some(plan.clone());
                back
            }
            Request::Approve { digest, .. } => {
                let approval =
                    self.closed_gates().find(|(_, gate)| **gate == Gate::Approval).map(|(place, _)| place);
                let gate = approval.ok_or_else(|| remedy_of(&self.state, request))?;
                if *digest != self.plan.candidate.digest {
                    return Err(
                        "the candidate has another digest than the one approved; look at this one, then approve it",
                    );
                }
                undecided()?;
                self.open(gate, at)
            }
            Request::Reject { by, reason } if matches!(self.state, State::Gate { .. }) => {
                State::Retreat { since, cause: Cause::Rejected { by: by.clone(), reason: reason.clone() } }
            }
            Request::Hold { .. } if early && !matches!(self.state, State::Rush { .. }) => {
                self.pauses.insert(Pause::Held);
                return Ok(());
            }
            Request::Resume { .. } if early && self.pauses.iter().any(|pause| pause.is_for_a_person()) => {
                let drifted = self.pauses.contains(&Pause::Drifted);
                self.pauses.retain(|pause| !pause.is_for_a_person());
                self.split = Split::new();
                match self.state.clone() {
                    // What the plan says is put in force again, and then one sees how things are.
                    State::Analyse { step, .. } | State::Gate { step, .. } if drifted => {
                        self.pauses.retain(|pause| *pause == Pause::Frozen);
                        State::Shift { step, since }
                    }
                    // Whoever resumes an undecided step gives it its whole time again.
                    State::Analyse { step, from, .. } => State::Analyse { step, since, from },
                    _ => self.proceed(at),
                }
            }
            Request::Override { .. } if early && self.pauses.contains(&Pause::Frozen) => {
                self.pauses.remove(&Pause::Frozen);
                self.overridden = self.freezes.clone();
                self.proceed(at)
            }
            Request::Skip { .. } => {
                undecided()?;
                let next = match &self.state {
                    State::Warm { .. } => State::Shift { step: 0, since },
                    State::Analyse { step, .. } | State::Gate { step, .. } => self.beyond(*step, at),
                    State::Verify { cause, .. } => State::Ebb { since, cause: cause.clone() },
                    _ => return Err(remedy_of(&self.state, request)),
                };
                self.pauses.clear();
                next
            }
            Request::Promote { .. }
                if matches!(
                    self.state,
                    State::Warm { .. } | State::Shift { .. } | State::Analyse { .. } | State::Gate { .. }
                ) =>
            {
                undecided()?;
                self.pauses.clear();
                State::Rush { since }
            }
            request => return Err(remedy_of(&self.state, request)),
        };
        Ok(())
    }

    /// The way back from where it is, if a rollout still can go it.
    fn give_up(&self, cause: Cause, at: SystemTime) -> Option<State> {
        let since = at;
        match self.state {
            State::Preflight => Some(State::RolledBack { cause }),
            State::Provision { .. } | State::Warm { .. } => Some(State::Withdraw { since, cause }),
            State::Renew { .. } | State::Return { .. } => Some(State::Restore { since, cause }),
            _ if self.state.is_before_promotion() => Some(State::Retreat { since, cause }),
            _ => None,
        }
    }
}

/// What to do about an event that is not possible.
pub(super) fn remedy(state: &State, event: &Event) -> &'static str {
    match event {
        _ if state.is_end() => "it is over; open a new one",
        Event::Ask(request) => remedy_of(state, request),
        Event::Opened { .. } | Event::Shut { .. } => "it does not stand before that gate",
        Event::Frozen { .. } => "it knows that already, or no freeze holds it up here",
        _ => "that is not what is owed",
    }
}

fn remedy_of(state: &State, request: &Request) -> &'static str {
    match request {
        _ if state.is_end() => "it is over; open a new one",
        Request::Abort { .. } | Request::Replace { .. } => {
            "its promotion has been recorded, or is being so, or it is returning already; use a rollback to go back from a promoted version"
        }
        Request::Approve { .. } | Request::Reject { .. } => {
            "there is no gate to open here; wait until it asks for approval"
        }
        Request::Hold { .. } => "what it does now is not left half done; abort it, or let it come to its end",
        Request::Override { .. } => "no freeze is on",
        Request::Promote { .. } => "the candidate does not run yet, or has everything already",
        Request::Resume { .. } => "nobody has paused it; what else holds it up ends by itself",
        Request::Skip { .. } => "there is no step here that could be skipped",
    }
}
