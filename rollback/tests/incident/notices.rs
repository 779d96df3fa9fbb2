//! What is told while they last, and to whom.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use tidegate_canary::{
    WallClock,
    notify::{self, Courier, Incident, Kind, Narrate, Notice, PagerDuty, Recipient, Severity, Undelivered},
};
use tidegate_registry::Seq;
use tidegate_rollback::{
    Ledger, Line, Record, Undo, Vigil, VigilEvent, VigilRequest,
    notify::{Narrator, Tell},
};
use tokio::sync::Notify;

use crate::{
    scenes::{self, Scene},
    server::Server,
};

async fn lines<M: Tell>(scene: &Scene) -> Vec<Line<M>> {
    let route = scene.stage.plan().route.clone();
    Ledger::<M>::open(Arc::new(scene.stage.store.clone()), &route).await.unwrap().lines().to_vec()
}

fn narrator<M: Tell>(scene: &Scene) -> Narrator<M> {
    Narrator::new(scene.stage.plan().route.clone())
}

fn told<M: Tell>(mut narrator: Narrator<M>, first: Seq, lines: &[Line<M>]) -> Vec<Notice> {
    let tell = |(i, line)| narrator.tell(first.plus(i), line);
    lines.iter().enumerate().filter_map(tell).collect()
}

/// `watch-blind error, Opens: …`, without the route.
fn words(notices: &[Notice]) -> Vec<String> {
    let line = |notice: &Notice| {
        let Notice { kind, severity, summary, incident, .. } = notice;
        let incident = incident.map(|incident| format!(", {incident:?}")).unwrap_or_default();
        format!("{kind} {severity}{incident}: {}", summary.strip_prefix("serving/fraud: ").unwrap())
    };
    notices.iter().map(line).collect()
}

async fn of_watch(scene: &Scene) -> Vec<Notice> {
    told(narrator::<Vigil>(scene), Seq::FIRST, &lines::<Vigil>(scene).await)
}

async fn of_rollback(scene: &Scene) -> Vec<Notice> {
    told(narrator::<Undo>(scene), Seq::FIRST, &lines::<Undo>(scene).await)
}

#[tokio::test(start_paused = true)]
async fn a_release_that_failed() {
    let scene = scenes::helped().await;
    let watch = of_watch(&scene).await;
    assert_eq!(
        words(&watch),
        [
            "watch-opened info: fraud 1.1.0 is watched for 1h",
            "watch-alarmed error, Opens: something is wrong with fraud 1.1.0: errors 385 of 1000: evidence for worse 7e68, needs 5000: fail",
            "watch-returning error, Opens: fraud 1.1.0 is left for 1.0.0 by rollback watch-1/2",
            "watch-returned warning, Resolves: all traffic is on fraud 1.0.0: rollback watch-1/2 is done, and was seen to help",
        ]
    );
    let rollback = of_rollback(&scene).await;
    assert_eq!(
        words(&rollback),
        [
            "rollback-begun warning: fraud 1.1.0 is left for 1.0.0: errors 385 of 1000: evidence for worse 7e68, needs 5000: fail",
            "rollback-returned warning: fraud 1.0.0 has all traffic, from the candidate's slot for now",
            "rollback-returned warning: fraud 1.0.0 has all traffic, from the stable slot",
            "rollback-done warning: rolled back: all traffic is on fraud 1.0.0, which was seen to help; 1.1.0 is in quarantine until a person lifts that",
        ]
    );
    assert_eq!(watch[1].id, "watch/serving/fraud/2");
    assert_eq!(rollback[0].id, "rollback/serving/fraud/1");
    // A rollback that a watch has ordered is part of the watch's incident.
    for notice in watch.iter().chain(&rollback) {
        assert_eq!(notice.subject(), "serving/fraud/watch/watch-1", "{notice:?}");
        assert_eq!(notice.candidate, Some(scene.stage.candidate.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_blind_wakes_somebody_until_it_sees() {
    let scene = scenes::blind().await;
    let watch = of_watch(&scene).await;
    let blind =
        "watch-blind error, Opens: nobody sees whether fraud 1.1.0 is well: no data; it stays in service";
    let sighted = "watch-sighted info, Resolves: the watch of fraud 1.1.0 sees again, and nothing wrong";
    let expected = [
        "watch-opened info: fraud 1.1.0 is watched for 1h",
        blind,
        sighted,
        blind,
        sighted,
        blind,
        // Nobody has seen since, so that whoever was woken is still needed.
        "watch-ended warning: the watch of fraud 1.1.0 is over, undecided (inconclusive)",
    ];
    assert_eq!(words(&watch), expected);
    assert!(watch[1].remedy.as_ref().unwrap().contains("mend the source of its metrics"));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_nobody_saw_is_still_somebodys() {
    let scene = scenes::blind_way_back().await;
    let watch = words(&of_watch(&scene).await);
    assert_eq!(
        watch[1..],
        [
            "watch-blind error, Opens: nobody sees whether fraud 1.1.0 is well: no data; it is left once nothing at all has been seen of it for 5m, unless another release is in its place",
            "watch-alarmed error, Opens: something is wrong with fraud 1.1.0: nothing was seen for 5m: no data",
            "watch-returning error, Opens: fraud 1.1.0 is left for 1.0.0 by rollback watch-1/3",
            "watch-returned error, Opens: all traffic is on fraud 1.0.0: rollback watch-1/3 is done, but too little was seen to say whether it helped",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_who_decides_is_not_woken() {
    let scene = scenes::held().await;
    let watch = of_watch(&scene).await;
    assert_eq!(
        words(&watch)[1..],
        [
            "watch-held warning: ada wants nothing to be done about fraud 1.1.0 without a person: a migration runs",
            "watch-asked warning: something is wrong with fraud 1.1.0, says alertmanager, which changes nothing: HighErrorRate fires",
            "watch-asked warning: ada wants fraud 1.1.0 to be left: the migration is over",
            "watch-returning warning: fraud 1.1.0 is left for 1.0.0 by rollback watch-1/4",
            "watch-returned warning: all traffic is on fraud 1.0.0: rollback watch-1/4 is done, and was seen to help",
        ]
    );
    assert_eq!(watch[1].by.as_deref(), Some("ada"));
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_decide_is_critical() {
    let scene = scenes::braked().await;
    let watch = of_watch(&scene).await;
    let held = watch.last().unwrap();
    assert_eq!((held.kind, held.severity), (Kind::WatchHeld, Severity::Critical));
    assert_eq!(held.incident, Some(Incident::Opens));
    assert!(held.remedy.as_ref().unwrap().contains("have the watch roll back or resume"), "{held:?}");
    assert_eq!(held.subject(), "serving/fraud/watch/watch-2");
    // Whoever begins at the second watch says the same of it.
    let lines = lines::<Vigil>(&scene).await;
    let second = lines.iter().rposition(|line| matches!(line.record, Record::Open { .. })).unwrap();
    let late = told(narrator::<Vigil>(&scene), Seq::FIRST.plus(second), &lines[second..]);
    assert_eq!(late, watch[watch.len() - late.len()..]);
    assert_eq!(late.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_stuck_says_what_to_do() {
    let scene = scenes::stuck().await;
    let (watch, rollback) = (of_watch(&scene).await, of_rollback(&scene).await);
    let (last, stuck) = (watch.last().unwrap(), rollback.last().unwrap());
    assert_eq!((last.kind, last.severity), (Kind::WatchReturned, Severity::Critical));
    assert_eq!((stuck.kind, stuck.severity), (Kind::RollbackStuck, Severity::Critical));
    assert_eq!((last.incident, stuck.incident), (Some(Incident::Opens), Some(Incident::Opens)));
    assert_eq!(last.subject(), stuck.subject());
    assert!(stuck.remedy.as_ref().unwrap().contains("choose another target"), "{stuck:?}");
    let no_help = of_rollback(&scenes::no_help().await).await;
    assert_eq!(no_help.last().unwrap().kind, Kind::RollbackStuck);
    assert!(no_help.last().unwrap().summary.contains("it is not well either"));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_hand_is_an_incident_of_its_own_only_if_it_gets_stuck() {
    let scene = scenes::by_hand().await;
    let rollback = of_rollback(&scene).await;
    assert!(rollback.iter().all(|notice| notice.incident.is_none()), "{rollback:?}");
    assert!(rollback.iter().all(|notice| notice.subject() == "serving/fraud/rollback/inc-88"));
    assert_eq!(rollback[0].by.as_deref(), Some("bob"));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_followed_is_told_once() {
    let scene = scenes::helped().await;
    let mut lines = lines::<Vigil>(&scene).await;
    lines.remove(1);
    let notices = told(narrator::<Vigil>(&scene), Seq::FIRST, &lines);
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert_eq!((notices[1].kind, notices[1].severity), (Kind::Broken, Severity::Critical));
    assert_eq!(notices[1].incident, Some(Incident::Opens));
    let orphans = told(narrator::<Vigil>(&scene), Seq::FIRST, &lines[1..]);
    assert_eq!(orphans.len(), 1, "{orphans:?}");
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_a_journal_is_kept_within_bounds() {
    let scene = scenes::helped().await;
    let mut lines = lines::<Vigil>(&scene).await;
    lines.truncate(1);
    let long = "ü".repeat(1 << 20);
    let ask = VigilRequest::Alarm { by: long.clone(), reason: long };
    let record = Record::Happen(VigilEvent::Ask(ask));
    lines.push(Line::<Vigil> { at: lines[0].at, record });
    let notices = told(narrator::<Vigil>(&scene), Seq::FIRST, &lines);
    let size = serde_json::to_vec(&notices[1]).unwrap().len();
    assert!(size < 9_000, "{size}");
}

/// A recipient whose courier is killed at its nth notice: before it takes it, or after.
#[derive(Clone, Debug, Default)]
struct Mailbox {
    taken: Arc<Mutex<Vec<Notice>>>,
    killed: Option<(usize, bool)>,
    dead: Arc<Notify>,
}

impl Mailbox {
    fn ids(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|notice| notice.id.clone()).collect()
    }
}

#[async_trait]
impl Recipient for Mailbox {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let nth = self.taken.lock().unwrap().len();
        let killed = self.killed.filter(|(at, _)| *at == nth);
        if killed.is_none_or(|(_, after)| after) {
            self.taken.lock().unwrap().push(notice.clone());
        }
        if killed.is_some() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn courier<M: Tell>(scene: &Scene, name: &str, to: impl Recipient) -> Courier<Narrator<M>> {
    let log = Arc::new(scene.stage.store.clone());
    Courier::following(log, narrator::<M>(scene), name, to, scene.stage.clock).unwrap()
}

#[tokio::test(start_paused = true)]
async fn whoever_is_killed_anywhere_is_followed_without_loss() {
    let all: Vec<String> =
        of_watch(&scenes::helped().await).await.into_iter().map(|notice| notice.id).collect();
    for nth in 0..all.len() {
        for after in [false, true] {
            let scene = scenes::helped().await;
            let mailbox = Mailbox { killed: Some((nth, after)), ..Mailbox::default() };
            let first = courier::<Vigil>(&scene, "mail", mailbox.clone());
            tokio::select! {
                end = first.catch_up() => panic!("it is killed at {nth}: {end:?}"),
                () = mailbox.dead.notified() => {}
            }
            let next = Mailbox { killed: None, ..mailbox.clone() };
            courier::<Vigil>(&scene, "mail", next).catch_up().await.unwrap();
            let mut ids = mailbox.ids();
            // What had been sent and not noted comes twice, and nothing else.
            assert_eq!(ids.len(), all.len() + usize::from(after), "{nth} {after}");
            ids.dedup();
            assert_eq!(ids, all, "{nth} {after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_name_has_a_cursor_in_each_journal() {
    let scene = scenes::helped().await;
    let mailbox = Mailbox::default();
    for _ in 0..2 {
        // The second time there is nothing to bring.
        courier::<Vigil>(&scene, "mail", mailbox.clone()).catch_up().await.unwrap();
        courier::<Undo>(&scene, "mail", mailbox.clone()).catch_up().await.unwrap();
        let (log, route) = (Arc::new(scene.stage.store.clone()), scene.stage.plan().route.clone());
        let of_route = Courier::new(log, route, "mail", mailbox.clone(), scene.stage.clock).unwrap();
        of_route.catch_up().await.unwrap();
    }
    let of = |journal: &str| mailbox.ids().iter().filter(|id| id.starts_with(journal)).count();
    assert_eq!((of("watch/"), of("rollback/")), (4, 4));
    // A rollout of ten notices, and the rollback that took the route and gave it back.
    assert_eq!(of("route/"), 12);
    assert_eq!(mailbox.ids().len(), 20);
}

/// What PagerDuty was sent: whether it triggers or resolves, and under which key.
async fn paged(scene: &Scene) -> Vec<(String, String)> {
    // The server is a real one.
    tokio::time::resume();
    let server = Server::new([]).await;
    let client = || notify::client(reqwest::Client::builder().no_proxy()).unwrap();
    let pager = PagerDuty::new(client(), "0123456789abcdef0123456789ABCDEF").unwrap();
    let pager = pager.at(client(), &server.at("/v2/enqueue")).unwrap();
    async fn bring<M: Tell>(scene: &Scene, pager: PagerDuty) {
        let (log, clock) = (Arc::new(scene.stage.store.clone()), WallClock::system());
        let courier = Courier::following(log, narrator::<M>(scene), "pager", pager, clock);
        courier.unwrap().catch_up().await.unwrap();
    }
    bring::<Undo>(scene, pager.clone()).await;
    bring::<Vigil>(scene, pager).await;
    let text = |body: &Value, key: &str| body[key].as_str().unwrap().to_owned();
    let sent = server.received();
    sent.iter().map(|sent| (text(&sent.json(), "event_action"), text(&sent.json(), "dedup_key"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_blind_watch_pages_and_what_it_sees_again_ends_that() {
    let paged = paged(&scenes::blind().await).await;
    let actions: Vec<&str> = paged.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["trigger", "resolve", "trigger", "resolve", "trigger"]);
    assert!(paged.iter().all(|(_, key)| key == "tidegate/serving/fraud/watch/watch-1"), "{paged:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_helped_ends_the_incident_of_its_watch() {
    let paged = paged(&scenes::helped().await).await;
    let actions: Vec<&str> = paged.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert!(paged.iter().all(|(_, key)| key == "tidegate/serving/fraud/watch/watch-1"), "{paged:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_did_not_help_or_got_stuck_stays_one_open_incident() {
    for scene in [scenes::no_help().await, scenes::stuck().await, scenes::blind_way_back().await] {
        let paged = paged(&scene).await;
        assert!(paged.len() > 2 && paged.iter().all(|(action, _)| action == "trigger"), "{paged:?}");
        assert!(paged.iter().all(|(_, key)| key == "tidegate/serving/fraud/watch/watch-1"), "{paged:?}");
        tokio::time::pause();
    }
}
