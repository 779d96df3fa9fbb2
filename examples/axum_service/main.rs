//! A release service: rollouts, their status and what people ask of them as an HTTP API.
//!
//! `cargo run --example axum_service -- --demo` makes a registry with three versions below `target/axum_service`, serves,
//! and says what to try.
//!
//! It holds nothing that must not be lost: rollouts are in their journals, and which there are is in one more. Killed
//! anywhere, it goes on with all that are not over. Put `platform.rs` in the place of yours, and the rest can stay.

mod api;
mod caller;
mod command;
mod demo;
mod openapi;
mod platform;
mod problem;
mod rollouts;
mod start;
mod view;

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tidegate::{canary::WallClock, registry::ObjectBacked};
use tokio::{net::TcpListener, sync::Notify};
use tracing_subscriber::EnvFilter;

use self::{caller::Tokens, platform::Platform, rollouts::Rollouts};

/// How long requests may go on after the program was asked to end.
const LAST: Duration = Duration::from_secs(5);

const AFTER_HELP: &str = "\
Tokens are lines of ROLE NAME TOKEN in DIR/tokens, which only its owner may read, or in RELEASE_TOKENS:
  operator ada 4TqY1k0b7sZ3mXw9vRjC
A reader may look at everything, an operator ask for everything; NAME goes into the journals. To make a token:
  head -c 32 /dev/urandom | base64

This program speaks HTTP only. Beyond the loopback interface a proxy with TLS has to stand before it.";

/// Drives rollouts, and serves them as an HTTP API; GET /openapi.json describes it.
#[derive(Debug, Parser)]
#[command(name = "axum_service", after_help = AFTER_HELP, max_term_width = 100)]
struct Arguments {
    /// Where the registry, the tokens and the stand-in for a platform are
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/axum_service"))]
    directory: PathBuf,
    /// Fill the directory with versions and tokens first, where they are missing
    #[arg(long)]
    demo: bool,
    /// Where to listen; beyond the loopback interface only with --behind-tls
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8091")]
    listen: SocketAddr,
    /// A proxy with TLS stands before it
    #[arg(long)]
    behind_tls: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    let Arguments { directory, demo, listen, behind_tls } = Arguments::parse();
    ensure!(
        listen.ip().is_loopback() || behind_tls,
        "{listen} can be reached from other machines, and tokens would be sent in the clear; listen on 127.0.0.1, or put \
         a proxy with TLS before it and say --behind-tls"
    );
    let registry = ObjectBacked::directory(directory.join("registry")).await?;
    let made = if demo { Some(demo::fill(&directory, &registry).await?) } else { None };
    let tokens = tokens(&directory)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    // Port 0 stands for any that is free.
    let address = listener.local_addr()?;
    if let Some(candidate) = made {
        demo::say(&directory, candidate, address)?;
    }
    let platform = Platform::new(directory.join("platform"), registry, WallClock::system());
    let rollouts = Rollouts::go_on(platform).await?;
    let site = api::site(rollouts, Arc::new(tokens));

    let ending = Arc::new(Notify::new());
    let said = Arc::clone(&ending);
    let serve = axum::serve(listener, site).with_graceful_shutdown(async move {
        // Without a way to hear of Ctrl-C the program ends by it all the same, only less gently.
        let _unheard = asked_to_end().await;
        said.notify_one();
    });
    let served = serve.into_future();
    writeln!(std::io::stdout(), "http://{address}")?;
    tokio::select! {
        served = served => served?,
        // Somebody who began a request and never ends it holds up nobody.
        () = async { ending.notified().await; tokio::time::sleep(LAST).await } => {}
    }
    // Drivers stop where they are, as if they were killed: the next start goes on there.
    Ok(())
}

/// From the environment, as containers have them, or from the file.
#[expect(clippy::disallowed_methods, reason = "programs read the environment")]
fn tokens(directory: &Path) -> Result<Tokens> {
    match std::env::var("RELEASE_TOKENS") {
        Ok(text) => Tokens::parse(&text).context("RELEASE_TOKENS cannot be used"),
        Err(std::env::VarError::NotPresent) => Tokens::read(&directory.join("tokens")),
        Err(error) => Err(error).context("RELEASE_TOKENS cannot be read"),
    }
}

/// Returns once somebody asks the program to end.
async fn asked_to_end() -> std::io::Result<()> {
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
