//! Weights on a Gateway API HTTPRoute.

use std::{fmt, future::Future, time::Duration};

use async_trait::async_trait;
use kube::{
    Client,
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams},
};

use super::{
    failure::Failure,
    rule::{Backends, Rule},
};
use crate::{ActuatorError, BoxError, Capabilities, Fence, Observed, RouteId, Traffic, TrafficRouter};

/// How often a change is planned again because somebody else wrote the object in between.
const ATTEMPTS: usize = 5;
/// How long one request to the API server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

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
/// Only the weights of these and the annotation [`FENCE`](super::FENCE) are ever written. The object's
/// weights must have no other owner: keep them out of the manifests that a GitOps tool applies.
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
/// Weights that are no multiple of a basis point are somebody else's; they are observed rounded.
///
/// # Errors
///
/// A route that is not named `namespace/name`, does not exist, may not be read or written by the client, or
/// whose rule or backends are not as described is [`ActuatorError::Refused`], with the remedy as the source.
/// No answer within 10 s, 429, 5xx, and an object that others change again and again are
/// [`ActuatorError::Unavailable`].
#[derive(Clone)]
pub struct HttpRoute {
    client: Client,
    backends: Backends,
    rule: Option<String>,
}

impl HttpRoute {
    /// A router for HTTPRoutes of one rule, which splits between the backends (names of Services, mostly)
    /// `stable` and `candidate`.
    pub fn new(client: Client, stable: impl Into<String>, candidate: impl Into<String>) -> Self {
        let backends = Backends { stable: stable.into(), baseline: None, candidate: candidate.into() };
        Self { client, backends, rule: None }
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

    async fn read(&self, object: &Object) -> Result<Rule, ActuatorError> {
        let read =
            in_time(object.api.get(&object.name)).await.map_err(|failure| failure.of(&object.target))?;
        Rule::read(&read, self.rule.as_deref(), &self.backends).map_err(|unfit| object.refused(unfit))
    }

    fn object(&self, route: &RouteId) -> Result<Object, ActuatorError> {
        let target = format!("HTTPRoute {route}");
        let Some((namespace, name)) =
            route.as_str().split_once('/').filter(|(a, b)| is_name(a) && is_name(b))
        else {
            let source = "it is no name of an object; write the route as `namespace/name`".into();
            return Err(ActuatorError::Refused { target, source });
        };
        let kind = ApiResource {
            group: "gateway.networking.k8s.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "gateway.networking.k8s.io/v1".to_owned(),
            kind: "HTTPRoute".to_owned(),
            plural: "httproutes".to_owned(),
        };
        let api = Api::namespaced_with(self.client.clone(), namespace, &kind);
        Ok(Object { api, name: name.to_owned(), target })
    }
}

#[async_trait]
impl TrafficRouter for HttpRoute {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            baseline: self.backends.baseline.is_some(),
            headers: false,
            cookies: false,
            mirror: false,
            sticky: false,
            ..Capabilities::ALL
        }
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let object = self.object(route)?;
        self.capabilities().check(traffic).map_err(|unsupported| object.refused(unsupported))?;
        let mut rule = self.read(&object).await?;
        let mut attempts = ATTEMPTS;
        loop {
            if let Some(held) = rule.fence.filter(|held| *held > fence) {
                return Err(ActuatorError::Fenced { offered: fence, held });
            }
            if rule.fence == Some(fence) && rule.asks_for(traffic) {
                return Ok(());
            }
            let conflict = match object.patch(&rule, traffic, fence).await {
                Ok(()) => return Ok(()),
                Err(Failure::Conflict(conflict)) => conflict,
                Err(failure) => return Err(failure.of(&object.target)),
            };
            attempts -= 1;
            if attempts == 0 {
                return Err(Failure::Later(conflict).of(&object.target));
            }
            let planned_from = rule.version;
            rule = self.read(&object).await?;
            if rule.version == planned_from {
                // Nobody else wrote it, so it is the change itself that the server does not accept.
                return Err(object.refused(conflict));
            }
        }
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let object = self.object(route)?;
        let rule = self.read(&object).await?;
        let traffic = rule.traffic().map_err(|unfit| object.refused(unfit))?;
        rule.taken_up().map_err(|why| Failure::Later(why.into()).of(&object.target))?;
        Ok(Observed::new(traffic, rule.fence))
    }
}

impl fmt::Debug for HttpRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRoute")
            .field("backends", &self.backends)
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

/// The HTTPRoute that a call is about.
struct Object {
    api: Api<DynamicObject>,
    name: String,
    target: String,
}

impl Object {
    async fn patch(&self, rule: &Rule, traffic: &Traffic, fence: Fence) -> Result<(), Failure> {
        let patch = serde_json::from_value(rule.patch(traffic, fence)).expect("it is a JSON patch");
        let params = PatchParams { field_manager: Some("tidegate".to_owned()), ..PatchParams::default() };
        in_time(self.api.patch(&self.name, &params, &Patch::Json::<()>(patch))).await.map(drop)
    }

    fn refused(&self, why: impl Into<BoxError>) -> ActuatorError {
        Failure::Never(why.into()).of(&self.target)
    }
}

async fn in_time<T>(request: impl Future<Output = kube::Result<T>> + Send) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(elapsed) => Err(Failure::Later(elapsed.into())),
    }
}

/// Whether `text` can name an object or a namespace, and so a segment of a path (RFC 1123 subdomain).
fn is_name(text: &str) -> bool {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.bytes().all(inner) && outer(text.bytes().next()) && outer(text.bytes().last())
}
