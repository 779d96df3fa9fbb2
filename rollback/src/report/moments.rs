//! The course of an incident: the lines of all its journals as moments, and where the machines were.

use std::time::SystemTime;

use tidegate_canary::{Event as RouteEvent, Record as RouteRecord, report::sentence};
use tidegate_registry::Cause;

use super::{
    incident::{Incident, Stretch},
    moment::{Moment, Tone},
    tell,
};
use crate::{Event, Record, State, Undo, Vigil, VigilEvent, VigilRequest, Vigilance, ledger::Machine};

/// A machine after each line that could be followed, the first one when it was opened.
pub(super) struct Course<M> {
    pub(super) id: String,
    pub(super) moments: Vec<Moment>,
    pub(super) places: Vec<(SystemTime, M)>,
}

impl<M> Course<M> {
    /// Where it ended.
    pub(super) fn last(&self) -> Option<&M> {
        self.places.last().map(|(_, machine)| machine)
    }
}

pub(super) fn of_watch(stretch: &Stretch<Vigil>) -> Course<Vigil> {
    let who = format!("watch {}", stretch.id);
    let watch = &stretch.order;
    let duration = humantime::format_duration;
    let opened = format!(
        "began to watch {} for {}, with a look every {}",
        watch.release.model,
        duration(watch.lasts),
        duration(watch.window)
    );
    replay(stretch, &who, &opened, watch.check().is_ok(), |event, _, vigil| tell::of_watch(event, vigil))
}

pub(super) fn of_rollback(stretch: &Stretch<Undo>) -> Course<Undo> {
    let who = format!("rollback {}", stretch.id);
    let order = &stretch.order;
    let by = order.orderer().map_or_else(|| ",".to_owned(), |by| format!(", ordered by {by},"));
    let unsure = order.choice.as_ref().and_then(|choice| choice.unsure.as_ref());
    let unsure = unsure.map(|why| format!("; it was not known what is in quarantine: {why}"));
    let (from, to) = (&order.from.model, &order.to.model);
    let opened =
        format!("began{by} to leave {from} for {to}: {}{}", order.reason, unsure.unwrap_or_default());
    let mut course = replay(stretch, &who, &opened, order.check().is_ok(), |event, before, undo| {
        let (tone, what) = tell::of_rollback(event, before.state(), undo);
        (None, tone, what)
    });
    fold(&mut course.moments);
    course
}

fn replay<M: Machine>(
    stretch: &Stretch<M>,
    who: &str,
    opened: &str,
    sound: bool,
    tell: impl Fn(&M::Event, &M, &M) -> (Option<String>, Tone, String),
) -> Course<M> {
    let mut machine = M::begin(stretch.order.clone(), stretch.began());
    let mut course = Course {
        id: stretch.id.to_string(),
        moments: vec![Moment::new(stretch.began(), who, Tone::Plain, opened)],
        places: vec![(stretch.began(), machine.clone())],
    };
    for line in &stretch.lines[1..] {
        let moment = match &line.record {
            Record::Happen(event) if sound => {
                let before = machine.clone();
                match machine.happen(event, line.at) {
                    Ok(()) => {
                        course.places.push((line.at, machine.clone()));
                        let (by, tone, what) = tell(event, &before, &machine);
                        Moment::new(line.at, by.as_deref().unwrap_or(who), tone, what)
                    }
                    Err(illegal) => Moment::new(
                        line.at,
                        who,
                        Tone::Bad,
                        format!("has a line that does not follow from those before it: {illegal}"),
                    ),
                }
            }
            Record::Happen(_) => Moment::new(
                line.at,
                who,
                Tone::Bad,
                "has a line that cannot be followed, since what was opened makes no sense",
            ),
            Record::Open { .. } | Record::Resume { .. } => {
                Moment::new(line.at, who, Tone::Plain, "was taken up again by another process")
            }
        };
        course.moments.push(moment);
    }
    course
}

/// Of windows in a row that said nothing new, the last one is told.
fn fold(moments: &mut Vec<Moment>) {
    let looked = |moment: &Moment| moment.what.starts_with("looked at ");
    let mut folded: Vec<Moment> = Vec::new();
    let mut count = 0;
    for moment in moments.drain(..) {
        count = if looked(&moment) { count + 1 } else { 0 };
        match folded.last_mut() {
            Some(last) if count > 1 => {
                *last = Moment { what: format!("{}, {count} windows long", moment.what), ..moment };
            }
            _ => folded.push(moment),
        }
    }
    *moments = folded;
}

/// What the rollout and the channel add.
pub(super) fn of_others(incident: &Incident, until: SystemTime) -> Vec<Moment> {
    let mut moments = Vec::new();
    let left = &incident.left().model;
    if let Some((id, plan, entries)) = &incident.rollout {
        let who = format!("rollout {id}");
        for entry in entries.iter().filter(|entry| entry.at <= until) {
            let (tone, what) = match &entry.record {
                RouteRecord::Open { .. } => {
                    let steps: Vec<String> = plan.steps.iter().map(|step| step.weight.to_string()).collect();
                    let (stable, steps) = (&plan.stable.model, steps.join(", "));
                    (Tone::Plain, format!("began to roll out {left}, from {stable}, in steps of {steps}"))
                }
                RouteRecord::Happen(RouteEvent::Recorded { seq }) => {
                    let channel = &plan.channel;
                    (Tone::Plain, format!("promoted {left}: {channel} is it, by record {seq} of its model"))
                }
                RouteRecord::Happen(RouteEvent::Settled) => {
                    (Tone::Plain, format!("settled {left}: it had finished its bake"))
                }
                RouteRecord::Happen(RouteEvent::Ask(_)) => (Tone::Person, sentence(&entry.record)),
                RouteRecord::Happen(RouteEvent::Failed { why }) => {
                    (Tone::Bad, format!("could not go on: {why}"))
                }
                _ => continue,
            };
            moments.push(Moment::new(entry.at, &who, tone, what));
        }
    }
    moments.extend(of_channel(incident));
    moments
}

/// The moves of the channel since what was left was put in service, but for those that another journal tells.
fn of_channel(incident: &Incident) -> Vec<Moment> {
    let left = &incident.left().model;
    let told = |id: &str| {
        let rollout = incident.rollout.as_ref().is_some_and(|(known, _, _)| known.to_string() == id);
        rollout || incident.rollback.as_ref().is_some_and(|known| known.id.to_string() == id)
    };
    let began = incident.began();
    let put = |at: &usize| {
        let moved = &incident.history[*at];
        moved.to == *left && moved.stamp.at <= began
    };
    let Some(first) = (0..incident.history.len()).rev().find(put) else { return Vec::new() };
    let mut moments = Vec::new();
    for moved in &incident.history[first..] {
        let (by, at) = (&moved.stamp.by, moved.stamp.at);
        let (channel, to) = (incident.channel(), &moved.to);
        match &moved.cause {
            Cause::Rollout { id } | Cause::Rollback { id, .. } if told(id) => {}
            Cause::Promote => {
                moments.push(Moment::new(at, by, Tone::Person, format!("promoted {to} to {channel}")));
            }
            Cause::Revert { reason, .. } => {
                let what = format!("took back a promotion, so that {channel} is {to}: {reason}");
                moments.push(Moment::new(at, by, Tone::Person, what));
            }
            _ => moments.push(Moment::new(at, by, Tone::Plain, format!("moved {channel} to {to}"))),
        }
        if let Some(settled) =
            moved.settled.as_ref().filter(|settled| !told(settled.by.trim_start_matches("rollout ")))
        {
            moments.push(Moment::new(
                settled.at,
                &settled.by,
                Tone::Good,
                format!("settled {to} in {channel}"),
            ));
        }
    }
    moments
}

/// When all traffic was first seen on the target.
pub(super) fn traffic_back(incident: &Incident, course: &Course<Undo>) -> Option<SystemTime> {
    let lines = &incident.rollback.as_ref()?.lines;
    let routed = |at: SystemTime| {
        lines.iter().any(|line| line.at == at && matches!(line.record, Record::Happen(Event::Routed)))
    };
    let arrived = course.places.windows(2).find(|pair| {
        let ((_, before), (at, after)) = (&pair[0], &pair[1]);
        let moved = matches!(
            (before.state(), after.state()),
            (State::Shift, State::Still) | (State::Return, State::Record)
        );
        moved && routed(*at)
    });
    arrived.map(|pair| pair[1].0)
}

/// When something was first known to be wrong, in the last episode of the watch.
pub(super) fn seen(stretch: &Stretch<Vigil>, course: &Course<Vigil>) -> Option<SystemTime> {
    // Somebody may say so while nothing follows from it.
    let told = stretch.lines.iter().filter_map(|line| match &line.record {
        Record::Happen(VigilEvent::Ask(VigilRequest::Alarm { .. })) => Some((line.at, true)),
        _ => None,
    });
    let wrong = course.places.iter().filter_map(|(at, vigil)| match vigil.state() {
        Vigilance::Watching => Some((*at, false)),
        Vigilance::Alarmed { .. } | Vigilance::Blind { .. } => Some((*at, true)),
        _ => None,
    });
    let mut known: Vec<_> = wrong.chain(told).collect();
    known.sort_by_key(|(at, _)| *at);
    let episodes: Vec<_> = known.chunk_by(|a, b| a.1 == b.1).map(|episode| episode[0]).collect();
    episodes.into_iter().rev().find(|(_, wrong)| *wrong).map(|(at, _)| at)
}

/// Since when it was left to a person, if that is how it ended or went on to be decided.
pub(super) fn held(course: &Course<Vigil>) -> Option<SystemTime> {
    let mut held = None;
    for (at, vigil) in &course.places {
        held = match vigil.state() {
            Vigilance::Watching | Vigilance::Blind { .. } => None,
            Vigilance::Held { .. } => held.or(Some(*at)),
            _ => held,
        };
    }
    held
}

/// The moments of both, in their order: those of the watch up to its order, those of the rollback, and the rest.
pub(super) fn joined(
    incident: &Incident,
    watch: Option<&Course<Vigil>>,
    rollback: Option<&Course<Undo>>,
) -> Vec<Moment> {
    let watch = watch.map_or(&[][..], |course| &course.moments);
    let rollback = rollback.map_or(&[][..], |course| &course.moments);
    let lines = incident.watch.iter().flat_map(|watch| &watch.lines);
    let mut begun = lines.map(|line| matches!(line.record, Record::Happen(VigilEvent::Begun { .. })));
    let (before, after) = watch.split_at(begun.position(|begun| begun).map_or(watch.len(), |at| at + 1));
    [before, rollback, after].concat()
}
