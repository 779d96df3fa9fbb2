//! A run of everything that tells something: releases, watches, a rollback, copies, checks, questions to servers.

use std::{
    collections::BTreeMap,
    fmt, fs,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use bytes::Bytes;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use serde_json::json;
use tidegate::{
    canary::{
        self, Answer, Driver, Gate, Gatekeeper, Gatekeepers, Question, State, World,
        notify::{Courier, Notice, Recipient, Undelivered},
    },
    metrics::{
        Metric as Observed, MetricsSource, Prometheus, Scrape, Selector, Window, prometheus::Query,
        scrape::Target,
    },
    registry::{
        self, ByteStream, Card, Cause, Channel, Channels, Content, DURATION_BUCKETS, Draft, Expect, FilePath,
        Filter, InMemory, Log, LogKey, Manifest, ModelName, ModelRef, ModelStore, ModelStoreExt, OpenOptions,
        Progress, Published, Seq, Snapshot, Stamp,
    },
    rollback::{self, Vigilance},
    validation::{
        self, OpenAi, Retry, Run, Subject, Suite,
        checks::{Consistency, Integrity},
    },
};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    recording::{Metric, Recording, Series, Span, metrics, series},
    stage::{BEGIN, Requests, Stage},
    ward::{self, Shown},
};

/// What a run has told.
pub(crate) struct Told {
    pub(crate) spans: BTreeMap<String, Span>,
    pub(crate) metrics: BTreeMap<String, Metric>,
    pub(crate) series: Vec<Series>,
}

/// What one run of everything has told, for all tests the same.
pub(crate) fn everything() -> &'static Told {
    static TOLD: OnceLock<Told> = OnceLock::new();
    TOLD.get_or_init(|| {
        let (recorder, counted) = recorder();
        let recording = Recording::default();
        let subscriber = tracing_subscriber::registry().with(recording.clone());
        tracing::subscriber::with_default(subscriber, || run_counted_by(&recorder));
        let page = counted.render();
        Told { spans: recording.spans(), metrics: metrics(&page), series: series(&page) }
    })
}

pub(crate) fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
        .unwrap()
        .build_recorder();
    let counted = recorder.handle();
    (recorder, counted)
}

/// Runs everything on this thread.
pub(crate) fn run_counted_by(recorder: &PrometheusRecorder) {
    metrics_facade::with_local_recorder(recorder, || {
        rollback::describe_metrics();
        validation::describe_metrics();
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all();
            builder
        };
        runtime().start_paused(true).build().unwrap().block_on(in_memory());
        runtime().build().unwrap().block_on(over_http());
    });
}

async fn in_memory() {
    release_and_way_back().await;
    refused().await;
    gated().await;
    storage().await;
}

/// A release that is promoted, then not seen, then ill: the watch goes back. People are told of it.
async fn release_and_way_back() {
    let (stage, health) = ward::promoted().await;
    health.is(Shown::Nothing);
    let guard = ward::guard(ward::world(&stage, &health), ward::watch(&stage)).await.unwrap();
    let looks = AtomicUsize::new(0);
    let guard = guard.on_look(move |_| match looks.fetch_add(1, Ordering::Relaxed) {
        4 => health.is(Shown::Well),
        8 => health.is(Shown::Ill),
        _ => {}
    });
    let end = guard.run().await.unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");

    let log: Arc<dyn Log> = Arc::new(stage.store.clone());
    let courier = Courier::new(log, stage.plan().route.clone(), "chat", Chat::default(), stage.clock);
    courier.unwrap().starting_at(Seq::FIRST).catch_up().await.unwrap();
}

/// A release that fails more often than what is in service.
async fn refused() {
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 300 }).await;
    let end = stage.run().await.unwrap();
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
}

/// A release that comes to a gate.
async fn gated() {
    let stage = Stage::new(ward::GOOD).await;
    let mut spec = stage.spec();
    spec.steps[0].gates.push(Gate::Check("smoke".to_owned()));
    let gates = Gatekeepers::from([("smoke".to_owned(), Arc::new(Smoke::default()) as Arc<dyn Gatekeeper>)]);
    let world = World { gates, ..stage.world() };
    let (driver, _handle) = Driver::open(world, crate::stage::id(), spec.build().unwrap()).await.unwrap();
    assert_eq!(driver.run().await.unwrap(), State::Promoted);
}

/// Says first that it does not know yet.
#[derive(Debug, Default)]
struct Smoke(AtomicUsize);

#[async_trait]
impl Gatekeeper for Smoke {
    async fn ask(&self, _: &Question) -> Result<Answer, canary::BoxError> {
        Ok(if self.0.fetch_add(1, Ordering::Relaxed) == 0 { Answer::NotYet } else { Answer::Open })
    }
}

/// Is away for the first notice, and does not like the second.
#[derive(Debug, Default)]
struct Chat(AtomicUsize);

#[async_trait]
impl Recipient for Chat {
    async fn deliver(&self, _: &Notice) -> Result<(), Undelivered> {
        let recipient = "chat".to_owned();
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Undelivered::Unavailable { recipient, retry_after: None, source: "away".into() }),
            2 => Err(Undelivered::Rejected { recipient, source: "too long".into() }),
            _ => Ok(()),
        }
    }
}

/// What is done with a registry besides.
async fn storage() {
    let (store, other) = (Broken::default(), InMemory::default());
    let model: ModelRef = "support@1.0.0".parse().unwrap();
    let stamp = || Stamp { by: "ada".to_owned(), at: BEGIN + Duration::from_secs(1_000_000) };
    let content = Content::bytes([("weights.bin".parse().unwrap(), Bytes::from_static(b"weights"))]);
    let draft = Draft::new(model.clone(), stamp()).with_card(Card::default());
    store.publish(draft, content, &()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    store.download(&model, &directory.path().join("support"), &()).await.unwrap();
    assert_eq!(fs::read(directory.path().join("support/weights.bin")).unwrap(), b"weights");
    store.verify(&model, &()).await.unwrap();
    store.copy_to(&other, &model, stamp(), &()).await.unwrap();

    let (name, staging) = (model.name(), "staging".parse::<Channel>().unwrap());
    let channels =
        Channels::new(Arc::new(Raced { inner: other.clone(), model: model.clone(), rivals: 1.into() }));
    channels.promote(&model, &staging, &Expect::Absent, Cause::Promote, stamp()).await.unwrap();
    channels.demote(name, &staging, &Expect::Any, "over", stamp()).await.unwrap();
    // What is not there is an error that is told.
    store.verify(&"support@9.0.0".parse().unwrap(), &()).await.unwrap_err();
}

/// The first stream of each store breaks off in the middle.
#[derive(Clone, Debug, Default)]
struct Broken {
    inner: InMemory,
    opened: Arc<AtomicUsize>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ModelStore for Broken {
    async fn publish(
        &self,
        draft: Draft,
        content: Content,
        progress: &dyn Progress,
    ) -> registry::Result<Manifest> {
        self.inner.publish(draft, content, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> registry::Result<Manifest> {
        self.inner.manifest(model).await
    }

    async fn open(
        &self,
        model: &ModelRef,
        file: &FilePath,
        options: OpenOptions,
    ) -> registry::Result<ByteStream> {
        if self.opened.fetch_add(1, Ordering::Relaxed) == 0 {
            let store = self.to_string();
            return Err(registry::Error::Unavailable { store, action: "open a file", source: "away".into() });
        }
        self.inner.open(model, file, options).await
    }

    fn versions(
        &self,
        name: &ModelName,
        filter: Filter,
    ) -> futures::stream::BoxStream<'_, registry::Result<Published>> {
        self.inner.versions(name, filter)
    }

    fn models(&self) -> futures::stream::BoxStream<'_, registry::Result<ModelName>> {
        self.inner.models()
    }
}

/// Somebody else writes just before the first record.
#[derive(Debug)]
struct Raced {
    inner: InMemory,
    model: ModelRef,
    rivals: AtomicUsize,
}

#[async_trait]
impl Log for Raced {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        if self.rivals.swap(0, Ordering::Relaxed) > 0 {
            let channels = Channels::new(Arc::new(self.inner.clone()));
            let stamp = Stamp { by: "ben".to_owned(), at: BEGIN + Duration::from_secs(1_000_000) };
            let canary = "canary".parse().unwrap();
            channels.promote(&self.model, &canary, &Expect::Absent, Cause::Promote, stamp).await?;
        }
        self.inner.append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        self.inner.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.inner.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.inner.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.inner.keep(key, snapshot).await
    }
}

/// Questions to servers, each of which is away at first.
async fn over_http() {
    let asked = Arc::new(AtomicUsize::new(0));
    let chat = {
        let asked = Arc::clone(&asked);
        async move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => Ok(Json(json!({
                "choices": [{"message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
            }))),
        }
    };
    let queried = Arc::new(AtomicUsize::new(0));
    let query = async move || match queried.fetch_add(1, Ordering::Relaxed) {
        0 => Err(StatusCode::SERVICE_UNAVAILABLE),
        _ => Ok(Json(json!({"status": "success", "data": {"resultType": "matrix", "result": []}}))),
    };
    let site = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/api/v1/query", post(query))
        .route("/metrics", get(async || "# TYPE errors_total counter\nerrors_total 1\n"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, site).await.unwrap() });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    validated(&client, &base).await;

    let selector = || r#"errors_total{slot="{{slot}}"}"#.parse().unwrap();
    let counted = || Query::proportion(selector(), selector());
    let window = Window::ending(BEGIN + Duration::from_secs(1_000_000), Duration::from_secs(60)).unwrap();
    let source = Prometheus::new(client.clone(), &base).unwrap().with_query(Observed::errors(), counted());
    source.observe(&Observed::errors(), &Selector::default().with("slot", "stable"), window).await.unwrap();
    let target = |page| Target::new(&format!("{base}/{page}")).unwrap().with("slot", "stable");
    let targets = ["metrics", "nothing"].map(target);
    let scrape = Scrape::new(client, targets).with_query(Observed::errors(), counted()).unwrap();
    assert_eq!(scrape.scrape(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)).await.len(), 1);
    server.abort();
}

async fn validated(client: &reqwest::Client, base: &str) {
    let store = InMemory::default();
    let content = Content::bytes([("weights.bin".parse().unwrap(), Bytes::from_static(b"weights"))]);
    let draft = Draft::new("support@1.0.0".parse().unwrap(), Stamp { by: "ada".to_owned(), at: BEGIN });
    let manifest = store.publish(draft, content, &()).await.unwrap();
    let retry = Retry { first: Duration::from_millis(1), ..Retry::default() };
    let agent = OpenAi::new(client.clone(), &format!("{base}/v1"), "support").unwrap().retry(retry);
    let suite = Suite::new("before release").with(Integrity::default()).with(Consistency {
        prompts: vec!["What is the capital of France?".to_owned()],
        repeats: 3,
        ..Consistency::default()
    });
    let report = suite.run(&Subject::new(&manifest, &store).with_agent(&agent), &Run::new(7)).await;
    assert_eq!(report.findings.len(), 2, "{report}");
}
