//! A watch sees what is wrong, says when it sees nothing, and goes back once.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;
mod ward;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use stage::{Killed, Requests, Stage};
use tidegate_canary::{
    Answer, BoxError, Driver, Gatekeeper, Question, State as RolloutState, World,
    metrics::{self, Criterion, Measurement, Metric, MetricsSource, Observation, Selector, Verdict, Window},
};
use tidegate_registry::{
    self as registry, ByteStream, Cause, Channel, Content, Draft, Expect, FilePath, Filter, InMemory,
    Lifecycle, Log, LogKey, Manifest, ModelName, ModelRef, ModelStore, OpenOptions, Progress, Published,
    Stamp,
};
use tidegate_rollback::{
    Confirm, Error, Guard, Intent, Look, OnBlind, Order, PassedOver, Record, Unfit, Verification, VigilEvent,
    VigilRequest, Vigilance, Watch,
};
use ward::{GOOD, Health, Shown, assert_serving, guard, ledger, promoted, state, watch, world};

#[tokio::test(start_paused = true)]
async fn a_release_that_falls_ill_is_brought_back_and_put_into_quarantine() {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching);
    let ill = stage.clock.now();
    health.is(Shown::Ill);
    let end = watching.await.unwrap().unwrap();
    let Vigilance::Returned { done: true, end: words, .. } = &end else { panic!("{end}") };
    assert_eq!(words, "done, and was seen to help");
    assert_serving(&stage, &stage.stable).await;
    let moved = stage.moves().await.pop().unwrap();
    assert!(moved.stamp.at.duration_since(ill).unwrap() < Duration::from_secs(121), "{moved:?}");
    assert!(matches!(moved.cause, Cause::Rollback { reason, .. } if reason.starts_with("errors")));
    let quarantined = Lifecycle::new(Arc::new(stage.store.clone()));
    let quarantined = quarantined.quarantines(stage.stable.model.name()).await.unwrap();
    assert!(quarantined.contains_key(&stage.candidate.digest));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_stays_well_is_settled() {
    let (stage, health) = (Stage::new(GOOD).await, Health::default());
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let (to, production) = (&stage.candidate.model, Channel::production());
    stage.channels().promote(to, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let end = guard(world(&stage, &health), watch(&stage)).await.unwrap().run().await.unwrap();
    assert_eq!(end, Vigilance::Kept { verdict: Verdict::Pass });
    assert!(stage.moves().await.last().unwrap().settled.is_some());
}

#[tokio::test(start_paused = true)]
async fn no_data_is_never_health() {
    let (stage, health) = (Stage::new(GOOD).await, Health::default());
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let (to, production) = (&stage.candidate.model, Channel::production());
    stage.channels().promote(to, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(300)).await;
    health.is(Shown::Nothing);
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching, "one window without requests wakes nobody");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(matches!(state(&stage).await, Vigilance::Blind { .. }));
    health.is(Shown::Well);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(state(&stage).await, Vigilance::Watching);
    // By the default policy it only says so, to the end.
    health.is(Shown::Nothing);
    let end = watching.await.unwrap().unwrap();
    assert_eq!(end, Vigilance::Kept { verdict: Verdict::Inconclusive });
    assert_eq!(stage.moves().await.last().unwrap().settled, None, "what was not seen is not settled");
}

#[tokio::test(start_paused = true)]
async fn a_blind_watch_may_go_back_after_its_patience_and_accuses_nobody() {
    let (stage, health) = promoted().await;
    let watch = Watch { on_blind: OnBlind::RollBack, ..watch(&stage) };
    let watching = tokio::spawn(guard(world(&stage, &health), watch).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(300)).await;
    let blind = stage.clock.now();
    health.is(Shown::Nothing);
    let end = watching.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    let moved = stage.moves().await.pop().unwrap();
    let after = moved.stamp.at.duration_since(blind).unwrap();
    assert!(after >= Duration::from_secs(300) && after < Duration::from_secs(480), "{after:?}");
    assert!(
        matches!(moved.cause, Cause::Rollback { reason, .. } if reason.starts_with("nothing was seen for 5m"))
    );
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    assert!(lifecycle.quarantines(stage.stable.model.name()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn as_many_looks_have_to_fail_as_are_wanted() {
    let (stage, health) = promoted().await;
    let watch =
        Watch { confirm: Confirm { looks: 3, of: 4 }, span: Duration::from_secs(30), ..watch(&stage) };
    let watching = tokio::spawn(guard(world(&stage, &health), watch).await.unwrap().run());
    for _ in 0..4 {
        // Two bad looks, then three good ones.
        health.is(Shown::Ill);
        tokio::time::sleep(Duration::from_secs(60)).await;
        health.is(Shown::Well);
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(state(&stage).await, Vigilance::Watching);
    }
    health.is(Shown::Ill);
    let end = watching.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
}

/// Whoever draws a picture of a watch sees what it sees, and what it makes of that.
#[tokio::test(start_paused = true)]
async fn onlookers_see_each_look_and_what_was_kept_and_judge_as_the_watch_does() {
    let (stage, health) = promoted().await;
    let shown: Arc<Mutex<Vec<Vec<Look>>>> = Arc::default();
    let open = async || {
        let shown = Arc::clone(&shown);
        let guard = guard(world(&stage, &health), watch(&stage)).await.unwrap();
        guard.on_look(move |looks| shown.lock().unwrap().push(looks.to_vec()))
    };
    let watching = tokio::spawn(open().await.run());
    tokio::time::sleep(Duration::from_secs(305)).await;
    watching.abort();
    let _killed = watching.await;
    let before = std::mem::take(&mut *shown.lock().unwrap());
    let lengths: Vec<usize> = before.iter().map(Vec::len).collect();
    assert_eq!(lengths, (1..=before.len()).collect::<Vec<_>>(), "one more with each look, up to a span");
    assert!(before.len() >= 9, "{}", before.len());

    let watching = tokio::spawn(open().await.run());
    tokio::time::sleep(Duration::from_secs(35)).await;
    let first = shown.lock().unwrap()[0].clone();
    assert!(first.len() > 1, "what was kept is seen, too");
    health.is(Shown::Ill);
    let _end = watching.await.unwrap().unwrap();
    let shown = shown.lock().unwrap().clone();
    assert!(shown.iter().all(|looks| looks.len() <= 10), "a span has ten windows");
    let alarm = ledger(&stage).await.lines().iter().find_map(|line| match &line.record {
        Record::Happen(VigilEvent::Alarmed { why, looks, .. }) => Some((why.clone(), looks.clone())),
        _ => None,
    });
    let (why, looks) = alarm.unwrap();
    assert_eq!(shown.last().unwrap(), &looks);
    let judged = watch(&stage).judge(&looks).unwrap();
    let failed: Vec<String> =
        judged.iter().filter(|judged| judged.verdict == Verdict::Fail).map(ToString::to_string).collect();
    assert_eq!(failed, why);
    assert_eq!(watch(&stage).evidence(0, &looks).windows().count(), looks.len());
    assert_eq!(watch(&stage).evidence(1, &looks).windows().count(), 0, "it has one criterion");
    let blind = Watch { criteria: Vec::new(), ..watch(&stage) };
    assert!(blind.judge(&looks).is_err());
}

/// A system that says when something is wrong.
#[derive(Clone, Debug, Default)]
struct Alertmanager(Arc<AtomicBool>);

#[async_trait]
impl Gatekeeper for Alertmanager {
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        assert_eq!(question.gate, "alertmanager");
        Ok(match self.0.load(Ordering::SeqCst) {
            true => Answer::Shut { reason: "HighErrorRate fires".to_owned() },
            false => Answer::Open,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn another_system_may_raise_the_alarm() {
    let (stage, health) = promoted().await;
    let alerts = Alertmanager::default();
    let mut world = world(&stage, &health);
    world.gates.insert("alertmanager".to_owned(), Arc::new(alerts.clone()));
    let watch = Watch { alarms: vec!["alertmanager".to_owned()], ..watch(&stage) };
    let watching = tokio::spawn(guard(world, watch).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(120)).await;
    alerts.0.store(true, Ordering::SeqCst);
    let end = watching.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    let moved = stage.moves().await.pop().unwrap();
    assert!(
        matches!(moved.cause, Cause::Rollback { reason, .. } if reason == "alertmanager: HighErrorRate fires")
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_decides_over_it() {
    let (stage, health) = promoted().await;
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let ask = async |request| ledger(&stage).await.ask(request, stage.clock.now()).await;
    let by = || "ada".to_owned();
    ask(VigilRequest::Hold { by: by(), reason: "a migration runs".to_owned() }).await.unwrap();
    health.is(Shown::Ill);
    tokio::time::sleep(Duration::from_secs(1800)).await;
    assert!(matches!(state(&stage).await, Vigilance::Held { by: Some(by), .. } if by == "ada"));
    assert_serving(&stage, &stage.candidate).await;
    // An alarm is written down, and changes nothing.
    ask(VigilRequest::Alarm { by: "pager".to_owned(), reason: "it burns".to_owned() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_serving(&stage, &stage.candidate).await;
    ask(VigilRequest::RollBack { by: by(), reason: "it is over".to_owned() }).await.unwrap();
    let end = watching.await.unwrap().unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    assert_serving(&stage, &stage.stable).await;
    let refused = ask(VigilRequest::Resume { by: by() }).await.unwrap_err();
    assert!(refused.to_string().contains("open a new one"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_was_gone_back_to_is_not_left_for_a_third_version() {
    let (stage, health) = promoted().await;
    let first = guard(world(&stage, &health), watch(&stage)).await.unwrap();
    health.is(Shown::Ill);
    assert!(matches!(first.run().await.unwrap(), Vigilance::Returned { done: true, .. }));
    // Forth again by rolling back the rollback, as a person did; and it is ill again.
    let watch = Watch { release: stage.stable.clone(), ..watch(&stage) };
    let ill = World { metrics: Arc::new(AllIll), ..stage.world() };
    let guard = Guard::open(ill, "watch-2".parse().unwrap(), watch).await.unwrap();
    let watching = tokio::spawn(guard.run());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let held = state(&stage).await;
    assert!(matches!(&held, Vigilance::Held { why, by: None } if why.contains("a third version")), "{held}");
    assert_serving(&stage, &stage.stable).await;
    watching.abort();
}

#[derive(Debug)]
struct AllIll;

#[async_trait]
impl MetricsSource for AllIll {
    async fn observe(&self, _: &Metric, _: &Selector, _: Window) -> Result<Measurement, metrics::Error> {
        Ok(Observation::proportion(400, 1_000).unwrap().into())
    }
}

impl fmt::Display for AllIll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is all ill")
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_nowhere_to_go_it_says_so_and_waits() {
    let (stage, health) = promoted().await;
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    lifecycle.quarantine(&stage.stable.model, "a backdoor", stamp).await.unwrap();
    health.is(Shown::Ill);
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let held = state(&stage).await;
    assert!(
        matches!(&held, Vigilance::Held { why, .. } if why.contains("is in quarantine: a backdoor")),
        "{held}"
    );
    assert_serving(&stage, &stage.candidate).await;
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_write_it_goes_back_once() {
    // Its open, its alarm, its order; the rollback's and the route's; and its end.
    for nth in 0..19 {
        for after in [false, true] {
            let (stage, health) = promoted().await;
            health.is(Shown::Ill);
            let log = Killed { inner: stage.store.clone(), nth, after, count: 0.into() };
            let killed = async {
                let world = World { log: Arc::new(log), ..world(&stage, &health) };
                guard(world, watch(&stage)).await?.run().await
            };
            assert!(killed.await.is_err(), "write {nth} was not the last");
            let end = guard(world(&stage, &health), watch(&stage)).await.unwrap().run().await.unwrap();
            assert!(
                matches!(end, Vigilance::Returned { done: true, .. }),
                "killed at write {nth}, {after}: {end}"
            );
            assert_serving(&stage, &stage.stable).await;
            assert_eq!(stage.moves().await.len(), 3, "killed at write {nth}, after: {after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_guard_takes_the_watch_over_with_what_was_seen() {
    let (stage, health) = promoted().await;
    // An alarm takes most of a span of bad looks here, so forgetting some would be late.
    let watch = Watch { confirm: Confirm { looks: 8, of: 10 }, ..watch(&stage) };
    let first = tokio::spawn(guard(world(&stage, &health), watch.clone()).await.unwrap().run());
    tokio::time::sleep(Duration::from_secs(10)).await;
    health.is(Shown::Ill);
    tokio::time::sleep(Duration::from_secs(180)).await;
    let second = tokio::spawn(guard(world(&stage, &health), watch).await.unwrap().run());
    let superseded = tokio::time::timeout(Duration::from_secs(5), first).await.unwrap().unwrap();
    assert!(matches!(superseded, Err(Error::Superseded)), "{superseded:?}");
    // What the first had kept, and what was not kept but can be asked for again.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(
        second.is_finished() || !matches!(state(&stage).await, Vigilance::Watching),
        "{}",
        state(&stage).await
    );
    second.await.unwrap().unwrap();
    assert_eq!(stage.moves().await.len(), 3);
    let kept = stage.store.snapshot(&LogKey::new("watch", "serving/fraud").unwrap()).await.unwrap();
    assert!(kept.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_watch_and_a_rollout_on_one_route() {
    let (stage, health) = promoted().await;
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let mut spec = stage.spec();
    (spec.stable, spec.candidate) = (stage.candidate.clone(), next);
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    let (driver, _handle) =
        Driver::open(stage.world(), "ci-2".parse().unwrap(), spec.build().unwrap()).await.unwrap();
    let rolling = tokio::spawn(driver.run());
    tokio::time::sleep(Duration::from_secs(45)).await;
    health.is(Shown::Ill);
    let end = watching.await.unwrap().unwrap();
    // What is in service is ill, and what is tried instead is not trusted with everything: the last good version is
    // older than both.
    assert!(matches!(end, Vigilance::Returned { .. }), "{end}");
    assert!(matches!(rolling.await.unwrap(), Err(tidegate_canary::Error::Superseded)));
}

#[tokio::test(start_paused = true)]
async fn it_ends_where_the_channel_has_moved_on() {
    let (stage, health) = promoted().await;
    health.is(Shown::Ill);
    let next = stage::publish(&stage.store, "fraud@1.2.0", stage.clock.now()).await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let production = Channel::production();
    stage.channels().promote(&next.model, &production, &Expect::Any, Cause::Promote, stamp).await.unwrap();
    let end = guard(world(&stage, &health), watch(&stage)).await.unwrap().run().await.unwrap();
    assert_eq!(end, Vigilance::Moved { to: Some(next.model) });
}

/// What the version before has shown while it was replaced, here five failures in a thousand, is what the new one is
/// compared with: forty in a thousand keep every fixed limit and are still far worse.
#[tokio::test(start_paused = true)]
async fn a_release_is_compared_with_what_the_one_before_has_shown() {
    let stage = Stage::new(GOOD).await;
    assert_eq!(stage.run().await.unwrap(), RolloutState::Promoted);
    let route = stage.plan().route.clone();
    let journal = tidegate_canary::RouteJournal::open(Arc::new(stage.store.clone()), &route).await.unwrap();
    let (_, rollout) = journal.latest().unwrap();
    let mut watch = watch(&stage);
    watch.criteria = vec![Criterion::compare(Metric::errors()).with_alpha(0.001)];
    assert!(watch.check().unwrap_err().to_string().contains("reference[0]"));
    let watch = watch.with_reference(rollout);
    assert!(watch.reference[0].len() >= 10, "{}", watch.reference[0].len());

    let ill = stage.world_on(Arc::new(stage.store.clone()));
    let worse = stage::Split {
        requests: Requests { stable_errors: 2, candidate_errors: 40 },
        router: stage.router.clone(),
    };
    let ill = World { metrics: Arc::new(worse), ..ill };
    let end = guard(ill, watch).await.unwrap().run().await.unwrap();
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_could_see_nothing_is_refused() {
    let (stage, health) = promoted().await;
    let refused = async |change: &dyn Fn(&mut Watch)| {
        let mut watch = watch(&stage);
        change(&mut watch);
        guard(world(&stage, &health), watch).await.unwrap_err().to_string()
    };
    assert!(refused(&|watch| watch.criteria.clear()).await.contains("neither criteria nor alarms"));
    assert!(refused(&|watch| watch.window = Duration::ZERO).await.contains("window"));
    assert!(refused(&|watch| watch.confirm.looks = 0).await.contains("confirm is 0 of 1"));
    assert!(refused(&|watch| watch.lasts = Duration::MAX).await.contains("longer than a year"));
    assert!(refused(&|watch| watch.drain = Duration::MAX).await.contains("longer than a year"));
    assert!(ledger(&stage).await.lines().is_empty());
    let asked =
        ledger(&stage).await.ask(VigilRequest::Resume { by: "ada".to_owned() }, stage.clock.now()).await;
    assert!(matches!(asked, Err(Error::NothingOpened { kind: "watch" })));
}

/// A store in which something has become of the bytes of all versions.
#[derive(Debug)]
struct Rotten {
    inner: InMemory,
    rot: Rot,
    reads: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
enum Rot {
    None,
    Others,
    NeverCome,
    /// So many times it takes long to say what the version to go back to is.
    Late(usize),
    /// An artifact is gone, though it is known that there was one.
    Lost,
}

impl Rotten {
    fn new(stage: &Stage, rot: Rot) -> Arc<Self> {
        Arc::new(Self { inner: stage.store.clone(), rot, reads: AtomicUsize::new(0) })
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ModelStore for Rotten {
    async fn publish(
        &self,
        draft: Draft,
        content: Content,
        progress: &dyn Progress,
    ) -> registry::Result<Manifest> {
        self.inner.publish(draft, content, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> registry::Result<Manifest> {
        match self.rot {
            Rot::Lost if model.version().to_string() == "1.0.0" => Err(registry::Error::Corrupt {
                what: format!("the manifest of {model}"),
                source: "404 Not Found".into(),
            }),
            Rot::Late(times) if model.version().to_string() == "1.0.0" => {
                if self.reads.fetch_add(1, Ordering::SeqCst) < times {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                }
                self.inner.manifest(model).await
            }
            _ => self.inner.manifest(model).await,
        }
    }

    async fn open(
        &self,
        model: &ModelRef,
        file: &FilePath,
        options: OpenOptions,
    ) -> registry::Result<ByteStream> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let bytes = self.inner.open(model, file, options).await?;
        Ok(match self.rot {
            Rot::None | Rot::Lost | Rot::Late(_) => bytes,
            Rot::Others => bytes.map(|chunk| Ok(chunk?.iter().map(|byte| !byte).collect())).boxed(),
            Rot::NeverCome => std::future::pending().await,
        })
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, registry::Result<Published>> {
        self.inner.versions(name, filter)
    }

    fn models(&self) -> BoxStream<'_, registry::Result<ModelName>> {
        self.inner.models()
    }
}

impl fmt::Display for Rotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.inner, self.rot)
    }
}

/// What the watch has written down of what it passed over when it held.
async fn passed_over(stage: &Stage) -> Vec<(ModelRef, PassedOver)> {
    let ledger = ledger(stage).await;
    let held = ledger.lines().iter().rev().find_map(|line| match &line.record {
        Record::Happen(VigilEvent::Held { passed_over, .. }) => Some(passed_over.clone()),
        _ => None,
    });
    held.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_found_to_be_damaged_is_not_gone_back_to() {
    for verify in [Verification::Ahead, Verification::Before, Verification::Never] {
        let (stage, health) = promoted().await;
        let store = Rotten::new(&stage, Rot::Others);
        let world = World { store: Arc::clone(&store) as _, ..world(&stage, &health) };
        let watching = tokio::spawn(guard(world, Watch { verify, ..watch(&stage) }).await.unwrap().run());
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(state(&stage).await, Vigilance::Watching, "what is damaged is no alarm");
        assert_eq!(store.reads() > 0, verify != Verification::Never, "{verify:?}");
        health.is(Shown::Ill);
        tokio::time::sleep(Duration::from_secs(600)).await;
        if verify == Verification::Never {
            let end = watching.await.unwrap().unwrap();
            assert!(matches!(end, Vigilance::Returned { done: true, .. }), "whoever runs it looks: {end}");
            continue;
        }
        let held = state(&stage).await;
        assert!(matches!(&held, Vigilance::Held { why, .. } if why.contains("is damaged")), "{held}");
        let passed_over = passed_over(&stage).await;
        let [(_, PassedOver::InService), (model, PassedOver::Unfit(Unfit::Damaged { .. }))] = &*passed_over
        else {
            panic!("{passed_over:?}")
        };
        assert_eq!(model, &stage.stable.model);
        assert_serving(&stage, &stage.candidate).await;
        watching.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_the_registry_has_lost_is_known_to_be() {
    let (stage, health) = promoted().await;
    let world = World { store: Rotten::new(&stage, Rot::Lost) as _, ..world(&stage, &health) };
    let watching = tokio::spawn(guard(world, watch(&stage)).await.unwrap().run());
    health.is(Shown::Ill);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let held = state(&stage).await;
    let why = "is damaged: the manifest of fraud@1.0.0 is damaged in the store";
    assert!(matches!(&held, Vigilance::Held { why: said, .. } if said.contains(why)), "{held}");
    assert_serving(&stage, &stage.candidate).await;
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn a_target_of_which_nothing_was_read_is_not_taken_for_a_sound_one() {
    let (stage, health) = promoted().await;
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let lifecycle = Lifecycle::new(Arc::new(stage.store.clone()));
    lifecycle.quarantine(&stage.stable.model, "it leaks", stamp).await.unwrap();
    let (route, name) = (stage.plan().route.clone(), stage.stable.model.name().clone());
    let intent = Intent::new(route, name, "it is slow");
    let late = |times| World { store: Rotten::new(&stage, Rot::Late(times)) as _, ..world(&stage, &health) };
    let choose = async |times| Order::choose(&late(times), intent.clone()).await;
    let quarantined = choose(1).await.unwrap_err();
    assert!(matches!(quarantined, Error::NoTarget(_)), "{quarantined}");
    let unsure = choose(2).await.unwrap_err();
    assert!(unsure.to_string().contains("nothing could be read of fraud@1.0.0"), "{unsure}");
    let (_, choice) = Order::choose(&late(2), intent.clone().unsure()).await.unwrap();
    assert_eq!(
        (&choice.to, choice.unsure.as_deref()),
        (&stage.stable.model, Some("nothing could be read of fraud@1.0.0"))
    );
}

#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_come_keep_nobody_for_longer_than_was_said() {
    for (verify, longest) in [(Verification::Ahead, 180), (Verification::Before, 180 + 300)] {
        let (stage, health) = promoted().await;
        let store = Rotten::new(&stage, Rot::NeverCome);
        let world = World { store: store as _, ..world(&stage, &health) };
        let watching = tokio::spawn(guard(world, Watch { verify, ..watch(&stage) }).await.unwrap().run());
        tokio::time::sleep(Duration::from_secs(600)).await;
        health.is(Shown::Ill);
        let ill = stage.clock.now();
        let end = watching.await.unwrap().unwrap();
        assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{verify:?}: {end}");
        let took = stage.moves().await.last().unwrap().stamp.at.duration_since(ill).unwrap();
        assert!(took < Duration::from_secs(longest), "{verify:?}: {took:?}");
        let waited = took > Duration::from_secs(300);
        assert_eq!(waited, verify == Verification::Before, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_is_read_once_a_day_whoever_keeps_the_watch() {
    let (stage, health) = promoted().await;
    let hour = Duration::from_secs(3600);
    let store = Rotten::new(&stage, Rot::None);
    let world = World { store: Arc::clone(&store) as _, ..world(&stage, &health) };
    let long = Watch {
        lasts: 100 * hour,
        window: Duration::from_secs(300),
        span: Duration::from_secs(600),
        ..watch(&stage)
    };
    let mut reads = Vec::new();
    // It is taken up again every 5 hours.
    for _ in 0..10 {
        let guard = guard(world.clone(), long.clone()).await.unwrap().looking_every(Duration::from_secs(60));
        let watching = tokio::spawn(guard.run());
        tokio::time::sleep(5 * hour).await;
        watching.abort();
        reads.push(store.reads());
    }
    assert_eq!(reads, [1, 1, 1, 1, 2, 2, 2, 2, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn where_the_target_would_not_be_made_to_run_it_is_for_a_person() {
    let (stage, health) = promoted().await;
    stage.deployer.refuse(stage.stable.clone(), "no image of that digest");
    let watching = tokio::spawn(guard(world(&stage, &health), watch(&stage)).await.unwrap().run());
    health.is(Shown::Ill);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let held = state(&stage).await;
    let why = "would not be made to run: the deployer in memory refused: no image of that digest";
    assert!(matches!(&held, Vigilance::Held { why: said, .. } if said.contains(why)), "{held}");
    assert!(matches!(&passed_over(&stage).await[1].1, PassedOver::Unfit(Unfit::Refused { .. })));
    assert_serving(&stage, &stage.candidate).await;
    watching.abort();
}
