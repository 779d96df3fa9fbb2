//! Faults on purpose.

use std::{
    fmt,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tidegate_metrics::{self as metrics, Measurement, Metric, MetricsSource, Selector, Window};

use crate::{
    ActuatorError, Capabilities, Deployer, Fence, Observed, Readiness, Rehearsed, RouteId, Slot, Traffic,
    TrafficRouter, Workload,
};

/// A router, deployer or metrics source in front of another, on which some calls meet a [`Fault`].
///
/// The first calls meet the faults of a script, one each, the later ones those that a seed draws. The fate
/// of a call depends on the script, the seed and how many calls came before it, on nothing else.
#[derive(Debug)]
pub struct Flaky<T> {
    inner: T,
    seed: u64,
    script: Vec<Option<Fault>>,
    shares: Vec<(Fault, f64)>,
    calls: AtomicUsize,
}

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are the ways in which a call can go wrong")]
pub enum Fault {
    /// It fails and changes nothing.
    Before,
    /// It takes effect, but its answer is lost.
    After,
    /// It takes effect after so long, by tokio's clock.
    Slow(Duration),
}

impl<T> Flaky<T> {
    /// No faults yet.
    pub const fn new(inner: T, seed: u64) -> Self {
        Self { inner, seed, script: Vec::new(), shares: Vec::new(), calls: AtomicUsize::new(0) }
    }

    /// The next calls that have no fate yet meet these, one each.
    #[must_use]
    pub fn with_script(mut self, script: impl IntoIterator<Item = Option<Fault>>) -> Self {
        self.script.extend(script);
        self
    }

    /// After the script, this share of calls, in \[0, 1\], meets `fault`. Shares of several faults add up.
    #[must_use]
    pub fn with_share(mut self, fault: Fault, share: f64) -> Self {
        self.shares.push((fault, share));
        self
    }

    /// What is behind.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn fate(&self, n: usize) -> Option<Fault> {
        if let Some(fate) = self.script.get(n) {
            return *fate;
        }
        let mut draw =
            fastrand::Rng::with_seed(self.seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).f64();
        let mut shares = self.shares.iter();
        shares.find_map(|&(fault, share)| {
            draw -= share;
            (draw < 0.0).then_some(fault)
        })
    }
}

impl<T: Sync> Flaky<T> {
    /// Makes `call`, as the fate of this one is; `lost` is the error where there is no answer.
    async fn meet<R: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<R, E>> + Send,
        lost: impl FnOnce(String) -> E + Send,
    ) -> Result<R, E> {
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.fate(n) {
            None => call.await,
            Some(Fault::Before) => Err(lost(format!("call {n} fails before it takes effect, by schedule"))),
            Some(Fault::After) => {
                drop(call.await?);
                Err(lost(format!("call {n} loses its answer, by schedule")))
            }
            Some(Fault::Slow(by)) => {
                tokio::time::sleep(by).await;
                call.await
            }
        }
    }
}

fn lost(target: &'static str) -> impl FnOnce(String) -> ActuatorError {
    move |why| ActuatorError::Unavailable { target: target.to_owned(), source: why.into() }
}

#[async_trait]
impl<T: TrafficRouter> TrafficRouter for Flaky<T> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.meet(self.inner.apply(route, traffic, fence), lost("the flaky router")).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.meet(self.inner.observe(route), lost("the flaky router")).await
    }
}

#[async_trait]
impl<T: Deployer> Deployer for Flaky<T> {
    fn in_place(&self) -> bool {
        self.inner.in_place()
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.meet(self.inner.ensure(workload, fence), lost("the flaky deployer")).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.meet(self.inner.rehearse(workload), lost("the flaky deployer")).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.meet(self.inner.status(slot), lost("the flaky deployer")).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.meet(self.inner.remove(slot, fence), lost("the flaky deployer")).await
    }
}

#[async_trait]
impl<T: MetricsSource> MetricsSource for Flaky<T> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, metrics::Error> {
        let lost = |why: String| metrics::Error::Unavailable {
            source_name: self.to_string(),
            metric: metric.to_string(),
            source: why.into(),
        };
        self.meet(self.inner.observe(metric, selector, window), lost).await
    }
}

impl<T: fmt::Display> fmt::Display for Flaky<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flaky {}", self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InMemoryRouter, WallClock, Weight, testkit::fence};

    fn route() -> RouteId {
        "serving/fraud".parse().unwrap()
    }

    fn ten() -> Traffic {
        Traffic::split(Weight::percent(10).unwrap())
    }

    async fn in_force(router: &InMemoryRouter) -> Traffic {
        router.observe(&route()).await.unwrap().traffic
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_does_what_it_says() {
        let script =
            [Some(Fault::Before), Some(Fault::After), None, Some(Fault::Slow(Duration::from_secs(9)))];
        let flaky = Flaky::new(InMemoryRouter::default(), 0).with_script(script);
        assert!(flaky.apply(&route(), &ten(), fence(1)).await.unwrap_err().is_transient());
        assert_eq!(in_force(flaky.inner()).await, Traffic::stable());
        assert!(flaky.apply(&route(), &ten(), fence(1)).await.unwrap_err().is_transient());
        assert_eq!(in_force(flaky.inner()).await, ten());
        assert_eq!(flaky.observe(&route()).await.unwrap().traffic, ten());
        let clock = WallClock::starting_at(std::time::UNIX_EPOCH);
        flaky.apply(&route(), &Traffic::stable(), fence(1)).await.unwrap();
        assert_eq!(clock.now(), std::time::UNIX_EPOCH + Duration::from_secs(9));
        assert_eq!(flaky.calls(), 4);
    }

    #[tokio::test]
    async fn an_error_behind_it_is_not_replaced_by_a_lost_answer() {
        let router = InMemoryRouter::default();
        router.apply(&route(), &ten(), fence(2)).await.unwrap();
        let flaky = Flaky::new(router, 0).with_script([Some(Fault::After)]);
        let answer = flaky.apply(&route(), &ten(), fence(1)).await;
        assert!(matches!(answer, Err(ActuatorError::Fenced { .. })), "{answer:?}");
    }

    #[test]
    fn a_seed_replays_and_shares_are_kept() {
        let fates = |seed| {
            let flaky = Flaky::new((), seed).with_share(Fault::Before, 0.1).with_share(Fault::After, 0.2);
            (0..10_000).map(|n| flaky.fate(n)).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
        let count = |fault| fates(7).iter().filter(|fate| **fate == Some(fault)).count();
        // Five standard deviations of a binomial: 150 and 200.
        assert!((850..=1_150).contains(&count(Fault::Before)), "{}", count(Fault::Before));
        assert!((1_800..=2_200).contains(&count(Fault::After)), "{}", count(Fault::After));
    }
}
