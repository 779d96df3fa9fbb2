//! Immutable model versions, channels and journals in a directory or a bucket.
//!
//! A registry says what exists and what was said about it: which versions of a model there are and
//! what bytes they are made of, which of them a channel such as `production` points to, who moved it
//! there, when and why. There is no server; a directory or a bucket is enough, and any number of
//! programs may write to it at once.
//!
//! * **A version is whole or absent, and never changes.** Publishing the same bytes again succeeds,
//!   other bytes under the same version are refused.
//! * **Nothing wrong is delivered.** Every byte of a download is compared with the digests taken when it
//!   was published, before it gets its final name.
//! * **A channel has a history.** Promotion is a compare-and-set, and every move stays on record. A policy
//!   says what has to hold for a version first, and is checked in the moment of the promotion.
//! * **Nothing is removed that is used.** Garbage is condemned in the log before it is deleted, so it can be
//!   collected beside any number of publishers.
//!
//! # A short tour
//!
//! ```
//! use std::sync::Arc;
//!
//! use tidegate_registry::{
//!     Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelStore, ModelStoreExt, Selector, Stamp,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In earnest: `ObjectBacked::directory("registry").await?`, or `ObjectBacked::open` over a bucket.
//! let registry = InMemory::new();
//!
//! // Publish a version; `Content::directory` takes a directory as it is.
//! let model = "fraud-scorer@1.4.0".parse()?;
//! let weights = Content::bytes([("weights.safetensors".parse()?, "not yet trained".into())]);
//! let draft = Draft::new(model, Stamp::now("ci-8841"));
//! let manifest = registry.publish(draft, weights, &()).await?;
//!
//! // Promote it, provided that nobody else has promoted another one meanwhile.
//! let channels = Channels::new(Arc::new(registry.clone()));
//! let by = Stamp::now("alice@example.com");
//! channels.promote(&manifest.model, &Channel::production(), &Expect::Absent, Cause::Promote, by).await?;
//!
//! // Elsewhere: deliver what is in production, verified.
//! let selector: Selector = "fraud-scorer:production".parse()?;
//! let model = registry.resolve(&selector, &channels).await?;
//! # let temporary = tempfile::tempdir()?;
//! # let directory = temporary.path().join("model");
//! registry.download(&model, &directory, &()).await?;
//! assert_eq!(std::fs::read(directory.join("weights.safetensors"))?, b"not yet trained");
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! | to | look at |
//! |---|---|
//! | name things | [`ModelName`], [`ModelRef`], [`Channel`], [`Selector`], [`FilePath`], [`Digest`] |
//! | store and fetch versions | [`ModelStore`], [`ModelStoreExt`], [`Content`], [`Draft`] |
//! | keep delivered files on the machines that serve them | `Cache` with the feature `fs` |
//! | limit, watch and resume transfers | [`Transfers`], [`Progress`], [`events`] |
//! | know what a version is | [`Manifest`], [`File`], [`Card`], [`content_digest`] |
//! | know what is in its files | [`Profile`], [`Inspector`] |
//! | know which there are | [`ModelStoreExt::list`], [`Filter`], [`Published`] |
//! | promote, demand, watch and look back | [`Channels`], [`Policy`], [`Move`], [`Cause`], [`Expect`] |
//! | take versions back | [`Lifecycle`], [`Retention`] |
//! | say what a version is made of, for other tools | [`bom`] |
//! | vouch for a version | [`Attestations`], [`Attestation`], [`TestResult`], [`Approval`] |
//! | sign and verify | [`Envelope`], [`Statement`], and `signing` with the feature of that name |
//! | keep facts of one's own | [`Log`], [`Journal`], [`LogKey`], [`Seq`] |
//! | choose a backend | [`InMemory`], `ObjectBacked` with the feature `object-store`, `OciBacked` with `oci` |
//! | remove what nobody uses, and look whether all is sound | `ObjectBacked::collect`, `ObjectBacked::inspect` |
//! | test a backend | `testkit`, with the feature of that name |
//!
//! Everything said about a model is in one log: versions published, channels moved, attestations.
//! Records are chained by hash and only ever added, at the next number, by whoever creates it first.
//! The state is what they add up to. So a history cannot be rewritten unseen, two writers cannot both
//! win, and a store needs no more than "create if absent". (The chain shows an alteration to whoever knows a
//! later record; it does not tell who may write. Signatures do, and the store's own access rules.)
//!
//! A long log is read from a snapshot: the latest of a hundred thousand versions is found in a handful of
//! requests, and in one when asked again.
//!
//! Files are read, written and hashed on the blocking threads of [`tokio`], so calls that move bytes
//! must be made within a runtime.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `object-store` | `ObjectBacked` over any [`object_store`](https://docs.rs/object_store) client: S3, GCS, Azure, … Enable the client you want on your own `object_store` dependency |
//! | `fs` | `ObjectBacked::directory`: a registry in a local directory; `Cache`: delivered files, shared by the programs of a machine |
//! | `oci` | `OciBacked`: models as [ModelPack](https://github.com/modelpack/model-spec) artifacts in an OCI registry, over your [`reqwest`](https://docs.rs/reqwest) client; `OciImages`: whether an image is still there |
//! | `signing` | `signing`: model signatures in the OpenSSF format and signed attestations, with ECDSA keys |
//! | `testkit` | conformance suites, the fault injector `Flaky`, mocks of the traits |
//!
//! None is on by default, and none changes what another does.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod approval;
mod attestation;
mod base64;
pub mod bom;
mod bounded;
#[cfg(feature = "fs")]
mod cache;
mod catalogue;
mod channel;
mod digest;
mod envelope;
mod error;
mod events;
mod ext;
mod journal;
mod lifecycle;
mod log;
mod manifest;
mod memory;
mod model;
#[cfg(feature = "object-store")]
mod object;
#[cfg(feature = "oci")]
mod oci;
mod path;
mod profile;
mod progress;
mod selector;
#[cfg(feature = "signing")]
#[cfg_attr(docsrs, doc(cfg(feature = "signing")))]
pub mod signing;
mod stamp;
mod statement;
mod store;
mod telemetry;
mod test_result;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;
mod transfer;

pub(crate) use crate::catalogue::Entry;
pub use crate::{
    approval::{Approval, Decision},
    attestation::{Attestation, Attestations},
    catalogue::{Attested, Bound, Filter, Published, Summary, Withdrawal},
    channel::{Cause, Channels, Expect, Move, Moved, Policy, Poll, Rule, Unmet},
    digest::{Digest, Hasher},
    envelope::{Envelope, Signature},
    error::{BoxError, Error, Invalid, Result},
    events::{Event, EventSender, Events, events},
    ext::ModelStoreExt,
    journal::Journal,
    lifecycle::{Lifecycle, Retention},
    log::{Log, LogKey, Seq, Snapshot},
    manifest::{Ancestor, Card, File, Framework, Manifest, PART_SIZE, Relation, content_digest},
    memory::InMemory,
    model::{Channel, ModelName, ModelRef},
    path::FilePath,
    profile::{Inspector, Onnx, Profile, Reading, Tokenizer},
    progress::{Phase, Progress, Transfer},
    selector::Selector,
    stamp::Stamp,
    statement::{ResourceDescriptor, Statement},
    store::{ByteStream, Content, Draft, ModelStore, OpenOptions},
    test_result::{TestOutcome, TestResult},
    transfer::options::Transfers,
};

#[cfg(feature = "telemetry")]
pub use crate::telemetry::{DURATION_BUCKETS, describe_metrics};

#[cfg(feature = "object-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "object-store")))]
pub use crate::object::{
    Collected, Collection, Inspection, ObjectBacked, Problem, Reread,
    opening::check::{StoreCheck, Trial, Unfit},
};

#[cfg(feature = "fs")]
#[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
pub use crate::cache::{Cache, Link, Usage};

#[cfg(feature = "oci")]
#[cfg_attr(docsrs, doc(cfg(feature = "oci")))]
pub use crate::oci::{OciArtifact, OciAuth, OciBacked, OciImage, OciImages};
