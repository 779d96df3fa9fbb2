//! The page about a route's rollouts, from journals written by hand.
#![cfg(feature = "report")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use tidegate_canary::{
    Duty, Entry, Event, Exception, Gate, Key, Plan, PlanSpec, Record, Release, Request, Rollout, Sample,
    Slot, State,
    metrics::{Criterion, Measurement, Metric, Missing, Observation, Statistic, Window},
    report,
};
use tidegate_registry::{Digest, Seq};

/// Writes a journal as a driver would: it does what the rollout owes, at the earliest time.
struct Scribe {
    entries: Vec<Entry>,
    rollout: Rollout,
    at: SystemTime,
}

impl Scribe {
    fn open(mut entries: Vec<Entry>, id: &str, plan: Plan, at: SystemTime) -> Self {
        let rollout = Rollout::new(plan.clone());
        entries.push(Entry { at, record: Record::Open { id: id.parse().unwrap(), plan: Box::new(plan) } });
        Self { entries, rollout, at }
    }

    fn happen(&mut self, event: Event) {
        self.rollout.apply(&event, self.at).unwrap();
        self.entries.push(Entry { at: self.at, record: Record::Happen(event) });
    }

    /// Does what is owed until `enough`, with what `world` shows of a criterion on a side in a window.
    fn drive(&mut self, enough: impl Fn(&Rollout) -> bool, mut world: impl FnMut(&Look) -> Measurement) {
        while !enough(&self.rollout) {
            self.at += Duration::from_secs(3);
            let event = match self.rollout.duty() {
                Duty::Await | Duty::Nothing => return,
                Duty::Check => Event::Checked,
                Duty::Ensure { .. } => {
                    self.at += Duration::from_secs(55);
                    Event::Ready
                }
                Duty::Observe { window, due, compared, .. } => {
                    self.at = self.at.max(due);
                    let bake = !self.rollout.state().is_before_promotion();
                    let plan = self.rollout.plan();
                    let criteria = if bake { &plan.bake_criteria } else { &plan.criteria };
                    let mut look = |criterion: &Criterion, side| {
                        world(&Look { metric: criterion.metric.as_str().to_owned(), side, window })
                    };
                    let samples = criteria
                        .iter()
                        .map(|criterion| Sample {
                            candidate: look(criterion, Slot::Candidate),
                            baseline: (criterion.needs_baseline() && compared.is_some())
                                .then(|| look(criterion, Slot::Stable)),
                        })
                        .collect();
                    Event::Observed { window, samples }
                }
                Duty::Promote { .. } => Event::Recorded { seq: Seq::new(7).unwrap() },
                Duty::Remove { .. } => Event::Removed,
                Duty::Route { .. } => Event::Routed,
                Duty::Settle { .. } => Event::Settled,
                Duty::Wait { until } => {
                    self.at = self.at.max(until);
                    Event::Elapsed
                }
                duty => panic!("{duty:?} is not known here"),
            };
            self.happen(event);
        }
    }
}

/// A question to the world of a test.
struct Look {
    metric: String,
    side: Slot,
    window: Window,
}

impl Look {
    /// A number in 0..n that looks like noise and is always the same.
    fn noise(&self, n: u64) -> u64 {
        let seed = self.window.end().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let seed = seed * 7 + self.side as u64 * 3 + self.metric.len() as u64;
        (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % n
    }

    fn errors(&self, per_mille: u64, trials: u64) -> Measurement {
        let hits = (trials * per_mille / 1000 + self.noise(3)).min(trials);
        Measurement::Observed(Observation::proportion(hits, trials).unwrap())
    }

    fn latency(&self, trials: u64) -> Measurement {
        let slow = self.noise(trials / 60 + 1);
        let counts = vec![trials / 2, trials - trials / 2 - slow, slow, 0];
        Measurement::Observed(Observation::histogram(vec![1.0, 5.0, 10.0], counts).unwrap())
    }

    fn healthy(&self) -> Measurement {
        match (self.metric.as_str(), self.side) {
            (Metric::LATENCY, _) => self.latency(240),
            (_, Slot::Stable) => self.errors(9, 1100),
            _ => self.errors(7, 240),
        }
    }
}

fn noon() -> SystemTime {
    humantime::parse_rfc3339("2026-11-22T11:58:12Z").unwrap()
}

fn release(version: &str) -> Release {
    Release { model: format!("fraud-scorer@{version}").parse().unwrap(), digest: Digest::of(version) }
}

fn spec(stable: &str, candidate: &str) -> PlanSpec {
    PlanSpec::canary("payments/fraud".parse().unwrap(), release(stable), release(candidate))
}

fn over(rollout: &Rollout) -> bool {
    rollout.state().is_end()
}

fn promoted(entries: Vec<Entry>, at: SystemTime) -> Vec<Entry> {
    let mut spec = spec("1.4.0", "1.5.0");
    spec.steps[1].gates = vec![Gate::Approval];
    spec.exceptions = vec![Exception {
        key: Key::Header("x-tester".to_owned()),
        value: "yes".to_owned(),
        to: Slot::Candidate,
    }];
    spec.sticky = Some(Key::Cookie("user".to_owned()));
    let mut scribe = Scribe::open(entries, "pipeline-4711", spec.build().unwrap(), at);
    let outage = at + Duration::from_secs(500)..at + Duration::from_secs(640);
    let world = |look: &Look| {
        if outage.contains(&look.window.end()) && look.metric == Metric::ERRORS {
            let cause = "the source did not answer within 5m".to_owned();
            return Measurement::Missing(Missing::SourceError { cause, retryable: true });
        }
        look.healthy()
    };
    let gated = |rollout: &Rollout| matches!(rollout.state(), State::Gate { .. });
    let until = at + Duration::from_secs(400);
    scribe.drive(|rollout| matches!(rollout.state(), State::Analyse { from, .. } if *from > until), world);
    scribe.happen(Event::Ask(Request::Hold { by: "alice".to_owned() }));
    let until = scribe.at + Duration::from_secs(90);
    scribe.drive(|rollout| matches!(rollout.state(), State::Analyse { from, .. } if *from > until), world);
    scribe.happen(Event::Ask(Request::Resume { by: "alice".to_owned() }));
    scribe.drive(gated, world);
    let until = scribe.at + Duration::from_secs(150);
    scribe.drive(|rollout| matches!(rollout.state(), State::Gate { from, .. } if *from > until), world);
    scribe.happen(Event::Ask(Request::Approve { by: "bob".to_owned(), digest: Digest::of("1.5.0") }));
    scribe.drive(over, world);
    assert_eq!(*scribe.rollout.state(), State::Promoted);
    scribe.entries
}

fn rolled_back(entries: Vec<Entry>, at: SystemTime) -> Vec<Entry> {
    let mut spec = spec("1.5.0", "1.6.0-rc.1");
    spec.criteria.push(Criterion::at_most(Metric::new("tokens"), Statistic::Mean, 900.0).advisory());
    let mut scribe = Scribe::open(entries, "pipeline-4720", spec.build().unwrap(), at);
    scribe.drive(over, |look| match (look.metric.as_str(), look.side) {
        ("tokens", _) => Measurement::Observed(Observation::values(vec![700.0; 40]).unwrap()),
        (Metric::ERRORS, Slot::Candidate) if matches!(look.noise(5), 0) => {
            Measurement::Missing(Missing::NoData)
        }
        (Metric::ERRORS, Slot::Candidate) if look.window.start() > at + Duration::from_secs(500) => {
            look.errors(70, 240)
        }
        _ => look.healthy(),
    });
    assert!(matches!(scribe.rollout.state(), State::RolledBack { .. }), "{:?}", scribe.rollout.state());
    scribe.entries
}

fn seized(entries: Vec<Entry>, at: SystemTime) -> Vec<Entry> {
    let plan = spec("1.5.0", "1.6.0").build().unwrap();
    let mut scribe = Scribe::open(entries, "pipeline-4733", plan, at);
    let until = at + Duration::from_secs(700);
    scribe.drive(
        |rollout| matches!(rollout.state(), State::Analyse { from, .. } if *from > until),
        Look::healthy,
    );
    let at = scribe.at + Duration::from_secs(11);
    let resume = Record::Resume { id: "pipeline-4733".parse().unwrap() };
    scribe.entries.push(Entry { at, record: resume });
    let seize = Record::Seize { by: "rollback of incident 88".to_owned() };
    scribe.entries.push(Entry { at: at + Duration::from_secs(20), record: seize });
    scribe.entries
}

fn whole() -> Vec<Entry> {
    let hours = |n: u64| noon() + Duration::from_secs(n * 3600);
    let entries = rolled_back(promoted(Vec::new(), noon()), hours(3));
    let mut entries = seized(entries, hours(30));
    let seize = Record::Seize { by: "an operator".to_owned() };
    entries.push(Entry { at: hours(32), record: seize });
    entries
}

/// Keeps the page for whoever wants to look at it.
fn keep(name: &str, page: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report-test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), page).unwrap();
}

/// Panics unless every element is closed where it should be, and no id occurs twice.
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
    for foreign in
        ["<script", "<link", "<img", "<iframe", "@import", "src=", "http://", "https://", "javascript:"]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.match_indices("url(").all(|(at, _)| page[at..].starts_with("url(#hatch)")));
}

#[test]
fn it_tells_every_rollout_newest_first() {
    let entries = whole();
    let page = report::html("fraud-scorer on payments", &entries);
    keep("whole.html", &page);
    assert_well_formed(&page);
    assert_self_contained(&page);
    assert_eq!(page, report::html("fraud-scorer on payments", &entries));
    let main = &page[page.find("<main>").unwrap()..];
    let places: Vec<_> = ["an operator took the route", "pipeline-4733", "pipeline-4720", "pipeline-4711"]
        .map(|told| main.find(told).expect(told))
        .into();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(page.matches("<article").count(), 3);
}

#[test]
fn a_promotion_shows_its_steps_its_pauses_and_its_bake() {
    let page = report::html("fraud-scorer", &promoted(Vec::new(), noon()));
    keep("promoted.html", &page);
    assert!(!page.contains("<nav"), "one rollout needs no contents");
    for told in [
        "badge pass\">promoted",
        "1.4.0 → <b>1.5.0</b>",
        "<time datetime=\"2026-11-22T11:58:12Z\">22 Nov 2026 11:58:12</time>",
        "alice asked to hold",
        "bob approved",
        "hatched\"></i>waiting</li>",
        "4 windows without evidence",
        "the source did not answer within 5m",
        "<h3>Bake</h3>",
        "p95 at most 10 s",
        "good at 12:",
        "header <code><bdi>x-tester</bdi></code> = <code><bdi>yes</bdi></code> → candidate",
    ] {
        assert!(page.contains(told), "{told}");
    }
    for weight in ["10%", "25%", "50%", "100%"] {
        assert!(page.contains(&format!("<b>{weight}</b>")), "{weight}");
    }
    // Three criteria in the steps and two in the bake, each with its evidence and what it is about.
    assert_eq!(page.matches("<figure").count(), 5);
    assert_eq!(page.matches("aria-label=\"Evidence over time").count(), 5);
    for (measured, criteria) in
        [("odds ratio", 1), ("share", 2), ("share beyond 5 s", 1), ("share beyond 10 s", 1)]
    {
        assert_eq!(
            page.matches(&format!("aria-label=\"{measured} over time")).count(),
            criteria,
            "{measured}"
        );
    }
    assert!(page.matches("<summary class=\"line\"").count() >= 4, "long watches are folded");
}

#[test]
fn a_retreat_says_what_was_held_against_the_candidate() {
    let page = report::html("fraud-scorer", &rolled_back(Vec::new(), noon()));
    for told in [
        "badge fail\">rolled back",
        "the evidence is against the candidate",
        "worse at ",
        ": fail</bdi></li>",
        "mean at most 900",
        "It is shown and decides nothing.",
        "no data",
    ] {
        assert!(page.contains(told), "{told}");
    }
    // A mean has no evidence to draw, but a line against what is tolerated of it, and no band.
    let pictures = |what: &str| page.matches(&format!("aria-label=\"{what} over time")).count();
    let figures = page.matches("<figure").count();
    assert_eq!((pictures("Evidence"), pictures("mean")), (figures - 1, 1));
    assert_eq!(page.matches("class=\"line estimate\"").count() > 1, page.contains("class=\"band surely\""));
    assert!(page.contains("aria-label=\"mean over time, in the end 700; tolerated: 900\""));
    let told: Vec<_> =
        page.split("<b><bdi>tokens</bdi></b>").skip(1).map(|rest| rest.split("</li>").next()).collect();
    assert!(!told.is_empty(), "the journal tells of it");
    assert!(!told.into_iter().flatten().any(|told| told.contains("evidence for")), "{page}");
}

#[test]
fn a_seizure_names_who_took_the_route() {
    let page = report::html("fraud-scorer", &seized(Vec::new(), noon()));
    for told in ["badge seized\">seized", "rollback of incident 88", "another driver goes on"] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn text_is_never_markup() {
    const EVIL: &str =
        "</style></title></svg><script>alert(1)</script><img src=x onerror='a'>\" onload=\"b&\u{202e}";
    let mut spec = spec("1.4.0", "1.5.0");
    spec.criteria[1].metric = Metric::new(EVIL);
    spec.exceptions =
        vec![Exception { key: Key::Cookie("user".to_owned()), value: EVIL.to_owned(), to: Slot::Candidate }];
    let id = EVIL.replace('\u{202e}', "");
    let mut scribe = Scribe::open(Vec::new(), &id, spec.build().unwrap(), noon());
    let missing =
        |_: &Look| Measurement::Missing(Missing::SourceError { cause: EVIL.to_owned(), retryable: true });
    let until = noon() + Duration::from_secs(300);
    scribe.drive(|rollout| matches!(rollout.state(), State::Analyse { from, .. } if *from > until), missing);
    scribe.happen(Event::Ask(Request::Hold { by: EVIL.to_owned() }));
    scribe.happen(Event::Ask(Request::Abort { by: EVIL.to_owned(), reason: EVIL.to_owned() }));
    scribe.happen(Event::Failed { why: EVIL.to_owned() });
    scribe.entries.push(Entry { at: scribe.at, record: Record::Seize { by: EVIL.to_owned() } });
    let page = report::html(EVIL, &scribe.entries);
    keep("hostile.html", &page);
    assert_well_formed(&page);
    assert!(page.matches("&lt;script&gt;").count() > 10);
    for markup in ["<script", "<img", "onload=\"b"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(!page.contains('\u{202e}'), "text must not turn its surroundings around");
}

#[test]
fn nothing_and_next_to_nothing_make_pages_too() {
    let empty = report::html("", &[]);
    assert_well_formed(&empty);
    assert!(empty.contains("Nothing has happened yet."));
    let opened = Scribe::open(Vec::new(), "first", spec("1.4.0", "1.5.0").build().unwrap(), noon());
    let page = report::html("opened", &opened.entries);
    assert_well_formed(&page);
    assert!(page.contains("badge running\">under way") && page.contains("No window was observed."));
}

#[test]
fn a_route_that_was_held_and_released_says_just_that() {
    let by = || "rollback of incident 88".to_owned();
    let at = noon();
    let entries =
        [Record::Seize { by: by() }, Record::Release { by: by() }].map(|record| Entry { at, record });
    let page = report::html("held", &entries);
    assert_well_formed(&page);
    assert!(page.contains("while no rollout was under way") && page.contains("released the route"));
    assert!(!page.contains("none was opened before it"));
}

#[test]
fn lines_that_do_not_follow_are_shown_as_such() {
    let at = noon();
    let mut entries = vec![Entry { at, record: Record::Happen(Event::Routed) }];
    entries = Scribe::open(entries, "first", spec("1.4.0", "1.5.0").build().unwrap(), at).entries;
    entries.push(Entry { at, record: Record::Happen(Event::Settled) });
    let page = report::html("broken", &entries);
    assert_well_formed(&page);
    assert!(page.contains("none was opened before it"));
    assert!(page.contains("Does not follow from the lines before: <bdi>`settled` is not possible"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also with clocks that jump, and in whatever order.
    #[test]
    fn any_journal_makes_a_page(lines in prop::collection::vec((any::<prop::sample::Index>(), 0..200_000_000_000_u64), 0..40)) {
        let pool = whole();
        let entries: Vec<_> = lines
            .into_iter()
            .map(|(index, seconds)| Entry {
                at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
                record: index.get(&pool).record.clone(),
            })
            .collect();
        assert_well_formed(&report::html("any", &entries));
    }
}
