//! Over HTTP on loopback, where time is not ours: what is known is what the server wrote down itself.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::json;
use tidegate_validation::{
    Agent, HttpAgent, Limiter, OpenAi, RateLimits, Run, Template,
    load::{Arrivals, Destinations, Measured, Plain, Plan, Target, drive},
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use super::{ms, plan, ports::free_port, sent};

async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    address
}

fn event(data: &serde_json::Value) -> String {
    format!("data: {data}\n\n")
}

/// When a server sent what.
type Sent = Arc<Mutex<Vec<(&'static str, Duration)>>>;

/// A role at once, the first word after 150 ms, three more 30 ms after each other, and the counts. How long it was until each
/// word, on the server's clock, is written down.
fn streamed(sent: Sent) -> Response {
    let said = |text: &str| event(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let counts = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    let parts = [
        (0, event(&json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}))),
        (150, said("one ")),
        (30, said("two ")),
        (30, said("three ")),
        (30, said("four")),
        (0, event(&last)),
        (0, event(&counts)),
        (0, "data: [DONE]\n\n".to_owned()),
    ];
    let last = Arc::new(Mutex::new(Instant::now()));
    let parts = stream::iter(parts).then(move |(wait, part)| {
        let (sent, last) = (Arc::clone(&sent), Arc::clone(&last));
        async move {
            if wait > 0 {
                sleep(ms(wait)).await;
                let now = Instant::now();
                let waited = now - std::mem::replace(&mut *last.lock().unwrap(), now);
                sent.lock().unwrap().push((if wait == 150 { "first" } else { "gap" }, waited));
            }
            Ok::<_, Infallible>(part)
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(parts)).into_response()
}

#[tokio::test]
async fn times_of_tokens_are_those_of_the_stream() {
    let sent_by_server = Sent::default();
    let sent_there = Arc::clone(&sent_by_server);
    let answer = move || {
        let answer = streamed(Arc::clone(&sent_there));
        async { answer }
    };
    let address = serve(Router::new().route("/v1/chat/completions", post(answer))).await;
    let agent = OpenAi::new(Client::new(), &format!("http://{address}/v1"), "m").unwrap().streaming();
    let measured = sent(&plan(Arrivals::Constant, 20.0, 2), &agent, &Run::new(7)).await;
    assert_eq!((measured.counts.answered, measured.counts.due), (40, 40), "{measured:?}");
    assert_eq!((measured.itl.len(), measured.output_tokens, measured.input_tokens), (120, 160, 120));
    let truth = |kind| {
        let sent = sent_by_server.lock().unwrap();
        let mut times: Vec<_> = sent.iter().filter(|(of, _)| *of == kind).map(|(_, time)| *time).collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    // A machine that has other work to do is late on either side of the socket.
    for (times, truth) in
        [(&measured.ttft, truth("first")), (&measured.itl, truth("gap")), (&measured.tpot, truth("gap"))]
    {
        let found = times.quantile(0.5).unwrap();
        assert!(found.abs_diff(truth) < ms(15), "{found:?}, in truth {truth:?}");
    }
}

async fn plainly(target: &dyn Target, plan: &Plan) -> Measured {
    drive(plan, target, Duration::MAX, &mut |_| {}).await
}

async fn at(url: &str) -> Plain {
    Plain::get(&Destinations::here().find(url).await.unwrap()).unwrap().timeout(ms(5_000))
}

#[tokio::test]
async fn plain_requests_are_sent_each_once_over_few_connections() {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let routes = Router::new().route(
        "/ask",
        post(move |body: String| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            format!("{body}{}", "!".repeat(100_000))
        }),
    );
    let address = serve(routes).await;
    let target = at(&format!("http://{address}/ask?x=1")).await.post("{}");
    let measured = plainly(&target, &plan(Arrivals::Poisson, 400.0, 1)).await;
    assert_eq!(measured.counts.answered, measured.counts.due, "{measured:?}");
    assert_eq!(asked.load(Ordering::Relaxed), measured.counts.due);
}

#[tokio::test]
async fn what_a_server_says_and_does_not_say_are_failures() {
    let turn = Arc::new(AtomicU64::new(0));
    let routes = Router::new().route(
        "/",
        get(move || {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            async move {
                match turn % 3 {
                    0 => StatusCode::OK.into_response(),
                    1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                    _ => Body::from_stream(stream::once(async {
                        Err::<String, _>(std::io::Error::other("cut"))
                    }))
                    .into_response(),
                }
            }
        }),
    );
    let target = at(&format!("http://{}/", serve(routes).await)).await;
    let measured = plainly(&target, &plan(Arrivals::Constant, 90.0, 1)).await;
    assert_eq!((measured.counts.answered, measured.counts.failed), (30, 60), "{measured:?}");
    assert_eq!(measured.failures.get("unavailable: status 503"), Some(&30), "{:?}", measured.failures);
}

/// A server that closes a connection after each answer, and one that nobody listens at.
#[tokio::test]
async fn connections_that_were_closed_are_made_anew() {
    let routes = Router::new().route("/", get(async || ([("connection", "close")], "bye")));
    let target = at(&format!("http://{}/", serve(routes).await)).await;
    let measured = plainly(&target, &plan(Arrivals::Constant, 100.0, 1)).await;
    assert_eq!((measured.counts.answered, measured.counts.failed), (100, 0), "{measured:?}");

    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let nobody = plainly(&at(&format!("http://{free}/")).await, &plan(Arrivals::Constant, 50.0, 1)).await;
    assert_eq!((nobody.counts.answered, nobody.counts.failed), (0, 50), "{nobody:?}");
    assert!(nobody.failures.contains_key("unavailable: cannot connect"));
}

#[tokio::test]
async fn several_servers_have_each_their_turn() {
    let counts = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let mut targets = Vec::new();
    for count in &counts {
        let count = Arc::clone(count);
        let answer = move || async move {
            count.fetch_add(1, Ordering::Relaxed);
        };
        targets.push(at(&format!("http://{}/", serve(Router::new().route("/", get(answer))).await)).await);
    }
    let plan = plan(Arrivals::Constant, 100.0, 1).in_flight(NonZeroUsize::new(50).unwrap());
    assert_eq!(plainly(&targets, &plan).await.counts.answered, 100);
    assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [50, 50]);
}

/// Agents that are set to retry, with a limiter as anybody has who shares a key.
fn stubborn(address: SocketAddr) -> Vec<Box<dyn Agent>> {
    let limiter = || Limiter::new(RateLimits::default());
    let chat = OpenAi::new(Client::new(), &format!("http://{address}/v1"), "m").unwrap();
    let body = Template::new(json!({ "prompt": "{{prompt}}" })).unwrap();
    let custom = HttpAgent::new(Client::new(), &format!("http://{address}/ask"), body).unwrap();
    let custom = custom.answer("/choices/0/message/content").unwrap();
    vec![Box::new(chat.limiter(limiter())), Box::new(custom.limiter(limiter()))]
}

#[tokio::test]
async fn the_server_sees_the_rate_and_no_attempt_more() {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    // Every second request fails in a way that a patient client tries again at once.
    let answer = move || {
        let fails = counted.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        async move {
            match fails {
                true => {
                    let headers = [("retry-after-ms", "1")];
                    (StatusCode::INTERNAL_SERVER_ERROR, headers, "busy").into_response()
                }
                false => axum::Json(json!({"choices": [{"message": {"content": "Hello."}}]})).into_response(),
            }
        }
    };
    let routes =
        Router::new().route("/v1/chat/completions", post(answer.clone())).route("/ask", post(answer));
    for agent in stubborn(serve(routes).await) {
        asked.store(0, Ordering::Relaxed);
        let measured = sent(&plan(Arrivals::Constant, 40.0, 1), agent.as_ref(), &Run::new(7)).await;
        let counts = measured.counts;
        assert_eq!((counts.due, asked.load(Ordering::Relaxed)), (40, 40), "{agent:?}: {counts:?}");
        assert_eq!((counts.answered, counts.failed, counts.retries), (20, 20, 0), "{agent:?}: {counts:?}");
    }
}
