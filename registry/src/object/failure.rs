//! The one place where a store's errors become ours.

use std::{error::Error as StdError, io};

use object_store::Error as Failure;

use super::ObjectBacked;
use crate::Error;

/// What `error` means to the caller who wanted to `action`.
pub(super) fn failure(store: &ObjectBacked, action: &'static str) -> impl FnOnce(Failure) -> Error {
    failure_of(store.to_string(), action)
}

/// The same for a failure of the file system that a registry lies in.
#[cfg(feature = "fs")]
pub(super) fn local_failure(store: String, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| {
        failure_of(store, action)(Failure::Generic { store: "LocalFileSystem", source: error.into() })
    }
}

/// An error of ours on its way through what fails as the store does; [`failure`] gives it back.
pub(super) fn ours(error: Error) -> Failure {
    Failure::Generic { store: OURS, source: error.into() }
}

const OURS: &str = "tidegate";

fn failure_of(store: String, action: &'static str) -> impl FnOnce(Failure) -> Error {
    move |error| {
        let error = match error {
            Failure::Generic { store: OURS, source } => match source.downcast::<Error>() {
                Ok(error) => return *error,
                Err(source) => Failure::Generic { store: OURS, source },
            },
            error => error,
        };
        if is_refusal(&error) {
            Error::Refused { store, action, source: error.into() }
        } else {
            Error::Unavailable { store, action, source: error.into() }
        }
    }
}

/// Whether the store understood and said no, so that the same request will not be answered otherwise.
/// It may have taken effect before the part of it that was refused.
pub(super) fn is_refusal(error: &Failure) -> bool {
    match error {
        Failure::InvalidPath { .. }
        | Failure::NotFound { .. }
        | Failure::NotImplemented { .. }
        | Failure::NotSupported { .. }
        | Failure::PermissionDenied { .. }
        | Failure::Unauthenticated { .. }
        | Failure::UnknownConfigurationKey { .. } => true,
        // A local file system has no kinds of its own in `object_store`.
        error => io_kind(error).is_some_and(|kind| {
            use io::ErrorKind as Kind;
            matches!(
                kind,
                Kind::FileTooLarge
                    | Kind::IsADirectory
                    | Kind::InvalidFilename
                    | Kind::NotADirectory
                    | Kind::PermissionDenied
                    | Kind::QuotaExceeded
                    | Kind::ReadOnlyFilesystem
                    | Kind::StorageFull
                    | Kind::Unsupported
            )
        }),
    }
}

fn io_kind(error: &Failure) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}
