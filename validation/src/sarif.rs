//! What other scanners found: a suite's check over files of SARIF 2.1.0.
//!
//! Trivy, bandit, clippy, semgrep, CodeQL and many others write it. [`Sarif`] reads such files, holds what is in them against
//! a severity, and honours what was decided about single findings: suppressions in the file, a baseline,
//! and [`Exception`]s with a reason and an end.
//!
//! ```toml
//! [[checks]]
//! kind = "sarif"
//! files = ["trivy.sarif", "bandit.sarif"]     # beside the suite; read when it runs
//! fail_at = "high"                            # or "critical", "medium", "low", "none"
//! new_only = false                            # true: what is in the scanner's baseline does not count
//!
//! [[checks.exceptions]]
//! rule = "CVE-2024-3094"                      # and, or instead, `path` and `package`
//! package = "xz"
//! reason = "the library is not linked"
//! by = "ada"
//! expires = "2026-12-31"
//! ```
//!
//! * **How bad** a result is, is what its rule's `security-severity` says, by the bands of CVSS; only where there is none,
//!   its `level`: an error is high, a warning medium, a note low.
//! * **A file that does not say that it is complete is not clean.** No `runs`, a run without `results`, an invocation that
//!   was not successful, a notification of an error, results kept in other files, a file that is cut short or
//!   too large: the verdict is inconclusive, unless what there is fails already.
//! * **A suppression counts** unless somebody still reviews it or rejected it. A result that is `absent` since the baseline
//!   is none, and one that is `unchanged` counts unless [`new_only`](Sarif::new_only) is set.
//! * **An exception ends.** From the day after its last it excepts nothing, and the finding says so. One that no result
//!   needed is told, too, so that lists do not grow.
//!
//! Messages that are there by their id alone are shown as the rule's description. Overrides of a rule's configuration for one
//! invocation are not read.
//!
//! Format: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>.

mod bounded;
mod check;
mod exception;
mod log;
mod reader;
mod rules;

pub use self::{
    check::Sarif,
    exception::{Exception, LastDay},
};
