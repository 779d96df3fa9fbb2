//! The tower layer of shadows: copies of requests, whose answers nobody sees.

use std::{
    future::poll_fn,
    mem::take,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Response, header::UPGRADE};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};
use tower::{Layer, Service};

use super::{Route, split::choose};
use crate::Slot;

/// The header by which a server knows a copy, so that it need not do twice what should be done once.
pub const COPY: HeaderName = HeaderName::from_static("tidegate-copy");

/// How much copying may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Mirroring {
    /// So many copies at once; further requests are not copied until one of them is answered. 64 by default.
    pub at_once: usize,
    /// Requests with longer bodies are not copied. 1 MiB by default.
    pub largest: usize,
    /// A copy that is not answered in this time is given up, and counts as broken. One minute by default.
    pub within: Duration,
}

/// Makes a [`Mirror`] around a [`Split`](super::Split). From [`EmbeddedRouter::mirror`](super::EmbeddedRouter::mirror).
#[derive(Clone, Debug)]
pub struct MirrorLayer {
    route: Arc<Route>,
    mirroring: Mirroring,
    room: Arc<Semaphore>,
}

/// Passes requests on as they come, and copies of some of them after they have been read to their end.
#[derive(Clone, Debug)]
pub struct Mirror<S> {
    inner: S,
    layer: MirrorLayer,
}

/// Marks a request as a copy, in its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied;

pin_project! {
    /// The body of a request behind a [`Mirror`]: the same frames, passed through as they come; or a copy.
    #[derive(Debug)]
    pub struct MirroredBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProjection]
    enum Kind<B> {
        Copy { bytes: Option<Bytes> },
        Original {
            #[pin]
            body: B,
            tee: Option<Tee>,
        },
    }
}

/// What has passed so far, for a copy that is made once all of it has.
#[derive(Debug)]
struct Tee {
    passed: BytesMut,
    largest: usize,
    whole: oneshot::Sender<Bytes>,
}

impl Default for Mirroring {
    fn default() -> Self {
        Self { at_once: 64, largest: 1024 * 1024, within: Duration::from_secs(60) }
    }
}

impl MirrorLayer {
    pub(super) fn new(route: Arc<Route>, mirroring: Mirroring) -> Self {
        Self { route, mirroring, room: Arc::new(Semaphore::new(mirroring.at_once)) }
    }

    /// Room for a copy of this request, if it is to be copied.
    fn admits<B>(&self, request: &Request<B>) -> Option<OwnedSemaphorePermit> {
        if *request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE) {
            // A connection cannot be copied.
            return None;
        }
        let (traffic, draw) = self.route.draw_for_copies()?;
        let goes = choose(&traffic, &self.route.id, request.headers(), draw);
        let wanted = goes.slot == Slot::Stable && goes.counted && draw < traffic.mirror().as_basis_points();
        if wanted { Arc::clone(&self.room).try_acquire_owned().ok() } else { None }
    }
}

impl<S> Layer<S> for MirrorLayer {
    type Service = Mirror<S>;

    fn layer(&self, inner: S) -> Mirror<S> {
        Mirror { inner, layer: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Mirror<S>
where
    S: Service<Request<MirroredBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body<Data = Bytes> + Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        // Nobody outside may pass a request off as a copy.
        request.headers_mut().remove(COPY);
        // Without a runtime there is nobody to wait for the answer of a copy.
        let runtime = Handle::try_current().ok();
        let tee = runtime.zip(self.layer.admits(&request)).map(|(runtime, permit)| {
            let (whole, body) = oneshot::channel();
            let mut head = Request::new(());
            *head.method_mut() = request.method().clone();
            *head.uri_mut() = request.uri().clone();
            *head.version_mut() = request.version();
            *head.headers_mut() = request.headers().clone();
            *head.extensions_mut() = request.extensions().clone();
            runtime.spawn(copy(self.inner.clone(), head, body, self.layer.mirroring.within, permit));
            Tee { passed: BytesMut::new(), largest: self.layer.mirroring.largest, whole }
        });
        self.inner.call(request.map(|body| MirroredBody::original(body, tee)))
    }
}

/// Sends the copy once the request has passed, and reads the answer to its end, so that it is counted.
async fn copy<S, B, R>(
    mut service: S,
    mut head: Request<()>,
    body: oneshot::Receiver<Bytes>,
    within: Duration,
    _permit: OwnedSemaphorePermit,
) where
    S: Service<Request<MirroredBody<B>>, Response = Response<R>>,
    R: Body,
{
    // It broke off, or was too long.
    let Ok(bytes) = body.await else { return };
    head.extensions_mut().insert(Copied);
    head.headers_mut().insert(COPY, HeaderValue::from_static("1"));
    let request = head.map(|()| MirroredBody { kind: Kind::Copy { bytes: Some(bytes) } });
    let answer = async {
        poll_fn(|cx| service.poll_ready(cx)).await.ok()?;
        let answer = service.call(request).await.ok()?;
        let mut body = pin!(answer.into_body());
        while poll_fn(|cx| body.as_mut().poll_frame(cx)).await?.is_ok() {}
        Some(())
    };
    if timeout(within, answer).await.is_err() {
        tracing::debug!("a copy of a request was not answered in time");
    }
}

impl<B: Body<Data = Bytes>> MirroredBody<B> {
    fn original(body: B, tee: Option<Tee>) -> Self {
        let mut tee = tee;
        // Nobody asks an empty body for its end.
        if body.is_end_stream()
            && let Some(tee) = tee.take()
        {
            tee.end();
        }
        Self { kind: Kind::Original { body, tee } }
    }
}

impl Tee {
    /// Takes down what passes; none if it has become too much.
    fn pass(mut self, data: &Bytes) -> Option<Self> {
        if self.passed.len() + data.len() > self.largest {
            return None;
        }
        self.passed.extend_from_slice(data);
        Some(self)
    }

    fn end(mut self) {
        // Whoever waited for it may have gone.
        let _gone = self.whole.send(take(&mut self.passed).freeze());
    }
}

impl<B: Body<Data = Bytes>> Body for MirroredBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Copy { bytes } => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            KindProjection::Original { mut body, tee } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                *tee = match (tee.take(), &frame) {
                    (Some(tee), None) => {
                        tee.end();
                        None
                    }
                    (Some(tee), Some(Ok(frame))) => match frame.data_ref() {
                        Some(data) => tee.pass(data),
                        None => Some(tee),
                    },
                    _ => None,
                };
                // Servers stop asking for frames after the last one.
                if body.is_end_stream()
                    && let Some(tee) = tee.take()
                {
                    tee.end();
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Copy { bytes } => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Original { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Copy { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Original { body, .. } => body.size_hint(),
        }
    }
}
