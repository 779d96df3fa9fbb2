//! The way back, looked at while nothing is decided, so that it is known when it is needed.

use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tidegate_canary::World;

use super::Guard;
use crate::{
    Error, Verification, Watch,
    search::{Damaged, Leaving, Reading, Search},
};

/// How often the bytes of the target are read.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long after they could not be read it is tried again.
const AGAIN: Duration = Duration::from_secs(3600);

/// A look that is under way: what is damaged of what it has read.
pub(super) type Looking = BoxFuture<'static, Option<Damaged>>;

/// What is known of the bytes of the versions that it would go back to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ahead {
    /// When they were last read.
    read: Option<SystemTime>,
    /// What was damaged then.
    pub(super) damaged: Damaged,
    /// When that was last begun.
    #[serde(skip)]
    begun: Option<SystemTime>,
}

impl Ahead {
    fn is_due(&self, now: SystemTime) -> bool {
        // What another clock has put into the future is not waited for.
        let over = |since: SystemTime, time| now.duration_since(since).map_or(true, |age| age >= time);
        self.read.is_none_or(|read| over(read, EVERY)) && self.begun.is_none_or(|begun| over(begun, AGAIN))
    }
}

impl Guard {
    /// Begins a look ahead where one is due. Whether it may go on now: while it is decided or gone back, nothing is to be
    /// in the way.
    pub(super) fn look_ahead(&mut self, looking: &mut Option<Looking>) -> bool {
        let (now, watch) = (self.world.clock.now(), self.vigil().watch());
        if looking.is_none() && watch.verify != Verification::Never && self.ahead.is_due(now) {
            *looking = Some(Box::pin(look(self.world.clone(), watch.clone())));
            self.ahead.begun = Some(now);
        }
        self.vigil().state().looks()
    }

    /// Takes in what a look ahead has found. That it could not look is no failure: it tries again.
    pub(super) async fn take_ahead(&mut self, found: Option<Damaged>) {
        let Some(damaged) = found else { return };
        for (model, why) in &damaged {
            let route = &self.vigil().watch().route;
            tracing::warn!(%route, %model, %why, "it is damaged, so it would not be gone back to");
        }
        (self.ahead.damaged, self.ahead.read) = (damaged, self.ahead.begun);
        self.keep().await;
    }
}

/// Reads the version that it would go back to now, and where that is damaged the next one.
async fn look(world: World, watch: Watch) -> Option<Damaged> {
    let search = Search {
        world: &world,
        route: &watch.route,
        leaving: Leaving::This(&watch.release),
        channel: &watch.channel,
        target: &watch.target,
        reading: Reading::Whole,
        unsure: false,
    };
    let mut damaged = Damaged::new();
    // By then the next one is due.
    match tokio::time::timeout(EVERY, search.run(&mut damaged)).await {
        // Where there is nowhere to go, what was read is damaged all the same.
        Ok(Ok(_) | Err(Error::NoTarget(_))) => Some(damaged),
        Ok(Err(error)) => {
            tracing::debug!(route = %watch.route, %error, "the way back could not be looked at");
            None
        }
        Err(_) => None,
    }
}
