//! `tidegate-controller`: rolls out models as `Release` objects in a cluster say, with the same driver as everywhere.
//!
//! Several replicas share the releases: a Lease says who drives one, and the journal in the registry, which each
//! record of it fences, that nothing is done twice.

mod course;
mod lease;
mod plan;
mod post;
mod registry;
mod replica;
mod resource;
mod schema;
mod setting;
mod status;
mod telemetry;
mod tidings;
mod versions;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Parser, Subcommand};
use futures::StreamExt as _;
use kube::{
    Api, Client, CustomResourceExt as _,
    runtime::{
        Controller,
        controller::Action,
        events::{Recorder, Reporter},
        watcher,
    },
};
use tidegate::canary::WallClock;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing_subscriber::EnvFilter;

use crate::{
    lease::{Elector, Terms},
    post::Listeners,
    replica::{Failed, Replica, reconcile},
    resource::Release,
    versions::Versions,
};

/// Roll out models as `Release` objects say.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the definition of the kind `Release`, for `kubectl apply -f -`
    Crd,
    /// Run one replica of the controller
    Run(Run),
}

#[derive(Debug, Args)]
struct Run {
    /// The registry with the versions, in which the journals of routes are kept: a directory that all replicas
    /// share, or a URL such as s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL", env = "TIDEGATE_REGISTRY", hide_env_values = true)]
    registry: String,
    /// The namespace whose releases are looked after
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    namespace: String,
    /// What this replica is called; no two may be called the same
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    replica: String,
    /// A release whose replica has been silent for so long is taken over
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    lease: Duration,
    /// A replica that could not renew a lease for so long stops acting
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    renew_within: Duration,
    /// How often leases are renewed, and looked at by others
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    retry: Duration,
    /// How often a release is looked at that nothing happens to
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    look_every: Duration,
    /// Where Prometheus finds at /metrics what this replica counts of its own work, for example 0.0.0.0:9464;
    /// nowhere at first
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_METRICS")]
    metrics: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_ansi(false)
        .with_writer(io::stderr)
        .init();
    match Cli::parse().command {
        Command::Crd => {
            let crd = serde_saphyr::to_string(&Release::crd()).context("a definition is YAML")?;
            io::stdout().write_all(crd.as_bytes()).context("the definition was not written")
        }
        Command::Run(run) => run.run().await,
    }
}

impl Run {
    async fn run(self) -> Result<()> {
        let terms = Terms { duration: self.lease, renew_within: self.renew_within, retry: self.retry };
        let terms = terms.check().map_err(|why| anyhow!("--lease, --renew-within and --retry: {why}"))?;
        if let Some(address) = self.metrics {
            telemetry::begin(address).await?;
        }
        let client = Client::try_default().await.context("there is no cluster to reach")?;
        let registry = registry::open(&self.registry).await?;
        let clock = WallClock::system();
        let reporter =
            Reporter { controller: "tidegate-controller".into(), instance: Some(self.replica.clone()) };
        let (look, looks) = mpsc::unbounded_channel();
        let listeners = Listeners { recorder: Recorder::new(client.clone(), reporter), look };
        let elector = Elector { client: client.clone(), replica: self.replica, terms, clock };
        let releases: Api<Release> = Api::namespaced(client.clone(), &self.namespace);
        let controller = Controller::new(releases, watcher::Config::default());
        let replica = Arc::new(Replica {
            client,
            http: reqwest::Client::new(),
            versions: Versions::new(registry.clone()),
            registry,
            releases: controller.store(),
            elector: Arc::new(elector),
            listeners,
            clock,
            look_every: self.look_every,
            desks: Mutex::default(),
        });
        let looks = futures::stream::unfold(looks, async |mut looks| Some((looks.recv().await?, looks)));
        let mut stop = signal(SignalKind::terminate()).context("signals cannot be waited for")?;
        let stop = async move {
            tokio::select! {
                _ = stop.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        controller
            .reconcile_on(looks)
            .graceful_shutdown_on(stop)
            .run(reconcile, again, Arc::clone(&replica))
            .for_each(async |looked| {
                if let Err(error) = looked {
                    tracing::warn!(%error, "a release could not be looked at");
                }
            })
            .await;
        replica.leave().await;
        Ok(())
    }
}

fn again(_: Arc<Release>, _: &Failed, replica: Arc<Replica>) -> Action {
    Action::requeue(replica.elector.terms.retry)
}
