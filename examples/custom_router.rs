//! A router of one's own: a feature flag says which share of requests goes to the candidate. Here the flags are in memory; a
//! flag service does it with a compare-and-set of the flag and its fence.
//!
//! `cargo run --example custom_router`; `cargo test --example custom_router` holds it against the contract.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use tidegate::canary::{
    ActuatorError, Capabilities, Fence, Observed, RouteId, Slot, Traffic, TrafficRouter, Weight,
    testkit::fence,
};

/// What the gateway reads: percent for the candidate, and who wrote it.
#[derive(Debug, Default)]
struct Flags(Mutex<BTreeMap<RouteId, (u16, Fence)>>);

#[async_trait]
impl TrafficRouter for Flags {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::ALL;
        can.granularity = Weight::percent(1).expect("1 is at most 100");
        can.baseline = false;
        (can.headers, can.cookies, can.mirror, can.sticky) = (false, false, false, false);
        can
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        // What a flag cannot say is refused, never approximated.
        if let Err(unsupported) = self.capabilities().check(traffic) {
            let target = format!("the flag of {route}");
            return Err(ActuatorError::Refused { target, source: unsupported.into() });
        }
        let mut flags = self.0.lock().expect("nothing panics while it holds the lock");
        match flags.get(route) {
            // Somebody who came later has the route; whoever was overtaken changes nothing.
            Some(&(_, held)) if held > fence => Err(ActuatorError::Fenced { offered: fence, held }),
            _ => {
                let percent = traffic.weight(Slot::Candidate).as_basis_points() / 100;
                flags.insert(route.clone(), (percent, fence));
                Ok(())
            }
        }
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let flags = self.0.lock().expect("nothing panics while it holds the lock");
        let Some(&(percent, fence)) = flags.get(route) else {
            return Ok(Observed::new(Traffic::stable(), None));
        };
        Ok(Observed::new(Traffic::split(Weight::percent(percent).unwrap_or(Weight::FULL)), Some(fence)))
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what is in force")]
async fn main() -> anyhow::Result<()> {
    let (router, route) = (Flags::default(), "serving/fraud".parse()?);
    let tenth = Traffic::split(Weight::percent(10).expect("10 is at most 100"));
    router.apply(&route, &tenth, fence(1)).await?;
    println!("{:?}", router.observe(&route).await?);
    Ok(())
}

#[cfg(test)]
tidegate::canary::router_conformance!(conformance, async || {
    let [route, another] = ["serving/fraud", "serving/spam"].map(|name| name.parse().expect("a route"));
    tidegate::canary::testkit::router::Routes { router: Flags::default(), route, another }
});
