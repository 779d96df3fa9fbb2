//! The journal read line by line, for what is worth telling.

use std::{collections::BTreeSet, time::SystemTime};

use tidegate_registry::{LogKey, Seq};

use super::{
    Narrate,
    kind::Kind,
    notice::{Notice, Place},
    telling::{self, Telling},
};
use crate::{Cause, Entry, Event, Pause, Record, Rollout, RolloutId, RouteId, State, error::BoxError};

/// Tells what each line of a route's journal means, in order; most mean nothing new.
///
/// What it says of a line depends on the lines since the rollout was opened and on nothing else, so that whoever
/// reads them says the same. A line that cannot be read, or does not follow from those before it, is told once;
/// after it nothing is known of its rollout, and nothing is said of it.
#[derive(Clone, Debug)]
pub struct Narrator {
    route: RouteId,
    told: Option<Told>,
    /// Whether a line since the rollout was opened could not be followed.
    broken: bool,
    /// Whether there is an incident.
    incident: bool,
    /// Whether the latest window was one of which nobody could say anything.
    unseen: bool,
    latest: SystemTime,
}

/// The rollout that was opened last.
#[derive(Clone, Debug)]
struct Told {
    id: RolloutId,
    opened: Seq,
    rollout: Rollout,
}

/// Where a rollout was.
pub(super) struct Before {
    pub(super) state: State,
    pub(super) pauses: BTreeSet<Pause>,
}

/// What there is to tell of a route's journal from its first line on.
#[must_use]
pub fn notices(route: &RouteId, entries: &[Entry]) -> Vec<Notice> {
    let mut narrator = Narrator::new(route.clone());
    let told = entries.iter().enumerate().filter_map(|(i, entry)| narrator.tell(Seq::FIRST.plus(i), entry));
    told.collect()
}

impl Narrator {
    /// Of a route, from the beginning of its journal or from the opening of a rollout.
    #[must_use]
    pub const fn new(route: RouteId) -> Self {
        Self {
            route,
            told: None,
            broken: false,
            incident: false,
            unseen: false,
            latest: SystemTime::UNIX_EPOCH,
        }
    }

    fn orphaned(&mut self, seq: Seq) -> Option<Notice> {
        self.broke(seq, "it is about a rollout that was not opened before it")
    }

    fn broke(&mut self, seq: Seq, why: &str) -> Option<Notice> {
        if self.broken {
            return None;
        }
        self.broken = true;
        Some(self.notice(seq, telling::broken(seq, why)))
    }

    fn notice(&mut self, seq: Seq, telling: Telling) -> Notice {
        let Telling { kind, severity, text, step, by, reasons, remedy } = telling;
        let told = self.told.as_ref();
        let needed = match kind {
            Kind::Broken => true,
            Kind::Released => false,
            // Whoever took the route is at it; it is over when they give it back.
            Kind::Seized => self.incident,
            _ => told.is_some_and(|told| needs_somebody(&told.rollout)),
        };
        let was = std::mem::replace(&mut self.incident, needed);
        let plan = told.map(|told| told.rollout.plan());
        let step = step.zip(plan).and_then(|(step, plan)| {
            let of = plan.steps.len();
            plan.steps.get(step).map(|at| Place {
                number: step + 1,
                of,
                weight: at.weight,
                mirror: at.mirror,
            })
        });
        let notice = Notice::new(&self.route.log_key(), seq, self.latest, self.route.clone(), kind, &text)
            .with_severity(severity)
            .with_reasons(reasons)
            .with_incident(was, needed);
        let notice = by.iter().fold(notice, |notice, by| notice.with_by(by));
        Notice {
            rollout: told.map(|told| told.id.clone()),
            stable: plan.map(|plan| plan.stable.clone()),
            candidate: plan.map(|plan| plan.candidate.clone()),
            step,
            remedy,
            ..notice
        }
    }
}

impl Narrate for Narrator {
    type Line = Entry;

    fn journal(&self) -> LogKey {
        self.route.log_key()
    }

    fn tell(&mut self, seq: Seq, entry: &Entry) -> Option<Notice> {
        self.latest = entry.at;
        match &entry.record {
            Record::Open { id, plan } => {
                let rollout = Rollout::new((**plan).clone());
                let telling = telling::opened(&rollout);
                self.told = Some(Told { id: id.clone(), opened: seq, rollout });
                (self.broken, self.incident, self.unseen) = (false, false, false);
                Some(self.notice(seq, telling))
            }
            // Who drives it is nothing to people.
            Record::Resume { id } if self.told.as_ref().is_some_and(|told| told.id == *id) => None,
            Record::Resume { .. } => self.orphaned(seq),
            Record::Release { by } => {
                // Whatever it was that somebody had to look at: somebody has.
                Some(self.notice(seq, telling::released(by)))
            }
            Record::Seize { by } => {
                let seize = Event::Seize { by: by.clone() };
                let was_open = self.told.as_ref().is_some_and(|told| !told.rollout.state().is_end());
                if let Some(told) = &mut self.told {
                    // A route can be taken whatever its rollout is.
                    let _ = told.rollout.apply(&seize, entry.at);
                }
                let over = self.told.as_ref().filter(|_| was_open).map(|told| &told.rollout);
                let telling = telling::seized(by, over);
                Some(self.notice(seq, telling))
            }
            Record::Happen(_) if self.broken => None,
            Record::Happen(event) => {
                let Some(told) = &mut self.told else { return self.orphaned(seq) };
                let rollout = &mut told.rollout;
                let before = Before { state: rollout.state().clone(), pauses: rollout.pauses().clone() };
                match rollout.apply(event, entry.at) {
                    Ok(()) => {
                        let again = self.unseen;
                        self.unseen = match event {
                            Event::Unseen { .. } => true,
                            Event::Observed { .. } | Event::Routed => false,
                            _ => again,
                        };
                        let telling = telling::of(&before, event, rollout)?;
                        if again && telling.kind == Kind::Unseen {
                            return None;
                        }
                        Some(self.notice(seq, telling))
                    }
                    Err(illegal) => self.broke(seq, &illegal.to_string()),
                }
            }
        }
    }

    fn cannot_read(&mut self, seq: Seq, why: &BoxError) -> Option<Notice> {
        self.broke(seq, &why.to_string())
    }

    fn opened(&self) -> Option<Seq> {
        self.told.as_ref().map(|told| told.opened)
    }
}

/// Whether a person has to be woken for it.
fn needs_somebody(rollout: &Rollout) -> bool {
    match rollout.state() {
        State::Stuck { .. } | State::Unsettled { .. } => true,
        // While traffic returns from a bad version; that it has returned is the end of it.
        State::Restore { cause, .. }
        | State::Retreat { cause, .. }
        | State::Verify { cause, .. }
        | State::Ebb { cause, .. }
        | State::Withdraw { cause, .. } => is_bad(cause),
        State::Compared { .. } | State::Promoted | State::RolledBack { .. } | State::Seized { .. } => false,
        State::Preflight
        | State::Provision { .. }
        | State::Warm { .. }
        | State::Shift { .. }
        | State::Analyse { .. }
        | State::Gate { .. }
        | State::Rush { .. }
        | State::Renew { .. }
        | State::Return { .. }
        | State::Record { .. }
        | State::Drain { .. }
        | State::Retire { .. }
        | State::Bake { .. }
        | State::Settle { .. } => rollout.pauses().iter().any(|pause| match pause {
            Pause::Drifted | Pause::Misrouted | Pause::StableUnready | Pause::Undecided => true,
            // Somebody wanted it, or it comes and goes by itself.
            Pause::Frozen | Pause::Held | Pause::Outage => false,
        }),
    }
}

/// Whether it speaks against the candidate, or something is out of order.
pub(super) const fn is_bad(cause: &Cause) -> bool {
    match cause {
        Cause::Broken { .. } | Cause::Failed { .. } => true,
        Cause::Compared { .. }
        | Cause::Rejected { .. }
        | Cause::Replaced { .. }
        | Cause::Requested { .. }
        | Cause::Undecided => false,
    }
}
