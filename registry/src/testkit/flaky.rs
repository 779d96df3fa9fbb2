//! A registry that fails now and then.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::{
    ByteStream, Content, Draft, Error, FilePath, Filter, Log, LogKey, Manifest, ModelName, ModelRef,
    ModelStore, OpenOptions, Progress, Published, Result, Seq, Snapshot, Transfers,
};

/// Wraps a [`ModelStore`] or a [`Log`] and makes calls fail, by a schedule that follows from a seed.
///
/// A failing call fails before it has had any effect, or after it has taken effect and only the answer
/// is lost, as often one as the other. What it answers keeps the contract: [`Error::CommitUnknown`]
/// where the effect is in doubt, [`Error::Unavailable`] otherwise. A stream may break off in the middle.
#[derive(Debug)]
pub struct Flaky<T> {
    inner: T,
    rng: Mutex<Rng>,
    one_in: u32,
    faults: AtomicUsize,
}

/// When a call fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    After,
    Before,
    Never,
}

impl<T> Flaky<T> {
    /// `inner`, of whose calls on average one in `one_in` fails; none if that is 0.
    #[must_use]
    pub fn new(inner: T, seed: u64, one_in: u32) -> Self {
        Self { inner, rng: Mutex::new(Rng::with_seed(seed)), one_in, faults: AtomicUsize::new(0) }
    }

    /// What is wrapped.
    #[must_use]
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// How many calls have failed by now. A test in which none did has shown nothing.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.faults.load(Ordering::Relaxed)
    }

    fn draw(&self) -> Fault {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        if self.one_in == 0 || rng.u32(0..self.one_in) > 0 {
            return Fault::Never;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        if rng.bool() { Fault::Before } else { Fault::After }
    }
}

impl<T: Sync> Flaky<T> {
    /// A call without effect, so that it does not matter when it fails.
    async fn reading<R: Send>(&self, call: impl Future<Output = Result<R>> + Send) -> Result<R> {
        if self.draw() == Fault::Never { call.await } else { Err(unavailable()) }
    }

    /// A stream that may break off after its first item, or before.
    fn listing<'a, R: Send + 'a>(&self, stream: BoxStream<'a, Result<R>>) -> BoxStream<'a, Result<R>> {
        let broken = stream::iter([Err(unavailable())]);
        match self.draw() {
            Fault::Before => broken.boxed(),
            Fault::After => stream.take(1).chain(broken).boxed(),
            Fault::Never => stream,
        }
    }

    async fn writing<R: Send>(
        &self,
        unknown: impl FnOnce() -> Error + Send,
        call: impl Future<Output = Result<R>> + Send,
    ) -> Result<R> {
        match self.draw() {
            Fault::Before => Err(unavailable()),
            Fault::After => call.await.and_then(|_| Err(unknown())),
            Fault::Never => call.await,
        }
    }
}

#[async_trait]
impl<T: ModelStore> ModelStore for Flaky<T> {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        let key = LogKey::model(draft.model.name());
        let unknown = || Error::CommitUnknown {
            key,
            seq: Seq::FIRST,
            source: "the answer was dropped on purpose".into(),
        };
        self.writing(unknown, self.inner.publish(draft, content, progress)).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        self.reading(self.inner.manifest(model)).await
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        match self.draw() {
            Fault::Before => Err(unavailable()),
            Fault::After => Ok(broken(self.inner.open(model, file, options).await?)),
            Fault::Never => self.inner.open(model, file, options).await,
        }
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.listing(self.inner.versions(name, filter))
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        self.listing(self.inner.models())
    }

    fn transfers(&self) -> Transfers {
        self.inner.transfers()
    }
}

#[async_trait]
impl<T: Log> Log for Flaky<T> {
    async fn append(&self, key: &LogKey, seq: Seq, record: Bytes) -> Result<()> {
        let unknown = || Error::CommitUnknown {
            key: key.clone(),
            seq,
            source: "the answer was dropped on purpose".into(),
        };
        self.writing(unknown, self.inner.append(key, seq, record)).await
    }

    async fn read(&self, key: &LogKey, from: Seq) -> Result<Vec<Bytes>> {
        self.reading(self.inner.read(key, from)).await
    }

    async fn record(&self, key: &LogKey, seq: Seq) -> Result<Option<Bytes>> {
        self.reading(self.inner.record(key, seq)).await
    }

    async fn snapshot(&self, key: &LogKey) -> Result<Option<Snapshot>> {
        self.reading(self.inner.snapshot(key)).await
    }

    async fn keep(&self, key: &LogKey, snapshot: Snapshot) -> Result<()> {
        self.writing(unavailable, self.inner.keep(key, snapshot)).await
    }
}

/// Half of the first chunk of `stream`, then a failure.
fn broken(stream: ByteStream) -> ByteStream {
    let half = |chunk: Result<Bytes>| chunk.map(|chunk| chunk.slice(..chunk.len() / 2));
    stream.take(1).map(half).chain(stream::iter([Err(unavailable())])).boxed()
}

fn unavailable() -> Error {
    Error::Unavailable { store: "flaky".to_owned(), action: "answer", source: "it failed on purpose".into() }
}

impl<T: fmt::Display> fmt::Display for Flaky<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flaky {}", self.inner)
    }
}
