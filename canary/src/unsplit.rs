//! A route with one side.

use async_trait::async_trait;

use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter, Weight};

/// The router of a route that nothing splits, such as a Service before one Deployment: all of its traffic is stable's,
/// whoever asks, and any other is refused. It goes with a deployer that replaces releases
/// [in place](crate::Deployer::in_place).
///
/// There is nothing that a driver which was superseded could undo, so it keeps no fence.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to know about it")]
pub struct Unsplit;

#[async_trait]
impl TrafficRouter for Unsplit {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            granularity: Weight::NONE,
            baseline: false,
            headers: false,
            cookies: false,
            mirror: false,
            sticky: false,
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, _: Fence) -> Result<(), ActuatorError> {
        self.capabilities().check(traffic).map_err(|unsupported| ActuatorError::Refused {
            target: format!("route {route}, which is not split"),
            source: unsupported.into(),
        })
    }

    async fn observe(&self, _: &RouteId) -> Result<Observed, ActuatorError> {
        Ok(Observed::new(Traffic::stable(), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exception, Key, Slot};

    #[test]
    fn everything_but_all_on_stable_is_refused() {
        let can = Unsplit.capabilities();
        assert_eq!(can.check(&Traffic::stable()), Ok(()));
        let percent = |percent| Weight::percent(percent).unwrap();
        let key = Key::Header("x-user".to_owned());
        for traffic in [
            Traffic::split(Weight::FULL),
            Traffic::split(percent(1)),
            Traffic::stable().with_mirror(Weight::FULL),
            Traffic::stable().with_sticky(Some(key.clone())),
            Traffic::stable().with_exceptions([Exception {
                key,
                value: "ada".to_owned(),
                to: Slot::Candidate,
            }]),
        ] {
            assert!(can.check(&traffic).is_err(), "{traffic}");
        }
        let said = can.check(&Traffic::split(Weight::FULL)).unwrap_err().to_string();
        assert!(said.contains("stable"), "{said}");
    }
}
