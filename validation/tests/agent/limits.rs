//! Limits that agents share, and how they learn from a server.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use crate::server::{Answer, Server, completion};
use reqwest::Client;
use serde_json::json;
use tidegate_validation::{
    Agent as _, AgentError, Call, HttpAgent, Limiter, OpenAi, RateLimits, Request, Retry, Template,
};
use tokio::time::Instant;

const LONG: Call = Call::new(Duration::from_secs(20));

#[tokio::test]
async fn what_one_agent_is_told_the_other_heeds() {
    let busy = Answer::new(429, "").header("retry-after-ms", "400");
    let server = Server::start([busy, completion("other"), completion("at last")]).await;
    let limiter = Limiter::new(RateLimits::default());
    let patient = Retry { retries: 1, ..Retry::default() };
    let chat =
        OpenAi::new(Client::new(), &server.base(), "m").unwrap().retry(patient).limiter(limiter.clone());
    let template = Template::new(json!({"messages": "{{messages}}"})).unwrap();
    let other = HttpAgent::new(Client::new(), &server.base(), template).unwrap().limiter(limiter.clone());
    let start = Instant::now();
    let request = Request::user("Hello");
    let second = async {
        while limiter.at_once() == RateLimits::default().at_once.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let reply = other.respond(&request, &LONG).await.unwrap();
        (reply.latency, start.elapsed())
    };
    let (first, (latency, took)) = tokio::join!(chat.respond(&request, &LONG), second);
    assert_eq!(first.unwrap().retries, 1);
    assert!(took >= Duration::from_millis(400), "the other went after {took:?}");
    assert!(latency < Duration::from_millis(400), "waiting for the limiter is no latency: {latency:?}");
    assert_eq!(limiter.at_once(), 4, "8 were halved");
}

#[tokio::test]
async fn a_limit_that_leaves_no_room_in_time_says_so() {
    let server = Server::start([completion("Hi"), completion("again")]).await;
    let limits = RateLimits { requests_per_minute: NonZeroU32::new(1), ..RateLimits::default() };
    let agent = OpenAi::new(Client::new(), &server.base(), "m").unwrap().limiter(Limiter::new(limits));
    assert!(agent.respond(&Request::user("Hello"), &LONG).await.is_ok());
    let error =
        agent.respond(&Request::user("Hello"), &Call::new(Duration::from_millis(50))).await.unwrap_err();
    let limited = |why: &str| why.contains("its own limits");
    assert!(matches!(&error, AgentError::Unavailable { attempts: 0, why, .. } if limited(why)), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_at_once_is_one_at_once() {
    let server = Server::start(std::iter::repeat_n(completion("Hi"), 8)).await;
    let limits =
        RateLimits { at_once: NonZeroUsize::MIN, most_at_once: NonZeroUsize::MIN, ..RateLimits::default() };
    let limiter = Limiter::new(limits);
    let agent = OpenAi::new(Client::new(), &server.base(), "m").unwrap().limiter(limiter.clone());
    let held = limiter.acquire(0).await;
    let request = Request::user("Hello");
    let asked = futures::future::join_all((0..8).map(|_| agent.respond(&request, &LONG)));
    let (replies, ()) = tokio::join!(asked, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(server.requests().is_empty(), "nobody goes while another has the permit");
        drop(held);
    });
    assert!(replies.iter().all(Result::is_ok));
}
