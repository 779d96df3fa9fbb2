//! What refusals of HAProxy mean for a driver.

use std::io;

use crate::{ActuatorError, BoxError, Fence};

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A later driver has acted.
    Fenced { offered: Fence, held: Fence },
    /// The same command may succeed later.
    Later(BoxError),
    /// The same command will not succeed.
    Never(BoxError),
}

/// Refusals for which there is a remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it gives this socket no right to that; write `level admin` into its `stats socket` line")]
    Denied,
    #[error("it does not know this command; HAProxy 2.4 or later is needed")]
    Old,
    #[error("it answered: {0}")]
    Said(String),
    #[error("its answer is over {0} bytes, which no runtime API gives to this command; correct the address")]
    TooLong(usize),
    #[error("it answered `{0}`, as no runtime API does; correct the address, or use HAProxy 2.4 or later")]
    Unreadable(String),
    #[error("the socket cannot be opened; give this program's user the right to it by `user` or `mode`")]
    Unopened(#[source] io::Error),
}

/// Trouble that may pass by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("its answer broke off")]
    BrokeOff,
    #[error("others change it all the time")]
    Contended,
    #[error("nothing answers at the socket; check its address, and that HAProxy runs")]
    Unreachable(#[source] io::Error),
}

impl Failure {
    pub(super) fn later(why: impl Into<BoxError>) -> Self {
        Self::Later(why.into())
    }

    pub(super) fn never(why: impl Into<BoxError>) -> Self {
        Self::Never(why.into())
    }

    /// What it means that the socket could not be opened.
    pub(super) fn opening(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::never(Refusal::Unopened(error)),
            _ => Self::later(Trouble::Unreachable(error)),
        }
    }

    /// An answer that is none to the command.
    pub(super) fn unreadable(answer: &str) -> Self {
        Self::never(known(answer).unwrap_or_else(|| Refusal::Unreadable(excerpt(answer))))
    }

    /// A command that was answered with a text where success is silent.
    pub(super) fn said(answer: &str) -> Self {
        Self::never(known(answer).unwrap_or_else(|| Refusal::Said(excerpt(answer))))
    }

    /// Refuses `offered` when a later fence is held.
    pub(super) fn admit(held: Option<Fence>, offered: Fence) -> Result<(), Self> {
        match held {
            Some(held) if held > offered => Err(Self::Fenced { offered, held }),
            _ => Ok(()),
        }
    }

    /// As what a router answers about `target`.
    pub(super) fn of(self, target: &str) -> ActuatorError {
        let target = target.to_owned();
        match self {
            Self::Fenced { offered, held } => ActuatorError::Fenced { offered, held },
            Self::Later(source) => ActuatorError::Unavailable { target, source },
            Self::Never(source) => ActuatorError::Refused { target, source },
        }
    }
}

/// The refusals that every command can meet.
fn known(answer: &str) -> Option<Refusal> {
    match answer.trim_start() {
        text if text.starts_with("Permission denied") => Some(Refusal::Denied),
        text if text.starts_with("Unknown command") => Some(Refusal::Old),
        _ => None,
    }
}

/// The beginning of what somebody answered, as one line that is safe to print.
fn excerpt(text: &str) -> String {
    text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
