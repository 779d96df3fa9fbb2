//! The page about a route's rollouts, from journals written by hand.
#![cfg(feature = "report")]

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use tidegate_canary::{
    Duty, Entry, Event, Exception, Key, Plan, PlanSpec, Record, Release, Rollout, Sample, Slot, State,
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
                Duty::AwaitPerson | Duty::Nothing => return,
                Duty::Check => Event::Checked,
                Duty::Ensure { .. } => {
                    self.at += Duration::from_secs(55);
                    Event::Ready
                }
                Duty::Observe { window, due, compared, .. } => {
                    self.at = self.at.max(due);
                    let bake = self.rollout.state().is_bake();
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
    spec.steps[1].gate = true;
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
    scribe.happen(Event::Hold { by: "alice".to_owned() });
    let until = scribe.at + Duration::from_secs(90);
    scribe.drive(|rollout| matches!(rollout.state(), State::Analyse { from, .. } if *from > until), world);
    scribe.happen(Event::Resume { by: "alice".to_owned() });
    scribe.drive(gated, world);
    let until = scribe.at + Duration::from_secs(150);
    scribe.drive(|rollout| matches!(rollout.state(), State::Gate { from, .. } if *from > until), world);
    scribe.happen(Event::Approve { by: "bob".to_owned() });
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

fn write(name: &str, page: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("report-test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), page).unwrap();
}

#[test]
fn a_whole_route() {
    let page = report::html("fraud-scorer on payments", &whole());
    write("whole.html", &page);
}
