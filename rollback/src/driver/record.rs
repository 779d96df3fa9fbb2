//! What a rollback tells the registry: where the channel points now, and what was left.

use std::{sync::Arc, time::SystemTime};

use tidegate_canary::{NotDone, Patience};
use tidegate_registry::{Cause, Channels, Expect, Lifecycle, Seq, Stamp};

use super::Rollback;

impl Rollback {
    pub(super) fn cause(&self) -> Cause {
        Cause::Rollback { id: self.id.to_string(), reason: self.undo().order().reason.clone() }
    }

    pub(super) async fn record(&self, until: SystemTime) -> Result<Seq, NotDone> {
        let order = self.undo().order();
        let channels = Channels::new(Arc::clone(&self.world.log));
        // Whoever has moved the channel since has decided otherwise.
        let expect = order.head.map_or(Expect::Any, Expect::Seq);
        let promote = || {
            let stamp = Stamp { by: self.holder(), at: self.world.clock.now() };
            channels.promote(&order.to.model, &order.channel, &expect, self.cause(), stamp)
        };
        let moved = Patience::new(self.world.clock, until).until("the registry", promote).await?;
        Ok(moved.seq)
    }

    /// No plan and no promotion takes what was left until a person lifts that.
    pub(super) async fn condemn(&self, until: SystemTime) -> Result<(), NotDone> {
        let order = self.undo().order();
        let lifecycle = Lifecycle::new(Arc::clone(&self.world.log));
        let condemn = || {
            let stamp = Stamp { by: self.holder(), at: self.world.clock.now() };
            lifecycle.quarantine(&order.from.model, brief(&order.reason), stamp)
        };
        Patience::new(self.world.clock, until).until("the registry", condemn).await
    }
}

/// As much of a reason as the registry keeps.
fn brief(reason: &str) -> &str {
    let mut end = reason.len().min(1024);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
