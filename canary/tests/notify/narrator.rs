//! What there is to tell of a journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidegate_canary::{
    AtHorizon, Entry, Event, OnDrift, Plan, Record, Request, Rollout, State,
    metrics::{Measurement, Observation},
    notify::{Incident, Kind, Narrate as _, Narrator, Notice, Severity, notices},
};
use tidegate_registry::Seq;

use crate::{
    entries, promoted, rolled_back, route,
    walk::{self, BEGIN, good, when},
};

/// `routed: step-begun info: …`, after the event that it is told of, and with what becomes of the incident.
fn told(entries: &[Entry], notices: &[Notice]) -> Vec<String> {
    let line = |notice: &Notice| {
        let Notice { seq, kind, severity, summary, incident, .. } = notice;
        let incident = incident.map(|incident| format!(", {incident:?}")).unwrap_or_default();
        let name = match &entries[seq.get() as usize - 1].record {
            Record::Happen(event) => event.name(),
            Record::Open { .. } => "open",
            Record::Release { .. } => "release",
            Record::Seize { .. } => "seize",
            record => panic!("{record:?}"),
        };
        format!("{name}: {kind} {severity}{incident}: {summary}")
    };
    notices.iter().map(line).collect()
}

#[test]
fn a_promotion_is_told() {
    assert_eq!(
        told(&entries("v1-promoted.jsonl"), &promoted()),
        [
            "open: opened info: serving/fraud: the rollout of fraud 1.1.0 has begun, from 1.0.0, in steps of 10%, 25%, 50% and 100%",
            "ready: ready info: serving/fraud: fraud 1.1.0 runs, still without traffic",
            "routed: step-begun info: serving/fraud: fraud 1.1.0 has 10% of the traffic (step 1 of 4)",
            "routed: step-begun info: serving/fraud: fraud 1.1.0 has 25% of the traffic (step 2 of 4)",
            "routed: step-begun info: serving/fraud: fraud 1.1.0 has 50% of the traffic (step 3 of 4)",
            "routed: step-begun info: serving/fraud: fraud 1.1.0 has 100% of the traffic (step 4 of 4)",
            "observed: promoting info: serving/fraud: the steps of fraud 1.1.0 are over, and it is being promoted",
            "recorded: promoted info: serving/fraud: fraud 1.1.0 is production now, by record 5 of its model",
            "removed: baking info: serving/fraud: fraud 1.1.0 is watched for 5m before it counts as good",
            "settled: settled info: serving/fraud: fraud 1.1.0 is promoted and has proven itself",
        ]
    );
}

/// The hits and trials of both sides in a window.
fn seen(entry: &Entry) -> [String; 2] {
    let Record::Happen(Event::Observed { samples, .. }) = &entry.record else { panic!("{entry:?}") };
    let words = |measurement: &Measurement| match measurement {
        Measurement::Observed(Observation::Proportion { hits, trials }) => format!("{hits} of {trials}"),
        other => panic!("{other:?}"),
    };
    [words(&samples[0].candidate), words(samples[0].baseline.as_ref().unwrap())]
}

#[test]
fn a_retreat_is_told_with_its_numbers_and_its_incident() {
    let notices = rolled_back();
    let entries = entries("v1-rolled-back.jsonl");
    let told = told(&entries, &notices);
    let bad = &notices[3];
    let [candidate, baseline] = seen(&entries[bad.seq.get() as usize - 1]);
    let cause = format!("errors {candidate} against {baseline}, odds ratio ");
    assert_eq!(
        told[..3],
        [
            "open: opened info: serving/fraud: the rollout of fraud 1.1.0 has begun, from 1.0.0, in steps of 10%, 25%, 50% and 100%",
            "ready: ready info: serving/fraud: fraud 1.1.0 runs, still without traffic",
            "routed: step-begun info: serving/fraud: fraud 1.1.0 has 10% of the traffic (step 1 of 4)",
        ]
    );
    let returning =
        "observed: returning error, Opens: serving/fraud: traffic returns from fraud 1.1.0 to 1.0.0";
    assert!(told[3].starts_with(&format!("{returning}: {cause}")), "{}", told[3]);
    assert_eq!(told[4], "routed: returned warning: serving/fraud: all traffic is back on 1.0.0");
    let back = "removed: rolled-back warning, Resolves: serving/fraud: rolled back: all traffic is on 1.0.0, and fraud 1.1.0 is gone";
    assert!(told[5].starts_with(&format!("{back}: {cause}")), "{}", told[5]);
    assert_eq!(told.len(), 6);
    assert_eq!(bad.id, format!("route/serving/fraud/{}", bad.seq));
    assert_eq!(bad.rollout.as_ref().unwrap().to_string(), "ci-8841");
    assert_eq!(bad.candidate.as_ref().unwrap().model.to_string(), "fraud@1.1.0");
    assert!(bad.reasons[0].starts_with(&cause), "{:?}", bad.reasons);
    assert_eq!(bad.at, entries[bad.seq.get() as usize - 1].at);
}

fn at(seconds: u64) -> std::time::SystemTime {
    BEGIN + Duration::from_secs(1_000_000 + seconds)
}

fn open(plan: &Plan) -> Entry {
    let id = "ci-1".parse().unwrap();
    Entry { at: at(0), record: Record::Open { id, plan: Box::new(plan.clone()) } }
}

/// A journal of a rollout to which chance happens, now and then for the better.
fn journal(plan: &Plan, seed: u64) -> Vec<Entry> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut rollout = Rollout::new(plan.clone());
    let mut entries = vec![open(plan)];
    for _ in 0..80 {
        if rollout.state().is_end() {
            break;
        }
        let event = match chance.u32(0..4) {
            0 => {
                let events = walk::events(&rollout);
                events[chance.usize(..events.len())].clone()
            }
            _ => good(&rollout),
        };
        let at = when(&rollout, entries.last().unwrap().at);
        if rollout.apply(&event, at).is_ok() {
            entries.push(Entry { at, record: Record::Happen(event) });
        }
    }
    entries
}

fn plans() -> Vec<Plan> {
    vec![
        walk::plan(AtHorizon::Hold, OnDrift::Reassert),
        walk::plan(AtHorizon::Promote, OnDrift::Pause),
        walk::plan(AtHorizon::Rollback, OnDrift::Abort),
        walk::comparison(),
    ]
}

fn journals() -> impl Iterator<Item = Vec<Entry>> {
    let plans = plans();
    (0..1_200).map(move |seed| journal(&plans[seed as usize % plans.len()], seed))
}

/// Where the rollout was after each line.
fn rollouts(entries: &[Entry]) -> Vec<Rollout> {
    let Record::Open { plan, .. } = &entries[0].record else { panic!() };
    let mut rollout = Rollout::new((**plan).clone());
    let mut after = vec![rollout.clone()];
    for entry in &entries[1..] {
        let Record::Happen(event) = &entry.record else { panic!() };
        rollout.apply(event, entry.at).unwrap();
        after.push(rollout.clone());
    }
    after
}

#[test]
fn everything_that_can_happen_is_told_once_or_not_at_all() {
    let mut kinds = BTreeMap::<Kind, usize>::new();
    for entries in journals() {
        let after = rollouts(&entries);
        let told: BTreeMap<u64, Notice> =
            notices(&route(), &entries).into_iter().map(|notice| (notice.seq.get(), notice)).collect();
        for notice in told.values() {
            *kinds.entry(notice.kind).or_default() += 1;
            assert!(notice.summary.starts_with("serving/fraud: "), "{notice:?}");
            assert!(!notice.summary.contains("{"), "{notice:?}");
        }
        for (i, pair) in after.windows(2).enumerate() {
            let [before, after] = pair else { panic!() };
            let notice = told.get(&(i as u64 + 2));
            let Record::Happen(event) = &entries[i + 1].record else { panic!() };
            if after.state().is_end() {
                assert!(notice.is_some(), "an end is told: {event:?} {}", after.state());
            }
            if before.pauses() != after.pauses() {
                assert!(notice.is_some(), "a pause is told, and its end: {event:?} {}", after.state());
            }
            let changed = std::mem::discriminant(before.state()) != std::mem::discriminant(after.state());
            if let Event::Observed { .. } = event
                && !changed
                && before.pauses() == after.pauses()
            {
                assert!(notice.is_none(), "a window without news is no news: {notice:?}");
            }
            if let Event::Ask(request) = event {
                let again = matches!(request, Request::Hold { .. }) && before.pauses() == after.pauses();
                let by = notice.and_then(|notice| notice.by.as_deref());
                assert_eq!(by, (!again).then_some("ada"), "{event:?} {notice:?}");
            }
        }
    }
    let reached: BTreeSet<Kind> = kinds.keys().copied().collect();
    // Those of records that are no events have tests of their own.
    let others = [Kind::Broken, Kind::Released];
    let all = [
        Kind::Asked,
        Kind::Baking,
        Kind::Compared,
        Kind::Drifted,
        Kind::GateOpened,
        Kind::GateWaits,
        Kind::Opened,
        Kind::Paused,
        Kind::Promoted,
        Kind::Promoting,
        Kind::Ready,
        Kind::Replaced,
        Kind::Resumed,
        Kind::Returned,
        Kind::Returning,
        Kind::RolledBack,
        Kind::Rushed,
        Kind::Seized,
        Kind::Settled,
        Kind::StepBegun,
        Kind::Stuck,
        Kind::Unseen,
        Kind::Unsettled,
    ];
    assert_eq!(reached, all.into_iter().collect(), "{kinds:?}");
    assert!(others.iter().all(|kind| !reached.contains(kind)));
}

#[test]
fn an_incident_opens_before_it_is_resolved_and_is_open_at_bad_ends() {
    let (mut opened, mut resolved) = (0, 0);
    for entries in journals() {
        let mut is_open = false;
        for notice in notices(&route(), &entries) {
            match notice.incident {
                Some(Incident::Opens) => (is_open, opened) = (true, opened + 1),
                Some(Incident::Resolves) => {
                    assert!(is_open, "{notice:?}");
                    (is_open, resolved) = (false, resolved + 1);
                }
                None => {}
            }
            if notice.severity == Severity::Critical {
                assert!(is_open, "{notice:?}");
            }
        }
        match rollouts(&entries).last().unwrap().state() {
            State::Stuck { .. } | State::Unsettled { .. } => assert!(is_open),
            State::Promoted | State::RolledBack { .. } | State::Compared { .. } => assert!(!is_open),
            _ => {}
        }
    }
    assert!(opened > 150 && resolved > 100, "{opened} {resolved}");
}

#[test]
fn who_begins_at_the_opening_says_the_same() {
    let mut whole = entries("v1-rolled-back.jsonl");
    let second = whole.len();
    let mut again = entries("v1-promoted.jsonl");
    let Record::Open { id, .. } = &mut again[0].record else { panic!() };
    *id = "ci-2".parse().unwrap();
    whole.extend(again);
    let all = notices(&route(), &whole);
    let mut narrator = Narrator::new(route());
    let from = |i: usize| Seq::FIRST.plus(second + i);
    let late = whole[second..].iter().enumerate().filter_map(|(i, entry)| narrator.tell(from(i), entry));
    let late: Vec<Notice> = late.collect();
    assert_eq!(late[..], all[6..]);
    assert_eq!(narrator.opened(), Some(Seq::FIRST.plus(second)));
}

#[test]
fn a_route_that_is_taken_and_given_back_is_told() {
    let by = || "the rollback rb-7".to_owned();
    let mut entries = entries("v1-rolled-back.jsonl");
    entries.truncate(6);
    let at = entries[5].at;
    entries.push(Entry { at, record: Record::Seize { by: by() } });
    entries.push(Entry { at, record: Record::Release { by: by() } });
    entries.push(Entry { at, record: Record::Seize { by: by() } });
    entries.push(Entry { at, record: Record::Release { by: by() } });
    let told = told(&entries, &notices(&route(), &entries));
    assert_eq!(
        told[4..],
        [
            "seize: seized warning: serving/fraud: the rollback rb-7 took the route, and the rollout of fraud 1.1.0 is over",
            "release: released info, Resolves: serving/fraud: the rollback rb-7 gave the route back",
            "seize: seized warning: serving/fraud: the rollback rb-7 took the route",
            "release: released info: serving/fraud: the rollback rb-7 gave the route back",
        ]
    );
}

#[test]
fn a_journal_that_cannot_be_followed_is_told_once() {
    let mut entries = entries("v1-promoted.jsonl");
    entries.remove(2);
    let notices = notices(&route(), &entries);
    let told = told(&entries, &notices);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1]
            .starts_with("elapsed: broken critical, Opens: serving/fraud: record 3 of the route's journal")
    );
    assert!(notices[1].remedy.as_ref().unwrap().contains("restore the journal"));
    let orphans = super::notify::notices(&route(), &entries[1..]);
    assert_eq!((orphans.len(), orphans[0].kind, &orphans[0].rollout), (1, Kind::Broken, &None));
}

#[test]
fn of_windows_that_nobody_saw_the_first_is_told() {
    let mut entries = entries("v1-promoted.jsonl");
    let routed = |entry: &Entry| matches!(&entry.record, Record::Happen(event) if event.name() == "routed");
    let first = entries.iter().position(routed).unwrap() + 1;
    entries.truncate(first + 2);
    let unseen = || Entry {
        at: entries[first].at,
        record: Record::Happen(Event::Unseen { why: "a time-out".to_owned() }),
    };
    let (observed, again) = (entries[first + 1].clone(), [unseen(), unseen(), unseen()]);
    entries.truncate(first + 1);
    entries.extend(again.iter().cloned());
    entries.push(observed);
    entries.extend(again);
    let told = told(&entries, &notices(&route(), &entries));
    assert_eq!(told.len(), 5, "{told:?}");
    let line = "unseen: unseen warning: serving/fraud: nobody can say what traffic fraud 1.1.0 has, and what is seen of it says nothing: a time-out";
    assert_eq!(told[3..], [line, line]);
}

#[test]
fn what_stands_in_a_journal_is_kept_within_bounds() {
    let plan = walk::plan(AtHorizon::Hold, OnDrift::Reassert);
    let why = "ü".repeat(1 << 20);
    let failed = Entry { at: at(1), record: Record::Happen(Event::Failed { why }) };
    let notices = notices(&route(), &[open(&plan), failed]);
    let size = serde_json::to_vec(&notices[1]).unwrap().len();
    assert!(size < 8_000, "{size}");
}
