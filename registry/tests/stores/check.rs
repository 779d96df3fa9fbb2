//! A store is tried out before a registry is made in it.

use std::{error::Error as _, fs, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory as Bucket};
use tidegate_registry::{
    Content, Draft, Error, Filter, Log as _, LogKey, ModelStore as _, ModelStoreExt as _, ObjectBacked, Seq,
    Stamp, Trial, Unfit,
};

use crate::{
    odd::{Odd, Quirk},
    servers::{
        live,
        s3::{BUCKET, S3, Writes, options},
    },
};

fn bucket() -> Arc<dyn ObjectStore> {
    Arc::new(Bucket::new())
}

/// What was found wrong with the store.
fn unfit(error: &Error) -> &Unfit {
    let Error::Refused { source, .. } = error else { panic!("{error}: {:?}", error.source()) };
    source.downcast_ref().unwrap_or_else(|| panic!("{error}: {source}"))
}

async fn publish(registry: &ObjectBacked, version: &str) -> Result<(), Error> {
    let draft = Draft::new(format!("m@{version}").parse().unwrap(), Stamp::now("test"));
    let files = Content::bytes([("f".parse().unwrap(), Bytes::from("x"))]);
    registry.publish(draft, files, &()).await.map(drop)
}

async fn left(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    let found: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut names: Vec<_> = found.into_iter().map(|object| object.location.to_string()).collect();
    names.sort();
    names
}

async fn passes(registry: &ObjectBacked) {
    let check = registry.check_store().await.unwrap();
    assert_eq!((check.writers, check.left), (16, 0), "{check:?}");
    assert!((5..=16).contains(&check.rounds), "{check:?}");
    assert_eq!(check.trials.len(), 6, "{check:?}");
}

#[tokio::test]
async fn a_sound_store_passes_and_keeps_nothing_but_the_result() {
    let store = bucket();
    let registry = ObjectBacked::open(Arc::clone(&store)).await.unwrap();
    passes(&registry).await;
    assert_eq!(left(&store).await, ["tidegate.json"]);
    let marker = store.get(&"tidegate.json".into()).await.unwrap().bytes().await.unwrap();
    let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap();
    assert_eq!((&marker["format"], &marker["checked"]["check"]["writers"]), (&1.into(), &16.into()));

    let directory = tempfile::tempdir().unwrap();
    let registry = ObjectBacked::directory(directory.path()).await.unwrap();
    passes(&registry).await;
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["tidegate.json"]);
}

#[tokio::test]
async fn s3_whose_conditional_writes_are_atomic_passes() {
    let server = S3::start(Writes::InTurn);
    passes(&server.registry().await).await;
}

#[tokio::test]
#[ignore = "needs SeaweedFS (`weed` on the PATH or in SEAWEEDFS_BIN)"]
async fn seaweedfs_passes() {
    passes(&live::seaweedfs().await.registry().await).await;
}

#[tokio::test]
#[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
async fn ministack_passes() {
    passes(&live::ministack().await.registry().await).await;
}

#[tokio::test]
#[ignore = "needs Azurite (`azurite-blob` on the PATH or in AZURITE_BIN)"]
async fn azurite_passes() {
    passes(&live::azurite().await.registry().await).await;
}

/// How often a store that lets several win is tried out until it is found out. A race shows it in about every
/// other case, so that on a busy machine one check of some hundreds passes.
const CHECKS: usize = 4;

/// `s3s-fs` looks whether an object is there and then writes it: it answers every request as it should
/// but for those at the same time.
#[tokio::test]
async fn s3_that_looks_before_it_writes_is_refused() {
    let server = S3::start(Writes::Racing);
    for n in 0..CHECKS {
        let url = format!("s3://{BUCKET}/{n}");
        let Err(error) = ObjectBacked::open_url(&url, options(&server.endpoint())).await else { continue };
        let unfit = unfit(&error);
        assert_eq!(unfit.trial, Trial::Race);
        assert!(unfit.seen.starts_with("of 16 writers that created the same object "), "{unfit}");
        assert!(error.to_string().contains("refused to create an object only if it is absent"), "{error}");
        let left = left(&server.store(&n.to_string())).await;
        assert!(left.is_empty(), "a store that is refused is left as it was: {left:?}");
        return;
    }
    panic!("it has passed {CHECKS} checks");
}

/// A registry that lies in an unfit store can be read, and nothing is added to it.
#[tokio::test]
async fn a_registry_in_an_unfit_store_is_read_and_not_written() {
    let server = S3::start(Writes::Racing);
    let root = server.directory().join("copied");
    publish(&ObjectBacked::directory(&root).await.unwrap(), "1.0.0").await.unwrap();
    let url = format!("s3://{BUCKET}/copied");
    let registry = ObjectBacked::open_url(&url, options(&server.endpoint())).await.unwrap();
    registry.verify(&"m@1.0.0".parse().unwrap(), &()).await.unwrap();
    publish(&registry, "1.0.0").await.expect("nothing has to be written for that");

    for _ in 0..CHECKS {
        if registry.check_store().await.is_err() {
            break;
        }
    }
    let refused = |error: &Error| {
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("of 16 writers that created the same object"), "{cause}");
    };
    refused(&publish(&registry, "2.0.0").await.unwrap_err());
    let key = LogKey::new("route", "a").unwrap();
    refused(&registry.clone().append(&key, Seq::FIRST, "x".into()).await.unwrap_err());
    assert_eq!(registry.list(&"m".parse().unwrap(), Filter::default()).await.unwrap().len(), 1);
    assert!(!root.join("logs").exists());
}

#[tokio::test]
async fn each_broken_promise_is_named() {
    let cases = [
        (Quirk::Condition, Trial::CreateTwice, "it overwrote an object"),
        (Quirk::Flattery, Trial::CreateTwice, "it said that it had created an object that was there already"),
        (Quirk::HardLinks, Trial::CreateTwice, "a local file system needs hard links"),
        (Quirk::List, Trial::ListAfterWrite, "an object was not listed"),
        (Quirk::Parts, Trial::Multipart, "visible before it was complete"),
        (Quirk::Range, Trial::Range, "it does not serve ranges"),
    ];
    for (quirk, trial, seen) in cases {
        let store = bucket();
        let error = ObjectBacked::open(Arc::new(Odd::new(&store, quirk))).await.unwrap_err();
        let unfit = unfit(&error);
        assert_eq!(unfit.trial, trial, "{quirk:?}: {unfit}");
        assert!(unfit.seen.contains(seen), "{quirk:?}: {unfit}");
        assert!(left(&store).await.is_empty(), "{quirk:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_removed_is_counted_and_no_reason_to_refuse() {
    let store = bucket();
    let registry = ObjectBacked::open(Arc::new(Odd::new(&store, Quirk::Undeletable))).await.unwrap();
    let before = left(&store).await.len();
    let check = registry.check_store().await.unwrap();
    assert_eq!(left(&store).await.len(), before + check.left);
    assert!(check.left > 0);
}

#[tokio::test]
async fn opening_costs_one_request_also_for_who_may_only_read() {
    let store = bucket();
    let odd = Odd::new(&store, Quirk::None);
    publish(&ObjectBacked::open(Arc::new(odd.clone())).await.unwrap(), "1.0.0").await.unwrap();
    assert!(odd.requests() > 100);
    ObjectBacked::open(Arc::new(odd.clone())).await.unwrap();
    assert_eq!(odd.requests(), 1);

    let reader = Odd::new(&store, Quirk::ReadOnly);
    let registry = ObjectBacked::open(Arc::new(reader.clone())).await.unwrap();
    assert_eq!(reader.requests(), 1);
    registry.verify(&"m@1.0.0".parse().unwrap(), &()).await.unwrap();
    let error = publish(&registry, "2.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    // Where there is no registry yet, nobody can make one who may only read, and that is no flaw of the store.
    let error = ObjectBacked::open(Arc::new(Odd::new(&bucket(), Quirk::ReadOnly))).await.unwrap_err();
    let Error::Refused { source, .. } = error else { panic!("{error}") };
    assert!(source.downcast_ref::<Unfit>().is_none(), "{source}");
}

/// A copy of a registry says nothing about the store it was copied to.
#[tokio::test]
async fn the_store_of_a_copy_is_tried_out_once_and_before_the_first_write() {
    let original = tempfile::tempdir().unwrap();
    ObjectBacked::directory(original.path()).await.unwrap();
    for marker in [fs::read(original.path().join("tidegate.json")).unwrap(), br#"{"format":1}"#.into()] {
        let store = bucket();
        store.put(&"tidegate.json".into(), marker.into()).await.unwrap();
        let odd = Odd::new(&store, Quirk::None);
        let registry = ObjectBacked::open(Arc::new(odd.clone())).await.unwrap();
        assert_eq!(odd.requests(), 1);
        publish(&registry, "1.0.0").await.unwrap();
        assert!(odd.requests() > 100);
        publish(&registry, "1.1.0").await.unwrap();
        assert!(odd.requests() < 20);

        publish(&ObjectBacked::open(Arc::new(odd.clone())).await.unwrap(), "1.2.0").await.unwrap();
        assert!(odd.requests() < 30, "another program knows it as well");

        let overwriting = Odd::new(&bucket(), Quirk::Condition);
        overwriting.put(&"tidegate.json".into(), r#"{"format":1}"#.into()).await.unwrap();
        let error =
            publish(&ObjectBacked::open(Arc::new(overwriting)).await.unwrap(), "1.0.0").await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_has_become_unfit_is_written_to_no_more() {
    let store = bucket();
    publish(&ObjectBacked::open(Arc::clone(&store)).await.unwrap(), "1.0.0").await.unwrap();
    let registry = ObjectBacked::open(Arc::new(Odd::new(&store, Quirk::Flattery))).await.unwrap();
    let clone = registry.clone();
    assert_eq!(unfit(&registry.check_store().await.unwrap_err()).trial, Trial::CreateTwice);
    let error = publish(&clone, "2.0.0").await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("there already"), "{error}");
    clone.verify(&"m@1.0.0".parse().unwrap(), &()).await.unwrap();
}

#[tokio::test]
async fn sixteen_make_one_registry() {
    let root = tempfile::tempdir().unwrap();
    let made =
        futures::future::join_all((0..16).map(|_| ObjectBacked::directory(root.path().join("new")))).await;
    for registry in made {
        registry.unwrap();
    }
    assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 1);
}
