//! What a route's journal says, as one HTML page for people.

mod criterion;
mod evidence;
mod headline;
mod journal;
mod plan;
mod story;
mod weights;
mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tidegate_metrics::plot::{self, calendar};

use self::story::{Chapter, Story};
use crate::{Entry, Record};

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
    let chapters = story::chapters(entries);
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
                style { (PreEscaped(plot::style())) (PreEscaped(include_str!("style.css"))) }
            }
            body {
                (plot::patterns())
                header.page { h1 { bdi { (title) } } p.muted { (extent(entries)) } }
                @if chapters.len() > 1 { (contents(&chapters)) }
                main {
                    @for (n, chapter) in numbered(&chapters) {
                        @match chapter {
                            Chapter::Rollout(story) => (rollout(n, story)),
                            Chapter::Aside(entry) => (aside(n, entry)),
                        }
                    }
                }
                footer.muted { (plot::primer()) }
            }
        }
    };
    page.into_string().replace(words::is_deceptive, "\u{fffd}")
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
                            (headline::badge(story))
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
            (evidence::section("Evidence", &story.plan.criteria, story.rollout.evidence()))
            @if !story.rollout.recovery_evidence().iter().all(tidegate_metrics::Evidence::is_empty) {
                (evidence::section("Stable, after the return", &story.plan.bake_criteria, story.rollout.recovery_evidence()))
            }
            @if !story.rollout.bake_evidence().iter().all(tidegate_metrics::Evidence::is_empty) {
                (evidence::section("Bake", &story.plan.bake_criteria, story.rollout.bake_evidence()))
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
