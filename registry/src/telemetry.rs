//! What this crate tells of its own work: a span for each operation, and metrics with the feature `telemetry`.
//! Names and fields are documented in the book, on the page "Observability", and tested against it.

use tokio::time::Instant;
use tracing::{Instrument as _, Span};

#[cfg(feature = "telemetry")]
pub use self::count::describe_metrics;
use crate::{Error, Progress, Result, Transfer};

/// Bounds of the buckets that suit every histogram of tidegate, in seconds: from calls within a machine to
/// rollouts that take days.
#[cfg(feature = "telemetry")]
#[cfg_attr(docsrs, doc(cfg(feature = "telemetry")))]
pub const DURATION_BUCKETS: [f64; 16] = [
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];

/// A span with the fields that say how its work ended.
macro_rules! operation {
    ($level:ident, $name:literal, $($fields:tt)+) => {
        tracing::span!(
            tracing::Level::$level,
            $name,
            $($fields)+,
            tidegate.outcome = tracing::field::Empty,
            error.message = tracing::field::Empty
        )
    };
}
pub(crate) use operation;

/// Work under way. It is told and counted also if it is dropped.
struct Work {
    span: Span,
    kind: Kind,
    outcome: &'static str,
    began: Instant,
}

/// What is counted together.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "telemetry"), expect(dead_code, reason = "names are for what counts"))]
pub(crate) enum Kind {
    /// A request to a journal, by its name.
    Journal(&'static str),
    /// What a caller asks for, by its name.
    Operation(&'static str),
}

/// Does `work` in `span`, which is told how that ended.
pub(crate) async fn observe<T>(
    kind: Kind,
    span: Span,
    work: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let mut observed = Work { span: span.clone(), kind, outcome: "abandoned", began: Instant::now() };
    let result = work.instrument(span).await;
    observed.outcome = match &result {
        Ok(_) => "ok",
        Err(Error::SeqTaken { .. }) => "superseded",
        Err(error) if error.is_transient() => "transient",
        Err(_) => "failed",
    };
    if let Err(error) = &result {
        observed.span.record("error.message", tracing::field::display(error));
    }
    result
}

impl Drop for Work {
    fn drop(&mut self) {
        self.span.record("tidegate.outcome", self.outcome);
        count::ended(self.kind, self.outcome, self.began.elapsed());
    }
}

/// Counts the bytes of a transfer on their way to whoever watches it.
pub(crate) struct Counted<'a> {
    progress: &'a dyn Progress,
    bytes: count::Bytes,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(operation: &'static str, progress: &'a dyn Progress) -> Self {
        Self { progress, bytes: count::Bytes::of(operation) }
    }
}

impl Progress for Counted<'_> {
    fn tell(&self, transfer: Transfer<'_>) {
        if let Transfer::Bytes(bytes) = transfer {
            self.bytes.add(bytes);
        }
        self.progress.tell(transfer);
    }
}

/// A part of a transfer is sent or fetched again.
pub(crate) fn retried(direction: &'static str) {
    count::retried(direction);
}

/// Another writer of a model's log was first.
pub(crate) fn conflicted() {
    count::conflicted();
}

#[cfg(feature = "telemetry")]
mod count {
    use std::time::Duration;

    use metrics_facade::{Unit, counter, describe_counter, describe_histogram, histogram};

    use super::Kind;

    const CONFLICTS: &str = "tidegate_registry_commit_conflicts_total";
    const JOURNAL: &str = "tidegate_registry_journal_seconds";
    const OPERATION: &str = "tidegate_registry_operation_seconds";
    const RETRIES: &str = "tidegate_registry_transfer_retries_total";
    const TRANSFERRED: &str = "tidegate_registry_transferred_bytes_total";

    /// Tells the installed recorder units and meanings of this crate's metrics.
    #[cfg_attr(docsrs, doc(cfg(feature = "telemetry")))]
    pub fn describe_metrics() {
        describe_counter!(
            CONFLICTS,
            Unit::Count,
            "Records that another writer of a model's log was first with."
        );
        describe_histogram!(JOURNAL, Unit::Seconds, "How long journals took to be read and written.");
        describe_histogram!(OPERATION, Unit::Seconds, "How long operations of a registry took.");
        describe_counter!(RETRIES, Unit::Count, "Parts of transfers that were sent or fetched again.");
        describe_counter!(TRANSFERRED, Unit::Bytes, "Bytes that were moved and hashed.");
    }

    pub(super) fn ended(kind: Kind, outcome: &'static str, took: Duration) {
        let (name, operation) = match kind {
            Kind::Journal(operation) => (JOURNAL, operation),
            Kind::Operation(operation) => (OPERATION, operation),
        };
        histogram!(name, "operation" => operation, "outcome" => outcome).record(took);
    }

    pub(super) fn retried(direction: &'static str) {
        counter!(RETRIES, "direction" => direction).increment(1);
    }

    pub(super) fn conflicted() {
        counter!(CONFLICTS).increment(1);
    }

    pub(super) struct Bytes(metrics_facade::Counter);

    impl Bytes {
        pub(super) fn of(operation: &'static str) -> Self {
            Self(counter!(TRANSFERRED, "operation" => operation))
        }

        pub(super) fn add(&self, bytes: u64) {
            self.0.increment(bytes);
        }
    }
}

/// Nobody counts.
#[cfg(not(feature = "telemetry"))]
mod count {
    use std::time::Duration;

    use super::Kind;

    pub(super) fn ended(kind: Kind, _: &'static str, _: Duration) {
        let (Kind::Journal(_) | Kind::Operation(_)) = kind;
    }

    pub(super) const fn retried(_: &'static str) {}

    pub(super) const fn conflicted() {}

    pub(super) struct Bytes;

    impl Bytes {
        pub(super) const fn of(_: &'static str) -> Self {
            Self
        }

        pub(super) const fn add(&self, _: u64) {}
    }
}
