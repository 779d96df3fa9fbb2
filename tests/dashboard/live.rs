//! Records reach whoever watches, once each.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt as _;
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use tidegate_canary::{Request, RouteJournal, WallClock};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    site::{Site, Visitor},
    stories::{self, Story},
};

/// What the program allows at once.
const MOST_VIEWERS: usize = 64;

/// Reads events as a browser does.
struct Events {
    bytes: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    id: String,
    event: String,
    data: String,
}

impl Events {
    fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { bytes: Box::pin(answer.bytes_stream()), text: String::new() }
    }

    /// The next event that tells something, if it comes before `end`.
    async fn next(&mut self, end: Instant) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
                };
                let told = Told { id: field("id: "), event: field("event: "), data: field("data: ") };
                self.text = rest.to_owned();
                if told.event.is_empty() {
                    continue;
                }
                return Some(told);
            }
            let chunk = timeout_at(end, self.bytes.next()).await.ok()??.expect("the connection holds");
            self.text += std::str::from_utf8(&chunk).expect("UTF-8");
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

fn path(story: &Story, more: &str) -> String {
    format!("/events?route={}{more}", story.route.as_str().replace('/', "%2F"))
}

async fn watch(visitor: &Visitor<'_>, path: &str, last: Option<&str>) -> Events {
    let get = visitor.get(path).timeout(Duration::from_secs(120));
    let get = last.into_iter().fold(get, |get, last| get.header("last-event-id", last));
    Events::of(get.send().await.expect("an answer"))
}

async fn ask(site: &Site, story: &Story, request: Request) {
    let log = Arc::new(site.registry.clone());
    let mut journal = RouteJournal::open(log, &story.route).await.expect("it replays");
    journal.ask(request, WallClock::starting_at(SystemTime::UNIX_EPOCH).now()).await.expect("it is possible");
}

fn hold(by: &str) -> Request {
    Request::Hold { by: by.to_owned() }
}

#[tokio::test]
async fn a_record_is_told_within_two_seconds_and_again_to_whoever_missed_it() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    let before = site.entries(&story.route).await.len();
    let mut events = watch(&visitor, &path(&story, ""), None).await;
    for n in 1..=3 {
        ask(&site, &story, hold("somebody elsewhere")).await;
        let told = events.next(soon()).await.expect("within two seconds");
        assert_eq!((told.id, &*told.event), ((before + n).to_string(), "record"));
        let data: serde_json::Value = serde_json::from_str(&told.data).expect("JSON");
        assert_eq!(
            data,
            serde_json::json!({ "route": "serving/gate", "record": before + n, "what": "hold" })
        );
    }
    drop(events);

    ask(&site, &story, hold("somebody elsewhere")).await;
    let missed = async |mut events: Events| {
        let mut ids = Vec::new();
        while ids.len() < 3 {
            ids.push(events.next(soon()).await.expect("within two seconds").id);
        }
        assert_eq!(events.next(Instant::now() + Duration::from_millis(1_200)).await, None, "once each");
        ids
    };
    let expected = [2, 3, 4].map(|n| (before + n).to_string());
    let last = (before + 1).to_string();
    assert_eq!(missed(watch(&visitor, &path(&story, ""), Some(&last)).await).await, expected);
    // A page says what it shows already; what the browser knows better goes before that.
    assert_eq!(missed(watch(&visitor, &path(&story, &format!("&seen={last}")), None).await).await, expected);
    let known = watch(&visitor, &path(&story, "&seen=1"), Some(&last)).await;
    assert_eq!(missed(known).await, expected);

    for wrong in ["x", "1,2", "-1", ""] {
        let get = visitor.get(&path(&story, "")).header("last-event-id", wrong);
        assert_eq!(get.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn the_overview_hears_of_every_route() {
    let stories = [stories::waiting().await, stories::evil().await];
    let site = Site::showing(&stories).await;
    let visitor = site.sign_in("alice").await;
    let numbers = [site.entries(&stories[0].route).await.len(), site.entries(&stories[1].route).await.len()];
    let mut events = watch(&visitor, "/events", None).await;
    ask(&site, &stories[0], hold("bob")).await;
    let told = events.next(soon()).await.expect("within two seconds");
    assert_eq!(told.id, format!("{},{}", numbers[0] + 1, numbers[1]));
}

#[tokio::test]
async fn only_so_many_may_watch_and_a_place_that_is_left_is_free() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    let mut viewers = Vec::new();
    for _ in 0..MOST_VIEWERS {
        viewers.push(watch(&visitor, &path(&story, ""), None).await);
    }
    let refused = visitor.get(&path(&story, "")).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "30");
    assert!(visitor.rollout(&story.route).await.contains("<article"), "pages are there for all");

    ask(&site, &story, hold("bob")).await;
    let end = Instant::now() + Duration::from_secs(5);
    for viewer in &mut viewers {
        assert!(viewer.next(end).await.is_some());
    }
    viewers.pop();
    let free = async {
        while visitor.get(&path(&story, "")).send().await.expect("an answer").status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), free).await.expect("the place is free again");
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let story = stories::waiting().await;
    let site = Site::with(std::slice::from_ref(&story), &["--session", "1s"]).await;
    let visitor = site.sign_in("alice").await;
    let mut events = watch(&visitor, &path(&story, ""), None).await;
    let end = Instant::now() + Duration::from_secs(10);
    assert_eq!(events.next(end).await, None);
    assert!(Instant::now() < end, "it ended before the test lost patience");
}
