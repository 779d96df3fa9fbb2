//! Two versions of a classifier, one of which begins to answer otherwise while it serves.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use futures::TryStreamExt as _;
use tidegate::{
    canary::{
        Deployer as _, Gatekeepers, InMemoryDeployer, InMemoryRouter, Release, RouteId, Slot, WallClock,
        World, metrics::Criterion,
    },
    registry::{
        Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelRef, ModelStore as _, OpenOptions,
        Stamp,
    },
    rollback::{Guard, Recovery, Vigilance, Watch},
    validation::drift::{DriftGate, Summary},
};

use super::{
    classifier::{Classifier, Training},
    messages::{Message, messages},
    monitor::{Monitor, Served},
};

const DATA: &str = include_str!("../data/messages.tsv");
/// Beside the weights of a version: what it answered when it was made.
const REFERENCE: &str = "answers.summary.json";

/// How often the answers are compared with their reference.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Messages in a window.
const MESSAGES: usize = 240;

/// A registry, a route, and two versions of which the newer is in service.
pub(crate) struct Stage {
    store: InMemory,
    pub(crate) clock: WallClock,
    deployer: InMemoryDeployer,
    monitor: Arc<Monitor>,
    versions: [(Release, Classifier); 2],
    live: Vec<Message>,
}

impl Stage {
    pub(crate) async fn set_up() -> Result<Self> {
        let store = InMemory::default();
        let clock = WallClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000));
        let gate =
            DriftGate { numeric_limit: 0.5, categorical_limit: 0.2, text_limit: 0.3, ..DriftGate::default() };
        let monitor = Arc::new(Monitor::new(gate));
        let [old, new] = [("intent@1.0.0", 1), ("intent@1.1.0", 2)];
        let versions = [publish(&store, clock, old).await?, publish(&store, clock, new).await?];
        let deployer = InMemoryDeployer::serving(versions[1].0.clone());
        let stage = Self { store, clock, deployer, monitor, versions, live: messages(DATA, "live")? };
        let channels = Channels::new(Arc::new(stage.store.clone()));
        for (release, _) in &stage.versions {
            let (model, production) = (&release.model, Channel::production());
            let moved =
                channels.promote(model, &production, &Expect::Any, Cause::Promote, stage.stamp()).await?;
            stage.monitor.expect(&model.version().to_string(), reference(&stage.store, model).await?);
            if model.version().minor == 0 {
                channels.settle(model.name(), &production, moved.seq, stage.stamp()).await?;
            }
        }
        Ok(stage)
    }

    /// Guards what is in service by `criteria` while users ask; after `sound` the newer version's features are cut
    /// short. Says how the watch ended, and when after that.
    pub(crate) async fn watched(
        &self,
        criteria: Vec<Criterion>,
        sound: Duration,
        tell: impl Fn(Duration, &[(String, f64)]) + Send + Sync,
    ) -> Result<(Vigilance, Duration)> {
        let route: RouteId = "support/intent".parse()?;
        let world = World {
            store: Arc::new(self.store.clone()),
            log: Arc::new(self.store.clone()),
            metrics: Arc::clone(&self.monitor) as _,
            router: Arc::new(InMemoryRouter::default()),
            deployer: Arc::new(self.deployer.clone()),
            gates: Gatekeepers::new(),
            clock: self.clock,
        };
        let mut watch = Watch::new(route, self.versions[1].0.clone());
        watch.recovery = Some(Recovery::new(criteria.clone()));
        watch.criteria = criteria;
        watch.window = WINDOW;
        watch.lasts = Duration::from_secs(40 * 60);
        let guard = Guard::open(world, "watch-1".parse()?, watch).await?;
        let begin = self.clock.now();
        let users = self.ask(begin + sound, |at, told| tell(since(begin, at), told));
        tokio::select! {
            end = guard.run() => Ok((end?, since(begin + sound, self.clock.now()))),
            stopped = users => stopped.and_then(|()| anyhow::bail!("users ask for ever")),
        }
    }

    /// The version that production points to.
    pub(crate) async fn production(&self) -> Result<String> {
        let channels = Channels::new(Arc::new(self.store.clone()));
        let moves = channels.history(self.versions[0].0.model.name(), &Channel::production()).await?;
        Ok(moves.last().context("it was promoted")?.to.to_string())
    }

    /// Users ask whatever is in service, a window's messages at a time.
    async fn ask(
        &self,
        cut: SystemTime,
        tell: impl Fn(SystemTime, &[(String, f64)]) + Send + Sync,
    ) -> Result<()> {
        let mut random = Rng::with_seed(7);
        loop {
            tokio::time::sleep(WINDOW / 2).await;
            let now = self.clock.now();
            let status = self.deployer.status(Slot::Stable).await?;
            if let Some(release) = status.ready() {
                let known = self.versions.iter().find(|(known, _)| known == release);
                let (release, classifier) = known.context("nothing else is deployed")?;
                let is_cut = release == &self.versions[1].0 && now > cut;
                for _ in 0..MESSAGES / 2 {
                    let message = random.choice(&self.live).context("there are messages")?;
                    // What the classifier gets to see of it.
                    let seen = if is_cut { first_words(&message.text) } else { message.text.clone() };
                    let served = answered(classifier, message, &seen)?;
                    self.monitor.take(&release.model.version().to_string(), &served)?;
                }
            }
            tell(now, &self.monitor.close(now)?);
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { by: "ada".to_owned(), at: self.clock.now() }
    }
}

fn since(begin: SystemTime, at: SystemTime) -> Duration {
    at.duration_since(begin).unwrap_or_default()
}

/// As a feature service hands it over that is cut short.
fn first_words(text: &str) -> String {
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn answered<'a>(classifier: &'a Classifier, message: &'a Message, seen: &str) -> Result<Served<'a>> {
    let (label, confidence) = classifier.classify(seen).ok().context("the weights are sound")?;
    Ok(Served {
        message: &message.text,
        label,
        confidence: f64::from(confidence),
        right: Some(label == message.label),
    })
}

/// Trains a version, and publishes it with a summary of what it answers.
async fn publish(
    store: &InMemory,
    clock: WallClock,
    (model, seed): (&str, u64),
) -> Result<(Release, Classifier)> {
    let classifier = Classifier::train(&messages(DATA, "train")?, Training { seed, ..Training::FULL });
    let mut answers = Monitor::table();
    for message in &messages(DATA, "test")? {
        answered(&classifier, message, &message.text)?.push(&mut answers);
    }
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    classifier.save(directory)?;
    std::fs::write(directory.join(REFERENCE), serde_json::to_vec(&answers)?)?;
    let draft = Draft::new(model.parse()?, Stamp { by: "ada".to_owned(), at: clock.now() });
    let published = store.publish(draft, Content::directory(directory), &()).await;
    Ok((Release::from(&published?), classifier))
}

/// What a version answered when it was made, from its own files.
async fn reference(store: &InMemory, model: &ModelRef) -> Result<Summary> {
    let bytes = store.open(model, &REFERENCE.parse()?, OpenOptions::default()).await?;
    let bytes: Vec<u8> =
        bytes.try_fold(Vec::new(), async |all, bytes| Ok([all, bytes.to_vec()].concat())).await?;
    Ok(serde_json::from_slice(&bytes)?)
}
