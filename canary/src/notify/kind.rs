//! What can happen that is worth telling.

use std::fmt;

use serde::Serialize;

/// What happened. Names are for ever; more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Somebody asked for something that no other kind tells.
    Asked,
    /// The promoted version is being watched.
    Baking,
    /// A line of the journal cannot be read or does not follow from those before it.
    Broken,
    /// An end: both sides are compared.
    Compared,
    /// Somebody had changed the traffic, and it was put right.
    Drifted,
    /// A gate has opened.
    GateOpened,
    /// A step went well, and gates have to open.
    GateWaits,
    /// A rollout has begun.
    Opened,
    /// It does not go on, although it could.
    Paused,
    /// The channel says that the candidate is what is in service.
    Promoted,
    /// The steps are over, and the candidate is being promoted.
    Promoting,
    /// The candidate runs, still without traffic.
    Ready,
    /// Whoever had taken the route gave it back.
    Released,
    /// Another plan has taken the place of the one before.
    Replaced,
    /// It goes on again.
    Resumed,
    /// All traffic is back on stable.
    Returned,
    /// Traffic is to go back to stable.
    Returning,
    /// An end: a rollback was called off before traffic moved.
    RollbackAborted,
    /// A rollback has begun.
    RollbackBegun,
    /// What a rollback has left is back in place of its target.
    RollbackDisplaced,
    /// An end: all traffic is on the target of a rollback.
    RollbackDone,
    /// All traffic is on the target of a rollback, which goes on.
    RollbackReturned,
    /// An end of a rollback for a person.
    RollbackStuck,
    /// An end: all traffic is on stable and the candidate is gone.
    RolledBack,
    /// Somebody promotes the candidate without further proof.
    Rushed,
    /// Somebody took the route.
    Seized,
    /// The end that was wanted: promoted, baked and settled.
    Settled,
    /// The traffic of a step is in force.
    StepBegun,
    /// An end for a person.
    Stuck,
    /// Nobody can say what traffic is in force. Of windows in a row, the first is told.
    Unseen,
    /// An end: promoted, but the bake went badly.
    Unsettled,
    /// A watch sees that something is wrong, or was told so.
    WatchAlarmed,
    /// Somebody asked something of a watch that no other kind tells.
    WatchAsked,
    /// A watch sees nothing.
    WatchBlind,
    /// An end: a watch is over, and the release was good, or another is in service.
    WatchEnded,
    /// A watch does nothing without a person.
    WatchHeld,
    /// A watch has begun.
    WatchOpened,
    /// A watch may act by itself again.
    WatchResumed,
    /// An end: the rollback that a watch had ordered is over.
    WatchReturned,
    /// A watch goes back.
    WatchReturning,
    /// A watch sees again.
    WatchSighted,
}

impl Kind {
    /// Its name, as machines know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Baking => "baking",
            Self::Broken => "broken",
            Self::Compared => "compared",
            Self::Drifted => "drifted",
            Self::GateOpened => "gate-opened",
            Self::GateWaits => "gate-waits",
            Self::Opened => "opened",
            Self::Paused => "paused",
            Self::Promoted => "promoted",
            Self::Promoting => "promoting",
            Self::Ready => "ready",
            Self::Released => "released",
            Self::Replaced => "replaced",
            Self::Resumed => "resumed",
            Self::Returned => "returned",
            Self::Returning => "returning",
            Self::RollbackAborted => "rollback-aborted",
            Self::RollbackBegun => "rollback-begun",
            Self::RollbackDisplaced => "rollback-displaced",
            Self::RollbackDone => "rollback-done",
            Self::RollbackReturned => "rollback-returned",
            Self::RollbackStuck => "rollback-stuck",
            Self::RolledBack => "rolled-back",
            Self::Rushed => "rushed",
            Self::Seized => "seized",
            Self::Settled => "settled",
            Self::StepBegun => "step-begun",
            Self::Stuck => "stuck",
            Self::Unseen => "unseen",
            Self::Unsettled => "unsettled",
            Self::WatchAlarmed => "watch-alarmed",
            Self::WatchAsked => "watch-asked",
            Self::WatchBlind => "watch-blind",
            Self::WatchEnded => "watch-ended",
            Self::WatchHeld => "watch-held",
            Self::WatchOpened => "watch-opened",
            Self::WatchResumed => "watch-resumed",
            Self::WatchReturned => "watch-returned",
            Self::WatchReturning => "watch-returning",
            Self::WatchSighted => "watch-sighted",
        }
    }

    /// What kind of thing it is about, and its name among those: `("watch", "blind")`, `("rollout", "step-begun")`.
    pub(super) fn parts(self) -> (&'static str, &'static str) {
        match self.name().split_once('-') {
            Some((family @ ("rollback" | "watch"), name)) => (family, name),
            _ => ("rollout", self.name()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn what_a_kind_is_of_stands_in_its_name() {
        let kinds = [Kind::WatchBlind, Kind::RollbackStuck, Kind::RolledBack, Kind::StepBegun, Kind::Stuck];
        let parts = [
            ("watch", "blind"),
            ("rollback", "stuck"),
            ("rollout", "rolled-back"),
            ("rollout", "step-begun"),
            ("rollout", "stuck"),
        ];
        assert_eq!(kinds.map(Kind::parts), parts);
    }
}
