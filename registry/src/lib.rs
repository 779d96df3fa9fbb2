//! Immutable model versions, channels and journals in a directory or a bucket.
mod attestation;
mod blocking;
mod catalogue;
mod channel;
mod commit;
mod destination;
mod digest;
mod download;
mod error;
mod ext;
mod hashing;
mod journal;
mod log;
mod manifest;
mod memory;
mod model;
#[cfg(feature = "object-store")]
mod object;
mod path;
mod progress;
mod record;
mod selector;
mod source;
mod stamp;
mod store;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;
mod verify;

pub use crate::{
    attestation::Attestations,
    catalogue::{Published, Versions},
    channel::{Cause, Channels, Expect, Move},
    digest::{Digest, Hasher},
    error::{BoxError, Error, Invalid, Result},
    ext::ModelStoreExt,
    journal::Journal,
    log::{Log, LogKey, Seq},
    manifest::{
        Ancestor, Attestation, Card, File, Framework, Manifest, PART_SIZE, Relation, content_digest,
    },
    memory::InMemory,
    model::{Channel, ModelName, ModelRef},
    path::FilePath,
    progress::{Progress, Transfer},
    selector::Selector,
    stamp::Stamp,
    store::{ByteStream, Content, Draft, ModelStore, OpenOptions},
};

#[cfg(feature = "object-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "object-store")))]
pub use crate::object::ObjectBacked;
