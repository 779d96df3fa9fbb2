//! Every line of a rollout's journal, long watches folded.

use std::{collections::BTreeMap, time::SystemTime};

use maud::{Markup, html};
use tidegate_metrics::{
    Criterion, Evidence, Measurement, Observation, Point, Window, judge, plot::calendar, trajectory,
};

use super::{
    criterion,
    story::{Line, Phase, Story, Watch},
    words,
};
use crate::{Event, Record, Request, Sample, State};

/// So many windows in a row, in which nothing but observing happens, are folded.
const FOLD: usize = 4;

pub(super) fn table(story: &Story<'_>) -> Markup {
    let steps = Course::of(&story.plan.criteria, story.rollout.evidence());
    let bake = Course::of(&story.plan.bake_criteria, story.rollout.bake_evidence());
    let recovery = Course::of(&story.plan.bake_criteria, story.rollout.recovery_evidence());
    let row = |line: &Line<'_>| {
        let course = match line.watch {
            Watch::Bake => &bake,
            Watch::Recovery => &recovery,
            Watch::Trial => &steps,
        };
        row(story, course, line)
    };
    html! {
        div.line.head aria-hidden="true" { span { "Time" } span { "What happened" } span { "Then the rollout was" } }
        ol.journal {
            @for run in story.lines.chunk_by(|a, b| are_one_watch(a, b)) {
                @if run.len() < FOLD {
                    @for line in run { (row(line)) }
                } @else {
                    li {
                        details {
                            summary.line {
                                (when(story, run[0].at))
                                span {
                                    (words::counted(run.len(), "window")) @if says_nothing(&run[0]) { " said nothing, until " } @else { " observed, until " }
                                    (calendar::time_of_day(run[run.len() - 1].at))
                                }
                                (state(&run[0]))
                            }
                            ol { @for line in run { (row(line)) } }
                        }
                    }
                }
            }
        }
    }
}

fn row(story: &Story<'_>, course: &Course<'_>, line: &Line<'_>) -> Markup {
    html! {
        li.line.refused[line.refused.is_some()] {
            (when(story, line.at))
            span {
                bdi { (what(line.record)) }
                @if let Some(why) = &line.refused { div.alert { "Does not follow from the lines before: " bdi { (why) } } }
                @if let Record::Happen(Event::Observed { window, samples }) = line.record { (course.seen(window, samples)) }
            }
            (state(line))
        }
    }
}

fn when(story: &Story<'_>, at: SystemTime) -> Markup {
    html! { span.time { (calendar::time_of_day(at)) " " small.muted { (words::offset(story.offset(at))) } } }
}

fn state(line: &Line<'_>) -> Markup {
    html! {
        span.muted {
            (place(&line.state))
            @if line.paused { ", paused" }
        }
    }
}

/// Where the rollout was, without the cause, which the headline tells.
fn place(state: &State) -> String {
    match Phase::of(state) {
        Phase::Steps | Phase::Gate => state.to_string(),
        _ => state.doing().to_owned(),
    }
}

/// Whether two lines say no more than that windows were observed, or could not be, in one place.
fn are_one_watch(a: &Line<'_>, b: &Line<'_>) -> bool {
    let alike = (is_watch(a) && is_watch(b)) || (says_nothing(a) && says_nothing(b));
    alike && a.paused == b.paused && place(&a.state) == place(&b.state)
}

/// Whether it says no more than that a window was observed.
fn is_watch(line: &Line<'_>) -> bool {
    line.refused.is_none() && !line.undecided && matches!(line.record, Record::Happen(Event::Observed { .. }))
}

/// Whether it says that nothing is known of a window.
fn says_nothing(line: &Line<'_>) -> bool {
    line.refused.is_none() && matches!(line.record, Record::Happen(Event::Unseen { .. }))
}

/// A record in words.
pub(super) fn what(record: &Record) -> String {
    match record {
        Record::Open { id, .. } => format!("opened as {id}"),
        Record::Release { by } => format!("{by} released the route"),
        Record::Resume { .. } => "another driver goes on".to_owned(),
        Record::Seize { by } | Record::Happen(Event::Seize { by }) => format!("{by} took the route"),
        Record::Happen(event) => match event {
            Event::Ask(Request::Abort { by, reason }) => format!("{by} aborted: {reason}"),
            Event::Ask(Request::Approve { by, digest }) => format!("{by} approved {}", &digest.hex()[..12]),
            Event::Barred { why } => format!("the channel does not let it in any more: {why}"),
            Event::Checked => "the plan fits the world".to_owned(),
            Event::Drifted { why } => format!("the route was mended, and what was seen says nothing: {why}"),
            Event::Elapsed => "time was up".to_owned(),
            Event::Frozen { why, .. } => format!("a freeze is on: {why}"),
            Event::Failed { why } => format!("this could not be done: {why}"),
            Event::Ask(Request::Hold { by }) => format!("{by} asked to hold"),
            Event::Observed { window, .. } => {
                format!("observed {} to {}", calendar::clock(window.start()), calendar::clock(window.end()))
            }
            Event::Opened { by, .. } => format!("{by} let it through"),
            Event::Ask(Request::Override { by, reason }) => format!("{by} overrode the freeze: {reason}"),
            Event::Ask(Request::Promote { by, reason }) => {
                format!("{by} promoted it without further proof: {reason}")
            }
            Event::Ready => "what was to run is ready".to_owned(),
            Event::Recovered => "stable is ready again".to_owned(),
            Event::Ask(Request::Replace { by, .. }) => format!("{by} put another plan in its place"),
            Event::Recorded { seq } => format!("the channel has the promotion as its record {}", seq.get()),
            Event::Ask(Request::Reject { by, reason }) => format!("{by} rejected: {reason}"),
            Event::Removed => "the candidate's slot is empty".to_owned(),
            Event::Ask(Request::Resume { by }) => format!("{by} asked to go on"),
            Event::Routed => "the traffic is in force".to_owned(),
            Event::Seize { by } => format!("{by} took the route"),
            Event::Settled => "the channel has the end of the bake".to_owned(),
            Event::Shut { by, reason, .. } => format!("{by} keeps the gate shut: {reason}"),
            Event::Ask(Request::Skip { by, reason }) => format!("{by} skipped the step: {reason}"),
            Event::Thawed => "no freeze is on any more".to_owned(),
            Event::Unseen { why } => format!("a window says nothing: {why}"),
            Event::Unready { slot, why } => format!("the {slot} slot is not ready: {why}"),
        },
    }
}

/// Where the evidence of each criterion stood, by the ends of windows.
struct Course<'a>(Vec<(&'a Criterion, BTreeMap<SystemTime, Point>)>);

impl<'a> Course<'a> {
    fn of(criteria: &'a [Criterion], evidence: &[Evidence]) -> Self {
        let points = |(criterion, evidence)| {
            // Rules that are not of evidence have none to tell of.
            let is_of_evidence = judge(criterion, evidence).fail.threshold > 0.0;
            let points = if is_of_evidence { trajectory(criterion, evidence) } else { Vec::new() };
            (criterion, points.into_iter().map(|point| (point.end, point)).collect())
        };
        Self(criteria.iter().zip(evidence).map(points).collect())
    }

    /// What was seen in a window, and where the evidence stood after it.
    fn seen(&self, window: &Window, samples: &[Sample]) -> Markup {
        html! {
            ul.seen {
                @for ((criterion, points), sample) in self.0.iter().zip(samples) {
                    li {
                        b { bdi { (words::clip(&criterion.metric, 40)) } } " " span.muted { (criterion::brief(criterion)) } " "
                        (measured(&sample.candidate))
                        @if let Some(baseline) = &sample.baseline { " against " (measured(baseline)) }
                        @if let Some(point) = points.get(&window.end()) {
                            span.muted {
                                "; evidence for worse " (words::e_value(point.fail)) ", for good " (words::e_value(point.pass))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn measured(measurement: &Measurement) -> Markup {
    html! {
        @match measurement {
            Measurement::Observed(Observation::Proportion { hits, trials }) => { (words::count(*hits)) " of " (words::count(*trials)) }
            Measurement::Observed(observation) => { (words::count(observation.trials())) " values" }
            Measurement::Missing(missing) => span.alert { bdi { (missing) } },
            _ => "?",
        }
    }
}
