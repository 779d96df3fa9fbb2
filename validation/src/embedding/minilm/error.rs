//! Why a model cannot be opened.

use std::{io, path::PathBuf};

/// Why a model cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenModelError {
    /// A file of it could not be read. Look at whether it is there and may be read.
    #[error("{path} of the model could not be read", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of it is damaged, or of a model that cannot be run here. Take another model, or mend it as the
    /// message says.
    #[error("{path} is of no model that can be run here: {why}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        why: String,
    },
}
