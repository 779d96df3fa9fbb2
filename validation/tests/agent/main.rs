//! The agents that come with the crate: their contract, and HTTP against a server on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cached;
mod conformance;
mod custom;
mod embeddings;
mod limits;
mod live;
mod moderation;
mod openai;
mod paid;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod protocol;
mod recorded;
mod server;
mod streaming;
