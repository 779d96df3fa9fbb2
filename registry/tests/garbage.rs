//! Collecting garbage beside publishers, and finding what is damaged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a seed is printed, and taken to replay it"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use fastrand::Rng;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use tidegate_registry::{
    Channel, Collection, Content, Draft, Error, Expect, FilePath, Filter, Lifecycle, Log as _, LogKey,
    ModelName, ModelRef, ModelStore as _, ModelStoreExt as _, ObjectBacked, Reread, Seq, Stamp,
};

const NOW: Collection = Collection { grace: Duration::ZERO, retention: Duration::ZERO, rehearse: false };

fn name() -> ModelName {
    "m".parse().unwrap()
}

fn model(version: &str) -> ModelRef {
    format!("m@{version}").parse().unwrap()
}

fn stamp() -> Stamp {
    Stamp::now("test")
}

fn path(text: &str) -> FilePath {
    text.parse().unwrap()
}

async fn open(root: &Path) -> ObjectBacked {
    ObjectBacked::directory(root).await.unwrap()
}

async fn publish(registry: &ObjectBacked, version: &str, files: &[(&str, &str)]) -> Result<(), Error> {
    let files = files.iter().map(|(name, bytes)| (path(name), Bytes::from((*bytes).to_owned())));
    registry.publish(Draft::new(model(version), stamp()), Content::bytes(files), &()).await.map(drop)
}

/// Publishes up to the point where the record would be written, and dies.
async fn die(registry: &ObjectBacked, version: &str) {
    let broken = stream::iter([Ok(Bytes::from("half")), Err(lost())]).chain(stream::pending());
    let content = Content::Streams(vec![(path("a"), broken.boxed())]);
    registry.publish(Draft::new(model(version), stamp()), content, &()).await.unwrap_err();
}

fn lost() -> Error {
    Error::Unavailable { store: "source".to_owned(), action: "read", source: "gone".into() }
}

fn objects(root: &TempDir) -> BTreeSet<PathBuf> {
    let folders = ["blobs", "manifests"].map(|folder| root.path().join("models/m").join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn what_no_version_uses_is_removed_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let registry = open(root.path()).await;
    publish(&registry, "1.0.0", &[("a", "one"), ("b", "two")]).await.unwrap();
    publish(&registry, "1.1.0", &[("a", "three")]).await.unwrap();
    let used = objects(&root);
    assert_eq!(used.len(), 5);
    die(&registry, "1.2.0").await;
    // What a killed publisher leaves: blobs of a publication, and a blob and a document of nobody.
    let blobs = root.path().join("models/m/blobs");
    for stray in
        ["01a20521-8cce-7188-a49d-28b5deed68ce.0", "01a20521-8cce-7188-a49d-28b5deed68ce.1", "whatever"]
    {
        fs::write(blobs.join(stray), "garbage").unwrap();
    }
    let document = format!("{}.json", "0".repeat(64));
    fs::write(root.path().join("models/m/manifests").join(document), "{}").unwrap();

    let patient = Collection { grace: Duration::from_secs(3600), ..NOW };
    assert_eq!(registry.collect(&name(), &patient, &stamp()).await.unwrap().objects, 0);
    let rehearsed = registry.collect(&name(), &Collection { rehearse: true, ..NOW }, &stamp()).await.unwrap();
    assert_eq!((rehearsed.objects, objects(&root).len()), (4, 9));
    let collected = registry.collect(&name(), &NOW, &stamp()).await.unwrap();
    assert_eq!((collected.objects, collected.bytes), (4, 3 * 7 + 2));
    assert_eq!(objects(&root), used);
    let end = registry.read(&LogKey::model(&name()), Seq::FIRST).await.unwrap().len();
    assert_eq!(registry.collect(&name(), &NOW, &stamp()).await.unwrap().objects, 0);
    let now = registry.read(&LogKey::model(&name()), Seq::FIRST).await.unwrap().len();
    assert_eq!((end, now), (4, 4), "two versions, condemned, swept; and nothing is said about nothing");
    for version in ["1.0.0", "1.1.0"] {
        registry.verify(&model(version), &()).await.unwrap();
    }
}

/// What a first publication left is of no model that is listed, and is found all the same.
#[tokio::test]
async fn what_is_left_of_a_model_without_versions_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let registry = open(root.path()).await;
    let blobs = root.path().join("models/m/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join("01a20521-8cce-7188-a49d-28b5deed68ce.0"), "garbage").unwrap();
    fs::write(blobs.join("01a20521-8cce-7188-a49d-28b5deed68ce.1#1"), "half").unwrap();
    let listed = async || registry.models().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!((listed().await, registry.traces().await.unwrap()), (vec![], vec![name()]));
    assert_eq!(registry.collect(&name(), &NOW, &stamp()).await.unwrap().objects, 2);
    assert!(objects(&root).is_empty() && listed().await.is_empty());
    publish(&registry, "1.0.0", &[("a", "one")]).await.unwrap();
    assert_eq!(open(root.path()).await.models().try_collect::<Vec<_>>().await.unwrap(), [name()]);
}

/// A refused promotion is found out before anything is sent.
#[tokio::test]
async fn a_publication_that_may_not_promote_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let registry = open(root.path()).await;
    publish(&registry, "1.0.0", &[("a", "one")]).await.unwrap();
    let there = objects(&root);
    let draft =
        Draft::new(model("1.1.0"), stamp()).promoted_to(Channel::production(), Expect::At(model("1.0.0")));
    let broken = stream::iter([Err(lost())]);
    let content = Content::Streams(vec![(path("a"), broken.boxed())]);
    let error = registry.publish(draft, content, &()).await.unwrap_err();
    assert!(matches!(error, Error::ChannelMoved { .. }), "{error}");
    assert_eq!(objects(&root), there);
}

#[tokio::test]
async fn what_deleted_versions_had_is_removed_after_a_while() {
    let root = tempfile::tempdir().unwrap();
    let registry = open(root.path()).await;
    publish(&registry, "1.0.0", &[("a", "one")]).await.unwrap();
    publish(&registry, "1.1.0", &[("a", "two")]).await.unwrap();
    let lifecycle = Lifecycle::new(Arc::new(registry.clone()));
    lifecycle.delete(&model("1.0.0"), "old", stamp()).await.unwrap();
    let patient = Collection { retention: Duration::from_secs(3600), ..NOW };
    assert_eq!(registry.collect(&name(), &patient, &stamp()).await.unwrap().objects, 0);
    assert_eq!(registry.collect(&name(), &NOW, &stamp()).await.unwrap().objects, 2);
    assert_eq!(objects(&root).len(), 2);
    open(root.path()).await.verify(&model("1.1.0"), &()).await.unwrap();
}

/// A registry of before publications were named in keys.
#[tokio::test]
async fn what_format_1_first_wrote_is_used() {
    let root = tempfile::tempdir().unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/registry-v1");
    copy(Path::new(golden), root.path());
    let registry = open(root.path()).await;
    let fraud: ModelName = "fraud-scorer".parse().unwrap();
    let later = Stamp { by: "test".to_owned(), at: UNIX_EPOCH + Duration::from_secs(4_000_000_000) };
    let collected = registry.collect(&fraud, &NOW, &later).await.unwrap();
    assert_eq!(collected.objects, 0);
    for published in registry.list(&fraud, Filter::default()).await.unwrap() {
        registry.verify(&fraud.at(published.version), &()).await.unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Sixteen publishers, of which some are slow, die, delete or publish again, beside a collection without
/// any grace. Whatever was published and not deleted can be read to the last byte at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_version_ever_loses_a_blob() {
    const PUBLISHERS: u64 = 16;
    const ROUNDS: u64 = 12;
    let root = Arc::new(tempfile::tempdir().unwrap());
    let seed = std::env::var("TIDEGATE_SEED").map_or(20_261_124, |seed| seed.parse().unwrap());
    println!("TIDEGATE_SEED={seed}");
    publish(&open(root.path()).await, "0.0.1", &[("shared", "the same everywhere")]).await.unwrap();
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let root = Arc::clone(&root);
        tokio::spawn(async move {
            let registry = open(root.path()).await;
            let lifecycle = Lifecycle::new(Arc::new(registry.clone()));
            let mut rng = Rng::with_seed(seed + publisher);
            let (mut published, mut again) = (0, 0);
            for round in 0..ROUNDS {
                let version = format!("{publisher}.{round}.0");
                let own = rng.u64(0..3).to_string();
                let files = [("shared", "the same everywhere"), ("own", &own), ("mine", &version)];
                if rng.u8(0..4) == 0 {
                    die(&registry, &version).await;
                }
                while let Err(error) = publish(&registry, &version, &files).await {
                    assert!(error.is_transient(), "{error}");
                    again += 1;
                }
                published += 1;
                let kept = registry.verify(&model(&version), &()).await;
                kept.unwrap_or_else(|error| panic!("{version}: {error:?}"));
                if rng.u8(0..3) == 0 {
                    lifecycle.delete(&model(&version), "tried", stamp()).await.unwrap();
                    published -= 1;
                }
            }
            (published, again)
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let registry = open(root.path()).await;
    let (mut collections, mut removed) = (0, 0);
    while !publishers.iter().all(tokio::task::JoinHandle::is_finished) {
        match registry.collect(&name(), &NOW, &stamp()).await {
            Ok(collected) => removed += collected.objects,
            Err(error) => assert!(matches!(error, Error::SeqTaken { .. }), "{error}"),
        }
        collections += 1;
    }
    let (mut published, mut again) = (0, 0);
    for publisher in publishers {
        let (more, repeated) = publisher.await.unwrap();
        published += more;
        again += repeated;
    }
    registry.collect(&name(), &NOW, &stamp()).await.unwrap();
    let inspection = open(root.path()).await.inspect(&name(), Reread::All, &()).await.unwrap();
    println!(
        "{published} versions, {again} published again, {collections} collections removed {removed} objects"
    );
    assert!(inspection.is_sound(), "{inspection:?}");
    assert_eq!((inspection.versions, inspection.unused), (published + 1, 0), "no orphan is left");
    assert!(removed > 0 && collections > 3, "{removed} objects in {collections} collections");
}

/// Another program puts something into the registry, or takes something out of it.
#[tokio::test]
async fn every_damage_is_found_and_named() {
    type Damage = fn(&Path);
    fn first(folder: &Path) -> PathBuf {
        let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found.remove(0)
    }
    let damages: [(&str, &str, Damage); 9] = [
        ("blobs/", "bytes instead of", |model| fs::write(first(&model.join("blobs")), "x").unwrap()),
        ("blobs/", "it is not there", |model| fs::remove_file(first(&model.join("blobs"))).unwrap()),
        ("m@1.", "the SHA-256 of f is", |model| {
            let blob = first(&model.join("blobs"));
            let flipped = fs::read(&blob).unwrap().iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
            fs::write(blob, flipped).unwrap();
        }),
        ("manifests/", "it is not there", |model| fs::remove_file(first(&model.join("manifests"))).unwrap()),
        ("manifests/", "its digest is not", |model| {
            fs::write(first(&model.join("manifests")), "{}").unwrap()
        }),
        ("record 10 of", "`prev`", |model| {
            let record = model.join("log/00000000000000000009.json");
            let text = fs::read_to_string(&record).unwrap().replace("\"test\"", "\"mallory\"");
            fs::write(record, text).unwrap();
        }),
        ("record 9 of", "it is missing", |model| {
            fs::remove_file(model.join("log/00000000000000000009.json")).unwrap()
        }),
        ("record 9 of", "it says that it is record 10", |model| {
            let log = |n: u64| model.join(format!("log/{n:020}.json"));
            fs::rename(log(9), log(99)).unwrap();
            fs::copy(log(10), log(9)).unwrap();
            fs::rename(log(99), log(10)).unwrap();
        }),
        ("snapshots/", "remove it", |model| {
            let snapshot = first(&model.join("snapshots"));
            let bytes = fs::read(&snapshot).unwrap();
            fs::write(snapshot, &bytes[..bytes.len() - 9]).unwrap();
        }),
    ];
    let sound = tempfile::tempdir().unwrap();
    let registry = open(sound.path()).await;
    for n in 0..66 {
        publish(&registry, &format!("1.{n}.0"), &[("f", &format!("content {n}"))]).await.unwrap();
    }
    let inspection = registry.inspect(&name(), Reread::All, &()).await.unwrap();
    assert_eq!((inspection.records, inspection.versions, inspection.read), (66, 66, 66));
    assert!(inspection.is_sound(), "{inspection:?}");
    let some = registry.inspect(&name(), Reread::Sample { versions: 5, seed: 1 }, &()).await.unwrap();
    assert_eq!((some.read, registry.inspect(&name(), Reread::None, &()).await.unwrap().read), (5, 0));

    for (what, why, damage) in damages {
        let root = tempfile::tempdir().unwrap();
        copy(sound.path(), root.path());
        damage(&root.path().join("models/m"));
        let inspection = open(root.path()).await.inspect(&name(), Reread::All, &()).await.unwrap();
        let named =
            |problem: &tidegate_registry::Problem| problem.what.contains(what) && problem.why.contains(why);
        assert!(inspection.problems.iter().any(named), "{what} {why}: {:?}", inspection.problems);
    }
    let nothing = registry.inspect(&"other".parse().unwrap(), Reread::None, &()).await.unwrap_err();
    assert!(matches!(nothing, Error::NotFound { .. }));
}
