//! One whole release, on this machine and in under a minute: publish, validate, roll out on evidence,
//! and take back what traffic shows to be bad.
//!
//! `cargo run --example quickstart`
//!
//! Everything is real: a classifier that is trained here and stored as safetensors, servers that load what
//! the registry delivered, HTTP requests through a gateway. It writes to `target/quickstart/` only.

mod classifier;
mod damage;
mod deployer;
mod gateway;
mod messages;
mod screen;
mod server;
mod traffic;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tidegate::{
    canary::{
        Actuator, AtHorizon, Driver, EmbeddedRouter, Fence, Gatekeepers, PlanSpec, Release, RouteId,
        RouteJournal, Slot, State, Timing, WallClock, Weight, Workload, World,
        metrics::{Criterion, Metric, Statistic},
        report,
    },
    registry::{
        Card, Cause, Channel, Channels, Content, Draft, Expect, Framework, Manifest, ModelName, ModelStore,
        ObjectBacked, Seq, Stamp,
    },
    rollback::{self, Intent, Order, Rollback, Target},
    validation::{OpenAi, Run, Subject, Suite},
};

use self::{
    classifier::{Classifier, Training},
    deployer::LocalDeployer,
    messages::messages,
    screen::{RolloutBar, TransferBar, heading, line},
    traffic::Traffic,
};

const DATA: &str = include_str!("../data/messages.tsv");
const SUITE: &str = include_str!("suite.toml");
const SEED: u64 = 2026;
const REQUESTS_PER_SECOND: u32 = 240;

#[tokio::main]
async fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/quickstart");
    match std::fs::remove_dir_all(&root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("cannot clear target/quickstart");
        }
        _ => {}
    }
    let quickstart = Quickstart::set_up(root).await?;

    heading("1. Train three versions of a classifier and publish them");
    let (first, better, damaged) = quickstart.publish_all().await?;

    heading("2. Validate each against a live server");
    for release in [&first, &better, &damaged] {
        quickstart.validate(release).await?;
    }

    heading(&format!("3. Serve {first} to everybody"));
    let traffic = quickstart.serve(&first).await?;

    heading(&format!("4. Roll out {better}"));
    let end = quickstart.roll_out(&first, &better).await?;
    ensure!(end == State::Promoted, "{better} was expected to be promoted, but the rollout is {end}");

    heading(&format!("5. Roll out {damaged}, which passed validation as well"));
    let end = quickstart.roll_out(&better, &damaged).await?;
    ensure!(
        matches!(end, State::RolledBack { .. }),
        "{damaged} was expected to be taken back, but the rollout is {end}"
    );

    heading("6. Roll production back on command, and forth again");
    quickstart.roll_back("inc-1", Target::LastGood, "rehearsal").await?;
    quickstart.roll_back("inc-2", Target::Exactly(better.model.clone()), "rehearsal over").await?;

    heading("7. What is left");
    quickstart.sum_up(&traffic).await
}

/// The world in which the release happens.
struct Quickstart {
    root: PathBuf,
    registry: ObjectBacked,
    deployer: LocalDeployer,
    router: EmbeddedRouter,
    world: World,
    route: RouteId,
    name: ModelName,
    client: reqwest::Client,
}

impl Quickstart {
    async fn set_up(root: PathBuf) -> Result<Self> {
        let registry = ObjectBacked::directory(root.join("registry")).await?;
        let clock = WallClock::system();
        let router = EmbeddedRouter::new(clock, SEED);
        let deployer = LocalDeployer::new(registry.clone(), root.join("delivered"));
        let world = World {
            store: Arc::new(registry.clone()),
            log: Arc::new(registry.clone()),
            metrics: Arc::new(router.clone()),
            router: Arc::new(router.clone()),
            deployer: Arc::new(deployer.clone()),
            gates: Gatekeepers::new(),
            clock,
        };
        Ok(Self {
            root,
            registry,
            deployer,
            router,
            world,
            route: "support/intent".parse()?,
            name: "intent".parse()?,
            // Everything here is on the loopback interface, where no proxy has business.
            client: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?,
        })
    }

    /// 1.0.0 learns from half the examples and 1.1.0 from all of them. 1.2.0 is 1.1.0 after a quantisation
    /// that went wrong for some words, of which none is in the validation suite.
    async fn publish_all(&self) -> Result<(Release, Release, Release)> {
        let (train, live) = (messages(DATA, "train")?, messages(DATA, "live")?);
        let first = Classifier::train(&train, Training::HALF);
        let better = Classifier::train(&train, Training::FULL);
        let words = better.words_unseen_by(&messages(DATA, "test")?, &live, 0.10);
        let damaged = better.damage(&words);
        Ok((
            self.publish("1.0.0", &first, "learned from half of the examples").await?,
            self.publish("1.1.0", &better, "learned from all of them").await?,
            self.publish("1.2.0", &damaged, "1.1.0, quantised").await?,
        ))
    }

    async fn publish(&self, version: &str, classifier: &Classifier, description: &str) -> Result<Release> {
        let directory = self.root.join("trained").join(version);
        std::fs::create_dir_all(&directory)?;
        classifier.save(&directory)?;
        let accuracy = classifier.accuracy(&messages(DATA, "test")?);
        let card = Card {
            description: description.to_owned(),
            framework: Some(Framework { name: "tidegate-quickstart".to_owned(), version: "1".to_owned() }),
            metrics: [("accuracy".to_owned(), accuracy)].into(),
            tags: [String::from("quickstart")].into(),
            ..Card::default()
        };
        let draft = Draft::new(self.name.at(version.parse()?), self.stamp()).with_card(card);
        let bar = TransferBar::new(version);
        let manifest = self.registry.publish(draft, Content::directory(&directory), &bar).await?;
        drop(bar);
        let Manifest { model, size, digest, .. } = &manifest;
        line(format!("{model}  {size} bytes  accuracy {accuracy:.3}  {digest}  ({description})"));
        Ok(Release::from(&manifest))
    }

    async fn validate(&self, release: &Release) -> Result<()> {
        let server = self.deployer.start(release).await?;
        let agent = OpenAi::new(self.client.clone(), &format!("http://{}/v1", server.address()), "intent")?;
        let manifest = self.registry.manifest(&release.model).await?;
        let subject = Subject::new(&manifest, &self.registry).with_agent(&agent);
        let report = Suite::from_toml(SUITE)?.run(&subject, &Run::new(SEED as u32)).await;
        line(report.to_string());
        ensure!(report.accepted(), "{release} may not take traffic");
        server.stop().await
    }

    async fn serve(&self, release: &Release) -> Result<Traffic> {
        let hands = Actuator {
            router: &self.router,
            deployer: &self.deployer,
            clock: self.world.clock,
            fence: Fence::new(Seq::FIRST),
        };
        let workload = Workload { slot: Slot::Stable, release: release.clone(), share: Weight::FULL };
        hands.ensure(&workload, self.world.clock.now() + Duration::from_secs(10)).await?;
        let (channels, production) = (Channels::new(Arc::clone(&self.world.log)), Channel::production());
        let promoted = channels
            .promote(&release.model, &production, &Expect::Absent, Cause::Promote, self.stamp())
            .await?;
        // It has been in service for long, so the story goes: a person vouches for it.
        channels.settle(&self.name, &production, promoted.seq, self.stamp()).await?;
        let gateway =
            gateway::serve(&self.router, &self.route, self.deployer.clone(), self.client.clone()).await?;
        line(format!("gateway on http://{gateway}, {REQUESTS_PER_SECOND} requests a second"));
        Ok(Traffic::start(&self.client, gateway, messages(DATA, "live")?, REQUESTS_PER_SECOND, SEED))
    }

    /// A canary as the default plan has it, but with seconds for minutes.
    async fn roll_out(&self, stable: &Release, candidate: &Release) -> Result<State> {
        let mut spec = PlanSpec::canary(self.route.clone(), stable.clone(), candidate.clone());
        for step in &mut spec.steps {
            step.soak = Duration::from_millis(1_500);
        }
        spec.timing = Timing {
            bake: Duration::from_secs(3),
            drain: Duration::from_millis(500),
            horizon: Duration::from_secs(30),
            lag: Duration::from_millis(100),
            patience: Duration::from_secs(10),
            verify: Duration::from_secs(1),
            warm_up: Duration::from_millis(500),
            window: Duration::from_millis(500),
        };
        // Nobody is there to decide.
        spec.at_horizon = AtHorizon::Rollback;
        spec.bake_criteria.push(Criterion::at_least(Metric::availability(), Statistic::Share, 0.95));
        let bar = Arc::new(RolloutBar::new(self.world.clock.now()));
        let shown = Arc::clone(&bar);
        let id = format!("rollout-{}", candidate.model.version()).parse()?;
        let (driver, _handle) = Driver::open(self.world.clone(), id, spec.build()?).await?;
        Ok(driver.on_record(move |entry, rollout| shown.show(entry, rollout)).run().await?)
    }

    async fn roll_back(&self, id: &str, target: Target, reason: &str) -> Result<()> {
        let intent = Intent::new(self.route.clone(), self.name.clone(), reason).to(target);
        let (order, choice) = Order::choose(&self.world, intent).await?;
        line(format!("from {} to {}", choice.from, choice.to));
        for (model, why) in choice.passed_over {
            line(format!("  passed over {model}, which {why}"));
        }
        let order = Order { drain: Duration::from_millis(500), patience: Duration::from_secs(10), ..order };
        let bar = Arc::new(RolloutBar::new(self.world.clock.now()));
        let shown = Arc::clone(&bar);
        let rollback = Rollback::open(self.world.clone(), id.parse()?, order).await?;
        let end = rollback.on_record(move |entry, undo| shown.show_undo(entry, undo)).run().await?;
        ensure!(matches!(end, rollback::State::Done { .. }), "the rollback is {end}");
        Ok(())
    }

    async fn sum_up(&self, traffic: &Traffic) -> Result<()> {
        let channels = Channels::new(Arc::clone(&self.world.log));
        for moved in channels.history(&self.name, &Channel::production()).await? {
            line(format!("production -> {}  by {}", moved.to, moved.stamp.by));
        }
        let answers = &traffic.answers;
        let (asked, failed, lost) =
            (answers.asked.load(Relaxed), answers.failed.load(Relaxed), answers.lost.load(Relaxed));
        line(format!(
            "users asked {asked} times; {failed} got an error from the damaged version, {lost} got no answer at all"
        ));
        let journal = RouteJournal::open(Arc::clone(&self.world.log), &self.route).await?;
        let page = self.root.join("report.html");
        std::fs::write(&page, report::html("intent: a quickstart", journal.entries()))?;
        line(format!("report: {}", page.display()));
        ensure!(lost == 0, "{lost} requests were lost on the way");
        Ok(())
    }

    fn stamp(&self) -> Stamp {
        Stamp { by: "quickstart".to_owned(), at: self.world.clock.now() }
    }
}
