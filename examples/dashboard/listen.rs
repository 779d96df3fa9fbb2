//! Connections: not too many, and none that only pretends to ask something; and their end, when the program is asked to
//! end. `axum_service` listens by it, too.

use std::{convert::Infallible, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tower::ServiceExt as _;

/// Where a request comes from: somebody's machine, or a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

const MOST_CONNECTIONS: u32 = 512;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long requests may go on after the program was asked to end.
const LAST: Duration = Duration::from_secs(5);

/// Answers until `closing`, and then brings to an end what has begun.
pub(crate) async fn serve(listener: TcpListener, site: Router, mut closing: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = closed(&mut closing) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (site, closing) = (site.clone(), closing.clone());
                tokio::spawn(async move {
                    converse(stream, Peer(peer.ip()), site, closing).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Too many files, most likely: it passes, but not at once.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let _ended_or_not = tokio::time::timeout(LAST, places.acquire_many(MOST_CONNECTIONS)).await;
}

async fn converse(stream: TcpStream, peer: Peer, site: Router, mut closing: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Browsers go away in the middle of things all the time.
        tracing::debug!(%error, "a connection broke");
    }
}

/// Returns once the program is to end.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _said_or_gone = closing.wait_for(|closing| *closing).await;
}

/// Becomes true once somebody asks the program to end.
pub(crate) fn asked_to_end() -> watch::Receiver<bool> {
    let (close, closing) = watch::channel(false);
    tokio::spawn(async move {
        match told_to_end().await {
            Ok(()) => {
                close.send_replace(true);
            }
            // By Ctrl-C the program ends all the same, only less gently. To drop `close` would end it now.
            Err(error) => {
                tracing::warn!(%error, "requests to end cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    });
    closing
}

/// Returns once somebody asks the program to end.
async fn told_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
