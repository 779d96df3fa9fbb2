//! Weights, exceptions and copies on a Gateway API HTTPRoute.

use std::time::Duration;

use async_trait::async_trait;
use kube::{Client, api::DynamicObject};

use super::{
    object::{Cluster, Object},
    request::Kind,
    rule::Rule,
    sides::Backends,
    unfit::Unfit,
};
use crate::{ActuatorError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter};

const KIND: Kind =
    Kind { group: "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute", plural: "httproutes" };

/// A router that moves the weights of an `HTTPRoute` of `gateway.networking.k8s.io/v1`, for any gateway or
/// mesh that acts on these.
///
/// The rule that splits must list a backendRef for every side beforehand, the candidate's with weight 0:
///
/// ```yaml
/// rules:
/// - name: predict
///   backendRefs:
///   - {name: fraud-stable, port: 80, weight: 100}
///   - {name: fraud-candidate, port: 80, weight: 0}
/// ```
///
/// Only the weights of these, filters that copy requests to the candidate, rules of the router's own
/// (`tidegate-predict-0` and so on) and the annotation [`FENCE`](super::FENCE) are ever written. The object's
/// weights must have no other owner: keep them out of the manifests that a GitOps tool applies.
///
/// # What it promises
///
/// Weights to the basis point, which every gateway can do. The rest is what the API lets a gateway leave out,
/// or what its definitions learned later, so whoever makes the router says what there is:
/// [exceptions by header](Self::with_header_exceptions), [by cookie](Self::with_cookie_exceptions),
/// [copies](Self::with_mirror). Users are never kept on their side; a rule with `sessionPersistence` is
/// refused, as weights do not hold for users who have a session.
///
/// # What "in force" means here
///
/// [`observe`](TrafficRouter::observe) answers only when every parent in the object's status has the
/// conditions `Accepted` and `ResolvedRefs` true, and `PartiallyInvalid` not true, for the generation of the
/// spec. Until then it is [`ActuatorError::Unavailable`], with the condition as the reason: whether the new
/// or the old is in force is not known. So a parent that never reports holds a rollout up rather than letting
/// it go on unseen. Gateways report what they have accepted, which is as much as the API tells; their proxies
/// may follow a moment later.
///
/// Weights that are no multiple of a basis point are somebody else's; they are observed rounded. An exception
/// whose rule no longer follows from the rule that splits, because that was changed, is not seen, and is
/// written anew by the next [`apply`](TrafficRouter::apply).
///
/// # Errors
///
/// A route that is not named `namespace/name`, does not exist, may not be read or written by the client, or
/// whose rule or backends are not as described is [`ActuatorError::Refused`], with the remedy as the source.
/// No answer within 10 s, 429, 5xx, and an object that others change again and again are
/// [`ActuatorError::Unavailable`]. A server that names a time after which to ask again is asked again, while
/// the [patience](Self::with_patience) lasts.
#[derive(Clone, Debug)]
pub struct HttpRoute {
    cluster: Cluster,
    backends: Backends,
    rule: Option<String>,
    headers: bool,
    cookies: bool,
    mirror: bool,
}

impl HttpRoute {
    /// A router for HTTPRoutes of one rule, which splits between the backends (names of Services, mostly)
    /// `stable` and `candidate`.
    pub fn new(client: Client, stable: impl Into<String>, candidate: impl Into<String>) -> Self {
        let backends = Backends { stable: stable.into(), baseline: None, candidate: candidate.into() };
        let cluster = Cluster::new(client);
        Self { cluster, backends, rule: None, headers: false, cookies: false, mirror: false }
    }

    /// This router, also splitting to the backend `baseline`.
    #[must_use]
    pub fn with_baseline(mut self, baseline: impl Into<String>) -> Self {
        self.backends.baseline = Some(baseline.into());
        self
    }

    /// This router, for the rule whose `name` is `rule`. An HTTPRoute of several rules needs it.
    #[must_use]
    pub fn with_rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// This router, also writing exceptions by header, for a rule chosen by [`with_rule`](Self::with_rule):
    /// only definitions that know names of rules (Gateway API 1.4, before that the experimental channel) let
    /// it find its own rules again, so without a name it promises none.
    ///
    /// An exception is a copy of the rule that splits, with one backend and one header more in each match. By
    /// the API's order of precedence it comes before the rule that splits.
    #[must_use]
    pub const fn with_header_exceptions(mut self) -> Self {
        self.headers = true;
        self
    }

    /// This router, also writing exceptions by cookie, as [by header](Self::with_header_exceptions), for
    /// gateways that match headers by `RegularExpression` and join the lines of the header `Cookie`. The
    /// pattern means the same in RE2, PCRE and POSIX, whether the whole value is matched or searched. Where a
    /// request carries a cookie twice, either of them counts.
    #[must_use]
    pub const fn with_cookie_exceptions(mut self) -> Self {
        self.cookies = true;
        self
    }

    /// This router, also copying requests to the candidate by the filter `RequestMirror`. A share needs the
    /// field `fraction` of Gateway API 1.3; copies of all requests do not.
    ///
    /// While stable has all traffic, the filter is put on the rule. Beside a split it would copy the candidate's
    /// own requests as well, so it is then put on stable's backendRef; the API leaves it to gateways whether
    /// they allow filters there, and those that do not say so in the status.
    #[must_use]
    pub const fn with_mirror(mut self) -> Self {
        self.mirror = true;
        self
    }

    /// This router, waiting up to `patience` with each request, 30 s by default, where the server names a time
    /// after which to ask again.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.cluster.patience = patience;
        self
    }

    fn object(&self, route: &RouteId) -> Result<Object, ActuatorError> {
        self.cluster.object(&KIND, route)
    }

    fn read(&self, object: &DynamicObject) -> Result<Rule, Unfit> {
        Rule::read(object, self.rule.as_deref(), &self.backends)
    }
}

#[async_trait]
impl TrafficRouter for HttpRoute {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            baseline: self.backends.baseline.is_some(),
            headers: self.headers && self.rule.is_some(),
            cookies: self.cookies && self.rule.is_some(),
            mirror: self.mirror,
            sticky: false,
            ..Capabilities::ALL
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let object = self.object(route)?;
        self.capabilities().check(traffic).map_err(|unsupported| object.refused(unsupported))?;
        object.put(|object| self.read(object), traffic, fence).await
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        self.object(route)?.look(|object| self.read(object)).await
    }
}
