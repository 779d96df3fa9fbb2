//! Against a real registry.

use std::{future::pending, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tidegate_registry::{
    Card, Content, Digest, Error, Filter, InMemory, Log, LogKey, ModelStore, ModelStoreExt as _, OciAuth,
    OciBacked, OpenOptions, Result, Seq, Snapshot, Stamp, testkit::model_store_conformance,
};
use tokio::sync::Notify;

use super::{
    chain, client, content, draft, model, noise, paired,
    plain::Plain,
    publish,
    server::{Server, proxy},
    store,
};

/// A factory of stores in one registry, which lives as long as the factory.
macro_rules! registry {
    () => {{
        let server = Server::start();
        async move || store(&format!("{}/team/models", server.address))
    }};
}

model_store_conformance!(
    #[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
    conformance,
    registry!()
);

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn another_client_pulls_what_was_published() {
    let server = Server::start();
    let store = store(&format!("{}/team", server.address));
    let files = [
        ("README.md", Bytes::from("# a model")),
        ("config.json", Bytes::from("{}")),
        ("empty", Bytes::new()),
        ("model.safetensors", noise(1, (20 << 20) + 7)),
        ("ü #1%20~+.txt", Bytes::from("odd")),
    ];
    let card = Card { description: "scores".to_owned(), ..Card::default() };
    let draft = draft("m@2.0.0-rc.1+build.5").with_card(card);
    let manifest = store.publish(draft, content(&files), &()).await.unwrap();

    let plain = Plain::new(&server.address, "team/m");
    let pulled = plain.manifest("2.0.0-rc.1_build.5").await.unwrap();
    let image: Value = serde_json::from_slice(&pulled).unwrap();
    assert_eq!(image["artifactType"], "application/vnd.cncf.model.manifest.v1+json");
    assert_eq!(image["config"]["mediaType"], "application/vnd.cncf.model.config.v1+json");
    let layers = image["layers"].as_array().unwrap();
    assert_eq!(layers.len(), files.len() + 1, "the files, and tidegate's manifest");
    for (layer, (path, bytes)) in std::iter::zip(layers, &files) {
        assert_eq!(layer["annotations"]["org.cncf.model.filepath"], *path);
        assert_eq!(layer["annotations"]["org.opencontainers.image.title"], *path, "for ORAS");
        let digest = layer["digest"].as_str().unwrap();
        assert_eq!(digest, Digest::of(bytes).to_string());
        assert_eq!(digest, manifest.file(&path.parse().unwrap()).unwrap().digest.to_string());
        assert_eq!(plain.blob(digest).await, *bytes, "{path}");
    }
    let kind = |at: usize| layers[at]["mediaType"].as_str().unwrap();
    assert_eq!(kind(0), "application/vnd.cncf.model.doc.v1.raw");
    assert_eq!(kind(1), "application/vnd.cncf.model.weight.config.v1.raw");
    assert_eq!(kind(3), "application/vnd.cncf.model.weight.v1.raw");
    let config = plain.blob(image["config"]["digest"].as_str().unwrap()).await;
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["descriptor"]["description"], "scores");
    assert_eq!(config["descriptor"]["version"], "2.0.0-rc.1+build.5");
    assert_eq!(config["modelfs"]["diffIds"].as_array().unwrap().len(), layers.len());
}

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn what_another_tool_pushed_is_read_and_published() {
    let server = Server::start();
    let store = store(&server.address);
    let plain = Plain::new(&server.address, "m");
    let weights = noise(2, 1 << 20);
    let raw = "application/vnd.cncf.model.weight.v1.raw";
    let layers = vec![
        plain.push(raw, "weights.bin", weights.clone()).await,
        plain.push("application/vnd.cncf.model.doc.v1.raw", "docs/a.md", "hello".into()).await,
    ];
    let theirs = plain.artifact("v3", layers.clone()).await;
    let artifact = store.artifact(&"m".parse().unwrap(), "v3").await.unwrap();
    assert_eq!(*artifact.digest(), Digest::of(theirs.to_string()));
    assert_eq!(artifact.card().description, "theirs");
    let files: Vec<_> =
        artifact.files().map(|(path, size, digest)| (path.to_string(), size, *digest)).collect();
    assert_eq!(files[1], ("weights.bin".to_owned(), 1 << 20, Digest::of(&weights)));

    for target in [&InMemory::new() as &dyn ModelStore, &store] {
        let draft = draft("m@3.0.0").with_card(artifact.card().clone());
        let manifest = target.publish(draft, artifact.content(), &()).await.unwrap();
        assert_eq!(target.verify(&model("m@3.0.0"), &()).await.unwrap(), manifest);
        assert_eq!(manifest.files[1].digest, Digest::of(&weights));
    }
    // What tidegate made is read in the same way, with its card and without its own layer.
    let ours = store.artifact(&"m".parse().unwrap(), "3.0.0").await.unwrap();
    assert_eq!(ours.files().len(), 2);
    assert_eq!(ours.card().description, "theirs");

    // A version whose tag somebody else has is not published over it.
    plain.tag("4.0.0", theirs.to_string()).await;
    let error = publish(&store, "m@4.0.0", &[("f", "x".into())]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("4.0.0"), "{error}");

    // Layers that lie about their size.
    for size in [weights.len() + 1, weights.len() - 1] {
        let mut layers = layers.clone();
        layers[0]["size"] = size.into();
        plain.artifact("lies", layers).await;
        let artifact = store.artifact(&"m".parse().unwrap(), "lies").await.unwrap();
        let memory = InMemory::new();
        let error = memory.publish(draft("m@5.0.0"), artifact.content(), &()).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(memory.list(&"m".parse().unwrap(), Filter::default()).await.is_err());
    }
    let tar = plain.push("application/vnd.cncf.model.weight.v1.tar", "w", "tar".into()).await;
    plain.artifact("tar", vec![tar]).await;
    let error = store.artifact(&"m".parse().unwrap(), "tar").await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains("raw"), "{error}");
    let error = store.artifact(&"m".parse().unwrap(), "none").await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

/// A log whose record is never written: its publisher is stopped there.
#[derive(Debug, Default)]
struct Stopped(InMemory, Notify);

#[async_trait]
impl Log for Stopped {
    async fn append(&self, _: &LogKey, _: Seq, _: Bytes) -> Result<()> {
        self.1.notify_one();
        pending().await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        self.0.read(key, from).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        self.0.record(key, seq).await
    }

    async fn snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>> {
        self.0.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> Result<()> {
        self.0.keep(key, snapshot).await
    }
}

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn a_publisher_that_dies_leaves_nothing_to_see() {
    let server = Server::start();
    let plain = Plain::new(&server.address, "m");
    let log = Arc::new(InMemory::new());
    let alive = paired(&server.address, Arc::<InMemory>::clone(&log));
    let unseen = async || {
        assert!(matches!(alive.manifest(&model("m@1.0.0")).await, Err(Error::NotFound { .. })));
        assert!(alive.models().try_collect::<Vec<_>>().await.unwrap().is_empty());
        assert_eq!(plain.manifest("1.0.0").await, None);
    };

    // Between the blobs and the artifact: the second file never comes to its end.
    let reached = Arc::new(Notify::new());
    let reach = Arc::clone(&reached);
    let endless = stream::once(async move {
        reach.notify_one();
        pending::<Result<Bytes>>().await
    });
    let whole = stream::iter([Ok(noise(3, 9 << 20))]).boxed();
    let files =
        Content::Streams(vec![("a".parse().unwrap(), whole), ("b".parse().unwrap(), endless.boxed())]);
    let sent = Notify::new();
    let progress = |event: tidegate_registry::Transfer<'_>| {
        if matches!(event, tidegate_registry::Transfer::File(_)) {
            sent.notify_one();
        }
    };
    tokio::select! {
        done = alive.publish(draft("m@1.0.0"), files, &progress) => panic!("{done:?}"),
        _ = async { reached.notified().await; sent.notified().await } => {}
    }
    assert_eq!(plain.blob(&Digest::of(noise(3, 9 << 20)).to_string()).await.len(), 9 << 20);
    unseen().await;

    // Between the artifact and the record.
    let stopped = Arc::new(Stopped::default());
    let dying = paired(&server.address, Arc::<Stopped>::clone(&stopped));
    let files = [("a", "one".into())];
    tokio::select! {
        done = publish(&dying, "m@1.0.0", &files) => panic!("{done:?}"),
        () = stopped.1.notified() => {}
    }
    unseen().await;

    publish(&alive, "m@1.0.0", &[("a", "another".into())]).await.unwrap();
    alive.verify(&model("m@1.0.0"), &()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn credentials_are_needed_and_not_shown() {
    let server = Server::locked();
    let log = Arc::new(InMemory::new());
    let with = |auth| OciBacked::new(client(), auth, &server.address, Arc::<InMemory>::clone(&log)).unwrap();
    let basic = |password: &str| OciAuth::Basic { user: "user".to_owned(), password: password.to_owned() };
    let right = with(basic("correct horse"));
    publish(&right, "m@1.0.0", &[("f", noise(4, 9 << 20))]).await.unwrap();
    right.verify(&model("m@1.0.0"), &()).await.unwrap();
    assert_eq!(right.models().try_collect::<Vec<_>>().await.unwrap().len(), 1);
    for wrong in [basic("hunter2"), OciAuth::Bearer("hunter2".to_owned()), OciAuth::Anonymous] {
        let wrong = with(wrong);
        let errors = [
            publish(&wrong, "m@2.0.0", &[("f", "x".into())]).await.unwrap_err(),
            wrong.manifest(&model("m@1.0.0")).await.unwrap_err(),
            wrong.models().try_collect::<Vec<_>>().await.unwrap_err(),
            wrong.artifact(&"m".parse().unwrap(), "1.0.0").await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert!(chain(&error).contains("401"), "{}", chain(&error));
            assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
        }
        assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    }
}

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn wrong_bytes_are_not_delivered() {
    let server = Server::start();
    let log = Arc::new(InMemory::new());
    let honest = paired(&server.address, Arc::<InMemory>::clone(&log));
    let weights = noise(5, 3 << 20);
    publish(&honest, "m@1.0.0", &[("weights", weights.clone())]).await.unwrap();
    let flip = |bytes: Bytes| match bytes.len() {
        // Only the weights: the manifest is verified before anything is asked for.
        0..1_000_000 => bytes,
        _ => {
            let mut bytes = bytes.to_vec();
            bytes[1_000_000] ^= 1;
            bytes.into()
        }
    };
    let cut = |bytes: Bytes| if bytes.len() < 1_000_000 { bytes } else { bytes.slice(..1_000_000) };
    let garble = |bytes: Bytes| Bytes::from(vec![b'{'; bytes.len()]);
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("m");

    let (address, _) = proxy(&server.address, flip).await;
    let lying = paired(&address, Arc::<InMemory>::clone(&log));
    let error = lying.download(&model("m@1.0.0"), &target, &()).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    let error = lying.verify(&model("m@1.0.0"), &()).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    let elsewhere = InMemory::new();
    let copied = lying.copy_to(&elsewhere, &model("m@1.0.0"), Stamp::now("test"), &()).await;
    assert!(matches!(copied, Err(Error::DigestMismatch { .. })), "{copied:?}");
    assert!(elsewhere.list(&"m".parse().unwrap(), Filter::default()).await.is_err());

    let (address, _) = proxy(&server.address, cut).await;
    let short = paired(&address, Arc::<InMemory>::clone(&log));
    let error = short.download(&model("m@1.0.0"), &target, &()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");

    let (address, _) = proxy(&server.address, garble).await;
    let error = paired(&address, log).manifest(&model("m@1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(!target.exists());
    honest.download(&model("m@1.0.0"), &target, &()).await.unwrap();
    assert_eq!(std::fs::read(target.join("weights")).unwrap(), weights);
}

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn tags_move_and_versions_do_not() {
    let server = Server::start();
    let log = Arc::new(InMemory::new());
    let fresh = || paired(&server.address, Arc::<InMemory>::clone(&log));
    publish(&fresh(), "m@1.0.0", &[("f", "one".into())]).await.unwrap();
    publish(&fresh(), "m@2.0.0", &[("f", "two".into())]).await.unwrap();
    let plain = Plain::new(&server.address, "m");
    let (one, two) = (plain.manifest("1.0.0").await.unwrap(), plain.manifest("2.0.0").await.unwrap());
    plain.tag("1.0.0", two).await;
    let read = async |store: OciBacked| {
        let file = "f".parse().unwrap();
        let bytes = store.open(&model("m@1.0.0"), &file, OpenOptions::default()).await?;
        bytes.try_collect::<Vec<_>>().await.map(|chunks| chunks.concat())
    };
    assert_eq!(read(fresh()).await.unwrap(), b"one");
    publish(&fresh(), "m@1.0.0", &[("f", "one".into())]).await.unwrap();
    assert_eq!(plain.manifest("1.0.0").await.unwrap(), one, "the tag is back");

    // The registry deletes what it likes.
    let url = format!("{}/manifests/{}", plain.0, Digest::of(&one));
    client().delete(url).send().await.unwrap().error_for_status().unwrap();
    let error = read(fresh()).await.unwrap_err();
    assert!(matches!(&error, Error::Corrupt { .. }) && chain(&error).contains("garbage"), "{error}");
    let url = format!("{}/blobs/{}", plain.0, Digest::of("two"));
    client().delete(url).send().await.unwrap().error_for_status().unwrap();
    let error = fresh().verify(&model("m@2.0.0"), &()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
#[ignore = "needs docker-registry (Debian; the binary on the PATH or in DOCKER_REGISTRY_BIN)"]
async fn a_push_sends_what_is_missing_and_a_pull_brings_it_back() {
    let server = Server::start();
    let (address, seen) = proxy(&server.address, |bytes| bytes).await;
    let registry = store(&address);
    let directory = tempfile::tempdir().unwrap();
    let local = tidegate_registry::ObjectBacked::directory(directory.path().join("registry")).await.unwrap();
    let base = noise(6, (17 << 20) + 1);
    let card = Card { tags: ["fraud".to_owned()].into(), ..Card::default() };
    for (version, small) in [("m@1.0.0", "one"), ("m@1.1.0", "two")] {
        let files = content(&[("base", base.clone()), ("small", small.into())]);
        local.publish(draft(version).with_card(card.clone()), files, &()).await.unwrap();
    }
    let chunks = || seen.lock().unwrap().iter().filter(|seen| seen.starts_with("PATCH")).count();
    let by = || Stamp::now("copier");
    let first = registry.push(&local, &model("m@1.0.0"), by(), &()).await.unwrap();
    assert_eq!(chunks(), 3, "17 MiB and a byte in chunks of 8 MiB");
    let second = registry.push(&local, &model("m@1.1.0"), by(), &()).await.unwrap();
    assert_eq!(chunks(), 3, "the registry has the large file");
    assert_eq!((&second.card, second.created.by.as_str()), (&card, "copier"));
    assert_eq!(first.files[0], second.files[0]);
    assert_eq!(registry.push(&local, &model("m@1.0.0"), by(), &()).await.unwrap(), first, "idempotent");

    let back = InMemory::new();
    for version in ["m@1.0.0", "m@1.1.0"] {
        let copied = registry.copy_to(&back, &model(version), by(), &()).await.unwrap();
        assert_eq!(copied.digest, local.manifest(&model(version)).await.unwrap().digest);
        back.verify(&model(version), &()).await.unwrap();
    }
    publish(&back, "m@1.2.0", &[("base", "other".into())]).await.unwrap();
    let other = InMemory::new();
    publish(&other, "m@1.2.0", &[("base", "different".into())]).await.unwrap();
    back.copy_to(&registry, &model("m@1.2.0"), by(), &()).await.unwrap();
    let error = registry.push(&other, &model("m@1.2.0"), by(), &()).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyPublished { .. }), "{error}");
}
