//! What scoring takes beside the answer.

use std::ops::{BitOr, BitOrAssign};

use super::ScoreError;
use crate::Run;

/// What scoring takes beside the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Something that tells harmful answers.
    pub(crate) classifier: bool,
    /// Something that turns texts into vectors.
    pub(crate) embedder: bool,
    /// An answer that was given in this run: what is measured is how it came.
    pub(crate) fresh: bool,
    /// A model that judges.
    pub(crate) judge: bool,
}

impl Needs {
    /// What of it `run` does not have.
    pub(crate) fn missing(self, run: &Run) -> Option<ScoreError> {
        let lacks = [
            (self.judge && run.judge.is_none(), ScoreError::NO_JUDGE),
            (self.embedder && run.embedder.is_none(), ScoreError::NO_EMBEDDER),
            (self.classifier && run.classifier.is_none(), ScoreError::NO_CLASSIFIER),
        ];
        lacks.into_iter().find_map(|(lacks, error)| lacks.then_some(error))
    }
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            classifier: self.classifier || other.classifier,
            embedder: self.embedder || other.embedder,
            fresh: self.fresh || other.fresh,
            judge: self.judge || other.judge,
        }
    }
}

impl BitOrAssign for Needs {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
