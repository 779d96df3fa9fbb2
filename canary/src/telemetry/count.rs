//! The metrics of this crate.

#[cfg(feature = "telemetry")]
pub use self::facade::describe_metrics;
#[cfg(feature = "telemetry")]
pub(crate) use self::facade::*;
#[cfg(not(feature = "telemetry"))]
pub(crate) use self::nobody::*;

#[cfg(feature = "telemetry")]
mod facade {
    use std::time::{Duration, SystemTime};

    use metrics_facade::{
        Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    };
    use tidegate_metrics::Metric;

    use crate::RouteId;

    /// Whether anything is counted here.
    pub(crate) const COUNTS: bool = true;

    const ACTUATOR: &str = "tidegate_actuator_call_seconds";
    const ENDS: &str = "tidegate_rollout_ends_total";
    const GATE: &str = "tidegate_gate_call_seconds";
    #[cfg(feature = "notify")]
    const NOTICES: &str = "tidegate_notices_total";
    const QUERY: &str = "tidegate_source_query_seconds";
    const SEEN: &str = "tidegate_source_newest_window_timestamp_seconds";
    const STATE: &str = "tidegate_rollout_state";
    const STATE_SECONDS: &str = "tidegate_rollout_state_seconds";
    const WEIGHT: &str = "tidegate_rollout_candidate_weight_ratio";
    const WINDOWS: &str = "tidegate_rollout_windows_total";

    /// States in which nothing more happens, as [`State::name`](crate::State::name) calls them.
    const LAST: [&str; 6] = ["compared", "promoted", "rolledBack", "seized", "stuck", "unsettled"];

    /// Tells the installed recorder units and meanings of the metrics of this crate and of those below it.
    #[cfg_attr(docsrs, doc(cfg(feature = "telemetry")))]
    pub fn describe_metrics() {
        tidegate_metrics::describe_metrics();
        tidegate_registry::describe_metrics();
        describe_histogram!(ACTUATOR, Unit::Seconds, "How long calls of routers and deployers took.");
        describe_counter!(ENDS, Unit::Count, "Rollouts that are over.");
        describe_histogram!(GATE, Unit::Seconds, "How long gatekeepers took to answer.");
        #[cfg(feature = "notify")]
        describe_counter!(NOTICES, Unit::Count, "Tries to bring a notice to a recipient.");
        describe_histogram!(QUERY, Unit::Seconds, "How long sources of metrics took to answer.");
        describe_gauge!(SEEN, Unit::Seconds, "End of the newest window in which anything was observed.");
        describe_gauge!(STATE, Unit::Count, "1 for the state that the rollout of a route is in.");
        describe_histogram!(STATE_SECONDS, Unit::Seconds, "How long rollouts were in a state.");
        describe_gauge!(WEIGHT, Unit::Count, "Share of the traffic that the candidate has, from 0 to 1.");
        describe_counter!(WINDOWS, Unit::Count, "Windows that were judged, by the verdict after them.");
    }

    pub(crate) fn acted(
        target: &'static str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        histogram!(ACTUATOR, "target" => target, "operation" => operation, "outcome" => outcome).record(took);
    }

    pub(crate) fn asked(metric: &Metric, outcome: &'static str, took: Duration) {
        histogram!(QUERY, "metric" => metric.to_string(), "outcome" => outcome).record(took);
    }

    pub(crate) fn seen(route: &str, metric: &Metric, end: SystemTime) {
        let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        gauge!(SEEN, "route" => route.to_owned(), "metric" => metric.to_string()).set(end.as_secs_f64());
    }

    pub(crate) fn gate_asked(gate: &str, outcome: &'static str, took: Duration) {
        histogram!(GATE, "gate" => gate.to_owned(), "outcome" => outcome).record(took);
    }

    #[cfg(feature = "notify")]
    pub(crate) fn noticed(outcome: &'static str) {
        counter!(NOTICES, "outcome" => outcome).increment(1);
    }

    pub(crate) fn cleared(route: &RouteId) {
        for state in LAST {
            gauge!(STATE, "route" => route.to_string(), "state" => state).set(0.0);
            // Of a counter that begins with 1, Prometheus sees no increase.
            counter!(ENDS, "route" => route.to_string(), "state" => state).increment(0);
        }
    }

    pub(crate) fn entered(route: &RouteId, state: &'static str) {
        gauge!(STATE, "route" => route.to_string(), "state" => state).set(1.0);
    }

    pub(crate) fn left(route: &RouteId, state: &'static str, after: Duration) {
        gauge!(STATE, "route" => route.to_string(), "state" => state).set(0.0);
        histogram!(STATE_SECONDS, "route" => route.to_string(), "state" => state).record(after);
    }

    pub(crate) fn ended(route: &RouteId, state: &'static str) {
        counter!(ENDS, "route" => route.to_string(), "state" => state).increment(1);
    }

    pub(crate) fn judged(route: &RouteId, verdict: &'static str) {
        counter!(WINDOWS, "route" => route.to_string(), "verdict" => verdict).increment(1);
    }

    pub(crate) fn weighed(route: &RouteId, share: f64) {
        gauge!(WEIGHT, "route" => route.to_string()).set(share);
    }
}

#[cfg(not(feature = "telemetry"))]
mod nobody {
    use std::time::{Duration, SystemTime};

    use tidegate_metrics::Metric;

    use crate::RouteId;

    /// Whether anything is counted here.
    pub(crate) const COUNTS: bool = false;

    pub(crate) const fn acted(_: &'static str, _: &'static str, _: &'static str, _: Duration) {}

    pub(crate) const fn asked(_: &Metric, _: &'static str, _: Duration) {}

    pub(crate) const fn seen(_: &str, _: &Metric, _: SystemTime) {}

    pub(crate) const fn gate_asked(_: &str, _: &'static str, _: Duration) {}

    #[cfg(feature = "notify")]
    pub(crate) const fn noticed(_: &'static str) {}

    pub(crate) const fn cleared(_: &RouteId) {}

    pub(crate) const fn entered(_: &RouteId, _: &'static str) {}

    pub(crate) const fn left(_: &RouteId, _: &'static str, _: Duration) {}

    pub(crate) const fn ended(_: &RouteId, _: &'static str) {}

    pub(crate) const fn judged(_: &RouteId, _: &'static str) {}

    pub(crate) const fn weighed(_: &RouteId, _: f64) {}
}
