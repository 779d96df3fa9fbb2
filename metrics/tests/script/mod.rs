//! A server on loopback that answers from a script, or by a function, and keeps what it was asked.

#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    collections::VecDeque,
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Body(u16, String),
    /// With headers.
    With(u16, Vec<(&'static str, String)>, String),
    Hang,
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// The fields of a form in the body.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        reqwest::Url::parse(&format!("http://form/?{}", self.body))
            .map(|url| url.query_pairs().into_owned().collect())
            .unwrap_or_default()
    }

    /// The fields of the query in the URL.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        reqwest::Url::parse(&format!("http://query{}", self.uri))
            .map(|url| url.query_pairs().into_owned().collect())
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

type Answer = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// The server, and what it was asked.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    answer: Answer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Answers requests in this order; whatever comes after them is an error.
    pub(crate) async fn serve(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::answering(move |_| {
            let next = replies.lock().unwrap().pop_front();
            next.unwrap_or_else(|| Reply::Body(418, "nothing more was expected".to_owned()))
        })
        .await
    }

    /// Answers every request by `answer`.
    pub(crate) async fn answering(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Self { address, answer: Arc::new(answer), asked: Arc::default() };
        let router = Router::new().fallback(respond).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        script
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn respond(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    let asked = Asked { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    let reply = (script.answer)(&asked);
    script.asked.lock().unwrap().push(asked);
    let status = |code| StatusCode::from_u16(code).unwrap();
    match reply {
        Reply::Body(code, body) => (status(code), body).into_response(),
        Reply::With(code, headers, body) => {
            let mut response = (status(code), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Hang => pending().await,
    }
}

/// A client that goes nowhere but where it is sent.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The error with everything behind it, as a log shows it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}
