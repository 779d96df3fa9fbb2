//! A gateway of one's own that gets canaries: the tower layer of the embedded router around one of its routes.
//!
//! `cargo run --example embed_in_gateway` takes seconds, and prints what users see while a rollout is driven beside them.
//!
//! The gateway has routes of its own, which the layer does not touch. Users are told apart by a header and stay on their
//! side. What the layer sees is what the rollout is judged by: there is no source of metrics beside it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use reqwest::Client;
use serde_json::{Value, json};
use tidegate::{
    canary::{
        Deployer as _, Driver, EmbeddedRouter, Gatekeepers, InMemoryDeployer, Key, PlanSpec, Release,
        Require, RouteId, Slot, State as Place, Step, Timing, WallClock, Weight, World,
    },
    registry::{
        Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelRef, ModelStore as _, Stamp,
    },
};
use tokio::{net::TcpListener, task::JoinSet};

const USER: HeaderName = HeaderName::from_static("x-user");
const USERS: usize = 200;
const TASKS: usize = 8;
const SEED: u64 = 2026;

/// What the gateway knows: which server has which version, and which version is in which slot.
#[derive(Clone)]
struct Gateway {
    upstreams: Arc<BTreeMap<ModelRef, SocketAddr>>,
    slots: InMemoryDeployer,
    client: Client,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what happens")]
async fn main() -> Result<()> {
    let registry = InMemory::new();
    let (stable, candidate) = (publish(&registry, "1.0.0").await?, publish(&registry, "1.1.0").await?);
    let channels = Channels::new(Arc::new(registry.clone()));
    let now = Stamp::now("example");
    channels.promote(&stable.model, &Channel::production(), &Expect::Absent, Cause::Promote, now).await?;

    let clock = WallClock::system();
    let router = EmbeddedRouter::new(clock, SEED);
    let route: RouteId = "gateway/answer".parse()?;
    let mut upstreams = BTreeMap::new();
    for release in [&stable, &candidate] {
        upstreams.insert(release.model.clone(), upstream(&release.model).await?);
    }
    // Both servers run; a deployer of yours starts and stops them (`LocalProcesses`, `kubernetes`).
    let slots = InMemoryDeployer::serving(stable.clone());
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let gateway = Gateway { upstreams: Arc::new(upstreams), slots: slots.clone(), client: client.clone() };
    let site = Router::new()
        .route("/answer", post(forward))
        // Around what was added before it, and around nothing else: this is all that a gateway needs.
        .route_layer(router.layer(&route))
        .route("/healthz", get(async || "ok"))
        .with_state(gateway);
    let address = serve(site).await?;
    println!("{USERS} users ask http://{address}/answer");

    let users = Users::default();
    let mut asking = JoinSet::new();
    for first in 0..TASKS {
        asking.spawn(users.clone().ask(client.clone(), address, first));
    }

    let world = World {
        store: Arc::new(registry.clone()),
        log: Arc::new(registry),
        metrics: Arc::new(router.clone()),
        router: Arc::new(router),
        deployer: Arc::new(slots),
        gates: Gatekeepers::new(),
        clock,
    };
    let (driver, _handle) = Driver::open(world, "example".parse()?, plan(route, stable, candidate)?).await?;
    let (seen, last) = (users.clone(), Mutex::new(String::new()));
    let driver = driver.on_record(move |_, rollout| {
        let said = rollout.state().to_string();
        let mut last = last.lock().expect("nothing panics here");
        if *last != said {
            println!("{said}; {}", seen.answers());
            if matches!(rollout.state(), Place::Renew { .. }) {
                rollout.judgements().iter().for_each(|judgement| println!("    because {judgement}"));
            }
            *last = said;
        }
    });
    let end = driver.run().await?;
    let health = client.get(format!("http://{address}/healthz")).send().await?.status();
    asking.shutdown().await;

    println!("{}; the gateway's own route says {health}", users.answers());
    ensure!(end == Place::Promoted, "it was expected to be promoted, but is {end}");
    users.check()
}

/// To one user in five, to three, to all; with seconds for minutes.
fn plan(route: RouteId, stable: Release, candidate: Release) -> Result<tidegate::canary::Plan> {
    let mut spec = PlanSpec::canary(route, stable, candidate);
    // Whoever has come to the candidate stays there, as its share grows.
    spec.sticky = Some(Key::Header(USER.to_string()));
    let step = |percent, require| {
        let weight = Weight::percent(percent).context("a share is at most 100 %")?;
        Ok(Step { weight, soak: Duration::from_millis(900), min_trials: 100, require, ..Step::default() })
    };
    let steps = [(20, Require::NoFailure), (60, Require::Pass), (100, Require::NoFailure)];
    spec.steps = steps.into_iter().map(|(percent, require)| step(percent, require)).collect::<Result<_>>()?;
    spec.timing = Timing {
        bake: Duration::from_secs(1),
        drain: Duration::from_millis(200),
        horizon: Duration::from_secs(20),
        verify: Duration::from_secs(1),
        window: Duration::from_millis(300),
        ..Timing::default()
    };
    Ok(spec.build()?)
}

/// Sends a request to the server of the slot that the layer chose for it, and the answer back.
async fn forward(State(gateway): State<Gateway>, Extension(slot): Extension<Slot>, body: String) -> Response {
    let running = gateway.slots.status(slot).await.ok();
    let release = running.as_ref().and_then(|running| running.ready());
    let Some(address) = release.and_then(|release| gateway.upstreams.get(&release.model)) else {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("nothing runs in the {slot} slot")).into_response();
    };
    let answer = async {
        let answer = gateway.client.post(format!("http://{address}/answer")).body(body).send().await?;
        answer.error_for_status()?.json::<Value>().await
    };
    match answer.await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// A server with a version, which says so.
async fn upstream(model: &ModelRef) -> Result<SocketAddr> {
    let version = model.version().to_string();
    let answer = post(async move |question: String| Json(json!({ "version": version, "of": question })));
    serve(Router::new().route("/answer", answer)).await
}

async fn serve(site: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, site).into_future());
    Ok(address)
}

async fn publish(registry: &InMemory, version: &str) -> Result<Release> {
    let draft = Draft::new(format!("answerer@{version}").parse()?, Stamp::now("example"));
    let files = Content::bytes([("weights.bin".parse()?, version.to_owned().into())]);
    Ok(Release::from(&registry.publish(draft, files, &()).await?))
}

/// What each user was answered by.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    answers: BTreeMap<String, u64>,
    /// The versions that a user has seen, each once as long as it did not change.
    of: BTreeMap<usize, Vec<String>>,
    lost: Option<String>,
}

impl Users {
    /// Asks as one user after the other, again and again.
    async fn ask(self, client: Client, address: SocketAddr, first: usize) {
        // Each user is asked for by one task, so that what they see has an order.
        for user in (first..USERS).step_by(TASKS).cycle() {
            let request = client.post(format!("http://{address}/answer")).header(USER, user.to_string());
            let answer =
                async { request.body("why?").send().await?.error_for_status()?.json::<Value>().await };
            let answer = answer.await;
            let mut seen = self.0.lock().expect("no user panics");
            match answer {
                Ok(answer) => {
                    let version = answer["version"].as_str().unwrap_or("none").to_owned();
                    *seen.answers.entry(version.clone()).or_default() += 1;
                    let of_user = seen.of.entry(user).or_default();
                    if of_user.last() != Some(&version) {
                        of_user.push(version);
                    }
                }
                Err(error) => seen.lost = Some(error.to_string()),
            }
        }
    }

    fn answers(&self) -> String {
        format!("answers by version so far: {:?}", self.0.lock().expect("no user panics").answers)
    }

    /// Nobody was lost, and nobody was sent to and fro.
    fn check(&self) -> Result<()> {
        let seen = self.0.lock().expect("no user panics");
        ensure!(seen.lost.is_none(), "a request was lost: {:?}", seen.lost);
        let fickle = seen.of.values().filter(|versions| versions.len() > 2).count();
        ensure!(fickle == 0, "{fickle} users were sent to and fro");
        Ok(())
    }
}
