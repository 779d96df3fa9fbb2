//! What this crate tells of its own work: a span for each run of a suite, each check and each call of an agent, and
//! metrics with the feature `telemetry`. Names and fields are documented in the book, on the page "Observability", and
//! tested against it. What was asked and answered is never told.

use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};

#[cfg(feature = "telemetry")]
pub use self::count::describe_metrics;
#[cfg(feature = "openai")]
pub(crate) use self::count::retried;
use crate::{AgentError, AgentId, Finding, Usage};

/// A call of an agent or embedder under way. It is told and counted also if it is dropped.
struct Called {
    span: Span,
    operation: &'static str,
    outcome: &'static str,
    began: Instant,
}

/// Waits for a call of `agent`; `usage` says of an answer how many tokens it took.
pub(crate) async fn called<T>(
    agent: &AgentId,
    operation: &'static str,
    call: impl Future<Output = Result<T, AgentError>> + Send,
    usage: impl FnOnce(&T) -> Option<Usage> + Send,
) -> Result<T, AgentError> {
    let span = tracing::debug_span!(
        "tidegate.agent.call",
        tidegate.agent = %agent,
        gen_ai.operation.name = operation,
        gen_ai.usage.input_tokens = field::Empty,
        gen_ai.usage.output_tokens = field::Empty,
        tidegate.outcome = field::Empty
    );
    let mut called = Called { span: span.clone(), operation, outcome: "abandoned", began: Instant::now() };
    let answer = call.instrument(span).await;
    called.outcome = match &answer {
        Ok(_) => "ok",
        Err(AgentError::Interrupted { .. }) => "interrupted",
        Err(AgentError::Malformed { .. }) => "malformed",
        Err(AgentError::Misconfigured { .. }) => "misconfigured",
        Err(AgentError::NotRecorded { .. }) => "not_recorded",
        Err(AgentError::Recording { .. }) => "recording",
        Err(AgentError::Refused { .. }) => "refused",
        Err(AgentError::TimedOut { .. }) => "timed_out",
        Err(AgentError::Unavailable { .. }) => "unavailable",
    };
    if let Some(usage) = answer.as_ref().ok().and_then(usage) {
        called.span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        called.span.record("gen_ai.usage.output_tokens", usage.answered());
        count::took(usage.input_tokens, usage.answered());
    }
    answer
}

impl Drop for Called {
    fn drop(&mut self) {
        self.span.record("tidegate.outcome", self.outcome);
        count::called(self.operation, self.outcome, self.began.elapsed());
    }
}

/// Makes a check in `span`.
pub(crate) async fn checked(span: &Span, check: impl Future<Output = Finding> + Send) -> Finding {
    let began = Instant::now();
    let finding = check.instrument(span.clone()).await;
    count::checked(&finding, began.elapsed());
    finding
}

#[cfg(feature = "telemetry")]
mod count {
    use std::time::Duration;

    use metrics_facade::{Unit, counter, describe_counter, describe_histogram, histogram};

    use crate::Finding;

    const CALL: &str = "tidegate_agent_call_seconds";
    const CHECK: &str = "tidegate_validation_check_seconds";
    #[cfg(feature = "openai")]
    const RETRIES: &str = "tidegate_agent_retries_total";
    const TOKENS: &str = "tidegate_agent_tokens_total";

    /// Tells the installed recorder units and meanings of the metrics of this crate and of the one below it.
    #[cfg_attr(docsrs, doc(cfg(feature = "telemetry")))]
    pub fn describe_metrics() {
        tidegate_registry::describe_metrics();
        describe_histogram!(CALL, Unit::Seconds, "How long agents and embedders took, retries included.");
        describe_histogram!(CHECK, Unit::Seconds, "How long checks of a suite took.");
        #[cfg(feature = "openai")]
        describe_counter!(RETRIES, Unit::Count, "Attempts of calls after the first.");
        describe_counter!(TOKENS, Unit::Count, "Tokens of questions and answers, where the agent says.");
    }

    pub(super) fn called(operation: &'static str, outcome: &'static str, took: Duration) {
        histogram!(CALL, "operation" => operation, "outcome" => outcome).record(took);
    }

    pub(super) fn checked(finding: &Finding, took: Duration) {
        let verdict = finding.verdict.word();
        histogram!(CHECK, "check" => finding.check.clone(), "verdict" => verdict).record(took);
    }

    #[cfg(feature = "openai")]
    pub(crate) fn retried() {
        counter!(RETRIES).increment(1);
    }

    pub(super) fn took(input: u64, output: u64) {
        counter!(TOKENS, "direction" => "input").increment(input);
        counter!(TOKENS, "direction" => "output").increment(output);
    }
}

/// Nobody counts.
#[cfg(not(feature = "telemetry"))]
mod count {
    use std::time::Duration;

    use crate::Finding;

    pub(super) const fn called(_: &'static str, _: &'static str, _: Duration) {}

    pub(super) const fn checked(_: &Finding, _: Duration) {}

    #[cfg(feature = "openai")]
    pub(crate) const fn retried() {}

    pub(super) const fn took(_: u64, _: u64) {}
}
