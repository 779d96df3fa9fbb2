//! The gateway that users talk to: the embedded router in front of a small reverse proxy.

use std::net::SocketAddr;

use anyhow::Result;
use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::post,
};
use tidegate::canary::{EmbeddedRouter, LocalProcesses, RouteId, Slot};
use tokio::net::TcpListener;

/// Serves `route` on a free port of the loopback interface, for as long as the program runs.
pub(crate) async fn serve(
    router: &EmbeddedRouter,
    route: &RouteId,
    servers: LocalProcesses,
    client: reqwest::Client,
) -> Result<SocketAddr> {
    // Servers can be told to break, but not by users.
    let proxy = Router::new().route("/classify", post(forward)).with_state((servers, client));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, proxy.layer(router.layer(route))).into_future());
    Ok(address)
}

/// Sends a request to the slot that the layer chose for it, and the answer back as it comes.
async fn forward(
    State((servers, client)): State<(LocalProcesses, reqwest::Client)>,
    Extension(slot): Extension<Slot>,
    uri: Uri,
    body: Bytes,
) -> Response {
    let Some(address) = servers.address(slot) else {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("nothing runs in the {slot} slot")).into_response();
    };
    match client.post(format!("http://{address}{uri}")).body(body).send().await {
        Ok(answer) => {
            let status = answer.status();
            (status, Body::from_stream(answer.bytes_stream())).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
