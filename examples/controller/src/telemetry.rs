//! What this program counts of its own work, for Prometheus.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tidegate::{registry::DURATION_BUCKETS, rollback};
use tokio::net::TcpListener;

/// So often what was measured is put into its buckets, also if nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Counts from now on, and answers at `/metrics` of `address`.
pub(crate) async fn begin(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address} for --metrics"))?;
    let counted = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
        .install_recorder()?;
    rollback::describe_metrics();
    let kept_up = counted.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            kept_up.run_upkeep();
        }
    });
    let page = async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], counted.render());
    let site = Router::new().route("/metrics", get(page));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, site).await {
            tracing::error!(%error, "nobody can read the metrics any more");
        }
    });
    Ok(())
}
