//! Versions of a real LLM on real parts: a registry in a bucket, suites against what is served, a canary judged by
//! Prometheus, the way back. Everything is done as a team does it, by the programs `pipeline` and `tidegate` and the files in
//! `site/`.
//!
//! ```text
//! cargo build --example pipeline --example tidegate && TIDEGATE_LLM_PYTHON=… TIDEGATE_GEMMA=… SEAWEEDFS_BIN=… \
//!     TIDEGATE_TEST_PYTHON=… cargo test --test end_to_end -- --ignored --nocapture
//! ```
#![cfg(target_os = "linux")]

mod chance;
#[allow(clippy::unwrap_used, clippy::future_not_send, reason = "it is of the library's tests")]
#[path = "../../canary/tests/cluster/mod.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests of the command line look into the registry")]
#[path = "../cli/desk.rs"]
mod desk;
mod gateway;
mod in_cluster;
mod llm;
mod on_machine;
#[path = "../ports/mod.rs"]
mod ports;
mod running;
#[allow(clippy::unwrap_used, reason = "they are of the library's tests")]
#[path = "../../registry/tests/servers/mod.rs"]
mod servers;
mod sink;
mod site;
mod story;
mod users;

/// A machine of two cores has room for one story with an LLM at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
