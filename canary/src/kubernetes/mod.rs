//! Kubernetes: routers that move weights in objects on which a gateway or a mesh acts, and deployers whose slots are
//! [`Deployments`] or [`InferenceServices`]; and [`Revisions`], which takes a Deployment or StatefulSet that is there
//! already back to a release that it has run before.
//!
//! They take the caller's [`kube::Client`], so TLS, proxies and credentials are chosen by the program, and
//! nothing has to run in the cluster but the gateway. A [`RouteId`](crate::RouteId) here is
//! `namespace/name` of the object.
//!
//! | where weights lie | router | says what is in force |
//! |---|---|---|
//! | Gateway API HTTPRoute | [`HttpRoute`] | what every gateway reports to have accepted |
//! | Istio VirtualService | [`VirtualService`] | what is configured |
//! | Traefik TraefikService | [`TraefikService`] | what is configured |
//! | a second Ingress, of ingress-nginx | [`CanaryIngress`] | what is configured |
//! | replicas behind one Service | [`ReplicaRatio`] | how many replicas are ready |
//!
//! Where an object has no status that tells whether proxies have taken up what it says, a router can only
//! answer what is configured. Whether requests really go there is then for metrics to show: a rollout that
//! counts the requests of each side sees a proxy that lags.
//!
//! A router writes by JSON patches that test what they were planned from, never by server-side apply: the
//! lists in which weights lie are atomic, so applying one weight would take the whole list over. Whoever
//! else writes the object in between makes the patch fail, and it is planned again from what is there.
//!
//! The right to act is kept in the object itself, in the annotation [`FENCE`]; that of deployers in a ConfigMap beside
//! the slots, which they write by server-side apply, being all theirs.
//!
//! A request that gets no answer within 10 s has failed, what the client repeats by itself included. Where the
//! server says when to ask again (429 and 503), a router or deployer does so while its patience lasts (30 s); what it may
//! not do, it names by verb and resource, as rights are granted.
//!
//! Any router goes with any deployer, but that [`ReplicaRatio`] and [`Deployments`] both have a say in numbers of
//! replicas: together they need [`Deployments::with_replicas_by_ratio`].
//!
//! `k8s-openapi`, below `kube`, wants the final program to choose an API version: by one of its features
//! or by `K8S_OPENAPI_ENABLED_VERSION`.

mod clip;
mod deployment;
mod exception;
mod failure;
mod head;
mod httproute;
mod inference_service;
mod ingress;
mod named;
mod object;
mod replicas;
mod request;
mod revisions;
mod rule;
mod sides;
mod traefik;
mod unfit;
mod virtual_service;

pub use self::{
    deployment::Deployments,
    httproute::HttpRoute,
    inference_service::InferenceServices,
    ingress::CanaryIngress,
    replicas::ReplicaRatio,
    revisions::Revisions,
    traefik::TraefikService,
    virtual_service::{Destination, VirtualService},
};

/// The annotation that holds the [`Fence`](crate::Fence) of the last change, as a decimal number. It is
/// written together with the weights, so of two drivers the later one wins wherever they run.
pub const FENCE: &str = "tidegate.dev/fence";
