//! Windows that showed nothing, and what they mean for the verdict.

use super::{
    OnMissing,
    tape::{Passed, Tape},
};
use crate::Verdict;

/// What one window showed.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Counted,
    /// Nothing, for this reason.
    Missing(String),
    /// Something that the rule cannot use.
    Unusable(String),
    /// Something that the rule must not look at, for this reason; the next window may be another matter.
    Unused(String),
}

/// What stands in the way of a verdict from evidence alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    any: bool,
    missing: Option<String>,
    newest_is_missing: bool,
    unusable: Option<String>,
    /// Why the newest window was not looked at.
    unused: Option<String>,
}

impl Gaps {
    /// Takes down what the next window showed.
    pub(super) fn note(&mut self, seen: Seen) {
        self.any = true;
        self.newest_is_missing = false;
        self.unused = None;
        match seen {
            Seen::Counted => {}
            Seen::Missing(reason) => {
                self.newest_is_missing = true;
                self.missing = Some(reason);
            }
            Seen::Unusable(reason) => self.unusable = Some(reason),
            Seen::Unused(reason) => self.unused = Some(reason),
        }
    }

    pub(super) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.flag(&mut self.any)?;
        tape.flag(&mut self.newest_is_missing)?;
        for reason in [&mut self.missing, &mut self.unusable, &mut self.unused] {
            tape.option(reason, String::new, Tape::text)?;
        }
        Some(())
    }

    /// The verdict that is left of what evidence `decided`, see [`OnMissing`].
    pub(super) fn temper(
        &self,
        on_missing: OnMissing,
        decided: (Verdict, Option<String>),
    ) -> (Verdict, Option<String>) {
        if decided.0 == Verdict::Fail {
            return decided;
        }
        if !self.any {
            return (Verdict::Inconclusive, Some("no window has closed yet".to_owned()));
        }
        match (on_missing, &self.missing) {
            (OnMissing::Fail, Some(reason)) => {
                (Verdict::Fail, Some(format!("an observation is missing: {reason}")))
            }
            _ if self.unusable.is_some() => (Verdict::Inconclusive, self.unusable.clone()),
            _ if self.unused.is_some() => (Verdict::Inconclusive, self.unused.clone()),
            (OnMissing::Pass, Some(reason)) if self.newest_is_missing => {
                (Verdict::Pass, Some(reason.clone()))
            }
            (_, Some(reason)) if self.newest_is_missing => (Verdict::Inconclusive, Some(reason.clone())),
            _ => decided,
        }
    }
}
