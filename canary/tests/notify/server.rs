//! A server that answers what a test wants, and remembers what it was sent.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status, headers and a body.
    Says(u16, Vec<(&'static str, String)>, String),
    /// What it was sent, with this status.
    Echoes(u16),
    /// A body without end.
    Floods(u16),
    /// Nothing, ever.
    Hangs,
    /// A body that never comes.
    HangsAfter(u16),
}

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    replies: VecDeque<Reply>,
    received: Vec<Received>,
}

pub(crate) fn says(status: u16) -> Reply {
    Reply::Says(status, Vec::new(), String::new())
}

pub(crate) fn with(status: u16, body: &str) -> Reply {
    Reply::Says(status, Vec::new(), body.to_owned())
}

pub(crate) fn headed(status: u16, name: &'static str, value: impl Into<String>) -> Reply {
    Reply::Says(status, vec![(name, value.into())], String::new())
}

impl Server {
    /// One that gives these replies in turn, and 200 after them.
    pub(crate) async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let inner =
            Arc::new(Mutex::new(Inner { replies: replies.into_iter().collect(), received: Vec::new() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, inner }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inner.lock().unwrap().received.clone()
    }

    /// What it was sent, if it was sent one thing.
    pub(crate) fn one(&self) -> Received {
        let [one] = &self.received()[..] else { panic!("{:?}", self.received()) };
        one.clone()
    }
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let (method, uri, headers) = (parts.method, parts.uri.to_string(), parts.headers);
    let sent = format!("{method} {uri} {headers:?} {body}");
    let reply = {
        let mut inner = inner.lock().unwrap();
        inner.received.push(Received { method, uri, headers, body });
        inner.replies.pop_front().unwrap_or_else(|| says(200))
    };
    let status = |status| StatusCode::from_u16(status).unwrap();
    match reply {
        Reply::Says(code, headers, body) => {
            let mut response = (status(code), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Echoes(code) => (status(code), sent).into_response(),
        Reply::Floods(code) => {
            let chunk = || Ok::<_, std::io::Error>("no end ".repeat(1_000));
            (status(code), Body::from_stream(stream::repeat_with(chunk))).into_response()
        }
        Reply::Hangs => std::future::pending().await,
        Reply::HangsAfter(code) => {
            (status(code), Body::from_stream(stream::pending::<Result<String, std::io::Error>>()))
                .into_response()
        }
    }
}
