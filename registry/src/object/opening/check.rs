//! Trying out whether a store keeps the promises that everything here stands on.

use std::{collections::HashMap, fmt, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use object_store::{
    Error as Failure, GetOptions, MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutMode, path::Path,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Barrier, task::JoinSet, time::Instant};

use crate::object::{failure::is_refusal, keys};

/// Writers that create the same object at the same time.
const WRITERS: usize = 16;

/// Races that must be decided, however slow the store is.
const FEWEST_ROUNDS: usize = 5;

/// Races that are run where they are quick. A store that looks first and then writes lets several win in
/// about every other race (measured with `s3s-fs` on two cores), so five would let 3 % of such stores pass,
/// and these not one in ten thousand. One that fails once in hundreds of races is found out by neither.
const ROUNDS: usize = 16;

/// For how long more races are begun than there must be.
const PATIENCE: Duration = Duration::from_secs(3);

/// Races that may tell nothing, because answers were lost.
const MOST_UNDECIDED: usize = 10;

/// How often something is tried, so that a bad moment is not taken for a bad store.
const ATTEMPTS: usize = 3;

/// What [`ObjectBacked::check_store`](crate::ObjectBacked::check_store) tried on a store, which passed
/// all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoreCheck {
    /// What was tried, in this order.
    pub trials: Vec<Trial>,
    /// Writers in each race.
    pub writers: usize,
    /// Races in which one writer was told that it had won, and its bytes stayed.
    pub rounds: usize,
    /// Further races that told nothing, because answers were lost or every writer was refused.
    pub undecided: usize,
    /// Objects of this check that could not be removed; they lie below `check/`.
    pub left: usize,
}

/// One promise of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trial {
    /// What was created is there at once, as it was written.
    ReadAfterWrite,
    /// Creating an object again is refused, and changes nothing.
    CreateTwice,
    /// What was created is listed at once.
    ListAfterWrite,
    /// A request for a range is answered with that range.
    Range,
    /// An upload in parts is invisible until it is complete.
    Multipart,
    /// Of many that create an object at the same time one wins, and its bytes stay.
    Race,
}

/// How a store broke a promise: the `source` of the [`Error::Refused`](crate::Error::Refused) that
/// [`check_store`](crate::ObjectBacked::check_store) answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{seen}; use a store with atomic conditional writes")]
#[non_exhaustive]
pub struct Unfit {
    /// What was tried.
    pub trial: Trial,
    /// What was seen, as a sentence.
    pub seen: String,
}

/// Why a check ended early.
pub(in crate::object) enum Flaw {
    /// It could not be carried out.
    Failed(Failure),
    /// The store is not one for a registry.
    Unfit(Unfit),
}

impl Trial {
    /// What a store refuses to do that fails it.
    pub(in crate::object) const fn promise(self) -> &'static str {
        match self {
            Self::CreateTwice | Self::Race => "create an object only if it is absent",
            Self::ListAfterWrite => "list what was written",
            Self::Multipart => "keep an upload in parts invisible until it is complete",
            Self::Range => "serve a range of an object",
            Self::ReadAfterWrite => "read what was written",
        }
    }
}

/// As a promise: `create an object only if it is absent`.
impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.promise())
    }
}

impl From<Failure> for Flaw {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Tries everything out below a prefix that nobody else uses, and removes what it has written.
pub(in crate::object) async fn check(store: &Arc<dyn ObjectStore>) -> Result<StoreCheck, Flaw> {
    let mut scratch = Scratch { store, root: keys::scratch(), written: Vec::new() };
    let checked = scratch.check().await;
    let left = scratch.remove().await;
    checked.map(|checked| StoreCheck { left, ..checked })
}

struct Scratch<'a> {
    store: &'a Arc<dyn ObjectStore>,
    root: Path,
    written: Vec<Path>,
}

/// What a race showed.
enum Outcome {
    Undecided(Option<Failure>),
    Won(Bytes),
}

impl Scratch<'_> {
    async fn check(&mut self) -> Result<StoreCheck, Flaw> {
        let mut trials = Vec::new();
        let once = self.create_once().await?;
        trials.extend([Trial::ReadAfterWrite, Trial::CreateTwice]);
        self.list(&once).await?;
        trials.push(Trial::ListAfterWrite);
        self.range(&once).await?;
        trials.push(Trial::Range);
        self.multipart().await?;
        trials.push(Trial::Multipart);
        let (rounds, undecided) = self.races().await?;
        trials.push(Trial::Race);
        Ok(StoreCheck { trials, writers: WRITERS, rounds, undecided, left: 0 })
    }

    async fn create_once(&mut self) -> Result<Path, Flaw> {
        const FIRST: Bytes = Bytes::from_static(b"first");
        let path = self.path("once");
        // A store must not remember that this was not there.
        if self.read(&path).await?.is_some() {
            return Err(unfit(Trial::ReadAfterWrite, "an object was there that nobody had written"));
        }
        match self.create_new(&path, FIRST).await {
            Err(Flaw::Failed(error)) => return Err(self.cannot_create(error).await),
            created => created?,
        }
        if self.create(&path, Bytes::from_static(b"second")).await? {
            let seen = match self.read(&path).await? {
                Some(there) if there == FIRST => {
                    "it said that it had created an object that was there already"
                }
                _ => "it overwrote an object that was to be created only if it was absent",
            };
            return Err(unfit(Trial::CreateTwice, seen));
        }
        match self.read(&path).await? {
            Some(there) if there == FIRST => Ok(path),
            _ => Err(unfit(
                Trial::CreateTwice,
                "it refused to create an object again and changed it all the same",
            )),
        }
    }

    /// Creates what nobody else creates, and reads it.
    async fn create_new(&self, path: &Path, bytes: Bytes) -> Result<(), Flaw> {
        for _ in 0..ATTEMPTS {
            let created = self.create(path, bytes.clone()).await;
            match (self.read(path).await?, created) {
                // Whatever was answered: an answer may have been lost.
                (Some(there), _) if there == bytes => return Ok(()),
                (Some(_), _) => {
                    return Err(unfit(Trial::ReadAfterWrite, "an object had other bytes than were written"));
                }
                (None, Ok(true)) => {
                    let seen = "an object was not there that had just been created";
                    return Err(unfit(Trial::ReadAfterWrite, seen));
                }
                (None, Ok(false)) => {}
                (None, Err(error)) => return Err(error.into()),
            }
        }
        Err(unfit(Trial::CreateTwice, "it refused to create an object that was not there"))
    }

    /// What it means that nothing can be created: that nothing can be written at all is no flaw of the store.
    async fn cannot_create(&mut self, error: Failure) -> Flaw {
        let path = self.path("overwritten");
        if !is_refusal(&error) || self.store.put(&path, Bytes::from_static(b"any").into()).await.is_err() {
            return Flaw::Failed(error);
        }
        let seen = format!(
            "it writes objects but does not create one only if it is absent ({error}); a local file system needs hard links for that"
        );
        unfit(Trial::CreateTwice, seen)
    }

    async fn list(&self, once: &Path) -> Result<(), Flaw> {
        let listed: Vec<_> = self.store.list(Some(&self.root)).try_collect().await?;
        let here = self.store.list_with_delimiter(Some(&self.root)).await?.objects;
        if [listed, here].iter().all(|found| found.iter().any(|object| object.location == *once)) {
            return Ok(());
        }
        Err(unfit(Trial::ListAfterWrite, "an object was not listed that had just been created"))
    }

    async fn range(&self, once: &Path) -> Result<(), Flaw> {
        const RANGE: Range<u64> = 1..3;
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            let options = GetOptions::new().with_range(Some(RANGE));
            match self.store.get_opts(once, options).await {
                Ok(got) if got.range != RANGE || got.meta.size != 5 => {
                    let seen =
                        format!("asked for bytes 1..3 of 5 it answered {:?} of {}", got.range, got.meta.size);
                    return Err(unfit(Trial::Range, seen));
                }
                Ok(got) => match &*got.bytes().await? {
                    b"ir" => return Ok(()),
                    _ => return Err(unfit(Trial::Range, "asked for a range it answered with other bytes")),
                },
                // If the object can be read, it is the range that is in the way.
                Err(error) if self.read(once).await?.is_some() => failed = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let error = failed.expect("every attempt that did not decide left its failure");
        Err(unfit(Trial::Range, format!("it does not serve ranges ({error})")))
    }

    async fn multipart(&mut self) -> Result<(), Flaw> {
        const BYTES: Bytes = Bytes::from_static(b"in parts");
        let path = self.path("parts");
        let mut upload = match self.store.put_multipart(&path).await {
            Ok(upload) => upload,
            Err(error @ (Failure::NotImplemented { .. } | Failure::NotSupported { .. })) => {
                return Err(unfit(Trial::Multipart, format!("it takes no uploads in parts ({error})")));
            }
            Err(error) => return Err(error.into()),
        };
        let sent = async {
            upload.put_part(BYTES.into()).await?;
            if self.read(&path).await?.is_some() {
                return Err(unfit(Trial::Multipart, "an upload in parts was visible before it was complete"));
            }
            upload.complete().await?;
            Ok(())
        };
        if let Err(flaw) = sent.await {
            // Best effort, as for what a publication leaves.
            let _ = upload.abort().await;
            return Err(flaw);
        }
        match self.read(&path).await? {
            Some(there) if there == BYTES => Ok(()),
            _ => Err(unfit(Trial::Multipart, "a completed upload in parts was not there as it was sent")),
        }
    }

    async fn races(&mut self) -> Result<(usize, usize), Flaw> {
        // Objects of their own first, so that every writer has its connection when it comes to racing.
        let own: Vec<_> = (0..WRITERS).map(|n| self.path(&format!("own-{n}"))).collect();
        try_join_all(own.iter().map(|path| self.create_new(path, Bytes::from_static(b"own")))).await?;
        let (mut won, mut undecided, mut last) = (HashMap::new(), 0, None);
        let began = Instant::now();
        while won.len() < ROUNDS && (won.len() < FEWEST_ROUNDS || began.elapsed() < PATIENCE) {
            if undecided == MOST_UNDECIDED {
                let seen = format!("in {undecided} races of {WRITERS} writers none was told that it had won");
                return Err(last.map_or_else(|| unfit(Trial::Race, seen), Flaw::Failed));
            }
            let path = self.path(&format!("race-{}", won.len() + undecided));
            match self.race(&path).await? {
                Outcome::Undecided(failure) => {
                    undecided += 1;
                    last = failure.or(last);
                }
                Outcome::Won(bytes) => drop(won.insert(path, bytes)),
            }
        }
        let rounds = won.len();
        for (path, bytes) in won {
            if self.create(&path, Bytes::from_static(b"late")).await? {
                return Err(unfit(
                    Trial::Race,
                    "a writer that came after a race was told that it had won as well",
                ));
            }
            if self.read(&path).await?.as_ref() != Some(&bytes) {
                return Err(unfit(Trial::Race, "the bytes of the writer that had won a race did not stay"));
            }
        }
        Ok((rounds, undecided))
    }

    /// Whoever creates `path` at the same time as the others wins; each has bytes of its own.
    async fn race(&self, path: &Path) -> Result<Outcome, Flaw> {
        let bytes = |n: usize| Bytes::from(format!("writer {n}"));
        let (start, mut writers) = (Arc::new(Barrier::new(WRITERS)), JoinSet::new());
        for n in 0..WRITERS {
            let (store, path, start) = (Arc::clone(self.store), path.clone(), Arc::clone(&start));
            writers.spawn(async move {
                start.wait().await;
                (n, create(&*store, &path, bytes(n)).await)
            });
        }
        let (mut winners, mut failed) = (Vec::new(), None);
        while let Some(writer) = writers.join_next().await {
            match writer {
                Ok((n, Ok(true))) => winners.push(n),
                Ok((_, Ok(false))) => {}
                Ok((_, Err(error))) => failed = Some(error),
                Err(error) => std::panic::resume_unwind(
                    error.try_into_panic().expect("a writer is stopped only together with the others"),
                ),
            }
        }
        let there = self.read(path).await?;
        let seen = match (&*winners, there) {
            ([_, _, ..], _) => format!(
                "of {WRITERS} writers that created the same object {} were told that they had won",
                winners.len()
            ),
            ([winner], Some(there)) if there == bytes(*winner) => return Ok(Outcome::Won(there)),
            ([_], Some(_)) => {
                "a writer was told that it had won a race, and the bytes of another were there".to_owned()
            }
            ([_], None) => "a writer was told that it had won a race, and nothing was there".to_owned(),
            ([], Some(there)) if !(0..WRITERS).any(|n| there == bytes(n)) => {
                "after a race an object had bytes that nobody had written".to_owned()
            }
            ([], _) => return Ok(Outcome::Undecided(failed)),
        };
        Err(unfit(Trial::Race, seen))
    }

    fn path(&mut self, name: &str) -> Path {
        let path = self.root.clone().join(name);
        self.written.push(path.clone());
        path
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>, Failure> {
        match self.store.get(path).await {
            Ok(got) => got.bytes().await.map(Some),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, path: &Path, bytes: Bytes) -> Result<bool, Failure> {
        create(&**self.store, path, bytes).await
    }

    /// How many objects stay: there are stores that let nobody remove anything.
    async fn remove(self) -> usize {
        let written = stream::iter(self.written.into_iter().map(Ok)).boxed();
        let answers: Vec<_> = self.store.delete_stream(written).collect().await;
        let stays = |answer: &&Result<Path, Failure>| matches!(answer, Err(error) if !matches!(error, Failure::NotFound { .. }));
        let left = answers.iter().filter(stays).count();
        if left > 0 {
            tracing::warn!(left, below = %self.root, "objects of a check of the store cannot be removed");
        }
        left
    }
}

/// Whether the object was created; that it exists already is no failure.
async fn create(store: &dyn ObjectStore, path: &Path, bytes: Bytes) -> Result<bool, Failure> {
    match store.put_opts(path, bytes.into(), PutMode::Create.into()).await {
        Ok(_) => Ok(true),
        Err(Failure::AlreadyExists { .. } | Failure::Precondition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn unfit(trial: Trial, seen: impl Into<String>) -> Flaw {
    Flaw::Unfit(Unfit { trial, seen: seen.into() })
}
