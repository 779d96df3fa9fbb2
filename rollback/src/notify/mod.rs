//! What happens to watches and rollbacks, told to people and machines.
//!
//! A [`Courier`] brings it to the same recipients as what happens to rollouts, with the same promises and a cursor for
//! each journal: it follows a [`Narrator`] of the route's watches or of its rollbacks.
//!
//! Whoever is on call is woken when a watch is alarmed, blind or waits for a person, or when a rollback is stuck. That
//! is one incident of the watch, also where the journal of its rollback says so, and it is over when a rollback is done
//! and was seen to help, or nobody asked whether; when the watch sees again; or when a person has taken over.
//!
//! ```
//! use std::sync::Arc;
//!
//! use tidegate_canary::{WallClock, notify::{self, Courier, PagerDuty}};
//! use tidegate_registry::InMemory;
//! use tidegate_rollback::{Undo, Vigil, notify::Narrator};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pager = PagerDuty::new(notify::client(reqwest::Client::builder())?, "0123456789abcdef0123456789abcdef")?;
//! let log = Arc::new(InMemory::new()); // where watches and rollbacks are recorded
//! let clock = WallClock::system();
//! let watches = Narrator::<Vigil>::new("serving/fraud".parse()?);
//! let watches = Courier::following(log.clone(), watches, "pager", pager.clone(), clock)?;
//! let rollbacks = Narrator::<Undo>::new("serving/fraud".parse()?);
//! let rollbacks = Courier::following(log, rollbacks, "pager", pager, clock)?;
//! let follows = async move { tokio::join!(watches.run(), rollbacks.run()) }; // to be spawned
//! # drop(follows);
//! # Ok(())
//! # }
//! ```

mod undo;
mod vigil;

use std::{fmt, time::SystemTime};

#[cfg(doc)]
use tidegate_canary::notify::Courier;
use tidegate_canary::{
    Entry, RolloutId, RouteId,
    notify::{Kind, Narrate, Notice, Severity},
};
use tidegate_registry::{BoxError, LogKey, Seq};

use crate::{Line, Record, ledger::Machine};
#[cfg(doc)]
use crate::{Undo, Vigil};

/// Tells what the lines of the journal of a route's watches ([`Vigil`]) or rollbacks ([`Undo`]) mean, in order.
///
/// A line that cannot be read, or does not follow from those before it, is told once; after it nothing is known of what
/// was opened last, and nothing is said of it.
#[derive(Clone, Debug)]
pub struct Narrator<M> {
    route: RouteId,
    told: Option<Told<M>>,
    /// Whether a line since the opening could not be followed.
    broken: bool,
    /// Whether there is an incident.
    incident: bool,
    latest: SystemTime,
}

/// What was opened last.
#[derive(Clone, Debug)]
struct Told<M> {
    id: RolloutId,
    opened: Seq,
    machine: M,
}

/// A machine with something to tell.
pub trait Tell: Machine + fmt::Debug + 'static {
    /// A notice that is about it, by what is known of it and its name.
    fn about(&self, id: &RolloutId, notice: Notice) -> Notice;

    /// That it has begun.
    fn begun(&self, say: &Say<'_>) -> Notice;

    /// What `event` has made of it, which was as `before`; `None` where that is nothing new.
    fn happened(&self, before: &Self, event: &Self::Event, say: &Say<'_>) -> Option<Notice>;

    /// Whether a person has to be woken for it, or is still needed who `was` before.
    fn needs_somebody(&self, was: bool) -> bool;
}

/// Begins a notice: the second is the rest of a sentence that begins with the route.
pub type Say<'a> = dyn Fn(Kind, &str) -> Notice + 'a;

impl<M: Tell> Narrator<M> {
    /// Of a route, from the beginning of the journal or from an opening.
    #[must_use]
    pub const fn new(route: RouteId) -> Self {
        Self { route, told: None, broken: false, incident: false, latest: SystemTime::UNIX_EPOCH }
    }

    fn say(&self, seq: Seq) -> impl Fn(Kind, &str) -> Notice + use<M> {
        let (route, journal, at) = (self.route.clone(), self.key(), self.latest);
        move |kind, text| Notice::new(&journal, seq, at, route.clone(), kind, text)
    }

    fn key(&self) -> LogKey {
        LogKey::new(M::KIND, self.route.as_str()).expect("a route id is a valid log id")
    }

    fn orphaned(&mut self, seq: Seq) -> Option<Notice> {
        self.broke(seq, "it is about something that was not opened before it")
    }

    fn broke(&mut self, seq: Seq, why: &str) -> Option<Notice> {
        if self.broken {
            return None;
        }
        self.broken = true;
        let text = format!("record {seq} of the journal of its {}s cannot be followed: {why}", M::KIND);
        let remedy = format!("restore the journal; until then there can be no {} of this route", M::KIND);
        let notice = self.say(seq)(Kind::Broken, &text).with_severity(Severity::Critical);
        Some(self.finish(notice.with_reasons([why]).with_remedy(remedy), true))
    }

    fn finish(&mut self, notice: Notice, needed: bool) -> Notice {
        let was = std::mem::replace(&mut self.incident, needed);
        let notice = notice.with_incident(was, needed);
        match &self.told {
            Some(Told { id, machine, .. }) => machine.about(id, notice),
            None => notice,
        }
    }
}

impl<M: Tell> Narrate for Narrator<M> {
    type Line = Line<M>;

    fn journal(&self) -> LogKey {
        self.key()
    }

    fn tell(&mut self, seq: Seq, line: &Line<M>) -> Option<Notice> {
        let Entry { at, record } = line;
        self.latest = *at;
        match record {
            Record::Open { id, order } => {
                let machine = M::begin((**order).clone(), *at);
                let notice = machine.begun(&self.say(seq));
                self.told = Some(Told { id: id.clone(), opened: seq, machine });
                (self.broken, self.incident) = (false, false);
                Some(self.finish(notice, false))
            }
            // Who drives it is nothing to people.
            Record::Resume { id } if self.told.as_ref().is_some_and(|told| told.id == *id) => None,
            Record::Resume { .. } => self.orphaned(seq),
            Record::Happen(_) if self.broken => None,
            Record::Happen(event) => {
                let say = self.say(seq);
                let Some(told) = &mut self.told else { return self.orphaned(seq) };
                let before = told.machine.clone();
                if let Err(illegal) = told.machine.happen(event, *at) {
                    return self.broke(seq, &illegal.to_string());
                }
                let machine = &told.machine;
                let (notice, needed) =
                    (machine.happened(&before, event, &say), machine.needs_somebody(self.incident));
                // What nobody is told of opens and resolves nothing.
                notice.map(|notice| self.finish(notice, needed))
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
