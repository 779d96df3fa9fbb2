//! How often one may try to sign in.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tidegate::canary::WallClock;

/// Failed attempts of late, by where they came from.
#[derive(Debug)]
pub(crate) struct Tries {
    clock: WallClock,
    failed: Mutex<HashMap<IpAddr, Failed>>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    forgotten: SystemTime,
}

const MOST_FAILURES: u32 = 5;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
const MOST_ADDRESSES: usize = 1024;

impl Tries {
    pub(crate) fn new(clock: WallClock) -> Self {
        Self { clock, failed: Mutex::default() }
    }

    /// How long to wait before another attempt from `address` is looked at.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let now = self.clock.now();
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|_, failed| failed.forgotten > now);
        match failed.get(&address) {
            Some(failed) if failed.times >= MOST_FAILURES => failed.forgotten.duration_since(now).ok(),
            // Whoever has so many addresses is up to no good; everybody else waits a little for it.
            None if failed.len() >= MOST_ADDRESSES => Some(FORGOTTEN_AFTER),
            _ => None,
        }
    }

    /// An attempt from `address` failed.
    pub(crate) fn fail(&self, address: IpAddr) {
        let forgotten = self.clock.now() + FORGOTTEN_AFTER;
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = failed.entry(address).or_insert(Failed { times: 0, forgotten });
        *of_address = Failed { times: of_address.times + 1, forgotten };
    }
}
