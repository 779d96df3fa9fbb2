//! What a guard has seen, kept for whoever keeps the watch next.

use serde::{Deserialize, Serialize};
use tidegate_canary::RolloutId;
use tidegate_registry::{LogKey, Seq, Snapshot};

use super::{Guard, ahead::Ahead};
use crate::{
    Vigil,
    ledger::Machine as _,
    lookout::Look,
    packed::{Bounds, unpack},
};

/// What is kept beside the journal. Losing it costs the time of a span.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: RolloutId,
    /// Packed, in hex: written as they are in journals, the looks of hours would be long.
    looks: String,
    #[serde(default)]
    ahead: Ahead,
}

impl Guard {
    /// Keeps what was seen in the last span. It is a cache: that it cannot be kept is no failure.
    pub(super) async fn keep(&self) {
        let looks = hex::encode(self.lookout.packed());
        let kept = Kept { id: self.id.clone(), looks, ahead: self.ahead.clone() };
        let seq = Seq::FIRST.plus(self.ledger.lines().len() - 1);
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            let snapshot = Snapshot { seq, bytes: bytes.into() };
            if let Err(error) = self.world.log.keep(&self.key(), snapshot).await {
                tracing::debug!(%error, "what was seen is not kept");
            }
        }
    }

    /// Takes up what was seen before, as far as it was kept.
    pub(super) async fn remember(&mut self) {
        let Ok(Some(snapshot)) = self.world.log.snapshot(&self.key()).await else { return };
        let Ok(kept) = serde_json::from_slice::<Kept>(&snapshot.bytes) else { return };
        let watch = self.vigil().watch().clone();
        let looks = hex::decode(&kept.looks).ok().and_then(|packed| unpack(&packed, Bounds::of(&watch)));
        let Some(looks) = looks else { return };
        let fits =
            |look: &Look| look.seen.len() == watch.criteria.len() && look.window.length() == watch.window;
        if kept.id == self.id && looks.iter().all(fits) {
            self.ahead = kept.ahead;
            for look in looks {
                let _sight = self.lookout.take(&watch, look, self.opened, None);
            }
        }
    }

    fn key(&self) -> LogKey {
        LogKey::new(Vigil::KIND, self.vigil().watch().route.as_str()).expect("a route id is a valid log id")
    }
}
