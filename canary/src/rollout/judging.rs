//! What follows from a window of observations, wherever one is looked at.

use std::time::SystemTime;

use tidegate_metrics::{Verdict, Window};

use super::{Cause, Pause, Rollout, Sample, State, hearing::Hearing};
use crate::plan::{AtHorizon, Finish, Require};

impl Rollout {
    /// Of a step that is being judged.
    pub(super) fn analyse(&mut self, window: Window, samples: &[Sample], at: SystemTime) -> State {
        let State::Analyse { step, since, from } = self.state else {
            unreachable!("only called while analysing");
        };
        let verdict = self.hear(step, window, samples);
        if verdict == Verdict::Fail {
            return State::Retreat { since: at, cause: self.failed(&self.trial) };
        }
        let here = State::Analyse { step, since, from: from.max(window.end()) };
        let waits = |pause: &Pause| pause.is_for_a_person() && *pause != Pause::Undecided;
        if self.pauses.contains(&Pause::Frozen) || self.pauses.iter().any(waits) {
            return here;
        }
        // By the window's end and not by the clock: a driver that was away has not been watching.
        let now = window.end();
        // What is wrong with the world ends by itself, or the horizon comes; and so may what is undecided.
        let sound = self.pauses.iter().all(|pause| *pause == Pause::Undecided);
        let wanted = &self.plan.steps[step];
        let proven = wanted.require == Require::NoFailure || verdict == Verdict::Pass;
        // At least one request, whatever the plan says: without evidence no step ends well. But nobody may be
        // looking at a preview.
        let least = if self.plan.share(step).is_none() { 0 } else { 1 };
        let seen = self.trial.trials() >= wanted.min_trials.max(least);
        if sound && now >= since + wanted.soak && seen && proven {
            self.pauses.clear();
            return self.after_step(step, at);
        }
        if self.pauses.contains(&Pause::Undecided) {
            return here;
        }
        if now < since + self.plan.timing.horizon.max(wanted.soak) {
            return here;
        }
        self.at_horizon(step, sound, at).unwrap_or(here)
    }

    /// A step has reached the horizon. Where it stays, a person is waited for.
    pub(super) fn at_horizon(&mut self, step: usize, sound: bool, at: SystemTime) -> Option<State> {
        let is_last = step + 1 == self.plan.steps.len();
        match self.plan.at_horizon {
            // That nothing was found is what was found.
            _ if self.plan.finish == Finish::Compare && is_last => Some(self.finish(at)),
            AtHorizon::Promote if sound => Some(self.after_step(step, at)),
            AtHorizon::Rollback => Some(State::Retreat { since: at, cause: Cause::Undecided }),
            AtHorizon::Hold | AtHorizon::Promote => {
                self.pauses.insert(Pause::Undecided);
                None
            }
        }
    }

    /// Of a step whose gates are still closed. Evidence against the candidate still counts.
    pub(super) fn stand(&mut self, window: Window, samples: &[Sample], at: SystemTime) -> State {
        let State::Gate { step, from, ref open } = self.state else {
            unreachable!("only called before a gate");
        };
        let here = State::Gate { step, from: from.max(window.end()), open: open.clone() };
        if self.hear(step, window, samples) == Verdict::Fail {
            return State::Retreat { since: at, cause: self.failed(&self.trial) };
        }
        self.state = here;
        self.proceed(at)
    }

    /// Of stable, after traffic has returned to it.
    pub(super) fn watch_stable(&mut self, window: Window, samples: &[Sample], at: SystemTime) -> State {
        let State::Verify { since, from, ref cause } = self.state else {
            unreachable!("only called while verifying");
        };
        let cause = cause.clone();
        self.recovery.take(&self.plan.bake_criteria, window, samples);
        let stuck = |why, remedy: &'static str| State::Stuck {
            during: self.state.doing().into(),
            why,
            remedy: remedy.into(),
        };
        let enough = since + self.plan.timing.verify;
        match self.recovery.verdict() {
            Verdict::Fail => stuck(
                format!("{}; traffic is back because {cause}", self.recovery.failures().join("; ")),
                "all traffic is on stable, and stable is not well either; mend it, or roll back to a version before it; the candidate still runs, without traffic",
            ),
            Verdict::Pass if window.end() >= enough => State::Ebb { since: at, cause },
            // It is ready, and there is too little traffic to say more.
            Verdict::Inconclusive if window.end() >= enough + self.plan.timing.horizon => {
                State::Ebb { since: at, cause }
            }
            _ => State::Verify { since, from: from.max(window.end()), cause },
        }
    }

    /// Of the promoted version.
    pub(super) fn watch_promoted(&mut self, window: Window, samples: &[Sample], at: SystemTime) -> State {
        let State::Bake { since, from, promoted } = self.state else {
            unreachable!("only called while baking");
        };
        self.bake.take(&self.plan.bake_criteria, window, samples);
        let enough = since + self.plan.timing.bake;
        match self.bake.verdict() {
            Verdict::Fail => State::Unsettled { cause: self.failed(&self.bake) },
            Verdict::Pass if window.end() >= enough => State::Settle { since: at, promoted },
            Verdict::Inconclusive if window.end() >= enough + self.plan.timing.horizon => {
                State::Unsettled { cause: Cause::Undecided }
            }
            _ => State::Bake { since, from: from.max(window.end()), promoted },
        }
    }

    /// The steps are over.
    pub(super) fn finish(&self, at: SystemTime) -> State {
        match self.plan.finish {
            Finish::Compare => {
                let judgements =
                    self.trial.judgements(&self.plan.criteria).iter().map(ToString::to_string).collect();
                let cause = Cause::Compared { verdict: self.trial.verdict(), judgements };
                State::Retreat { since: at, cause }
            }
            Finish::Promote => State::Renew { since: at },
        }
    }

    /// Takes in what was seen of the candidate in `step`.
    fn hear(&mut self, step: usize, window: Window, samples: &[Sample]) -> Verdict {
        // Where it does not wait for requests, it does not wait for news of them either.
        let out = !self.plan.share(step).is_none() && Hearing::is_out(&self.plan.criteria, samples);
        self.pause_while(Pause::Outage, out);
        if let (Some(share), Some((candidate, compared))) = (self.fair_share(step), Hearing::sides(samples)) {
            let misrouted = self.split.take(share, candidate, compared).is_some();
            self.pause_while(Pause::Misrouted, misrouted);
        }
        if self.pauses.contains(&Pause::StableUnready) {
            // There is nothing to compare with; what has limits of its own still counts.
            let alone = |sample: &Sample| Sample { candidate: sample.candidate.clone(), baseline: None };
            let samples: Vec<Sample> = samples.iter().map(alone).collect();
            self.trial.take(&self.plan.criteria, window, &samples);
        } else {
            self.trial.take(&self.plan.criteria, window, samples);
        }
        self.trial.verdict()
    }

    pub(super) fn pause_while(&mut self, pause: Pause, holds: bool) {
        if holds {
            self.pauses.insert(pause);
        } else {
            self.pauses.remove(&pause);
        }
    }

    fn failed(&self, hearing: &Hearing) -> Cause {
        Cause::Failed { judgements: hearing.failures() }
    }
}
