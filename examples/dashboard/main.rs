//! Rollouts in the browser: what they are doing and why, live, with the buttons that people need.
//!
//! `cargo run --example dashboard -- --registry DIR --route serving/fraud --token-file FILE`
//!
//! It is a reader of journals that may write requests, so it runs anywhere the registry can be reached from,
//! beside the driver or far from it, and any number of it run at once. Stopping it stops no rollout.

mod ask;
mod events;
mod listen;
mod origin;
mod overview;
mod page;
mod refusal;
mod rollout;
mod session;
mod shield;
mod sign_in;
mod telemetry;
mod token;
mod tries;
mod waits;
mod watched;

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::header::CONTENT_TYPE,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use clap::Parser;
use tidegate::{
    canary::{RouteId, WallClock, report},
    registry::{Log, ObjectBacked},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tracing_subscriber::EnvFilter;

use self::{
    origin::{Origin, Origins},
    refusal::Refusal,
    session::Sessions,
    token::Token,
    tries::Tries,
    watched::Watched,
};

/// A form holds a reason and little else.
const MOST_BYTES: usize = 16 << 10;
/// Everybody who watches holds a connection.
const MOST_VIEWERS: usize = 64;

const AFTER_HELP: &str = "\
The token is what people sign in with, together with their name, which goes into the journals. To make one:
  (umask 077; head -c 32 /dev/urandom | base64 > token)

This program speaks HTTP only. To reach it from other machines put a proxy with TLS before it, and say under
which URL people find it: --origin https://rollouts.example.org";

/// Shows rollouts live in the browser, and asks things of them.
#[derive(Debug, Parser)]
#[command(name = "dashboard", after_help = AFTER_HELP, max_term_width = 100)]
struct Arguments {
    /// The directory of the registry, which holds the journals
    #[arg(long, value_name = "DIR")]
    registry: PathBuf,
    /// A route to show; may be repeated
    #[arg(long = "route", value_name = "ROUTE", required = true)]
    routes: Vec<RouteId>,
    /// A file with the token that people sign in with, readable by its owner only
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Where to listen; beyond the loopback interface only with --origin
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The URL under which a proxy with TLS makes this known, such as https://rollouts.example.org
    #[arg(long, value_name = "URL")]
    origin: Option<Origin>,
    /// Where Prometheus finds at /metrics what this program counts of its own work, without a token; nowhere at first
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// How long people stay signed in
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = humantime::parse_duration)]
    session: Duration,
}

/// What every answer is made from.
#[derive(Clone)]
struct Dashboard {
    routes: Arc<[Arc<Watched>]>,
    origins: Arc<Origins>,
    sessions: Arc<Sessions>,
    token: Arc<Token>,
    tries: Arc<Tries>,
    viewers: Arc<Semaphore>,
    clock: WallClock,
    /// Becomes true when the program is to end.
    closing: watch::Receiver<bool>,
}

impl Dashboard {
    fn route(&self, name: &str) -> Result<&Arc<Watched>, Refusal> {
        self.routes
            .iter()
            .find(|watched| watched.route.as_str() == name)
            .ok_or_else(|| Refusal::missing("There is no such route here."))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    let Arguments { registry, routes, token_file, listen, origin, metrics, session } = Arguments::parse();
    ensure!(
        listen.ip().is_loopback() || origin.is_some(),
        "{listen} can be reached from other machines, and this program speaks no TLS; listen on 127.0.0.1, or put a \
         proxy with TLS before it and name the URL with --origin"
    );
    let token = Token::read(&token_file)?;
    let log: Arc<dyn Log> = Arc::new(open(&registry).await?);
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;

    let closing = listen::asked_to_end();
    let metrics = match metrics {
        Some(metrics) => Some(telemetry::begin(metrics, closing.clone()).await?),
        None => None,
    };
    let clock = WallClock::system();
    let origins = Origins::new(address, origin);
    let dashboard = Dashboard {
        routes: routes.into_iter().map(|route| Watched::begin(Arc::clone(&log), route)).collect(),
        sessions: Arc::new(Sessions::new(clock, session, origins.has_tls())),
        origins: Arc::new(origins),
        token: Arc::new(token),
        tries: Arc::new(Tries::new(clock)),
        viewers: Arc::new(Semaphore::new(MOST_VIEWERS)),
        clock,
        closing: closing.clone(),
    };
    // In one piece, for a reader that is content with the first line.
    let metrics = metrics.map(|metrics| format!("http://{metrics}/metrics\n")).unwrap_or_default();
    let addresses = format!("{}\n{metrics}", dashboard.origins.advertised());
    std::io::stdout().write_all(addresses.as_bytes())?;
    listen::serve(listener, site(dashboard), closing).await;
    Ok(())
}

/// The registry that is there. Never begins one: a journal in the wrong place would look like none.
async fn open(directory: &Path) -> Result<ObjectBacked> {
    if !directory.join("tidegate.json").try_exists().unwrap_or(false) {
        bail!("{} is no registry; name the directory that rollouts are run with", directory.display());
    }
    ObjectBacked::directory(directory)
        .await
        .with_context(|| format!("the registry {} cannot be opened", directory.display()))
}

fn site(dashboard: Dashboard) -> Router {
    Router::new()
        .route("/", get(overview::show))
        .route("/rollout", get(rollout::show))
        .route("/ask", post(ask::take))
        .route("/events", get(events::stream))
        .route("/sign-in", get(sign_in::show).post(sign_in::take))
        .route("/sign-out", post(sign_in::leave))
        .route("/style.css", get(style))
        .route("/script.js", get(async || text("text/javascript", include_str!("script.js"))))
        .route("/icon.svg", get(async || text("image/svg+xml", include_str!("icon.svg"))))
        .fallback(async || Refusal::missing("There is no such page."))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn_with_state(dashboard.clone(), shield::guard))
        .with_state(dashboard)
}

async fn style() -> Response {
    text("text/css", report::style() + include_str!("style.css"))
}

fn text(kind: &'static str, body: impl IntoResponse) -> Response {
    ([(CONTENT_TYPE, kind)], body).into_response()
}
