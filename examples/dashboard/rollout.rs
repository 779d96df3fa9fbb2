//! One rollout: where it is, what it waits for, what can be asked of it, and the report.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Html,
};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;
use tidegate::canary::{Record, Rollout, RolloutId, RouteId, RouteJournal, metrics::plot::calendar, report};
use url::form_urlencoded;

use crate::{
    Dashboard, ask,
    ask::Wish,
    page::{Live, Page, form_token},
    refusal::Refusal,
    session::Session,
    waits,
    watched::{Look, Watched, in_words},
};

/// So many earlier rollouts are named.
const MOST_EARLIER: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    route: String,
    /// The latest one, unless another is named.
    id: Option<String>,
}

/// Where a rollout is shown; the latest one of the route if `id` is `None`.
pub(crate) fn link(route: &RouteId, id: Option<&str>) -> String {
    address("/rollout", route, id.map(|id| ("id", id)))
}

pub(crate) async fn show(
    State(dashboard): State<Dashboard>,
    session: Session,
    Query(Wanted { route, id }): Query<Wanted>,
) -> Result<Html<String>, Refusal> {
    page(&dashboard, &session, dashboard.route(&route)?, id.as_deref(), None).await
}

/// The page, with why what was asked was not done.
pub(crate) async fn page(
    dashboard: &Dashboard,
    session: &Session,
    watched: &Watched,
    id: Option<&str>,
    objection: Option<&str>,
) -> Result<Html<String>, Refusal> {
    let wanted = id.map(str::parse).transpose().map_err(|_| Refusal::missing("There is no such rollout."))?;
    let shown =
        watched.look(|look| Shown::of(look, wanted, dashboard, session)).await.map_err(|error| {
            Refusal::new(
                StatusCode::BAD_GATEWAY,
                format!("The journal cannot be read: {}.", in_words(&error)),
            )
        })??;
    let seen = shown.records.to_string();
    let live = Live {
        page: link(&watched.route, id),
        events: address("/events", &watched.route, Some(("seen", &seen))),
    };
    let title = watched.route.as_str();
    Ok(Page { title, session: Some(session), live: Some(live) }.html(&html! {
        @if let Some(objection) = objection {
            p.notice.alert role="alert" { "Nothing was done: " bdi { (objection) } "." }
        }
        section #now data-part {
            h1 { bdi { (watched.route) } }
            (shown.now)
        }
        section #asks data-part { (shown.asks) }
        div #report data-part { (PreEscaped(&*shown.report)) }
        section #rollouts data-part { (shown.rollouts) }
    }))
}

/// What there is to show, found under the lock of the journal.
struct Shown {
    records: usize,
    now: Markup,
    asks: Markup,
    report: Arc<str>,
    rollouts: Markup,
}

impl Shown {
    fn of(
        mut look: Look<'_>,
        wanted: Option<RolloutId>,
        dashboard: &Dashboard,
        session: &Session,
    ) -> Result<Self, Refusal> {
        let journal = look.journal;
        let records = journal.entries().len();
        let Some((latest, rollout)) = journal.latest() else {
            return Ok(Self {
                records,
                now: html! { p { "Nothing was rolled out here yet." } (held(journal)) },
                asks: html! {},
                report: look.draw(0..records),
                rollouts: html! {},
            });
        };
        let id = wanted.unwrap_or_else(|| latest.clone());
        let missing = || Refusal::missing("There is no such rollout on this route.");
        let lines = look.extent(&id).ok_or_else(missing)?;
        let (now, asks) = if id == *latest {
            let at = dashboard.clock.now();
            (now(journal, rollout, &waits::sentences(rollout, at)), buttons(journal, rollout, session, at))
        } else {
            let route = &rollout.plan().route;
            let now = html! { p { "This is an earlier rollout. " a href=(link(route, None)) { "To the latest one" } } };
            (now, html! {})
        };
        Ok(Self { records, now, asks, report: look.draw(lines), rollouts: rollouts(journal, &id) })
    }
}

fn now(journal: &RouteJournal, rollout: &Rollout, sentences: &[String]) -> Markup {
    let last = journal.entries().last();
    html! {
        p { (PreEscaped(report::badge(rollout))) }
        @for sentence in sentences { p.sentence { bdi { (sentence) } } }
        (held(journal))
        @if let Some(last) = last {
            p.muted { "Record " (journal.entries().len()) ", " (calendar::time(last.at)) " · all times are UTC" }
        }
    }
}

fn held(journal: &RouteJournal) -> Markup {
    html! {
        @if let Some(holder) = journal.holder() {
            p { b { bdi { (holder) } } " holds the route, so that no rollout can be opened." }
        }
    }
}

fn buttons(
    journal: &RouteJournal,
    rollout: &Rollout,
    session: &Session,
    at: std::time::SystemTime,
) -> Markup {
    let (reasoned, plain): (Vec<_>, Vec<_>) =
        Wish::possible(rollout, at).into_iter().partition(|wish| wish.needs_reason());
    let plan = rollout.plan();
    let about = html! {
        (form_token(session))
        input type="hidden" name="route" value=(plan.route);
        @if let Some((id, _)) = journal.latest() { input type="hidden" name="id" value=(id); }
        @if let Some(step) = ask::step(rollout) { input type="hidden" name="step" value=(step); }
        input type="hidden" name="digest" value=(plan.candidate.digest);
    };
    html! {
        @if !plain.is_empty() {
            form.asks method="post" action="/ask" {
                (about)
                @for wish in plain {
                    (button(wish))
                    @if wish == Wish::Approve {
                        p.muted.digest { (plan.candidate.model) " is " code { (plan.candidate.digest) } }
                    }
                }
            }
        }
        @if !reasoned.is_empty() {
            form.asks method="post" action="/ask" {
                (about)
                // Enter in the reason must not choose for people: the first button is what it presses.
                button disabled hidden {}
                label for="reason" { "With a reason" }
                input #reason name="reason" required maxlength="500" autocomplete="off" placeholder="why, for the journal";
                @for wish in reasoned { (button(wish)) }
            }
        }
    }
}

fn button(wish: Wish) -> Markup {
    let class = match wish {
        Wish::Approve | Wish::Resume => "main",
        Wish::Abort | Wish::Reject => "danger",
        _ => "",
    };
    let outcome = format!("outcome-{}", wish.name());
    html! {
        div.choice {
            button.(class) name="ask" value=(wish.name()) aria-describedby=(outcome) { (wish.label()) }
            span.muted id=(outcome) { (wish.outcome()) }
        }
    }
}

fn rollouts(journal: &RouteJournal, shown: &RolloutId) -> Markup {
    let opened = journal.entries().iter().rev().filter_map(|entry| match &entry.record {
        Record::Open { id, plan } if id != shown => Some((entry.at, id, plan)),
        _ => None,
    });
    let mut opened = opened.peekable();
    html! {
        @if opened.peek().is_some() {
            h2 { "Other rollouts on this route" }
            ul.others {
                @for (at, id, plan) in opened.take(MOST_EARLIER) {
                    li {
                        a href=(link(&plan.route, Some(&id.to_string()))) {
                            bdi { (plan.stable.model.version()) " → " (plan.candidate.model.version()) }
                        }
                        " " bdi.muted { (id) } " " span.muted { (calendar::time(at)) }
                    }
                }
            }
        }
    }
}

fn address(path: &str, route: &RouteId, more: Option<(&str, &str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("route", route.as_str());
    if let Some((name, value)) = more {
        query.append_pair(name, value);
    }
    format!("{path}?{}", query.finish())
}
