//! Kubernetes as the data plane: routers that move weights in objects on which a gateway or a mesh acts.
//!
//! They take the caller's [`kube::Client`], so TLS, proxies and credentials are chosen by the program, and
//! nothing has to run in the cluster but the gateway. A [`RouteId`](crate::RouteId) here is
//! `namespace/name` of the object.
//!
//! A router writes by JSON patches that test what they were planned from, never by server-side apply: the
//! lists in which weights lie are atomic, so applying one weight would take the whole list over. Whoever
//! else writes the object in between makes the patch fail, and it is planned again from what is there.
//!
//! The right to act is kept in the object itself, in the annotation [`FENCE`].
//!
//! `k8s-openapi`, below `kube`, wants the final program to choose an API version: by one of its features
//! or by `K8S_OPENAPI_ENABLED_VERSION`.

mod failure;
mod httproute;
mod rule;

pub use self::httproute::HttpRoute;

/// The annotation that holds the [`Fence`](crate::Fence) of the last change, as a decimal number. It is
/// written together with the weights, so of two drivers the later one wins wherever they run.
pub const FENCE: &str = "tidegate.dev/fence";
