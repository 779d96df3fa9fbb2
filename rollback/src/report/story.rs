//! An incident as it is told, whatever it is written in.

use std::time::{Duration, SystemTime};

use tidegate_canary::metrics::{Verdict, plot::words};
use tidegate_registry::ModelRef;

use super::{
    choice::{self, Choosing},
    incident::Incident,
    moment::Moment,
    moments::{self, Course},
    proof::{self, Alarm, Proof},
};
use crate::{Helped, State, Undo, Vigil, Vigilance};

/// So many moments are told; of more, those in the middle are left out.
const MOST: usize = 200;

pub(super) struct Story<'a> {
    pub(super) incident: &'a Incident,
    pub(super) left: &'a ModelRef,
    pub(super) to: Option<&'a ModelRef>,
    pub(super) watch: Option<Course<Vigil>>,
    pub(super) rollback: Option<Course<Undo>>,
    pub(super) outcome: Outcome,
    /// What a person must do now.
    pub(super) to_do: Vec<String>,
    /// Oldest first.
    pub(super) moments: Vec<Moment>,
    /// How many are left out, after the first so many.
    pub(super) left_out: Option<(usize, usize)>,
    pub(super) milestones: Vec<Milestone>,
    /// From which on other times are told.
    pub(super) zero: SystemTime,
    /// What happened then.
    pub(super) counted: &'static str,
    pub(super) alarm: Option<Alarm<'a>>,
    pub(super) recovery: Option<Proof<'a>>,
    pub(super) choosing: Option<Choosing>,
}

/// How it ended.
pub(super) struct Outcome {
    /// The badge: `pass`, `fail`, `inconclusive`, `waiting`, `seized` or `running`.
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    /// As whole sentences.
    pub(super) text: String,
}

/// A time by which the length of an incident is measured.
pub(super) struct Milestone {
    pub(super) what: &'static str,
    pub(super) at: SystemTime,
}

impl<'a> Story<'a> {
    pub(super) fn of(incident: &'a Incident) -> Self {
        let left = &incident.left().model;
        let to = incident.rollback.as_ref().map(|rollback| &rollback.order.to.model);
        let watch = incident.watch.as_ref().map(moments::of_watch);
        let rollback = incident.rollback.as_ref().map(moments::of_rollback);
        let alarm = incident.watch.as_ref().and_then(proof::of_alarm);
        let milestones = milestones(incident, watch.as_ref(), rollback.as_ref(), alarm.as_ref());
        let at = |what: &str| milestones.iter().find(|known| known.what == what).map(|known| known.at);
        let own = moments::joined(incident, watch.as_ref(), rollback.as_ref());
        let first = own.iter().map(|moment| moment.at).min().unwrap_or(SystemTime::UNIX_EPOCH);
        let last = own.iter().map(|moment| moment.at).max().unwrap_or(first);
        let (zero, counted) = match (at(SEEN), at(DECIDED)) {
            (Some(seen), _) => (seen, "the fault was seen"),
            (None, Some(decided)) => (decided, "it was decided to go back"),
            (None, None) => (first, "the watch began"),
        };
        let mut moments = moments::of_others(incident, last);
        moments.extend(own);
        moments.sort_by_key(|moment| moment.at);
        let left_out = moments.len().checked_sub(MOST).filter(|over| *over > 0).map(|over| (MOST / 2, over));
        if let Some((from, over)) = left_out {
            moments.drain(from..from + over);
        }
        Self {
            outcome: outcome(watch.as_ref(), rollback.as_ref(), left, to),
            to_do: to_do(incident, watch.as_ref(), rollback.as_ref()),
            choosing: choice::of(incident, at(DECIDED).unwrap_or(last)),
            recovery: proof::of_recovery(incident),
            incident,
            left,
            to,
            watch,
            rollback,
            moments,
            left_out,
            milestones,
            zero,
            counted,
            alarm,
        }
    }

    /// What is told of, in a line.
    pub(super) fn title(&self) -> String {
        format!("Incident: {} on {}", self.left, self.incident.route())
    }

    /// Whether nothing more happens by itself or by asking the watch.
    pub(super) fn is_over(&self) -> bool {
        let watch = self.watch.as_ref().and_then(Course::last).is_none_or(|vigil| vigil.state().is_end());
        watch && self.rollback.as_ref().and_then(Course::last).is_none_or(|undo| undo.state().is_end())
    }

    /// How long before or after the fault was seen `at` was: `−01:30`, `+12:30`.
    pub(super) fn offset(&self, at: SystemTime) -> String {
        match at.duration_since(self.zero) {
            Ok(after) => words::offset(after),
            Err(before) => words::offset(before.duration()).replace('+', "−"),
        }
    }

    /// The milestones with how long each took since the one before.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Milestone, Option<Duration>)> {
        let before = std::iter::once(None).chain(self.milestones.iter().map(Some));
        let took = |(milestone, before): (&'_ Milestone, Option<&Milestone>)| {
            before.map(|before| milestone.at.duration_since(before.at).unwrap_or_default())
        };
        self.milestones
            .iter()
            .zip(before)
            .map(move |(milestone, before)| (milestone, took((milestone, before))))
    }

    /// The facts that a head shows: what they are, and of which value.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let incident = self.incident;
        let mut facts =
            vec![("Route", incident.route().to_string()), ("Channel", incident.channel().to_string())];
        let digest = |digest: &tidegate_registry::Digest| digest.hex()[..12].to_owned();
        facts.push((
            if incident.rollback.is_some() { "Left" } else { "Watched" },
            format!("{} ({})", self.left, digest(&incident.left().digest)),
        ));
        if let Some(rollback) = &incident.rollback {
            let to = &rollback.order.to;
            facts.push(("Gone back to", format!("{} ({})", to.model, digest(&to.digest))));
        }
        facts.extend(self.watch.as_ref().map(|watch| ("Watch", watch.id.clone())));
        facts.extend(self.rollback.as_ref().map(|rollback| ("Rollback", rollback.id.clone())));
        let orderer = incident.rollback.as_ref().and_then(|rollback| rollback.order.orderer());
        facts.extend(orderer.map(|by| ("Ordered by", by)));
        facts.extend(incident.rollout.as_ref().map(|(id, _, _)| ("Rollout", id.to_string())));
        facts
    }
}

pub(super) const BEGAN: &str = "First bad window";
pub(super) const SEEN: &str = "Fault seen";
pub(super) const DECIDED: &str = "Decided to go back";
pub(super) const HELD: &str = "Left to a person";
pub(super) const BACK: &str = "Traffic back";
pub(super) const RECOVERED: &str = "Recovered";

fn milestones(
    incident: &Incident,
    watch: Option<&Course<Vigil>>,
    rollback: Option<&Course<Undo>>,
    alarm: Option<&Alarm<'_>>,
) -> Vec<Milestone> {
    let seen =
        incident.watch.as_ref().zip(watch).and_then(|(stretch, course)| moments::seen(stretch, course));
    let began = alarm.and_then(|alarm| alarm.onset).filter(|began| seen.is_some_and(|seen| *began <= seen));
    let decided = incident.rollback.as_ref().map(super::incident::Stretch::began);
    let back = rollback.and_then(|course| moments::traffic_back(incident, course));
    let recovered = rollback.and_then(|course| {
        let proven = |(_, undo): &&(SystemTime, Undo)| {
            matches!(undo.state(), State::Done { helped: Helped::Proven, .. })
        };
        course.places.iter().find(proven).map(|(at, _)| *at)
    });
    let held = watch.and_then(moments::held);
    let all = [
        (BEGAN, began),
        (SEEN, seen),
        (HELD, held),
        (DECIDED, decided),
        (BACK, back),
        (RECOVERED, recovered),
    ];
    let mut known: Vec<_> =
        all.into_iter().filter_map(|(what, at)| Some(Milestone { what, at: at? })).collect();
    known.sort_by_key(|milestone| milestone.at);
    known
}

fn outcome(
    watch: Option<&Course<Vigil>>,
    rollback: Option<&Course<Undo>>,
    left: &ModelRef,
    to: Option<&ModelRef>,
) -> Outcome {
    let say = |class, word, text: String| Outcome { class, word, text };
    if let (Some(undo), Some(to)) = (rollback.and_then(Course::last), to) {
        return match undo.state() {
            State::Done { helped: Helped::Proven, .. } => {
                say("pass", "recovered", format!("All traffic is on {to}, and that was seen to help."))
            }
            State::Done { helped: Helped::Unasked, .. } => say(
                "pass",
                "rolled back",
                format!("All traffic is on {to}. Nobody asked to see whether that helped."),
            ),
            State::Done { .. } => say(
                "inconclusive",
                "unproven",
                format!("All traffic is on {to}, but too little was seen to say whether that helped."),
            ),
            State::Stuck { during, why, .. } => {
                say("fail", "stuck", format!("The rollback to {to} got stuck while {during}: {why}."))
            }
            State::Aborted { by, reason, .. } => say(
                "seized",
                "called off",
                format!("The rollback to {to} was called off by {by}: {reason}. No traffic went there."),
            ),
            state => say("running", "under way", format!("The rollback to {to} is {}.", state.doing())),
        };
    }
    let Some(vigil) = watch.and_then(Course::last) else {
        return say("running", "under way", format!("{left} is being left."));
    };
    let text = format!("The watch of {left} {}.", vigil.state());
    match vigil.state() {
        Vigilance::Alarmed { .. } | Vigilance::Returning { .. } => say("running", "under way", text),
        Vigilance::Blind { .. } => say("waiting", "blind", text),
        Vigilance::Held { .. } => say("waiting", "held", text),
        Vigilance::Kept { verdict: Verdict::Pass } => say("pass", "over", text),
        Vigilance::Kept { .. } => say("inconclusive", "undecided", text),
        Vigilance::Moved { .. } => say("seized", "moved on", text),
        Vigilance::Returned { done: true, .. } => say("pass", "rolled back", text),
        Vigilance::Returned { .. } => say("fail", "stuck", text),
        Vigilance::Stopped { .. } => say("seized", "stopped", text),
        Vigilance::Watching => say("running", "watching", text),
    }
}

fn to_do(incident: &Incident, watch: Option<&Course<Vigil>>, rollback: Option<&Course<Undo>>) -> Vec<String> {
    let mut to_do = Vec::new();
    let undo = rollback.and_then(Course::last);
    match undo.map(Undo::state) {
        Some(State::Stuck { remedy, .. }) => to_do.push(remedy.to_string()),
        Some(State::Aborted { remedy, .. }) => to_do.extend(remedy.clone()),
        _ => {}
    }
    to_do.extend(watch.and_then(Course::last).and_then(|vigil| vigil.state().remedy()).map(str::to_owned));
    if let (None, Some(State::Done { helped: Helped::Unproven, .. })) = (watch, undo.map(Undo::state)) {
        to_do.push("whether the rollback has helped was not seen; look at the target yourself".to_owned());
    }
    let order = incident.rollback.as_ref().map(|rollback| &rollback.order);
    if order.is_some_and(|order| order.quarantine)
        && matches!(undo.map(Undo::state), Some(State::Done { .. }))
    {
        to_do.push(format!(
            "find out what was wrong with {} before anybody lifts its quarantine",
            incident.left().model
        ));
    }
    to_do
}
