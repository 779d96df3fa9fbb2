//! Anything that speaks HTTP, at the least cost for each request.

use std::{
    fmt,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri, Version,
    body::Incoming,
    client::conn::http1::{Connection, SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tidegate_registry::Invalid;
use tokio::{net::TcpStream, time::timeout};

use super::{Destination, Target};
use crate::{AgentError, AgentId, Reply, Unanswered};

/// Anything that speaks HTTP/1.1 without TLS: the same request, over and over. What is answered is read to its end and
/// thrown away; every status but 2xx is a failure.
///
/// It asks the addresses that were found when its [`Destination`] was, and follows no redirect, so that it is led
/// nowhere else. For what an answer says, and when its parts came, ask an agent, with
/// [`Prompts`](super::Prompts).
pub struct Plain {
    id: AgentId,
    addresses: Vec<SocketAddr>,
    method: Method,
    uri: Uri,
    host: HeaderValue,
    body: Bytes,
    timeout: Duration,
    longest_body: u64,
    /// Connections that nobody uses; the one used last is used next.
    idle: Mutex<Vec<Line>>,
}

/// One connection. It is driven by whoever waits for it, so that an answer wakes one task and not two.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<TcpStream>, Full<Bytes>>,
    over: bool,
}

impl Plain {
    /// How long a request may take unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// `GET` of the URL of `destination`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a URL that needs TLS.
    pub fn get(destination: &Destination) -> Result<Self, Invalid> {
        let url = &destination.url;
        let invalid = |why| Invalid::new("URL", url.path(), why);
        if url.scheme() != "http" {
            return Err(invalid("it needs TLS, which plain requests do not speak; ask it as an agent"));
        }
        let path =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let authority = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            id: AgentId::new(format!("http://{authority}{}", url.path())),
            addresses: destination.addresses.clone(),
            method: Method::GET,
            uri: path.parse().map_err(|_| invalid("its path is none"))?,
            host: HeaderValue::try_from(authority).map_err(|_| invalid("its host is none"))?,
            body: Bytes::new(),
            timeout: Self::TIMEOUT,
            longest_body: 4 << 20,
            idle: Mutex::default(),
        })
    }

    /// This, as a `POST` of a JSON document.
    #[must_use]
    pub fn post(mut self, json: impl Into<Bytes>) -> Self {
        self.method = Method::POST;
        self.body = json.into();
        self
    }

    /// This, with requests that may take so long.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn ask(&self) -> Result<(), AgentError> {
        let mut request = self.request();
        loop {
            let used = self.idle().pop();
            let was_used = used.is_some();
            let mut line = match used {
                Some(line) => line,
                None => self.connect().await?,
            };
            match line.send(request).await {
                Ok(response) => return self.read(line, response).await,
                // It was closed while nobody used it, and the request never left.
                Err(Failed { request: Some(unsent), .. }) if was_used => request = unsent,
                Err(Failed { error, .. }) => {
                    return Err(self.interrupted(error));
                }
            }
        }
    }

    async fn read(&self, mut line: Line, response: Response<Incoming>) -> Result<(), AgentError> {
        let status = response.status();
        let mut body = pin!(response.into_body());
        let mut read = 0_u64;
        while let Some(frame) = line.with(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.map_err(|error| self.interrupted(error))?;
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > self.longest_body {
                let why = format!("it is longer than {} bytes", self.longest_body);
                return Err(AgentError::Malformed { agent: self.id.clone(), why });
            }
        }
        if !line.over {
            self.idle().push(line);
        }
        self.judge(status)
    }

    fn judge(&self, status: StatusCode) -> Result<(), AgentError> {
        let agent = self.id.clone();
        match status {
            _ if status.is_success() => Ok(()),
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let why = format!("status {}", status.as_u16());
                Err(AgentError::Unavailable { agent, why, attempts: 1, source: None })
            }
            _ => {
                let why = "check the path, and what it wants to be asked".to_owned();
                Err(AgentError::Refused { agent, status: status.as_u16(), why })
            }
        }
    }

    async fn connect(&self) -> Result<Line, AgentError> {
        let unavailable = |source: Box<dyn std::error::Error + Send + Sync>| AgentError::Unavailable {
            agent: self.id.clone(),
            why: "cannot connect".to_owned(),
            attempts: 1,
            source: Some(source),
        };
        let stream =
            TcpStream::connect(self.addresses.as_slice()).await.map_err(|error| unavailable(error.into()))?;
        // What is small is sent at once.
        stream.set_nodelay(true).map_err(|error| unavailable(error.into()))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| unavailable(error.into()))?;
        Ok(Line { sender, connection, over: false })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().insert(HOST, self.host.clone());
        if self.method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interrupted(&self, error: hyper::Error) -> AgentError {
        let why = "the connection broke".to_owned();
        AgentError::Interrupted { agent: self.id.clone(), why, source: Some(error.into()) }
    }
}

/// Why there is no response, and the request if it was not sent.
struct Failed {
    error: hyper::Error,
    request: Option<Request<Full<Bytes>>>,
}

impl Line {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        if !self.sender.is_ready() {
            // It has still to see that the last answer is over, or that the server has gone.
            let Self { sender, connection, over } = self;
            let ready = poll_fn(|cx| {
                drive(connection, over, cx);
                sender.poll_ready(cx)
            });
            if let Err(error) = ready.await {
                return Err(Failed { error, request: Some(request) });
            }
        }
        let response = self.sender.try_send_request(request);
        let mut response = pin!(response);
        self.with(|cx| response.as_mut().poll(cx)).await.map_err(|mut error| {
            let request = error.take_message();
            Failed { error: error.into_error(), request }
        })
    }

    /// Waits for `what` while the connection is driven.
    async fn with<T>(&mut self, mut what: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        poll_fn(|cx| {
            drive(&mut self.connection, &mut self.over, cx);
            what(cx)
        })
        .await
    }
}

fn drive(
    connection: &mut Connection<TokioIo<TcpStream>, Full<Bytes>>,
    over: &mut bool,
    cx: &mut Context<'_>,
) {
    // Its errors are those of the request that it carries.
    if !*over && Pin::new(connection).poll(cx).is_ready() {
        *over = true;
    }
}

#[async_trait]
impl Target for Plain {
    async fn send(&self, _: u64) -> Result<Reply, Unanswered> {
        let asked = timeout(self.timeout, self.ask()).await;
        let timed_out = |_| AgentError::TimedOut { agent: self.id.clone(), waited: self.timeout };
        let asked = asked.map_err(timed_out).and_then(|asked| asked);
        asked.map(|()| Reply::default()).map_err(Unanswered::Lost)
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("method", &self.method).field("id", &self.id).finish_non_exhaustive()
    }
}
