//! Who is told.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::Notice;
use crate::BoxError;

/// Somebody who is told what happened: a channel, whoever is on call, a machine.
///
/// # Contract
///
/// * **`Ok` means taken.** It will not be told again, unless somebody wants it so.
/// * **At least once.** The same notice may come again, also after later ones; its [`id`](Notice::id) is the same.
///   First arrivals are in the order of the journal.
/// * It answers within half a minute or says that it does not; the [`Courier`](super::Courier) waits for a minute.
/// * A notice that is nothing to it, it takes and does nothing.
/// * Neither `Debug` nor errors show secrets.
// Before `async_trait`, so that what a mock returns is no boxed future.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Recipient: fmt::Debug + Send + Sync + 'static {
    /// Takes a notice.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] says whether it may be taken later.
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered>;
}

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Undelivered {
    /// Its setting up is wrong: no such address, no such key, a revoked one. Nothing is taken before somebody
    /// mends it.
    #[error("{recipient} takes nothing from here; check its address and its key")]
    Refused {
        /// Who.
        recipient: String,
        /// Its answer.
        source: BoxError,
    },
    /// It takes others, but never this one.
    #[error("{recipient} does not take this message")]
    Rejected {
        /// Who.
        recipient: String,
        /// Its answer.
        source: BoxError,
    },
    /// It did not answer, or asks for patience.
    #[error("{recipient} is unavailable")]
    Unavailable {
        /// Who.
        recipient: String,
        /// When it wants to be asked again at the earliest, if it said so.
        retry_after: Option<Duration>,
        /// The last failure.
        source: BoxError,
    },
}

impl Undelivered {
    /// Whether the same message may be taken later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// A setting with which nobody could be told anything. It is not repeated, since it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be used: {why}")]
pub struct InvalidSetting {
    what: &'static str,
    why: &'static str,
}

impl InvalidSetting {
    /// `what` names the setting, `why` says what would be right.
    #[must_use]
    pub const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}

#[async_trait]
impl<T: Recipient + ?Sized> Recipient for Arc<T> {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        (**self).deliver(notice).await
    }
}
