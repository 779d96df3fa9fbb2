//! The live system: a registry, server processes, a gateway with the router in it, users.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tidegate::{
    canary::{
        Actuator, BoxError, Driver, EmbeddedRouter, Fence, Gatekeepers, LocalProcesses, PlanSpec, Release,
        Require, RouteId, Slot, State, Step, Timing, WallClock, Weight, Workload, World,
        metrics::{Criterion, Metric, Statistic},
        process::{Command, ServerSpec},
    },
    registry::{
        Card, Cause, Channel, Channels, Content, Draft, Expect, ModelName, ModelStore as _,
        ModelStoreExt as _, ObjectBacked, Seq, Stamp,
    },
    rollback::{Brakes, Intent, Order, Recovery, Rehearsal, Watch, drill},
};

use super::{
    classifier::{Classifier, Training},
    fault::{Fault, LATE},
    gateway,
    messages::messages,
    probes::{Measured, QUALITY},
    screen::{Story, line, seconds},
    users::{Ask, Users},
};

const DATA: &str = include_str!("../data/messages.tsv");
const SEED: u64 = 2026;

/// How often the watch looks.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
/// How long after its end what was seen in a window is complete.
pub(crate) const LAG: Duration = Duration::from_millis(100);
/// Requests a second of the users.
pub(crate) const RATE: u32 = 150;
/// And of the labelled messages that are asked among theirs.
const PROBES: u32 = 25;

const DRAIN: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// The world in which versions are promoted and go wrong.
pub(crate) struct Live {
    root: PathBuf,
    registry: ObjectBacked,
    router: EmbeddedRouter,
    measured: Measured,
    client: reqwest::Client,
    route: RouteId,
    name: ModelName,
    pub(crate) servers: LocalProcesses,
    pub(crate) world: World,
    pub(crate) gateway: SocketAddr,
}

impl Live {
    pub(crate) async fn set_up(root: &Path) -> Result<Self> {
        // Everything here is on the loopback interface, where no proxy has business.
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        clear(root, &client).await?;
        let registry = ObjectBacked::directory(root.join("registry")).await?;
        let servers = servers(root, &registry, &client).await?;
        let clock = WallClock::system();
        let router = EmbeddedRouter::new(clock, SEED);
        let measured = Measured::new(router.clone());
        let world = World {
            store: Arc::new(registry.clone()),
            log: Arc::new(registry.clone()),
            metrics: Arc::new(measured.clone()),
            router: Arc::new(router.clone()),
            deployer: Arc::new(servers.clone()),
            gates: Gatekeepers::new(),
            clock,
        };
        let route: RouteId = "support/intent".parse()?;
        let gateway = gateway::serve(&router, &route, servers.clone(), client.clone()).await?;
        let (root, name) = (root.to_owned(), "intent".parse()?);
        Ok(Self { root, registry, router, measured, client, route, name, servers, world, gateway })
    }

    /// Trains a version, each by its own seed, and publishes it.
    pub(crate) async fn publish(&self, version: &str, seed: u64) -> Result<Release> {
        let classifier = Classifier::train(&messages(DATA, "train")?, Training { seed, ..Training::FULL });
        let directory = self.root.join("trained").join(version);
        classifier.save(&directory)?;
        let accuracy = classifier.accuracy(&messages(DATA, "test")?);
        let card = Card { metrics: [("accuracy".to_owned(), accuracy)].into(), ..Card::default() };
        let draft = Draft::new(self.name.at(version.parse()?), self.stamp()).with_card(card);
        let manifest = self.registry.publish(draft, Content::directory(&directory), &()).await?;
        line(format!("{} is published, right for {:.1} % of the test", manifest.model, 100.0 * accuracy));
        Ok(Release::from(&manifest))
    }

    /// Serves `release` to users, and asks it labelled messages among theirs.
    pub(crate) async fn serve(&self, release: &Release) -> Result<[Users; 2]> {
        let clock = self.world.clock;
        let hands =
            Actuator { router: &self.router, deployer: &self.servers, clock, fence: Fence::new(Seq::FIRST) };
        let workload = Workload { slot: Slot::Stable, release: release.clone(), share: Weight::FULL };
        hands.ensure(&workload, clock.now() + PATIENCE).await?;
        let (channels, production) = (Channels::new(Arc::clone(&self.world.log)), Channel::production());
        let promoted = channels
            .promote(&release.model, &production, &Expect::Absent, Cause::Promote, self.stamp())
            .await?;
        // It has been in service for long, so the story goes: a person vouches for it.
        channels.settle(&self.name, &production, promoted.seq, self.stamp()).await?;
        let ask = Ask { client: self.client.clone(), gateway: self.gateway, clock };
        let measured = self.measured.clone();
        Ok([
            Users::start(&ask, messages(DATA, "live")?, RATE, SEED, |_| ()),
            Users::start(&ask, messages(DATA, "test")?, PROBES, SEED, move |answer| measured.take(answer)),
        ])
    }

    /// A rollout as short as one can be: half of the traffic for a second, then all of it.
    pub(crate) async fn roll_out(&self, stable: &Release, candidate: &Release) -> Result<()> {
        let mut spec = PlanSpec::canary(self.route.clone(), stable.clone(), candidate.clone());
        let half = Weight::percent(50).context("a share of traffic")?;
        let step = Step { weight: half, soak: Duration::from_secs(1), ..Step::default() };
        spec.steps = vec![step.clone(), Step { weight: Weight::FULL, require: Require::Pass, ..step }];
        spec.criteria.retain(|criterion| !criterion.needs_baseline());
        spec.timing = Timing {
            bake: Duration::from_secs(2),
            drain: DRAIN,
            horizon: Duration::from_secs(20),
            lag: LAG,
            patience: PATIENCE,
            verify: Duration::ZERO,
            warm_up: Duration::ZERO,
            window: Duration::from_millis(500),
        };
        let story = Story::begin(self.world.clock.now(), format!("rolling out {candidate}"));
        let id = format!("rollout-{}", candidate.model.version()).parse()?;
        let (driver, _handle) = Driver::open(self.world.clone(), id, spec.build()?).await?;
        let end = driver.run().await;
        story.end();
        let end = end?;
        ensure!(end == State::Promoted, "{candidate} was expected to be promoted, but the rollout is {end}");
        line(format!("{} is promoted", candidate.model));
        Ok(())
    }

    /// Says how long a rollback would take, by doing everything of it that moves no traffic.
    pub(crate) async fn drill(&self) -> Result<Rehearsal> {
        let intent = Intent::new(self.route.clone(), self.name.clone(), "a drill");
        let (order, _) = Order::choose(&self.world, intent).await?;
        let order = Order { drain: DRAIN, patience: PATIENCE, ..order };
        line(format!("a drill of the way back to {}:", order.to.model));
        let rehearsal = drill(&self.world, &"drill-1".parse()?, order).await?;
        for part in &rehearsal.parts {
            line(format!("    {} s  {}", seconds(part.took), part.step));
        }
        let back = rehearsal.until_traffic_is_back().context("the drill failed")?;
        line(format!("so traffic would be back {} s after an alarm", seconds(back)));
        Ok(rehearsal)
    }

    /// How `release` is guarded: as by default, in seconds for minutes, and by the quality of its answers.
    pub(crate) fn watch(&self, release: &Release) -> Watch {
        let limits = [
            Criterion::at_most(Metric::errors(), Statistic::Share, 0.15),
            Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), LATE.as_secs_f64()),
            Criterion::at_least(Metric::availability(), Statistic::Share, 0.95),
            Criterion::at_least(Metric::new(QUALITY), Statistic::Share, 0.7),
        ];
        let criteria = Vec::from(limits.map(|criterion| criterion.with_alpha(0.001)));
        Watch {
            recovery: Some(Recovery {
                window: WINDOW,
                lag: LAG,
                at_least: 2 * WINDOW,
                at_most: 15 * WINDOW,
                ..Recovery::new(criteria.clone())
            }),
            criteria,
            window: WINDOW,
            lag: LAG,
            span: 10 * WINDOW,
            drain: DRAIN,
            // Four faults in a minute are wanted here, so it must not be held up after the first.
            brakes: Brakes { most: 10, cool_down: Duration::ZERO, ..Brakes::default() },
            ..Watch::new(self.route.clone(), release.clone())
        }
    }

    /// Breaks the process that is in service.
    pub(crate) async fn inject(&self, fault: Fault) -> Result<()> {
        let server = self.servers.address(Slot::Stable).context("nothing is in service")?;
        let told = self.client.post(format!("http://{server}/fault")).body(fault.name()).send().await;
        if fault != Fault::Crash {
            // What crashes does not answer.
            told?.error_for_status()?;
        }
        Ok(())
    }

    fn stamp(&self) -> Stamp {
        Stamp { by: "example".to_owned(), at: self.world.clock.now() }
    }
}

/// This program once more for each slot, as a server of what the registry has delivered.
async fn servers(root: &Path, registry: &ObjectBacked, client: &reqwest::Client) -> Result<LocalProcesses> {
    let program = std::env::current_exe()?.to_str().context("this program's path is not UTF-8")?.to_owned();
    let command = Command::new(program).with_args(["serve", "{directory}", "{port}", "{version}"]);
    let mut spec = ServerSpec::new(command, "http://127.0.0.1:{port}/healthz");
    spec.pace.pause = Duration::from_millis(20);
    spec.pace.stop = Duration::from_secs(5);
    let (registry, delivered) = (registry.clone(), root.join("delivered"));
    let files = move |release: Release| {
        let (registry, directory) = (registry.clone(), delivered.join(release.model.version().to_string()));
        async move {
            registry.download(&release.model, &directory, &()).await?;
            Ok::<_, BoxError>(directory)
        }
    };
    Ok(LocalProcesses::open(root.join("servers"), spec, client.clone(), files).await?)
}

/// Stops what an earlier run that was killed has left, and removes its files.
async fn clear(root: &Path, client: &reqwest::Client) -> Result<()> {
    if root.exists() {
        let registry = ObjectBacked::directory(root.join("registry")).await?;
        servers(root, &registry, client).await?.shut_down().await;
        std::fs::remove_dir_all(root).with_context(|| format!("cannot clear {}", root.display()))?;
    }
    Ok(())
}
