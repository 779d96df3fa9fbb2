//! Networks, stores, processes that fail: a commit is never lost, never doubled, and nobody is told that
//! somebody else was first when it was oneself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod flaky;
mod kill;
mod network;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod race;
mod release;
#[path = "../servers/mod.rs"]
mod servers;
