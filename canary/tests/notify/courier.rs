//! Couriers through crashes, outages and each other. Time is virtual.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_canary::{
    AtHorizon, Duty, Entry, Error, Event, OnDrift, Record, Rollout, Sample, WallClock,
    metrics::{Measurement, Missing},
    notify::{Courier, Delivery, Kind, MockRecipient, Notice, Recipient, Severity, Undelivered},
};
use tidegate_registry::{self as registry, InMemory, Log, LogKey, Seq, Snapshot, testkit::Flaky};
use tokio::sync::Notify;

use crate::{bad, entries, lines, promoted, rolled_back, route, walk};

/// What a recipient does with its nth notice at some time.
type Mood = dyn Fn(usize, &Notice, Duration) -> Result<(), Undelivered> + Send + Sync;

#[derive(Clone)]
struct Mailbox {
    taken: Arc<Mutex<Vec<Notice>>>,
    tries: Arc<Mutex<Vec<(Duration, String)>>>,
    mood: Arc<Mood>,
    clock: WallClock,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a mailbox")
    }
}

impl Mailbox {
    fn new(
        mood: impl Fn(usize, &Notice, Duration) -> Result<(), Undelivered> + Send + Sync + 'static,
    ) -> Self {
        let (taken, tries) = Default::default();
        Self { taken, tries, mood: Arc::new(mood), clock: clock() }
    }

    fn glad() -> Self {
        Self::new(|_, _, _| Ok(()))
    }

    fn ids(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|notice| notice.id.clone()).collect()
    }

    /// In the order of their first arrival.
    fn first_arrivals(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for id in self.ids() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    fn tries(&self) -> Vec<(Duration, String)> {
        self.tries.lock().unwrap().clone()
    }
}

#[async_trait]
impl Recipient for Mailbox {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let time = self.clock.now().duration_since(now()).unwrap();
        let n = {
            let mut tries = self.tries.lock().unwrap();
            tries.push((time, notice.id.clone()));
            tries.len() - 1
        };
        // So that others get in between.
        tokio::task::yield_now().await;
        (self.mood)(n, notice, time)?;
        self.taken.lock().unwrap().push(notice.clone());
        Ok(())
    }
}

/// Shortly after the end of the journals that lie in the tree.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_003_000)
}

fn clock() -> WallClock {
    WallClock::starting_at(now())
}

fn down() -> Undelivered {
    Undelivered::Unavailable { recipient: "a mailbox".to_owned(), retry_after: None, source: "closed".into() }
}

async fn append(log: &InMemory, lines: &[String]) {
    let key = route().log_key();
    let mut seq = Seq::FIRST.plus(log.read(&key, Seq::FIRST).await.unwrap().len());
    for line in lines {
        log.append(&key, seq, Bytes::from(line.clone())).await.unwrap();
        seq = seq.next();
    }
}

async fn log_of(name: &str) -> InMemory {
    let log = InMemory::new();
    append(&log, &lines(name)).await;
    log
}

/// Two rollouts, one after the other.
async fn log_of_two() -> InMemory {
    let log = log_of("v1-rolled-back.jsonl").await;
    let mut second = lines("v1-promoted.jsonl");
    second[0] = second[0].replace("ci-8841", "ci-8842");
    append(&log, &second).await;
    log
}

fn courier(log: impl Log, recipient: impl Recipient) -> Courier {
    Courier::new(Arc::new(log), route(), "mail", recipient, clock()).unwrap()
}

fn ids(notices: &[Notice]) -> Vec<String> {
    notices.iter().map(|notice| notice.id.clone()).collect()
}

fn numbers(notices: &[Notice]) -> Vec<u64> {
    notices.iter().map(|notice| notice.seq.get()).collect()
}

async fn given_up(courier: &Courier) -> Vec<u64> {
    let deliveries = courier.deliveries().await.unwrap();
    let seq = |entry: &Entry<Delivery>| match &entry.record {
        Delivery::GaveUp { seq, .. } => Some(seq.get()),
        _ => None,
    };
    deliveries.iter().filter_map(seq).collect()
}

#[tokio::test(start_paused = true)]
async fn everything_is_brought_once_and_in_order() {
    let log = log_of("v1-promoted.jsonl").await;
    let mailbox = Mailbox::glad();
    courier(log.clone(), mailbox.clone()).catch_up().await.unwrap();
    assert_eq!(*mailbox.taken.lock().unwrap(), promoted());
    // Whoever comes next has nothing to do, until something happens.
    courier(log.clone(), mailbox.clone()).catch_up().await.unwrap();
    assert_eq!(mailbox.ids().len(), promoted().len());
    let mut second = lines("v1-rolled-back.jsonl");
    second[0] = second[0].replace("ci-8841", "ci-8842");
    append(&log, &second).await;
    courier(log, mailbox.clone()).catch_up().await.unwrap();
    assert_eq!(mailbox.ids().len(), promoted().len() + rolled_back().len());
    let last = entries("v1-promoted.jsonl").len() + entries("v1-rolled-back.jsonl").len();
    assert_eq!(*mailbox.ids().last().unwrap(), format!("route/serving/fraud/{last}"));
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_runs_brings_what_happens_while_it_does() {
    let log = InMemory::new();
    let mailbox = Mailbox::glad();
    let running = courier(log.clone(), mailbox.clone()).with_pause(Duration::from_secs(2));
    let task = tokio::spawn(async move { running.run().await });
    for line in lines("v1-rolled-back.jsonl") {
        append(&log, &[line]).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    task.abort();
    assert_eq!(mailbox.ids(), ids(&rolled_back()));
    for ((time, _), seq) in mailbox.tries().iter().zip(numbers(&rolled_back())) {
        let written = Duration::from_secs(3 * (seq - 1));
        assert!(*time <= written + Duration::from_secs(2), "{seq} at {time:?}");
    }
}

/// A log whose process is killed at its `nth` append to a cursor: before it takes effect, or after.
#[derive(Debug)]
struct Mortal {
    inner: InMemory,
    nth: usize,
    after: bool,
    count: AtomicUsize,
    dead: Arc<Notify>,
}

#[async_trait]
impl Log for Mortal {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        assert_eq!(key.kind(), "notice", "a courier writes nowhere else");
        let kill = self.count.fetch_add(1, Ordering::SeqCst) == self.nth;
        if !kill || self.after {
            self.inner.append(key, seq, record).await?;
        }
        if kill {
            self.dead.notify_one();
            std::future::pending().await
        }
        Ok(())
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

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_anywhere_is_followed_without_loss() {
    let all = ids(&promoted());
    // One append places the cursor, one follows each notice.
    for nth in 0..=all.len() {
        for after in [false, true] {
            let inner = log_of("v1-promoted.jsonl").await;
            let mailbox = Mailbox::glad();
            let dead = Arc::new(Notify::new());
            let count = AtomicUsize::new(0);
            let mortal = Mortal { inner: inner.clone(), nth, after, count, dead: Arc::clone(&dead) };
            let first = courier(mortal, mailbox.clone());
            tokio::select! {
                end = first.catch_up() => panic!("it is killed at {nth}: {end:?}"),
                () = dead.notified() => {}
            }
            courier(inner, mailbox.clone()).catch_up().await.unwrap();
            assert_eq!(mailbox.first_arrivals(), all, "{nth} {after}");
            // What had been sent and not noted comes twice, and nothing else.
            let twice = usize::from(nth > 0 && !after);
            assert_eq!(mailbox.ids().len(), all.len() + twice, "{nth} {after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_now_and_then_loses_nothing() {
    let mut faults = 0;
    for seed in 0..40 {
        let log = Arc::new(Flaky::new(log_of_two().await, seed, 5));
        let mailbox = Mailbox::glad();
        let courier = courier(Arc::clone(&log), mailbox.clone()).starting_at(Seq::FIRST);
        courier.catch_up().await.unwrap();
        assert_eq!(mailbox.first_arrivals().len(), rolled_back().len() + promoted().len(), "{seed}");
        // A lost answer is no second message.
        assert_eq!(mailbox.first_arrivals(), mailbox.ids(), "{seed}");
        faults += log.faults();
    }
    assert!(faults > 1_000, "{faults}");
}

#[tokio::test(start_paused = true)]
async fn a_recipient_that_is_down_for_long_gets_everything_in_the_end() {
    const HOURS: Duration = Duration::from_secs(20 * 3600);
    let mailbox = Mailbox::new(|_, _, time| if time < HOURS { Err(down()) } else { Ok(()) });
    let courier = courier(log_of("v1-rolled-back.jsonl").await, mailbox.clone());
    courier.catch_up().await.unwrap();
    assert_eq!(mailbox.ids(), ids(&rolled_back()));
    assert_eq!(given_up(&courier).await, [0_u64; 0]);
    let tries = mailbox.tries();
    let pauses: Vec<u64> = tries.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect();
    assert_eq!(pauses[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert!(tries.len() < 260, "{}", tries.len());
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_that_is_noted_and_can_be_made_good() {
    const DAYS: Duration = Duration::from_secs(3 * 86_400);
    let mailbox = Mailbox::new(|_, _, time| if time < DAYS { Err(down()) } else { Ok(()) });
    let courier = courier(log_of("v1-rolled-back.jsonl").await, mailbox.clone());
    courier.catch_up().await.unwrap();
    assert_eq!(mailbox.ids(), [""; 0]);
    assert_eq!(given_up(&courier).await, numbers(&rolled_back()));
    let last = courier.deliveries().await.unwrap().pop().unwrap();
    let Delivery::GaveUp { why, .. } = last.record else { panic!("{last:?}") };
    assert_eq!(why, "a mailbox is unavailable: closed");
    // Once patience is over, each is tried once and given up; before that, only the first.
    assert_eq!(mailbox.tries().iter().filter(|(_, id)| id.ends_with("/3")).count(), 1);
    let waited = last.at.duration_since(now()).unwrap();
    assert!(waited >= Duration::from_secs(86_400) && waited < Duration::from_secs(87_000), "{waited:?}");
    tokio::time::sleep(DAYS).await;
    courier.catch_up().await.unwrap();
    assert_eq!(mailbox.ids(), [""; 0], "what was given up is over");
    courier.replay_from(Seq::new(5).unwrap(), "ada").await.unwrap();
    courier.catch_up().await.unwrap();
    assert_eq!(mailbox.ids(), ids(&rolled_back()[2..]));
}

/// What happened only just now is not given up, whatever befell what was before it.
#[tokio::test(start_paused = true)]
async fn what_is_young_is_kept_however_long_the_recipient_is_down() {
    const DAYS: Duration = Duration::from_secs(3 * 86_400);
    let log = log_of("v1-rolled-back.jsonl").await;
    let mailbox = Mailbox::new(|_, _, time| if time < DAYS { Err(down()) } else { Ok(()) });
    let running = courier(log.clone(), mailbox.clone());
    let task = tokio::spawn(async move { running.run().await });
    tokio::time::sleep(DAYS - Duration::from_secs(3600)).await;
    let at = humantime::format_rfc3339_seconds(now() + DAYS - Duration::from_secs(3600));
    let seize = format!(r#"{{"record":{{"at":"{at}","seize":{{"by":"rb-1"}}}},"txn":"","v":1}}"#);
    append(&log, &[seize]).await;
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    task.abort();
    let seized = entries("v1-rolled-back.jsonl").len() + 1;
    assert_eq!(mailbox.ids(), [format!("route/serving/fraud/{seized}")]);
}

#[tokio::test(start_paused = true)]
async fn what_a_recipient_asks_for_is_kept() {
    let wait = |seconds| Undelivered::Unavailable {
        recipient: "a mailbox".to_owned(),
        retry_after: Some(Duration::from_secs(seconds)),
        source: "busy".into(),
    };
    let refused = || Undelivered::Refused { recipient: "a mailbox".to_owned(), source: "revoked".into() };
    let mailbox = Mailbox::new(move |n, _, _| match n {
        0 => Err(wait(90)),
        1 => Err(wait(0)),
        2 => Err(wait(1_000_000)),
        3 => Err(refused()),
        _ => Ok(()),
    });
    courier(log_of("v1-rolled-back.jsonl").await, mailbox.clone()).catch_up().await.unwrap();
    let at: Vec<u64> = mailbox.tries().iter().map(|(time, _)| time.as_secs()).collect();
    assert_eq!(
        at[..5],
        [0, 90, 92, 3_692, 3_992],
        "no more than an hour at a time, and no hurry while refused"
    );
    assert_eq!(mailbox.ids(), ids(&rolled_back()));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_rejected_holds_up_no_other() {
    let mailbox = Mailbox::new(|_, notice, _| match notice.kind {
        Kind::Returning => {
            Err(Undelivered::Rejected { recipient: "a mailbox".to_owned(), source: "too long".into() })
        }
        _ => Ok(()),
    });
    let courier = courier(log_of("v1-rolled-back.jsonl").await, mailbox.clone());
    courier.catch_up().await.unwrap();
    assert_eq!(given_up(&courier).await, [bad().seq.get()]);
    assert_eq!(mailbox.ids().len(), rolled_back().len() - 1);
    assert_eq!(mailbox.tries().last().unwrap().0, Duration::ZERO, "nothing was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_dead_recipient_holds_up_nobody_else() {
    let log = log_of("v1-promoted.jsonl").await;
    let dead = Mailbox::new(|_, _, _| Err(down()));
    let mock = {
        let mut mock = MockRecipient::new();
        mock.expect_deliver().returning(|_| Err(down()));
        mock
    };
    let glad = Mailbox::glad();
    let name = |name: &str, recipient: Arc<dyn Recipient>| {
        Courier::new(Arc::new(log.clone()), route(), name, recipient, clock()).unwrap()
    };
    let couriers = [
        name("dead", Arc::new(dead.clone())),
        name("mock", Arc::new(mock)),
        name("glad", Arc::new(glad.clone())),
    ];
    let all = futures::future::join_all(couriers.iter().map(Courier::run));
    assert!(tokio::time::timeout(Duration::from_secs(60), all).await.is_err(), "they run");
    assert_eq!(glad.ids(), ids(&promoted()));
    assert_eq!(glad.tries().last().unwrap().0, Duration::ZERO);
    assert!(dead.tries().iter().all(|(_, id)| id.ends_with("/1")));
}

/// One that never answers.
#[derive(Debug)]
struct Silent(Mailbox, AtomicUsize);

#[async_trait]
impl Recipient for Silent {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        if self.1.fetch_add(1, Ordering::SeqCst) < 2 {
            std::future::pending::<()>().await;
        }
        self.0.deliver(notice).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_recipient_that_never_answers_is_asked_again() {
    let mailbox = Mailbox::glad();
    let silent = Silent(mailbox.clone(), AtomicUsize::new(0));
    courier(log_of("v1-promoted.jsonl").await, silent).catch_up().await.unwrap();
    assert_eq!(mailbox.ids(), ids(&promoted()));
    assert_eq!(mailbox.tries()[0].0, Duration::from_secs(60 + 1 + 60 + 2));
}

#[tokio::test(start_paused = true)]
async fn several_at_once_lose_nothing_and_keep_the_order_of_first_arrivals() {
    let all = {
        let mailbox = Mailbox::glad();
        courier(log_of_two().await, mailbox.clone()).starting_at(Seq::FIRST).catch_up().await.unwrap();
        mailbox.ids()
    };
    let mut doubles = 0;
    for seed in 0..60 {
        let log = Arc::new(Flaky::new(log_of_two().await, seed, 7));
        let mailbox = Mailbox::new(move |n, _, _| {
            if fastrand::Rng::with_seed(seed * 1_000 + n as u64).u32(0..3) == 0 {
                Err(down())
            } else {
                Ok(())
            }
        });
        let couriers: Vec<Courier> =
            (0..3).map(|_| courier(Arc::clone(&log), mailbox.clone()).starting_at(Seq::FIRST)).collect();
        for end in futures::future::join_all(couriers.iter().map(Courier::catch_up)).await {
            end.unwrap();
        }
        assert_eq!(mailbox.first_arrivals(), all, "{seed}");
        doubles += mailbox.ids().len() - all.len();
        // And whoever comes after them finds nothing left to do.
        let before = mailbox.ids().len();
        courier(log.inner().clone(), mailbox.clone()).catch_up().await.unwrap();
        assert_eq!(mailbox.ids().len(), before, "{seed}");
    }
    assert!(doubles > 0, "they have been at it at once");
}

#[tokio::test(start_paused = true)]
async fn a_new_recipient_begins_with_the_latest_rollout_and_misses_none_from_then_on() {
    let log = log_of_two().await;
    let mailbox = Mailbox::new(|_, _, time| if time < Duration::from_secs(5) { Err(down()) } else { Ok(()) });
    let first = courier(log.clone(), mailbox.clone());
    // It is killed before it has brought anything, and another rollout is opened meanwhile.
    assert!(tokio::time::timeout(Duration::from_secs(2), first.run()).await.is_err());
    let mut third = lines("v1-rolled-back.jsonl");
    third[0] = third[0].replace("ci-8841", "ci-8843");
    append(&log, &third).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    courier(log, mailbox.clone()).catch_up().await.unwrap();
    assert_eq!(mailbox.ids().len(), promoted().len() + rolled_back().len());
    let second = entries("v1-rolled-back.jsonl").len() + 1;
    assert_eq!(mailbox.ids()[0], format!("route/serving/fraud/{second}"));
    let rollouts =
        mailbox.taken.lock().unwrap().iter().map(|notice| notice.rollout.clone()).collect::<Vec<_>>();
    assert_eq!(rollouts[0].as_ref().unwrap().to_string(), "ci-8842");
    assert_eq!(rollouts.last().unwrap().as_ref().unwrap().to_string(), "ci-8843");
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_runs_notices_that_it_is_set_back() {
    let log = log_of("v1-rolled-back.jsonl").await;
    let mailbox = Mailbox::glad();
    let running = courier(log.clone(), mailbox.clone());
    let task = tokio::spawn({
        let running = running.clone();
        async move { running.run().await }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let end = entries("v1-rolled-back.jsonl").len() as u64;
    running.replay_from(bad().seq, "ada").await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Forward, too: what has not happened yet is not told before that record.
    running.replay_from(Seq::new(end + 3).unwrap(), "ada").await.unwrap();
    let mut second = lines("v1-promoted.jsonl");
    second[0] = second[0].replace("ci-8841", "ci-8842");
    append(&log, &second[..5]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    task.abort();
    let mut expected = numbers(&rolled_back());
    expected.extend(numbers(&rolled_back()).into_iter().filter(|seq| *seq >= bad().seq.get()));
    expected.extend([end + 3, end + 5]);
    assert_eq!(numbers(&mailbox.taken.lock().unwrap()), expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_severe_enough_is_brought_and_what_ends_an_incident() {
    let mailbox = Mailbox::glad();
    let courier = courier(log_of("v1-rolled-back.jsonl").await, mailbox.clone());
    courier.with_least(Severity::Critical).catch_up().await.unwrap();
    let kinds: Vec<Kind> = mailbox.taken.lock().unwrap().iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [Kind::Returning, Kind::RolledBack]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_told_and_one_of_a_later_format_is_waited_with() {
    let mut damaged = lines("v1-promoted.jsonl");
    damaged[3] = "{\"v\":1,\"record\":{".to_owned();
    let log = InMemory::new();
    append(&log, &damaged).await;
    let mailbox = Mailbox::glad();
    courier(log, mailbox.clone()).catch_up().await.unwrap();
    let taken = mailbox.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 3, "{taken:?}");
    assert_eq!((taken[2].kind, taken[2].severity), (Kind::Broken, Severity::Critical));
    assert_eq!(taken[2].id, "route/serving/fraud/4");

    let mut newer = lines("v1-promoted.jsonl");
    newer[3] = newer[3].replace("\"v\":1", "\"v\":2");
    let log = InMemory::new();
    append(&log, &newer).await;
    let mailbox = Mailbox::glad();
    let error = courier(log, mailbox.clone()).run().await;
    assert!(matches!(error, Error::Journal(registry::Error::TooNew { .. })), "{error}");
    assert_eq!(mailbox.ids().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn names_are_such_that_no_two_logs_are_the_same() {
    for name in ["", "Slack", "a/b", "a b", &"a".repeat(41)] {
        let error =
            Courier::new(Arc::new(InMemory::new()), route(), name, Mailbox::glad(), clock()).unwrap_err();
        assert!(error.to_string().contains("1 to 40"), "{error}");
    }
    let long: tidegate_canary::RouteId = "r".repeat(200).parse().unwrap();
    let name = "n".repeat(40);
    drop(Courier::new(Arc::new(InMemory::new()), long, &name, Mailbox::glad(), clock()).unwrap());
}

/// A log that counts what is asked of it.
#[derive(Debug)]
struct Counted {
    inner: InMemory,
    at_once: AtomicUsize,
    most: AtomicUsize,
    asked: Mutex<BTreeMap<&'static str, usize>>,
}

impl Counted {
    fn new(inner: InMemory) -> Self {
        let (at_once, most, asked) = Default::default();
        Self { inner, at_once, most, asked }
    }

    fn count(&self, what: &'static str) {
        *self.asked.lock().unwrap().entry(what).or_default() += 1;
    }

    fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Log for Counted {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> registry::Result<()> {
        self.count("append");
        self.inner.append(key, seq, record).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> registry::Result<Vec<Bytes>> {
        assert_eq!(key.kind(), "notice", "a journal is never read as a whole");
        let records = self.inner.read(key, from).await?;
        self.most.fetch_max(records.len(), Ordering::SeqCst);
        Ok(records)
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> registry::Result<Option<Bytes>> {
        self.count("record");
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let record = self.inner.record(key, seq).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        record
    }

    async fn snapshot(&self, key: &LogKey) -> registry::Result<Option<Snapshot>> {
        self.inner.snapshot(key).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> registry::Result<()> {
        self.count("keep");
        self.inner.keep(key, snapshot).await
    }
}

/// A rollout that was watched for 10 000 windows without a source of metrics that knew anything.
fn long_journal() -> Vec<String> {
    let plan = walk::plan(AtHorizon::Hold, OnDrift::Reassert);
    let mut rollout = Rollout::new(plan.clone());
    let mut at = now();
    let mut records = vec![Record::Open { id: "ci-1".parse().unwrap(), plan: Box::new(plan) }];
    let mut times = vec![at];
    while records.len() < 10_000 {
        let event = match rollout.duty() {
            Duty::Observe { window, .. } => {
                let candidate = Measurement::Missing(Missing::NoData);
                Event::Observed { window, samples: vec![Sample { candidate, baseline: None }] }
            }
            _ => walk::good(&rollout),
        };
        at = walk::when(&rollout, at);
        rollout.apply(&event, at).unwrap();
        records.push(Record::Happen(event));
        times.push(at);
    }
    let line = |(record, at): (Record, SystemTime)| {
        let record = serde_json::to_value(Entry { at, record }).unwrap();
        serde_json::json!({"v": 1, "txn": "", "record": record}).to_string()
    };
    records.into_iter().zip(times).map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_long_journal_is_read_piece_by_piece() {
    let inner = InMemory::new();
    append(&inner, &long_journal()).await;
    let log = Arc::new(Counted::new(inner));
    let mailbox = Mailbox::glad();
    let courier = courier(Arc::clone(&log), mailbox.clone());
    courier.catch_up().await.unwrap();
    let kinds: Vec<Kind> = mailbox.taken.lock().unwrap().iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Ready, Kind::StepBegun, Kind::Paused]);
    assert_eq!(log.most.load(Ordering::SeqCst), 16, "no more records than these are held at once");
    // Once to find where to begin, and once to tell.
    assert!(log.asked("record") < 20_100, "{}", log.asked("record"));
    let passed = courier.deliveries().await.unwrap();
    let passed = passed.iter().filter(|entry| matches!(entry.record, Delivery::Passed { .. })).count();
    assert_eq!(passed, 9);
    // At the end a look costs next to nothing.
    let before = log.asked("record");
    let _running = tokio::time::timeout(Duration::from_secs(50), courier.run()).await;
    let again = log.asked("record") - before;
    assert!(again < 10_000 + 100, "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_is_years_old_is_found_at_once() {
    let log = log_of("v1-promoted.jsonl").await;
    let mailbox = Mailbox::glad();
    let courier = |log| courier(log, mailbox.clone());
    let counted = Arc::new(Counted::new(log));
    for _ in 0..40 {
        courier(Arc::clone(&counted)).catch_up().await.unwrap();
        courier(Arc::clone(&counted)).replay_from(Seq::FIRST, "ada").await.unwrap();
    }
    let deliveries = courier(Arc::clone(&counted)).deliveries().await.unwrap();
    assert_eq!(deliveries.len(), 1 + 40 * (promoted().len() + 1));
    assert_eq!(counted.asked("keep"), deliveries.len() / 64);
    counted.most.store(0, Ordering::SeqCst);
    courier(Arc::clone(&counted)).catch_up().await.unwrap();
    let most = counted.most.load(Ordering::SeqCst);
    assert!(most <= 64, "{most}");
    assert_eq!(mailbox.ids().len(), 41 * promoted().len());
}

/// Records of the cursor are for ever.
#[test]
fn the_form_of_a_cursor_is_kept() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let (seq, opened) = (Seq::new(7).unwrap(), Seq::new(5));
    let written = [
        (
            Delivery::Delivered { seq, opened },
            r#"{"at":"1970-01-12T13:46:40Z","delivered":{"seq":7,"opened":5}}"#,
        ),
        (
            Delivery::GaveUp { seq, opened: None, why: "closed".to_owned() },
            r#"{"at":"1970-01-12T13:46:40Z","gaveUp":{"seq":7,"why":"closed"}}"#,
        ),
        (Delivery::Passed { seq, opened }, r#"{"at":"1970-01-12T13:46:40Z","passed":{"seq":7,"opened":5}}"#),
        (
            Delivery::Placed { next: seq, by: "ada".to_owned() },
            r#"{"at":"1970-01-12T13:46:40Z","placed":{"next":7,"by":"ada"}}"#,
        ),
    ];
    for (record, text) in written {
        let entry = Entry { at, record };
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
        assert_eq!(serde_json::from_str::<Entry<Delivery>>(text).unwrap(), entry);
    }
}
