//! Artifacts: immutable versions, whole or absent.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::{
    Attestation, Card, Channel, Expect, FilePath, Filter, Invalid, Manifest, ModelName, ModelRef, Progress,
    Published, Result, Stamp, Summary,
    transfer::{options::Transfers, source::check_files},
};

/// Bytes of a file, in order.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// Where versions live. Five methods that every store has to have; what users call besides is in
/// [`ModelStoreExt`](crate::ModelStoreExt).
///
/// # Contract
///
/// * **Whole or absent.** A version is visible to `manifest`, `open` and `versions` completely, or
///   not at all, whatever happens to the publisher.
/// * **Immutable.** Publishing a version again with the same content (equal
///   [`Manifest::digest`]) succeeds and returns the manifest that is already there; with other
///   content it is [`Error::AlreadyPublished`](crate::Error::AlreadyPublished) and changes nothing.
/// * **Precedence.** Versions that differ only in build metadata are equal in precedence and cannot
///   both exist: the second is [`Error::Invalid`](crate::Error::Invalid).
/// * **One read.** Each byte offered to `publish` is read once; what was hashed is what was stored. (A file
///   that seems to be stored already may be read up to where it differs, and then once more.)
/// * **Read your writes.** After `publish` returns, every method of every clone sees the version.
/// * `open` gives the stored bytes as they are; verifying them is for
///   [`ModelStoreExt::download`](crate::ModelStoreExt::download).
///
/// `Display` names the store in errors and must not contain credentials.
#[async_trait]
#[cfg_attr(feature = "testkit", mockall::automock)]
pub trait ModelStore: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Stores `content` and makes it visible as `draft.model`.
    ///
    /// # Errors
    ///
    /// See the contract; what [`Draft::check`] or [`Content::check`] refuses is
    /// [`Error::Invalid`](crate::Error::Invalid). After an
    /// error nothing is visible that was not before, unless it is
    /// [`Error::CommitUnknown`](crate::Error::CommitUnknown): then publish again.
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest>;

    /// The manifest of a version.
    async fn manifest(&self, model: &ModelRef) -> Result<Manifest>;

    /// The bytes of one file, or of a range of it.
    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream>;

    /// The versions of a model that `filter` admits, the highest first. They are found as they are asked for,
    /// so whoever wants the first few pays for those. An unknown model is
    /// [`Error::NotFound`](crate::Error::NotFound), one without any such version an empty stream.
    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>>;

    /// Every model that has a version, ascending by name.
    fn models(&self) -> BoxStream<'_, Result<ModelName>>;

    /// How this moves bytes; downloads from it follow it too.
    fn transfers(&self) -> Transfers {
        Transfers::default()
    }
}

/// What is to be published, besides its bytes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Draft {
    /// The version to create.
    pub model: ModelRef,
    /// Who publishes it, and when.
    pub stamp: Stamp,
    /// What is said about it.
    pub card: Card,
    /// Channels that are to point to it from the moment when it is visible, each if it is where is expected.
    /// Either all of them move and the version exists, or nothing happens.
    pub promote: Vec<(Channel, Expect)>,
}

/// The files of a version to be.
#[non_exhaustive]
pub enum Content {
    /// Every regular file below a directory. Symbolic links are refused, because what they point to
    /// is not part of the directory.
    Directory(PathBuf),
    /// Named streams, for bytes that never were files.
    Streams(Vec<(FilePath, ByteStream)>),
}

/// How to open a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Only these bytes; `None` is the whole file. A range beyond the end is
    /// [`Error::Invalid`](crate::Error::Invalid).
    pub range: Option<Range<u64>>,
}

impl Draft {
    /// A draft with an empty [`Card`].
    #[must_use]
    pub fn new(model: ModelRef, stamp: Stamp) -> Self {
        Self { model, stamp, card: Card::default(), promote: Vec::new() }
    }

    /// Whether everything in here can be written down and read back; `publish` asks the same first.
    ///
    /// # Errors
    ///
    /// Says which metric is no finite number, which time lies outside the years 1970 to 9999, or which
    /// attestation is nested too deeply.
    pub fn check(&self) -> Result<(), Invalid> {
        self.stamp.check()?;
        self.card.attestations.iter().try_for_each(Attestation::check)?;
        Summary::of(&self.card).check()?;
        match self.card.metrics.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((name, value)) => {
                Err(Invalid::new("metric", format!("{name} = {value}"), "leave out what is not a number"))
            }
        }
    }

    /// This draft with `card`.
    #[must_use]
    pub fn with_card(mut self, card: Card) -> Self {
        self.card = card;
        self
    }

    /// This draft, to be promoted to `channel` in the moment of its publication.
    #[must_use]
    pub fn promoted_to(mut self, channel: Channel, expect: Expect) -> Self {
        self.promote.push((channel, expect));
        self
    }
}

impl Content {
    /// Every regular file below `directory`.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self::Directory(directory.into())
    }

    /// Whether this can be published, as far as can be seen without reading it; `publish` looks again.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) says what is in the way: a directory that is missing, no
    /// directory or without files; a link, a name or a path that cannot be kept; too many files.
    /// [`Error::Local`](crate::Error::Local) when the directory cannot be read.
    pub fn check(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        let offered = match self {
            Self::Directory(directory) => Ok(directory.clone()),
            Self::Streams(files) => Err(files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>()),
        };
        async move {
            match offered {
                Ok(directory) => drop(Self::Directory(directory).sources().await?),
                Err(paths) => check_files(&mut paths.iter().collect::<Vec<_>>())?,
            }
            Ok(())
        }
    }

    /// Bytes at hand, under their paths.
    pub fn bytes(files: impl IntoIterator<Item = (FilePath, Bytes)>) -> Self {
        let stream = |bytes| stream::iter([Ok(bytes)]).boxed();
        Self::Streams(files.into_iter().map(|(path, bytes)| (path, stream(bytes))).collect())
    }
}

#[cfg(feature = "object-store")]
impl Content {
    /// The same once more, if it can be read twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Directory(directory) => Some(Self::Directory(directory.clone())),
            Self::Streams(_) => None,
        }
    }
}

impl OpenOptions {
    /// Only `range` of the file.
    #[must_use]
    pub const fn range(range: Range<u64>) -> Self {
        Self { range: Some(range) }
    }

    /// The bytes that are meant of a file of `size` bytes.
    pub(crate) fn within(self, file: &FilePath, size: u64) -> Result<Range<u64>, Invalid> {
        let range = self.range.unwrap_or(0..size);
        if range.start > range.end || range.end > size {
            let why = format!("{file} has {size} bytes; ask for a range within them");
            return Err(Invalid::new("range", format!("{}..{}", range.start, range.end), why));
        }
        Ok(range)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Streams(files) => f.debug_list().entries(files.iter().map(|(path, _)| path)).finish(),
        }
    }
}

#[async_trait]
impl<T: ModelStore + ?Sized> ModelStore for Arc<T> {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        (**self).publish(draft, content, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        (**self).manifest(model).await
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        (**self).open(model, file, options).await
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        (**self).versions(name, filter)
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        (**self).models()
    }

    fn transfers(&self) -> Transfers {
        (**self).transfers()
    }
}

#[cfg(feature = "testkit")]
impl fmt::Display for MockModelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mock")
    }
}
