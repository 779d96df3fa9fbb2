//! For tests: an agent that says what it is told to, and the contracts of [`Agent`] and of
//! [`Validator`](crate::Validator) as checks for agents and validators of your own.

mod embedding;
pub mod validator;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;

pub use self::embedding::{WordCounts, embeddings_are_those_of_their_texts};
use crate::{Agent, AgentError, AgentId, Call, Message, Reply, Request, Role, Tokenizer};

/// An [`Agent`] that gives prepared answers in order and remembers what it was asked.
///
/// When the answers are used up it is [`AgentError::Unavailable`].
#[derive(Debug, Default)]
pub struct Scripted {
    answers: Mutex<VecDeque<Result<Reply, AgentError>>>,
    requests: Mutex<Vec<Request>>,
}

impl Scripted {
    /// An agent that will give these answers.
    pub fn new(answers: impl IntoIterator<Item = Result<Reply, AgentError>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), requests: Mutex::default() }
    }

    /// An agent that will give these answers and no error.
    pub fn texts<'a>(answers: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(answers.into_iter().map(|text| Ok(Reply::text(text))))
    }

    /// What it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Agent for Scripted {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("scripted")
    }

    async fn respond(&self, request: &Request, _: &Call) -> Result<Reply, AgentError> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.unwrap_or_else(|| {
            let why = "the script is at its end".to_owned();
            Err(AgentError::Unavailable { agent: self.fingerprint(), why, attempts: 1, source: None })
        })
    }
}

/// Checks that calls made at the same time do not see each other. `echo` must answer with the last
/// message of the user and nothing else.
///
/// # Panics
///
/// When they do.
pub async fn calls_do_not_see_each_other(echo: &dyn Agent) {
    let prompts: BTreeSet<_> = (0..16).map(|i| format!("question {i}")).collect();
    let calls = prompts.iter().map(|prompt| async move {
        echo.respond(&Request::user(prompt), &Call::new(Duration::from_secs(60))).await
    });
    let answers = join_all(calls).await.into_iter().map(|reply| reply.expect("an echo answers").text);
    assert_eq!(answers.collect::<BTreeSet<_>>(), prompts, "each call has the answer to its own question");
}

/// Checks that a call ends when its time is over. `hung` must never answer by itself.
///
/// # Panics
///
/// When it answers, or fails in another way.
pub async fn a_call_ends_with_its_time(hung: &dyn Agent) {
    let timeout = Duration::from_millis(200);
    let outcome = hung.respond(&Request::user("anybody there?"), &Call::new(timeout)).await;
    match outcome {
        Err(AgentError::TimedOut { waited, .. }) => {
            // Clocks of sockets and timers need not agree to the millisecond.
            assert!(waited >= timeout / 2, "it was waited for {waited:?}, not {timeout:?}");
        }
        other => panic!("a call that hangs is timed out, not {other:?}"),
    }
}

/// Checks that an agent is called the same before and after a call, and is called something.
///
/// # Panics
///
/// When it is not.
pub async fn a_fingerprint_does_not_change(agent: &dyn Agent) {
    let before = agent.fingerprint();
    // Whether it answers does not matter here.
    drop(agent.respond(&Request::user("hello"), &Call::new(Duration::from_secs(1))).await);
    assert_eq!(agent.fingerprint(), before);
    assert!(!before.as_str().trim().is_empty(), "an agent has a name");
}

/// Checks that a tokenizer says no less than an agent counts. The agent must count its tokens.
///
/// # Panics
///
/// When it says too little, says something else the second time, or the agent does not count.
pub async fn a_tokenizer_never_says_too_little(tokenizer: &dyn Tokenizer, agent: &dyn Agent) {
    let requests = [
        Request::user(""),
        Request::user("a"),
        Request::user("What is the capital of France?").system("You are a helpful assistant."),
        Request::user("Hello")
            .message(Message::new(Role::Assistant, "Hi"))
            .message(Message::new(Role::User, "Bye")),
        Request::user(
            "\u{13000}\u{13080} \u{2615} \u{65e5}\u{672c}\u{8a9e} \u{fc}n\u{ef}code \u{1f469}\u{200d}\u{1f680}",
        ),
        Request::user("!@#$%^&*()_+{}|:<>? \\ \" \n\n\t\t 0123456789"),
    ];
    for request in requests {
        let request = request.max_tokens(1);
        let said = tokenizer.count(&request);
        assert_eq!(said, tokenizer.count(&request), "the same request has the same number");
        let reply = agent.respond(&request, &Call::new(Duration::from_secs(300))).await.expect("an answer");
        let counted = reply.usage.expect("the agent counts its tokens").input_tokens;
        assert!(counted <= said, "{counted} tokens, and {said} were said, of {:?}", request.messages);
    }
}
