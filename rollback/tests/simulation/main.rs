//! Watches and rollbacks in a world where everything fails now and then, people ask for things at odd moments, and
//! guards are killed or run twice. Each is a function of its seed: `TIDEGATE_SEED=7 cargo test -p tidegate-rollback
//! --test simulation` repeats one.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]
#![expect(clippy::print_stdout, reason = "how they end is printed")]
#![expect(clippy::disallowed_methods, reason = "the seed comes from the environment")]

mod alone;
mod beside;
#[path = "../../../canary/tests/chaos/mod.rs"]
mod chaos;
#[path = "../../../canary/tests/stage/mod.rs"]
mod stage;
