//! What is worth telling of a line, in words.

use tidegate_registry::Seq;

use super::{
    kind::Kind,
    narrator::{Before, is_bad},
    notice::Severity,
};
use crate::{Cause, Event, Pause, Plan, Request, Rollout, State, Step, Weight};

/// What a notice says, but for what all of them say.
pub(super) struct Telling {
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    /// The rest of a sentence that begins with the route.
    pub(super) text: String,
    /// The step, from 0.
    pub(super) step: Option<usize>,
    pub(super) by: Option<String>,
    pub(super) reasons: Vec<String>,
    pub(super) remedy: Option<String>,
}

impl Telling {
    fn new(kind: Kind, severity: Severity, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, severity, text, step: None, by: None, reasons: Vec::new(), remedy: None }
    }

    fn step(self, step: usize) -> Self {
        Self { step: Some(step), ..self }
    }

    fn by(self, by: &str) -> Self {
        Self { by: Some(by.to_owned()), ..self }
    }

    fn since(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }

    fn because(mut self, cause: &Cause) -> Self {
        match cause {
            Cause::Failed { judgements } | Cause::Compared { judgements, .. } => {
                self.reasons.extend(judgements.iter().cloned());
            }
            Cause::Rejected { by, reason } | Cause::Requested { by, reason } => {
                self = self.by(by).since(reason);
            }
            Cause::Replaced { by } => self = self.by(by),
            Cause::Broken { why } => self = self.since(why),
            Cause::Undecided => self = self.since(cause.to_string()),
        }
        self
    }
}

pub(super) fn opened(rollout: &Rollout) -> Telling {
    let plan = rollout.plan();
    let text = format!("the rollout of {} has begun, from {}, {}", new(plan), old(plan), course(plan));
    Telling::new(Kind::Opened, Severity::Info, text)
}

pub(super) fn released(by: &str) -> Telling {
    Telling::new(Kind::Released, Severity::Info, format!("{by} gave the route back")).by(by)
}

/// Of a route whose rollout, if there was one under way, is `over`.
pub(super) fn seized(by: &str, over: Option<&Rollout>) -> Telling {
    let over = over.map(|rollout| format!(", and the rollout of {} is over", new(rollout.plan())));
    let text = format!("{by} took the route{}", over.unwrap_or_default());
    Telling::new(Kind::Seized, Severity::Warning, text).by(by)
}

pub(super) fn broken(seq: Seq, why: &str) -> Telling {
    let text = format!("record {seq} of the route's journal cannot be followed: {why}");
    let remedy = "restore the journal; until then no rollout of this route can be driven".to_owned();
    let telling = Telling::new(Kind::Broken, Severity::Critical, text).since(why);
    Telling { remedy: Some(remedy), ..telling }
}

/// What `event` has made of the rollout that was as `before`, if that is worth telling.
pub(super) fn of(before: &Before, event: &Event, rollout: &Rollout) -> Option<Telling> {
    let telling = arrived(before, event, rollout)
        .or_else(|| paused(before, event, rollout))
        .or_else(|| happened(before, event, rollout))?;
    // Whoever asked is part of it, whatever came of it.
    Some(match (event, &telling.by) {
        (Event::Ask(request), None) => telling.by(request.by()),
        _ => telling,
    })
}

/// That it is in another state, where that is news.
fn arrived(before: &Before, event: &Event, rollout: &Rollout) -> Option<Telling> {
    let plan = rollout.plan();
    let (new, old) = (new(plan), old(plan));
    let step_of = |step: usize| format!("step {} of {}", step + 1, plan.steps.len());
    let state = rollout.state();
    if std::mem::discriminant(state) == std::mem::discriminant(&before.state)
        && !matches!(event, Event::Ask(Request::Replace { .. }))
    {
        return None;
    }
    Some(match state {
        State::Preflight => {
            let text = format!(
                "another plan has taken the place: the rollout of {new}, from {old}, {}",
                course(plan)
            );
            Telling::new(Kind::Replaced, Severity::Info, text)
        }
        State::Warm { .. } => {
            Telling::new(Kind::Ready, Severity::Info, format!("{new} runs, still without traffic"))
        }
        State::Analyse { step, .. } if matches!(before.state, State::Shift { .. }) => {
            let text = format!("{new} {} ({})", share(&plan.steps[*step]), step_of(*step));
            Telling::new(Kind::StepBegun, Severity::Info, text).step(*step)
        }
        State::Gate { step, .. } => {
            let severity = if rollout.awaits_person() { Severity::Warning } else { Severity::Info };
            let text = format!("{} of {new} is over; it waits for {}", step_of(*step), gates(rollout));
            let judgements = rollout.judgements();
            let telling = Telling::new(Kind::GateWaits, severity, text).step(*step);
            judgements.iter().fold(telling, |telling, judgement| telling.since(judgement.to_string()))
        }
        State::Rush { .. } => {
            let text = format!("{new} gets all traffic and is promoted without further proof");
            with_request(Telling::new(Kind::Rushed, Severity::Warning, text), event)
        }
        State::Renew { .. } => {
            let text = format!("the steps of {new} are over, and it is being promoted");
            with_request(Telling::new(Kind::Promoting, Severity::Info, text), event)
        }
        State::Drain { promoted, .. } => {
            let text = format!("{new} is {} now, by record {promoted} of its model", plan.channel);
            Telling::new(Kind::Promoted, Severity::Info, text)
        }
        State::Bake { .. } => {
            let bake = humantime::format_duration(plan.timing.bake);
            let text = format!("{new} is watched for {bake} before it counts as good");
            Telling::new(Kind::Baking, Severity::Info, text)
        }
        State::Restore { cause, .. } | State::Retreat { cause, .. } | State::Withdraw { cause, .. }
            if !is_backward(&before.state) =>
        {
            let text = match state {
                State::Withdraw { .. } => format!("{new} is withdrawn before it had traffic: {cause}"),
                _ => format!("traffic returns from {new} to {old}: {cause}"),
            };
            Telling::new(Kind::Returning, severity_of(cause), text).because(cause)
        }
        State::Verify { cause, .. } | State::Ebb { cause, .. }
            if matches!(before.state, State::Retreat { .. }) =>
        {
            let severity = severity_of(cause).min(Severity::Warning);
            let text = format!("all traffic is back on {old}");
            Telling::new(Kind::Returned, severity, text).because(cause)
        }
        State::Compared { verdict, judgements } => {
            let text = format!("{new} is compared with {old} ({verdict}); all traffic is on {old}");
            let cause = Cause::Compared { verdict: *verdict, judgements: judgements.clone() };
            Telling::new(Kind::Compared, Severity::Info, text).because(&cause)
        }
        State::Promoted => {
            Telling::new(Kind::Settled, Severity::Info, format!("{new} is promoted and has proven itself"))
        }
        State::RolledBack { cause } => {
            let severity = severity_of(cause).min(Severity::Warning);
            let text = match before.state {
                State::Preflight => format!("{new} was not rolled out, and nothing was moved: {cause}"),
                _ => format!("rolled back: all traffic is on {old}, and {new} is gone: {cause}"),
            };
            Telling::new(Kind::RolledBack, severity, text).because(cause)
        }
        State::Seized { by } => seized(by, Some(rollout)),
        State::Stuck { during, why, remedy } => {
            let text = format!("the rollout of {new} got stuck while {during}: {why}; {remedy}");
            let telling = Telling::new(Kind::Stuck, Severity::Critical, text).since(why);
            Telling { remedy: Some(remedy.to_string()), ..telling }
        }
        State::Unsettled { cause } => {
            let text = format!("{new} was promoted, but failed its bake: {cause}");
            let telling = Telling::new(Kind::Unsettled, Severity::Error, text).because(cause);
            Telling { remedy: Some("it is no last known good; roll it back".to_owned()), ..telling }
        }
        // On the way from one piece of news to the next.
        State::Provision { .. }
        | State::Shift { .. }
        | State::Analyse { .. }
        | State::Return { .. }
        | State::Record { .. }
        | State::Retire { .. }
        | State::Settle { .. }
        | State::Restore { .. }
        | State::Retreat { .. }
        | State::Verify { .. }
        | State::Ebb { .. }
        | State::Withdraw { .. } => return None,
    })
}

/// That it goes on no more, or again.
fn paused(before: &Before, event: &Event, rollout: &Rollout) -> Option<Telling> {
    let pauses = rollout.pauses();
    if *pauses == before.pauses || matches!(event, Event::Ask(Request::Skip { .. })) {
        return None;
    }
    let new = new(rollout.plan());
    let telling = if pauses.is_empty() {
        Telling::new(Kind::Resumed, Severity::Info, format!("the rollout of {new} goes on"))
    } else {
        let severity = pauses.iter().map(|pause| severity_of_pause(*pause)).max().unwrap_or_default();
        let why: Vec<String> = pauses.iter().map(ToString::to_string).collect();
        let text = format!("the rollout of {new} does not go on, since {}", listed(&why));
        Telling::new(Kind::Paused, severity, text)
    };
    let telling = match rollout.state() {
        State::Analyse { step, .. } | State::Gate { step, .. } | State::Shift { step, .. } => {
            telling.step(*step)
        }
        _ => telling,
    };
    Some(match event {
        Event::Drifted { why } | Event::Frozen { why, .. } | Event::Unready { why, .. } => telling.since(why),
        Event::Opened { by, .. } => telling.by(by),
        Event::Ask(Request::Override { .. }) => {
            let severity = telling.severity.max(Severity::Warning);
            with_request(Telling { severity, ..telling }, event)
        }
        event => with_request(telling, event),
    })
}

/// What else people want to know of.
fn happened(before: &Before, event: &Event, rollout: &Rollout) -> Option<Telling> {
    let plan = rollout.plan();
    let new = new(plan);
    let step = match before.state {
        State::Analyse { step, .. } | State::Gate { step, .. } => Some(step),
        _ => None,
    };
    let step_of = |step: Option<usize>| {
        let number = |step| format!("step {} of {}", step + 1, plan.steps.len());
        step.map_or_else(|| before.state.doing().to_owned(), number)
    };
    let telling = match event {
        Event::Opened { by, .. } | Event::Ask(Request::Approve { by, .. }) => {
            let rest = match rollout.closed_gates().next() {
                Some(_) => format!("; it still waits for {}", gates(rollout)),
                None => String::new(),
            };
            let text = format!("{by} let {new} through after {}{rest}", step_of(step));
            Telling::new(Kind::GateOpened, Severity::Info, text).by(by)
        }
        Event::Ask(Request::Skip { by, reason }) => {
            let text = match step {
                Some(_) => format!("{by} skipped {} of {new}: {reason}", step_of(step)),
                None => format!("{by} skipped {}: {reason}", before.state.doing()),
            };
            Telling::new(Kind::Asked, Severity::Warning, text).by(by).since(reason)
        }
        Event::Ask(Request::Abort { by, reason }) => {
            let text =
                format!("{by} took back the other plan, so that nothing comes after the return: {reason}");
            Telling::new(Kind::Asked, Severity::Info, text).by(by).since(reason)
        }
        Event::Drifted { why } => {
            let text = format!("somebody changed the traffic, and it was put right: {why}");
            Telling::new(Kind::Drifted, Severity::Warning, text).since(why)
        }
        Event::Unseen { why } => {
            let text =
                format!("nobody can say what traffic {new} has, and what is seen of it says nothing: {why}");
            Telling::new(Kind::Unseen, Severity::Warning, text).since(why)
        }
        // These are told by where they lead, or lead nowhere yet.
        Event::Barred { .. }
        | Event::Checked
        | Event::Elapsed
        | Event::Failed { .. }
        | Event::Frozen { .. }
        | Event::Observed { .. }
        | Event::Ready
        | Event::Recorded { .. }
        | Event::Recovered
        | Event::Removed
        | Event::Routed
        | Event::Seize { .. }
        | Event::Settled
        | Event::Shut { .. }
        | Event::Thawed
        | Event::Unready { .. }
        | Event::Ask(
            Request::Hold { .. }
            | Request::Override { .. }
            | Request::Promote { .. }
            | Request::Reject { .. }
            | Request::Replace { .. }
            | Request::Resume { .. },
        ) => return None,
    };
    Some(Telling { step, ..telling })
}

/// Who asked, and why.
fn with_request(telling: Telling, event: &Event) -> Telling {
    let Event::Ask(request) = event else { return telling };
    let reason = match request {
        Request::Abort { reason, .. }
        | Request::Override { reason, .. }
        | Request::Promote { reason, .. }
        | Request::Reject { reason, .. }
        | Request::Skip { reason, .. } => Some(reason),
        Request::Approve { .. } | Request::Hold { .. } | Request::Replace { .. } | Request::Resume { .. } => {
            None
        }
    };
    let asked = format!("{} asked for it ({})", request.by(), request.name());
    let text = match reason {
        Some(reason) => format!("{}; {asked}: {reason}", telling.text),
        None => format!("{}; {asked}", telling.text),
    };
    let telling = Telling { text, ..telling }.by(request.by());
    match reason {
        Some(reason) => telling.since(reason),
        None => telling,
    }
}

const fn is_backward(state: &State) -> bool {
    matches!(
        state,
        State::Restore { .. }
            | State::Retreat { .. }
            | State::Verify { .. }
            | State::Ebb { .. }
            | State::Withdraw { .. }
    )
}

const fn severity_of(cause: &Cause) -> Severity {
    match cause {
        _ if is_bad(cause) => Severity::Error,
        Cause::Compared { .. } | Cause::Replaced { .. } => Severity::Info,
        _ => Severity::Warning,
    }
}

const fn severity_of_pause(pause: Pause) -> Severity {
    match pause {
        Pause::Frozen | Pause::Held => Severity::Info,
        Pause::Drifted | Pause::Misrouted | Pause::Outage | Pause::Undecided => Severity::Warning,
        Pause::StableUnready => Severity::Error,
    }
}

/// `fraud 1.1.0`.
fn new(plan: &Plan) -> String {
    format!("{} {}", plan.candidate.model.name(), plan.candidate.model.version())
}

/// `1.0.0`, with its name where that is another one.
fn old(plan: &Plan) -> String {
    let (stable, candidate) = (&plan.stable.model, &plan.candidate.model);
    match stable.name() == candidate.name() {
        true => stable.version().to_string(),
        false => format!("{} {}", stable.name(), stable.version()),
    }
}

/// `in steps of 10%, 50% and 100%`.
fn course(plan: &Plan) -> String {
    let weights: Vec<String> = plan.steps.iter().map(|step| step.weight.to_string()).collect();
    match &*weights {
        [one] => format!("in one step of {one}"),
        several => format!("in steps of {}", listed(several)),
    }
}

fn share(step: &Step) -> String {
    match (step.weight, step.mirror) {
        (Weight::NONE, Weight::NONE) => "runs without traffic".to_owned(),
        (Weight::NONE, mirror) => format!("gets copies of {mirror} of the requests"),
        (weight, _) => format!("has {weight} of the traffic"),
    }
}

/// The gates that are still closed.
fn gates(rollout: &Rollout) -> String {
    let closed: Vec<String> = rollout.closed_gates().map(|(_, gate)| gate.to_string()).collect();
    listed(&closed)
}

/// `a, b and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}
