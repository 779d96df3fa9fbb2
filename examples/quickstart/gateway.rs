//! The gateway that users talk to: the embedded router in front of a small reverse proxy.

use std::net::SocketAddr;

use anyhow::Result;
use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use tidegate::canary::{EmbeddedRouter, RouteId, Slot};
use tokio::net::TcpListener;

use super::deployer::LocalDeployer;

/// Serves `route` on a free port of the loopback interface, for as long as the program runs.
pub(crate) async fn serve(
    router: &EmbeddedRouter,
    route: &RouteId,
    deployer: LocalDeployer,
    client: reqwest::Client,
) -> Result<SocketAddr> {
    let proxy = Router::new().fallback(forward).with_state((deployer, client));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, proxy.layer(router.layer(route))).into_future());
    Ok(address)
}

/// Sends a request to the slot that the layer chose for it, and the answer back as it comes.
async fn forward(
    State((deployer, client)): State<(LocalDeployer, reqwest::Client)>,
    Extension(slot): Extension<Slot>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(address) = deployer.address(slot) else {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("nothing runs in the {slot} slot")).into_response();
    };
    let mut request = client.request(method, format!("http://{address}{uri}")).body(body);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    match request.send().await {
        Ok(answer) => {
            let status = answer.status();
            let kind = answer.headers().get(CONTENT_TYPE).cloned();
            let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
            *response.status_mut() = status;
            response.headers_mut().extend(kind.map(|kind| (CONTENT_TYPE, kind)));
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
