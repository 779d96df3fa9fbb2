//! What a release's status says: a function of its journal and of what is wrong with what it says.

use std::time::SystemTime;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use tidegate::canary::{Gate, Rollout, State, Weight};

use crate::{
    course::{Past, Wish},
    resource::ReleaseStatus,
};

/// Why what a release says cannot be done, or not yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// For programs.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
}

/// What is said besides the journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlook {
    pub(crate) route: String,
    pub(crate) problem: Option<Problem>,
    /// Who else is at work on the route, in words.
    pub(crate) others: Option<String>,
    /// The replica that drives the rollout under way.
    pub(crate) holder: Option<String>,
}

/// The status that follows `before`.
pub(crate) fn status(
    wish: &Wish<'_>,
    past: Past<'_>,
    outlook: &Outlook,
    before: Option<&ReleaseStatus>,
    at: SystemTime,
) -> ReleaseStatus {
    let ours = past.latest.filter(|(id, _)| wish.opened(id));
    let rollout = ours.map(|(_, rollout)| rollout);
    let under_way = rollout.filter(|rollout| !rollout.state().is_end());
    let in_service = wish.stable.is_some()
        && wish.stable.as_ref() == wish.candidate.as_ref().map(|candidate| &candidate.model);
    let pending = wish.plan.as_ref().is_some_and(|plan| !wish.was_tried(past, plan));
    let facts = Facts { wish, outlook, rollout, under_way, in_service, pending };
    // What was tried before says nothing of a wish that has come true otherwise.
    let shown = rollout.filter(|rollout| {
        under_way.is_some() || !in_service || wish.stable.as_ref() == Some(&rollout.plan().candidate.model)
    });
    let version = |model: &tidegate::registry::ModelRef| model.version().to_string();
    let stable = under_way.map(|rollout| &rollout.plan().stable.model).or(wish.stable.as_ref());
    ReleaseStatus {
        observed_generation: Some(wish.generation),
        route: Some(outlook.route.clone()),
        stable: stable.map(version),
        candidate: shown.map(|rollout| version(&rollout.plan().candidate.model)),
        candidate_digest: shown.map(|rollout| rollout.plan().candidate.digest.to_string()),
        state: Some(match shown {
            Some(rollout) => word(rollout.state()).to_owned(),
            None if in_service => "InService".to_owned(),
            None => "Waiting".to_owned(),
        }),
        step: under_way.and_then(step),
        weight: under_way.map(|rollout| weight(rollout).to_string()),
        verdict: shown.map(|rollout| rollout.verdict().to_string()),
        message: Some(facts.message()),
        judgements: shown.map_or_else(Vec::new, judgements),
        pauses: under_way
            .map_or_else(Vec::new, |rollout| rollout.pauses().iter().map(ToString::to_string).collect()),
        rollout: ours.map(|(id, _)| id.to_string()),
        records: Some(u64::try_from(past.entries.len()).unwrap_or(u64::MAX)),
        holder: under_way.and_then(|_| outlook.holder.clone()),
        conditions: facts
            .conditions()
            .map(|(kind, said)| condition(kind, said, wish.generation, before, at))
            .into(),
    }
}

/// A condition that holds or not, the reason in a word, and in a sentence.
type Said = (bool, &'static str, String);

struct Facts<'a> {
    wish: &'a Wish<'a>,
    outlook: &'a Outlook,
    rollout: Option<&'a Rollout>,
    under_way: Option<&'a Rollout>,
    in_service: bool,
    /// Whether another rollout is wanted.
    pending: bool,
}

impl Facts<'_> {
    /// What is going on.
    fn message(&self) -> String {
        match (self.under_way, &self.outlook.problem, &self.outlook.others) {
            (Some(rollout), None, _) => waits(rollout).unwrap_or_else(|| sentence(rollout)),
            (_, Some(problem), _) => problem.message.clone(),
            (None, None, Some(others)) => others.clone(),
            (None, None, None) => self.rest(),
        }
    }

    fn rest(&self) -> String {
        match self.rollout {
            _ if self.pending && self.wish.spec.abort.is_some() => {
                "spec.abort is set, so nothing begins; remove it".to_owned()
            }
            _ if self.pending && self.wish.spec.paused => "spec.paused is set, so nothing begins".to_owned(),
            _ if self.pending => "it begins soon".to_owned(),
            Some(rollout) if !self.in_service || is_bad(rollout.state()) => sentence(rollout),
            _ if self.in_service => "the version that is wanted is in service".to_owned(),
            _ => "nothing is to be done".to_owned(),
        }
    }

    fn conditions(&self) -> [(&'static str, Said); 3] {
        [("Degraded", self.degraded()), ("Progressing", self.progressing()), ("Ready", self.ready())]
    }

    fn degraded(&self) -> Said {
        if let Some(problem) = &self.outlook.problem {
            return (true, problem.reason, problem.message.clone());
        }
        match self.rollout {
            Some(rollout)
                if is_bad(rollout.state())
                    || !self.in_service && matches!(rollout.state(), State::RolledBack { .. }) =>
            {
                (true, word(rollout.state()), sentence(rollout))
            }
            _ => (false, "AsExpected", "nothing is wrong".to_owned()),
        }
    }

    fn progressing(&self) -> Said {
        match self.under_way {
            Some(rollout) => match waits(rollout) {
                Some(what) => (false, "Waiting", what),
                None => (true, word(rollout.state()), sentence(rollout)),
            },
            None => (false, "AtRest", self.message()),
        }
    }

    fn ready(&self) -> Said {
        let sound = self.rollout.is_none_or(|rollout| !is_bad(rollout.state()));
        match (self.under_way, self.in_service && sound && self.outlook.problem.is_none()) {
            (None, true) => (true, "InService", self.message()),
            (None, false) => (false, "NotInService", self.message()),
            (Some(_), _) => (false, "UnderWay", self.message()),
        }
    }
}

fn condition(
    kind: &str,
    (holds, reason, message): Said,
    generation: i64,
    before: Option<&ReleaseStatus>,
    at: SystemTime,
) -> Condition {
    let status = if holds { "True" } else { "False" };
    let before = before.into_iter().flat_map(|before| &before.conditions);
    let mut before = before.filter(|before| before.type_ == kind && before.status == status);
    // Whole seconds, as the API server keeps it.
    let now =
        || Time(Timestamp::try_from(at).unwrap_or_default().round(jiff::Unit::Second).unwrap_or_default());
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: before.next().map_or_else(now, |before| before.last_transition_time.clone()),
    }
}

/// Where it is, in a word.
pub(crate) fn word(state: &State) -> &'static str {
    match state {
        State::Analyse { .. } => "Analysing",
        State::Bake { .. } | State::Settle { .. } => "Baking",
        State::Compared { .. } => "Compared",
        State::Gate { .. } => "AtGate",
        State::Preflight => "Checking",
        State::Promoted => "Promoted",
        State::Provision { .. } => "Provisioning",
        State::Rush { .. } | State::Shift { .. } => "Shifting",
        State::Drain { .. }
        | State::Record { .. }
        | State::Renew { .. }
        | State::Retire { .. }
        | State::Return { .. } => "Promoting",
        State::Ebb { .. } | State::Restore { .. } | State::Retreat { .. } | State::Withdraw { .. } => {
            "Returning"
        }
        State::RolledBack { .. } => "RolledBack",
        State::Seized { .. } => "Seized",
        State::Stuck { .. } => "Stuck",
        State::Unsettled { .. } => "Unsettled",
        State::Verify { .. } => "Verifying",
        State::Warm { .. } => "Warming",
        _ => "UnderWay",
    }
}

/// An end for a person, whatever is in service.
fn is_bad(state: &State) -> bool {
    matches!(state, State::Seized { .. } | State::Stuck { .. } | State::Unsettled { .. })
}

fn sentence(rollout: &Rollout) -> String {
    format!("the rollout is {}", rollout.state())
}

/// What it waits for, where it does not go on by itself.
fn waits(rollout: &Rollout) -> Option<String> {
    if !rollout.pauses().is_empty() {
        let pauses: Vec<_> = rollout.pauses().iter().map(ToString::to_string).collect();
        return Some(format!("it does not go on, since {}", pauses.join(" and ")));
    }
    let State::Gate { step, .. } = rollout.state() else { return None };
    let gates: Vec<_> = rollout.closed_gates().map(|(_, gate)| gate.to_string()).collect();
    let mut waits = format!("step {} waits for {}", step + 1, gates.join(", "));
    if rollout.closed_gates().any(|(_, gate)| *gate == Gate::Approval) {
        let digest = rollout.plan().candidate.digest;
        waits.push_str(&format!("; set spec.approve to step {} and {digest} to let it through", step + 1));
    }
    (!gates.is_empty()).then_some(waits)
}

/// Which step of how many.
fn step(rollout: &Rollout) -> Option<String> {
    match rollout.state() {
        State::Analyse { step, .. } | State::Gate { step, .. } | State::Shift { step, .. } => {
            Some(format!("{}/{}", step + 1, rollout.plan().steps.len()))
        }
        _ => None,
    }
}

/// The candidate's share, in force or being put there.
pub(crate) fn weight(rollout: &Rollout) -> Weight {
    match rollout.state() {
        State::Analyse { step, .. } | State::Gate { step, .. } | State::Shift { step, .. } => {
            rollout.plan().steps[*step].weight
        }
        State::Renew { .. } | State::Restore { .. } | State::Rush { .. } => Weight::FULL,
        _ => Weight::NONE,
    }
}

fn judgements(rollout: &Rollout) -> Vec<String> {
    rollout.judgements().iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tidegate::{
        canary::{Event, Plan, Release, Request, RolloutId},
        registry::Digest,
    };

    use super::*;
    use crate::{plan::plan, resource::ReleaseSpec};

    const AT: SystemTime = SystemTime::UNIX_EPOCH;

    fn release(model: &str) -> Release {
        Release { model: model.parse().unwrap(), digest: Digest::of(model) }
    }

    fn blue_green() -> Plan {
        let said = json!({"strategy": "blue-green"});
        let route = "serving/fraud".parse().unwrap();
        let said = said.as_object().unwrap();
        plan(said, &route, &release("fraud@1.0.0"), &release("fraud@1.1.0")).unwrap()
    }

    fn spec() -> ReleaseSpec {
        let spec = json!({
            "model": "fraud", "version": "1.1.0", "route": {"name": "fraud"}, "deployment": {},
            "metrics": {"prometheus": {"url": "http://p", "queries": {}}},
        });
        serde_json::from_value(spec).unwrap()
    }

    fn after(events: impl IntoIterator<Item = Event>, problem: Option<Problem>) -> ReleaseStatus {
        let mut rollout = Rollout::new(blue_green());
        events.into_iter().for_each(|event| rollout.apply(&event, AT).unwrap());
        let latest: (RolloutId, Rollout) = ("u.0.3".parse().unwrap(), rollout);
        let past = Past { entries: &[], latest: Some(&latest), holder: None };
        let outlook = Outlook { problem, holder: Some("replica-a".to_owned()), ..Outlook::default() };
        seen("1.0.0", past, &outlook, None, AT)
    }

    fn seen(
        stable: &str,
        past: Past<'_>,
        outlook: &Outlook,
        before: Option<&ReleaseStatus>,
        at: SystemTime,
    ) -> ReleaseStatus {
        let spec = spec();
        let wish = Wish {
            name: "fraud".to_owned(),
            uid: "u",
            generation: 3,
            spec: &spec,
            ending: false,
            stable: Some(format!("fraud@{stable}").parse().unwrap()),
            candidate: Some(release("fraud@1.1.0")),
            plan: None,
        };
        status(&wish, past, outlook, before, at)
    }

    fn holds(status: &ReleaseStatus) -> Vec<(&str, &str)> {
        let holding = status.conditions.iter().filter(|condition| condition.status == "True");
        holding.map(|condition| (condition.type_.as_str(), condition.reason.as_str())).collect()
    }

    #[test]
    fn a_gate_says_what_to_write_to_open_it() {
        let events = [Event::Checked, Event::Ready, Event::Elapsed, Event::Routed, Event::Elapsed];
        let status = after(events, None);
        assert_eq!(status.state.as_deref(), Some("AtGate"));
        assert_eq!((status.step.as_deref(), status.weight.as_deref()), (Some("1/2"), Some("0%")));
        assert_eq!(status.holder.as_deref(), Some("replica-a"));
        let message = status.message.clone().unwrap();
        assert!(message.contains("set spec.approve to step 1 and sha256:"), "{message}");
        assert_eq!(holds(&status), []);
    }

    #[test]
    fn what_ended_badly_is_degraded_with_its_reason() {
        let abort = Event::Ask(Request::Abort { by: "ada".to_owned(), reason: "a bad feeling".to_owned() });
        let status = after([abort], None);
        assert_eq!(status.state.as_deref(), Some("RolledBack"));
        assert_eq!(holds(&status), [("Degraded", "RolledBack")]);
        assert!(status.message.unwrap().contains("a bad feeling"));
        assert_eq!(status.holder, None);
    }

    #[test]
    fn a_problem_is_told_and_what_is_under_way_goes_on() {
        let problem = Problem { reason: "InvalidPlan", message: "steps[1] shows no more".to_owned() };
        let status = after([Event::Checked], Some(problem));
        assert_eq!(status.state.as_deref(), Some("Provisioning"));
        assert_eq!(holds(&status), [("Degraded", "InvalidPlan"), ("Progressing", "Provisioning")]);
        assert!(status.message.unwrap().contains("steps[1] shows no more"));
    }

    #[test]
    fn at_rest_the_same_status_is_said_again_whatever_the_time() {
        let past = Past { entries: &[], latest: None, holder: None };
        let outlook = Outlook::default();
        let first = seen("1.1.0", past, &outlook, None, AT);
        assert_eq!(holds(&first), [("Ready", "InService")]);
        assert_eq!(first.state.as_deref(), Some("InService"));
        let later = AT + Duration::from_secs(3600);
        assert_eq!(seen("1.1.0", past, &outlook, Some(&first), later), first);
        let other = seen("1.0.0", past, &outlook, Some(&first), later);
        let ready = other.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(ready.status, "False");
        assert_eq!(ready.last_transition_time.0, Timestamp::try_from(later).unwrap());
    }
}
