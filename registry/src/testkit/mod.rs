//! What a backend of one's own needs to be tested: conformance suites, a fault injector, mocks.
//!
//! Each suite is a module of `pub` functions, one a check, that take a factory of empty registries, and
//! a macro that makes a named test of each:
//!
//! ```
//! use tidegate_registry::{InMemory, testkit};
//!
//! testkit::model_store_conformance!(in_memory, async || InMemory::new());
//! testkit::log_conformance!(in_memory_log, async || InMemory::new());
//! # fn main() {}
//! ```
//!
//! Mocks are for the few tests that are about calls; prefer [`InMemory`](crate::InMemory), which really
//! stores. Their methods return boxed futures:
//!
//! ```
//! use tidegate_registry::{Error, ModelStoreExt, testkit::MockModelStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = MockModelStore::new();
//! let offline = || Error::Unavailable { store: "s3".into(), action: "read", source: "no route".into() };
//! store.expect_manifest().times(1).returning(move |_| Box::pin(async move { Err(offline()) }));
//! assert!(store.verify(&"m@1.0.0".parse()?, &()).await.unwrap_err().is_transient());
//! # Ok(())
//! # }
//! ```
//!
//! A check panics when the backend breaks the contract. The tests run on the caller's `tokio`, which
//! needs its features `macros` and `rt`.

mod flaky;
pub mod log;
pub mod store;

pub use self::flaky::Flaky;
pub use crate::{log::MockLog, log_conformance, model_store_conformance, store::MockModelStore};

/// A test for each of `$check` in `$suite`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    ($(#[$attribute:meta])* $module:ident, $factory:expr, $suite:ident: $($check:ident)*) => {
        $crate::__conformance! { @ [$(#[$attribute])*] $module, $factory, $suite: $($check)* }
    };
    (@ $attributes:tt $module:ident, $factory:expr, $suite:ident: $($check:ident)*) => {
        mod $module {
            #[allow(unused_imports, reason = "a factory may need nothing from around it")]
            use super::*;

            $($crate::__conformance! { @ $attributes $factory, $suite, $check })*
        }
    };
    (@ [$($attribute:tt)*] $factory:expr, $suite:ident, $check:ident) => {
        #[::tokio::test]
        $($attribute)*
        async fn $check() {
            $crate::testkit::$suite::$check($factory).await;
        }
    };
}
