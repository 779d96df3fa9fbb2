//! Moving traffic.

use std::{any::Any, fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegate_registry::{Invalid, LogKey, Seq};

use crate::{ActuatorError, Key, Slot, Traffic, Weight};

/// Moves traffic of routes between slots.
///
/// # Contract
///
/// * **Absolute and idempotent.** `apply` says what is to be, never a change; applying the same traffic
///   again changes nothing. It takes effect as a whole or not at all.
/// * **Fenced.** Each call carries the [`Fence`] of its driver. A fence lower than the highest one ever
///   seen for the route changes nothing and is [`ActuatorError::Fenced`]; so a driver that was superseded
///   while it slept cannot undo its successor's work.
/// * **Honest.** `observe` asks what is really in force and does not answer from memory. A route that was
///   never applied to is all [`Slot::Stable`].
/// * **No request is lost** by a change of weights.
/// * What [`capabilities`](Self::capabilities) does not promise is refused by `apply`, never approximated.
#[async_trait]
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait TrafficRouter: Any + fmt::Debug + Send + Sync + 'static {
    /// What this router can do.
    fn capabilities(&self) -> Capabilities;

    /// Puts `traffic` in force.
    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError>;

    /// What is in force.
    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError>;
}

/// The name of a route, such as `serving/fraud`: 1 to 200 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("minLength" = 1, "maxLength" = 200)))]
#[serde(try_from = "String", into = "String")]
pub struct RouteId(String);

/// The right to act on a route: the number of the record by which a driver took it. Later is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(Seq);

/// What a route looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// The traffic in force.
    pub traffic: Traffic,
    /// The fence of the last `apply`, if there was one.
    pub fence: Option<Fence>,
}

/// What a router can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The smallest share that it can tell from none; every weight is a multiple of it. It is [`Weight::NONE`] where
    /// all traffic is stable's.
    pub granularity: Weight,
    /// Whether it can serve stable, baseline and candidate at once.
    pub baseline: bool,
    /// Whether exceptions and sticky users by header work.
    pub headers: bool,
    /// Whether exceptions and sticky users by cookie work.
    pub cookies: bool,
    /// Whether the candidate can get copies of requests while stable answers all of them.
    pub mirror: bool,
    /// Whether users can be kept on their side.
    pub sticky: bool,
}

impl RouteId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The log in which this route's journal lies.
    #[must_use]
    pub fn log_key(&self) -> LogKey {
        LogKey::new("route", self.0.clone()).expect("a route id is a valid log id")
    }
}

impl Fence {
    /// The right that record `seq` of a route's journal gives.
    #[must_use]
    pub const fn new(seq: Seq) -> Self {
        Self(seq)
    }

    /// As a number, for data planes that can only store one.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl Observed {
    /// `traffic` is in force since an `apply` with `fence`.
    #[must_use]
    pub const fn new(traffic: Traffic, fence: Option<Fence>) -> Self {
        Self { traffic, fence }
    }
}

impl Capabilities {
    /// Everything, to the basis point.
    pub const ALL: Self = Self {
        granularity: match Weight::basis_points(1) {
            Some(weight) => weight,
            None => Weight::FULL,
        },
        baseline: true,
        headers: true,
        cookies: true,
        mirror: true,
        sticky: true,
    };

    /// Whether `traffic` can be put in force.
    ///
    /// # Errors
    ///
    /// Says what the router cannot do.
    pub fn check(&self, traffic: &Traffic) -> Result<(), Unsupported> {
        let unit = self.granularity.as_basis_points();
        let uneven = |weight: Weight| !weight.as_basis_points().is_multiple_of(unit);
        let [candidate, baseline] = [Slot::Candidate, Slot::Baseline].map(|slot| traffic.weight(slot));
        if [candidate, baseline, traffic.mirror()].into_iter().any(uneven) {
            return Err(Unsupported(match unit {
                0 => "any other side than stable".to_owned(),
                _ => format!("weights finer than {}", self.granularity),
            }));
        }
        if traffic.weight(Slot::Baseline) > Weight::NONE && !self.baseline {
            return Err(Unsupported("a third side".to_owned()));
        }
        if traffic.mirror() > Weight::NONE && !self.mirror {
            return Err(Unsupported("copies of requests".to_owned()));
        }
        if traffic.mirror() > Weight::NONE && traffic.weight(Slot::Stable) < Weight::FULL {
            return Err(Unsupported(
                "copies beside a split, which would reach the candidate twice".to_owned(),
            ));
        }
        if traffic.sticky().is_some() && !self.sticky {
            return Err(Unsupported("keeping users on their side".to_owned()));
        }
        let keys = traffic.exceptions().iter().map(|exception| &exception.key).chain(traffic.sticky());
        for key in keys {
            match key {
                Key::Cookie(name) if !self.cookies => return Err(Unsupported(format!("cookies (`{name}`)"))),
                Key::Header(name) if !self.headers => return Err(Unsupported(format!("headers (`{name}`)"))),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A router cannot do what a plan asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router does not support {0}; change the plan or use another router")]
pub struct Unsupported(String);

impl FromStr for RouteId {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        if s.is_empty() || s.len() > 200 || s.chars().any(char::is_control) {
            return Err(Invalid::new("route", s, "use 1 to 200 bytes without control characters"));
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for RouteId {
    type Error = Invalid;

    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<RouteId> for String {
    fn from(route: RouteId) -> Self {
        route.0
    }
}

#[async_trait]
impl<T: TrafficRouter + ?Sized> TrafficRouter for Arc<T> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        (**self).apply(route, traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        (**self).observe(route).await
    }
}
