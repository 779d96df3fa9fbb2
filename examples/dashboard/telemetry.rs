//! What this program counts of its own work, for Prometheus, on a listener of its own: it asks for no token, so it is
//! off unless it is named.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tidegate::{registry::DURATION_BUCKETS, rollback};
use tokio::{net::TcpListener, sync::watch};

use crate::listen;

/// So often what was measured is put into its buckets, also if nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Counts from now on, and answers at `/metrics` until `closing`. Returns where.
pub(crate) async fn begin(address: SocketAddr, closing: watch::Receiver<bool>) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address} for --metrics"))?;
    let address = listener.local_addr()?;
    let counted = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
        .install_recorder()?;
    rollback::describe_metrics();
    tokio::spawn(keep_up(counted.clone()));
    let site = Router::new().route("/metrics", get(async move || page(&counted)));
    tokio::spawn(async move { listen::serve(listener, site, closing).await });
    Ok(address)
}

async fn keep_up(counted: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        counted.run_upkeep();
    }
}

fn page(counted: &PrometheusHandle) -> ([(axum::http::HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], counted.render())
}
