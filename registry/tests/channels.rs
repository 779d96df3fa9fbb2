//! Channels: compare-and-set, history, settling, and attestations beside them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::future::join_all;
use tidegate_registry::{
    Attestation, Attestations, Cause, Channel, Channels, Content, Draft, Error, Expect, Filter, InMemory,
    ModelName, ModelRef, ModelStore as _, ModelStoreExt as _, Seq, Stamp, testkit::Flaky,
};

fn model(version: &str) -> ModelRef {
    format!("m@{version}").parse().unwrap()
}

fn name() -> ModelName {
    "m".parse().unwrap()
}

fn production() -> Channel {
    Channel::production()
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn stamp(seconds: u64) -> Stamp {
    Stamp { by: "test".to_owned(), at: time(seconds) }
}

fn rollout(id: &str) -> Cause {
    Cause::Rollout { id: id.to_owned() }
}

async fn publish(store: &InMemory, version: &str) {
    let files = [("f".parse().unwrap(), Bytes::from(version.to_owned()))];
    store.publish(Draft::new(model(version), stamp(1)), Content::bytes(files), &()).await.unwrap();
}

async fn three_versions() -> (InMemory, Channels) {
    let store = InMemory::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        publish(&store, version).await;
    }
    let channels = Channels::new(Arc::new(store.clone()));
    (store, channels)
}

#[tokio::test]
async fn a_channel_is_the_last_of_its_moves() {
    let (_, channels) = three_versions().await;
    assert_eq!(channels.current(&name(), &production()).await.unwrap(), None);
    let first = channels
        .promote(&model("1.0.0"), &production(), &Expect::Absent, Cause::Promote, stamp(10))
        .await
        .unwrap();
    let expect = Expect::At(model("1.0.0"));
    let second =
        channels.promote(&model("1.1.0"), &production(), &expect, rollout("r1"), stamp(20)).await.unwrap();
    assert_eq!((first.from.as_ref(), second.from.as_ref()), (None, Some(&model("1.0.0"))));
    assert_eq!(channels.history(&name(), &production()).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(channels.current(&name(), &production()).await.unwrap(), Some(second.clone()));
    for (at, wanted) in
        [(9, None), (10, Some(&first)), (19, Some(&first)), (20, Some(&second)), (99, Some(&second))]
    {
        assert_eq!(channels.at(&name(), &production(), time(at)).await.unwrap().as_ref(), wanted, "at {at}");
    }
}

#[tokio::test]
async fn a_wrong_expectation_changes_nothing() {
    let (_, channels) = three_versions().await;
    let at = |version| Expect::At(model(version));
    let promote = |expect: Expect, to| {
        let channels = channels.clone();
        async move { channels.promote(&model(to), &production(), &expect, Cause::Promote, stamp(5)).await }
    };
    assert!(
        matches!(promote(at("1.0.0"), "1.1.0").await, Err(Error::ChannelMoved { found, .. }) if found == "none")
    );
    let first = promote(Expect::Absent, "1.0.0").await.unwrap();
    for wrong in [Expect::Absent, at("1.1.0"), Expect::Seq(first.seq.next())] {
        let error = promote(wrong, "1.2.0").await.unwrap_err();
        assert!(matches!(error, Error::ChannelMoved { .. }), "{error}");
    }
    assert_eq!(channels.history(&name(), &production()).await.unwrap().len(), 1);
    promote(Expect::Seq(first.seq), "1.1.0").await.unwrap();
    promote(Expect::Any, "1.2.0").await.unwrap();
}

#[tokio::test]
async fn only_published_versions_can_be_promoted() {
    let (_, channels) = three_versions().await;
    for to in ["m@9.9.9", "other@1.0.0"] {
        let to: ModelRef = to.parse().unwrap();
        let error =
            channels.promote(&to, &production(), &Expect::Any, Cause::Promote, stamp(5)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let error =
        channels.promote(&model("9.9.9"), &production(), &Expect::Any, Cause::Promote, stamp(5)).await;
    assert!(error.unwrap_err().to_string().contains("1.2.0, 1.1.0, 1.0.0"));
}

#[tokio::test]
async fn the_same_rollout_is_recorded_once() {
    let (_, channels) = three_versions().await;
    let promote = |to, cause, expect| {
        let channels = channels.clone();
        async move { channels.promote(&model(to), &production(), &expect, cause, stamp(5)).await.unwrap() }
    };
    let first = promote("1.0.0", rollout("a"), Expect::Absent).await;
    promote("1.1.0", rollout("b"), Expect::Any).await;
    let back = |reason: &str| Cause::Rollback { id: "c".to_owned(), reason: reason.to_owned() };
    let third = promote("1.0.0", back("errors"), Expect::Any).await;
    // Told again much later, with an expectation that is wrong by now.
    assert_eq!(promote("1.0.0", rollout("a"), Expect::Absent).await, first);
    assert_eq!(promote("1.0.0", back("told otherwise"), Expect::Absent).await, third);
    // Asking for what is in force changes nothing either.
    assert_eq!(promote("1.0.0", Cause::Promote, Expect::Any).await, third);
    assert_eq!(channels.history(&name(), &production()).await.unwrap().len(), 3);
    // Another rollout to the same version is another move.
    assert_ne!(promote("1.0.0", rollout("d"), Expect::Any).await, third);
}

#[tokio::test]
async fn a_move_settles_once() {
    let (_, channels) = three_versions().await;
    let made =
        channels.promote(&model("1.0.0"), &production(), &Expect::Any, rollout("a"), stamp(5)).await.unwrap();
    assert_eq!(made.settled, None);
    let settled = channels.settle(&name(), &production(), made.seq, stamp(6)).await.unwrap();
    assert_eq!(settled.settled, Some(stamp(6)));
    assert_eq!(channels.settle(&name(), &production(), made.seq, stamp(7)).await.unwrap(), settled);
    assert_eq!(channels.current(&name(), &production()).await.unwrap(), Some(settled));
    for (channel, seq) in [(production(), Seq::FIRST), ("staging".parse().unwrap(), made.seq)] {
        let error = channels.settle(&name(), &channel, seq, stamp(8)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn one_of_many_promotions_wins_while_publishing_goes_on() {
    let (store, channels) = three_versions().await;
    let publishing = join_all((0..16).map(|n| {
        let store = store.clone();
        async move { publish(&store, &format!("2.{n}.0")).await }
    }));
    let promoting = join_all((0..16).map(|n| {
        let channels = channels.clone();
        async move {
            channels
                .promote(&model("1.1.0"), &production(), &Expect::Absent, rollout(&n.to_string()), stamp(n))
                .await
        }
    }));
    let (_, promoted) = futures::join!(publishing, promoting);
    assert_eq!(promoted.iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(channels.history(&name(), &production()).await.unwrap().len(), 1);
    assert_eq!(store.list(&name(), Filter::default()).await.unwrap().len(), 19);
}

#[tokio::test]
async fn selectors_resolve_and_say_what_exists_instead() {
    let (store, channels) = three_versions().await;
    publish(&store, "2.0.0-rc.1").await;
    let resolve = async |text: &str| store.resolve(&text.parse().unwrap(), &channels).await;
    let error = resolve("m:production").await.unwrap_err().to_string();
    assert!(error.contains("promote a version first"), "{error}");
    channels.promote(&model("1.1.0"), &production(), &Expect::Any, Cause::Promote, stamp(5)).await.unwrap();
    for (text, wanted) in [
        ("m:production", "1.1.0"),
        ("m@latest", "1.2.0"),
        ("m@^1", "1.2.0"),
        ("m@~1.1", "1.1.0"),
        ("m@1.0.0", "1.0.0"),
        ("m@>=2.0.0-rc.0", "2.0.0-rc.1"),
    ] {
        assert_eq!(resolve(text).await.unwrap(), model(wanted), "{text}");
    }
    for (text, remedy) in [
        ("m:staging", "there is production (1.1.0)"),
        ("m@^7", "there is: 2.0.0-rc.1, 1.2.0, 1.1.0, 1.0.0"),
        ("m@7.0.0", "there is 2.0.0-rc.1"),
        ("other@latest", "list the models"),
    ] {
        let error = resolve(text).await.unwrap_err();
        assert!(
            matches!(error, Error::NotFound { .. }) && error.to_string().contains(remedy),
            "{text}: {error}"
        );
    }
}

#[tokio::test]
async fn attestations_add_up() {
    let (store, _) = three_versions().await;
    let attestations = Attestations::new(Arc::new(store));
    let says = |n: u64| {
        let predicate = serde_json::json!({ "p95": 0.25, "run": n });
        Attestation::new("https://example.com/load-test/v1", stamp(n), predicate)
    };
    assert!(attestations.of(&model("1.0.0")).await.unwrap().is_empty());
    for n in [1, 2, 1] {
        attestations.attest(&model("1.0.0"), says(n)).await.unwrap();
    }
    assert_eq!(attestations.of(&model("1.0.0")).await.unwrap(), [says(1), says(2)]);
    assert!(attestations.of(&model("1.1.0")).await.unwrap().is_empty());
    assert!(matches!(attestations.attest(&model("9.0.0"), says(1)).await, Err(Error::NotFound { .. })));
    let deep = (0..130).fold(1.into(), |value, _| serde_json::Value::Array(vec![value]));
    let deep = Attestation::new("https://example.com/load-test/v1", stamp(3), deep);
    assert!(matches!(attestations.attest(&model("1.0.0"), deep).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn retrying_through_faults_moves_a_channel_once() {
    let mut faults = 0;
    for seed in 0..64 {
        let (store, _) = three_versions().await;
        let flaky = Arc::new(Flaky::new(store, seed, 2));
        let channels = Channels::new(Arc::<Flaky<InMemory>>::clone(&flaky));
        let mut tries = 0;
        let made = loop {
            tries += 1;
            assert!(tries < 200, "seed {seed} never gets through");
            match channels
                .promote(&model("1.0.0"), &production(), &Expect::Absent, rollout("a"), stamp(5))
                .await
            {
                Ok(made) => break made,
                Err(error) => assert!(error.is_transient(), "seed {seed}: {error}"),
            }
        };
        let history =
            Channels::new(Arc::new(flaky.inner().clone())).history(&name(), &production()).await.unwrap();
        assert_eq!(history, [made], "seed {seed}");
        faults += flaky.faults();
    }
    assert!(faults > 64, "only {faults} faults were injected");
}
