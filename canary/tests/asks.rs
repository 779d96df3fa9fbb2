//! The journal is how others ask: a driver takes in what they write, and stops when they take the route.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod stage;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stage::{Requests, Stage, id};
use tidegate_canary::{
    Cause, Driver, Error, Event, Gate, Pause, PlanSpec, Record, Request, RouteJournal, State,
};

const GOOD: Requests = Requests { stable_errors: 20, candidate_errors: 4 };

fn by() -> String {
    "ada".to_owned()
}

/// A view of the journal, as another process has it.
async fn elsewhere(stage: &Stage) -> RouteJournal {
    RouteJournal::open(Arc::new(stage.store.clone()), &stage.plan().route).await.unwrap()
}

/// A plan whose first step has a gate, under which nothing is observed: only news make its driver look up.
fn gated(stage: &Stage) -> PlanSpec {
    let mut spec =
        PlanSpec::blue_green(stage.plan().route.clone(), stage.stable.clone(), stage.candidate.clone());
    spec.criteria =
        stage.spec().criteria.into_iter().filter(|criterion| !criterion.needs_baseline()).collect();
    spec.bake_criteria = stage.spec().bake_criteria;
    assert_eq!(spec.steps[0].gates, [Gate::Approval]);
    spec
}

async fn until(stage: &Stage, wanted: impl Fn(&State) -> bool) -> RouteJournal {
    loop {
        let journal = elsewhere(stage).await;
        if journal.latest().is_some_and(|(_, rollout)| wanted(rollout.state())) {
            return journal;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_from_elsewhere_opens_the_gate() {
    let stage = Stage::new(GOOD).await;
    let (driver, _handle) = Driver::open(stage.world(), id(), gated(&stage).build().unwrap()).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let driver = driver.on_record(move |entry, _| {
        if let Record::Happen(event) = &entry.record {
            told.lock().unwrap().push(event.name());
        }
    });
    let end = tokio::spawn(driver.run());
    let mut journal = until(&stage, |state| matches!(state, State::Gate { .. })).await;
    let asked = stage.clock.now();
    let digest = stage.candidate.digest;
    journal.ask(Request::Approve { by: by(), digest }, asked).await.unwrap();
    until(&stage, |state| matches!(state, State::Analyse { .. })).await;
    let took = stage.clock.now().duration_since(asked).unwrap();
    assert!(took < Duration::from_secs(4), "it took {took:?} to be heard");
    assert_eq!(end.await.unwrap().unwrap(), State::Promoted);
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard, stage.path().await, "listeners hear what was asked elsewhere, in its place");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_possible_is_refused_and_not_written() {
    let stage = Stage::new(GOOD).await;
    let mut journal = elsewhere(&stage).await;
    let hold = || Request::Hold { by: by() };
    assert!(matches!(journal.ask(hold(), stage.clock.now()).await, Err(Error::NothingOpened)));
    assert!(elsewhere(&stage).await.entries().is_empty());
    stage.run().await.unwrap();
    let before = elsewhere(&stage).await.entries().len();
    let refused = journal.ask(hold(), stage.clock.now()).await.unwrap_err();
    assert!(refused.to_string().contains("it is over"), "{refused}");
    assert_eq!(elsewhere(&stage).await.entries().len(), before);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_while_nobody_drove_is_done_by_whoever_drives_next() {
    let stage = Stage::new(GOOD).await;
    drop(Driver::open(stage.world(), id(), stage.plan()).await.unwrap());
    let mut journal = elsewhere(&stage).await;
    let abort = Request::Abort { by: by(), reason: "it is Friday".to_owned() };
    // By a clock that is an hour behind: the journal does not go back in time.
    journal.ask(abort, stage.clock.now() - Duration::from_secs(3600)).await.unwrap();
    assert!(journal.entries().is_sorted_by_key(|entry| entry.at));
    let end = stage.run().await.unwrap();
    assert!(matches!(end, State::RolledBack { cause: Cause::Requested { .. } }), "{end}");
}

/// Askers and the driver write at the same moments, again and again; nothing is lost and nobody loses the route.
#[tokio::test(start_paused = true)]
async fn many_ask_at_once() {
    let stage = Arc::new(Stage::new(GOOD).await);
    let (driver, handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
    let end = tokio::spawn(driver.looking_every(Duration::from_millis(500)).run());
    let asking = |who: &'static str| {
        let stage = Arc::clone(&stage);
        async move {
            let mut journal = elsewhere(&stage).await;
            let mut asked = 0;
            while asked < 50 {
                // Windows close on whole half minutes: that is when the driver writes.
                tokio::time::sleep(Duration::from_millis(7_500)).await;
                let by = who.to_owned();
                let asks = if asked % 2 == 0 { Request::Hold { by } } else { Request::Resume { by } };
                match journal.ask(asks, stage.clock.now()).await {
                    Ok(()) => asked += 1,
                    Err(Error::Illegal(_)) if asked % 2 == 1 => asked += 1,
                    Err(Error::Illegal(illegal)) => panic!("{illegal}"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let here = async {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(7_500)).await;
            handle.ask(Request::Hold { by: "here".to_owned() }).await.unwrap();
        }
    };
    // 50 times 7.5 s end before the second step does.
    tokio::join!(asking("ada"), asking("bob"), here);
    let mut journal = elsewhere(&stage).await;
    assert_eq!(journal.latest().unwrap().1.pauses(), &[Pause::Held].into());
    let asked = |who: &str, journal: &RouteJournal| {
        let by = |entry: &&tidegate_canary::Entry| matches!(&entry.record, Record::Happen(Event::Ask(request)) if request.by() == who);
        journal.entries().iter().filter(by).count()
    };
    assert_eq!(asked("here", &journal), 50);
    assert!(asked("ada", &journal) >= 25 && asked("bob", &journal) >= 25);
    journal.ask(Request::Resume { by: by() }, stage.clock.now()).await.unwrap();
    assert_eq!(end.await.unwrap().unwrap(), State::Promoted);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_waits_notices_that_the_route_was_taken() {
    let stage = Stage::new(GOOD).await;
    let plan = gated(&stage).build().unwrap();
    let (driver, _handle) = Driver::open(stage.world(), id(), plan.clone()).await.unwrap();
    let waits = tokio::spawn(driver.run());
    until(&stage, |state| matches!(state, State::Gate { .. })).await;
    let _second = Driver::open(stage.world(), id(), plan).await.unwrap();
    let noticed = tokio::time::timeout(Duration::from_secs(5), waits).await.unwrap().unwrap();
    assert!(matches!(noticed, Err(Error::Superseded)), "{noticed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_get_in_the_way_of_opening() {
    let stage = Stage::new(GOOD).await;
    for _ in 0..20 {
        let mut journal = match Driver::open(stage.world(), id(), stage.plan()).await {
            Ok(_) => elsewhere(&stage).await,
            Err(error) => panic!("{error}"),
        };
        let ask = journal.ask(Request::Hold { by: by() }, stage.clock.now());
        let (asked, opened) = tokio::join!(ask, Driver::open(stage.world(), id(), stage.plan()));
        asked.unwrap();
        opened.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_meant_for_one_rollout_does_not_reach_the_next() {
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 40 }).await;
    assert!(matches!(stage.run().await.unwrap(), State::RolledBack { .. }));
    let mut journal = elsewhere(&stage).await;
    let next = Driver::open(stage.world(), "ci-8842".parse().unwrap(), stage.plan()).await.unwrap();
    let abort = || Request::Abort { by: by(), reason: "no".to_owned() };
    let refused = journal.ask(abort(), stage.clock.now()).await.unwrap_err();
    assert!(matches!(&refused, Error::Followed { by } if by.to_string() == "ci-8842"), "{refused}");
    assert!(!stage.path().await.contains(&"abort"));
    // Now it has been looked at.
    journal.ask(abort(), stage.clock.now()).await.unwrap();
    drop(next);
}
