//! What is to be done about a release: a function of what it says and of what its journal says.

use std::time::SystemTime;

use tidegate::{
    canary::{
        Entry, Event, Gate, Pause, Plan, Record, Release, Request, Rollout, RolloutId, RouteJournal, State,
    },
    registry::ModelRef,
};

use crate::resource::{Approval, ReleaseSpec};

/// What a release wants, as far as it makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) name: String,
    pub(crate) uid: &'a str,
    pub(crate) generation: i64,
    pub(crate) spec: &'a ReleaseSpec,
    /// Whether somebody deletes it.
    pub(crate) ending: bool,
    /// What is in service.
    pub(crate) stable: Option<ModelRef>,
    /// The version that is wanted.
    pub(crate) candidate: Option<Release>,
    /// The way from what is in service, or from where the rollout under way began, to what is wanted. None while
    /// they are the same, or while it makes no sense.
    pub(crate) plan: Option<Plan>,
}

/// What the journal of a route says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) latest: Option<&'a (RolloutId, Rollout)>,
    pub(crate) holder: Option<&'a str>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Course {
    /// To ask something of the rollout under way, and to go on driving it.
    Ask(Box<Request>),
    /// To drive the rollout under way.
    Drive,
    /// To begin a rollout.
    Open { id: RolloutId, plan: Box<Plan> },
    /// Nothing.
    Rest,
    /// To leave a route alone on which others are at work: who, in words.
    Yield(String),
}

impl<'a> Past<'a> {
    pub(crate) fn of(journal: &'a RouteJournal) -> Self {
        Self { entries: journal.entries(), latest: journal.latest(), holder: journal.holder() }
    }

    /// The rollout that has not ended.
    pub(crate) fn under_way(&self) -> Option<(&'a RolloutId, &'a Rollout)> {
        let (id, rollout) = self.latest?;
        (!rollout.state().is_end()).then_some((id, rollout))
    }

    /// The newest of `requests` among what was asked of the latest rollout.
    fn last_asked(&self, is_one: impl Fn(&Request) -> bool) -> Option<&'a Request> {
        let asked = self.entries.iter().rev().map(|entry| &entry.record);
        asked.take_while(|record| !matches!(record, Record::Open { .. })).find_map(|record| match record {
            Record::Happen(Event::Ask(request)) if is_one(request) => Some(request),
            _ => None,
        })
    }

    /// The plan that the latest rollout follows, or will once traffic is back.
    fn followed(&self) -> Option<&'a Plan> {
        let (_, rollout) = self.latest?;
        match self.last_asked(|request| matches!(request, Request::Replace { .. })) {
            Some(Request::Replace { plan, .. }) => Some(plan),
            _ => Some(rollout.plan()),
        }
    }
}

impl Wish<'_> {
    /// Whether this release opened the rollout `id`.
    pub(crate) fn opened(&self, id: &RolloutId) -> bool {
        id.to_string().strip_prefix(self.uid).is_some_and(|rest| rest.starts_with('.'))
    }

    /// An id that stays the same however often opening it is tried, and is another for each spec.
    fn id(&self) -> RolloutId {
        let id = format!("{}.{}.{}", self.uid, self.spec.attempt, self.generation);
        id.parse().expect("a uid and two numbers make a short id")
    }

    /// Whether the rollout `id` was this attempt.
    fn is_attempt(&self, id: &RolloutId) -> bool {
        id.to_string().strip_prefix(&format!("{}.{}.", self.uid, self.spec.attempt)).is_some()
    }

    fn by(&self) -> String {
        format!("release {}", self.name)
    }

    /// What is to be done, at `at`.
    pub(crate) fn course(&self, past: Past<'_>, at: SystemTime) -> Course {
        match past.under_way() {
            Some((id, rollout)) if self.opened(id) => {
                let asked = self.asked(past, rollout).into_iter();
                let mut possible =
                    asked.filter(|asked| rollout.check(&Event::Ask(asked.clone()), at).is_ok());
                possible.next().map_or(Course::Drive, |asked| Course::Ask(Box::new(asked)))
            }
            Some((id, _)) => {
                Course::Yield(format!("rollout {id}, which is not this release's, is under way on the route"))
            }
            None => match (past.holder, &self.plan) {
                (Some(holder), _) => Course::Yield(format!("{holder} holds the route")),
                _ if self.ending || self.spec.paused || self.spec.abort.is_some() => Course::Rest,
                (None, Some(plan)) if !self.was_tried(past, plan) => {
                    Course::Open { id: self.id(), plan: Box::new(plan.clone()) }
                }
                (None, _) => Course::Rest,
            },
        }
    }

    /// Whether what is wanted is how the last rollout was and ended.
    pub(crate) fn was_tried(&self, past: Past<'_>, plan: &Plan) -> bool {
        past.latest.is_some_and(|(id, rollout)| self.is_attempt(id) && rollout.plan() == plan)
    }

    /// What this release asks of the rollout under way, the most urgent first.
    fn asked(&self, past: Past<'_>, rollout: &Rollout) -> Vec<Request> {
        let by = self.by();
        let wanted = self.candidate.as_ref().map(|candidate| &candidate.model);
        let why = match () {
            () if self.ending => Some("the release is being deleted".to_owned()),
            () if wanted == Some(&rollout.plan().stable.model) => {
                Some("the version in service is wanted again".to_owned())
            }
            () => self.spec.abort.clone(),
        };
        if let Some(reason) = why {
            return vec![Request::Abort { by, reason }];
        }
        let mut asked = Vec::new();
        if let Some(plan) = self.plan.as_ref().filter(|plan| past.followed() != Some(plan)) {
            asked.push(Request::Replace { by: by.clone(), plan: Box::new(plan.clone()) });
        }
        let held = rollout.pauses().contains(&Pause::Held);
        match self.spec.paused {
            true if !held => asked.push(Request::Hold { by }),
            // What somebody else holds, they let go.
            false if held && self.holds(past) => asked.push(Request::Resume { by }),
            false => {
                asked.extend(self.spec.approve.as_ref().and_then(|approval| approve(approval, rollout, by)))
            }
            true => {}
        }
        asked
    }

    fn holds(&self, past: Past<'_>) -> bool {
        let hold = past.last_asked(|request| matches!(request, Request::Hold { .. }));
        hold.is_some_and(|hold| hold.by() == self.by())
    }
}

/// The approval, if it is of the step before whose gate the rollout stands.
fn approve(approval: &Approval, rollout: &Rollout, by: String) -> Option<Request> {
    let State::Gate { step, .. } = rollout.state() else { return None };
    let waits = rollout.closed_gates().any(|(_, gate)| *gate == Gate::Approval);
    let digest = approval.digest.parse().ok()?;
    let by = approval.by.clone().unwrap_or(by);
    (waits && u32::try_from(*step + 1) == Ok(approval.step)).then_some(Request::Approve { by, digest })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tidegate::registry::Digest;

    use super::*;
    use crate::plan::plan;

    const AT: SystemTime = SystemTime::UNIX_EPOCH;

    fn release(model: &str) -> Release {
        Release { model: model.parse().unwrap(), digest: Digest::of(model) }
    }

    fn path(to: &str) -> Plan {
        let said = json!({"strategy": "blue-green", "timing": {"warmUp": "1s"}});
        let route = "serving/fraud".parse().unwrap();
        plan(said.as_object().unwrap(), &route, &release("fraud@1.0.0"), &release(to)).unwrap()
    }

    fn spec(more: Value) -> ReleaseSpec {
        let mut spec = json!({
            "model": "fraud", "version": "1.1.0", "route": {"name": "fraud"}, "deployment": {},
            "metrics": {"prometheus": {"url": "http://p", "queries": {}}},
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn wish<'a>(spec: &'a ReleaseSpec, to: &str) -> Wish<'a> {
        Wish { plan: Some(path(to)), ..wish_for(spec, to) }
    }

    fn wish_for<'a>(spec: &'a ReleaseSpec, to: &str) -> Wish<'a> {
        Wish {
            name: "fraud".to_owned(),
            uid: "u",
            generation: 3,
            spec,
            ending: false,
            stable: Some("fraud@1.0.0".parse().unwrap()),
            candidate: Some(release(to)),
            plan: None,
        }
    }

    /// A journal of one rollout, as its machine has it.
    struct Story {
        entries: Vec<Entry>,
        latest: (RolloutId, Rollout),
    }

    impl Story {
        fn new(id: &str, plan: Plan) -> Self {
            let id: RolloutId = id.parse().unwrap();
            let record = Record::Open { id: id.clone(), plan: Box::new(plan.clone()) };
            Self { entries: vec![Entry { at: AT, record }], latest: (id, Rollout::new(plan)) }
        }

        fn then(mut self, events: impl IntoIterator<Item = Event>) -> Self {
            for event in events {
                self.latest.1.apply(&event, AT).unwrap();
                self.entries.push(Entry { at: AT, record: Record::Happen(event) });
            }
            self
        }

        fn past(&self) -> Past<'_> {
            Past { entries: &self.entries, latest: Some(&self.latest), holder: None }
        }
    }

    fn by() -> String {
        "release fraud".to_owned()
    }

    fn abort() -> Event {
        Event::Ask(Request::Abort { by: by(), reason: "no".to_owned() })
    }

    const NOTHING: Past<'_> = Past { entries: &[], latest: None, holder: None };

    #[test]
    fn a_wish_is_opened_once_and_again_only_when_it_is_another() {
        let said = spec(json!({}));
        let first = wish(&said, "fraud@1.1.0");
        let Course::Open { id, plan } = first.course(NOTHING, AT) else { panic!() };
        assert_eq!((id.to_string().as_str(), *plan), ("u.0.3", path("fraud@1.1.0")));
        // After a crash between deciding and writing it is the same.
        let retried = Course::Open { id, plan: Box::new(path("fraud@1.1.0")) };
        assert_eq!(first.course(NOTHING, AT), retried);

        let ended = Story::new("u.0.3", path("fraud@1.1.0")).then([abort()]);
        assert!(ended.latest.1.state().is_end());
        assert_eq!(first.course(ended.past(), AT), Course::Rest);
        let later = Wish { generation: 9, ..first.clone() };
        assert_eq!(later.course(ended.past(), AT), Course::Rest, "only something else was changed");
        let again = spec(json!({"attempt": 1}));
        let course = wish(&again, "fraud@1.1.0").course(ended.past(), AT);
        assert!(matches!(&course, Course::Open { id, .. } if id.to_string() == "u.1.3"), "{course:?}");
        let other = Wish { generation: 4, ..wish(&said, "fraud@1.2.0") };
        let course = other.course(ended.past(), AT);
        assert!(matches!(&course, Course::Open { id, .. } if id.to_string() == "u.0.4"), "{course:?}");
    }

    #[test]
    fn nothing_begins_while_it_is_paused_aborted_deleted_or_held_by_others() {
        for more in [json!({"paused": true}), json!({"abort": "why"})] {
            let said = spec(more);
            assert_eq!(wish(&said, "fraud@1.1.0").course(NOTHING, AT), Course::Rest);
        }
        let said = spec(json!({}));
        let ending = Wish { ending: true, ..wish(&said, "fraud@1.1.0") };
        assert_eq!(ending.course(NOTHING, AT), Course::Rest);
        let held = Past { holder: Some("rollback r-1"), ..NOTHING };
        assert_eq!(
            wish(&said, "fraud@1.1.0").course(held, AT),
            Course::Yield("rollback r-1 holds the route".to_owned())
        );
        let theirs = Story::new("ci-1", path("fraud@1.1.0"));
        let course = wish(&said, "fraud@1.1.0").course(theirs.past(), AT);
        assert!(matches!(course, Course::Yield(_)), "{course:?}");
        // The uid of another release may begin with this one's.
        let theirs = Story::new("u2.0.1", path("fraud@1.1.0"));
        assert!(matches!(wish(&said, "fraud@1.1.0").course(theirs.past(), AT), Course::Yield(_)));
    }

    #[test]
    fn a_change_under_way_replaces_the_plan_once() {
        let said = spec(json!({}));
        let story = Story::new("u.0.3", path("fraud@1.1.0")).then([Event::Checked]);
        assert_eq!(wish(&said, "fraud@1.1.0").course(story.past(), AT), Course::Drive);
        let other = wish(&said, "fraud@1.2.0");
        let Course::Ask(asked) = other.course(story.past(), AT) else { panic!() };
        assert_eq!(*asked, Request::Replace { by: by(), plan: Box::new(path("fraud@1.2.0")) });
        let story = story.then([Event::Ask(*asked)]);
        assert_eq!(other.course(story.past(), AT), Course::Drive);
        // What makes no sense replaces nothing.
        let nonsense = Wish { plan: None, ..wish(&said, "fraud@1.3.0") };
        assert_eq!(nonsense.course(story.past(), AT), Course::Drive);
    }

    #[test]
    fn what_this_release_holds_it_lets_go_and_nothing_else() {
        let (paused, free) = (spec(json!({"paused": true})), spec(json!({})));
        let story = Story::new("u.0.3", path("fraud@1.1.0")).then([Event::Checked]);
        let Course::Ask(hold) = wish(&paused, "fraud@1.1.0").course(story.past(), AT) else { panic!() };
        assert_eq!(*hold, Request::Hold { by: by() });
        let held = story.then([Event::Ask(*hold)]);
        assert_eq!(wish(&paused, "fraud@1.1.0").course(held.past(), AT), Course::Drive);
        let resume = Request::Resume { by: by() };
        assert_eq!(wish(&free, "fraud@1.1.0").course(held.past(), AT), Course::Ask(Box::new(resume)));

        let hold = Event::Ask(Request::Hold { by: "ada".to_owned() });
        let held = Story::new("u.0.3", path("fraud@1.1.0")).then([Event::Checked, hold]);
        assert_eq!(wish(&free, "fraud@1.1.0").course(held.past(), AT), Course::Drive);
    }

    #[test]
    fn an_approval_counts_for_its_step_and_content_only() {
        let digest = Digest::of("fraud@1.1.0").to_string();
        let story = Story::new("u.0.3", path("fraud@1.1.0")).then([
            Event::Checked,
            Event::Ready,
            Event::Elapsed,
            Event::Routed,
            Event::Elapsed,
        ]);
        assert!(matches!(story.latest.1.state(), State::Gate { step: 0, .. }));
        let course = |approve: Value| {
            let said = spec(json!({"approve": approve}));
            wish(&said, "fraud@1.1.0").course(story.past(), AT + Duration::from_secs(1))
        };
        let Course::Ask(asked) = course(json!({"digest": digest, "step": 1, "by": "ada"})) else { panic!() };
        assert_eq!(*asked, Request::Approve { by: "ada".to_owned(), digest: Digest::of("fraud@1.1.0") });
        assert_eq!(course(json!({"digest": digest, "step": 2})), Course::Drive);
        let other = Digest::of("fraud@1.2.0").to_string();
        assert_eq!(course(json!({"digest": other, "step": 1})), Course::Drive);
    }

    #[test]
    fn who_wants_the_version_in_service_again_gets_it_back() {
        let said = spec(json!({}));
        let story = Story::new("u.0.3", path("fraud@1.1.0")).then([Event::Checked]);
        let back = Wish { plan: None, ..wish_for(&said, "fraud@1.0.0") };
        let Course::Ask(asked) = back.course(story.past(), AT) else { panic!() };
        assert!(matches!(&*asked, Request::Abort { reason, .. } if reason.contains("wanted again")));
    }

    #[test]
    fn who_deletes_a_release_gets_its_traffic_back() {
        let said = spec(json!({"paused": true}));
        let story = Story::new("u.0.3", path("fraud@1.1.0")).then([Event::Checked, Event::Ready]);
        let ending = Wish { ending: true, plan: None, ..wish(&said, "fraud@1.1.0") };
        let Course::Ask(asked) = ending.course(story.past(), AT) else { panic!() };
        assert!(matches!(&*asked, Request::Abort { reason, .. } if reason.contains("deleted")));
        let story = story.then([Event::Ask(*asked)]);
        assert_eq!(ending.course(story.past(), AT), Course::Drive, "it is brought to its end");
        let story = story.then([Event::Removed]);
        assert_eq!(ending.course(story.past(), AT), Course::Rest);
    }
}
