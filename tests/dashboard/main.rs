//! The example program `dashboard`, driven as browsers and strangers drive it.

mod asking;
mod browser;
mod doors;
mod live;
#[path = "../ports/mod.rs"]
mod ports;
mod site;
#[allow(clippy::unwrap_used, reason = "it is of the library's tests")]
#[path = "../../canary/tests/stage/mod.rs"]
mod stage;
mod stories;
