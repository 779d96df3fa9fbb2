//! Following a channel, in virtual time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counting;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use counting::Counting;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory as Bucket;
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelName, ModelRef, ObjectBacked, Poll, Seq,
    Stamp, testkit::Flaky,
};

const POLL: Poll = Poll { every: Duration::from_secs(10), seed: 7 };

fn model(n: u64) -> ModelRef {
    format!("m@1.{n}.0").parse().unwrap()
}

fn name() -> ModelName {
    "m".parse().unwrap()
}

async fn promote(channels: &Channels, n: u64) -> Seq {
    let stamp = Stamp::now("test");
    let to = model(n);
    channels.promote(&to, &Channel::production(), &Expect::Any, Cause::Promote, stamp).await.unwrap().seq
}

async fn publish(store: &impl tidegate_registry::ModelStore) {
    for n in 0..3 {
        let content = Content::bytes([("f".parse().unwrap(), Bytes::from("x"))]);
        store.publish(Draft::new(model(n), Stamp::now("test")), content, &()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_move_is_seen_once_and_in_order() {
    let store = InMemory::new();
    publish(&store).await;
    let channels = Channels::new(Arc::new(store));
    let first = promote(&channels, 0).await;
    let production = Channel::production();
    let mut watch = pin!(channels.watch(&name(), &production, None, POLL));
    let moved = watch.try_next().await.unwrap().unwrap();
    assert_eq!((moved.seq, moved.to), (first, Some(model(0))));
    for n in [1, 2, 1] {
        promote(&channels, n).await;
    }
    channels.demote(&name(), &production, &Expect::Any, "off", Stamp::now("test")).await.unwrap();
    let later: Vec<_> = watch.by_ref().take(4).map(|moved| moved.unwrap().to).collect().await;
    assert_eq!(later, [Some(model(1)), Some(model(2)), Some(model(1)), None]);
    assert!(tokio::time::timeout(Duration::from_secs(1000), watch.next()).await.is_err(), "nothing more");

    let again =
        channels.watch(&name(), &production, Some(first), POLL).take(4).map(|moved| moved.unwrap().to);
    assert_eq!(again.collect::<Vec<_>>().await, later, "from a number on, the same");
}

#[tokio::test(start_paused = true)]
async fn looking_costs_one_request_at_irregular_times() {
    let counting = Counting::new(Arc::new(Bucket::new()));
    let registry = ObjectBacked::open(Arc::new(counting.clone())).await.unwrap();
    publish(&registry).await;
    let channels = Channels::new(Arc::new(registry));
    promote(&channels, 0).await;
    let mut watch = pin!(channels.watch(&name(), &Channel::production(), None, POLL));
    watch.next().await.unwrap().unwrap();
    counting.reset();
    assert!(tokio::time::timeout(Duration::from_secs(1000), watch.next()).await.is_err());
    let looks = counting.reset();
    assert!((80..=125).contains(&looks), "{looks} requests in 100 intervals");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_and_nothing_is_missed() {
    let store = InMemory::new();
    publish(&store).await;
    let sound = Channels::new(Arc::new(store.clone()));
    let flaky = Arc::new(Flaky::new(store, 3, 2));
    let mut watch = pin!(Channels::new(Arc::<Flaky<InMemory>>::clone(&flaky)).watch(
        &name(),
        &Channel::production(),
        Seq::new(3),
        POLL
    ));
    let (mut seen, mut failures) = (Vec::new(), 0);
    for n in 0..30 {
        promote(&sound, n % 3).await;
        loop {
            match watch.next().await.unwrap() {
                Ok(moved) => break seen.push(moved.to.unwrap()),
                Err(error) => {
                    assert!(error.is_transient());
                    failures += 1;
                }
            }
        }
    }
    assert_eq!(seen, (0..30).map(|n| model(n % 3)).collect::<Vec<_>>());
    assert!(failures > 10 && flaky.faults() == failures, "{failures}");
}
