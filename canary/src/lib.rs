//! Move traffic to a new model version step by step, while judging.
//!
//! A rollout here may be killed, resumed, held, aborted and taken over at any moment and still ends in one
//! of its stated ends. Three decisions make it so:
//!
//! * **The rollout is a pure machine.** [`Rollout`] knows no clock, no network and no chance: what happened
//!   and what was asked are [`Event`]s, and what is owed next is a [`Duty`], a function of where it is alone.
//!   An exhaustive walk of it is a test.
//! * **What is not in the journal did not happen.** The [`Driver`] writes each event down before it believes
//!   it, windows of observations with their counts included, so whoever opens the rollout again goes on
//!   exactly there, with the same evidence to the last bit.
//! * **Whoever writes the next record owns the route.** Its number is the [`Fence`] that every change of
//!   traffic carries, so a driver that was superseded while it slept cannot undo its successor's work.
//!
//! What it acts on are two traits, [`TrafficRouter`] and [`Deployer`], and what it believes comes from a
//! [`MetricsSource`](metrics::MetricsSource). For each there is one in memory, and `EmbeddedRouter` (feature
//! `embedded`) splits live requests inside the caller's own tower stack.
//!
//! ```
//! use std::sync::Arc;
//!
//! use tidegate_canary::{
//!     Driver, Gatekeepers, InMemoryDeployer, InMemoryRouter, PlanSpec, Release, WallClock, World, metrics::Recorded,
//! };
//! use tidegate_registry::{Content, Draft, InMemory, ModelStore, Stamp};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = InMemory::default();
//! let publish = async |model: &str| {
//!     let draft = Draft::new(model.parse()?, Stamp::now("ada"));
//!     let files = Content::bytes([("weights.bin".parse()?, model.to_owned().into())]);
//!     Ok::<_, tidegate_registry::Error>(Release::from(&registry.publish(draft, files, &()).await?))
//! };
//! let (stable, candidate) = (publish("fraud@1.0.0").await?, publish("fraud@1.1.0").await?);
//!
//! // 10 %, 25 %, 50 %, then all; judged by comparing errors and by limits; then baked.
//! let plan = PlanSpec::canary("serving/fraud".parse()?, stable.clone(), candidate).build()?;
//! let world = World {
//!     store: Arc::new(registry.clone()),
//!     log: Arc::new(registry.clone()),
//!     metrics: Arc::new(Recorded::default()),
//!     router: Arc::new(InMemoryRouter::default()),
//!     deployer: Arc::new(InMemoryDeployer::serving(stable)),
//!     gates: Gatekeepers::new(),
//!     clock: WallClock::system(),
//! };
//! let (driver, _handle) = Driver::open(world, "ci-8841".parse()?, plan).await?;
//! let end = driver.on_record(|entry, rollout| println!("{:?}: {}", entry.at, rollout.state())).run().await?;
//!
//! // Nothing was promoted to production yet, so the plan does not fit the world, and nothing was moved.
//! assert!(end.to_string().contains("nothing is in production yet"));
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! | what | where |
//! |---|---|
//! | what a rollout is to do | [`PlanSpec`], checked into a [`Plan`]; [`Gate`], [`Calendar`] |
//! | plans as TOML, YAML or JSON text, and their JSON Schema | `plan_file` (features `plan-files`, `schema`) |
//! | who lets it go on | [`Gatekeeper`] |
//! | where requests go | [`Traffic`], [`Weight`], [`Slot`], [`Exception`] |
//! | the machine | [`Rollout`], [`State`], [`Event`], [`Duty`] |
//! | running it | [`Driver`], [`Handle`], [`World`], [`WallClock`] |
//! | what happened | [`RouteJournal`], [`Entry`], [`Record`] |
//! | a route that nothing splits | [`Unsplit`] |
//! | acting with patience, for other drivers | [`Actuator`], [`Patience`], [`Side`] |
//! | live requests in a tower stack | `embedded` (feature `embedded`) |
//! | Gateway API, Istio, Traefik, ingress-nginx, replicas; Deployments | `kubernetes` (feature `kube`) |
//! | releases as changes to files of a repository | `gitops` (feature `gitops`) |
//! | HAProxy, Envoy, nginx | `HaProxy`, `HaProxyWeights`, `Envoy`, `Nginx` (features `haproxy`, `envoy`, `nginx`) |
//! | server processes on this machine | `process` (feature `process`) |
//! | images that their registry has lost | `Pinned` (feature `oci`) |
//! | telling people and machines | `notify` (feature `notify`; `sns` for Amazon SNS) |
//! | one HTML page of what happened | `report` (feature `report`) |
//! | what is told of its own work | [`World::traced`], `describe_metrics` (feature `telemetry`) |
//! | conformance suites and fault injection | `testkit` (feature `testkit`) |
//!
//! A rollout that was promoted and baked is over. Going back from a promoted version is a rollback, which
//! takes the route by one record: see the crate `tidegate-rollback`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod actuator;
mod clock;
#[cfg(any(feature = "gitops", feature = "nginx"))]
mod command;
mod deployer;
mod doors;
mod driver;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "envoy")]
mod envoy;
mod error;
mod gate;
#[cfg(feature = "gitops")]
pub mod gitops;
#[cfg(feature = "haproxy")]
mod haproxy;
mod journal;
#[cfg(feature = "kube")]
pub mod kubernetes;
mod memory;
#[cfg(feature = "nginx")]
mod nginx;
#[cfg(feature = "notify")]
pub mod notify;
mod patience;
#[cfg(any(feature = "gitops", feature = "kube"))]
mod pattern;
mod perform;
#[cfg(feature = "oci")]
mod pinned;
mod plan;
#[cfg(feature = "plan-files")]
pub mod plan_file;
#[cfg(feature = "process")]
pub mod process;
#[cfg(any(feature = "envoy", feature = "gitops", feature = "nginx"))]
mod proxy;
#[cfg(feature = "report")]
pub mod report;
mod rollout;
#[cfg(any(feature = "haproxy", feature = "kube"))]
mod rounding;
mod router;
mod side;
mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
mod traffic;
mod unsplit;

/// What criteria are made of, and what sources answer.
pub use tidegate_metrics as metrics;

#[cfg(feature = "embedded")]
pub use crate::embedded::EmbeddedRouter;
#[cfg(feature = "envoy")]
pub use crate::envoy::Envoy;
#[cfg(feature = "gitops")]
pub use crate::gitops::GitOps;
#[cfg(feature = "haproxy")]
pub use crate::haproxy::{HaProxy, HaProxyWeights};
#[cfg(feature = "nginx")]
pub use crate::nginx::Nginx;
#[cfg(feature = "oci")]
pub use crate::pinned::{IMAGE, Pinned};
#[cfg(all(feature = "process", target_os = "linux"))]
pub use crate::process::LocalProcesses;
#[cfg(feature = "telemetry")]
pub use crate::telemetry::describe_metrics;
pub use crate::{
    actuator::{Actuator, NotDone},
    clock::WallClock,
    deployer::{Deployer, Readiness, Rehearsed, Release, Workload},
    driver::{Driver, Handle, World},
    error::{ActuatorError, BoxError, Error},
    gate::{Answer, Gatekeeper, Gatekeepers, Question},
    journal::{Entry, Record, RolloutId, RouteJournal},
    memory::{InMemoryDeployer, InMemoryRouter},
    patience::Patience,
    plan::{
        AtHorizon, Calendar, Finish, Gate, InvalidPlan, LONGEST, OnDrift, Plan, PlanSpec, Require, Step,
        Timing,
    },
    rollout::{Cause, Duty, Event, IllegalEvent, Pause, Request, Rollout, Sample, State},
    router::{Capabilities, Fence, Observed, RouteId, TrafficRouter, Unsupported},
    side::Side,
    traffic::{Exception, Key, Slot, Traffic, Weight},
    unsplit::Unsplit,
};
