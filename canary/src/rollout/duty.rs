//! What a rollout owes: a function of where it is, and of nothing else.

use std::time::SystemTime;

use tidegate_metrics::Window;
use tidegate_registry::Seq;

use super::{Pause, Rollout, State};
use crate::{Finish, Release, Side, Slot, Traffic, Weight, Workload};

/// What is owed in a state, and the event that says it was done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Duty {
    /// Wait until somebody asks for something, a gate opens or a pause ends by itself.
    Await,
    /// Check the plan against the world: `Checked` or `Failed`.
    Check,
    /// Make `workloads` run: `Ready`, or `Failed` after `until`; `Barred` if the candidate had to be permitted and
    /// is not any more.
    Ensure {
        /// What is to run.
        workloads: Vec<Workload>,
        /// The traffic that must be in force before, and what carries it, where the workloads must not have
        /// any.
        behind: Option<(Traffic, Workload)>,
        /// Whether the channel has to let the candidate in.
        permitted: bool,
        /// When to give up.
        until: SystemTime,
    },
    /// The rollout is over.
    Nothing,
    /// Look at a window once it is complete: `Observed`.
    Observe {
        /// The window.
        window: Window,
        /// When its observations are complete.
        due: SystemTime,
        /// The side to judge.
        judged: Side,
        /// The side to compare it with.
        compared: Option<Side>,
        /// The traffic that must be in force for the window to be evidence.
        traffic: Traffic,
    },
    /// Record the promotion in the channel: `Recorded`, or `Failed` after `until`.
    Promote {
        /// When to give up.
        until: SystemTime,
    },
    /// Empty `slots`: `Removed`, or `Failed` after `until`.
    Remove {
        /// The slots.
        slots: Vec<Slot>,
        /// When to give up.
        until: SystemTime,
    },
    /// Put `traffic` in force and see it there: `Routed`, or `Failed` after `until`.
    Route {
        /// The traffic.
        traffic: Traffic,
        /// What must be ready in the slots that it reaches.
        on: Vec<Workload>,
        /// Whether a deployer that does not answer is no reason to wait: it is on the way back.
        back: bool,
        /// When to give up.
        until: SystemTime,
    },
    /// Record the end of the bake in the channel: `Settled`, or `Failed` after `until`.
    Settle {
        /// The record of the promotion.
        promoted: Seq,
        /// When to give up.
        until: SystemTime,
    },
    /// Let time pass: `Elapsed`.
    Wait {
        /// Until then.
        until: SystemTime,
    },
}

pub(super) fn of(rollout: &Rollout) -> Duty {
    let plan = &rollout.plan;
    let timing = &plan.timing;
    let (stable, candidate) = (plan.stable.clone(), plan.candidate.clone());
    let patience = |since: &SystemTime| *since + timing.patience;
    let side = |slot, release: &Release| Side { route: plan.route.clone(), slot, release: release.clone() };
    let workload = |slot, release: &Release, share| Workload { slot, release: release.clone(), share };
    let observe = |from: SystemTime, judged, compared, traffic| {
        let window = Window::new(from, from + timing.window).expect("a plan's window has a length");
        Duty::Observe { window, due: window.end() + timing.lag, judged, compared, traffic }
    };
    let weigh = |step: usize, from: SystemTime| {
        let traffic = plan.traffic(step);
        let compared = match () {
            // Those who look at a preview ask otherwise than users do, unless telling them apart is the point.
            () if plan.share(step).is_none() && plan.finish == Finish::Promote => None,
            () if traffic.weight(Slot::Baseline) > Weight::NONE => Some(Slot::Baseline),
            () if traffic.weight(Slot::Stable) > Weight::NONE => Some(Slot::Stable),
            () => None,
        };
        let compared = compared.map(|slot| side(slot, &stable));
        observe(from, side(Slot::Candidate, &candidate), compared, traffic)
    };
    // What a step needs beside stable.
    let beside = |step: usize| {
        let mut workloads = vec![workload(Slot::Candidate, &candidate, plan.share(step))];
        match plan.traffic(step).weight(Slot::Baseline) {
            Weight::NONE => {}
            share => workloads.push(workload(Slot::Baseline, &stable, share)),
        }
        workloads
    };
    // Only somebody's decision or the end of a pause makes it go on, and there is nothing worth looking at.
    let blind = |step: &usize| !plan.observes(*step) || rollout.pauses.contains(&Pause::Drifted);
    let extra = || match plan.baseline {
        true => vec![Slot::Candidate, Slot::Baseline],
        false => vec![Slot::Candidate],
    };
    match &rollout.state {
        State::Preflight if !rollout.pauses.is_empty() => Duty::Await,
        State::Preflight => Duty::Check,
        State::Provision { since } => {
            Duty::Ensure { workloads: beside(0), behind: None, permitted: false, until: patience(since) }
        }
        State::Warm { .. } if !rollout.pauses.is_empty() => Duty::Await,
        State::Warm { since } => Duty::Wait { until: *since + timing.warm_up },
        State::Shift { step, since } => {
            // One that has begun is brought to its end, paused or not: nobody looks at traffic on the move.
            let traffic = plan.traffic(*step);
            let mut on = beside(*step);
            // What is left behind has to be able to take everything back.
            if traffic.weight(Slot::Candidate) < Weight::FULL
                || traffic.slots().any(|slot| slot == Slot::Stable)
            {
                on.push(workload(Slot::Stable, &stable, Weight::FULL));
            }
            Duty::Route { traffic, on, back: false, until: patience(since) }
        }
        State::Analyse { step, since, .. } if !plan.observes(*step) && rollout.pauses.is_empty() => {
            Duty::Wait { until: *since + plan.steps[*step].soak }
        }
        State::Analyse { step, .. } | State::Gate { step, .. } if blind(step) => Duty::Await,
        State::Analyse { step, from, .. } | State::Gate { step, from, .. } => weigh(*step, *from),
        State::Rush { since } => Duty::Route {
            traffic: Traffic::split(Weight::FULL),
            on: vec![workload(Slot::Candidate, &candidate, Weight::FULL)],
            back: false,
            until: patience(since),
        },
        State::Renew { since } => {
            let carrier = workload(Slot::Candidate, &candidate, Weight::FULL);
            let workloads = vec![workload(Slot::Stable, &candidate, Weight::FULL)];
            let behind = Some((Traffic::split(Weight::FULL), carrier));
            Duty::Ensure { workloads, behind, permitted: true, until: patience(since) }
        }
        State::Return { since } => Duty::Route {
            traffic: Traffic::stable(),
            on: vec![workload(Slot::Stable, &candidate, Weight::FULL)],
            back: false,
            until: patience(since),
        },
        State::Record { since } => Duty::Promote { until: patience(since) },
        State::Drain { since, .. } | State::Ebb { since, .. } => Duty::Wait { until: *since + timing.drain },
        State::Retire { since, .. } | State::Withdraw { since, .. } => {
            Duty::Remove { slots: extra(), until: patience(since) }
        }
        State::Bake { from, .. } => observe(*from, side(Slot::Stable, &candidate), None, Traffic::stable()),
        State::Settle { since, promoted } => Duty::Settle { promoted: *promoted, until: patience(since) },
        State::Restore { since, .. } => {
            let carrier = workload(Slot::Candidate, &candidate, Weight::FULL);
            let workloads = vec![workload(Slot::Stable, &stable, Weight::FULL)];
            let behind = Some((Traffic::split(Weight::FULL), carrier));
            Duty::Ensure { workloads, behind, permitted: false, until: patience(since) }
        }
        State::Verify { from, .. } => observe(*from, side(Slot::Stable, &stable), None, Traffic::stable()),
        State::Retreat { since, .. } => Duty::Route {
            traffic: Traffic::stable(),
            on: vec![workload(Slot::Stable, &stable, Weight::FULL)],
            back: true,
            until: patience(since),
        },
        State::Compared { .. }
        | State::Promoted
        | State::RolledBack { .. }
        | State::Seized { .. }
        | State::Stuck { .. }
        | State::Unsettled { .. } => Duty::Nothing,
    }
}
