//! A response body that is watched to its end, frame by frame and unbuffered.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{record::End, watch::Ticket};

pin_project! {
    /// The body of a response of a [`Split`](super::Split): the same frames, passed through as they come.
    #[derive(Debug)]
    pub struct WatchedBody<B> {
        #[pin]
        inner: B,
        ticket: Option<Ticket>,
        end: End,
    }
}

impl<B> WatchedBody<B> {
    pub(super) const fn new(inner: B, ticket: Option<Ticket>, end: End) -> Self {
        Self { inner, ticket, end }
    }
}

impl<B: Body> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            // Servers stop asking for frames once the last one says that it is the last.
            Some(Ok(_)) if !this.inner.is_end_stream() => {}
            Some(Ok(_)) | None => this.ticket.take().into_iter().for_each(|ticket| ticket.end(*this.end)),
            Some(Err(_)) => drop(this.ticket.take()),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
