//! What was seen: the looks that an alarm carries, and the windows of the target in service.

use std::time::SystemTime;

use tidegate_canary::metrics::{Criterion, Evidence, Judgement, Measurement, Window, judge};

use super::incident::{Incident, Stretch};
use crate::{
    Event, Line, Record, Undo, Vigil, VigilEvent, VigilRequest,
    span::{Span, fitting},
};

/// What was seen of one version, and what it says.
pub(super) struct Proof<'a> {
    pub(super) criteria: &'a [Criterion],
    pub(super) evidence: Vec<Evidence>,
    pub(super) judgements: Vec<Judgement>,
    /// The windows, oldest first.
    pub(super) windows: Vec<(Window, Vec<Measurement>)>,
}

impl Proof<'_> {
    /// The windows that tables show, oldest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &(Window, Vec<Measurement>)> {
        const MOST: usize = 12;
        self.windows.iter().skip(self.windows.len().saturating_sub(MOST))
    }
}

/// What the last alarm of the watch says.
pub(super) struct Alarm<'a> {
    pub(super) why: Vec<String>,
    /// When the first of the windows that were bad began.
    pub(super) onset: Option<SystemTime>,
    /// Whether there is none before it in the journal.
    pub(super) perhaps_earlier: bool,
    pub(super) proof: Option<Proof<'a>>,
}

pub(super) fn of_alarm(stretch: &Stretch<Vigil>) -> Option<Alarm<'_>> {
    let watch = &stretch.order;
    let lines = stretch.lines.iter().enumerate().rev();
    let mut alarms = lines.filter_map(|(n, line)| match &line.record {
        Record::Happen(VigilEvent::Alarmed { why, looks, .. }) => Some((why.clone(), looks)),
        Record::Happen(VigilEvent::Begun { order, looks, .. }) if !looks.is_empty() => {
            Some((vec![order.reason.clone()], looks))
        }
        Record::Happen(VigilEvent::Held { looks, .. }) if !looks.is_empty() => {
            Some((told(&stretch.lines[..n]).into_iter().collect(), looks))
        }
        _ => None,
    });
    let (why, looks) = alarms.next()?;
    let looks = fitting(watch, looks);
    let (whole, span) = (looks.len(), Span { watch, looks: &looks });
    let mut alarm = Alarm { why, onset: None, perhaps_earlier: false, proof: None };
    if whole > 0 && watch.check().is_ok() {
        let evidence = |place| span.evidence(place, 0..whole);
        alarm.onset = span.onset().map(|window| window.start());
        alarm.perhaps_earlier = looks.first().map(|look| look.window.start()) == alarm.onset;
        alarm.proof = Some(Proof {
            criteria: &watch.criteria,
            evidence: (0..watch.criteria.len()).map(evidence).collect(),
            judgements: span.judgements(),
            windows: looks.iter().map(|look| (look.window, look.seen.clone())).collect(),
        });
    }
    Some(alarm)
}

/// What somebody has said last that is wrong.
fn told(lines: &[Line<Vigil>]) -> Option<String> {
    lines.iter().rev().find_map(|line| match &line.record {
        Record::Happen(VigilEvent::Ask(
            VigilRequest::Alarm { by, reason } | VigilRequest::RollBack { by, reason },
        )) => Some(format!("{by}: {reason}")),
        _ => None,
    })
}

/// What was seen of the target in service.
pub(super) fn of_recovery(incident: &Incident) -> Option<Proof<'_>> {
    let Stretch::<Undo> { order, lines, .. } = incident.rollback.as_ref()?;
    let recovery = order.recovery.as_ref().filter(|_| order.check().is_ok())?;
    let windows: Vec<_> = lines
        .iter()
        .filter_map(|line| match &line.record {
            Record::Happen(Event::Observed { window, seen }) => Some((*window, seen.clone())),
            _ => None,
        })
        .filter(|(_, seen)| seen.len() == recovery.criteria.len())
        .collect();
    if windows.is_empty() {
        return None;
    }
    let mut evidence = vec![Evidence::default(); recovery.criteria.len()];
    for (window, seen) in &windows {
        for (evidence, seen) in evidence.iter_mut().zip(seen) {
            // A window that is there already was journaled twice and counts once.
            let _known = evidence.add(*window, seen.clone(), None);
        }
    }
    let judged = recovery.criteria.iter().zip(&evidence);
    let judgements = judged.map(|(criterion, evidence)| judge(criterion, evidence)).collect();
    Some(Proof { criteria: &recovery.criteria, evidence, judgements, windows })
}
