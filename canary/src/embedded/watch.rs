//! The tower layer: choose a slot, pass the request on, count what comes back.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{
    Route, WatchedBody,
    mirror::Copied,
    record::{End, Took},
    split::{Choice, choose},
};
use crate::{Slot, memory::lock};

/// Makes a [`Split`] around a service. From [`EmbeddedRouter::layer`](super::EmbeddedRouter::layer).
#[derive(Clone, Debug)]
pub struct SplitLayer {
    route: Arc<Route>,
}

/// Tags each request with its [`Slot`], passes it on and counts what comes back.
#[derive(Clone, Debug)]
pub struct Split<S> {
    inner: S,
    route: Arc<Route>,
}

pin_project! {
    /// The response of a [`Split`], on its way.
    #[derive(Debug)]
    pub struct Watched<F> {
        #[pin]
        inner: F,
        ticket: Option<Ticket>,
        bodiless: bool,
    }
}

/// One request under way. It counts itself once, when it is dropped; as broken, unless it was told before
/// that the whole response was delivered.
#[derive(Debug)]
pub(super) struct Ticket {
    route: Arc<Route>,
    slot: Slot,
    counted: bool,
    since: Instant,
    first: Option<First>,
    end: End,
}

/// When the first bytes of a body came.
#[derive(Clone, Copy, Debug)]
enum First {
    At(Instant),
    /// With the last, and the clock is asked once for both.
    AtTheEnd,
}

impl SplitLayer {
    pub(super) const fn new(route: Arc<Route>) -> Self {
        Self { route }
    }
}

impl<S> Layer<S> for SplitLayer {
    type Service = Split<S>;

    fn layer(&self, inner: S) -> Split<S> {
        Split { inner, route: Arc::clone(&self.route) }
    }
}

impl<S, B, R> Service<Request<B>> for Split<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<WatchedBody<R>>;
    type Error = S::Error;
    type Future = Watched<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let choice = if request.extensions().get::<Copied>().is_some() {
            Choice { slot: Slot::Candidate, counted: true }
        } else {
            let (traffic, draw) = self.route.draw();
            choose(&traffic, &self.route.id, request.headers(), draw)
        };
        request.extensions_mut().insert(choice.slot);
        let ticket = Ticket {
            route: Arc::clone(&self.route),
            slot: choice.slot,
            counted: choice.counted,
            since: Instant::now(),
            first: None,
            end: End::Broken,
        };
        let bodiless = request.method() == Method::HEAD;
        Watched { inner: self.inner.call(request), ticket: Some(ticket), bodiless }
    }
}

impl<F, R, E> Future for Watched<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<WatchedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let ticket = this.ticket.take();
        let end = if response.status().is_server_error() { End::Failed } else { End::Good };
        let stated =
            response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        // The answer to HEAD states the length of a body that does not come.
        let length = if *this.bodiless { Some(0) } else { stated };
        Poll::Ready(Ok(response.map(|body| WatchedBody::new(body, ticket, end, length))))
    }
}

impl Ticket {
    /// Bytes of the body have come, all of them if `last`.
    pub(super) fn begin(&mut self, last: bool) {
        self.first.get_or_insert_with(|| if last { First::AtTheEnd } else { First::At(Instant::now()) });
    }

    /// The whole response was delivered.
    pub(super) fn end(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.counted {
            // The time is read under the lock: a window that was asked for after its end is complete.
            let mut records = lock(&self.route.records);
            let now = Instant::now();
            let first = self.first.map(|first| match first {
                First::At(at) => at - self.since,
                First::AtTheEnd => now - self.since,
            });
            let took = Took { whole: now - self.since, first };
            records.add(self.slot, self.route.clock.at(now), took, self.end);
        }
    }
}
