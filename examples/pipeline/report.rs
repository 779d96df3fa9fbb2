//! A release as one HTML page: what it came to, when each stage ran, and what each found. The page needs nothing but
//! itself: no script, no link, no font; what stages wrote for themselves is inside of it.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    failure::Failure,
    formats::replace,
    ground::Ground,
    progress::{Course, Outcome, Progress, State},
    release::Stage,
    tell::{said, took},
    words::{ago, bytes, plain, time},
};

const STYLE: &str = include_str!("report.css");
/// Bytes of the end of an output that are shown.
const OUTPUT: u64 = 32 << 10;
/// Bytes of the longest page of a stage that becomes part of this one.
const PAGE: u64 = 4 << 20;

/// Writes the page into the directory of outputs.
pub(crate) fn write(ground: &Ground, progress: &Progress, end: &str) -> Result<()> {
    let path = ground.outputs()?.join("report.html");
    replace(&path, page(ground, progress, end).as_bytes()).map_err(|source| {
        Failure::Lost { what: format!("the report `{}` cannot be written", path.display()), source }.into()
    })
}

fn page(ground: &Ground, progress: &Progress, end: &str) -> String {
    let release = &ground.release;
    let title = format!("{} to {}", release.model, release.channel);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Everything in the journal is text to this page; this keeps a mistake in that from mattering.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header.page {
                    h1 { bdi { (title) } (badge(end)) }
                    dl.facts {
                        @for (name, value) in facts(ground, progress) { div { dt { (name) } dd { bdi { (plain(&value)) } } } }
                    }
                }
                main {
                    (timeline(ground, progress))
                    @for (index, stage) in release.stages.iter().enumerate() { (article(ground, progress, index, stage)) }
                }
                footer.muted {
                    p { "A bar lasts from when a stage began to when it came to its result, in its last attempt. What stages came to stands "
                        "in the registry as statements about the version; the policy of the channel asks for those that are marked." }
                }
            }
        }
    };
    page.into_string()
}

fn facts(ground: &Ground, progress: &Progress) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(opened) = &progress.opened {
        facts.push(("Driven by", opened.by.clone()));
        facts.extend(opened.revision.clone().map(|revision| ("Revision", revision)));
    }
    facts.extend(progress.first.map(|at| ("Begun", time(at))));
    if let (Some(first), Some(last)) = (progress.first, progress.last) {
        facts.push(("Took", ago(last.duration_since(first).unwrap_or_default())));
    }
    facts.push(("Description", ground.release.digest.to_string()));
    facts.extend(ground.release.signed.iter().map(|signed| ("To be signed by", signed.names())));
    let outcomes = ground.release.stages.iter().filter_map(|stage| progress.ended(&stage.name));
    for (outcome, _) in outcomes {
        let text = |name: &str| outcome.facts.get(name).and_then(|fact| fact.as_str()).map(str::to_owned);
        facts.extend(text("digest").map(|digest| ("Version", digest)));
        facts.extend(text("key").map(|key| ("Signed with", key)));
        let images = outcome.facts.get("images").and_then(|images| images.as_object());
        let images = images.into_iter().flatten().filter_map(|(_, image)| image.as_str());
        facts.extend(images.map(|image| ("Image", image.to_owned())));
    }
    facts
}

/// A bar for each stage that has begun, over the time of all of them.
fn timeline(ground: &Ground, progress: &Progress) -> Markup {
    const ROW: usize = 26;
    const LEFT: f64 = 190.0;
    const WIDTH: f64 = 900.0;
    let stages: Vec<_> = ground.release.stages.iter().collect();
    let courses = || stages.iter().map(|stage| progress.course(&stage.name));
    let begin = courses().filter_map(|course| course.began).min();
    let Some(begin) = begin else {
        return html! { p.muted { "No stage has begun." } };
    };
    let last = progress.last.unwrap_or(begin);
    let since = |at: SystemTime| at.duration_since(begin).unwrap_or_default().as_secs_f64();
    let whole = since(last).max(0.001);
    let x = |seconds: f64| LEFT + seconds / whole * (WIDTH - LEFT - 10.0);
    let height = ROW * stages.len() + 24;
    html! {
        figure {
            svg.timeline viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="when each stage ran" {
                @for quarter in 0..=4 {
                    @let at = whole * f64::from(quarter) / 4.0;
                    line.grid x1=(x(at)) x2=(x(at)) y1="0" y2=(height - 20) {}
                    text.tick x=(x(at)) y=(height - 6) text-anchor=(if quarter == 4 { "end" } else { "middle" }) { (clock(at)) }
                }
                @for (row, stage) in stages.iter().enumerate() {
                    @let course = progress.course(&stage.name);
                    text.name x=(LEFT - 10.0) y=(row * ROW + 17) text-anchor="end" { (stage.name) }
                    @if let Some(began) = course.began {
                        @let from = x(since(began));
                        @let to = x(since(course.ended.unwrap_or(last)));
                        rect class=(format!("bar {}", class(course))) x=(from) y=(row * ROW + 5) width=((to - from).max(3.0)) height="16" rx="3" {
                            title { (stage.name) ": " (course.state.word()) }
                        }
                    }
                }
            }
        }
    }
}

fn article(ground: &Ground, progress: &Progress, index: usize, stage: &Stage) -> Markup {
    let release = &ground.release;
    let course = progress.course(&stage.name);
    let needs: Vec<_> = release.needs[index].iter().map(|&need| release.stages[need].name.as_str()).collect();
    let outcome = match &course.state {
        State::Ended(outcome) => Some(outcome),
        _ => None,
    };
    html! {
        article id=(stage.name) {
            h2 { (stage.name) (badge(course.state.word())) }
            p.muted {
                (stage.work.kind())
                @if !needs.is_empty() { ", after " (needs.join(", ")) }
                @if let Some(took) = took(progress, &stage.name) { ", took " (took) }
                @if course.attempts > 1 { ", attempt " (course.attempts) }
                @if release.demanded().contains(&index) { ", demanded by the policy of " (release.channel) }
            }
            @let said = said(&course.state);
            @if !said.is_empty() { p.why.(class(course)) { bdi { (plain(&said)) } } }
            @if let Some(outcome) = outcome { (found(&ground.outputs_directory(), outcome)) }
        }
    }
}

fn found(outputs: &Path, outcome: &Outcome) -> Markup {
    let output = outcome.files.get("output").and_then(|name| end_of(&outputs.join(name)));
    let page = outcome.files.get("page").and_then(|name| whole(&outputs.join(name)));
    html! {
        @if output.is_none() && page.is_none() && !outcome.lines.is_empty() {
            ul { @for line in &outcome.lines { li { bdi { (line) } } } }
        }
        @if let Some((text, cut)) = output {
            @if !text.trim().is_empty() {
                details {
                    summary { "what it said" @if cut > 0 { " (the last part; " (bytes(cut)) " before it are in the file)" } }
                    pre { (text) }
                }
            }
        }
        @if let Some(page) = page {
            details open[outcome.verdict != crate::progress::Verdict::Passed] {
                summary { "what it found" }
                iframe sandbox="" srcdoc=(page) title="what it found" {}
            }
        }
    }
}

/// The end of a file as lines that are fit to be shown, and how much comes before.
fn end_of(path: &Path) -> Option<(String, u64)> {
    let mut file = File::open(path).ok()?;
    let cut = file.metadata().ok()?.len().saturating_sub(OUTPUT);
    file.seek(SeekFrom::Start(cut)).ok()?;
    let mut read = Vec::new();
    file.take(OUTPUT).read_to_end(&mut read).ok()?;
    let text = String::from_utf8_lossy(&read);
    Some((text.lines().map(plain).collect::<Vec<_>>().join("\n"), cut))
}

fn whole(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(PAGE + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= PAGE).then_some(text)
}

fn badge(word: &str) -> Markup {
    html! { span class=(format!("badge {word}")) { (word) } }
}

const fn class(course: &Course) -> &'static str {
    course.state.word()
}

/// `0`, `12.5 s`, `3 min 5 s`
fn clock(seconds: f64) -> String {
    match seconds {
        0.0 => "0".to_owned(),
        short if short < 60.0 => format!("{short:.1} s"),
        long => ago(Duration::from_secs_f64(long)),
    }
}
