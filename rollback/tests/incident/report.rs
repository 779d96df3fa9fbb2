//! What is written of incidents.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use tidegate_canary::{Entry, RouteJournal};
use tidegate_registry::Move;
use tidegate_rollback::{
    Known, Ledger, Line, Machine, PassedOver, Record, Survey, Undo, Unfit, Vigil, VigilEvent, VigilRequest,
    Watch,
    report::{self, Incident, Records},
};

use crate::scenes::{self, Scene};

/// Keeps what was written for whoever wants to look at it.
fn keep(name: &str, incident: &Incident) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("incident-test");
    std::fs::create_dir_all(&folder).unwrap();
    let (page, text) = (report::html(incident), report::markdown(incident));
    std::fs::write(folder.join(format!("{name}.html")), &page).unwrap();
    std::fs::write(folder.join(format!("{name}.md")), &text).unwrap();
    assert_well_formed(&page);
    text
}

/// Compares with the text that lies beside this file.
async fn assert_golden(name: &str, scene: &Scene) {
    let incident = scene.incident().await;
    let text = keep(name, &incident);
    assert_self_contained(&report::html(&incident));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/incident/{name}.md"));
    let golden = std::fs::read_to_string(golden)
        .expect("a text beside this file; take that of the target directory if it is right");
    for (n, (now, then)) in (1..).zip(text.lines().zip(golden.lines())) {
        assert_eq!(now, then, "line {n} of {name}.md");
    }
    assert_eq!(text, golden, "{name}.md");
}

/// Panics unless every element is closed where it should be.
fn assert_well_formed(page: &str) {
    let (before, rest) = page.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    let (mut open, mut ids) = (Vec::new(), BTreeSet::new());
    for tag in before.split('<').skip(1).chain(after.split('<').skip(1)) {
        let (inside, _) = tag.split_once('>').expect("a tag ends");
        let name = inside.split(' ').next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{inside}");
        } else if !["!DOCTYPE", "meta"].contains(&name) {
            open.push(name);
        }
        if let Some((_, id)) = inside.split_once(" id=\"") {
            assert!(ids.insert(id.split('"').next().unwrap()), "{inside}");
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

fn assert_self_contained(page: &str) {
    for foreign in ["<script", "<link", "<img", "<iframe", "@import", "src=", "javascript:"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.match_indices("url(").all(|(at, _)| page[at..].starts_with("url(#hatch)")));
}

#[tokio::test(start_paused = true)]
async fn of_a_release_that_failed() {
    assert_golden("helped", &scenes::helped().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_watch_that_was_blind() {
    assert_golden("blind", &scenes::blind().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_way_back_that_nobody_saw() {
    assert_golden("blind-way-back", &scenes::blind_way_back().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_release_that_a_person_held() {
    assert_golden("held", &scenes::held().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_third_version_that_is_for_a_person() {
    assert_golden("braked", &scenes::braked().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_what_another_system_has_said() {
    assert_golden("told", &scenes::told().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_release_with_nowhere_to_go() {
    assert_golden("nowhere", &scenes::nowhere().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_rollback_that_got_stuck() {
    assert_golden("stuck", &scenes::stuck().await).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_rollback_by_hand() {
    assert_golden("by-hand", &scenes::by_hand().await).await;
}

/// Everything that a scene has left behind.
struct Left {
    watches: Vec<Line<Vigil>>,
    rollbacks: Vec<Line<Undo>>,
    rollouts: Vec<Entry>,
    history: Vec<Move>,
    survey: Survey,
}

impl Left {
    async fn of(scene: &Scene) -> Self {
        let (log, route) = (scene.stage.world().log, scene.stage.plan().route.clone());
        Self {
            watches: Ledger::<Vigil>::open(Arc::clone(&log), &route).await.unwrap().lines().to_vec(),
            rollbacks: Ledger::<Undo>::open(Arc::clone(&log), &route).await.unwrap().lines().to_vec(),
            rollouts: RouteJournal::open(log, &route).await.unwrap().entries().to_vec(),
            history: scene.stage.moves().await,
            survey: Survey::default(),
        }
    }

    fn find(&self, id: Option<&str>) -> Option<Incident> {
        let Self { watches, rollbacks, rollouts, history, survey } = self;
        let id = id.map(|id| id.parse().unwrap());
        Incident::find(&Records { watches, rollbacks, rollouts, history, survey }, id.as_ref())
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_found_by_the_name_of_its_watch_or_its_rollback() {
    let left = Left::of(&scenes::braked().await).await;
    let text = |id| report::markdown(&left.find(id).unwrap());
    let rollback = left.rollbacks.iter().find_map(|line| match &line.record {
        Record::Open { id, .. } => Some(id.to_string()),
        _ => None,
    });
    let first = text(Some("watch-1"));
    assert_eq!(first, text(rollback.as_deref()), "both are one incident");
    assert!(first.starts_with("# Incident: `fraud@1.1.0` on serving/fraud"), "{first}");
    let last = text(None);
    assert_eq!(last, text(Some("watch-2")));
    assert!(last.starts_with("# Incident: `fraud@1.0.0` on serving/fraud"), "{last}");
    assert!(left.find(Some("watch-3")).is_none());
    let empty = Left { watches: Vec::new(), rollbacks: Vec::new(), ..left };
    assert!(empty.find(None).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_alarm_carries_what_was_seen() {
    let left = Left::of(&scenes::helped().await).await;
    let looks = left.watches.iter().find_map(|line| match &line.record {
        Record::Happen(VigilEvent::Alarmed { looks, .. }) => Some(looks),
        _ => None,
    });
    let looks = looks.unwrap();
    assert_eq!(looks.len(), 10, "a span of 5 min has ten windows of 30 s");
    assert!(looks.windows(2).all(|pair| pair[0].window.end() == pair[1].window.start()));
    assert!(looks.iter().all(|look| look.seen.len() == 2));
    // A journal that was written before alarms carried any is told, too.
    let mut old = serde_json::to_value(
        left.watches.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>().unwrap(),
    )
    .unwrap();
    for line in old.as_array_mut().unwrap() {
        if let Some(alarm) = line.pointer_mut("/happen/alarmed") {
            alarm.as_object_mut().unwrap().remove("looks").unwrap();
        }
    }
    let old = Left { watches: serde_json::from_value(old).unwrap(), ..left };
    let page = report::html(&old.find(None).unwrap());
    assert!(page.contains("The journal has no windows of it."));
}

#[tokio::test(start_paused = true)]
async fn why_others_were_passed_over_is_what_was_known_then() {
    for (scene, from) in [
        (scenes::helped().await, "fraud@1.1.0"),
        (scenes::nowhere().await, "fraud@1.1.0"),
        (scenes::by_hand().await, "fraud@1.2.0"),
    ] {
        let left = Left::of(&scene).await;
        let text = report::markdown(&left.find(None).unwrap());
        // Since then everything was lost.
        let gone = |survey: Survey, moved: &Move| {
            survey.with(moved.to.clone(), Known { unfit: Some(Unfit::Gone), one_way: true, content: None })
        };
        let survey = left.history.iter().fold(Survey::default(), gone);
        let later = Left { survey, ..left };
        assert_eq!(report::markdown(&later.find(None).unwrap()), text, "{from}");
    }
}

/// Takes `fields` out of every object in it that has them.
fn forget(value: &mut serde_json::Value, fields: &[&str]) {
    match value {
        serde_json::Value::Object(object) => {
            object.retain(|field, _| !fields.contains(&field.as_str()));
            object.values_mut().for_each(|value| forget(value, fields));
        }
        serde_json::Value::Array(array) => array.iter_mut().for_each(|value| forget(value, fields)),
        _ => {}
    }
}

/// As they were written before they said why.
fn older<M: Machine>(lines: &[Line<M>]) -> Vec<Line<M>> {
    let mut old = serde_json::to_value(lines).unwrap();
    forget(&mut old, &["choice", "passedOver", "verify"]);
    serde_json::from_value(old).unwrap()
}

#[tokio::test(start_paused = true)]
async fn journals_that_say_less_are_told_by_what_is_known_now_and_say_so() {
    let left = Left::of(&scenes::held().await).await;
    let old =
        Left { watches: older::<Vigil>(&left.watches), rollbacks: older::<Undo>(&left.rollbacks), ..left };
    let text = report::markdown(&old.find(None).unwrap());
    assert!(
        text.contains("The watch goes back to the last known good version, which was `fraud@1.0.0`."),
        "{text}"
    );
    let gone = Known { unfit: Some(Unfit::Gone), one_way: false, content: None };
    let survey = Survey::default().with("fraud@1.0.0".parse().unwrap(), gone);
    let later = Left { survey, ..old };
    let text = report::markdown(&later.find(None).unwrap());
    assert!(text.contains("by what is known now there would be none"), "{text}");
}

const EVIL: &str = "</style></title></svg><script>alert(1)</script><img src=x onerror='a'>\" onload=\"b&\u{202e}|\n# x `y` @ada https://evil";

#[tokio::test(start_paused = true)]
async fn text_is_never_markup() {
    let mut left = Left::of(&scenes::held().await).await;
    for line in &mut left.watches {
        if let Record::Happen(VigilEvent::Ask(
            VigilRequest::Alarm { by, reason }
            | VigilRequest::Hold { by, reason }
            | VigilRequest::RollBack { by, reason },
        )) = &mut line.record
        {
            (*by, *reason) = (EVIL.to_owned(), EVIL.repeat(10_000));
        }
    }
    for line in &mut left.rollbacks {
        if let Record::Open { order, .. } = &mut line.record {
            order.reason = EVIL.repeat(10_000);
            order.by = Some(EVIL.repeat(10_000));
            let choice = order.choice.as_mut().unwrap();
            let why = Unfit::Refused { why: EVIL.repeat(10_000) };
            choice.passed_over = vec![("fraud@1.1.0".parse().unwrap(), PassedOver::Unfit(why))];
        }
    }
    let incident = left.find(None).unwrap();
    let text = keep("hostile", &incident);
    let page = report::html(&incident);
    assert!(page.matches("&lt;script&gt;").count() > 3);
    for markup in ["<script", "<img", "</"] {
        assert!(!text.contains(markup), "{markup}");
    }
    for markup in ["<script", "<img", "onload=\"b"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(!page.contains('\u{202e}') && !text.contains('\u{202e}'));
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(page.len() < 120_000 && text.len() < 40_000, "{} {}", page.len(), text.len());
    assert!(!text.lines().any(|line| line.starts_with("# x")), "{text}");
    for line in text.lines().filter(|line| line.contains("alert(1)")) {
        // A row of what happened has four cells, whatever stands in them, one of versions five, and one of facts two.
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(!line.starts_with('|') || [3, 5, 6].contains(&bars), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_told_as_such() {
    let mut left = Left::of(&scenes::helped().await).await;
    left.watches.remove(1);
    let mut watch: Watch = match &left.watches[0].record {
        Record::Open { order, .. } => (**order).clone(),
        record => panic!("{record:?}"),
    };
    let text = report::markdown(&left.find(Some("watch-1")).unwrap());
    assert!(text.contains("has a line that does not follow from those before it"), "{text}");
    // Durations with which no guard would have begun.
    (watch.window, watch.span, watch.lasts) = (Duration::ZERO, Duration::MAX / 2, Duration::MAX / 2);
    left.watches[0].record = Record::Open { id: "watch-1".parse().unwrap(), order: Box::new(watch) };
    let text = report::markdown(&left.find(Some("watch-1")).unwrap());
    assert!(text.contains("what was opened makes no sense"), "{text}");
}

fn shuffled<T: Clone>(pool: &[Entry<T>], lines: &[(prop::sample::Index, u64)]) -> Vec<Entry<T>> {
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let line = |(index, seconds): &(prop::sample::Index, u64)| Entry {
        at: at(*seconds),
        record: index.get(pool).record.clone(),
    };
    lines.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also with clocks that jump, and in whatever order.
    #[test]
    fn any_journals_make_a_page(
        watch in prop::collection::vec((any::<prop::sample::Index>(), 0..200_000_000_000_u64), 1..30),
        rollback in prop::collection::vec((any::<prop::sample::Index>(), 0..200_000_000_000_u64), 1..30),
        route in prop::collection::vec((any::<prop::sample::Index>(), 0..200_000_000_000_u64), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let pool = runtime.block_on(async { Left::of(&scenes::held().await).await });
        let left = Left {
            watches: shuffled(&pool.watches, &watch),
            rollbacks: shuffled(&pool.rollbacks, &rollback),
            rollouts: shuffled(&pool.rollouts, &route),
            ..pool
        };
        if let Some(incident) = left.find(None) {
            assert_well_formed(&report::html(&incident));
            let _text = report::markdown(&incident);
        }
    }
}
