//! What this program counts of its own work, for Prometheus.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tidegate::{registry::DURATION_BUCKETS, rollback};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// So often what was measured is put into its buckets, also if nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);
/// It asks for no token, and whoever reaches it must not take the files and the memory that leases are held with.
const MOST_CONNECTIONS: usize = 16;
/// How long a connection may take, from its first byte to the last of the one answer.
const ANSWERED: Duration = Duration::from_secs(10);

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
    tokio::spawn(serve(listener, counted));
    Ok(())
}

async fn serve(listener: TcpListener, counted: PrometheusHandle) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let counted = counted.clone();
                tokio::spawn(async move {
                    converse(stream, counted).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Too many files, most likely: it passes, but not at once.
                tracing::warn!(%error, "a connection for --metrics could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, counted: PrometheusHandle) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &counted);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ANSWERED)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(ANSWERED, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for --metrics broke"),
        Err(_) => tracing::debug!("a connection for --metrics took too long"),
    }
}

fn answer(request: &Request<Incoming>, counted: &PrometheusHandle) -> Response<String> {
    let mut answer = Response::new(String::new());
    if (request.method(), request.uri().path()) == (&Method::GET, "/metrics") {
        *answer.body_mut() = counted.render();
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, text);
    } else {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    answer
}
