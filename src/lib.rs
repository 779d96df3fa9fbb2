//! Deliver AI models and agents: publish a version, prove that it may take traffic, move traffic to it
//! while watching, promote it or put everything back.
//!
//! This crate is the front door: it re-exports the five crates that do the work, each of which can be
//! used alone, and holds no code of its own.
//!
#![doc = include_str!("../README.md")]

pub use tidegate_canary as canary;
pub use tidegate_metrics as metrics;
pub use tidegate_registry as registry;
pub use tidegate_rollback as rollback;
pub use tidegate_validation as validation;

/// The pages of the book that hold Rust, so that it is compiled with the documentation's own.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../docs/src/crates/registry.md")]
    mod registry {}

    #[doc = include_str!("../docs/src/crates/metrics.md")]
    mod metrics {}

    #[doc = include_str!("../docs/src/crates/validation.md")]
    mod validation {}

    #[doc = include_str!("../docs/src/crates/canary.md")]
    mod canary {}

    #[doc = include_str!("../docs/src/crates/rollback.md")]
    mod rollback {}

    #[doc = include_str!("../docs/src/observability.md")]
    mod observability {}
}
