//! What every [`Log`] must do.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a check fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;

use crate::{Error, Journal, Log, LogKey, Seq};

/// A test for each check of this suite, in a module of the given name. Attributes before the name,
/// such as `#[ignore = "needs a server"]`, are those of each test. The factory makes an empty log.
#[macro_export]
macro_rules! log_conformance {
    ($(#[$attribute:meta])* $module:ident, $factory:expr) => {
        $crate::__conformance! { $(#[$attribute])* $module, $factory, log:
            unknown_logs_are_empty
            records_read_back_in_order
            equal_bytes_again_succeed
            other_bytes_are_refused
            holes_are_refused
            one_of_sixteen_wins
            logs_with_similar_names_are_different
            long_logs_read_from_anywhere
            journals_own_the_log_in_turn
            journals_stand_behind_what_they_cannot_read
        }
    };
}

fn key(id: &str) -> LogKey {
    LogKey::new("route", id).unwrap()
}

fn record(n: usize) -> Bytes {
    format!("record {n}").into()
}

fn at(n: u64) -> Seq {
    Seq::new(n).unwrap()
}

/// Reading a log that nobody wrote to is no error.
pub async fn unknown_logs_are_empty<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    assert!(log.read(&key("a"), Seq::FIRST).await.unwrap().is_empty());
    assert!(log.read(&key("a"), at(7)).await.unwrap().is_empty());
}

/// What was appended is read, all of it and in order.
pub async fn records_read_back_in_order<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    for n in 0..5 {
        log.append(&key("a"), Seq::FIRST.plus(n), record(n)).await.unwrap();
        let read = log.read(&key("a"), Seq::FIRST).await.unwrap();
        assert_eq!(read, (0..=n).map(record).collect::<Vec<_>>());
    }
}

/// A lost answer can be asked for again.
pub async fn equal_bytes_again_succeed<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    for n in [0, 0, 1, 0, 1] {
        log.append(&key("a"), Seq::FIRST.plus(n), record(n)).await.unwrap();
    }
    assert_eq!(log.read(&key("a"), Seq::FIRST).await.unwrap().len(), 2);
}

/// A record never changes.
pub async fn other_bytes_are_refused<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    log.append(&key("a"), Seq::FIRST, record(0)).await.unwrap();
    let error = log.append(&key("a"), Seq::FIRST, record(1)).await.unwrap_err();
    assert!(matches!(error, Error::SeqTaken { seq: Seq::FIRST, .. }), "{error}");
    assert_eq!(log.read(&key("a"), Seq::FIRST).await.unwrap(), [record(0)]);
}

/// Records follow one another without gaps.
pub async fn holes_are_refused<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    for n in [2, 9] {
        let error = log.append(&key("a"), at(n), record(0)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    assert!(log.read(&key("a"), Seq::FIRST).await.unwrap().is_empty());
    log.append(&key("a"), Seq::FIRST, record(0)).await.unwrap();
    let error = log.append(&key("a"), at(3), record(0)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

/// Of any number of writers one wins each record, and all agree on which.
pub async fn one_of_sixteen_wins<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    for round in 0..8 {
        let seq = Seq::FIRST.plus(round);
        let key = key("a");
        let answers = join_all((0..16).map(|n| log.append(&key, seq, record(n)))).await;
        let winners: Vec<usize> = (0..16).filter(|&n| answers[n].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        assert!(
            answers
                .iter()
                .flat_map(|answer| answer.as_ref().err())
                .all(|e| matches!(e, Error::SeqTaken { .. }))
        );
        assert_eq!(log.read(&key, seq).await.unwrap(), [record(winners[0])]);
    }
}

/// Kind and id together name a log, whatever characters they have.
pub async fn logs_with_similar_names_are_different<L: Log>(make: impl AsyncFn() -> L) {
    let log = make().await;
    let long = "x".repeat(255);
    let ids = ["a", "A", "a/b", "a%2Fb", "a=2fb", "a b", "..", ".", "é", "a#1", "~", &long, &long[1..]];
    let mut keys: Vec<LogKey> = ids.map(key).into();
    keys.push(LogKey::new("undo", "a").unwrap());
    keys.push(LogKey::model(&"a".parse().unwrap()));
    for (n, key) in keys.iter().enumerate() {
        log.append(key, Seq::FIRST, record(n)).await.unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(log.read(key, Seq::FIRST).await.unwrap(), [record(n)], "{key}");
    }
}

/// A log longer than any page or window is read whole, and from each place.
pub async fn long_logs_read_from_anywhere<L: Log>(make: impl AsyncFn() -> L) {
    const LENGTH: usize = 130;
    let log = make().await;
    for n in 0..LENGTH {
        log.append(&key("a"), Seq::FIRST.plus(n), record(n)).await.unwrap();
    }
    for from in [0, 1, 7, 8, 31, 32, 63, 64, LENGTH - 1, LENGTH, LENGTH + 5] {
        let read = log.read(&key("a"), Seq::FIRST.plus(from)).await.unwrap();
        assert_eq!(read, (from..LENGTH).map(record).collect::<Vec<_>>(), "from {from}");
    }
}

/// A journal that was overtaken is told so, and goes on after catching up.
pub async fn journals_own_the_log_in_turn<L: Log>(make: impl AsyncFn() -> L) {
    let log: Arc<dyn Log> = Arc::new(make().await);
    let (mut first, records) = Journal::<String>::open(Arc::clone(&log), key("a")).await.unwrap();
    assert!(records.is_empty());
    let (mut second, _) = Journal::<String>::open(Arc::clone(&log), key("a")).await.unwrap();
    first.append(&"one".to_owned()).await.unwrap();
    let error = second.append(&"one".to_owned()).await.unwrap_err();
    assert!(matches!(error, Error::SeqTaken { .. }), "equal records of two writers are two: {error}");
    assert_eq!(second.catch_up().await.unwrap(), ["one"]);
    assert_eq!(second.append(&"two".to_owned()).await.unwrap(), at(2));
    assert!(matches!(first.append(&"two".to_owned()).await.unwrap_err(), Error::SeqTaken { .. }));
    assert_eq!(first.catch_up().await.unwrap(), ["two"]);
    assert_eq!(first.next(), at(3));
}

/// A journal at the end of a log adds to it without reading it, as often as others write to it.
pub async fn journals_stand_behind_what_they_cannot_read<L: Log>(make: impl AsyncFn() -> L) {
    let log: Arc<dyn Log> = Arc::new(make().await);
    let (mut other, _) = Journal::<u64>::open(Arc::clone(&log), key("a")).await.unwrap();
    other.append(&1).await.unwrap();
    log.append(&key("a"), at(2), "not even JSON".into()).await.unwrap();
    let error = Journal::<String>::open(Arc::clone(&log), key("a")).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");

    let mut last = Journal::<String>::at_end(Arc::clone(&log), key("a")).await.unwrap();
    assert_eq!(last.next(), at(3));
    log.append(&key("a"), at(3), record(3)).await.unwrap();
    assert!(matches!(last.append(&"mine".to_owned()).await.unwrap_err(), Error::SeqTaken { .. }));
    last.skip().await.unwrap();
    last.skip().await.unwrap();
    assert_eq!(last.append(&"mine".to_owned()).await.unwrap(), at(4));
    assert_eq!(log.read(&key("a"), Seq::FIRST).await.unwrap().len(), 4);
    let empty = Journal::<String>::at_end(log, key("b")).await.unwrap();
    assert_eq!(empty.next(), Seq::FIRST);
}
