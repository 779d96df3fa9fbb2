//! What this crate tells of its own work: a span for each question to a server and each round of scrapes, and metrics
//! with the feature `telemetry`. Names and fields are documented in the book, on the page "Observability", and tested
//! against it.

#[cfg(feature = "telemetry")]
pub use self::count::describe_metrics;
#[cfg(feature = "scrape")]
pub(crate) use self::count::{scrape_failed, scraped};
#[cfg(feature = "http")]
pub(crate) use self::request::Request;

#[cfg(feature = "http")]
mod request {
    use tokio::time::Instant;
    use tracing::{Span, field};

    use super::count;
    use crate::query::Failure;

    /// One question to a server, with all its tries. It is told and counted also if it is dropped.
    pub(crate) struct Request {
        pub(crate) span: Span,
        outcome: &'static str,
        tries: u32,
        began: Instant,
    }

    impl Request {
        pub(crate) fn begin() -> Self {
            let span = tracing::debug_span!(
                "tidegate.source.request",
                tidegate.tries = field::Empty,
                tidegate.outcome = field::Empty,
                error.message = field::Empty
            );
            Self { span, outcome: "abandoned", tries: 1, began: Instant::now() }
        }

        /// The question is put again.
        pub(crate) fn retry(&mut self) {
            self.tries += 1;
            count::retried();
        }

        pub(crate) fn end<T>(mut self, result: &Result<T, Failure>) {
            let (outcome, message): (_, Option<&dyn std::fmt::Display>) = match result {
                Ok(_) => ("ok", None),
                Err(Failure::Denied(error)) => ("denied", Some(error)),
                Err(Failure::Malformed(error)) => ("malformed", Some(error)),
                Err(Failure::Partial(cause)) => ("partial", Some(cause)),
                Err(Failure::Unavailable(error)) => ("unavailable", Some(error)),
            };
            self.outcome = outcome;
            if let Some(message) = message {
                self.span.record("error.message", field::display(message));
            }
        }
    }

    impl Drop for Request {
        fn drop(&mut self) {
            self.span.record("tidegate.outcome", self.outcome);
            self.span.record("tidegate.tries", self.tries);
            count::asked(self.outcome, self.began.elapsed());
        }
    }
}

#[cfg(feature = "telemetry")]
mod count {
    use metrics_facade::{Unit, describe_counter, describe_histogram};

    const REQUESTS: &str = "tidegate_source_request_seconds";
    const RETRIES: &str = "tidegate_source_request_retries_total";
    const SCRAPES: &str = "tidegate_source_scrapes_total";

    /// Tells the installed recorder units and meanings of this crate's metrics.
    #[cfg_attr(docsrs, doc(cfg(feature = "telemetry")))]
    pub fn describe_metrics() {
        describe_histogram!(
            REQUESTS,
            Unit::Seconds,
            "How long servers of metrics took to answer, retries included."
        );
        describe_counter!(RETRIES, Unit::Count, "Questions that were put to a server of metrics once more.");
        describe_counter!(SCRAPES, Unit::Count, "Pages of metrics that were scraped, or could not be.");
    }

    #[cfg(feature = "http")]
    pub(super) fn asked(outcome: &'static str, took: std::time::Duration) {
        metrics_facade::histogram!(REQUESTS, "outcome" => outcome).record(took);
    }

    #[cfg(feature = "http")]
    pub(super) fn retried() {
        metrics_facade::counter!(RETRIES).increment(1);
    }

    #[cfg(feature = "scrape")]
    pub(crate) fn scraped() {
        metrics_facade::counter!(SCRAPES, "outcome" => "ok").increment(1);
    }

    #[cfg(feature = "scrape")]
    pub(crate) fn scrape_failed() {
        metrics_facade::counter!(SCRAPES, "outcome" => "failed").increment(1);
    }
}

/// Nobody counts.
#[cfg(all(feature = "http", not(feature = "telemetry")))]
mod count {
    pub(super) const fn asked(_: &'static str, _: std::time::Duration) {}

    pub(super) const fn retried() {}

    #[cfg(feature = "scrape")]
    pub(crate) const fn scraped() {}

    #[cfg(feature = "scrape")]
    pub(crate) const fn scrape_failed() {}
}
