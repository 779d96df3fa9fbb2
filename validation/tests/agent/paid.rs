//! Attempts that fail and are paid for all the same.

use std::time::Duration;

use futures::future::join_all;
use tidegate_validation::{
    AgentError, Budget, Freshness, OpenAi, Request, Retry, Run, Tokenizer, Unanswered,
};

use crate::server::{Answer, Server, completion};

/// As the server counts: 11 tokens a question.
#[derive(Debug)]
struct Eleven;

impl Tokenizer for Eleven {
    fn count(&self, _: &Request) -> u64 {
        11
    }
}

/// What each call takes that the server answers, and what it may take if it fails.
const CALL: u64 = 16;

fn agent(server: &Server) -> OpenAi {
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(2));
    let agent = OpenAi::new(reqwest::Client::new(), &server.base(), "support-bot").unwrap();
    agent.retry(Retry { first, longest, ..Retry::default() })
}

fn run(tokens: u64) -> Run {
    Run::new(0).budget(Budget::default().tokens(tokens).tokenizer(Eleven))
}

async fn ask(run: &Run, agent: &OpenAi) -> Result<(), Unanswered> {
    let request = Request::user("Hello").max_tokens(5);
    run.ask(agent, &request, 0, Freshness::Any).await.map(drop)
}

#[tokio::test]
async fn a_hundred_callers_of_a_server_that_fails_half_overdraw_nothing() {
    let script = (0..1_000).map(|i| if i % 2 == 0 { Answer::new(500, "it broke") } else { completion("Hi") });
    let server = Server::start(script).await;
    let (agent, run) = (agent(&server), run(60 * CALL + 7));
    let outcomes = join_all((0..100).map(|_| ask(&run, &agent))).await;
    // The server wants to be paid for whatever it was asked.
    let billed = server.requests().len() as u64 * CALL;
    assert_eq!((billed, run.spent().tokens), (60 * CALL, 60 * CALL));
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(answered, 30);
    let unanswered = |outcome: &Result<(), Unanswered>| {
        matches!(
            outcome,
            Ok(()) | Err(Unanswered::Short(_) | Unanswered::Lost(AgentError::Unavailable { .. }))
        )
    };
    assert!(outcomes.iter().all(unanswered), "{outcomes:?}");
}

#[tokio::test]
async fn attempts_are_paid_for_that_the_server_may_have_worked_on() {
    for (status, attempts) in [(500, 2), (502, 2), (504, 2), (408, 2), (429, 1), (503, 1)] {
        let server = Server::start([Answer::new(status, "later"), completion("Hi")]).await;
        let run = run(1_000);
        ask(&run, &agent(&server)).await.unwrap();
        assert_eq!((run.spent().calls, run.spent().tokens), (1, attempts * CALL), "{status}");
    }
}

#[tokio::test]
async fn another_attempt_is_made_only_if_there_is_enough_for_it() {
    let server = Server::start([Answer::new(500, "it broke"), completion("Hi")]).await;
    let run = run(CALL + 7);
    let error = ask(&run, &agent(&server)).await.unwrap_err();
    let Unanswered::Lost(AgentError::Unavailable { why, attempts: 1, .. }) = &error else {
        panic!("{error:?}")
    };
    assert!(why.contains("it broke") && why.contains("7 left"), "{why}");
    assert_eq!((server.requests().len(), run.spent().tokens), (1, CALL));
}

#[tokio::test]
async fn attempts_to_reach_nobody_cost_nothing() {
    let server = Server::start([]).await;
    let agent = agent(&server);
    server.stop().await;
    let run = run(1_000);
    assert!(ask(&run, &agent).await.is_err());
    assert_eq!((run.spent().calls, run.spent().tokens), (1, 0));
}
