//! The metrics of this crate.

#[cfg(feature = "telemetry")]
pub use self::facade::describe_metrics;
#[cfg(feature = "telemetry")]
pub(crate) use self::facade::*;
#[cfg(not(feature = "telemetry"))]
pub(crate) use self::nobody::*;

#[cfg(feature = "telemetry")]
mod facade {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, MutexGuard, PoisonError},
        time::{Duration, SystemTime},
    };

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

    /// The ends of the newest windows, by route, slot and metric.
    static NEWEST: Mutex<BTreeMap<(String, String, String), SystemTime>> = Mutex::new(BTreeMap::new());

    /// Older windows are asked for, too, as by whoever remembers nothing: the newest counts.
    pub(crate) fn seen(route: &str, slot: &str, metric: &Metric, end: SystemTime) {
        let mut all = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = all.entry((route.to_owned(), slot.to_owned(), metric.to_string())).or_insert(end);
        *newest = end.max(*newest);
        let since_epoch = newest.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        gauge!(
            SEEN,
            "route" => route.to_owned(),
            "slot" => slot.to_owned(),
            "metric" => metric.to_string()
        )
        .set(since_epoch.as_secs_f64());
    }

    pub(crate) fn gate_asked(gate: &str, outcome: &'static str, took: Duration) {
        histogram!(GATE, "gate" => gate.to_owned(), "outcome" => outcome).record(took);
    }

    /// Of a counter that begins with 1, Prometheus sees no increase.
    #[cfg(feature = "notify")]
    pub(crate) fn notices_begin() {
        for outcome in ["delivered", "given_up", "waits"] {
            counter!(NOTICES, "outcome" => outcome).increment(0);
        }
    }

    #[cfg(feature = "notify")]
    pub(crate) fn noticed(outcome: &'static str) {
        counter!(NOTICES, "outcome" => outcome).increment(1);
    }

    /// Who tells the gauges of each route, and of which state: of several drivers in this program the one that began
    /// last.
    static TOLD: Mutex<BTreeMap<RouteId, Told>> = Mutex::new(BTreeMap::new());

    #[derive(Default)]
    struct Told {
        turn: u64,
        state: Option<&'static str>,
    }

    /// The gauges of a route, as one driver tells them until another begins.
    pub(crate) struct Gauges {
        route: RouteId,
        turn: u64,
    }

    impl Gauges {
        /// What was told before of the route, in this program, is not the latest any more.
        pub(crate) fn begin(route: &RouteId) -> Self {
            let mut routes = told();
            let told = routes.entry(route.clone()).or_default();
            told.turn += 1;
            for state in LAST {
                show(route, state, false);
                // Of a counter that begins with 1, Prometheus sees no increase.
                counter!(ENDS, "route" => route.to_string(), "state" => state).increment(0);
            }
            for verdict in ["fail", "inconclusive", "pass"] {
                counter!(WINDOWS, "route" => route.to_string(), "verdict" => verdict).increment(0);
            }
            // Nor of the only record of a histogram that begins with it: how long the retreat took.
            let _born = histogram!(STATE_SECONDS, "route" => route.to_string(), "state" => "retreat");
            if let Some(state) = told.state.take() {
                show(route, state, false);
            }
            Self { route: route.clone(), turn: told.turn }
        }

        /// The rollout is in this state now, and in no other.
        pub(crate) fn enter(&self, state: &'static str) {
            self.tell(|told| {
                if let Some(left) = told.state.replace(state) {
                    show(&self.route, left, false);
                }
                show(&self.route, state, true);
            });
        }

        /// The candidate has this share of the traffic, from 0 to 1.
        pub(crate) fn weigh(&self, share: f64) {
            self.tell(|_| weighed(&self.route, share));
        }

        /// Nobody knows any more how the rollout does.
        pub(crate) fn abandon(&self) {
            self.tell(|told| {
                if let Some(left) = told.state.take() {
                    show(&self.route, left, false);
                }
                weighed(&self.route, 0.0);
            });
        }

        /// Tells something, unless another driver has begun since.
        fn tell(&self, tell: impl FnOnce(&mut Told)) {
            if let Some(told) = told().get_mut(&self.route).filter(|told| told.turn == self.turn) {
                tell(told);
            }
        }
    }

    fn told() -> MutexGuard<'static, BTreeMap<RouteId, Told>> {
        TOLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(route: &RouteId, state: &'static str, is_in_it: bool) {
        gauge!(STATE, "route" => route.to_string(), "state" => state).set(f64::from(u8::from(is_in_it)));
    }

    fn weighed(route: &RouteId, share: f64) {
        gauge!(WEIGHT, "route" => route.to_string()).set(share);
    }

    pub(crate) fn left(route: &RouteId, state: &'static str, after: Duration) {
        histogram!(STATE_SECONDS, "route" => route.to_string(), "state" => state).record(after);
    }

    pub(crate) fn ended(route: &RouteId, state: &'static str) {
        counter!(ENDS, "route" => route.to_string(), "state" => state).increment(1);
    }

    pub(crate) fn judged(route: &RouteId, verdict: &'static str) {
        counter!(WINDOWS, "route" => route.to_string(), "verdict" => verdict).increment(1);
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

    pub(crate) const fn seen(_: &str, _: &str, _: &Metric, _: SystemTime) {}

    pub(crate) const fn gate_asked(_: &str, _: &'static str, _: Duration) {}

    #[cfg(feature = "notify")]
    pub(crate) const fn notices_begin() {}

    #[cfg(feature = "notify")]
    pub(crate) const fn noticed(_: &'static str) {}

    pub(crate) struct Gauges;

    impl Gauges {
        pub(crate) const fn begin(_: &RouteId) -> Self {
            Self
        }

        pub(crate) const fn enter(&self, _: &'static str) {}

        pub(crate) const fn weigh(&self, _: f64) {}

        pub(crate) const fn abandon(&self) {}
    }

    pub(crate) const fn left(_: &RouteId, _: &'static str, _: Duration) {}

    pub(crate) const fn ended(_: &RouteId, _: &'static str) {}

    pub(crate) const fn judged(_: &RouteId, _: &'static str) {}
}
