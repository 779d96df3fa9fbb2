//! What this crate tells of its own work: a span for each rollback, watch, look and search, and metrics with the
//! feature `telemetry`. Names and fields are documented in the book, on the page "Observability", and tested against
//! it.

use std::time::SystemTime;

use tidegate_canary::{RouteId, metrics::Verdict};
use tracing::{Span, field};

#[cfg(feature = "telemetry")]
pub use self::count::describe_metrics;
use crate::{Error, Helped, State, Undo, Vigil, Vigilance, search::Found};

/// The state of a rollback, for as long as a driver runs it.
pub(crate) struct UndoStage {
    gauge: count::StateGauge,
    state: &'static str,
    since: SystemTime,
    recovered: bool,
    is_end: bool,
    pub(crate) span: Span,
}

impl UndoStage {
    /// The state in which a driver finds a rollback.
    pub(crate) fn find(undo: &Undo) -> Self {
        let state = undo.state();
        let gauge = count::StateGauge::of_rollback(&undo.order().route);
        gauge.enter(state.name());
        let recovered = match state {
            State::Restore => undo.has_moved_traffic(),
            state => !state.is_before_recovery(),
        };
        Self {
            gauge,
            state: state.name(),
            since: undo.since(),
            recovered,
            is_end: state.is_end(),
            span: undo_span(undo),
        }
    }

    /// Takes in what the rollback is since `at`.
    pub(crate) fn take(&mut self, at: SystemTime, undo: &Undo) {
        let (route, state) = (&undo.order().route, undo.state());
        if self.state == state.name() {
            return;
        }
        count::undo_left(route, self.state, at.duration_since(self.since).unwrap_or_default());
        let moved = ["replace", "return", "shift"].contains(&self.state);
        if !self.recovered && moved && !is_given_up(state) {
            self.recovered = true;
            count::recovered(route, at.duration_since(undo.begun()).unwrap_or_default());
        }
        if state.is_end() {
            let outcome = match state {
                State::Done { helped: Helped::Proven, .. } => "proven",
                State::Done { .. } => "unproven",
                state => state.name(),
            };
            count::undo_ended(route, outcome);
            // A driver tells this in the span of the whole rollback.
            Span::current().record("tidegate.end", outcome);
        }
        self.gauge.enter(state.name());
        self.state = state.name();
        self.since = at;
        self.is_end = state.is_end();
        self.span = undo_span(undo);
    }
}

impl Drop for UndoStage {
    /// A driver that stops short of the end does not know any more how the rollback does.
    fn drop(&mut self) {
        if !self.is_end {
            self.gauge.abandon();
        }
    }
}

/// Of the state that the rollback is in.
fn undo_span(undo: &Undo) -> Span {
    tracing::info_span!(
        "tidegate.rollback.step",
        tidegate.route = %undo.order().route,
        tidegate.state = undo.state().name()
    )
}

const fn is_given_up(state: &State) -> bool {
    matches!(state, State::Aborted { .. } | State::Stuck { .. })
}

/// How things are with a watch, for as long as a guard keeps it.
pub(crate) struct WatchStage {
    gauge: count::StateGauge,
    state: &'static str,
    is_end: bool,
}

impl WatchStage {
    /// As a guard finds it.
    pub(crate) fn find(vigil: &Vigil) -> Self {
        let state = vigil.state();
        let gauge = count::StateGauge::of_watch(&vigil.watch().route);
        gauge.enter(state.name());
        Self { gauge, state: state.name(), is_end: state.is_end() }
    }

    /// Takes in how things are now.
    pub(crate) fn take(&mut self, vigil: &Vigil) {
        let state = vigil.state();
        if self.state == state.name() {
            return;
        }
        self.gauge.enter(state.name());
        if matches!(state, Vigilance::Alarmed { .. }) {
            count::alarmed(&vigil.watch().route);
        }
        if state.is_end() {
            // A guard tells this in the span of the whole watch.
            Span::current().record("tidegate.end", state.name());
        }
        self.state = state.name();
        self.is_end = state.is_end();
    }
}

impl Drop for WatchStage {
    /// A guard that stops short of the end keeps nothing any more: blind or held is a watch that somebody keeps.
    fn drop(&mut self) {
        if !self.is_end {
            self.gauge.abandon();
        }
    }
}

/// Tells the span of a look what it has shown.
pub(crate) fn looked(span: &Span, route: &RouteId, verdict: Verdict, blind: Option<&str>) {
    let verdict = match verdict {
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Pass => "pass",
    };
    span.record("tidegate.verdict", verdict);
    if let Some(why) = blind {
        span.record("tidegate.blind", why);
    }
    count::looked(route, verdict);
}

/// Tells the span of a search what it has found.
pub(crate) fn searched(span: &Span, found: &Result<Found, Error>) {
    match found {
        Ok(found) => {
            span.record("tidegate.outcome", "ok");
            span.record("tidegate.target", field::display(&found.to));
        }
        Err(error) => {
            span.record(
                "tidegate.outcome",
                if matches!(error, Error::NoTarget(_)) { "nowhere" } else { "failed" },
            );
            span.record("error.message", field::display(error));
        }
    }
}

#[cfg(feature = "telemetry")]
mod count {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, MutexGuard, PoisonError},
        time::Duration,
    };

    use metrics_facade::{
        Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    };
    use tidegate_canary::RouteId;

    const ALARMS: &str = "tidegate_watch_alarms_total";
    const ENDS: &str = "tidegate_rollback_ends_total";
    const LOOKS: &str = "tidegate_watch_looks_total";
    const RECOVERY: &str = "tidegate_rollback_recovery_seconds";
    const STATE: &str = "tidegate_rollback_state";
    const STATE_SECONDS: &str = "tidegate_rollback_state_seconds";
    const WATCH: &str = "tidegate_watch_state";

    /// Tells the installed recorder units and meanings of the metrics of this crate and of those below it.
    #[cfg_attr(docsrs, doc(cfg(feature = "telemetry")))]
    pub fn describe_metrics() {
        tidegate_canary::describe_metrics();
        describe_counter!(ALARMS, Unit::Count, "Alarms of watches.");
        describe_counter!(ENDS, Unit::Count, "Rollbacks that are over.");
        describe_counter!(LOOKS, Unit::Count, "Looks of watches, by the verdict after them.");
        describe_histogram!(RECOVERY, Unit::Seconds, "From the order to all traffic on the target.");
        describe_gauge!(STATE, Unit::Count, "1 for the state that the rollback of a route is in.");
        describe_histogram!(STATE_SECONDS, Unit::Seconds, "How long rollbacks were in a state.");
        describe_gauge!(WATCH, Unit::Count, "1 for how things are with the watch of a route.");
    }

    /// Who tells each of the gauges of states, and which state: of several in this program the one that began last.
    static TOLD: Mutex<BTreeMap<Gauge, Told>> = Mutex::new(BTreeMap::new());

    /// The name of a metric, and the route.
    type Gauge = (&'static str, RouteId);

    #[derive(Default)]
    struct Told {
        turn: u64,
        state: Option<&'static str>,
    }

    /// A gauge of states of a route, as one driver or guard tells it until another begins.
    pub(super) struct StateGauge {
        gauge: Gauge,
        turn: u64,
    }

    impl StateGauge {
        pub(super) fn of_rollback(route: &RouteId) -> Self {
            // Of a counter that begins with 1, Prometheus sees no increase.
            for outcome in ["aborted", "proven", "stuck", "unproven"] {
                counter!(ENDS, "route" => route.to_string(), "outcome" => outcome).increment(0);
            }
            // Nor of the only record of a histogram that begins with it.
            let _born = histogram!(RECOVERY, "route" => route.to_string());
            Self::begin((STATE, route.clone()), &["aborted", "done", "stuck"])
        }

        pub(super) fn of_watch(route: &RouteId) -> Self {
            counter!(ALARMS, "route" => route.to_string()).increment(0);
            for verdict in ["fail", "inconclusive", "pass"] {
                counter!(LOOKS, "route" => route.to_string(), "verdict" => verdict).increment(0);
            }
            Self::begin((WATCH, route.clone()), &["kept", "moved", "returned", "stopped"])
        }

        /// What was told before, in this program, is not the latest any more.
        fn begin(gauge: Gauge, ends: &[&'static str]) -> Self {
            let mut gauges = told();
            let told = gauges.entry(gauge.clone()).or_default();
            told.turn += 1;
            for state in ends.iter().copied().chain(told.state.take()) {
                show(&gauge, state, false);
            }
            Self { gauge, turn: told.turn }
        }

        /// It is in this state now, and in no other.
        pub(super) fn enter(&self, state: &'static str) {
            self.tell(|told| {
                if let Some(left) = told.replace(state) {
                    show(&self.gauge, left, false);
                }
                show(&self.gauge, state, true);
            });
        }

        /// Nobody knows any more how things are.
        pub(super) fn abandon(&self) {
            self.tell(|told| {
                if let Some(left) = told.take() {
                    show(&self.gauge, left, false);
                }
            });
        }

        /// Tells something, unless another has begun since.
        fn tell(&self, tell: impl FnOnce(&mut Option<&'static str>)) {
            if let Some(told) = told().get_mut(&self.gauge).filter(|told| told.turn == self.turn) {
                tell(&mut told.state);
            }
        }
    }

    fn told() -> MutexGuard<'static, BTreeMap<Gauge, Told>> {
        TOLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&(metric, ref route): &Gauge, state: &'static str, is_in_it: bool) {
        gauge!(metric, "route" => route.to_string(), "state" => state).set(f64::from(u8::from(is_in_it)));
    }

    pub(super) fn undo_left(route: &RouteId, state: &'static str, after: Duration) {
        histogram!(STATE_SECONDS, "route" => route.to_string(), "state" => state).record(after);
    }

    pub(super) fn undo_ended(route: &RouteId, outcome: &'static str) {
        counter!(ENDS, "route" => route.to_string(), "outcome" => outcome).increment(1);
    }

    pub(super) fn recovered(route: &RouteId, after: Duration) {
        histogram!(RECOVERY, "route" => route.to_string()).record(after);
    }

    pub(super) fn alarmed(route: &RouteId) {
        counter!(ALARMS, "route" => route.to_string()).increment(1);
    }

    pub(super) fn looked(route: &RouteId, verdict: &'static str) {
        counter!(LOOKS, "route" => route.to_string(), "verdict" => verdict).increment(1);
    }
}

/// Nobody counts.
#[cfg(not(feature = "telemetry"))]
mod count {
    use std::time::Duration;

    use tidegate_canary::RouteId;

    pub(super) struct StateGauge;

    impl StateGauge {
        pub(super) const fn of_rollback(_: &RouteId) -> Self {
            Self
        }

        pub(super) const fn of_watch(_: &RouteId) -> Self {
            Self
        }

        pub(super) const fn enter(&self, _: &'static str) {}

        pub(super) const fn abandon(&self) {}
    }

    pub(super) const fn undo_left(_: &RouteId, _: &'static str, _: Duration) {}

    pub(super) const fn undo_ended(_: &RouteId, _: &'static str) {}

    pub(super) const fn recovered(_: &RouteId, _: Duration) {}

    pub(super) const fn alarmed(_: &RouteId) {}

    pub(super) const fn looked(_: &RouteId, _: &'static str) {}
}
