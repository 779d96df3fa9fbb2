//! What is worth telling of a watch.

use tidegate_canary::{
    Release, RolloutId,
    metrics::Verdict,
    notify::{Kind, Notice, Severity},
};

use super::{Say, Tell};
use crate::{Helped, OnBlind, Vigil, VigilEvent, VigilRequest, Vigilance, Watch};

impl Tell for Vigil {
    fn about(&self, id: &RolloutId, mut notice: Notice) -> Notice {
        notice.watch = Some(id.clone());
        notice.candidate = Some(self.watch().release.clone());
        match self.state() {
            Vigilance::Returning { id, order } => {
                notice.rollback = Some(id.clone());
                notice.stable = Some(order.to.clone());
            }
            Vigilance::Returned { id, .. } => notice.rollback = Some(id.clone()),
            _ => {}
        }
        notice
    }

    fn begun(&self, say: &Say<'_>) -> Notice {
        let lasts = humantime::format_duration(self.watch().lasts);
        say(Kind::WatchOpened, &format!("{} is watched for {lasts}", name(&self.watch().release)))
    }

    fn happened(&self, before: &Self, event: &VigilEvent, say: &Say<'_>) -> Option<Notice> {
        let name = name(&self.watch().release);
        let notice = match event {
            VigilEvent::Ask(request) => asked(request, self.state(), &name, say),
            VigilEvent::Alarmed { why, .. } => {
                let text = format!("something is wrong with {name}: {}", why.join("; "));
                say(Kind::WatchAlarmed, &text).with_severity(Severity::Error).with_reasons(why)
            }
            VigilEvent::Begun { id, order, .. } => {
                let by_hand = matches!(before.state(), Vigilance::Alarmed { by: Some(_), .. });
                let severity = if by_hand { Severity::Warning } else { Severity::Error };
                let text = format!("{name} is left for {} by rollback {id}", order.to.model.version());
                say(Kind::WatchReturning, &text).with_severity(severity).with_reasons([&order.reason])
            }
            VigilEvent::Blinded { why } => {
                let text = format!("nobody sees whether {name} is well: {why}; {}", policy(self.watch()));
                say(Kind::WatchBlind, &text).with_severity(Severity::Error).with_reasons([why])
            }
            VigilEvent::Expired { verdict: Verdict::Pass } => {
                say(Kind::WatchEnded, &format!("the watch of {name} is over: it is good and settled"))
            }
            VigilEvent::Expired { verdict } => {
                let text = format!("the watch of {name} is over, undecided ({verdict})");
                say(Kind::WatchEnded, &text).with_severity(Severity::Warning)
            }
            VigilEvent::Held { why, .. } => {
                let text = format!("{name} is not left without a person: {why}");
                say(Kind::WatchHeld, &text).with_severity(Severity::Critical).with_reasons([why])
            }
            VigilEvent::Moved { to } => {
                let text = match to {
                    Some(to) => format!("the watch of {name} is over, since {} is in service", to.version()),
                    None => format!("the watch of {name} is over, since its channel points to nothing"),
                };
                say(Kind::WatchEnded, &text)
            }
            VigilEvent::Returned { done, helped, end } => returned(before, *done, *helped, end, say),
            VigilEvent::Sighted => {
                say(Kind::WatchSighted, &format!("the watch of {name} sees again, and nothing wrong"))
            }
        };
        Some(match self.state().remedy() {
            Some(remedy) => notice.with_remedy(remedy),
            None => notice,
        })
    }

    fn needs_somebody(&self, was: bool) -> bool {
        match self.state() {
            Vigilance::Alarmed { by: None, .. }
            | Vigilance::Blind { .. }
            | Vigilance::Held { by: None, .. } => true,
            // A person has decided, or nothing is wrong any more.
            Vigilance::Held { by: Some(_), .. }
            | Vigilance::Kept { verdict: Verdict::Pass }
            | Vigilance::Moved { .. }
            | Vigilance::Stopped { .. }
            | Vigilance::Watching => false,
            Vigilance::Returned { done: false, .. } => true,
            Vigilance::Returned { helped: Some(Helped::Proven | Helped::Unasked), .. } => false,
            // Whoever was woken is needed until it is seen how things are.
            Vigilance::Alarmed { by: Some(_), .. }
            | Vigilance::Kept { .. }
            | Vigilance::Returned { .. }
            | Vigilance::Returning { .. } => was,
        }
    }
}

/// What somebody has asked for, and what came of it.
fn asked(request: &VigilRequest, state: &Vigilance, name: &str, say: &Say<'_>) -> Notice {
    let (kind, severity, text, reason) = match request {
        VigilRequest::Alarm { by, reason } if matches!(state, Vigilance::Alarmed { .. }) => {
            let text = format!("something is wrong with {name}, says {by}: {reason}");
            (Kind::WatchAlarmed, Severity::Error, text, Some(reason))
        }
        VigilRequest::Alarm { by, reason } => {
            let text = format!("something is wrong with {name}, says {by}, which changes nothing: {reason}");
            (Kind::WatchAsked, Severity::Warning, text, Some(reason))
        }
        VigilRequest::Hold { by, reason } => {
            let text = format!("{by} wants nothing to be done about {name} without a person: {reason}");
            (Kind::WatchHeld, Severity::Warning, text, Some(reason))
        }
        VigilRequest::Resume { by } => {
            let text = format!("the watch of {name} may act by itself again, says {by}");
            (Kind::WatchResumed, Severity::Info, text, None)
        }
        VigilRequest::RollBack { by, reason } => {
            let text = format!("{by} wants {name} to be left: {reason}");
            (Kind::WatchAsked, Severity::Warning, text, Some(reason))
        }
        VigilRequest::Stop { by, reason } => {
            let text = format!("the watch of {name} is over, stopped by {by}: {reason}");
            (Kind::WatchEnded, Severity::Warning, text, Some(reason))
        }
    };
    say(kind, &text).with_severity(severity).with_by(request.by()).with_reasons(reason)
}

fn returned(before: &Vigil, done: bool, helped: Option<Helped>, end: &str, say: &Say<'_>) -> Notice {
    let Vigilance::Returning { order, id } = before.state() else {
        // Another state refuses the event.
        return say(Kind::WatchReturned, end);
    };
    let severity = match (done, helped) {
        (false, _) => Severity::Critical,
        (true, Some(Helped::Unproven)) => Severity::Error,
        (true, _) => Severity::Warning,
    };
    let text = match done {
        true => format!("all traffic is on {}: rollback {id} is {end}", name(&order.to)),
        false => format!("rollback {id} to {} is {end}", name(&order.to)),
    };
    let mut notice = say(Kind::WatchReturned, &text).with_severity(severity);
    notice.stable = Some(order.to.clone());
    notice
}

fn policy(watch: &Watch) -> String {
    let patience = humantime::format_duration(watch.patience);
    match watch.on_blind {
        OnBlind::Hold => "it stays in service".to_owned(),
        OnBlind::RollBack => format!(
            "it is left once nothing at all has been seen of it for {patience}, unless another release is in its place"
        ),
    }
}

/// `fraud 1.1.0`.
pub(super) fn name(release: &Release) -> String {
    format!("{} {}", release.model.name(), release.model.version())
}
