//! A model server that follows a channel and swaps its weights under traffic, without dropping a request.
//!
//! `cargo run --example hot_reload` plays it through in seconds: promotions under load, and a version that is broken.
//! `cargo run --example hot_reload -- --registry DIR --model scorer` serves what `scorer:production` points to, until Ctrl-C.

mod follow;
mod serve;
mod story;
#[cfg(test)]
mod tests;
mod weights;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use tidegate::registry::{Channel, ModelName, ObjectBacked, Poll};
use tokio::net::TcpListener;

use self::{follow::Follower, serve::Live};

/// Serves a model that follows a channel.
#[derive(Debug, Parser)]
#[command(name = "hot_reload", max_term_width = 100)]
struct Arguments {
    /// The directory of the registry; without it a story is played
    #[arg(long, value_name = "DIR", requires = "model")]
    registry: Option<PathBuf>,
    /// The model
    #[arg(long, value_name = "NAME")]
    model: Option<ModelName>,
    /// The channel to follow
    #[arg(long, value_name = "CHANNEL", default_value = "production")]
    channel: Channel,
    /// Where delivered versions lie while they are served; for this program alone, which removes the others there
    #[arg(long, value_name = "DIR", default_value = "delivered")]
    delivered: PathBuf,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8092")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { registry, model, channel, delivered, every, listen } = Arguments::parse();
    let (Some(registry), Some(name)) = (registry, model) else { return story::play().await };
    let registry = Arc::new(ObjectBacked::directory(registry).await?);
    let (store, log) = (Arc::clone(&registry) as _, registry as _);
    let live = Live::default();
    // A fleet that is started at once must not look at once for ever.
    let poll = Poll { every, seed: u64::from(std::process::id()) };
    tokio::spawn(Follower { store, log, delivered, name, channel, poll, live: live.clone() }.follow());
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let until = async { _ = tokio::signal::ctrl_c().await };
    Ok(axum::serve(listener, serve::site(live)).with_graceful_shutdown(until).await?)
}
