//! Records as they are written, by [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).
//!
//! The id of an event is the number of the last record; of each route in turn, where there are several. A browser
//! that comes back says it in `Last-Event-ID`, and gets what it has missed.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse as _, Response, Sse, sse::Event},
};
use futures::{Stream, future, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Interval,
};

use crate::{
    Dashboard, listen,
    refusal::Refusal,
    session::{Session, Sessions},
    watched::{Seen, Watched},
};

/// A sign of life, without which proxies and browsers take a connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);
/// Whoever has missed more than that is told of the last one only; the page shows them all anyway.
const MOST_MISSED: usize = 200;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// One route, or all.
    route: Option<String>,
    /// The numbers of the records that the page shows already.
    seen: Option<String>,
}

pub(crate) async fn stream(
    State(dashboard): State<Dashboard>,
    session: Session,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let watched = match &wanted.route {
        Some(route) => vec![Arc::clone(dashboard.route(route)?)],
        None => dashboard.routes.to_vec(),
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(wanted.seen.as_deref());
    let place = Arc::clone(&dashboard.viewers).try_acquire_owned().map_err(|_| {
        let why = "So many people watch that there is no place left. The page is kept, and shows more when loaded again.";
        Refusal::busy(StatusCode::SERVICE_UNAVAILABLE, why, Duration::from_secs(30))
    })?;
    let feeds = watched.into_iter().map(|watched| Feed { news: watched.subscribe(), seen: 0, watched });
    let mut feeds: Vec<Feed> = feeds.collect();
    match last {
        Some(last) => {
            let numbers: Option<Vec<usize>> = last.split(',').map(|number| number.parse().ok()).collect();
            let numbers = numbers.filter(|numbers| numbers.len() == feeds.len());
            let numbers = numbers.ok_or_else(|| {
                Refusal::malformed("Such an event never was; leave out Last-Event-ID and `seen`.")
            })?;
            feeds.iter_mut().zip(numbers).for_each(|(feed, number)| feed.seen = number);
        }
        None => {
            for feed in &mut feeds {
                feed.seen = feed.watched.look(|look| look.journal.entries().len()).await.unwrap_or(0);
            }
        }
    }
    feeds.iter_mut().for_each(|feed| feed.news.mark_changed());
    let viewer = Viewer {
        feeds,
        ready: VecDeque::from([Event::default().retry(RETRY).comment("welcome")]),
        heartbeat: tokio::time::interval(HEARTBEAT),
        session,
        sessions: dashboard.sessions,
        closing: dashboard.closing,
        _place: place,
    };
    // nginx would keep events to itself until it has a buffer full.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(viewer.events())).into_response())
}

/// One open connection.
struct Viewer {
    feeds: Vec<Feed>,
    ready: VecDeque<Event>,
    heartbeat: Interval,
    session: Session,
    sessions: Arc<Sessions>,
    closing: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// A route, and how much of it was told.
struct Feed {
    watched: Arc<Watched>,
    news: watch::Receiver<Seen>,
    seen: usize,
}

impl Viewer {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut viewer| async {
            while viewer.ready.is_empty() {
                viewer.wait().await?;
            }
            let event = viewer.ready.pop_front()?;
            Some((Ok(event), viewer))
        })
    }

    /// Waits for something to tell; `None` when the connection is to end.
    async fn wait(&mut self) -> Option<()> {
        let news = self.feeds.iter_mut().map(|feed| Box::pin(feed.news.changed()));
        let which = tokio::select! {
            (changed, which, _) = future::select_all(news) => changed.ok().map(|()| which)?,
            _ = self.heartbeat.tick() => {
                self.ready.push_back(Event::default().comment("still here"));
                return self.sessions.knows(&self.session.key).then_some(());
            }
            () = self.sessions.over(&self.session) => return None,
            () = listen::closed(&mut self.closing) => return None,
        };
        self.tell(which).await;
        Some(())
    }

    async fn tell(&mut self, which: usize) {
        let Feed { watched, news, seen } = &mut self.feeds[which];
        let (route, trouble) = (watched.route.clone(), news.borrow_and_update().trouble.clone());
        let records = watched.since(*seen).await;
        let missed = records.len().saturating_sub(MOST_MISSED);
        let told = if missed > 0 { records.len() - 1 } else { 0 };
        for &(number, what) in &records[told..] {
            self.feeds[which].seen = number;
            let id = self.feeds.iter().map(|feed| feed.seen.to_string()).collect::<Vec<_>>().join(",");
            let record = json!({ "route": route, "record": number, "what": what });
            self.ready.push_back(Event::default().event("record").id(id).data(record.to_string()));
        }
        if let Some(trouble) = trouble {
            let trouble = json!({ "route": route, "why": &*trouble });
            self.ready.push_back(Event::default().event("trouble").data(trouble.to_string()));
        }
    }
}
