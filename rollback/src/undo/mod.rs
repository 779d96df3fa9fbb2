//! The way back: a pure machine. No clock, no I/O; the [driver](crate::Rollback) does what it owes.

mod event;
mod state;
mod took;

use std::time::SystemTime;

use tidegate_canary::{
    NotDone, Side, Slot, Traffic, Weight,
    metrics::{Evidence, Judgement, Measurement, Verdict, Window, judge},
};
use tidegate_registry::Seq;

use self::state::{DISPLACED, MOVED, remedy};
pub use self::{
    event::{Duty, Event, IllegalEvent, Way},
    state::State,
    took::Took,
};
use crate::{Helped, Order, Recovery};

/// A rollback under way: its order, and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    order: Order,
    state: State,
    begun: SystemTime,
    since: SystemTime,
    /// What it has taken the route from.
    took: Option<Took>,
    /// Whether it has moved traffic.
    routed: bool,
    /// Whether all traffic went to the stable slot, which runs the target, and no other release is known to run there since.
    home: bool,
    /// Whether the target has replaced what was left, so that nothing is left to drain.
    in_place: bool,
    /// Whether what was left has come back once.
    displaced: bool,
    /// What was seen of the target in service, for each criterion of the recovery.
    evidence: Vec<Evidence>,
    /// What could not be done on the way, and nothing that followed needed.
    omitted: Vec<Omitted>,
}

/// What could not be done.
#[derive(Clone, Debug, PartialEq)]
struct Omitted {
    during: &'static str,
    why: String,
    /// What a person must do about it.
    remedy: String,
}

impl Undo {
    /// A rollback that has not begun, ordered at `at`.
    #[must_use]
    pub fn new(order: Order, at: SystemTime) -> Self {
        let criteria = order.recovery.as_ref().map_or(0, |recovery| recovery.criteria.len());
        Self {
            order,
            state: State::Verify,
            begun: at,
            since: at,
            took: None,
            routed: false,
            home: false,
            in_place: false,
            displaced: false,
            evidence: vec![Evidence::default(); criteria],
            omitted: Vec::new(),
        }
    }

    /// When it was ordered.
    pub(crate) const fn begun(&self) -> SystemTime {
        self.begun
    }

    /// Since when it is in its state.
    pub(crate) const fn since(&self) -> SystemTime {
        self.since
    }

    /// Whether it has moved traffic.
    pub(crate) const fn has_moved_traffic(&self) -> bool {
        self.routed
    }

    /// Takes in what happened, at `at`.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] when it is not possible now; nothing has changed then.
    pub fn apply(&mut self, event: &Event, at: SystemTime) -> Result<(), IllegalEvent> {
        let next = match (&self.state, event) {
            (State::Verify, Event::Verified { way: Way::There }) => State::Return,
            (State::Verify, Event::Verified { way: Way::Busy }) => State::Clear,
            (State::Verify, Event::Verified { way: Way::Free }) => State::Stage,
            (State::Verify, Event::Verified { way: Way::InPlace }) => State::Replace,
            (State::Verify | State::Clear, Event::Verified { way: Way::Occupied }) => State::Restore,
            (State::Verify, Event::Verified { way: Way::Staged }) => State::Shift,
            (State::Clear, Event::Routed) => State::Ebb,
            (State::Ebb, Event::Elapsed) => State::Stage,
            (State::Stage, Event::Ready) => State::Shift,
            (State::Shift, Event::Routed) => State::Still,
            (State::Still, Event::Elapsed) => State::Restore,
            (State::Replace | State::Restore, Event::Ready) => State::Return,
            (State::Return, Event::Routed) => State::Record,
            (State::Record, &Event::Recorded { seq }) if self.order.quarantine => {
                State::Condemn { recorded: seq }
            }
            (State::Record, &Event::Recorded { seq }) => State::Drain { recorded: seq },
            (&State::Condemn { recorded }, Event::Condemned) => State::Drain { recorded },
            (&State::Condemn { recorded }, Event::Omitted { why }) => {
                self.omit(why);
                State::Drain { recorded }
            }
            (&State::Drain { recorded }, Event::Elapsed) => State::Retire { recorded },
            (&State::Retire { recorded }, Event::Removed) => self.retired(recorded, at),
            (&State::Retire { recorded }, Event::Omitted { why }) => {
                self.omit(why);
                self.retired(recorded, at)
            }
            (&State::Prove { recorded, .. }, Event::Observed { window, seen })
                if seen.len() == self.evidence.len() =>
            {
                // The time since the watch began goes on.
                self.state = self.prove(recorded, *window, seen);
                return Ok(());
            }
            (&State::Prove { recorded, .. }, Event::Displaced { runs, .. })
                if *runs == self.order.from && !self.displaced =>
            {
                self.displaced = true;
                State::Reassert { recorded }
            }
            // What nobody has left is somebody's decision, and one that comes back again and again somebody's fault.
            (State::Prove { .. }, Event::Displaced { why, .. }) => self.stuck(why, DISPLACED),
            (State::Prove { .. } | State::Reassert { .. }, Event::Moved { why }) => self.stuck(why, MOVED),
            (&State::Reassert { recorded }, Event::Ready) => {
                let recovery = self.order.recovery.as_ref().expect("what is not asked for is not proven");
                State::Prove { recorded, from: after(recovery, at) }
            }
            (State::Verify, Event::Took(took)) if self.took.is_none() => {
                self.took = Some(took.clone());
                return Ok(());
            }
            (State::Clear | State::Ebb | State::Stage | State::Verify, Event::Aborted { by, reason }) => {
                State::Aborted { by: by.clone(), reason: reason.clone(), remedy: self.left() }
            }
            (state, Event::Failed { why } | Event::Unreached { why, .. }) => {
                let away = if let Event::Unreached { who, .. } = event { Some(who.as_str()) } else { None };
                match remedy(state, self.routed, away) {
                    Some(remedy) => self.stuck(why, &remedy),
                    None => return Err(IllegalEvent::new(event, state)),
                }
            }
            (state, event) => return Err(IllegalEvent::new(event, state)),
        };
        self.routed |= matches!(event, Event::Routed);
        self.home = match (&self.state, event) {
            (
                State::Prove { .. },
                Event::Displaced { .. }
                | Event::Failed { .. }
                | Event::Moved { .. }
                | Event::Unreached { .. },
            ) => false,
            (State::Reassert { .. }, Event::Ready) => true,
            _ => self.home || next == State::Record,
        };
        self.in_place |= matches!(event, Event::Verified { way: Way::InPlace });
        self.state = next;
        self.since = at;
        Ok(())
    }

    /// What a person must do about the rollout that it has taken the route from, where it ends now: before the target has
    /// any traffic, or with none moved at all.
    fn left(&self) -> Option<String> {
        let took = self.took.as_ref()?;
        let is_early = matches!(self.state, State::Verify | State::Clear | State::Ebb | State::Stage);
        (is_early || !self.routed).then(|| took.remedy(took.is_split() && !self.routed))
    }

    /// Keeps in mind what cannot be done now.
    fn omit(&mut self, why: &str) {
        let remedy = remedy(&self.state, self.routed, None).expect("what is owed has a remedy").into_owned();
        self.omitted.push(Omitted { during: self.state.doing(), why: why.to_owned(), remedy });
    }

    /// What follows once nothing more is to be emptied.
    fn retired(&self, recorded: Seq, at: SystemTime) -> State {
        match &self.order.recovery {
            Some(recovery) => State::Prove { recorded, from: after(recovery, at) },
            None => self.over(recorded, Helped::Unasked),
        }
    }

    /// The end, all traffic being on the target: what was omitted is for a person.
    fn over(&self, recorded: Seq, helped: Helped) -> State {
        let Some(first) = self.omitted.first() else { return State::Done { recorded, helped } };
        let arrived = match helped {
            Helped::Proven => "all traffic is on the target, and that was seen to help",
            Helped::Unasked => "all traffic is on the target",
            Helped::Unproven => {
                "all traffic is on the target, and too little was seen to say whether that helped"
            }
        };
        let also = self.omitted[1..].iter().map(|also| format!("{}: {}", also.during, also.why));
        State::Stuck {
            during: first.during,
            why: std::iter::once(first.why.clone()).chain(also).collect::<Vec<_>>().join("; "),
            remedy: self.with_omitted(arrived).into(),
        }
    }

    /// The end for a person, now, also about what was omitted.
    fn stuck(&self, why: &str, remedy: &str) -> State {
        let also = self.omitted.iter().map(|also| format!("{}: {}", also.during, also.why));
        let why = std::iter::once(why.to_owned()).chain(also).collect::<Vec<_>>().join("; ");
        let remedy = self.with_omitted(remedy);
        let remedy = match self.left() {
            Some(left) => format!("{remedy}; {left}"),
            None => remedy,
        };
        State::Stuck { during: self.state.doing(), why, remedy: remedy.into() }
    }

    /// What a person must do, also about what was omitted.
    fn with_omitted(&self, remedy: &str) -> String {
        let remedies = self.omitted.iter().map(|omitted| omitted.remedy.as_str());
        std::iter::once(remedy).chain(remedies).collect::<Vec<_>>().join("; ")
    }

    /// How it is journaled that what is owed cannot be done.
    pub(crate) fn given_up(&self, not_done: NotDone) -> Event {
        match (&self.state, not_done) {
            (State::Condemn { .. } | State::Retire { .. }, not_done) => {
                Event::Omitted { why: not_done.to_string() }
            }
            (_, NotDone::Unreached { who, why }) => Event::Unreached { who, why },
            (_, not_done) => Event::Failed { why: not_done.to_string() },
        }
    }

    /// What follows from a window in which the target was in service.
    fn prove(&mut self, recorded: Seq, window: Window, seen: &[Measurement]) -> State {
        for (evidence, seen) in self.evidence.iter_mut().zip(seen) {
            // A window that is there already was journaled twice and counts once.
            let _known = evidence.add(window, seen.clone(), None);
        }
        let recovery = self.order.recovery.as_ref().expect("what is not asked for is not proven");
        let judgements = self.judgements();
        let watched = |time| window.end() >= self.since + time;
        match Verdict::of(&judgements) {
            Verdict::Fail => {
                let failed = judgements.iter().filter(|judgement| judgement.verdict == Verdict::Fail);
                let why = failed.map(ToString::to_string).collect::<Vec<_>>().join("; ");
                self.stuck(&why, "all traffic is on the target, and it is not well either, so perhaps it was not the version that failed; look at what both have in common and mend that, then lift the quarantine of what was left if there is one, or roll back to a version before")
            }
            Verdict::Pass if watched(recovery.at_least) => self.over(recorded, Helped::Proven),
            Verdict::Inconclusive if watched(recovery.at_most) => self.over(recorded, Helped::Unproven),
            _ => State::Prove { recorded, from: window.end() },
        }
    }

    /// What was seen of the target in service says this, one for each criterion of the recovery.
    #[must_use]
    pub fn judgements(&self) -> Vec<Judgement> {
        let criteria = self.order.recovery.iter().flat_map(|recovery| &recovery.criteria);
        criteria.zip(&self.evidence).map(|(criterion, evidence)| judge(criterion, evidence)).collect()
    }

    /// What is owed now: a function of where it is and how it came there, and of nothing else.
    #[must_use]
    pub fn duty(&self) -> Duty {
        match self.state {
            State::Verify => Duty::Verify,
            State::Clear => Duty::Clear,
            State::Stage => Duty::Ensure { slot: Slot::Candidate },
            State::Shift => Duty::Route { traffic: Traffic::split(Weight::FULL), on: Slot::Candidate },
            State::Reassert { .. } | State::Replace | State::Restore => Duty::Ensure { slot: Slot::Stable },
            State::Return => Duty::Route { traffic: Traffic::stable(), on: Slot::Stable },
            State::Record => Duty::Record,
            State::Condemn { .. } => Duty::Condemn,
            State::Prove { from, .. } => {
                let recovery = self.order.recovery.as_ref().expect("what is not asked for is not proven");
                let window = Window::new(from, from + recovery.window).expect("a window has a length");
                let Order { route, to, .. } = &self.order;
                let side = Side { route: route.clone(), slot: Slot::Stable, release: to.clone() };
                Duty::Observe { window, due: window.end() + recovery.lag, side }
            }
            // No slot is left behind: what was replaced has ended with its pods.
            State::Drain { .. } if self.in_place => Duty::Wait { until: self.since },
            State::Drain { .. } | State::Ebb | State::Still => {
                Duty::Wait { until: self.since + self.order.drain }
            }
            State::Retire { .. } => Duty::Remove,
            State::Aborted { .. } | State::Done { .. } | State::Stuck { .. } => Duty::Nothing,
        }
    }

    /// When to give up on what is owed now.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.since + self.order.patience
    }

    /// The rollout that it has taken the route from, if one was under way.
    #[must_use]
    pub const fn took(&self) -> Option<&Took> {
        self.took.as_ref()
    }

    /// The same where it has ended and left the traffic of that rollout as it was, which nobody judges now: a rollback to
    /// what the rollout took for stable has all of it there again.
    #[must_use]
    pub fn unjudged(&self) -> Option<&Took> {
        let ended = matches!(self.state, State::Aborted { .. } | State::Stuck { .. });
        self.took.as_ref().filter(|took| ended && !self.routed && took.is_split())
    }

    /// Whether all traffic is on the target in the stable slot, however it ends: what is left has none. It is not where
    /// another release was seen to have replaced it.
    #[must_use]
    pub const fn is_home(&self) -> bool {
        self.home
    }

    /// What is being undone.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }
}

/// The start of the first window after `at`.
fn after(recovery: &Recovery, at: SystemTime) -> SystemTime {
    Window::first_after(at, recovery.window).expect("a window has a length").start()
}
