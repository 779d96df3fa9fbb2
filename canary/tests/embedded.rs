//! The embedded router with real requests: through the layer alone on a paused clock, and behind an HTTP
//! server on loopback.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, SystemTime},
};

use axum::{
    Extension, Router,
    body::Body,
    http::{Method, Request, Response, StatusCode, header::CONTENT_LENGTH},
    routing::get,
};
use futures::{StreamExt, channel::mpsc, future::join_all, stream};
use http_body_util::BodyExt;
use tidegate_canary::{
    EmbeddedRouter, Exception, Key, RouteId, Slot, Traffic, TrafficRouter, WallClock, Weight,
    embedded::{Recording, WatchedBody},
    metrics::{
        Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
        testkit::conformance::{self, Stocked},
    },
    testkit::fence,
};
use tokio::{
    sync::oneshot,
    time::{advance, timeout},
};
use tower::{Layer, ServiceExt, service_fn};

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_millis(millis)
}

fn window(from: u64, to: u64) -> Window {
    Window::new(at(from), at(to)).unwrap()
}

fn route() -> RouteId {
    "serving/fraud".parse().unwrap()
}

fn router() -> EmbeddedRouter {
    EmbeddedRouter::new(WallClock::starting_at(at(0)), 42)
}

fn side(slot: Slot) -> Selector {
    Selector::default().with("route", route().as_str()).with("slot", slot.to_string())
}

async fn send(router: &EmbeddedRouter, percent: u16) {
    let traffic = Traffic::split(Weight::percent(percent).unwrap());
    router.apply(&route(), &traffic, fence(1)).await.unwrap();
}

async fn ask(router: &EmbeddedRouter, metric: &str, slot: Slot, window: Window) -> Measurement {
    MetricsSource::observe(router, &Metric::new(metric), &side(slot), window).await.unwrap()
}

/// `(available, errors, requests)` of a slot up to now; `None` if there was none.
async fn so_far(router: &EmbeddedRouter, slot: Slot) -> Option<(u64, u64, u64)> {
    // On a paused clock a client's idle timers can move it by minutes, and so can this.
    advance(Duration::from_secs(600)).await;
    let window = window(0, 500_000);
    let counts = async |metric| match ask(router, metric, slot, window).await {
        Measurement::Observed(Observation::Proportion { hits, trials }) => Some((hits, trials)),
        Measurement::Missing(Missing::NoData) => None,
        other => panic!("neither a share nor no data but {other:?}"),
    };
    let (available, trials) = counts(Metric::AVAILABILITY).await?;
    let (errors, same) = counts(Metric::ERRORS).await?;
    assert_eq!(trials, same);
    Some((available, errors, trials))
}

/// One request through the layer to a service that answers with `status` and `body`.
async fn request(router: &EmbeddedRouter, status: StatusCode, body: Body) -> Response<WatchedBody<Body>> {
    let mut body = Some(body);
    let service = service_fn(move |_: Request<()>| {
        let response = Response::builder().status(status).body(body.take().unwrap());
        std::future::ready(response)
    });
    router.layer(&route()).layer(service).oneshot(Request::new(())).await.unwrap()
}

/// A request whose answer is read to its end.
async fn good_request(router: &EmbeddedRouter) {
    request(router, StatusCode::OK, "yes".into()).await.into_body().collect().await.unwrap();
}

fn frames<const N: usize>(frames: [Result<&'static str, &'static str>; N]) -> Body {
    Body::from_stream(stream::iter(frames))
}

#[tokio::test(start_paused = true)]
async fn shares_are_kept_within_chance_and_replay() {
    const REQUESTS: usize = 10_000;
    for (percent, deviation) in [(10, 30.0), (50, 50.0)] {
        let picks = async || {
            let router = router();
            send(&router, percent).await;
            let service = service_fn(async |request: Request<()>| {
                let slot = *request.extensions().get::<Slot>().unwrap();
                Ok::<_, Infallible>(Response::new(slot.to_string()))
            });
            let split = router.layer(&route()).layer(service);
            let mut picks = Vec::new();
            for _ in 0..REQUESTS {
                let response = split.clone().oneshot(Request::new(())).await.unwrap();
                picks.push(response.into_body().collect().await.unwrap().to_bytes());
            }
            let seen = so_far(&router, Slot::Candidate).await.unwrap();
            (picks, seen)
        };
        let (first, seen) = picks().await;
        let on = first.iter().filter(|pick| **pick == "candidate").count();
        let off = on as f64 - REQUESTS as f64 * f64::from(percent) / 100.0;
        assert!(off.abs() <= 5.0 * deviation, "{on} of {REQUESTS} at {percent}%");
        assert_eq!(seen, (on as u64, 0, on as u64), "what was served was counted");
        assert_eq!(picks().await.0, first);
    }
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_request_is_counted_once_and_as_what_it_was() {
    async fn counted(case: impl AsyncFnOnce(&EmbeddedRouter)) -> Option<(u64, u64, u64)> {
        let router = router();
        send(&router, 100).await;
        case(&router).await;
        so_far(&router, Slot::Candidate).await
    }
    const GOOD: Option<(u64, u64, u64)> = Some((1, 0, 1));
    const FAILED: Option<(u64, u64, u64)> = Some((1, 1, 1));
    const BROKEN: Option<(u64, u64, u64)> = Some((0, 1, 1));

    assert_eq!(counted(good_request).await, GOOD);
    for (status, expected) in
        [(200, GOOD), (304, GOOD), (404, GOOD), (429, GOOD), (500, FAILED), (503, FAILED)]
    {
        let status = StatusCode::from_u16(status).unwrap();
        let empty = counted(async |router| drop(request(router, status, Body::empty()).await)).await;
        assert_eq!(empty, expected, "an empty {status}, as nobody asks it for its end");
        let read = async |router: &EmbeddedRouter| {
            request(router, status, frames([Ok("a"), Ok("b")])).await.into_body().collect().await.unwrap();
        };
        assert_eq!(counted(read).await, expected, "a {status} of two frames");
    }
    let breaks = async |router: &EmbeddedRouter| {
        let body = request(router, StatusCode::OK, frames([Ok("a"), Err("reset")])).await.into_body();
        body.collect().await.unwrap_err();
    };
    assert_eq!(counted(breaks).await, BROKEN, "a body that breaks off");
    let leaves = async |router: &EmbeddedRouter| {
        let mut body = request(router, StatusCode::OK, frames([Ok("a"), Ok("b")])).await.into_body();
        body.frame().await.unwrap().unwrap();
    };
    assert_eq!(counted(leaves).await, BROKEN, "a client that leaves in the middle");
    let fails = async |router: &EmbeddedRouter| {
        let service = service_fn(async |_: Request<()>| Err::<Response<Body>, _>("connection refused"));
        router.layer(&route()).layer(service).oneshot(Request::new(())).await.unwrap_err();
    };
    assert_eq!(counted(fails).await, BROKEN, "a service that fails");
    let gives_up = async |router: &EmbeddedRouter| {
        let service =
            service_fn(|_: Request<()>| std::future::pending::<Result<Response<Body>, Infallible>>());
        let call = router.layer(&route()).layer(service).oneshot(Request::new(()));
        timeout(Duration::from_millis(100), call).await.unwrap_err();
    };
    assert_eq!(counted(gives_up).await, BROKEN, "a client that gives up on a service that hangs");
}

#[tokio::test(start_paused = true)]
async fn exceptions_are_served_and_count_only_beside_none() {
    // Beside a share of all requests those that were sent by exception are no fair sample.
    let (sampled, alone) = (Weight::basis_points(1).unwrap(), Weight::NONE);
    for (weight, counted) in [(sampled, None), (alone, Some(1))] {
        let router = router();
        let key = Key::Header("x-tester".to_owned());
        let exception = Exception { key, value: "1".to_owned(), to: Slot::Candidate };
        let traffic = Traffic::split(weight).with_exceptions([exception]);
        router.apply(&route(), &traffic, fence(1)).await.unwrap();
        let service = service_fn(async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(request.extensions().get::<Slot>().unwrap().to_string()))
        });
        let tester = Request::builder().header("x-tester", "1").body(()).unwrap();
        let split = router.layer(&route()).layer(service);
        let served = split.clone().oneshot(tester).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(served.to_bytes(), "candidate");
        split.oneshot(Request::new(())).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(so_far(&router, Slot::Candidate).await, counted.map(|trials| (trials, 0, trials)));
        let stable = ask(&router, Metric::ERRORS, Slot::Stable, window(0, 1_000)).await;
        assert_eq!(stable, Measurement::Observed(Observation::proportion(0, 1).unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn latency_is_the_time_to_the_last_frame() {
    let router = router();
    let (frames, body) = mpsc::unbounded::<Result<&str, Infallible>>();
    let response = request(&router, StatusCode::OK, Body::from_stream(body)).await;
    advance(Duration::from_millis(400)).await;
    frames.unbounded_send(Ok("late")).unwrap();
    drop(frames);
    response.into_body().collect().await.unwrap();
    advance(Duration::from_millis(600)).await;
    let Measurement::Observed(Observation::Histogram { edges, counts }) =
        ask(&router, Metric::LATENCY, Slot::Stable, window(0, 1_000)).await
    else {
        panic!("latency is a histogram")
    };
    let place = counts.iter().position(|count| *count == 1).unwrap();
    assert_eq!((edges[place], counts.iter().sum::<u64>()), (0.5, 1));
}

#[tokio::test(start_paused = true)]
async fn time_to_first_token_is_the_time_to_the_first_bytes() {
    let router = router();
    let (frames, body) = mpsc::unbounded::<Result<&str, Infallible>>();
    let response = request(&router, StatusCode::OK, Body::from_stream(body)).await;
    advance(Duration::from_millis(90)).await;
    frames.unbounded_send(Ok("first")).unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    advance(Duration::from_millis(400)).await;
    frames.unbounded_send(Ok("last")).unwrap();
    drop(frames);
    body.collect().await.unwrap();
    // An answer without a body has no first bytes.
    request(&router, StatusCode::NO_CONTENT, Body::empty()).await;
    advance(Duration::from_millis(510)).await;
    let Measurement::Observed(Observation::Histogram { edges, counts }) =
        ask(&router, Metric::TTFT, Slot::Stable, window(0, 1_000)).await
    else {
        panic!("it is a histogram")
    };
    let place = counts.iter().position(|count| *count == 1).unwrap();
    assert_eq!((edges[place], counts.iter().sum::<u64>()), (0.1, 1));
    let nothing = ask(&router, Metric::TTFT, Slot::Candidate, window(0, 1_000)).await;
    assert_eq!(nothing, Missing::NoData.into());
}

#[tokio::test(start_paused = true)]
async fn only_closed_and_aligned_windows_are_answered() {
    let router = router();
    good_request(&router).await;
    advance(Duration::from_millis(999)).await;
    let first = window(0, 1_000);
    assert_eq!(ask(&router, Metric::ERRORS, Slot::Stable, first).await, Missing::NoData.into());
    advance(Duration::from_millis(1)).await;
    let one = Measurement::Observed(Observation::proportion(0, 1).unwrap());
    assert_eq!(ask(&router, Metric::ERRORS, Slot::Stable, first).await, one);
    for uneven in [window(50, 1_000), window(0, 950)] {
        let answer = ask(&router, Metric::ERRORS, Slot::Stable, uneven).await;
        let refused = matches!(&answer, Measurement::Missing(Missing::SourceError { retryable: false, .. }));
        assert!(refused, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_is_whole_or_forgotten() {
    let mut recording = Recording::default();
    recording.retention = Duration::from_secs(10);
    let router = router().with_recording(recording).unwrap();
    for _ in 0..15 {
        good_request(&router).await;
        advance(Duration::from_secs(1)).await;
    }
    for end in 1..=15 {
        for start in 0..end {
            let asked = window(start * 1_000, end * 1_000);
            let whole = Observation::proportion(0, end - start).unwrap().into();
            let answer = ask(&router, Metric::ERRORS, Slot::Stable, asked).await;
            let forgotten = matches!(answer, Measurement::Missing(_));
            assert!(answer == whole || forgotten, "{start} s to {end} s: {answer:?}");
            assert_eq!(forgotten, start < 5, "{start} s to {end} s: {answer:?}");
        }
    }
}

/// The router as a metrics source, with ten requests in two seconds, of which two failed.
async fn stocked() -> Stocked<EmbeddedRouter> {
    tokio::time::pause();
    let source = router();
    for n in 0..16 {
        advance(Duration::from_millis(250)).await;
        let status = if n % 5 == 4 { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
        request(&source, status, "answer".into()).await.into_body().collect().await.unwrap();
    }
    advance(Duration::from_secs(1)).await;
    Stocked {
        source,
        metric: Metric::errors(),
        selector: side(Slot::Stable),
        nobody: side(Slot::Candidate),
        window: window(1_000, 3_000),
        expected: Observation::proportion(2, 8).unwrap(),
    }
}

#[tokio::test]
async fn as_a_source_it_answers_what_was_observed() {
    conformance::answers_what_was_observed(stocked).await;
}

#[tokio::test]
async fn as_a_source_it_answers_the_same_again() {
    conformance::answers_the_same_again(stocked).await;
}

#[tokio::test]
async fn as_a_source_it_says_that_nobody_was_observed() {
    conformance::says_that_nobody_was_observed(stocked).await;
}

#[tokio::test]
async fn as_a_source_it_says_that_nothing_was_observed() {
    conformance::says_that_nothing_was_observed(stocked).await;
}

#[tokio::test]
async fn as_a_source_its_windows_add_up() {
    conformance::consecutive_windows_add_up(stocked).await;
}

/// Serves `app` behind the layer on loopback, until the test ends.
async fn serve(router: &EmbeddedRouter, app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.layer(router.layer(&route()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/")
}

/// A body that is fed by the test, and the moment at which the server lets go of it.
fn fed() -> (mpsc::UnboundedSender<Result<&'static str, &'static str>>, Body, oneshot::Receiver<()>) {
    let (feed, frames) = mpsc::unbounded();
    let (held, gone) = oneshot::channel::<()>();
    let body = Body::from_stream(frames.map(move |frame| {
        let _held = &held;
        frame
    }));
    (feed, body, gone)
}

/// Serves the one response `response`.
fn once(response: Response<Body>) -> Router {
    let response = Arc::new(Mutex::new(Some(response)));
    Router::new().route("/", get(move || std::future::ready(response.lock().unwrap().take().unwrap())))
}

#[tokio::test(start_paused = true)]
async fn a_stream_passes_frame_by_frame() {
    let router = router();
    let (feed, body, _gone) = fed();
    let url = serve(&router, once(Response::new(body))).await;
    // Each frame is sent only after the one before has arrived: whoever buffers, waits for ever.
    let mut response = reqwest::get(url).await.unwrap();
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
        feed.unbounded_send(Ok(event)).unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), event);
        advance(Duration::from_secs(1)).await;
    }
    drop(feed);
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(so_far(&router, Slot::Stable).await, Some((1, 0, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_in_the_middle_is_a_broken_request() {
    let router = router();
    let (feed, body, gone) = fed();
    let url = serve(&router, once(Response::new(body))).await;
    let mut response = reqwest::get(url).await.unwrap();
    feed.unbounded_send(Ok("data: one\n\n")).unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    gone.await.unwrap_err();
    assert_eq!(so_far(&router, Slot::Stable).await, Some((0, 1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_a_stated_length_ends_with_its_last_byte() {
    let router = router();
    let (feed, body, gone) = fed();
    let response = Response::builder().header(CONTENT_LENGTH, 6).body(body).unwrap();
    let url = serve(&router, once(response)).await;
    feed.unbounded_send(Ok("abc")).unwrap();
    feed.unbounded_send(Ok("def")).unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap(), "abcdef");
    // The server has all that it may send and never asks the body for its end.
    gone.await.unwrap_err();
    assert_eq!(so_far(&router, Slot::Stable).await, Some((1, 0, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_is_good() {
    let router = router();
    let app = Router::new().route("/", get(|| async { "a body for those who want it" }));
    let url = serve(&router, app).await;
    let client = reqwest::Client::new();
    for method in [Method::HEAD, Method::GET] {
        assert!(client.request(method, &url).send().await.unwrap().bytes().await.is_ok());
    }
    assert_eq!(so_far(&router, Slot::Stable).await, Some((2, 0, 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn weights_change_under_load_without_a_failed_request() {
    let router = router();
    let app =
        Router::new().route("/", get(|Extension(slot): Extension<Slot>| async move { slot.to_string() }));
    let url = serve(&router, app).await;
    let client = reqwest::Client::new();
    let load = (0..4).map(|_| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move {
            let mut served = BTreeMap::<String, u32>::new();
            for _ in 0..250 {
                let response = client.get(&url).send().await.unwrap().error_for_status().unwrap();
                *served.entry(response.text().await.unwrap()).or_default() += 1;
            }
            served
        })
    });
    let mut load = pin!(join_all(load));
    let mut changes = 0_u64;
    let served = loop {
        changes += 1;
        let traffic = Traffic::split(Weight::percent((changes * 10 % 60) as u16).unwrap());
        let baseline = Weight::percent(if changes.is_multiple_of(2) { 30 } else { 0 }).unwrap();
        let traffic = traffic.with_baseline(baseline).unwrap();
        router.apply(&route(), &traffic, fence(changes)).await.unwrap();
        tokio::task::yield_now().await;
        if let Poll::Ready(served) = futures::poll!(&mut load) {
            break served.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        }
    };
    assert_eq!(served.iter().flat_map(BTreeMap::values).sum::<u32>(), 1_000);
    for slot in ["stable", "candidate", "baseline"] {
        assert!(served.iter().any(|served| served.contains_key(slot)), "nothing was served by the {slot}");
    }
    assert!(changes > 10, "the weights changed only {changes} times under load");
    router.apply(&route(), &Traffic::split(Weight::FULL), fence(changes)).await.unwrap();
    for _ in 0..20 {
        let slot = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert_eq!(slot, "candidate", "a change holds for every request after it");
    }
}

mod copies {
    use tidegate_canary::embedded::{COPY, Mirroring};
    use tower::ServiceBuilder;

    use super::*;

    async fn mirror(router: &EmbeddedRouter, percent: u16) {
        let traffic = Traffic::stable().with_mirror(Weight::percent(percent).unwrap());
        router.apply(&route(), &traffic, fence(1)).await.unwrap();
    }

    /// What reached the service: the slot, whether it says that it is a copy, and the body.
    type Seen = Arc<Mutex<Vec<(Slot, bool, String)>>>;

    /// A service that answers the candidate after `slow`, behind both layers.
    fn service(
        router: &EmbeddedRouter,
        mirroring: Mirroring,
        slow: Duration,
        seen: &Seen,
    ) -> impl tower::Service<
        Request<Body>,
        Response = Response<WatchedBody<Body>>,
        Error = Infallible,
        Future: Send,
    > + Clone {
        let seen = Arc::clone(seen);
        let answer = service_fn(move |request: Request<tidegate_canary::embedded::MirroredBody<Body>>| {
            let seen = Arc::clone(&seen);
            async move {
                let slot = *request.extensions().get::<Slot>().unwrap();
                let is_copy = request.headers().contains_key(COPY);
                let body =
                    request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let body = String::from_utf8(body.to_vec()).unwrap();
                seen.lock().unwrap().push((slot, is_copy, body));
                if slot == Slot::Candidate {
                    tokio::time::sleep(slow).await;
                }
                let status = if slot == Slot::Candidate { 503 } else { 200 };
                Ok(Response::builder().status(status).body(Body::from("yes")).unwrap())
            }
        });
        ServiceBuilder::new()
            .layer(router.mirror(&route(), mirroring))
            .layer(router.layer(&route()))
            .service(answer)
    }

    async fn ask_for<S>(service: S, body: Body) -> StatusCode
    where
        S: tower::Service<Request<Body>, Response = Response<WatchedBody<Body>>, Error = Infallible> + Clone,
    {
        let answer = service.oneshot(Request::new(body)).await.unwrap();
        let status = answer.status();
        answer.into_body().collect().await.unwrap();
        status
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_copied_whole_and_nobody_waits_for_it_or_sees_it() {
        let router = router();
        let seen = Seen::default();
        let service = service(
            &router,
            Mirroring { at_once: 10_000, ..Mirroring::default() },
            Duration::from_secs(5),
            &seen,
        );
        mirror(&router, 20).await;
        let start = tokio::time::Instant::now();
        for n in 0..2_000 {
            let body = Body::from_stream(stream::iter([Ok::<_, Infallible>("request "), Ok("number ")]));
            let body = if n % 2 == 0 { body } else { Body::from(format!("request {n}")) };
            assert_eq!(ask_for(service.clone(), body).await, StatusCode::OK);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (available, errors, trials) = so_far(&router, Slot::Candidate).await.unwrap();
        assert_eq!((available, errors), (trials, trials));
        // 400 expected; five standard deviations of a binomial are 89.
        assert!((311..=489).contains(&trials), "{trials}");
        assert_eq!(so_far(&router, Slot::Stable).await, Some((2_000, 0, 2_000)));
        let seen = seen.lock().unwrap();
        let copies: Vec<_> = seen.iter().filter(|(slot, ..)| *slot == Slot::Candidate).collect();
        assert_eq!(copies.len() as u64, trials);
        assert!(copies.iter().all(|(_, is_copy, body)| *is_copy && body.starts_with("request ")));
        assert!(seen.iter().all(|(slot, is_copy, _)| *is_copy == (*slot == Slot::Candidate)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_long_breaks_off_or_finds_no_room_is_not_copied() {
        let router = router();
        let seen = Seen::default();
        let mirroring = Mirroring { at_once: 3, largest: 10, within: Duration::from_secs(2) };
        let service = service(&router, mirroring, Duration::from_secs(3_600), &seen);
        mirror(&router, 100).await;
        ask_for(service.clone(), Body::from("eleven long")).await;
        let broken = Body::from_stream(stream::iter([Ok("half"), Err("gone")]));
        ask_for(service.clone(), broken).await;
        tokio::task::yield_now().await;
        assert!(seen.lock().unwrap().iter().all(|(slot, ..)| *slot == Slot::Stable));
        for _ in 0..10 {
            ask_for(service.clone(), Body::empty()).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let copies = || seen.lock().unwrap().iter().filter(|(slot, ..)| *slot == Slot::Candidate).count();
        assert_eq!(copies(), 3);
        // Those that are not answered in time are given up, and count as broken.
        tokio::time::sleep(Duration::from_secs(2)).await;
        ask_for(service.clone(), Body::empty()).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(copies(), 4);
        assert_eq!(so_far(&router, Slot::Candidate).await, Some((0, 4, 4)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_router_promises_copies_only_with_the_layer_that_makes_them() {
        let router = router();
        let traffic = Traffic::stable().with_mirror(Weight::percent(5).unwrap());
        assert!(router.apply(&route(), &traffic, fence(1)).await.is_err());
        let _layer = router.mirror(&route(), Mirroring::default());
        router.apply(&route(), &traffic, fence(1)).await.unwrap();
        assert_eq!(TrafficRouter::observe(&router, &route()).await.unwrap().traffic, traffic);
    }
}
