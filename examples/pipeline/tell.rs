//! What people and machines are told of a release: line by line as it goes, and at its end.

use serde_json::{Value, json};

use crate::{
    answer::{Answer, Status},
    driver::Course,
    failure,
    ground::Ground,
    progress::{Event, Progress, State, Verdict},
    words::{plain, row, table},
};

/// Says what was just written down.
pub(crate) fn event(ground: &Ground, event: &Event, progress: &Progress) {
    match event {
        Event::Open(opened) => {
            let left = ground.release.stages.iter().filter(|stage| !progress.state(&stage.name).has_passed());
            ground.say(&format!(
                "release of {} to {}, by {}: {} of {} stages to go",
                ground.release.model,
                ground.release.channel,
                opened.by,
                left.count(),
                ground.release.stages.len()
            ));
        }
        Event::Began { stage } => ground.say(&format!("{stage} began")),
        Event::Ended { stage, outcome } => {
            let took = took(progress, stage).map(|took| format!(" in {took}")).unwrap_or_default();
            ground.say(&format!("{stage} {}{took}: {}", outcome.verdict.word(), outcome.said));
            if outcome.verdict != Verdict::Passed {
                outcome.lines.iter().for_each(|line| ground.say(&format!("{stage} | {line}")));
            }
        }
        Event::Left { stage, why, waits } => {
            let word = if *waits { "waits" } else { "came to nothing" };
            ground.say(&format!("{stage} {word}: {why}"));
        }
    }
}

/// What there is to say when nothing more is under way.
pub(crate) fn answer(ground: &Ground, course: &Course) -> Answer {
    let Course { progress, errors } = course;
    let release = &ground.release;
    let stages = || release.stages.iter().map(|stage| (stage, progress.state(&stage.name)));
    let mut rows = vec![row(["STAGE", "RESULT", "TOOK", ""])];
    rows.extend(stages().map(|(stage, state)| {
        row([&stage.name, state.word(), &took(progress, &stage.name).unwrap_or_default(), &said(state)])
    }));
    let any = |wanted: Verdict| {
        stages().any(|(_, state)| matches!(state, State::Ended(outcome) if outcome.verdict == wanted))
    };
    let waits = stages().any(|(_, state)| matches!(state, State::Left { waits: true, .. }));
    let described = errors.first().map(|(_, error)| failure::describe(error));
    let (status, end) = match &described {
        _ if any(Verdict::Failed) => (Status::Refused, "failed"),
        Some((status, _)) => (*status, "left"),
        None if any(Verdict::Undecided) => (Status::Inconclusive, "undecided"),
        None if waits => (Status::Waiting, "waiting"),
        None => (Status::Done, "passed"),
    };
    let outputs = ground.outputs_directory().display().to_string();
    let mut lines = vec![table(&rows)];
    for (stage, error) in errors {
        lines.push(plain(&format!("{stage}: {error:#}")));
    }
    lines.push(format!(
        "the release of {} to {}: {end}; outputs are in {outputs}",
        release.model, release.channel
    ));
    let each: Vec<Value> = release.stages.iter().map(|stage| document(&stage.name, progress)).collect();
    let mut json = json!({
        "model": release.model, "channel": release.channel, "end": end, "outputs": outputs, "stages": each,
    });
    if let Some((_, problem)) = described {
        json["error"] = problem;
    }
    Answer { text: lines.join("\n"), json, status }
}

fn document(stage: &str, progress: &Progress) -> Value {
    let course = progress.course(stage);
    let time = |at: Option<_>| at.map(|at| humantime::format_rfc3339_millis(at).to_string());
    let mut document = json!({
        "name": stage, "state": course.state.word(), "attempts": course.attempts,
        "began": time(course.began), "ended": time(course.ended),
        "tookSeconds": course.took().map(|took| took.as_secs_f64()),
    });
    match &course.state {
        State::Ended(outcome) => {
            document["said"] = json!(outcome.said);
            document["lines"] = json!(outcome.lines);
            document["facts"] = json!(outcome.facts);
            document["files"] = json!(outcome.files);
        }
        State::Left { why, .. } => document["said"] = json!(why),
        State::Waiting | State::Begun => {}
    }
    document
}

/// What a stage came to, as a sentence.
pub(crate) fn said(state: &State) -> String {
    match state {
        State::Ended(outcome) => outcome.said.clone(),
        State::Left { why, .. } => why.clone(),
        State::Waiting | State::Begun => String::new(),
    }
}

/// `1.3 s`, `2 min 5 s`
pub(crate) fn took(progress: &Progress, stage: &str) -> Option<String> {
    let took = progress.course(stage).took()?;
    Some(match took.as_secs() {
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        _ => crate::words::ago(took),
    })
}
