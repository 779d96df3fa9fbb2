//! A release service: rollouts, their status and what people ask of them as an HTTP API.
//!
//! `cargo run --example axum_service -- --demo` makes a registry with three versions below `target/axum_service`, serves,
//! and says what to try.
//!
//! It holds nothing that must not be lost: rollouts are in their journals, and which there are is in one more. Killed
//! anywhere, it goes on with all that are not over; where the registry is away at its start, it waits, and GET /health says
//! so. Put `platform.rs` in the place of yours, and the rest can stay.

mod api;
mod beginning;
mod caller;
mod command;
mod demo;
#[path = "../dashboard/listen.rs"]
#[expect(dead_code, reason = "the dashboard also wants to know where a request comes from")]
mod listen;
mod openapi;
mod platform;
mod problem;
mod rollouts;
mod start;
mod view;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use self::{beginning::Beginning, caller::Tokens};

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
    if demo {
        demo::make_tokens(&directory)?;
    }
    let tokens = tokens(&directory)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    // Port 0 stands for any that is free.
    let address = listener.local_addr()?;
    let beginning = Beginning::default();
    let site = api::site(beginning.clone(), Arc::new(tokens));
    let begin = async {
        beginning.begin(&directory, demo, address).await?;
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        // Drivers stop where they are, as if they were killed: the next start goes on there.
        () = listen::serve(listener, site, listen::asked_to_end()) => Ok(()),
        failed = begin => failed,
    }
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
