//! A response body that is watched to its end, frame by frame and unbuffered.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
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
        // Bytes that are still to come, where the response states its length.
        left: Option<u64>,
    }
}

impl<B: Body> WatchedBody<B> {
    /// Watches `inner`, of which `length` bytes will come if that is known, until it ends as `end` says.
    pub(super) fn new(inner: B, ticket: Option<Ticket>, end: End, length: Option<u64>) -> Self {
        let mut this = Self { inner, ticket, end, left: length };
        // Nobody asks an empty body for its end.
        if this.left == Some(0) || this.inner.is_end_stream() {
            this.ticket.take().into_iter().for_each(|ticket| ticket.end(end));
        }
        this
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
        if let (Some(left), Some(Ok(frame))) = (this.left.as_mut(), &frame) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.remaining() as u64));
        }
        // Servers stop asking for frames after the last one, be it that the body says so or its length.
        let last = *this.left == Some(0) || this.inner.is_end_stream();
        if let (Some(ticket), Some(Ok(frame))) = (this.ticket.as_mut(), &frame)
            && frame.data_ref().is_some_and(|data| data.has_remaining())
        {
            ticket.begin(last);
        }
        match &frame {
            // It ended before its stated length: nobody got the whole of it.
            None if this.left.is_some_and(|left| left > 0) => drop(this.ticket.take()),
            Some(Ok(_)) if !last => {}
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
