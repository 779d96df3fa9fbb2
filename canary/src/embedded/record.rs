//! What was seen of a route, in fine buckets of time.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tidegate_metrics::{Measurement, Missing, Observation, Window};
use tidegate_registry::Invalid;

use crate::Slot;

/// How finely requests are recorded, and for how long.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// Requests are counted in buckets of this length; windows must be multiples of it. 100 ms by default.
    pub resolution: Duration,
    /// Buckets older than this are forgotten. One hour by default.
    pub retention: Duration,
    /// Upper edges of the histograms of latency and time to first bytes in seconds, ascending. 1 ms to 60 s by default.
    pub edges: Vec<f64>,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            resolution: Duration::from_millis(100),
            retention: Duration::from_secs(60 * 60),
            edges: vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0,
                60.0,
            ],
        }
    }
}

impl Recording {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let why = if self.resolution < Duration::from_millis(1) || self.resolution > self.retention {
            "the resolution must lie between 1ms and the retention"
        } else if self.edges.is_empty() || !self.edges.iter().all(|edge| edge.is_finite()) {
            "the edges must be finite numbers, and at least one"
        } else if !self.edges.is_sorted_by(|a, b| a < b) {
            "the edges must ascend"
        } else {
            return Ok(());
        };
        Err(Invalid::new("recording", format!("{self:?}"), why))
    }
}

#[derive(Debug)]
pub(super) struct Records {
    recording: Recording,
    /// By the number of the bucket since 1970.
    buckets: BTreeMap<(u64, Slot), Tally>,
}

/// How long a request took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) whole: Duration,
    /// To the first bytes of the answer's body, if any came.
    pub(super) first: Option<Duration>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There was no complete response.
    Broken,
    /// There was one, and it says that the server failed.
    Failed,
    /// There was one.
    Good,
}

#[derive(Clone, Debug)]
struct Tally {
    requests: u64,
    broken: u64,
    failed: u64,
    latency: Vec<u64>,
    ttft: Vec<u64>,
}

impl Records {
    pub(super) const fn new(recording: Recording) -> Self {
        Self { recording, buckets: BTreeMap::new() }
    }

    /// Counts a request that ended at `now`.
    pub(super) fn add(&mut self, slot: Slot, now: SystemTime, took: Took, end: End) {
        let tick = self.tick(now);
        let edges = &self.recording.edges;
        let place = |took: Duration| edges.partition_point(|&edge| edge < took.as_secs_f64());
        let places = (place(took.whole), took.first.map(place));
        if let Some(tally) = self.buckets.get_mut(&(tick, slot)) {
            tally.add(places, end);
            return;
        }
        // A new bucket is the moment to forget old ones.
        let oldest = tick.saturating_sub(nanos(self.recording.retention) / nanos(self.recording.resolution));
        while self.buckets.first_key_value().is_some_and(|(&(tick, _), _)| tick < oldest) {
            self.buckets.pop_first();
        }
        let mut tally = Tally::new(edges.len());
        tally.add(places, end);
        self.buckets.insert((tick, slot), tally);
    }

    pub(super) fn availability(&self, slot: Slot, window: Window, now: SystemTime) -> Measurement {
        self.over(slot, window, now, |total| {
            Observation::proportion(total.requests - total.broken, total.requests)
        })
    }

    pub(super) fn errors(&self, slot: Slot, window: Window, now: SystemTime) -> Measurement {
        self.over(slot, window, now, |total| {
            Observation::proportion(total.broken + total.failed, total.requests)
        })
    }

    pub(super) fn latency(&self, slot: Slot, window: Window, now: SystemTime) -> Measurement {
        self.over(slot, window, now, |total| {
            Observation::histogram(self.recording.edges.clone(), total.latency.clone())
        })
    }

    pub(super) fn ttft(&self, slot: Slot, window: Window, now: SystemTime) -> Measurement {
        let begun = |total: &Tally| total.ttft.iter().any(|count| *count > 0);
        self.over(slot, window, now, |total| {
            begun(total).then(|| Observation::histogram(self.recording.edges.clone(), total.ttft.clone()))?
        })
    }

    fn over(
        &self,
        slot: Slot,
        window: Window,
        now: SystemTime,
        observation: impl FnOnce(&Tally) -> Option<Observation>,
    ) -> Measurement {
        let aligned = |time: SystemTime| since_1970(time).is_multiple_of(nanos(self.recording.resolution));
        if !aligned(window.start()) || !aligned(window.end()) {
            let resolution = humantime::format_duration(self.recording.resolution);
            let cause = format!("the window does not begin and end on a multiple of {resolution}");
            return Measurement::Missing(Missing::SourceError { cause, retryable: false });
        }
        let forgotten =
            now.checked_sub(self.recording.retention).is_some_and(|oldest| window.start() < oldest);
        if window.end() > now || forgotten {
            return Measurement::Missing(Missing::NoData);
        }
        let ticks = (self.tick(window.start()), Slot::Stable)..(self.tick(window.end()), Slot::Stable);
        let mut total = Tally::new(self.recording.edges.len());
        let here = self.buckets.range(ticks).filter(|((_, of), _)| *of == slot);
        for tally in here.map(|(_, tally)| tally) {
            total.requests += tally.requests;
            total.broken += tally.broken;
            total.failed += tally.failed;
            total.latency.iter_mut().zip(&tally.latency).for_each(|(total, count)| *total += count);
            total.ttft.iter_mut().zip(&tally.ttft).for_each(|(total, count)| *total += count);
        }
        match observation(&total) {
            Some(observation) if total.requests > 0 => Measurement::Observed(observation),
            _ => Measurement::Missing(Missing::NoData),
        }
    }

    fn tick(&self, time: SystemTime) -> u64 {
        since_1970(time) / nanos(self.recording.resolution)
    }
}

impl Tally {
    fn new(edges: usize) -> Self {
        let none = vec![0; edges + 1];
        Self { requests: 0, broken: 0, failed: 0, latency: none.clone(), ttft: none }
    }

    fn add(&mut self, (whole, first): (usize, Option<usize>), end: End) {
        self.requests += 1;
        self.broken += u64::from(end == End::Broken);
        self.failed += u64::from(end == End::Failed);
        self.latency[whole] += 1;
        first.into_iter().for_each(|first| self.ttft[first] += 1);
    }
}

fn since_1970(time: SystemTime) -> u64 {
    nanos(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Of which 64 bits hold 584 years, and are divided in a fraction of the time that 128 take.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
