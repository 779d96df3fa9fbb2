//! What is worth telling of a rollback.

use tidegate_canary::{
    RolloutId,
    notify::{Kind, Notice, Severity},
};

use super::{Say, Tell, vigil::name};
use crate::{Event, Helped, State, Undo};

impl Tell for Undo {
    fn about(&self, id: &RolloutId, mut notice: Notice) -> Notice {
        let order = self.order();
        notice.rollback = Some(id.clone());
        notice.watch = order.watch.clone();
        notice.candidate = Some(order.from.clone());
        notice.stable = Some(order.to.clone());
        notice
    }

    fn begun(&self, say: &Say<'_>) -> Notice {
        let order = self.order();
        let unsure = order.choice.as_ref().is_some_and(|choice| choice.unsure.is_some());
        let unsure = if unsure { ", though it is not known what is in quarantine" } else { "" };
        let (from, to) = (name(&order.from), order.to.model.version());
        let text = format!("{from} is left for {to}{unsure}: {}", order.reason);
        let notice =
            say(Kind::RollbackBegun, &text).with_severity(Severity::Warning).with_reasons([&order.reason]);
        match &order.by {
            Some(by) => notice.with_by(by),
            None => notice,
        }
    }

    fn happened(&self, before: &Self, event: &Event, say: &Say<'_>) -> Option<Notice> {
        let order = self.order();
        let to = name(&order.to);
        if let (State::Reassert { .. }, Event::Displaced { why, .. }) = (self.state(), event) {
            let back = name(&order.from);
            let text = format!("{back} is back in place of {to}, which is to replace it once more: {why}");
            let notice = say(Kind::RollbackDisplaced, &text).with_severity(Severity::Critical);
            return Some(notice.with_reasons([why]));
        }
        Some(match (before.state(), self.state()) {
            (_, State::Done { helped, .. }) => {
                let quarantined = match order.quarantine {
                    true => {
                        format!("; {} is in quarantine until a person lifts that", order.from.model.version())
                    }
                    false => String::new(),
                };
                let (severity, end) = match helped {
                    Helped::Proven => (Severity::Warning, ", which was seen to help"),
                    Helped::Unasked => (Severity::Warning, ""),
                    Helped::Unproven => {
                        (Severity::Error, ", but too little was seen to say whether it helped")
                    }
                };
                say(Kind::RollbackDone, &format!("rolled back: all traffic is on {to}{end}{quarantined}"))
                    .with_severity(severity)
            }
            (_, State::Aborted { by, reason, remedy }) => {
                let text = format!("the rollback to {to} was called off by {by}: {reason}");
                let said = |text: &str| say(Kind::RollbackAborted, text).with_reasons([reason]);
                let severity = if self.unjudged().is_some() { Severity::Critical } else { Severity::Warning };
                match remedy {
                    Some(remedy) => said(&format!("{text}; {remedy}")).with_remedy(remedy),
                    None => said(&text),
                }
                .with_severity(severity)
            }
            (_, State::Stuck { during, why, remedy }) => {
                let text = format!("the rollback to {to} got stuck while {during}: {why}; {remedy}");
                say(Kind::RollbackStuck, &text)
                    .with_severity(Severity::Critical)
                    .with_reasons([why])
                    .with_remedy(remedy.clone())
            }
            (State::Shift, State::Still) => say(
                Kind::RollbackReturned,
                &format!("{to} has all traffic, from the candidate's slot for now"),
            )
            .with_severity(Severity::Warning),
            (State::Return, State::Record) => {
                say(Kind::RollbackReturned, &format!("{to} has all traffic, from the stable slot"))
                    .with_severity(Severity::Warning)
            }
            (State::Reassert { .. }, State::Prove { .. }) => say(
                Kind::RollbackReturned,
                &format!("{to} has replaced what had come back, and has all traffic again"),
            )
            .with_severity(Severity::Warning),
            _ => return None,
        })
    }

    fn needs_somebody(&self, was: bool) -> bool {
        match self.state() {
            // The bad version has traffic again.
            State::Reassert { .. } | State::Stuck { .. } => true,
            State::Aborted { .. } => self.unjudged().is_some(),
            State::Done { .. } => false,
            _ => was,
        }
    }
}
