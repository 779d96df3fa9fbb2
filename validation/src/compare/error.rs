//! Why two versions cannot be compared.

use std::path::PathBuf;

/// Why two versions cannot be compared. It says nothing about either of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// The two records were made by checks that ask or score otherwise. Record both with the same suite, or allow it.
    #[error(
        "check `{check}` asked or scored otherwise in {candidate} than in {baseline}; record both with the same suite, or allow unmatched cases",
        candidate = .candidate.display(),
        baseline = .baseline.display()
    )]
    Differs {
        /// The check.
        check: String,
        /// The candidate's record.
        candidate: PathBuf,
        /// The baseline's.
        baseline: PathBuf,
    },
    /// A file cannot be read, or a line of it not be understood. Mend what the message names.
    #[error("{}{}: {why}", .path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1; none where it is the whole file.
        line: Option<u64>,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The settings of the comparison make no sense. Mend them.
    #[error("`{field}` {why}")]
    Misconfigured {
        /// The setting.
        field: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// There is nothing that both sides have. Compare others.
    #[error("there is nothing to compare: {why}")]
    Nothing {
        /// Why not, and what would be right.
        why: String,
    },
    /// One side has cases that the other lacks. Ask them of both, or allow it.
    #[error(
        "check `{check}`: {candidate_only} trials of the candidate and {baseline_only} of the baseline have no counterpart, such as `{example}`; ask both the same cases, or allow unmatched ones"
    )]
    Unmatched {
        /// The check.
        check: String,
        /// Trials of the candidate alone.
        candidate_only: u64,
        /// Trials of the baseline alone.
        baseline_only: u64,
        /// The case of one of them.
        example: String,
    },
}
