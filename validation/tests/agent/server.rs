//! An HTTP server on loopback that answers from a script and remembers what it was asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

/// One prepared response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    /// What is sent, each after waiting so long.
    parts: Vec<(Duration, Bytes)>,
    end: End,
    conduct: Conduct,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Conduct {
    #[default]
    Recites,
    Echoes,
    Hangs,
}

/// What a server does once it has sent everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// It breaks the connection.
    Breaks,
    #[default]
    Closes,
    /// It sends nothing more and does not close.
    Hangs,
    /// It sends the last part for ever.
    Repeats,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

#[derive(Debug)]
pub(crate) struct Server {
    base: String,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        let body: String = body.into();
        Self { status, parts: vec![(Duration::ZERO, body.into())], ..Self::default() }
    }

    /// A stream of events, sent in these parts.
    pub(crate) fn stream<B: Into<Bytes>>(parts: impl IntoIterator<Item = B>) -> Self {
        let parts = parts.into_iter().map(|part| (Duration::ZERO, part.into())).collect();
        Self { status: 200, parts, ..Self::default() }.header("content-type", "text/event-stream")
    }

    pub(crate) fn hang() -> Self {
        Self { conduct: Conduct::Hangs, ..Self::default() }
    }

    /// A completion that says what the user said.
    pub(crate) fn echo() -> Self {
        Self { conduct: Conduct::Echoes, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Waits so long before each part but the first.
    pub(crate) fn paced(mut self, wait: Duration) -> Self {
        self.parts.iter_mut().skip(1).for_each(|part| part.0 = wait);
        self
    }

    pub(crate) fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// A chat completion that says `text`.
pub(crate) fn completion(text: &str) -> Answer {
    let body = json!({
        "id": "c1", "object": "chat.completion", "model": "support-bot",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    });
    Answer::new(200, body.to_string())
}

/// An event of a stream, as most servers write it.
pub(crate) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A part of a chat that adds this to the answer.
pub(crate) fn delta(delta: &Value) -> String {
    event(
        &json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}),
    )
}

/// The end of a chat in parts: the reason, the tokens, and the last word.
pub(crate) fn finish(reason: &str) -> String {
    let last = event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}));
    let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}));
    format!("{last}{usage}data: [DONE]\n\n")
}

impl Server {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() };
        let script = Arc::new(script);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, script, task }
    }

    pub(crate) fn base(&self) -> String {
        self.base.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    /// Stops listening; where it listened is free after that.
    pub(crate) async fn stop(self) -> String {
        self.task.abort();
        let _ = self.task.await;
        self.base
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        authorization,
        body: if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() },
    };
    let echoed = echo(&asked.body);
    script.asked.lock().unwrap().push(asked);
    let next = script.answers.lock().unwrap().pop_front();
    let next = match next.unwrap_or_else(|| Answer::new(500, "no answer left")) {
        next if next.conduct == Conduct::Hangs => std::future::pending().await,
        next if next.conduct == Conduct::Echoes => echoed,
        next => next,
    };
    let response =
        next.headers.iter().fold(Response::builder().status(next.status), |response, (name, value)| {
            response.header(*name, *value)
        });
    response.body(body_of(next.parts, next.end)).unwrap()
}

fn body_of(parts: Vec<(Duration, Bytes)>, end: End) -> Body {
    if let (End::Closes, [(_, whole)]) = (end, &parts[..]) {
        return whole.clone().into();
    }
    let last = parts.last().cloned().unwrap_or_default();
    let parts = stream::iter(parts).then(|(wait, part)| async move {
        sleep(wait).await;
        Ok(part)
    });
    match end {
        End::Breaks => Body::from_stream(parts.chain(stream::once(async {
            // What was sent before must have arrived, or all of it is thrown away.
            sleep(Duration::from_millis(50)).await;
            Err(io::Error::other("unplugged"))
        }))),
        End::Closes => Body::from_stream(parts.map(Ok::<_, Infallible>).map(|part| part.unwrap())),
        End::Hangs => Body::from_stream(parts.chain(stream::pending())),
        End::Repeats => Body::from_stream(parts.chain(stream::repeat(last.1).map(Ok))),
    }
}

/// What the user said, in the protocol that it was said in.
fn echo(body: &Value) -> Answer {
    let chat = body["messages"].as_array().and_then(|messages| messages.last()?["content"].as_str());
    match (chat, body["prompt"].as_str(), body["stream"].as_bool()) {
        (Some(said), _, Some(true)) => {
            Answer::stream([delta(&json!({"role": "assistant", "content": said})), finish("stop")])
        }
        (Some(said), ..) => completion(said),
        (_, Some(said), Some(true)) => {
            let part = event(&json!({"choices": [{"index": 0, "text": said, "finish_reason": "stop"}]}));
            Answer::stream([part, "data: [DONE]\n\n".to_owned()])
        }
        (_, Some(said), _) => {
            Answer::new(200, json!({"choices": [{"text": said, "finish_reason": "stop"}]}).to_string())
        }
        _ => Answer::new(200, json!({"answer": body["question"]}).to_string()),
    }
}
