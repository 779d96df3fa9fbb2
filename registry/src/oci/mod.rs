//! Models as artifacts in any OCI registry, laid out as the CNCF ModelPack specification says.
//!
//! ```text
//! <path>/<name>                 a repository for each model
//!   manifests/sha256:…          a version: its files, and the digests of all of it
//!   manifests/<version>         the same under a tag, for people and for other tools; never read
//!   blobs/sha256:…              a file as it is, so a layer's digest is the file's SHA-256
//!   blobs/sha256:…              tidegate's manifest: part digests, card, who and when
//!   blobs/sha256:…              the ModelPack configuration
//! ```
//!
//! The requests are few and made here, with the caller's [`reqwest::Client`]: the crate `oci-client`
//! (0.18) does not compile without a TLS stack, reads whatever a server sends into memory, and panics
//! over some answers.

mod artifact;
mod auth;
mod config;
mod document;
mod facts;
mod failure;
mod image;
mod import;
mod media;
mod place;
mod publish;
mod read;
mod session;
mod upload;
mod wire;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{
    FutureExt as _, TryStreamExt as _,
    stream::{self, BoxStream, StreamExt as _},
};

pub use self::{
    auth::OciAuth,
    image::{OciImage, OciImages},
    import::OciArtifact,
};
use self::{facts::Facts, failure::failure, place::Place, read::Cache, wire::Wire};
use crate::{
    ByteStream, Content, Draft, FilePath, Filter, Invalid, Log, Manifest, ModelName, ModelRef, ModelStore,
    OpenOptions, Progress, Published, Result, Stamp, Transfers, transfer::copy::copies,
};

/// Models looked at together when all are listed.
const MODELS: usize = 16;

/// Repositories of a registry that are gone through when models are listed, and requests that it takes.
const MOST_REPOSITORIES: usize = 100_000;
const MOST_PAGES: usize = 1_000;

/// A [`ModelStore`] whose versions are artifacts in an OCI registry, and whose facts are in a [`Log`]
/// elsewhere. Clones share a small cache of what never changes.
///
/// An OCI registry keeps bytes by digest well, but cannot do anything only if nobody else has done it. So
/// it holds artifacts alone: that a version exists, and which artifact it is, is said by the log, which is
/// what makes it immutable. Everything is read by the digest in the log, never by tag. Other tools find
/// the same artifact under the version as its tag (`_` stands for `+`), and a layer for each file.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use tidegate_registry::{InMemory, Invalid, OciAuth, OciBacked};
/// # fn open(password: String) -> Result<OciBacked, Invalid> {
/// let client = reqwest::Client::new(); // with the TLS stack, proxy and time-outs of your choice
/// let auth = OciAuth::Basic { user: "ci".to_owned(), password };
/// let log = Arc::new(InMemory::new()); // in earnest: a registry in a bucket or a directory
/// OciBacked::new(client, auth, "https://registry.example.com/team/models", log)
/// # }
/// ```
///
/// # Contract differences
///
/// What [`ModelStore`] promises holds for everything that is read here. The registry itself promises less:
///
/// * **Tags are mutable.** Whoever may push can move the tag of a version. Nothing is read by it here,
///   but other tools would get other bytes; pull by the digest that the log names, or forbid it in the
///   registry. Publishing the same content again puts the tag back.
/// * **No conditional write.** A tag that points to an artifact that the log does not know is refused
///   when publishing begins; one that appears afterwards is overwritten. Two logs must not share a path.
/// * **The registry may delete.** Its garbage collection may remove manifests without a tag: those of
///   versions whose tag was moved, and of publishers that died between the log's record and the tag.
///   What is gone is [`Error::Corrupt`](crate::Error::Corrupt). What a publication that failed or lost a race
///   leaves behind is for that collection too.
/// * **One read, mostly one upload.** A file of more than 8 MiB is sent before its digest is known, so it is
///   sent although the registry may have it (which then keeps it once). [`push`](Self::push) knows the
///   digests beforehand and sends only what is missing.
/// * **Models are listed from `/v2/_catalog`**, the whole registry's, which many hosted ones do not offer:
///   then [`models`](ModelStore::models) is [`Error::Refused`](crate::Error::Refused). Everything else works.
/// * **At most some 10 000 files**: the manifest that names them has at most 4 MiB. A model's name must be one
///   that repositories can have.
///
/// A chunk of a file that breaks off is continued, as is a part of a download. Other requests are made
/// once: the client's own time-outs and retries apply.
#[derive(Clone)]
pub struct OciBacked {
    place: Arc<Place>,
    wire: Wire,
    facts: Facts,
    cache: Arc<Cache>,
    transfers: Transfers,
}

impl OciBacked {
    /// The artifacts below `address`, such as `https://registry.example.com/team/models`, and the facts in
    /// `log`. Asks the registry nothing yet.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `address` is no `http` or `https` address, has credentials in it, or has a path that
    /// no repository can have.
    pub fn new(
        client: reqwest::Client,
        auth: OciAuth,
        address: &str,
        log: Arc<dyn Log>,
    ) -> Result<Self, Invalid> {
        let place: Place = address.parse()?;
        let wire = Wire::new(client, place.root().clone(), auth);
        Ok(Self {
            place: Arc::new(place),
            wire,
            facts: Facts::new(log),
            cache: Arc::default(),
            transfers: Transfers::new(),
        })
    }

    /// The same registry, moving bytes as `transfers` says. A journal serves downloads; a push goes on file by
    /// file without one.
    #[must_use]
    pub fn with_transfers(mut self, transfers: Transfers) -> Self {
        self.transfers = transfers;
        self
    }

    /// Publishes a version of another store here, as [`ModelStoreExt::copy_to`](crate::ModelStoreExt::copy_to)
    /// does, but sends only the files that the registry does not have yet. So a push that broke off goes on
    /// where it was, file by file.
    ///
    /// # Errors
    ///
    /// As [`ModelStoreExt::copy_to`](crate::ModelStoreExt::copy_to).
    pub async fn push<S: ModelStore + Clone>(
        &self,
        from: &S,
        model: &ModelRef,
        stamp: Stamp,
        progress: &dyn Progress,
    ) -> Result<Manifest> {
        let manifest = from.manifest(model).await?;
        manifest.check(model)?;
        let sources = Content::Streams(copies(from, &manifest)).sources().await?;
        let draft = Draft::new(model.clone(), stamp).with_card(manifest.card.clone());
        Box::pin(publish::publish(self, draft, sources, Some(manifest), progress)).await
    }

    /// Reads the artifact of a model that has this tag, or `sha256:` digest, whoever made it: to see what is
    /// in it, and to publish it as a version, here or elsewhere.
    ///
    /// The log is not asked. An artifact that tidegate made brings its card with it; of others the
    /// description is taken over. Its layers must be files as they are (`modctl build --raw`), not archives.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) when there is none,
    /// [`Error::Invalid`](crate::Error::Invalid) when it is no model or not one of plain files, or when its
    /// paths could lead out of a directory, and those of the registry.
    pub async fn artifact(&self, name: &ModelName, tag: &str) -> Result<OciArtifact> {
        import::artifact(self, name, tag).await
    }

    /// Every repository below the path that could be a model's, ascending.
    async fn repositories(&self) -> Result<Vec<ModelName>> {
        let (mut names, mut seen, mut last) = (Vec::new(), 0, None::<String>);
        for _ in 0..MOST_PAGES {
            let page = self.wire.catalog(last.as_deref()).await;
            let (page, more) = page.map_err(failure(self, "list its repositories"))?;
            seen += page.len();
            if seen > MOST_REPOSITORIES {
                break;
            }
            names.extend(page.iter().filter_map(|repository| self.place.model(repository)));
            let next = page.into_iter().next_back().filter(|next| more && last.as_ref() != Some(next));
            if next.is_none() {
                names.sort_unstable();
                names.dedup();
                return Ok(names);
            }
            last = next;
        }
        let why = format!("its catalogue does not end, or has more than {MOST_REPOSITORIES} repositories");
        Err(Invalid::new("registry", self.to_string(), why).into())
    }
}

#[async_trait]
impl ModelStore for OciBacked {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        draft.check()?;
        publish::publish(self, draft, content.sources().await?, None, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        Ok(Manifest::clone(&*self.stored(model).await?))
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        let manifest = self.stored(model).await?;
        let file = &manifest.files[manifest.position(file)?];
        let range = options.within(&file.path, file.size)?;
        let repository = self.place.repository(model.name())?;
        let what = format!("{} of {model} ({} in {self})", file.path, file.digest);
        self.stream(&repository, &file.into(), range, what).await
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.facts.versions(name, filter)
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        let named =
            self.repositories().map(|names| Ok::<_, crate::Error>(stream::iter(names?.into_iter().map(Ok))));
        named
            .into_stream()
            .try_flatten()
            .map(move |name: Result<ModelName>| async move {
                let name = name?;
                Ok(self.facts.has_versions(&name).await?.then_some(name))
            })
            .buffered(MODELS)
            .try_filter_map(|name| async move { Ok(name) })
            .boxed()
    }

    fn transfers(&self) -> Transfers {
        self.transfers.clone()
    }
}

impl fmt::Debug for OciBacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciBacked")
            .field("place", &format_args!("{self}"))
            .field("facts", &self.facts)
            .finish()
    }
}

impl fmt::Display for OciBacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}
