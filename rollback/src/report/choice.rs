//! Why there and nowhere else: what was known when it was decided; where no journal has that, the choice made again
//! from the channel's history as it was then.

use std::time::SystemTime;

use tidegate_registry::{Cause, ModelRef, Move};

use super::incident::{Incident, Stretch};
use crate::{Order, PassedOver, Record, Target, Vigil, VigilEvent};

/// The versions that there were to choose from, and what was said of each.
pub(super) struct Choosing {
    /// What the section is called.
    pub(super) title: &'static str,
    /// What was asked for, or how it comes out, as a sentence.
    pub(super) asked: String,
    /// Newest first.
    pub(super) versions: Vec<Version>,
}

/// One version of the channel.
pub(super) struct Version {
    pub(super) model: ModelRef,
    /// When it was last put in service, and by whom.
    pub(super) put: SystemTime,
    pub(super) by: String,
    pub(super) settled: bool,
    /// Whether it is where the rollback goes.
    pub(super) chosen: bool,
    /// Why it is, or is not.
    pub(super) why: String,
}

impl Choosing {
    /// The versions that tables show.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Version> {
        const MOST: usize = 20;
        self.versions.iter().take(MOST)
    }
}

/// What a target was looked for by, and what came of it.
struct Looked {
    target: Target,
    to: Option<ModelRef>,
    passed_over: Vec<(ModelRef, PassedOver)>,
    /// Whether it is by what is known now: what was known then is in no journal.
    now: bool,
}

/// `None` where nothing was to be chosen from.
pub(super) fn of(incident: &Incident, decided: SystemTime) -> Option<Choosing> {
    let history = as_of(incident, decided);
    let head = history.last()?;
    let order = incident.rollback.as_ref().map(|rollback| &rollback.order);
    // What a rollout was trying then, where that is what is left.
    let tried = order.map(|order| &order.from.model).filter(|from| **from != head.to);
    let ordered_by_watch = match (&incident.watch, order) {
        (Some(_), None) => true,
        (Some(watch), Some(order)) => order.watch.as_ref() == Some(&watch.id),
        (None, _) => false,
    };
    let watch = incident.watch.as_ref().filter(|_| ordered_by_watch);
    let target = watch.map_or(Target::LastGood, |watch| watch.order.target.clone());
    let looked = then(order, watch, &target).unwrap_or_else(|| {
        let (to, passed_over) = match target.choose(&history, tried, &incident.survey) {
            Ok(choice) => (Some(choice.to), choice.passed_over),
            Err(none) => (None, none.passed_over()),
        };
        Looked { target, to, passed_over, now: true }
    });
    let went = order.map(|order| &order.to.model);
    let by_whom = match (ordered_by_watch, order.and_then(|order| order.by.as_deref())) {
        (true, _) => None,
        (false, by) => Some(by.unwrap_or("whoever ordered the rollback")),
    };
    let asked = asked(&looked, by_whom, went);
    let chosen = went.or(looked.to.as_ref());
    let mut versions: Vec<Version> = Vec::new();
    for moved in history.iter().rev() {
        if versions.iter().any(|known| known.model == moved.to) {
            continue;
        }
        let is_chosen = chosen == Some(&moved.to);
        let settled = history.iter().any(|other| other.to == moved.to && other.settled.is_some());
        let why = looked.passed_over.iter().find(|(model, _)| *model == moved.to).map(|(_, why)| why);
        let was_found = looked.to.as_ref() == Some(&moved.to);
        let why = match (is_chosen, why) {
            (true, None) if went.is_none() => "it would be chosen".to_owned(),
            (true, None) if was_found && !matches!(looked.target, Target::Exactly(_)) => {
                "it was chosen".to_owned()
            }
            (true, _) => match by_whom {
                Some(by) => format!("it was named by {by}"),
                None => "it was named by the watch".to_owned(),
            },
            (false, Some(PassedOver::InService)) => "it was in service, and was to be left".to_owned(),
            (false, Some(why)) => format!("passed over: it {why}"),
            (false, None) if tried.is_none() && moved.to == head.to => {
                "it was in service, and was to be left".to_owned()
            }
            (false, None) if was_found => {
                "it was the last known good version, but another was named".to_owned()
            }
            (false, None) => match looked.target {
                Target::Back(_) => "not looked at: it lies further back".to_owned(),
                Target::Exactly(_) => "not looked at: another was named".to_owned(),
                Target::LastGood => "not looked at: a newer one was good".to_owned(),
            },
        };
        versions.push(Version {
            model: moved.to.clone(),
            put: moved.stamp.at,
            by: moved.stamp.by.clone(),
            settled,
            chosen: is_chosen,
            why,
        });
    }
    let title = if went.is_some() { "Why this target" } else { "Where it could go back to" };
    Some(Choosing { title, asked, versions })
}

/// What was known when it was decided, where that is in a journal.
fn then(order: Option<&Order>, watch: Option<&Stretch<Vigil>>, target: &Target) -> Option<Looked> {
    if let Some(order) = order {
        let choice = order.choice.clone()?;
        let (target, to) = (choice.target, Some(choice.to));
        return Some(Looked { target, to, passed_over: choice.passed_over, now: false });
    }
    let last = watch?.lines.iter().rev().find_map(|line| match &line.record {
        Record::Happen(VigilEvent::Held { passed_over, .. }) => Some(passed_over),
        _ => None,
    });
    let passed_over = last.filter(|passed_over| !passed_over.is_empty())?.clone();
    Some(Looked { target: target.clone(), to: None, passed_over, now: false })
}

/// `by` is nobody where it was the watch.
fn asked(looked: &Looked, by: Option<&str>, went: Option<&ModelRef>) -> String {
    let Looked { target, to, now, .. } = looked;
    let wanted = match (target, by) {
        (Target::Back(n), None) => format!("The watch goes {n} versions back"),
        (Target::Exactly(to), None) => format!("The watch names {to} as the version to go back to"),
        (Target::LastGood, None) => "The watch goes back to the last known good version".to_owned(),
        (Target::Back(n), Some(by)) => format!("Asked for by {by}: the version {n} back"),
        (Target::Exactly(to), Some(by)) => format!("Named by {by}: {to}"),
        (Target::LastGood, Some(by)) if *now => format!("The target was named by {by}"),
        (Target::LastGood, Some(by)) => format!("Asked for by {by}: the last known good version"),
    };
    match (went, to, now) {
        (None, None, false) => format!("{wanted}, and there was none."),
        (None, None, true) => format!("{wanted}; by what is known now there is none."),
        (None, Some(found), _) => {
            format!("{wanted}, which by what is known now would be {found}; nothing was left.")
        }
        (Some(_), _, false) if matches!(target, Target::Exactly(_)) => format!("{wanted}."),
        (Some(went), _, false) => format!("{wanted}, which was {went}."),
        (Some(went), Some(found), true) if went == found && by.is_none() => {
            format!("{wanted}, which was {went}.")
        }
        (Some(went), Some(found), true) if by.is_some() => {
            format!("{wanted}: {went}; by what is known now the last known good version was {found}.")
        }
        (Some(went), Some(found), true) => {
            format!("{wanted}. It went to {went}; by what is known now it would be {found}.")
        }
        (Some(went), None, true) => {
            format!("{wanted}. It went to {went}; by what is known now there would be none.")
        }
    }
}

/// The history as it was when it was decided: by the record of the rollback's own move, and by the clock.
fn as_of(incident: &Incident, decided: SystemTime) -> Vec<Move> {
    let own = |moved: &&Move| match (&moved.cause, &incident.rollback) {
        (Cause::Rollback { id, .. }, Some(rollback)) => *id == rollback.id.to_string(),
        _ => false,
    };
    let before = incident.history.iter().take_while(|moved| !own(moved) && moved.stamp.at <= decided);
    let as_then = |moved: &Move| {
        let mut moved = moved.clone();
        moved.settled = moved.settled.filter(|settled| settled.at <= decided);
        moved
    };
    before.map(as_then).collect()
}
