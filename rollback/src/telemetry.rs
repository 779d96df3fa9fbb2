//! What this crate tells of its own work: a span for each rollback, watch, look and search, and metrics with the
//! feature `telemetry`. Names and fields are documented in the book, on the page "Observability", and tested against
//! it.

use std::time::SystemTime;

use tidegate_canary::{RouteId, metrics::Verdict};
use tracing::{Span, field};

#[cfg(feature = "telemetry")]
pub use self::count::describe_metrics;
use crate::{Error, Helped, State, Undo, Vigil, Vigilance, search::Found};

/// A state of a rollback, for as long as it is in it.
pub(crate) struct UndoStage {
    state: &'static str,
    since: SystemTime,
    recovered: bool,
    pub(crate) span: Span,
}

impl UndoStage {
    /// The state in which a driver finds a rollback.
    pub(crate) fn find(undo: &Undo, at: SystemTime) -> Self {
        let route = &undo.order().route;
        count::undo_cleared(route);
        let recovered = match undo.state() {
            State::Restore => undo.has_moved_traffic(),
            state => !state.is_before_recovery(),
        };
        Self { recovered, ..Self::enter(undo, at) }
    }

    fn enter(undo: &Undo, since: SystemTime) -> Self {
        let (route, state) = (&undo.order().route, undo.state().name());
        let span = tracing::info_span!(
            "tidegate.rollback.step",
            tidegate.route = %route,
            tidegate.state = state
        );
        count::undo_entered(route, state);
        Self { state, since, recovered: false, span }
    }

    /// Takes in what the rollback is since `at`.
    pub(crate) fn take(&mut self, at: SystemTime, undo: &Undo) {
        let (route, state) = (&undo.order().route, undo.state());
        if self.state == state.name() {
            return;
        }
        count::undo_left(route, self.state, at.duration_since(self.since).unwrap_or_default());
        let mut recovered = self.recovered;
        if !recovered && ["replace", "return", "shift"].contains(&self.state) && !is_given_up(state) {
            recovered = true;
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
        *self = Self { recovered, ..Self::enter(undo, at) };
    }
}

const fn is_given_up(state: &State) -> bool {
    matches!(state, State::Aborted { .. } | State::Stuck { .. })
}

/// How things are with a watch, for as long as they are so.
pub(crate) struct WatchStage(&'static str);

impl WatchStage {
    /// As a guard finds it.
    pub(crate) fn find(vigil: &Vigil) -> Self {
        let route = &vigil.watch().route;
        count::watch_cleared(route);
        count::watch_entered(route, vigil.state().name());
        Self(vigil.state().name())
    }

    /// Takes in how things are now.
    pub(crate) fn take(&mut self, vigil: &Vigil) {
        let (route, state) = (&vigil.watch().route, vigil.state());
        if self.0 == state.name() {
            return;
        }
        count::watch_left(route, self.0);
        count::watch_entered(route, state.name());
        if matches!(state, Vigilance::Alarmed { .. }) {
            count::alarmed(route);
        }
        if state.is_end() {
            // A guard tells this in the span of the whole watch.
            Span::current().record("tidegate.end", state.name());
        }
        self.0 = state.name();
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
    use std::time::Duration;

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

    pub(super) fn undo_cleared(route: &RouteId) {
        for state in ["aborted", "done", "stuck"] {
            gauge!(STATE, "route" => route.to_string(), "state" => state).set(0.0);
        }
        // Of a counter that begins with 1, Prometheus sees no increase.
        for outcome in ["aborted", "proven", "stuck", "unproven"] {
            counter!(ENDS, "route" => route.to_string(), "outcome" => outcome).increment(0);
        }
    }

    pub(super) fn undo_entered(route: &RouteId, state: &'static str) {
        gauge!(STATE, "route" => route.to_string(), "state" => state).set(1.0);
    }

    pub(super) fn undo_left(route: &RouteId, state: &'static str, after: Duration) {
        gauge!(STATE, "route" => route.to_string(), "state" => state).set(0.0);
        histogram!(STATE_SECONDS, "route" => route.to_string(), "state" => state).record(after);
    }

    pub(super) fn undo_ended(route: &RouteId, outcome: &'static str) {
        counter!(ENDS, "route" => route.to_string(), "outcome" => outcome).increment(1);
    }

    pub(super) fn recovered(route: &RouteId, after: Duration) {
        histogram!(RECOVERY, "route" => route.to_string()).record(after);
    }

    pub(super) fn watch_cleared(route: &RouteId) {
        for state in ["kept", "moved", "returned", "stopped"] {
            gauge!(WATCH, "route" => route.to_string(), "state" => state).set(0.0);
        }
        counter!(ALARMS, "route" => route.to_string()).increment(0);
    }

    pub(super) fn watch_entered(route: &RouteId, state: &'static str) {
        gauge!(WATCH, "route" => route.to_string(), "state" => state).set(1.0);
    }

    pub(super) fn watch_left(route: &RouteId, state: &'static str) {
        gauge!(WATCH, "route" => route.to_string(), "state" => state).set(0.0);
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

    pub(super) const fn undo_cleared(_: &RouteId) {}

    pub(super) const fn undo_entered(_: &RouteId, _: &'static str) {}

    pub(super) const fn undo_left(_: &RouteId, _: &'static str, _: Duration) {}

    pub(super) const fn undo_ended(_: &RouteId, _: &'static str) {}

    pub(super) const fn recovered(_: &RouteId, _: Duration) {}

    pub(super) const fn watch_cleared(_: &RouteId) {}

    pub(super) const fn watch_entered(_: &RouteId, _: &'static str) {}

    pub(super) const fn watch_left(_: &RouteId, _: &'static str) {}

    pub(super) const fn alarmed(_: &RouteId) {}

    pub(super) const fn looked(_: &RouteId, _: &'static str) {}
}
