//! How a watch stands at a moment.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tidegate::{
    canary::RolloutId,
    metrics::Judgement,
    rollback::{Ledger, Line, Look, Machine, Record, Undo, Vigil, VigilEvent, Vigilance, Watch},
};

use crate::{picture::Obstacle, words::plain};

/// A watch at a moment, all that happened to it by then, and what it has seen lately.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) id: RolloutId,
    pub(super) vigil: Vigil,
    /// When it was opened, when the last line was written.
    pub(super) opened: SystemTime,
    pub(super) last: SystemTime,
    /// What was written into its journal, and into that of its rollback, in the order of time.
    pub(super) events: Vec<(SystemTime, String)>,
    /// Its rollback, if it goes back or has.
    pub(super) undo: Option<Undo>,
    /// Oldest first.
    pub(super) looks: Vec<Look>,
    pub(super) now: SystemTime,
}

/// A line, and the machine after it.
pub(super) type Step<M> = (Line<M>, M);

/// What was written about the watch or rollback `id`, by some time if not by now.
pub(super) fn steps<M: Machine>(ledger: &Ledger<M>, id: &RolloutId, by: Option<SystemTime>) -> Vec<Step<M>> {
    let mut steps: Vec<Step<M>> = Vec::new();
    for line in ledger.lines().iter().filter(|line| by.is_none_or(|by| line.at <= by)) {
        match (&line.record, steps.last()) {
            (Record::Open { id: opened, order }, None) if opened == id => {
                steps.push((line.clone(), M::begin((**order).clone(), line.at)));
            }
            (Record::Open { .. }, Some(_)) => break,
            (record, Some((_, machine))) => {
                let mut machine = machine.clone();
                if let Record::Happen(event) = record {
                    // The journal has no others than possible ones.
                    let _impossible = machine.happen(event, line.at);
                }
                steps.push((line.clone(), machine));
            }
            (_, None) => {}
        }
    }
    steps
}

/// The rollback that a watch has begun.
pub(super) fn returns_by(state: &Vigilance) -> Option<&RolloutId> {
    match state {
        Vigilance::Returning { id, .. } | Vigilance::Returned { id, .. } => Some(id),
        _ => None,
    }
}

impl View {
    /// Of the watch whose journal says this, which is never nothing. `looks` are what is known besides of what it saw.
    pub(super) fn of(
        id: &RolloutId,
        watch: &[Step<Vigil>],
        rollback: &[Step<Undo>],
        looks: Vec<Look>,
        now: SystemTime,
    ) -> Option<Self> {
        let ((first, _), (last, vigil)) = (watch.first()?, watch.last()?);
        let mut events: Vec<_> = watch.iter().map(|(line, vigil)| (line.at, happened(line, vigil))).collect();
        let undone = |(line, undo): &Step<Undo>| (line.at, format!("the rollback is {}", undo.state()));
        events.extend(rollback.iter().skip(1).map(undone));
        events.sort_by_key(|(at, _)| *at);
        let looks = if looks.is_empty() { journaled(watch) } else { looks };
        let last = rollback.last().map_or(last.at, |(line, _)| line.at.max(last.at));
        Some(Self {
            id: id.clone(),
            vigil: vigil.clone(),
            opened: first.at,
            last,
            events,
            undo: rollback.last().map(|(_, undo)| undo.clone()),
            looks,
            now,
        })
    }

    pub(super) fn watch(&self) -> &Watch {
        self.vigil.watch()
    }

    pub(super) fn since(&self, at: SystemTime) -> Duration {
        self.now.duration_since(at).unwrap_or_default()
    }

    /// What the looks say, one for each criterion, as the watch itself judges; nothing by a watch that does not hold up.
    pub(super) fn judgements(&self) -> Vec<Judgement> {
        self.watch().judge(&self.looks).unwrap_or_default()
    }

    /// What stands in its way, with what ends it.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        let route = plain(self.watch().route.as_str());
        let command = |verb: &str, more: &str| format!("`tidegate rollback {verb} --route {route}{more}`");
        match self.vigil.state() {
            Vigilance::Held { .. } => Some(Obstacle {
                why: format!("the watch {}", plain(&self.vigil.state().to_string())),
                ends: vec![
                    format!("{} lets it act by itself again", command("resume", "")),
                    format!("{} goes back now", command("alarm", " --now --reason …")),
                    format!("{} ends it", command("stop", " --reason …")),
                ],
                is_for_a_person: true,
            }),
            state @ Vigilance::Blind { .. } => Some(Obstacle {
                why: format!("the watch {}", plain(&state.to_string())),
                ends: state.remedy().map(ToOwned::to_owned).into_iter().collect(),
                is_for_a_person: true,
            }),
            _ => None,
        }
    }

    /// All of it, for machines.
    pub(super) fn json(&self) -> Value {
        let rfc3339 = |at| humantime::format_rfc3339_millis(at).to_string();
        let watch = self.watch();
        let state = self.vigil.state();
        json!({
            "id": self.id,
            "route": watch.route,
            "release": watch.release,
            "channel": watch.channel,
            "said": state.to_string(),
            "over": state.is_end(),
            "remedy": state.remedy(),
            "rollback": self.undo.as_ref().map(|undo| json!({
                "id": returns_by(state), "to": undo.order().to, "said": undo.state().to_string(),
            })),
            "judgements": if self.looks.is_empty() { Vec::new() } else { self.judgements() },
            "opened": rfc3339(self.opened),
            "until": rfc3339(self.vigil.until()),
            "lastLine": rfc3339(self.last),
            "at": rfc3339(self.now),
        })
    }
}

/// What a line of a watch's journal is, in a sentence.
pub(super) fn happened(line: &Line<Vigil>, vigil: &Vigil) -> String {
    plain(&match &line.record {
        Record::Open { id, .. } => format!("opened as {id}"),
        Record::Resume { .. } => "another process goes on with it".to_owned(),
        Record::Happen(VigilEvent::Ask(request)) => {
            format!("{} asks: the watch {}", request.by(), vigil.state())
        }
        _ => format!("the watch {}", vigil.state()),
    })
}

/// What the journal itself keeps of what was seen: the span before an alarm.
fn journaled(watch: &[Step<Vigil>]) -> Vec<Look> {
    let looks = watch.iter().rev().find_map(|(line, _)| match &line.record {
        Record::Happen(VigilEvent::Alarmed { looks, .. } | VigilEvent::Begun { looks, .. }) => {
            Some(looks.clone()).filter(|looks| !looks.is_empty())
        }
        _ => None,
    });
    looks.unwrap_or_default()
}
