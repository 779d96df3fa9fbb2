//! Load from outside: requests that come when they are due, whether or not the last ones were answered.
//!
//! Users do not wait for each other. A generator that sends its next request once the last one is answered does, and
//! while a server stands still it asks nothing: one freeze of five seconds is one slow request to it, and hundreds to
//! users (G. Tene's "coordinated omission"). So here a [`Profile`] says beforehand when each request is due, and that
//! is where its time begins:
//!
//! * `scheduled_latency`, from when it was due to the end of its answer: what users wait, and what is gated;
//! * `service_latency`, from when it was sent: what the server takes;
//! * `dispatch_delay`, from when it was due to when it was sent: what the generator itself is late. Where that is no
//!   small part of what is gated, nothing is decided, and [`Measured::flaw`] says so.
//!
//! A request that is due while too many are under way is not sent later; it is counted as `dropped`, and no verdict
//! holds that it could change. A request that fails has no latency; it counts for the share of failures and for goodput.
//!
//! What is inferred holds for requests, not for the many gaps of one answer, which are alike, and not as if each
//! request were independent of the one before: bounds are as wide as shares differ between 10 to 20 blocks of time
//! ([`WeightedShare::in_blocks`](crate::statistics::WeightedShare::in_blocks)). That takes what makes neighbours alike
//! to last no longer than a block; stages of different rates differ as well, and make bounds wider. Where no request
//! misses, blocks do not differ, and nothing is known of a freeze that did not happen.
//!
//! | what | where |
//! |---|---|
//! | when requests are due | [`Profile`], [`Stage`], [`Arrivals`], [`Schedule`] |
//! | what is sent | [`Target`]: [`Prompts`] to an [`Agent`](crate::Agent), [`Plain`] to anything that speaks HTTP |
//! | sending it | [`drive`], on the terms of a [`Plan`], which may [`Abort`] |
//! | what came of it | [`Measured`], its [`Distribution`]s, and [`Summary`] as data |
//! | what must hold | [`Limit`], [`Quantity`], and the check [`Load`](crate::checks::Load) |
//! | compared with an earlier version | [`Benchmark`], [`Comparison`] |
//! | who may be sent load at all | [`Destinations`] |
//!
//! Timers of tokio tick each millisecond, so that a request is up to one late; that is part of its latency, as of
//! every other lateness. A [`drive`] runs in one task: on a runtime of its own, of one thread, it is fastest.

mod benchmark;
mod blocks;
mod book;
mod brake;
mod distribution;
mod driver;
mod judged;
mod limit;
mod machine;
mod measured;
mod plain;
mod plan;
mod profile;
mod summary;
mod target;

pub(crate) use self::judged::Demand;
pub use self::{
    benchmark::{Benchmark, Comparison, Ratio},
    brake::{Abort, Stop},
    distribution::Distribution,
    driver::{Picture, drive},
    limit::{Limit, Quantity},
    machine::Machine,
    measured::{Counts, Measured},
    plain::Plain,
    plan::Plan,
    profile::{Arrivals, Profile, Schedule, Stage},
    summary::{Quantile, Spread, Summary},
    target::{Prompts, Target},
};
pub use crate::destination::{Destination, Destinations, Forbidden};
