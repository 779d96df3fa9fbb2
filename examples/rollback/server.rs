//! A model server as a process of its own: `rollback serve DIRECTORY PORT VERSION`. It loads what the registry
//! delivered, answers what intent a message has, and can be told to break.

use std::{
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use anyhow::{Context as _, Result, bail};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{
    classifier::Classifier,
    fault::{DELAY, Fault},
};

/// What is answered to a message.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Intent {
    pub(crate) label: String,
    pub(crate) version: String,
}

struct Served {
    directory: PathBuf,
    version: String,
    classifier: Classifier,
    /// 0 while all is well, otherwise 1 more than the fault's place in [`Fault::ALL`].
    fault: AtomicU8,
}

const MOST_BYTES: usize = 64 << 10;

/// A file that makes a start fail, as a damaged cache would.
const POISON: &str = "cache.damaged";

/// Serves the model in `directory` until it is told to stop.
pub(crate) async fn serve(directory: &Path, port: u16, version: &str) -> Result<()> {
    if directory.join(POISON).exists() {
        bail!("the cache in {} is damaged", directory.display());
    }
    let served = Arc::new(Served {
        directory: directory.to_owned(),
        version: version.to_owned(),
        classifier: Classifier::load(directory)?,
        fault: AtomicU8::new(0),
    });
    let routes = Router::new()
        .route("/healthz", get(async || StatusCode::NO_CONTENT))
        .route("/classify", post(classify))
        .route("/fault", post(fail))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(served);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("cannot listen")?;
    let mut stop = signal(SignalKind::terminate())?;
    let stopped = async move { _ = stop.recv().await };
    Ok(axum::serve(listener, routes).with_graceful_shutdown(stopped).await?)
}

impl Served {
    fn fault(&self) -> Option<Fault> {
        let place = usize::from(self.fault.load(Relaxed)).checked_sub(1)?;
        Fault::ALL.get(place).copied()
    }
}

async fn classify(State(served): State<Arc<Served>>, text: String) -> Result<Json<Intent>, StatusCode> {
    let fault = served.fault();
    match fault {
        Some(Fault::Latency) => tokio::time::sleep(DELAY).await,
        Some(Fault::Errors) if fastrand::u8(..5) < 2 => return Err(StatusCode::INTERNAL_SERVER_ERROR),
        _ => {}
    }
    let (label, _) = served.classifier.classify(&text).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let label = match fault {
        Some(Fault::Quality) => {
            let labels = &served.classifier.labels;
            let place = labels.iter().position(|known| known == label).unwrap_or_default();
            &labels[(place + 1) % labels.len()]
        }
        _ => label,
    };
    Ok(Json(Intent { label: label.to_owned(), version: served.version.clone() }))
}

async fn fail(State(served): State<Arc<Served>>, name: String) -> StatusCode {
    let Some(place) = Fault::named(&name).and_then(|fault| Fault::ALL.iter().position(|f| *f == fault))
    else {
        return StatusCode::BAD_REQUEST;
    };
    if Fault::ALL[place] == Fault::Crash {
        return match std::fs::write(served.directory.join(POISON), "") {
            Ok(()) => process::abort(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
    }
    served.fault.store(place as u8 + 1, Relaxed);
    StatusCode::NO_CONTENT
}
