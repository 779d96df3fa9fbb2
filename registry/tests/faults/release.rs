//! What two programs do at the same time in bad weather, and what must be true afterwards.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Error, Expect, Filter, Log as _, LogKey, ModelRef,
    ModelStore as _, ModelStoreExt as _, ObjectBacked, Seq, Stamp,
};

/// Bytes of a file that is uploaded in parts.
pub(crate) const LONG: usize = 40 << 20;

/// Tries of one call. Bad weather is not for ever.
const TRIES: usize = 300;

/// Each publishes two versions, promotes one of them and writes a record to a log that both write to.
/// One of the files of the first has `long` bytes.
pub(crate) async fn release(case: &str, clear: &ObjectBacked, flaky: [ObjectBacked; 2], long: usize) {
    let [a, b] = flaky;
    futures::join!(writer(case, 0, a, long), writer(case, 1, b, 100));

    let name = "m".parse().unwrap();
    let versions = clear.list(&name, Filter::default()).await.unwrap();
    assert_eq!(versions.len(), 4, "{case}");
    for version in versions.iter() {
        clear.verify(&name.at(version.version.clone()), &()).await.unwrap();
    }
    let channels = Channels::new(Arc::new(clear.clone()));
    let history = channels.history(&name, &Channel::production()).await.unwrap();
    let causes: HashSet<_> = history.iter().map(|made| format!("{:?}", made.cause)).collect();
    assert_eq!((history.len(), causes.len()), (2, 2), "{case}: {history:?}");
    let said = clear.read(&LogKey::model(&name), Seq::FIRST).await.unwrap();
    assert_eq!(said.len(), 6, "{case}: four publications and two moves");
    let mut records = clear.read(&log(), Seq::FIRST).await.unwrap();
    records.sort();
    assert_eq!(records, [record(0), record(1)], "{case}");
}

async fn writer(case: &str, n: u64, registry: ObjectBacked, long: usize) {
    let model = |minor: u64| -> ModelRef { format!("m@{n}.{minor}.0").parse().unwrap() };
    for minor in 0..2 {
        until_done(case, async || {
            let long = Bytes::from(vec![7; if minor == 0 { long } else { 100 }]);
            let files = [("a", Bytes::from("alpha")), ("b", long), ("empty", Bytes::new())];
            let files = Content::bytes(files.map(|(path, bytes)| (path.parse().unwrap(), bytes)));
            registry.publish(Draft::new(model(minor), Stamp::now("test")), files, &()).await.map(drop)
        })
        .await;
    }
    let channels = Channels::new(Arc::new(registry.clone()));
    until_done(case, async || {
        let cause = Cause::Rollout { id: format!("rollout-{n}") };
        channels.promote(&model(0), &Channel::production(), &Expect::Any, cause, Stamp::now("test")).await
    })
    .await;
    append(case, &registry, record(n)).await;
}

/// Appends `record` wherever the log ends.
async fn append(case: &str, registry: &ObjectBacked, record: Bytes) {
    for _ in 0..TRIES {
        let Ok(records) = registry.read(&log(), Seq::FIRST).await else { continue };
        if records.contains(&record) {
            return;
        }
        let seq = Seq::FIRST.plus(records.len());
        match registry.append(&log(), seq, record.clone()).await {
            Ok(()) => return,
            Err(Error::SeqTaken { .. }) => {
                let there = until_done(case, async || registry.read(&log(), seq).await).await;
                assert_ne!(there.first(), Some(&record), "{case}: one's own record is in the way");
                assert!(!there.is_empty(), "{case}: nothing is in the way");
            }
            Err(error) => assert!(is_honest(&error), "{case}: {error}"),
        }
    }
    panic!("{case}: a record cannot be appended");
}

async fn until_done<T>(case: &str, mut call: impl AsyncFnMut() -> Result<T, Error>) -> T {
    for _ in 0..TRIES {
        match call().await {
            Ok(done) => return done,
            Err(error) => {
                assert!(is_honest(&error), "{case}: {error}: {:?}", std::error::Error::source(&error))
            }
        }
    }
    panic!("{case}: it cannot be done");
}

/// What may be said of a request that went wrong: nothing of what others have done.
fn is_honest(error: &Error) -> bool {
    match error {
        Error::CommitUnknown { .. } | Error::Unavailable { .. } => true,
        // An upload that was completed before, when the answer was lost, is there no more. What that is called
        // differs from store to store.
        Error::Refused { action: "complete a blob" | "write a blob", .. } => true,
        _ => false,
    }
}

fn log() -> LogKey {
    LogKey::new("route", "a").unwrap()
}

fn record(n: u64) -> Bytes {
    format!("record of {n}").into()
}
