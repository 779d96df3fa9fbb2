//! For tests of routers and deployers, and of programs that use them: what each must do, faults on purpose,
//! and mocks.
//!
//! A backend of your own proves itself in a few lines, with one named test for every check. The tests run
//! on `tokio`, so the crate needs it as a dev-dependency, with `macros` and `rt`.
//!
//! ```
//! mod my_router {
//!     use tidegate_canary::{InMemoryRouter, testkit::router::Routes};
//!
//!     async fn two_routes() -> Routes<InMemoryRouter> {
//!         Routes {
//!             router: InMemoryRouter::default(),
//!             route: "serving/fraud".parse().expect("a route id"),
//!             another: "serving/spam".parse().expect("a route id"),
//!         }
//!     }
//!
//!     tidegate_canary::testkit::router_conformance!(two_routes);
//! }
//! ```

use std::time::Duration;

pub mod deployer;
mod flaky;
pub mod router;

pub use self::flaky::{Fault, Flaky};
pub use crate::{
    deployer::MockDeployer, deployer_conformance, metrics::testkit::MockMetricsSource,
    router::MockTrafficRouter, router_conformance,
};

use crate::{ActuatorError, Fence};

/// The fence with this number, for tests that need no journal.
///
/// # Panics
///
/// On zero, which is no fence.
#[must_use]
pub fn fence(n: u64) -> Fence {
    Fence::new(tidegate_registry::Seq::new(n).expect("fences count from 1"))
}

/// Repeats `call` while it asks to be called again later, for a minute.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, ActuatorError>) -> Result<T, ActuatorError> {
    for pause in pauses() {
        match call().await {
            Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    call().await
}

/// Some tries over a minute, the first ones close together.
fn pauses() -> impl Iterator<Item = Duration> {
    (0..).map(|n| Duration::from_millis(10 << n)).take(13)
}

fn assert_fenced(answer: &Result<(), ActuatorError>, by: Fence, higher: Fence) {
    let fenced =
        matches!(answer, Err(ActuatorError::Fenced { offered, held }) if *offered == by && *held == higher);
    assert!(fenced, "fence {by} is lower than {higher}, but was answered {answer:?}");
}
