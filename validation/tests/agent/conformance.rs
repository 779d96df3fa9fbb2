//! The contract of `Agent`, for every agent there is.

use std::{iter::repeat_n, num::NonZeroUsize};

use crate::server::{Answer, End, Server, delta};
use serde_json::json;
use tidegate_validation::{
    Agent, ByteBound, Cached, Call, FnAgent, HttpAgent, MockAgent, OpenAi, Recorder, Replay, Reply, Request,
    Template, Tokenizer, testkit,
};

const MANY: NonZeroUsize = NonZeroUsize::new(100).unwrap();

async fn serving(answer: Answer) -> Server {
    let server = Server::start(repeat_n(answer, 16)).await;
    assert!(server.requests().is_empty(), "making an agent asks nothing");
    server
}

/// Every agent that asks `server`.
fn over_http(server: &Server) -> Vec<Box<dyn Agent>> {
    let client = reqwest::Client::new;
    let openai = |base: &str| OpenAi::new(client(), base, "support-bot").unwrap();
    let completions = |base: &str| OpenAi::completions(client(), base, "support-bot").unwrap();
    let template = Template::new(json!({"question": "{{prompt}}"})).unwrap();
    let base = &server.base();
    vec![
        Box::new(openai(base)),
        Box::new(openai(base).streaming()),
        Box::new(completions(base)),
        Box::new(completions(base).streaming()),
        Box::new(HttpAgent::new(client(), base, template).unwrap().answer("/answer").unwrap()),
    ]
}

fn echo() -> FnAgent {
    FnAgent::new("echo", |request| async move { Ok(Reply::text(request.prompt())) })
}

fn hung() -> FnAgent {
    FnAgent::new("hung", |_| std::future::pending())
}

/// A recording of everything that the conformance suite asks an echo, twice.
async fn replay(directory: &tempfile::TempDir) -> Replay {
    let path = directory.path().join("echo.jsonl");
    let recorder = Recorder::open(echo(), &path).await.unwrap();
    for _ in 0..2 {
        testkit::calls_do_not_see_each_other(&recorder).await;
        testkit::a_fingerprint_does_not_change(&recorder).await;
    }
    Replay::open(path).await.unwrap()
}

#[tokio::test]
async fn calls_by_http_do_not_see_each_other() {
    for i in 0..5 {
        let server = serving(Answer::echo()).await;
        testkit::calls_do_not_see_each_other(over_http(&server).swap_remove(i).as_ref()).await;
    }
}

#[tokio::test]
async fn calls_in_this_process_do_not_see_each_other() {
    let directory = tempfile::tempdir().unwrap();
    testkit::calls_do_not_see_each_other(&echo()).await;
    let replay = replay(&directory).await;
    testkit::calls_do_not_see_each_other(&replay).await;
    for cached in [Cached::in_memory(echo(), MANY), Cached::in_directory(echo(), directory.path())] {
        testkit::calls_do_not_see_each_other(&cached).await;
        assert_eq!(cached.hits(), 0);
        testkit::calls_do_not_see_each_other(&cached).await;
        assert!(cached.hits() > 0, "the second time all is remembered");
    }
}

#[tokio::test]
async fn a_call_by_http_ends_with_its_time() {
    let half = || Answer::stream([delta(&json!({"content": "I"}))]).end(End::Hangs);
    let drip =
        || Answer::stream(repeat_n(": still thinking\n\n", 1000)).paced(std::time::Duration::from_millis(30));
    for answer in [Answer::hang(), half(), drip(), Answer::new(200, "{").end(End::Hangs)] {
        for i in 0..5 {
            let server = serving(answer.clone()).await;
            testkit::a_call_ends_with_its_time(over_http(&server).swap_remove(i).as_ref()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_this_process_ends_with_its_time() {
    testkit::a_call_ends_with_its_time(&hung()).await;
    testkit::a_call_ends_with_its_time(&Cached::in_memory(hung(), MANY)).await;
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(hung(), directory.path().join("hung.jsonl")).await.unwrap();
    testkit::a_call_ends_with_its_time(&recorder).await;
}

#[tokio::test]
async fn a_recorded_time_out_is_timed_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hung.jsonl");
    testkit::a_call_ends_with_its_time(&Recorder::open(hung(), &path).await.unwrap()).await;
    testkit::a_call_ends_with_its_time(&Replay::open(path).await.unwrap()).await;
}

#[tokio::test]
async fn fingerprints_do_not_change() {
    let directory = tempfile::tempdir().unwrap();
    let server = serving(Answer::echo()).await;
    let mut agents = over_http(&server);
    agents.push(Box::new(echo()));
    agents.push(Box::new(Cached::in_memory(echo(), MANY)));
    agents.push(Box::new(Recorder::open(echo(), directory.path().join("a.jsonl")).await.unwrap()));
    agents.push(Box::new(replay(&directory).await));
    for agent in &agents {
        testkit::a_fingerprint_does_not_change(agent.as_ref()).await;
    }
    assert_eq!(agents[0].fingerprint(), agents[1].fingerprint(), "parts make no other answer");
    assert_ne!(agents[0].fingerprint(), agents[2].fingerprint(), "another protocol does");
}

#[tokio::test]
async fn an_agent_behind_an_arc_is_the_same() {
    let agent: std::sync::Arc<dyn Agent> = std::sync::Arc::new(echo());
    let cached = Cached::in_memory(agent, MANY);
    let call = Call::new(std::time::Duration::from_secs(1));
    assert_eq!(cached.respond(&Request::user("Hi"), &call).await.unwrap().text, "Hi");
}

#[tokio::test]
#[should_panic(expected = "its own question")]
async fn an_agent_that_mixes_up_its_calls_is_caught() {
    let mut mixed = MockAgent::new();
    mixed.expect_respond().returning(|_, _| Ok(Reply::text("question 1")));
    testkit::calls_do_not_see_each_other(&mixed).await;
}

/// One token too few for every question.
#[derive(Debug)]
struct Short;

impl Tokenizer for Short {
    fn count(&self, request: &Request) -> u64 {
        ByteBound.count(request) - 1
    }
}

/// An agent that counts as much as the bound says.
fn pedantic() -> FnAgent {
    FnAgent::new(
        "pedantic",
        |request| async move { Ok(Reply::text("").with_usage(ByteBound.count(&request), 1)) },
    )
}

#[tokio::test]
async fn a_tokenizer_that_says_enough_is_none_that_says_too_little() {
    testkit::a_tokenizer_never_says_too_little(&ByteBound, &pedantic()).await;
}

#[tokio::test]
#[should_panic(expected = "were said")]
async fn a_tokenizer_that_says_too_little_is_caught() {
    testkit::a_tokenizer_never_says_too_little(&Short, &pedantic()).await;
}
