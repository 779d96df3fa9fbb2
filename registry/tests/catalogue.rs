//! Long logs: how many requests they take to read, and that snapshots change nothing but that.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counting;

use std::{fs, sync::Arc};

use bytes::Bytes;
use counting::Counting;
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory as Bucket, path::Path};
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Error, Expect, Filter, InMemory, Lifecycle, Log, ModelName,
    ModelStore, ModelStoreExt as _, ObjectBacked, Stamp,
};

fn name() -> ModelName {
    "m".parse().unwrap()
}

fn stamp() -> Stamp {
    Stamp::now("test")
}

async fn publish(store: &impl ModelStore, version: &str) {
    let content = Content::bytes([("f".parse().unwrap(), Bytes::from(version.to_owned()))]);
    let draft = Draft::new(format!("m@{version}").parse().unwrap(), stamp());
    store.publish(draft, content, &()).await.unwrap();
}

async fn latest(store: &impl ModelStore) -> String {
    let log: Arc<dyn Log> = Arc::new(InMemory::new());
    store.resolve(&"m@latest".parse().unwrap(), &Channels::new(log)).await.unwrap().version().to_string()
}

/// A bucket with 150 versions published in another order than that of their precedence.
async fn filled() -> Arc<dyn ObjectStore> {
    let bucket: Arc<dyn ObjectStore> = Arc::new(Bucket::new());
    let registry = ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
    for n in 0..150_u32 {
        publish(&registry, &format!("1.{}.0", n * 59 % 150)).await;
    }
    bucket
}

#[tokio::test]
async fn a_long_log_is_read_from_its_snapshot() {
    let bucket = filled().await;
    let counting = Counting::new(bucket);
    let registry = ObjectBacked::open(Arc::new(counting.clone())).await.unwrap();
    counting.reset();
    assert_eq!(latest(&registry).await, "1.149.0");
    // The last snapshot is of record 128: the hint, the snapshot, 22 records and the end.
    let cold = counting.reset();
    assert!(cold <= 4 + 22, "{cold}");
    assert_eq!(latest(&registry).await, "1.149.0");
    assert_eq!(counting.reset(), 1, "asked again, only the end of the log is looked at");
    let all = registry.list(&name(), Filter::default()).await.unwrap();
    assert_eq!(counting.reset(), 1);
    let minors: Vec<u64> = all.iter().map(|published| published.version.minor).collect();
    assert_eq!(minors, (0..150).rev().collect::<Vec<_>>());
    assert_eq!(all[0].stamp.by, "test");
}

#[tokio::test]
async fn a_short_log_takes_few_requests() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(Bucket::new());
    let registry = ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
    for n in 1..=20 {
        publish(&registry, &format!("1.{n}.0")).await;
        let counting = Counting::new(Arc::clone(&bucket));
        let other = ObjectBacked::open(Arc::new(counting.clone())).await.unwrap();
        counting.reset();
        assert_eq!(latest(&other).await, format!("1.{n}.0"));
        let cold = counting.reset();
        assert!(cold <= 4 + n, "{cold} requests for {n} records");
    }
}

#[tokio::test]
async fn a_registry_without_snapshots_or_with_damaged_ones_says_the_same() {
    let bucket = filled().await;
    let expected: Vec<_> = versions(&bucket).await;
    let paths: Vec<Path> = bucket
        .list(Some(&"models/m".into()))
        .map_ok(|found| found.location)
        .try_filter(|path| {
            std::future::ready(path.as_ref().contains("snapshots") || path.as_ref().ends_with("hint.json"))
        })
        .try_collect()
        .await
        .unwrap();
    assert_eq!(paths.len(), 3, "a hint and two snapshots: {paths:?}");
    for path in &paths {
        let good = bucket.get(path).await.unwrap().bytes().await.unwrap();
        let mut flipped = good.to_vec();
        if let Some(last) = flipped.iter_mut().nth_back(20) {
            *last ^= 1;
        }
        let long = Bytes::from(vec![b' '; 5000]);
        for bad in [Bytes::from("rubbish"), good.slice(..good.len() / 2), Bytes::new(), flipped.into(), long]
        {
            bucket.put(path, bad.into()).await.unwrap();
            assert_eq!(versions(&bucket).await, expected, "{path}");
        }
        bucket.delete(path).await.unwrap();
        assert_eq!(versions(&bucket).await, expected, "without {path}");
        bucket.put(path, good.into()).await.unwrap();
    }
    for path in &paths {
        bucket.delete(path).await.unwrap();
    }
    assert_eq!(versions(&bucket).await, expected);
}

async fn versions(bucket: &Arc<dyn ObjectStore>) -> Vec<String> {
    let registry = ObjectBacked::open(Arc::clone(bucket)).await.unwrap();
    let all = registry.list(&name(), Filter::default()).await.unwrap();
    all.iter().map(|published| published.version.to_string()).collect()
}

/// A snapshot of another history does not fit the records behind it.
#[tokio::test]
async fn a_snapshot_that_lies_is_found_out_by_the_next_record() {
    let (ours, theirs) = (filled().await, filled().await);
    let path = Path::from("models/m/snapshots/00000000000000000128.jsonl.gz");
    let lie = theirs.get(&path).await.unwrap().bytes().await.unwrap();
    ours.put(&path, lie.into()).await.unwrap();
    let registry = ObjectBacked::open(ours).await.unwrap();
    let error = registry.list(&name(), Filter::default()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn only_the_last_snapshots_are_kept() {
    let bucket = filled().await;
    let registry = ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
    let channels = Channels::new(Arc::new(registry));
    for n in 0..300 {
        let model = format!("m@1.{}.0", n % 2).parse().unwrap();
        channels
            .promote(&model, &Channel::production(), &Expect::Any, Cause::Promote, stamp())
            .await
            .unwrap();
    }
    let snapshots: Vec<_> = bucket.list(Some(&"models/m/snapshots".into())).try_collect().await.unwrap();
    assert_eq!(snapshots.len(), 3, "{snapshots:?}");
    assert_eq!(channels.history(&name(), &Channel::production()).await.unwrap().len(), 300);
    let registry = ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
    let again = Channels::new(Arc::new(registry));
    assert_eq!(
        again.history(&name(), &Channel::production()).await.unwrap(),
        channels.history(&name(), &Channel::production()).await.unwrap()
    );
}

/// What is said about versions in a snapshot, and about those behind it, is found alike.
#[tokio::test]
async fn what_is_taken_back_stays_so_across_snapshots() {
    let root = tempfile::tempdir().unwrap();
    let open = async || Arc::new(ObjectBacked::directory(root.path()).await.unwrap());
    let registry = open().await;
    for n in 0..70 {
        publish(&*registry, &format!("1.{n}.0")).await;
    }
    let lifecycle = Lifecycle::new(registry);
    lifecycle.yank(&"m@1.69.0".parse().unwrap(), "it is slow", stamp()).await.unwrap();
    lifecycle.quarantine(&"m@1.68.0".parse().unwrap(), "it is unsafe", stamp()).await.unwrap();
    lifecycle.delete(&"m@1.67.0".parse().unwrap(), "by mistake", stamp()).await.unwrap();
    for round in 0..2 {
        let registry = open().await;
        assert_eq!(latest(&*registry).await, "1.66.0", "round {round}");
        let all = registry.list(&name(), Filter::default()).await.unwrap();
        assert_eq!(all.len(), 69);
        assert_eq!(all[0].yanked.as_ref().unwrap().reason, "it is slow");
        assert_eq!(all[1].quarantined.as_ref().unwrap().reason, "it is unsafe");
        let error = registry.manifest(&"m@1.67.0".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("by mistake"), "{error}");
        for n in 0..64 {
            let channel: Channel = format!("c{n}").parse().unwrap();
            let channels = Channels::new(Arc::<ObjectBacked>::clone(&registry));
            let to = "m@1.0.0".parse().unwrap();
            channels
                .promote(&to, &channel, &Expect::Any, Cause::Rollout { id: round.to_string() }, stamp())
                .await
                .unwrap();
        }
    }
    assert!(fs::read_dir(root.path().join("models/m/snapshots")).unwrap().count() >= 2);
}
