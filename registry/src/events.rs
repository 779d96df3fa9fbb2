//! Progress as a stream, for a program that shows it.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::Stream;

use crate::{FilePath, Phase, Progress, Transfer};

/// What happened in a transfer; a [`Transfer`] that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// As [`Transfer::Phase`].
    Phase(Phase),
    /// As [`Transfer::Start`].
    Start {
        /// Files.
        files: usize,
        /// Bytes, if they are known beforehand.
        bytes: Option<u64>,
    },
    /// As [`Transfer::Bytes`]; several in a row are one.
    Bytes(u64),
    /// As [`Transfer::File`].
    File(FilePath),
    /// So many more files are complete, whose names nobody came to read in time.
    Files(usize),
}

/// The end that a transfer is given. Never waits for the reader.
#[derive(Debug)]
pub struct EventSender(Arc<Shared>);

/// The end that is read: ends when the [`EventSender`] is dropped and everything was read.
#[derive(Debug)]
pub struct Events(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Event>,
    bytes: u64,
    files: usize,
    ended: bool,
    reader: Option<Waker>,
}

/// Names of files that wait to be read.
const MOST: usize = 256;

/// A [`Progress`] and the stream of what it is told. A reader that is slow gets sums instead of single
/// events, so this takes little memory and no time of the transfer.
///
/// ```
/// # use tidegate_registry::{Content, Draft, InMemory, ModelStore, Stamp, events};
/// use futures::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (progress, events) = events();
/// let show = events.for_each(async |event| println!("{event:?}"));
/// let transfer = async move {
///     # let registry = InMemory::new();
///     # let content = Content::bytes([("f".parse()?, "x".into())]);
///     # let draft = Draft::new("m@1.0.0".parse()?, Stamp::now("ci"));
///     registry.publish(draft, content, &progress).await
/// };
/// let (published, ()) = futures::join!(transfer, show);
/// # published?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn events() -> (EventSender, Events) {
    let shared = Arc::new(Shared::default());
    (EventSender(Arc::clone(&shared)), Events(shared))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Progress for EventSender {
    fn tell(&self, transfer: Transfer<'_>) {
        self.0.change(|state| match transfer {
            Transfer::Bytes(bytes) => state.bytes += bytes,
            Transfer::File(_) if state.queue.len() >= MOST => state.files += 1,
            Transfer::File(path) => state.push(Event::File(path.clone())),
            Transfer::Phase(phase) => state.push(Event::Phase(phase)),
            Transfer::Start { files, bytes } => state.push(Event::Start { files, bytes }),
        });
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

impl State {
    /// What was summed up until now comes before it.
    fn push(&mut self, event: Event) {
        let sums = self.sums();
        self.queue.extend(sums);
        self.queue.push_back(event);
    }

    fn sums(&mut self) -> impl Iterator<Item = Event> + use<> {
        let (bytes, files) = (mem::take(&mut self.bytes), mem::take(&mut self.files));
        let bytes = (bytes > 0).then_some(Event::Bytes(bytes));
        bytes.into_iter().chain((files > 0).then_some(Event::Files(files)))
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.0.state();
        if state.queue.is_empty() {
            let sums = state.sums();
            state.queue.extend(sums);
        }
        match state.queue.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn a_slow_reader_gets_sums_and_a_fast_one_everything() {
        let (progress, mut events) = events();
        let file: FilePath = "f".parse().unwrap();
        progress.tell(Transfer::Phase(Phase::Uploading));
        progress.tell(Transfer::Bytes(1));
        progress.tell(Transfer::Bytes(2));
        progress.tell(Transfer::File(&file));
        let expected = [Event::Phase(Phase::Uploading), Event::Bytes(3), Event::File(file.clone())];
        for event in expected {
            assert_eq!(events.next().await, Some(event));
        }
        assert!(events.next().now_or_never().is_none(), "nothing yet, and not the end");
        for _ in 0..100_000 {
            progress.tell(Transfer::Bytes(1));
            progress.tell(Transfer::File(&file));
        }
        drop(progress);
        let (mut bytes, mut files, mut count) = (0, 0, 0);
        while let Some(event) = events.next().await {
            count += 1;
            match event {
                Event::Bytes(more) => bytes += more,
                Event::File(_) => files += 1,
                Event::Files(more) => files += more,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((bytes, files), (100_000, 100_000));
        assert!(count <= 2 * MOST + 2, "{count}");
    }
}
