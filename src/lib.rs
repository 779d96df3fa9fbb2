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
