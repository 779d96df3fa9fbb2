//! What every [`ModelStore`] must do.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a check fails by panicking")]

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};

use crate::{
    Attestation, Card, Channel, Content, Digest, Draft, Error, Expect, FilePath, Filter, Manifest, ModelRef,
    ModelStore, ModelStoreExt as _, OpenOptions, PART_SIZE, Result, Stamp, content_digest,
};

/// A test for each check of this suite, in a module of the given name. Attributes before the name,
/// such as `#[ignore = "needs a server"]`, are those of each test. The factory makes an empty store.
#[macro_export]
macro_rules! model_store_conformance {
    ($(#[$attribute:meta])* $module:ident, $factory:expr) => {
        $crate::__conformance! { $(#[$attribute])* $module, $factory, store:
            published_files_read_back
            ranges_are_exact
            manifests_keep_what_was_said
            large_files_are_hashed_in_parts
            same_content_again_succeeds
            other_content_is_refused
            build_metadata_is_no_version
            versions_are_listed_by_precedence
            versions_are_found_by_what_is_said_of_them
            a_publication_can_promote
            unknown_things_are_not_found
            empty_content_is_refused
            impossible_paths_are_refused
            what_cannot_be_written_down_is_refused
            statements_are_nested_only_so_deep
            broken_streams_publish_nothing
            one_of_eight_publishers_wins
            models_are_listed_in_order
            whole_versions_verify
        }
    };
}

fn model(s: &str) -> ModelRef {
    s.parse().unwrap()
}

fn path(s: &str) -> FilePath {
    s.parse().unwrap()
}

fn draft(s: &str) -> Draft {
    Draft::new(model(s), stamp())
}

fn stamp() -> Stamp {
    Stamp { by: "conformance".to_owned(), at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123) }
}

fn content(files: &[(&str, &'static str)]) -> Content {
    Content::bytes(files.iter().map(|&(name, bytes)| (path(name), Bytes::from(bytes))))
}

async fn publish<S: ModelStore>(store: &S, name: &str, files: &[(&str, &'static str)]) -> Result<Manifest> {
    store.publish(draft(name), content(files), &()).await
}

async fn read<S: ModelStore>(store: &S, name: &str, file: &str, options: OpenOptions) -> Result<Vec<u8>> {
    let stream = store.open(&model(name), &path(file), options).await?;
    stream
        .try_fold(Vec::new(), async |mut all, chunk| Ok([std::mem::take(&mut all), chunk.to_vec()].concat()))
        .await
}

/// Every file reads back as it was, in nested directories, empty, and with names that mean something to
/// stores.
pub async fn published_files_read_back<S: ModelStore>(make: impl AsyncFn() -> S) {
    const FILES: [(&str, &str); 5] = [
        ("weights.bin", "\0\x01weights"),
        ("a/b/c", "deep"),
        ("empty", ""),
        ("a-b", "x"),
        ("ü #1%20~+.txt", "odd"),
    ];
    let store = make().await;
    let manifest = publish(&store, "m@1.0.0", &FILES).await.unwrap();
    assert_eq!(manifest.files.len(), FILES.len());
    assert_eq!(manifest.size, FILES.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    assert_eq!(manifest.digest, content_digest(&manifest.files));
    assert_eq!(store.manifest(&model("m@1.0.0")).await.unwrap(), manifest);
    for (name, bytes) in FILES {
        assert_eq!(
            read(&store, "m@1.0.0", name, OpenOptions::default()).await.unwrap(),
            bytes.as_bytes(),
            "{name}"
        );
        assert_eq!(manifest.file(&path(name)).unwrap().digest, Digest::of(bytes), "{name}");
    }
}

/// A range is those bytes and no others; one beyond the end is refused.
pub async fn ranges_are_exact<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    publish(&store, "m@1.0.0", &[("f", "0123456789"), ("empty", "")]).await.unwrap();
    for range in [0..10, 0..1, 3..7, 9..10, 4..4, 0..0, 10..10] {
        let wanted = &b"0123456789"[range.start as usize..range.end as usize];
        assert_eq!(read(&store, "m@1.0.0", "f", OpenOptions::range(range)).await.unwrap(), wanted);
    }
    assert!(read(&store, "m@1.0.0", "empty", OpenOptions::range(0..0)).await.unwrap().is_empty());
    for range in [0..11, 10..11, u64::MAX - 1..u64::MAX] {
        let error = read(&store, "m@1.0.0", "f", OpenOptions::range(range)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

/// Stamp and card come back as they were given.
pub async fn manifests_keep_what_was_said<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let card = Card {
        description: "scores".to_owned(),
        metrics: [("accuracy".to_owned(), 0.1 + 0.2)].into(),
        tags: ["fraud".to_owned()].into(),
        labels: [("team".to_owned(), "risk".to_owned())].into(),
        ..Card::default()
    };
    let draft = draft("m@1.0.0").with_card(card.clone());
    store.publish(draft, content(&[("f", "x")]), &()).await.unwrap();
    let manifest = store.manifest(&model("m@1.0.0")).await.unwrap();
    assert_eq!((manifest.card, manifest.created), (card, stamp()));
}

/// A file longer than a part has the digests of its parts, and of the whole.
pub async fn large_files_are_hashed_in_parts<S: ModelStore>(make: impl AsyncFn() -> S) {
    const SIZE: u64 = PART_SIZE + 12_345;
    let store = make().await;
    let chunk = |at: u64| Bytes::from(vec![(at >> 20) as u8; (SIZE - at).min(1 << 20) as usize]);
    let chunks: Vec<Bytes> = (0..SIZE).step_by(1 << 20).map(chunk).collect();
    let all = chunks.concat();
    let stream = stream::iter(chunks.into_iter().map(Ok)).boxed();
    let manifest =
        store.publish(draft("m@1.0.0"), Content::Streams(vec![(path("w"), stream)]), &()).await.unwrap();
    let file = &manifest.files[0];
    assert_eq!((file.size, file.digest), (SIZE, Digest::of(&all)));
    assert_eq!(file.parts, all.chunks(PART_SIZE as usize).map(Digest::of).collect::<Vec<_>>());
    let across = PART_SIZE - 10..PART_SIZE + 10;
    let wanted = &all[across.start as usize..across.end as usize];
    assert_eq!(read(&store, "m@1.0.0", "w", OpenOptions::range(across)).await.unwrap(), wanted);
}

/// Publishing is idempotent; the first manifest stays.
pub async fn same_content_again_succeeds<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let first = publish(&store, "m@1.0.0", &[("a", "1"), ("b", "2")]).await.unwrap();
    let mut again = draft("m@1.0.0");
    again.stamp.by = "somebody else".to_owned();
    let again = store.publish(again, content(&[("b", "2"), ("a", "1")]), &()).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(store.list(&"m".parse().unwrap(), Filter::default()).await.unwrap().len(), 1);
}

/// A version never changes.
pub async fn other_content_is_refused<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let first = publish(&store, "m@1.0.0", &[("f", "one")]).await.unwrap();
    for files in [&[("f", "two")] as &[_], &[("g", "one")], &[("f", "one"), ("g", "")]] {
        let error = publish(&store, "m@1.0.0", files).await.unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyPublished { existing, .. } if *existing == first.digest),
            "{error}"
        );
    }
    assert_eq!(store.manifest(&model("m@1.0.0")).await.unwrap(), first);
    assert_eq!(read(&store, "m@1.0.0", "f", OpenOptions::default()).await.unwrap(), b"one");
}

/// `1.0.0+a` and `1.0.0+b` are equal in precedence, so only one of them can exist.
pub async fn build_metadata_is_no_version<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    publish(&store, "m@1.0.0+a", &[("f", "one")]).await.unwrap();
    for other in ["m@1.0.0+b", "m@1.0.0"] {
        let error = publish(&store, other, &[("f", "one")]).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert!(matches!(store.manifest(&model(other)).await.unwrap_err(), Error::NotFound { .. }));
    }
    assert!(publish(&store, "m@1.0.0+a", &[("f", "one")]).await.is_ok());
}

/// Versions are ordered as versions, not as text, and `latest` is no pre-release.
pub async fn versions_are_listed_by_precedence<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    for version in ["1.10.0", "2.0.0-rc.10", "1.9.0", "2.0.0-rc.9", "1.9.0-alpha"] {
        publish(&store, &format!("m@{version}"), &[("f", "x")]).await.unwrap();
    }
    let versions = store.list(&"m".parse().unwrap(), Filter::default()).await.unwrap();
    let order: Vec<String> = versions.iter().map(|published| published.version.to_string()).collect();
    assert_eq!(order, ["2.0.0-rc.10", "2.0.0-rc.9", "1.10.0", "1.9.0", "1.9.0-alpha"]);
    let first = async |filter| {
        let mut versions = store.versions(&"m".parse().unwrap(), filter);
        versions.try_next().await.unwrap().map(|published| published.version.to_string())
    };
    let matching = |req: &str| Filter { matching: Some(req.parse().unwrap()), ..Filter::default() };
    assert_eq!(first(Filter { released: true, ..Filter::default() }).await.unwrap(), "1.10.0");
    assert_eq!(first(matching("~1.9")).await.unwrap(), "1.9.0");
    assert_eq!(first(matching(">=2.0.0-rc.1")).await.unwrap(), "2.0.0-rc.10");
    assert_eq!(first(matching("^3")).await, None);
}

/// Tags, labels, the framework, metrics and the time of publication find a version without its manifest.
pub async fn versions_are_found_by_what_is_said_of_them<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let said: Card = serde_json::from_value(serde_json::json!({
        "framework": { "name": "pytorch", "version": "2.9.1" },
        "metrics": { "accuracy": 0.93 },
        "tags": ["german", "small"],
        "labels": { "team": "risk" },
    }))
    .unwrap();
    publish(&store, "m@1.0.0", &[("f", "x")]).await.unwrap();
    store.publish(draft("m@1.1.0").with_card(said), content(&[("f", "x")]), &()).await.unwrap();
    let found = async |filter| {
        let found = store.list(&"m".parse().unwrap(), filter).await.unwrap();
        found.iter().map(|published| published.version.minor).collect::<Vec<_>>()
    };
    let all = Filter::default;
    let tags = |tags: &[&str]| tags.iter().map(ToString::to_string).collect();
    assert_eq!(found(all()).await, [1, 0]);
    assert_eq!(found(Filter { tags: tags(&["small"]), ..all() }).await, [1]);
    assert!(found(Filter { tags: tags(&["small", "large"]), ..all() }).await.is_empty());
    assert_eq!(found(Filter { labels: vec![("team".into(), "risk".into())], ..all() }).await, [1]);
    assert!(found(Filter { labels: vec![("team".into(), "fraud".into())], ..all() }).await.is_empty());
    assert_eq!(found(Filter { framework: Some("pytorch".into()), ..all() }).await, [1]);
    assert_eq!(found(Filter { metrics: vec!["accuracy>=0.93".parse().unwrap()], ..all() }).await, [1]);
    assert!(found(Filter { metrics: vec!["accuracy>0.93".parse().unwrap()], ..all() }).await.is_empty());
    assert!(found(Filter { metrics: vec!["loss<=9".parse().unwrap()], ..all() }).await.is_empty());
    let at = stamp().at;
    assert_eq!(found(Filter { published: Some(at..at + Duration::from_nanos(1)), ..all() }).await, [1, 0]);
    assert!(found(Filter { published: Some(UNIX_EPOCH..at), ..all() }).await.is_empty());
    assert!(found(Filter { channels: [Channel::production()].into(), ..all() }).await.is_empty());
}

/// A version and the channels that are to point to it come into being together, or not at all.
pub async fn a_publication_can_promote<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let production = || Filter { channels: [Channel::production()].into(), ..Filter::default() };
    let publish = async |name: &str, expect| {
        let draft = draft(name).promoted_to(Channel::production(), expect);
        store.publish(draft, content(&[("f", "x")]), &()).await
    };
    publish("m@1.0.0", Expect::Absent).await.unwrap();
    let error = publish("m@1.1.0", Expect::Absent).await.unwrap_err();
    assert!(matches!(error, Error::ChannelMoved { .. }), "{error}");
    assert!(matches!(store.manifest(&model("m@1.1.0")).await.unwrap_err(), Error::NotFound { .. }));
    publish("m@1.1.0", Expect::At(model("m@1.0.0"))).await.unwrap();
    let error = publish("m@1.0.0", Expect::Absent).await.unwrap_err();
    assert!(matches!(error, Error::ChannelMoved { .. }), "{error}");
    store.manifest(&model("m@1.0.0")).await.unwrap();
    // One that is there already is promoted all the same.
    publish("m@1.0.0", Expect::Any).await.unwrap();
    publish("m@1.1.0", Expect::At(model("m@1.0.0"))).await.unwrap();
    let found = store.list(&"m".parse().unwrap(), production()).await.unwrap();
    assert_eq!(found.iter().map(|published| published.version.to_string()).collect::<Vec<_>>(), ["1.1.0"]);
    assert_eq!(store.list(&"m".parse().unwrap(), Filter::default()).await.unwrap().len(), 2);
}

/// What does not exist is [`Error::NotFound`], whichever way it is asked for.
pub async fn unknown_things_are_not_found<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    publish(&store, "m@1.0.0", &[("f", "x")]).await.unwrap();
    let errors = [
        store.manifest(&model("m@2.0.0")).await.unwrap_err(),
        store.manifest(&model("n@1.0.0")).await.unwrap_err(),
        store.list(&"n".parse().unwrap(), Filter::default()).await.unwrap_err(),
        read(&store, "m@1.0.0", "g", OpenOptions::default()).await.unwrap_err(),
        read(&store, "m@2.0.0", "f", OpenOptions::default()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

/// A version has at least one file.
pub async fn empty_content_is_refused<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let error = publish(&store, "m@1.0.0", &[]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert!(matches!(store.manifest(&model("m@1.0.0")).await.unwrap_err(), Error::NotFound { .. }));
}

/// Paths that cannot lie in one directory together are refused.
pub async fn impossible_paths_are_refused<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    for files in [
        &[("a", "1"), ("a", "2")] as &[_],
        &[("a", "1"), ("a/b", "2")],
        &[("a/b/c", "1"), ("a", "2"), ("a-", "3")],
    ] {
        let error = publish(&store, "m@1.0.0", files).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

/// A number that JSON does not have and a time that RFC 3339 does not have are refused, not stored as
/// something else.
pub async fn what_cannot_be_written_down_is_refused<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let far = Stamp { by: String::new(), at: UNIX_EPOCH + Duration::from_secs(1 << 40) };
    let past = Stamp { by: String::new(), at: UNIX_EPOCH - Duration::from_secs(1) };
    let measured = |value| Card { metrics: [("loss".to_owned(), value)].into(), ..Card::default() };
    let drafts = [
        Draft::new(model("m@1.0.0"), far),
        Draft::new(model("m@1.0.0"), past),
        draft("m@1.0.0").with_card(measured(f64::NAN)),
        draft("m@1.0.0").with_card(measured(f64::INFINITY)),
    ];
    for draft in drafts {
        let error = store.publish(draft, content(&[("f", "x")]), &()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

/// What is published can be read: a statement that no parser would follow to its end is refused, and its
/// version stays free.
pub async fn statements_are_nested_only_so_deep<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let card = |levels| {
        let predicate = (0..levels).fold(1.into(), |value, _| serde_json::Value::Array(vec![value]));
        let attestation = Attestation::new("test", stamp(), predicate);
        Card { attestations: vec![attestation], ..Card::default() }
    };
    for levels in [65, 130, 1000] {
        let draft = draft("m@1.0.0").with_card(card(levels));
        let error = store.publish(draft, content(&[("f", "x")]), &()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{levels} levels: {error}");
    }
    let draft = draft("m@1.0.0").with_card(card(64));
    let published = store.publish(draft, content(&[("f", "x")]), &()).await.unwrap();
    assert_eq!(store.manifest(&model("m@1.0.0")).await.unwrap(), published);
}

/// A publisher that dies in the middle has published nothing, and can do it again.
pub async fn broken_streams_publish_nothing<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let failure = || Error::Unavailable { store: "test".to_owned(), action: "read", source: "torn".into() };
    let torn = stream::iter([Ok(Bytes::from("half")), Err(failure())]).boxed();
    let whole = stream::iter([Ok(Bytes::from("whole"))]).boxed();
    let files = Content::Streams(vec![(path("a"), whole), (path("b"), torn)]);
    store.publish(draft("m@1.0.0"), files, &()).await.unwrap_err();
    assert!(matches!(store.manifest(&model("m@1.0.0")).await.unwrap_err(), Error::NotFound { .. }));
    assert!(store.models().try_collect::<Vec<_>>().await.unwrap().is_empty());
    publish(&store, "m@1.0.0", &[("a", "whole"), ("b", "half")]).await.unwrap();
}

/// Of publishers of one version with different content one wins, and what it published is whole.
pub async fn one_of_eight_publishers_wins<S: ModelStore>(make: impl AsyncFn() -> S) {
    const CONTENTS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let store = make().await;
    let store = &store;
    let all = join_all(CONTENTS.map(|bytes| async move {
        let files = [("f", bytes)];
        publish(store, "m@1.0.0", &files).await
    }))
    .await;
    let winners: Vec<_> = all.iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{all:?}");
    let losers = all.iter().filter_map(|answer| answer.as_ref().err());
    assert_eq!(losers.filter(|error| matches!(error, Error::AlreadyPublished { .. })).count(), 7, "{all:?}");
    let there = read(store, "m@1.0.0", "f", OpenOptions::default()).await.unwrap();
    assert_eq!(winners[0].files[0].digest, Digest::of(there));
}

/// Models that have a version are listed, ascending.
pub async fn models_are_listed_in_order<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    assert!(store.models().try_collect::<Vec<_>>().await.unwrap().is_empty());
    for name in ["b", "a-b", "c", "a"] {
        publish(&store, &format!("{name}@1.0.0"), &[("f", "x")]).await.unwrap();
    }
    let names: Vec<_> = store.models().try_collect().await.unwrap();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a", "a-b", "b", "c"]);
}

/// What was published can be verified.
pub async fn whole_versions_verify<S: ModelStore>(make: impl AsyncFn() -> S) {
    let store = make().await;
    let manifest = publish(&store, "m@1.0.0", &[("a/f", "x"), ("empty", "")]).await.unwrap();
    assert_eq!(store.verify(&model("m@1.0.0"), &()).await.unwrap(), manifest);
}
