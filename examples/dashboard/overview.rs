//! All routes, and what goes on there.

use std::time::SystemTime;

use axum::{extract::State, response::Html};
use maud::{Markup, PreEscaped, html};
use tidegate::canary::{RouteJournal, metrics::plot::calendar, report};

use crate::{
    Dashboard,
    page::{Live, Page},
    rollout,
    session::Session,
    waits,
    watched::{Watched, in_words},
};

pub(crate) async fn show(State(dashboard): State<Dashboard>, session: Session) -> Html<String> {
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for watched in &*dashboard.routes {
        let now = dashboard.clock.now();
        let (row, records) = match watched.look(|look| row(watched, look.journal, now)).await {
            Ok(row) => row,
            Err(error) => {
                (html! { p.alert { "Its journal cannot be read: " bdi { (in_words(&error)) } "." } }, 0)
            }
        };
        rows.push((rollout::link(&watched.route, None), &watched.route, row));
        seen.push(records.to_string());
    }
    let live = Live { page: "/".to_owned(), events: format!("/events?seen={}", seen.join(",")) };
    Page { title: "Rollouts", session: Some(&session), live: Some(live) }.html(&html! {
        section #routes data-part {
            h1 { "Rollouts" }
            ul.routes {
                @for (link, route, row) in &rows {
                    li {
                        h2 { a href=(link) { bdi { (route) } } }
                        (row)
                    }
                }
            }
        }
    })
}

fn row(watched: &Watched, journal: &RouteJournal, now: SystemTime) -> (Markup, usize) {
    let entries = journal.entries();
    let row = html! {
        @if let Some((id, rollout)) = journal.latest() {
            p {
                span.versions {
                    bdi { (rollout.plan().stable.model) } " → " b { (rollout.plan().candidate.model.version()) }
                } " "
                (PreEscaped(report::badge(rollout))) " "
                bdi.muted { (id) }
            }
            @for sentence in waits::sentences(rollout, now) { p { bdi { (sentence) } } }
        } @else {
            p.muted { "Nothing was rolled out here yet." }
        }
        @if let Some(holder) = journal.holder() {
            p { b { bdi { (holder) } } " holds " bdi { (watched.route) } ", so that no rollout can be opened." }
        }
        @if let Some(last) = entries.last() {
            p.muted { "Record " (entries.len()) ", " (calendar::time(last.at)) " UTC" }
        }
    };
    (row, entries.len())
}
