//! For tests of routers and deployers, and of programs that use them: what each must do, faults on purpose,
//! and mocks.
//!
//! A backend of your own proves itself in a few lines, with one named test for every check:
//!
//! ```
//! use tidegate_canary::{InMemoryRouter, testkit::{router::Routes, router_conformance}};
//!
//! async fn routes() -> Routes<InMemoryRouter> {
//!     let [route, another] = ["serving/fraud", "serving/spam"].map(|name| name.parse().unwrap());
//!     Routes { router: InMemoryRouter::default(), route, another }
//! }
//!
//! router_conformance!(in_memory, routes);
//! # fn main() {}
//! ```
//!
//! A check panics when the backend breaks the contract. The tests run on the caller's `tokio`, which needs
//! its features `macros` and `rt`. One sentence of a contract cannot be checked from here: that no request is
//! lost by a change of weights shows only under load.

pub mod deployer;
mod flaky;
pub mod router;

use std::time::Duration;

pub use self::flaky::{Fault, Flaky};
#[cfg(feature = "notify")]
pub use crate::notify::MockRecipient;
pub use crate::{
    deployer::MockDeployer, deployer_conformance, gate::MockGatekeeper, router::MockTrafficRouter,
    router_conformance,
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

/// A test for each of `$check` in `$suite`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    ($module:ident, $factory:expr, $suite:ident: $($check:ident)*) => {
        mod $module {
            #[allow(unused_imports, reason = "a factory may need nothing from around it")]
            use super::*;

            $(
                #[::tokio::test]
                async fn $check() {
                    $crate::testkit::$suite::$check($factory).await;
                }
            )*
        }
    };
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
