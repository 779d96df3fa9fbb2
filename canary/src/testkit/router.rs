//! What every [`TrafficRouter`] must do. A backend runs all of it by
//! [`router_conformance!`](super::router_conformance).

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{join, join_all};

use super::{assert_fenced, fence, patiently};
use crate::{
    ActuatorError, Capabilities, Exception, Fence, Key, Observed, RouteId, Slot, Traffic, TrafficRouter,
    Weight,
};

/// A router and two routes of it that were never applied to.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the factory of a test writes it as a literal")]
pub struct Routes<R> {
    /// The router.
    pub router: R,
    /// A route.
    pub route: RouteId,
    /// Another route.
    pub another: RouteId,
}

/// A test for each check of this suite, in a module of the given name. The factory makes
/// [`Routes`](crate::testkit::router::Routes), anew for each.
#[macro_export]
macro_rules! router_conformance {
    ($module:ident, $factory:expr) => {
        $crate::__conformance! { $module, $factory, router:
            a_new_route_is_all_stable
            a_refused_call_changes_nothing
            a_superseded_driver_changes_nothing
            a_superseded_driver_cannot_even_repeat
            applying_again_changes_nothing
            driver_of_the_same_fence_may_act_again
            every_promised_traffic_is_put_in_force
            of_racing_drivers_the_latest_wins
            routes_are_apart
            the_last_traffic_replaces_the_one_before
            traffic_is_seen_whole
            what_is_not_promised_is_refused
        }
    };
}

/// A route that was never applied to is all stable, and nobody has acted on it.
pub async fn a_new_route_is_all_stable<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    assert_eq!(routes.observe().await, Observed::new(Traffic::stable(), None));
}

/// `apply` says what is to be, not a change of what is.
pub async fn the_last_traffic_replaces_the_one_before<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    for percent in [20, 10, 0, 100] {
        let traffic = routes.split(percent);
        routes.apply(&traffic, 1).await;
        assert_eq!(routes.observe().await, Observed::new(traffic, Some(fence(1))));
    }
}

/// The same traffic by the same driver, again, changes nothing and is no error.
pub async fn applying_again_changes_nothing<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let traffic = routes.split(10);
    for _ in 0..3 {
        routes.apply(&traffic, 3).await;
        assert_eq!(routes.observe().await, Observed::new(traffic.clone(), Some(fence(3))));
    }
}

/// A fence lower than the highest one seen changes nothing, and the answer names both.
pub async fn a_superseded_driver_changes_nothing<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let traffic = routes.split(10);
    routes.apply(&traffic, 5).await;
    for (percent, offered) in [(50, 4), (0, 1)] {
        let answer = routes.router.apply(&routes.route, &routes.split(percent), fence(offered)).await;
        assert_fenced(&answer, fence(offered), fence(5));
        assert_eq!(routes.observe().await, Observed::new(traffic.clone(), Some(fence(5))));
    }
}

/// The highest fence counts even when its traffic is the traffic that was in force already.
pub async fn a_superseded_driver_cannot_even_repeat<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let traffic = routes.split(10);
    routes.apply(&traffic, 1).await;
    routes.apply(&traffic, 2).await;
    let answer = routes.router.apply(&routes.route, &traffic, fence(1)).await;
    assert_fenced(&answer, fence(1), fence(2));
    assert_eq!(routes.observe().await, Observed::new(traffic, Some(fence(2))));
}

/// A driver goes on acting with the fence that it has.
pub async fn driver_of_the_same_fence_may_act_again<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    routes.apply(&routes.split(10), 7).await;
    routes.apply(&routes.split(20), 7).await;
    assert_eq!(routes.observe().await, Observed::new(routes.split(20), Some(fence(7))));
}

/// Neither traffic nor fences of one route touch another.
pub async fn routes_are_apart<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let (ten, twenty) = (routes.split(10), routes.split(20));
    routes.apply(&ten, 9).await;
    assert_eq!(see(&routes.router, &routes.another).await, Observed::new(Traffic::stable(), None));
    insist(&routes.router, &routes.another, &twenty, fence(2)).await.expect("each route has its own fence");
    assert_eq!(see(&routes.router, &routes.another).await, Observed::new(twenty, Some(fence(2))));
    assert_eq!(routes.observe().await, Observed::new(ten, Some(fence(9))));
}

/// Drivers that act at the same time end with the traffic of the highest fence, in whatever order they came
/// through; those who lost are told so or were overtaken.
pub async fn of_racing_drivers_the_latest_wins<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let drivers: [(u64, u16); 4] = [(3, 30), (1, 10), (4, 40), (2, 20)];
    let answers = join_all(drivers.map(|(n, percent)| {
        let traffic = routes.split(percent);
        let Routes { router, route, .. } = &routes;
        async move { (n, insist(router, route, &traffic, fence(n)).await) }
    }))
    .await;
    for (n, answer) in answers {
        match answer {
            Ok(()) => {}
            Err(ActuatorError::Fenced { offered, held }) => assert!(offered == fence(n) && held > fence(n)),
            Err(error) => panic!("driver {n} was answered {error:?}"),
        }
    }
    assert_eq!(routes.observe().await, Observed::new(routes.split(40), Some(fence(4))));
}

/// Traffic takes effect as a whole: between two of them, only the one or the other is ever seen, each with
/// its own fence.
pub async fn traffic_is_seen_whole<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let (before, after) = (routes.richest(10), routes.richest(30));
    routes.apply(&before, 1).await;
    let over = AtomicBool::new(false);
    let look = async {
        let mut seen = Vec::new();
        while !over.load(Ordering::Relaxed) {
            seen.extend(routes.router.observe(&routes.route).await);
            tokio::task::yield_now().await;
        }
        seen
    };
    let change = async {
        let done = insist(&routes.router, &routes.route, &after, fence(2)).await;
        over.store(true, Ordering::Relaxed);
        done
    };
    let (seen, done) = join(look, change).await;
    done.expect("nobody else acts");
    let (before, after) = (Observed::new(before, Some(fence(1))), Observed::new(after, Some(fence(2))));
    for seen in seen {
        assert!(seen == before || seen == after, "neither {before:?} nor {after:?} but {seen:?}");
    }
    assert_eq!(routes.observe().await, after);
}

/// What [`Capabilities`] promise is put in force exactly: to the smallest share, with exceptions, copies and
/// sticky users.
pub async fn every_promised_traffic_is_put_in_force<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let capabilities = routes.router.capabilities();
    let promised: Vec<_> =
        wishes(capabilities).into_iter().filter(|t| capabilities.check(t).is_ok()).collect();
    assert!(!promised.is_empty(), "{capabilities:?} promise nothing that could be tested");
    for traffic in promised {
        routes.apply(&traffic, 1).await;
        assert_eq!(routes.observe().await, Observed::new(traffic, Some(fence(1))));
    }
}

/// What [`Capabilities`] do not promise is refused, for good, and changes nothing.
pub async fn what_is_not_promised_is_refused<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let capabilities = routes.router.capabilities();
    routes.apply(&routes.split(10), 1).await;
    for traffic in wishes(capabilities).into_iter().filter(|t| capabilities.check(t).is_err()) {
        let answer = routes.router.apply(&routes.route, &traffic, fence(1)).await;
        assert!(matches!(answer, Err(ActuatorError::Refused { .. })), "{traffic:?} was answered {answer:?}");
        assert_eq!(routes.observe().await, Observed::new(routes.split(10), Some(fence(1))));
    }
}

/// A refused call changes nothing: the fence is not raised either, so the driver in its right can go on.
pub async fn a_refused_call_changes_nothing<R: TrafficRouter>(make: impl AsyncFn() -> Routes<R>) {
    let routes = make().await;
    let capabilities = routes.router.capabilities();
    routes.apply(&routes.split(10), 1).await;
    for traffic in wishes(capabilities).into_iter().filter(|t| capabilities.check(t).is_err()) {
        let _refused = routes.router.apply(&routes.route, &traffic, fence(2)).await;
        assert_eq!(routes.observe().await, Observed::new(routes.split(10), Some(fence(1))));
    }
    routes.apply(&routes.split(20), 1).await;
}

impl<R: TrafficRouter> Routes<R> {
    async fn apply(&self, traffic: &Traffic, n: u64) {
        let answer = insist(&self.router, &self.route, traffic, fence(n)).await;
        answer.unwrap_or_else(|error| panic!("{traffic:?} with fence {n} was answered {error:?}"));
    }

    async fn observe(&self) -> Observed {
        see(&self.router, &self.route).await
    }

    /// `percent` to the candidate, or the nearest share that the router can tell apart.
    fn split(&self, percent: u16) -> Traffic {
        Traffic::split(even(percent * 100, self.router.capabilities()))
    }

    /// A split of `percent` with everything that the router promises on top.
    fn richest(&self, percent: u16) -> Traffic {
        let capabilities = self.router.capabilities();
        let base = self.split(percent);
        let extended = [
            with_baseline(&base).map(|traffic| traffic.with_exceptions([exception(header())])),
            with_baseline(&base),
        ];
        extended.into_iter().flatten().find(|traffic| capabilities.check(traffic).is_ok()).unwrap_or(base)
    }
}

/// `traffic` with as much to the baseline as the candidate has.
fn with_baseline(traffic: &Traffic) -> Option<Traffic> {
    traffic.clone().with_baseline(traffic.weight(Slot::Candidate))
}

/// Applies until the answer is more than "later": a backend may ask for patience while it settles.
async fn insist<R: TrafficRouter>(
    router: &R,
    route: &RouteId,
    traffic: &Traffic,
    fence: Fence,
) -> Result<(), ActuatorError> {
    patiently(async || router.apply(route, traffic, fence).await).await
}

async fn see<R: TrafficRouter>(router: &R, route: &RouteId) -> Observed {
    let seen = patiently(async || router.observe(route).await).await;
    seen.unwrap_or_else(|error| panic!("{route} cannot be observed: {error:?}"))
}

/// Traffic of every kind, from the plain to what few routers can do.
fn wishes(capabilities: Capabilities) -> Vec<Traffic> {
    let unit = capabilities.granularity.as_basis_points();
    let share = |bp| Traffic::split(even(bp, capabilities));
    let half = share(4_000);
    let sticky = |key| half.clone().with_sticky(Some(key));
    let mut wishes = vec![
        share(unit),
        share(10_000 - unit),
        share(10_000),
        share(0),
        share(0).with_mirror(share(2_000).weight(Slot::Candidate)),
        share(0).with_mirror(Weight::FULL),
        half.clone().with_mirror(share(2_000).weight(Slot::Candidate)),
        half.clone().with_exceptions([exception(header())]),
        half.clone().with_exceptions([exception(cookie())]),
        half.clone().with_exceptions([exception(header()), exception(cookie())]),
        sticky(header()),
        sticky(cookie()),
    ];
    wishes.extend(with_baseline(&half));
    wishes.extend(with_baseline(&share(unit)));
    wishes.extend((unit > 1).then(|| Weight::basis_points(unit - 1)).flatten().map(Traffic::split));
    wishes
}

/// The share of about `bp` basis points that is a multiple of what the router can tell apart.
fn even(bp: u16, capabilities: Capabilities) -> Weight {
    let unit = capabilities.granularity.as_basis_points().max(1);
    Weight::basis_points(bp.div_ceil(unit) * unit).unwrap_or(Weight::FULL)
}

fn exception(key: Key) -> Exception {
    Exception { key, value: "tester".to_owned(), to: Slot::Candidate }
}

fn header() -> Key {
    Key::Header("x-user".to_owned())
}

fn cookie() -> Key {
    Key::Cookie("user".to_owned())
}
