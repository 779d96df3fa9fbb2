//! What a route's journal says, as one HTML page for people.

mod criterion;
mod evidence;
mod headline;
mod journal;
mod plan;
mod story;
mod weights;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tidegate_metrics::{
    Criterion,
    plot::{self, calendar, words},
};

use self::story::{Chapter, Story};
use crate::{Entry, Record, Rollout};

/// A journal as one HTML page: for every rollout how it ended and why, the traffic over time, the evidence of each
/// criterion against what it takes to decide, the plan, and every line; the newest rollout first.
///
/// The page needs nothing but itself: no script, no link, no font. Everything in the journal is text to it, never
/// markup. The same entries give the same bytes, whenever and wherever it is written. A line that does not follow
/// from those before it is shown as such.
///
/// ```
/// # use tidegate_canary::report;
/// let page = report::html("fraud-scorer", &[]);
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// ```
#[must_use]
pub fn html(title: &str, entries: &[Entry]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Escaping keeps the journal's text from being markup; this keeps a mistake in that from mattering.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(style())) }
            }
            body {
                header.page { h1 { bdi { (title) } } p.muted { (extent(entries)) } }
                main { (PreEscaped(fragment(entries))) }
            }
        }
    };
    page.into_string().replace(words::is_deceptive, "\u{fffd}")
}

/// What [`html()`] shows below its title, for a page of one's own whose sheet begins with [`style`]. Once a page.
#[must_use]
pub fn fragment(entries: &[Entry]) -> String {
    let chapters = story::chapters(entries);
    let fragment = html! {
        (plot::patterns())
        @if chapters.len() > 1 { (contents(&chapters)) }
        @for (n, chapter) in numbered(&chapters) {
            @match chapter {
                Chapter::Rollout(story) => (rollout(n, story)),
                Chapter::Aside(entry) => (aside(n, entry)),
            }
        }
        footer.muted { (plot::primer()) }
    };
    fragment.into_string().replace(words::is_deceptive, "\u{fffd}")
}

/// How a rollout ended, or that it has not, in a word: an element for the sheet of [`style`].
#[must_use]
pub fn badge(rollout: &Rollout) -> String {
    headline::badge(rollout).into_string()
}

/// The style sheet of [`html()`], for light and dark, narrow and wide, and paper.
#[must_use]
pub fn style() -> String {
    plot::style() + include_str!("style.css")
}

/// What a line of a journal says, in words: `bob aborted: alerts fire`.
#[must_use]
pub fn sentence(record: &Record) -> String {
    journal::what(record)
}

/// What a criterion asks for, in words: `at most 5%`, `p95 at most 5 s`, `against stable`.
#[must_use]
pub fn demand(criterion: &Criterion) -> String {
    criterion::brief(criterion)
}

/// Newest first, numbered by age, so that a link to a rollout outlives the rollouts after it.
fn numbered<'a>(chapters: &'a [Chapter<'a>]) -> impl Iterator<Item = (usize, &'a Chapter<'a>)> {
    chapters.iter().enumerate().rev().map(|(index, chapter)| (index + 1, chapter))
}

fn extent(entries: &[Entry]) -> Markup {
    html! {
        @match (entries.first(), entries.last()) {
            (Some(first), Some(last)) => {
                "From " (calendar::time(first.at)) " to " (calendar::time(last.at)) " · all times are UTC"
            }
            _ => "Nothing has happened yet.",
        }
    }
}

fn contents(chapters: &[Chapter<'_>]) -> Markup {
    html! {
        nav aria-label="Contents" {
            @for (n, chapter) in numbered(chapters) {
                a href={ "#" (n) } {
                    @match chapter {
                        Chapter::Rollout(story) => {
                            span.when { (calendar::time(story.start())) }
                            span.what { (headline::versions(story)) " " bdi.muted { (words::clip(story.id, 60)) } }
                            (headline::badge(&story.rollout))
                        }
                        Chapter::Aside(entry) => {
                            span.when { (calendar::time(entry.at)) }
                            span.what { bdi.muted { (words::clip(journal::what(&entry.record), 60)) } }
                        }
                    }
                }
            }
        }
    }
}

fn rollout(n: usize, story: &Story<'_>) -> Markup {
    html! {
        article id=(n) {
            (headline::headline(story))
            section { h3 { "Traffic" } (weights::chart(story)) }
            (evidence::section("Evidence", "candidate", &story.plan.criteria, story.rollout.evidence()))
            @if !story.rollout.recovery_evidence().iter().all(tidegate_metrics::Evidence::is_empty) {
                (evidence::section("Stable, after the return", "stable", &story.plan.bake_criteria, story.rollout.recovery_evidence()))
            }
            @if !story.rollout.bake_evidence().iter().all(tidegate_metrics::Evidence::is_empty) {
                (evidence::section("Bake", "promoted", &story.plan.bake_criteria, story.rollout.bake_evidence()))
            }
            section { h3 { "Plan" } (plan::table(story.plan)) }
            section { h3 { "Journal" } (journal::table(story)) }
        }
    }
}

fn aside(n: usize, entry: &Entry) -> Markup {
    html! {
        aside id=(n) {
            (calendar::time(entry.at)) " · "
            @match &entry.record {
                Record::Release { .. } => { bdi { (journal::what(&entry.record)) } }
                Record::Seize { .. } => { bdi { (journal::what(&entry.record)) } " while no rollout was under way" }
                _ => { bdi { (journal::what(&entry.record)) } ": this is about a rollout, but none was opened before it" }
            }
        }
    }
}
