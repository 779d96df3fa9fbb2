//! What scrapes gave, in memory, within bounds.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    time::Duration,
};

use super::matching::Matching;
use crate::{
    Missing,
    prometheus::{FirstSeen, Labels, Sample, Series, Span},
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In milliseconds.
    pub(super) retention: i64,
    pub(super) samples: usize,
    pub(super) series: usize,
}

/// The scrapes of all targets, by the target's place in the list.
#[derive(Debug)]
pub(super) struct Kept {
    bounds: Bounds,
    targets: Vec<Target>,
    samples: usize,
    series: usize,
}

/// The scrapes of one target, ascending by time.
#[derive(Debug, Default)]
struct Target {
    scrapes: VecDeque<Scrape>,
    series: BTreeMap<Labels, VecDeque<Sample>>,
    /// Whether older ones have been forgotten.
    is_cut: bool,
}

/// When a target was scraped, and why that gave nothing, if it did not.
#[derive(Debug)]
struct Scrape {
    at: i64,
    failure: Option<Missing>,
}

impl Kept {
    pub(super) fn new(targets: usize, bounds: Bounds) -> Self {
        Self { bounds, targets: (0..targets).map(|_| Target::default()).collect(), samples: 0, series: 0 }
    }

    pub(super) const fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }

    /// Keeps what a scrape of `target` at a time gave, all of it or nothing.
    ///
    /// # Errors
    ///
    /// What it cannot be kept for; it is then a scrape that failed.
    pub(super) fn add(
        &mut self,
        target: usize,
        at: i64,
        scraped: Result<Vec<(Labels, Sample)>, Missing>,
    ) -> Result<(), String> {
        let Some(of) = self.targets.get_mut(target) else { return Ok(()) };
        if let Some(last) = of.scrapes.back().filter(|last| last.at >= at) {
            return Err(format!("it was scraped before for a time {} ms later", last.at - at));
        }
        let limit = self.bounds.series;
        let (samples, failure) = match scraped {
            Ok(samples) => {
                let new = samples.iter().filter(|(labels, _)| !of.series.contains_key(labels)).count();
                if self.series + new > limit {
                    let problem = format!(
                        "with it there would be more than {limit} series; narrow the queries or raise the limit"
                    );
                    (Vec::new(), Some(Missing::SourceError { cause: problem, retryable: false }))
                } else {
                    (samples, None)
                }
            }
            Err(missing) => (Vec::new(), Some(missing)),
        };
        let refused = match &failure {
            Some(Missing::SourceError { cause, retryable: false }) => Err(cause.clone()),
            _ => Ok(()),
        };
        of.scrapes.push_back(Scrape { at, failure });
        self.samples += 1;
        for (labels, sample) in samples {
            let series = match of.series.entry(labels) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    self.series += 1;
                    new.insert(VecDeque::new())
                }
            };
            // A page that tells times may tell the same sample again.
            if series.back().is_none_or(|last| last.at < sample.at) {
                series.push_back(sample);
                self.samples += 1;
            }
        }
        self.forget(at.saturating_sub(self.bounds.retention));
        while self.samples > self.bounds.samples {
            let oldest =
                self.targets.iter().filter_map(|target| target.scrapes.front()).map(|scrape| scrape.at).min();
            match oldest {
                Some(oldest) if oldest < at => self.forget(oldest),
                _ => break,
            }
        }
        refused
    }

    /// Forgets everything up to a time.
    fn forget(&mut self, until: i64) {
        for target in &mut self.targets {
            while target.scrapes.front().is_some_and(|scrape| scrape.at <= until) {
                target.scrapes.pop_front();
                target.is_cut = true;
                self.samples -= 1;
            }
            target.series.retain(|_, samples| {
                let old = samples.partition_point(|sample| sample.at <= until);
                samples.drain(..old);
                self.samples -= old;
                self.series -= usize::from(samples.is_empty());
                !samples.is_empty()
            });
        }
    }

    /// The series that are selected, from the last sample before `from` to the end of the window.
    pub(super) fn select(&self, matching: &Matching, from: i64, end: i64) -> Vec<Series> {
        let all = self.targets.iter().flat_map(|target| &target.series);
        all.filter(|(labels, _)| matching.matches(labels))
            .filter_map(|(labels, samples)| {
                let first = samples.partition_point(|sample| sample.at <= from);
                let last = samples.partition_point(|sample| sample.at <= end);
                let samples: Vec<Sample> = samples.range(first..last.max(first)).copied().collect();
                (!samples.is_empty()).then(|| Series { labels: labels.clone(), samples, natives: Vec::new() })
            })
            .collect()
    }

    /// When each target was first scraped after `from`, by its labels.
    pub(super) fn first_seen<'a>(
        &self,
        from: i64,
        name: impl Fn(usize) -> Option<(&'a str, &'a str)>,
    ) -> FirstSeen<'a> {
        let first = |target: &Target| {
            target
                .scrapes
                .iter()
                .find(|scrape| scrape.at > from && scrape.failure.is_none())
                .map(|scrape| scrape.at)
        };
        self.targets.iter().enumerate().filter_map(|(i, target)| Some((name(i)?, first(target)?))).collect()
    }

    /// Whether a target has given series that are selected.
    pub(super) fn has(&self, target: usize, matching: &Matching) -> bool {
        self.targets[target].series.keys().any(|labels| matching.matches(labels))
    }

    /// Whether a target has given anything.
    pub(super) fn has_answered(&self, target: usize) -> bool {
        self.targets[target].scrapes.iter().any(|scrape| scrape.failure.is_none())
    }

    /// What is missing of a target in `span`: it must have been scraped not long before its end, and, unless it
    /// is new, not longer than `lookback` before its start.
    pub(super) fn gap(&self, target: usize, span: Span, lookback: i64, staleness: i64) -> Option<Missing> {
        let target = &self.targets[target];
        let up_to = |end| target.scrapes.partition_point(|scrape| scrape.at <= end);
        let (started, ended) = (up_to(span.start), up_to(span.end));
        let last_success = |scrapes: usize| {
            target
                .scrapes
                .range(..scrapes)
                .rev()
                .find(|scrape| scrape.failure.is_none())
                .map(|scrape| scrape.at)
        };
        if target.is_cut && started == 0 {
            let cause =
                "the window begins before what is kept of the scrapes; ask earlier or keep more".to_owned();
            return Some(Missing::SourceError { cause, retryable: false });
        }
        if ended == 0 {
            return Some(Missing::NoData);
        }
        let newest = last_success(ended).filter(|&at| at > span.start && span.end - at <= staleness);
        if newest.is_none() {
            let failure =
                target.scrapes.range(started..ended).rev().find_map(|scrape| scrape.failure.clone());
            let age = |at: i64| Duration::from_millis(span.end.abs_diff(at));
            let stale = || last_success(ended).map(|at| Missing::Stale { age: age(at) });
            return failure.or_else(stale).or(Some(Missing::NoData));
        }
        let has_base = last_success(started).is_some_and(|at| at > span.start.saturating_sub(lookback));
        if started > 0 && !has_base {
            let failure = target.scrapes.range(..started).rev().find_map(|scrape| scrape.failure.clone());
            let cause = "no scrape before the window tells what was there already".to_owned();
            return failure.or(Some(Missing::SourceError { cause, retryable: false }));
        }
        None
    }
}
