//! Move traffic to a new model version step by step, while judging.

mod actuator;
mod clock;
mod deployer;
mod driver;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod journal;
#[cfg(feature = "kube")]
pub mod kubernetes;
mod memory;
mod patience;
mod perform;
mod plan;
#[cfg(feature = "report")]
pub mod report;
mod rollout;
mod router;
mod side;
#[cfg(feature = "testkit")]
pub mod testkit;
mod traffic;

/// What criteria are made of, and what sources answer.
pub use tidegate_metrics as metrics;

#[cfg(feature = "embedded")]
pub use crate::embedded::EmbeddedRouter;
pub use crate::{
    actuator::{Actuator, NotDone},
    clock::WallClock,
    deployer::{Deployer, Readiness, Release},
    driver::{Driver, Handle, World},
    error::{ActuatorError, BoxError, Error},
    journal::{Entry, Record, RolloutId, RouteJournal},
    memory::{InMemoryDeployer, InMemoryRouter},
    patience::Patience,
    plan::{AtHorizon, InvalidPlan, Plan, PlanSpec, Require, Step, Timing},
    rollout::{Cause, Duty, Event, IllegalEvent, Pause, Rollout, Sample, State},
    router::{Capabilities, Fence, Observed, RouteId, TrafficRouter, Unsupported},
    side::Side,
    traffic::{Exception, Key, Slot, Traffic, Weight},
};
