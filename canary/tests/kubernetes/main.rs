//! The routers in Kubernetes against an API server that stores, patches and fails.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod api_server;
mod habits;
mod httproute;
mod ingress;
mod replicas;
mod traefik;
mod virtual_service;

use tidegate_canary::{ActuatorError, Traffic, Weight};

fn split(percent: u16) -> Traffic {
    Traffic::split(Weight::percent(percent).unwrap())
}

/// The error and its causes as one text.
fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
