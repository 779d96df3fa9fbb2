//! What this crate tells of its own work: a span for each call and for each state of a rollout, and metrics with the
//! feature `telemetry`. Names and fields are documented in the book, on the page "Observability", and tested against
//! it.

mod count;
mod stage;

use std::{any::Any, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tidegate_metrics::{Error as SourceError, Measurement, Metric, MetricsSource, Missing, Selector, Window};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, debug_span, field};

#[cfg(feature = "telemetry")]
pub use self::count::describe_metrics;
#[cfg(feature = "notify")]
pub(crate) use self::count::{noticed, notices_begin};
pub(crate) use self::stage::Stage;
use crate::{
    ActuatorError, Answer, BoxError, Capabilities, Deployer, Fence, Gatekeeper, Observed, Question,
    Readiness, Rehearsed, RouteId, Slot, Traffic, TrafficRouter, Workload, World, patience::chain,
};

impl World {
    /// The same world, where each call of the router, the deployer, the source and a gatekeeper is a span, and is
    /// counted with the feature `telemetry`. Drivers and guards do this by themselves; it is for those who call them
    /// otherwise. What is traced already stays as it is.
    #[must_use]
    pub fn traced(self) -> Self {
        let gate = |(name, keeper): (String, Arc<dyn Gatekeeper>)| {
            let keeper: Arc<dyn Gatekeeper> = match is_traced::<dyn Gatekeeper>(&*keeper) {
                true => keeper,
                false => Arc::new(Traced(keeper)),
            };
            (name, keeper)
        };
        Self {
            metrics: match is_traced::<dyn MetricsSource>(&*self.metrics) {
                true => self.metrics,
                false => Arc::new(Traced(self.metrics)),
            },
            router: match is_traced::<dyn TrafficRouter>(&*self.router) {
                true => self.router,
                false => Arc::new(Traced(self.router)),
            },
            deployer: match is_traced::<dyn Deployer>(&*self.deployer) {
                true => self.deployer,
                false => Arc::new(Traced(self.deployer)),
            },
            gates: self.gates.into_iter().map(gate).collect(),
            ..self
        }
    }
}

/// What is called, with each call in a span.
struct Traced<T>(T);

/// Whether each call of what is `called` is in a span already.
fn is_traced<T: ?Sized + 'static>(called: &dyn Any) -> bool {
    called.is::<Traced<Arc<T>>>()
}

/// A call under way. It is told and counted also if it is dropped, as one that takes too long.
struct Call<C: Fn(&'static str, Duration)> {
    span: Span,
    outcome: &'static str,
    began: Instant,
    count: C,
}

/// Waits for `call` in `span`. `read` says how it ended, and tells the span more.
async fn observe<T>(
    span: Span,
    count: impl Fn(&'static str, Duration) + Send,
    call: impl Future<Output = T> + Send,
    read: impl FnOnce(&T, &Span) -> &'static str + Send,
) -> T {
    let mut observed = Call { span: span.clone(), outcome: "abandoned", began: Instant::now(), count };
    let result = call.instrument(span).await;
    observed.outcome = read(&result, &observed.span);
    result
}

impl<C: Fn(&'static str, Duration)> Drop for Call<C> {
    fn drop(&mut self) {
        self.span.record("tidegate.outcome", self.outcome);
        (self.count)(self.outcome, self.began.elapsed());
    }
}

async fn act<T>(
    target: &'static str,
    operation: &'static str,
    span: Span,
    call: impl Future<Output = Result<T, ActuatorError>> + Send,
) -> Result<T, ActuatorError> {
    let read = |result: &Result<T, ActuatorError>, span: &Span| {
        let Err(error) = result else { return "ok" };
        span.record("error.message", chain(error));
        match error {
            ActuatorError::Displaced { .. } => "displaced",
            ActuatorError::Fenced { .. } => "fenced",
            ActuatorError::Refused { .. } => "refused",
            ActuatorError::Unavailable { .. } => "unavailable",
        }
    };
    observe(span, |outcome, took| count::acted(target, operation, outcome, took), call, read).await
}

/// A span of a call, with the fields that say how it ended.
macro_rules! call_span {
    ($name:literal, $($fields:tt)+) => {
        debug_span!($name, $($fields)+, tidegate.outcome = field::Empty, error.message = field::Empty)
    };
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TrafficRouter for Traced<Arc<dyn TrafficRouter>> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let span = call_span!(
            "tidegate.router.apply",
            tidegate.route = %route,
            tidegate.traffic = %traffic,
            tidegate.fence = fence.get()
        );
        act("router", "apply", span, self.0.apply(route, traffic, fence)).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let span = call_span!("tidegate.router.observe", tidegate.route = %route);
        act("router", "observe", span, self.0.observe(route)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Deployer for Traced<Arc<dyn Deployer>> {
    fn in_place(&self) -> bool {
        self.0.in_place()
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let span = call_span!(
            "tidegate.deployer.ensure",
            tidegate.slot = %workload.slot,
            tidegate.release = %workload.release,
            tidegate.fence = fence.get()
        );
        act("deployer", "ensure", span, self.0.ensure(workload, fence)).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        let span = call_span!(
            "tidegate.deployer.rehearse",
            tidegate.slot = %workload.slot,
            tidegate.release = %workload.release
        );
        act("deployer", "rehearse", span, self.0.rehearse(workload)).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let span = call_span!("tidegate.deployer.status", tidegate.slot = %slot);
        act("deployer", "status", span, self.0.status(slot)).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        let span =
            call_span!("tidegate.deployer.remove", tidegate.slot = %slot, tidegate.fence = fence.get());
        act("deployer", "remove", span, self.0.remove(slot, fence)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MetricsSource for Traced<Arc<dyn MetricsSource>> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, SourceError> {
        let [route, slot] = ["route", "slot"].map(|label| selector.get(label).unwrap_or_default());
        let span = call_span!(
            "tidegate.source.query",
            tidegate.route = route,
            tidegate.slot = slot,
            tidegate.metric = %metric
        );
        let count = |outcome, took| {
            count::asked(metric, outcome, took);
            if outcome == OBSERVED {
                count::seen(route, slot, metric, window.end());
            }
        };
        observe(span, count, self.0.observe(metric, selector, window), answered).await
    }
}

const OBSERVED: &str = "observed";

fn answered(answer: &Result<Measurement, SourceError>, span: &Span) -> &'static str {
    match answer {
        Ok(Measurement::Observed(_)) => OBSERVED,
        Ok(Measurement::Missing(missing)) => match missing {
            Missing::Infinite { .. } => "infinite",
            Missing::NoData => "no_data",
            Missing::NotANumber => "not_a_number",
            Missing::SourceError { cause, .. } => {
                span.record("error.message", cause.as_str());
                "source_error"
            }
            Missing::Stale { .. } => "stale",
            Missing::TooFew { .. } => "too_few",
            _ => "missing",
        },
        Ok(_) => "missing",
        Err(error) => {
            span.record("error.message", chain(error));
            if error.is_transient() { "unavailable" } else { "failed" }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Gatekeeper for Traced<Arc<dyn Gatekeeper>> {
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        let gate = question.gate.as_str();
        let span = call_span!("tidegate.gate.ask", tidegate.route = %question.route, tidegate.gate = gate);
        let read = |answer: &Result<Answer, BoxError>, span: &Span| match answer {
            Ok(Answer::NotYet) => "not_yet",
            Ok(Answer::Open) => "open",
            Ok(Answer::Shut { .. }) => "shut",
            Err(error) => {
                span.record("error.message", chain(&**error));
                "failed"
            }
        };
        let count = |outcome, took| count::gate_asked(gate, outcome, took);
        observe(span, count, self.0.ask(question), read).await
    }
}

impl<T: fmt::Debug> fmt::Debug for Traced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Traced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
