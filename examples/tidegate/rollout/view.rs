//! How a rollout stands at a moment.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tidegate::canary::{
    Duty, Entry, Event, Gate, Pause, Plan, Record, Rollout, RolloutId, RouteJournal, Slot, State, Step,
    Traffic, Weight,
};

use super::end;
use crate::{
    picture::Obstacle,
    words::{plain, short},
};

/// A rollout at a moment, and all that happened to it by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) id: &'a RolloutId,
    pub(super) rollout: &'a Rollout,
    /// The first one opened it.
    pub(super) entries: &'a [Entry],
    pub(super) now: SystemTime,
}

/// Where a rollout got stuck, and what was known of its traffic then.
#[derive(Clone, Debug)]
pub(super) struct Stuck {
    /// Where it was.
    pub(super) state: State,
    /// The step that it had come to, from 0.
    pub(super) step: Option<usize>,
    /// Whether its traffic was to be moved, so that nobody knows which is in force.
    pub(super) unseen: bool,
    /// What was seen in force last.
    traffic: Traffic,
}

/// The entries of the rollout that was opened last.
pub(super) fn of_the_last(entries: &[Entry]) -> &[Entry] {
    let opens = |entry: &Entry| matches!(entry.record, Record::Open { .. });
    &entries[entries.iter().rposition(opens).unwrap_or(entries.len())..]
}

/// What the first of these entries opened, and what became of it. The others are all of the same rollout.
pub(super) fn replayed(entries: &[Entry]) -> Option<(RolloutId, Rollout)> {
    let Record::Open { id, plan } = &entries.first()?.record else { return None };
    let mut rollout = Rollout::new((**plan).clone());
    entries.iter().for_each(|entry| take(&mut rollout, entry));
    Some((id.clone(), rollout))
}

/// Takes in one more entry. The journal has no others than possible ones.
pub(super) fn take(rollout: &mut Rollout, entry: &Entry) {
    let _impossible = match &entry.record {
        Record::Happen(event) => rollout.apply(event, entry.at),
        Record::Seize { by } => rollout.apply(&Event::Seize { by: by.clone() }, entry.at),
        _ => Ok(()),
    };
}

impl<'a> View<'a> {
    pub(super) fn of(journal: &'a RouteJournal, now: SystemTime) -> Option<Self> {
        let (id, rollout) = journal.latest()?;
        Some(Self { id, rollout, entries: of_the_last(journal.entries()), now })
    }

    pub(super) fn plan(&self) -> &'a Plan {
        self.rollout.plan()
    }

    pub(super) fn since(&self, at: SystemTime) -> Duration {
        self.now.duration_since(at).unwrap_or_default()
    }

    pub(super) fn opened(&self) -> SystemTime {
        self.entries.first().map_or(self.now, |entry| entry.at)
    }

    /// When it ended, if it has.
    pub(super) fn ended(&self) -> Option<SystemTime> {
        self.rollout.state().is_end().then(|| self.entries.last().map_or(self.now, |entry| entry.at))
    }

    /// The step that it is in, from 0.
    pub(super) fn step(&self) -> Option<usize> {
        match self.rollout.state() {
            State::Shift { step, .. } | State::Analyse { step, .. } | State::Gate { step, .. } => Some(*step),
            _ => None,
        }
    }

    /// When the traffic of the step was first in force.
    pub(super) fn in_step_since(&self) -> Option<SystemTime> {
        let routed = |entry: &&Entry| matches!(entry.record, Record::Happen(Event::Routed));
        self.step().and_then(|_| self.entries.iter().rev().find(routed)).map(|entry| entry.at)
    }

    /// Where it got stuck, if it did.
    pub(super) fn stuck(&self) -> Option<Stuck> {
        if !matches!(self.rollout.state(), State::Stuck { .. }) {
            return None;
        }
        let Record::Open { plan, .. } = &self.entries.first()?.record else { return None };
        let mut rollout = Rollout::new((**plan).clone());
        let (state, traffic) = (rollout.state().clone(), Traffic::stable());
        let mut stuck = Stuck { state, step: None, unseen: false, traffic };
        for entry in self.entries {
            // What follows is about the route.
            if rollout.state().is_end() {
                break;
            }
            let before = View { id: self.id, rollout: &rollout, entries: self.entries, now: self.now };
            let (owed, moving) = before.traffic();
            if matches!(entry.record, Record::Happen(Event::Routed)) {
                stuck.traffic = owed;
            }
            stuck.step = match rollout.state() {
                // Perhaps with another plan.
                State::Preflight => None,
                _ => before.step().or(stuck.step),
            };
            (stuck.state, stuck.unseen) = (rollout.state().clone(), moving);
            take(&mut rollout, entry);
        }
        Some(stuck)
    }

    /// The traffic that is owed, and whether it is still on its way. One that is stuck owes nothing any more: what was seen
    /// in force last.
    pub(super) fn traffic(&self) -> (Traffic, bool) {
        if let Some(stuck) = self.stuck() {
            return (stuck.traffic, false);
        }
        match (self.rollout.duty(), self.step()) {
            (Duty::Route { traffic, .. }, _) => (traffic, true),
            (Duty::Observe { traffic, .. }, _) => (traffic, false),
            (Duty::Ensure { behind: Some((traffic, _)), .. }, _) => (traffic, false),
            (_, Some(step)) => (self.traffic_of(step), false),
            _ => (Traffic::stable(), false),
        }
    }

    fn traffic_of(&self, step: usize) -> Traffic {
        let Step { weight, mirror, .. } = self.plan().steps[step];
        let traffic = Traffic::split(weight).with_mirror(mirror);
        match self.plan().baseline {
            true => traffic.clone().with_baseline(weight).unwrap_or(traffic),
            false => traffic,
        }
    }

    /// Whether the criteria of the bake are those that count now.
    pub(super) fn bakes(&self) -> bool {
        self.rollout.state().is_bake() || self.rollout.bake_evidence().iter().any(|seen| !seen.is_empty())
    }

    /// What stands in its way, with what ends it.
    pub(super) fn obstacles(&self) -> Vec<Obstacle> {
        let route = plain(self.plan().route.as_str());
        let route = if route.contains([' ', '\'', '"']) { format!("{route:?}") } else { route };
        let command = |verb: &str, more: &str| format!("`tidegate rollout {verb} --route {route}{more}`");
        let gates = self.rollout.closed_gates().map(|(_, gate)| match gate {
            Gate::Approval => {
                let digest = short(&self.plan().candidate.digest);
                Obstacle {
                    why: format!("it waits for somebody to approve of {}", self.plan().candidate),
                    ends: vec![
                        format!("{} lets it through", command("approve", &format!(" --digest {digest}"))),
                        format!("{} shuts the gate", command("reject", " --reason …")),
                    ],
                    is_for_a_person: true,
                }
            }
            gate => Obstacle {
                why: plain(&format!("it waits before the gate {gate}")),
                ends: vec!["that opens by itself, or shuts".to_owned()],
                is_for_a_person: false,
            },
        });
        let pauses = self.rollout.pauses().iter().map(|pause| Obstacle {
            why: format!("it does not go on, since {pause}"),
            ends: match pause {
                Pause::Frozen => vec![
                    "that ends by itself".to_owned(),
                    format!("{} ends it now", command("override", " --reason …")),
                ],
                pause if pause.is_for_a_person() => vec![
                    format!("{} lets it go on", command("resume", "")),
                    format!("{} gives up", command("abort", " --reason …")),
                ],
                _ => vec!["that ends by itself".to_owned()],
            },
            is_for_a_person: pause.is_for_a_person(),
        });
        gates.chain(pauses).collect()
    }

    /// Those of which only a person ends each, in a sentence.
    pub(super) fn waits(&self) -> Vec<String> {
        let obstacles = self.obstacles().into_iter().filter(|obstacle| obstacle.is_for_a_person);
        obstacles.map(|Obstacle { why, ends, .. }| format!("{why}: {}", ends.join(", "))).collect()
    }

    /// All of it, for machines.
    pub(super) fn json(&self) -> Value {
        let plan = self.plan();
        let (traffic, moving) = self.traffic();
        let weights = [Slot::Stable, Slot::Baseline, Slot::Candidate]
            .into_iter()
            .filter(|slot| traffic.weight(*slot) > Weight::NONE)
            .map(|slot| (slot.to_string(), json!(traffic.weight(slot))));
        let rfc3339 = |at| humantime::format_rfc3339_millis(at).to_string();
        json!({
            "route": plan.route,
            "id": self.id,
            "channel": plan.channel,
            "stable": plan.stable,
            "candidate": plan.candidate,
            "state": end::word(self.rollout.state()),
            "over": self.rollout.state().is_end(),
            "said": self.rollout.state().to_string(),
            "step": self.step().or_else(|| self.stuck()?.step).map(|step| step + 1),
            "steps": plan.steps.len(),
            "weights": weights.collect::<serde_json::Map<_, _>>(),
            "mirror": traffic.mirror(),
            "moving": moving,
            "awaitsPerson": self.rollout.awaits_person(),
            "obstacles": self.obstacles().iter().map(|Obstacle { why, ends, is_for_a_person }| {
                json!({ "why": why, "ends": ends, "isForAPerson": is_for_a_person })
            }).collect::<Vec<_>>(),
            "verdict": self.rollout.verdict(),
            "judgements": self.rollout.judgements(),
            "opened": rfc3339(self.opened()),
            "at": rfc3339(self.now),
            "records": self.entries.len(),
        })
    }
}
