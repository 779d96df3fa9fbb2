//! The contract of `Agent`, for every agent there is.

use std::iter::repeat_n;

use crate::server::{Answer, Server};
use tidegate_validation::{FnAgent, MockAgent, OpenAi, Reply, testkit};

async fn openai(answer: Answer) -> (Server, OpenAi) {
    let server = Server::start(repeat_n(answer, 16)).await;
    let agent = OpenAi::new(reqwest::Client::new(), &server.base(), "support-bot").unwrap();
    assert!(server.requests().is_empty(), "making an agent asks nothing");
    (server, agent)
}

fn echo() -> FnAgent {
    FnAgent::new("echo", |request| async move { Ok(Reply::text(request.prompt())) })
}

#[tokio::test]
async fn closure_calls_do_not_see_each_other() {
    testkit::calls_do_not_see_each_other(&echo()).await;
}

#[tokio::test]
async fn openai_calls_do_not_see_each_other() {
    let (_server, agent) = openai(Answer::echo()).await;
    testkit::calls_do_not_see_each_other(&agent).await;
}

#[tokio::test(start_paused = true)]
async fn a_closure_call_ends_with_its_time() {
    testkit::a_call_ends_with_its_time(&FnAgent::new("hung", |_| std::future::pending())).await;
}

#[tokio::test]
async fn an_openai_call_ends_with_its_time() {
    let (_server, agent) = openai(Answer::hang()).await;
    testkit::a_call_ends_with_its_time(&agent).await;
}

#[tokio::test]
async fn the_fingerprint_of_a_closure_does_not_change() {
    testkit::a_fingerprint_does_not_change(&echo()).await;
}

#[tokio::test]
async fn the_fingerprint_of_openai_does_not_change() {
    let (_server, agent) = openai(Answer::echo()).await;
    testkit::a_fingerprint_does_not_change(&agent).await;
}

#[tokio::test]
#[should_panic(expected = "its own question")]
async fn an_agent_that_mixes_up_its_calls_is_caught() {
    let mut mixed = MockAgent::new();
    mixed.expect_respond().returning(|_, _| Ok(Reply::text("question 1")));
    testkit::calls_do_not_see_each_other(&mixed).await;
}
