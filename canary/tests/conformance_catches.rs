//! The suite for routers finds what it is there to find: each defect fails the check that is about it.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use tidegate_canary::{
    ActuatorError, Capabilities, Fence, Observed, RouteId, Slot, Traffic, TrafficRouter,
    testkit::{
        router::{self, Routes},
        router_conformance,
    },
};
use tokio::task::yield_now;

/// A router that is right but for one thing at most.
#[derive(Debug)]
struct Wrong {
    routes: Mutex<BTreeMap<RouteId, Observed>>,
    defect: Option<Defect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    /// Does what it can of what it does not support.
    Approximates,
    /// Looks at the fence, and acts later.
    ChecksThenActs,
    /// Acts for anybody.
    IgnoresFences,
    /// Does not write when there is nothing to change but the fence.
    KeepsFenceWithTraffic,
    /// Has one traffic for all routes.
    MixesRoutes,
    /// Refuses, but remembers who asked.
    RaisesFenceOnRefusal,
    /// Writes in two steps.
    Tears,
}

#[async_trait]
impl TrafficRouter for Wrong {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::ALL;
        capabilities.cookies = false;
        capabilities
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, by: Fence) -> Result<(), ActuatorError> {
        let Observed { traffic: before, fence: held, .. } = self.read(route);
        let is = |defect| self.defect == Some(defect);
        match held {
            Some(held) if held > by && !is(Defect::IgnoresFences) => {
                return Err(ActuatorError::Fenced { offered: by, held });
            }
            _ => {}
        }
        if let Err(unsupported) = self.capabilities().check(traffic) {
            if is(Defect::Approximates) {
                self.write(route, &Traffic::split(traffic.weight(Slot::Candidate)), by);
                return Ok(());
            }
            if is(Defect::RaisesFenceOnRefusal) {
                self.write(route, &before, by);
            }
            return Err(ActuatorError::Refused { target: "it".to_owned(), source: unsupported.into() });
        }
        if is(Defect::KeepsFenceWithTraffic) && before == *traffic && held.is_some() {
            return Ok(());
        }
        if is(Defect::ChecksThenActs) {
            yield_now().await;
        }
        if is(Defect::Tears) {
            self.write(route, &before, by);
            yield_now().await;
        }
        self.write(route, traffic, by);
        Ok(())
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        Ok(self.read(route))
    }
}

impl Wrong {
    fn read(&self, route: &RouteId) -> Observed {
        let routes = self.routes.lock().unwrap();
        routes.get(&self.name(route)).cloned().unwrap_or_else(|| Observed::new(Traffic::stable(), None))
    }

    fn write(&self, route: &RouteId, traffic: &Traffic, by: Fence) {
        let observed = Observed::new(traffic.clone(), Some(by));
        self.routes.lock().unwrap().insert(self.name(route), observed);
    }

    fn name(&self, route: &RouteId) -> RouteId {
        if self.defect == Some(Defect::MixesRoutes) { "the/only".parse().unwrap() } else { route.clone() }
    }
}

fn routes(defect: Option<Defect>) -> Routes<Wrong> {
    let router = Wrong { routes: Mutex::default(), defect };
    Routes { router, route: "serving/fraud".parse().unwrap(), another: "serving/spam".parse().unwrap() }
}

router_conformance!(without_a_defect, async || routes(None));

/// A test that passes if the check fails on a router with the defect.
macro_rules! caught {
    ($($check:ident: $defect:ident)*) => {$(
        #[tokio::test]
        #[should_panic]
        async fn $check() {
            router::$check(async || routes(Some(Defect::$defect))).await;
        }
    )*};
}

caught! {
    a_refused_call_changes_nothing: RaisesFenceOnRefusal
    a_superseded_driver_cannot_even_repeat: KeepsFenceWithTraffic
    a_superseded_driver_changes_nothing: IgnoresFences
    of_racing_drivers_the_latest_wins: ChecksThenActs
    routes_are_apart: MixesRoutes
    traffic_is_seen_whole: Tears
    what_is_not_promised_is_refused: Approximates
}
