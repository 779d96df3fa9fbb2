//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tidegate_canary::{
    metrics::plot::{
        self, TimeAxis, calendar,
        words::{clip, is_deceptive},
    },
    report,
};

use super::{
    choice::Choosing,
    moment::Moment,
    picture,
    proof::{Alarm, Proof},
    story::Story,
    tell,
};

/// How much of a text is shown, in characters.
pub(super) const TEXT: usize = 600;
pub(super) const NAME: usize = 100;

pub(super) fn html(story: &Story<'_>) -> String {
    let title = clip(story.title(), 2 * NAME);
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
                style { (PreEscaped(report::style() + include_str!("style.css"))) }
            }
            body {
                (plot::patterns())
                header.page { h1 { bdi { (title) } } p.muted { "All times are UTC; those with a sign are counted from when " (story.counted) "." } }
                main { article { (head(story)) (sections(story)) } }
            }
        }
    };
    page.into_string().replace(is_deceptive, "\u{fffd}")
}

fn head(story: &Story<'_>) -> Markup {
    let outcome = &story.outcome;
    html! {
        header {
            h2 {
                bdi.versions {
                    (clip(story.left.version(), NAME))
                    @if let Some(to) = story.to { " → " b { (clip(to.version(), NAME)) } }
                }
                " " span.badge.(outcome.class) { (outcome.word) }
            }
            p { bdi { (clip(&outcome.text, 2 * TEXT)) } }
            dl.facts { @for (what, value) in story.facts() { div { dt { (what) } dd { bdi { (clip(value, NAME)) } } } } }
        }
    }
}

fn sections(story: &Story<'_>) -> Markup {
    html! {
        @if !story.to_do.is_empty() {
            section.to-do {
                h3 { "What to do now" }
                ul { @for what in &story.to_do { li { bdi { (clip(sentence(what), TEXT)) } } } }
            }
        }
        section { h3 { "How it went" } (picture::chart(story)) }
        @if let Some(alarm) = &story.alarm { (alarmed(story, alarm)) }
        @if let Some(recovery) = &story.recovery {
            section { h3 { "Whether going back helped" } (evidence(recovery)) }
        }
        @if let Some(choosing) = &story.choosing { (choice(choosing)) }
        section { h3 { "What happened" } (course(story)) }
    }
}

fn alarmed(story: &Story<'_>, alarm: &Alarm<'_>) -> Markup {
    html! {
        section {
            h3 { "What was seen" }
            ul.why { @for why in alarm.why.iter().take(20) { li { bdi { (clip(why, TEXT)) } } } }
            @if let Some(began) = alarm.onset {
                p.muted {
                    "The first window that was bad began at " (calendar::time_of_day(began)) " (" (story.offset(began)) ")"
                    @if alarm.perhaps_earlier { ", or one before those in the journal" }
                    "."
                }
            }
            @match &alarm.proof {
                Some(proof) => (evidence(proof)),
                None => p.muted { "The journal has no windows of it." },
            }
        }
    }
}

/// A card with a picture for each criterion, and the same in numbers.
fn evidence(proof: &Proof<'_>) -> Markup {
    html! {
        @if let Some(time) = TimeAxis::of(&proof.evidence) {
            div.cards {
                @for ((criterion, evidence), judgement) in proof.criteria.iter().zip(&proof.evidence).zip(&proof.judgements) {
                    figure.card.seen {
                        figcaption {
                            h4 {
                                bdi { (clip(&criterion.metric, NAME)) } " " span.muted { (clip(report::demand(criterion), NAME)) }
                                span.badge.(judgement.verdict) { (judgement.verdict) }
                            }
                        }
                        div { (plot::windows(criterion, evidence, time)) }
                        p.judgement { bdi { (clip(judgement, TEXT)) } }
                    }
                }
            }
        }
        p.muted.seen {
            @if proof.evidence.iter().all(|evidence| evidence.trials() == 0) {
                "No window shows anything."
            } @else {
                "Each point is a window by itself, between the bounds of what it shows; hatched windows show nothing, and dashed is what is tolerated."
            }
        }
        details.windows {
            summary { "In numbers" }
            table {
                thead {
                    tr {
                        th { "Window" }
                        @for criterion in proof.criteria { th { bdi { (clip(&criterion.metric, NAME)) } " " (clip(report::demand(criterion), NAME)) } }
                    }
                }
                tbody {
                    @for (window, seen) in proof.newest() {
                        tr {
                            td { (calendar::time_of_day(window.start())) " – " (calendar::time_of_day(window.end())) }
                            @for (criterion, seen) in proof.criteria.iter().zip(seen) {
                                td { bdi { (tell::measured(criterion, *window, seen)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn choice(choosing: &Choosing) -> Markup {
    html! {
        section {
            h3 { (choosing.title) }
            p { bdi { (clip(&choosing.asked, TEXT)) } }
            table.choice {
                thead { tr { th { "Version" } th { "In service since" } th { "By" } th { "Settled" } th { "Why" } } }
                tbody {
                    @for version in choosing.shown() {
                        tr.chosen[version.chosen] {
                            td { bdi { (clip(&version.model, NAME)) } }
                            td { (calendar::time(version.put)) }
                            td { bdi { (clip(&version.by, NAME)) } }
                            td { @if version.settled { "yes" } @else { "no" } }
                            td { bdi { (clip(&version.why, TEXT)) } }
                        }
                    }
                }
            }
        }
    }
}

fn course(story: &Story<'_>) -> Markup {
    let left_out = story.left_out;
    html! {
        ol.journal.moments {
            @for (n, moment) in story.moments.iter().enumerate() {
                @if let Some((_, over)) = left_out.filter(|(from, _)| *from == n) {
                    li.line { span {} span.muted { (over) " more are left out here." } }
                }
                (line(story, moment))
            }
        }
    }
}

fn line(story: &Story<'_>, moment: &Moment) -> Markup {
    html! {
        li.line.(moment.tone.name()) {
            span.time { (calendar::time_of_day(moment.at)) " " small.muted { (story.offset(moment.at)) } }
            span { bdi.who { (clip(&moment.who, NAME)) } " " bdi { (clip(&moment.what, TEXT)) } }
        }
    }
}

/// With a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
