//! Every router and deployer that runs without a server keeps its contract; so do those behind faults that
//! change nothing. (`HttpRoute` runs the same suite in `httproute`.)

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::time::{Duration, UNIX_EPOCH};

use tidegate_canary::{
    Deployer, EmbeddedRouter, InMemoryDeployer, InMemoryRouter, Release, TrafficRouter, WallClock,
    testkit::{Fault, Flaky, deployer::Slots, deployer_conformance, router::Routes, router_conformance},
};
use tidegate_registry::Digest;

fn routes<R: TrafficRouter>(router: R) -> Routes<R> {
    Routes { router, route: "serving/fraud".parse().unwrap(), another: "serving/spam".parse().unwrap() }
}

fn slots<D: Deployer>(deployer: D) -> Slots<D> {
    let release = |model: &str| Release { model: model.parse().unwrap(), digest: Digest::of(model) };
    Slots { deployer, releases: [release("fraud@1.4.0"), release("fraud@1.5.0")] }
}

fn embedded() -> EmbeddedRouter {
    EmbeddedRouter::new(WallClock::starting_at(UNIX_EPOCH), 1)
}

/// Half of the calls take a millisecond, so that those of racing drivers overtake each other.
fn slow<T>(inner: T) -> Flaky<T> {
    Flaky::new(inner, 1).with_share(Fault::Slow(Duration::from_millis(1)), 0.5)
}

router_conformance!(in_memory_router, async || routes(InMemoryRouter::default()));
router_conformance!(embedded_router, async || routes(embedded()));
router_conformance!(slow_router, async || routes(slow(InMemoryRouter::default())));
deployer_conformance!(in_memory_deployer, async || slots(InMemoryDeployer::default()));
deployer_conformance!(slow_deployer, async || slots(slow(InMemoryDeployer::default())));
