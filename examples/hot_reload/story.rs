//! Promotions under load, and a version that cannot be loaded.
#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use reqwest::Client;
use serde_json::{Value, json};
use tidegate::registry::{
    Cause, Channel, Channels, Content, Draft, Expect, ModelStore as _, ObjectBacked, Poll, Stamp,
    testkit::Flaky,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    follow::Follower,
    serve::{Live, VERSION, site},
    weights::{FILE, Weights},
};

/// As many features as there are weights.
pub(crate) const FEATURES: usize = 256;
const USERS: u64 = 4;

/// A registry, a server that follows it, and users who ask all the while.
pub(crate) struct Stage {
    pub(crate) registry: ObjectBacked,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

/// What users got.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: AtomicU64,
    /// The first answer that was none, or was of two versions.
    pub(crate) wrong: Mutex<Option<String>>,
}

pub(crate) async fn play() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/hot_reload");
    match std::fs::remove_dir_all(&root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("cannot clear target/hot_reload");
        }
        _ => {}
    }
    let mut stage = Stage::set_up(root, 0).await?;
    stage.publish_good(1).await?;
    stage.promote(1).await?;
    stage.until_serving(1).await?;
    println!("{USERS} users ask http://{}/score all the while", stage.address);
    stage.let_users_ask();
    for minor in [2, 3, 4] {
        if minor == 3 {
            stage.publish(minor, "this is no model".into()).await?;
        } else {
            stage.publish_good(minor).await?;
        }
        stage.answers(500).await;
        stage.promote(minor).await?;
        if minor == 3 {
            println!("scorer@1.3.0 is promoted: {}", stage.until_behind().await?);
        } else {
            stage.until_serving(minor).await?;
            println!("scorer@1.{minor}.0 is promoted, and answers");
        }
    }
    stage.answers(500).await;
    let wrong = stage.seen.wrong.lock().expect("no user panics").clone();
    println!("{} answers, each of one version, none lost", stage.seen.answers.load(Relaxed));
    ensure!(wrong.is_none(), "but for {wrong:?}");
    Ok(())
}

impl Stage {
    /// An empty registry, and a server that follows `scorer:production` there; for the server, one in `one_in` calls of
    /// the registry fails, or none.
    pub(crate) async fn set_up(root: PathBuf, one_in: u32) -> Result<Self> {
        let registry = ObjectBacked::directory(root.join("registry")).await?;
        let seen = Arc::new(Flaky::new(registry.clone(), 7, one_in));
        let live = Live::default();
        let follower = Follower {
            store: Arc::clone(&seen) as _,
            log: seen as _,
            delivered: root.join("delivered"),
            name: "scorer".parse()?,
            channel: Channel::production(),
            poll: Poll { every: Duration::from_millis(50), seed: 7 },
            live: live.clone(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(follower.follow());
        tasks.spawn(async move { _ = axum::serve(listener, site(live)).await });
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { registry, address, client, seen: Arc::default(), _tasks: tasks })
    }

    /// All weights of `scorer@1.MINOR.0` are MINOR, so that its every answer is known, and one of two versions would show.
    pub(crate) async fn publish_good(&self, minor: u8) -> Result<()> {
        let weights = Weights::new(vec![f32::from(minor); FEATURES]);
        self.publish(minor, weights.bytes()?.into()).await
    }

    pub(crate) async fn publish(&self, minor: u8, weights: Bytes) -> Result<()> {
        let draft = Draft::new(format!("scorer@1.{minor}.0").parse()?, Stamp::now("hot_reload"));
        self.registry.publish(draft, Content::bytes([(FILE.parse()?, weights)]), &()).await?;
        Ok(())
    }

    pub(crate) async fn promote(&self, minor: u8) -> Result<()> {
        let channels = Channels::new(Arc::new(self.registry.clone()));
        let (model, stamp) = (format!("scorer@1.{minor}.0").parse()?, Stamp::now("hot_reload"));
        channels.promote(&model, &Channel::production(), &Expect::Any, Cause::Promote, stamp).await?;
        Ok(())
    }

    /// From now on users ask until the stage is gone.
    pub(crate) fn let_users_ask(&mut self) {
        for _ in 0..USERS {
            let (client, address, seen) = (self.client.clone(), self.address, Arc::clone(&self.seen));
            self._tasks.spawn(async move {
                let question = json!({ "features": vec![1.0; FEATURES] });
                loop {
                    match ask(&client, address, &question).await {
                        Ok(()) => _ = seen.answers.fetch_add(1, Relaxed),
                        Err(error) => {
                            seen.wrong
                                .lock()
                                .expect("no user panics")
                                .get_or_insert_with(|| format!("{error:#}"));
                        }
                    }
                }
            });
        }
    }

    /// Returns once users have got so many more answers.
    pub(crate) async fn answers(&self, more: u64) {
        let until = self.seen.answers.load(Relaxed) + more;
        while self.seen.answers.load(Relaxed) < until && self.seen.wrong.lock().expect("no panic").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_serving(&self, minor: u8) -> Result<()> {
        let model = format!("scorer@1.{minor}.0");
        self.until(|health| health["serving"] == model && health["behind"].is_null()).await.map(drop)
    }

    /// Why it is not what the channel says, once it is so.
    pub(crate) async fn until_behind(&self) -> Result<String> {
        let health = self.until(|health| health["behind"].is_string()).await?;
        Ok(format!("{} goes on, since {}", health["serving"], health["behind"]))
    }

    async fn until(&self, there: impl Fn(&Value) -> bool + Send + Sync) -> Result<Value> {
        for _ in 0..2_000 {
            let health = self.client.get(format!("http://{}/healthz", self.address)).send().await?;
            let health: Value = health.json().await?;
            if there(&health) {
                return Ok(health);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("it never came there")
    }
}

/// Asks once, and compares the answer with what the version that it names has to say.
async fn ask(client: &Client, address: SocketAddr, question: &Value) -> Result<()> {
    let answer = client.post(format!("http://{address}/score")).json(question).send().await?;
    let answer = answer.error_for_status()?;
    let version = answer.headers().get(VERSION).context("no version")?.to_str()?.to_owned();
    let minor: f64 = version.split('.').nth(1).context("no minor")?.parse()?;
    let score = answer.json::<Value>().await?["score"].as_f64();
    ensure!(score == Some(minor * FEATURES as f64), "{version} answered {score:?}");
    Ok(())
}
