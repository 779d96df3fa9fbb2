//! The names, server by server. Each was read in the source of the release named at [`Server`], or in what it wrote.

use super::{
    ABORTS, COST, ERRORS, GUARDRAIL_HITS, KV_CACHE, LATENCY, LATENCY_MS, LATENCY_US, OUTPUT_TOKENS,
    PROMPT_TOKENS, QUEUE, QUEUE_TIME, QUEUE_TIME_US, RUNNING, Server, TOGETHER, TOOL_FAILURES, TPOT,
    TRUNCATED, TTFT,
};
use crate::prometheus::Aggregate;

/// One metric of one server. Series are written without the matchers of a side.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) metric: &'static str,
    pub(super) shape: Shape,
}

/// What its series are.
#[derive(Debug)]
pub(super) enum Shape {
    Gauge { series: &'static str, aggregate: Option<Aggregate> },
    Histogram { buckets: &'static str },
    Proportion { hits: &'static str, trials: &'static str },
    Total { sum: &'static str, count: &'static str },
}

const fn gauge(metric: &'static str, series: &'static str) -> Entry {
    Entry { metric, shape: Shape::Gauge { series, aggregate: TOGETHER } }
}

/// Of several ranks or pods the fullest says when requests begin to wait.
const fn fullest(metric: &'static str, series: &'static str) -> Entry {
    Entry { metric, shape: Shape::Gauge { series, aggregate: Some(Aggregate::Max) } }
}

const fn histogram(metric: &'static str, buckets: &'static str) -> Entry {
    Entry { metric, shape: Shape::Histogram { buckets } }
}

const fn proportion(metric: &'static str, hits: &'static str, trials: &'static str) -> Entry {
    Entry { metric, shape: Shape::Proportion { hits, trials } }
}

const fn total(metric: &'static str, sum: &'static str, count: &'static str) -> Entry {
    Entry { metric, shape: Shape::Total { sum, count } }
}

/// The handlers that generate; health checks and lists of models would dilute the share of errors.
const VLLM_HTTP: &str = r#"http_requests_total{handler=~"/v1/(chat/)?completions|/v1/responses"}"#;
const VLLM_HTTP_ERRORS: &str =
    r#"http_requests_total{handler=~"/v1/(chat/)?completions|/v1/responses",status="5xx"}"#;
const SGLANG_HTTP: &str =
    r#"sglang:http_responses_total{endpoint=~"/generate|/v1/(chat/)?completions|/v1/responses"}"#;
const SGLANG_HTTP_ERRORS: &str = r#"sglang:http_responses_total{endpoint=~"/generate|/v1/(chat/)?completions|/v1/responses",status_code=~"5.."}"#;

const ENVOY_AI: &[Entry] = &[
    histogram(TTFT, "gen_ai_server_time_to_first_token_seconds_bucket"),
    histogram(TPOT, "gen_ai_server_time_per_output_token_seconds_bucket"),
    histogram(LATENCY, "gen_ai_server_request_duration_seconds_bucket"),
    proportion(
        ERRORS,
        r#"gen_ai_server_request_duration_seconds_count{error_type!=""}"#,
        "gen_ai_server_request_duration_seconds_count",
    ),
    proportion(
        TOOL_FAILURES,
        r#"mcp_method_count_total{mcp_method_name="tools/call",status="error"}"#,
        r#"mcp_method_count_total{mcp_method_name="tools/call"}"#,
    ),
    total(
        OUTPUT_TOKENS,
        r#"gen_ai_client_token_usage_sum{gen_ai_token_type="output"}"#,
        r#"gen_ai_client_token_usage_count{gen_ai_token_type="output"}"#,
    ),
    total(
        PROMPT_TOKENS,
        r#"gen_ai_client_token_usage_sum{gen_ai_token_type="input"}"#,
        r#"gen_ai_client_token_usage_count{gen_ai_token_type="input"}"#,
    ),
];

const KONG: &[Entry] = &[
    histogram(LATENCY_MS, "kong_ai_llm_provider_latency_ms_bucket"),
    proportion(ERRORS, r#"kong_http_requests_total{code=~"5.."}"#, "kong_http_requests_total"),
    total(COST, "kong_ai_llm_cost_total", "kong_ai_llm_requests_total"),
];

const LITELLM: &[Entry] = &[
    // Of streamed answers.
    histogram(TTFT, "litellm_llm_api_time_to_first_token_metric_bucket"),
    histogram(LATENCY, "litellm_request_total_latency_metric_bucket"),
    histogram(QUEUE_TIME, "litellm_request_queue_time_seconds_bucket"),
    proportion(
        ERRORS,
        "litellm_proxy_failed_requests_metric_total",
        "litellm_proxy_total_requests_metric_total",
    ),
];

const LLAMA_CPP: &[Entry] = &[
    total(TPOT, "llamacpp:tokens_predicted_seconds_total", "llamacpp:tokens_predicted_total"),
    gauge(QUEUE, "llamacpp:requests_deferred"),
    gauge(RUNNING, "llamacpp:requests_processing"),
];

const NEMO_GUARDRAILS: &[Entry] = &[
    histogram(LATENCY, "guardrails_request_duration_seconds_bucket"),
    proportion(GUARDRAIL_HITS, "guardrails_requests_blocked_total", "guardrails_requests_total"),
    proportion(ERRORS, "guardrails_requests_errors_total", "guardrails_requests_total"),
];

const OPEN_TELEMETRY: &[Entry] = &[
    // Of successful requests.
    histogram(TTFT, "gen_ai_server_time_to_first_token_seconds_bucket"),
    histogram(TPOT, "gen_ai_server_time_per_output_token_seconds_bucket"),
    histogram(LATENCY, "gen_ai_server_request_duration_seconds_bucket"),
    proportion(
        ERRORS,
        r#"gen_ai_server_request_duration_seconds_count{error_type!=""}"#,
        "gen_ai_server_request_duration_seconds_count",
    ),
    total(
        OUTPUT_TOKENS,
        r#"gen_ai_client_token_usage_sum{gen_ai_token_type="output"}"#,
        r#"gen_ai_client_token_usage_count{gen_ai_token_type="output"}"#,
    ),
    total(
        PROMPT_TOKENS,
        r#"gen_ai_client_token_usage_sum{gen_ai_token_type="input"}"#,
        r#"gen_ai_client_token_usage_count{gen_ai_token_type="input"}"#,
    ),
    proportion(
        TOOL_FAILURES,
        r#"gen_ai_execute_tool_duration_seconds_count{error_type!=""}"#,
        "gen_ai_execute_tool_duration_seconds_count",
    ),
];

const SGLANG: &[Entry] = &[
    histogram(TTFT, "sglang:time_to_first_token_seconds_bucket"),
    histogram(TPOT, "sglang:request_time_per_output_token_seconds_bucket"),
    histogram(LATENCY, "sglang:e2e_request_latency_seconds_bucket"),
    histogram(QUEUE_TIME, "sglang:queue_time_seconds_bucket"),
    proportion(ERRORS, SGLANG_HTTP_ERRORS, SGLANG_HTTP),
    total(OUTPUT_TOKENS, "sglang:generation_tokens_total", "sglang:num_requests_total"),
    total(PROMPT_TOKENS, "sglang:prompt_tokens_total", "sglang:num_requests_total"),
    gauge(QUEUE, "sglang:num_queue_reqs"),
    gauge(RUNNING, "sglang:num_running_reqs"),
    fullest(KV_CACHE, "sglang:token_usage"),
];

const TGI: &[Entry] = &[
    // The prompt's part included: the server has no other.
    histogram(TPOT, "tgi_request_mean_time_per_token_duration_bucket"),
    histogram(LATENCY, "tgi_request_duration_bucket"),
    histogram(QUEUE_TIME, "tgi_request_queue_duration_bucket"),
    // `tgi_request_count` counts a chat twice; clients that left are aborts, and what clients did wrong is no
    // error of the model.
    proportion(
        ERRORS,
        r#"tgi_request_failure{err!~"dropped|validation|template"}"#,
        r#"{__name__=~"tgi_request_success|tgi_request_failure"}"#,
    ),
    proportion(
        ABORTS,
        r#"tgi_request_failure{err="dropped"}"#,
        r#"{__name__=~"tgi_request_success|tgi_request_failure"}"#,
    ),
    total(OUTPUT_TOKENS, "tgi_request_generated_tokens_sum", "tgi_request_generated_tokens_count"),
    total(PROMPT_TOKENS, "tgi_request_input_length_sum", "tgi_request_input_length_count"),
    gauge(QUEUE, "tgi_queue_size"),
    gauge(RUNNING, "tgi_batch_current_size"),
];

const TRITON: &[Entry] = &[
    total(LATENCY_US, "nv_inference_request_duration_us", "nv_inference_request_success"),
    total(QUEUE_TIME_US, "nv_inference_queue_duration_us", "nv_inference_request_success"),
    TRITON_ERRORS,
    TRITON_ABORTS,
    gauge(QUEUE, "nv_inference_pending_request_count"),
];

const TRITON_ERRORS: Entry = proportion(
    ERRORS,
    r#"nv_inference_request_failure{reason!="CANCELED"}"#,
    r#"{__name__=~"nv_inference_request_success|nv_inference_request_failure"}"#,
);

const TRITON_ABORTS: Entry = proportion(
    ABORTS,
    r#"nv_inference_request_failure{reason="CANCELED"}"#,
    r#"{__name__=~"nv_inference_request_success|nv_inference_request_failure"}"#,
);

const TRITON_VLLM: &[Entry] = &[
    histogram(TTFT, "vllm:time_to_first_token_seconds_bucket"),
    // The old name, filled with the times between tokens.
    histogram(TPOT, "vllm:time_per_output_token_seconds_bucket"),
    histogram(LATENCY, "vllm:e2e_request_latency_seconds_bucket"),
    total(QUEUE_TIME_US, "nv_inference_queue_duration_us", "nv_inference_request_success"),
    TRITON_ERRORS,
    TRITON_ABORTS,
    total(OUTPUT_TOKENS, "vllm:request_generation_tokens_sum", "vllm:request_generation_tokens_count"),
    total(PROMPT_TOKENS, "vllm:request_prompt_tokens_sum", "vllm:request_prompt_tokens_count"),
    gauge(QUEUE, "nv_inference_pending_request_count"),
];

const VLLM: &[Entry] = &vllm("vllm:request_time_per_output_token_seconds_bucket", "vllm:kv_cache_usage_perc");

/// Its times are those between tokens; there is none by request.
const VLLM_BEFORE_0_11: &[Entry] =
    &vllm("vllm:time_per_output_token_seconds_bucket", "vllm:gpu_cache_usage_perc");

/// What has kept its name, and what has not.
const fn vllm(time_per_token: &'static str, cache: &'static str) -> [Entry; 11] {
    [
        histogram(TTFT, "vllm:time_to_first_token_seconds_bucket"),
        histogram(TPOT, time_per_token),
        histogram(LATENCY, "vllm:e2e_request_latency_seconds_bucket"),
        histogram(QUEUE_TIME, "vllm:request_queue_time_seconds_bucket"),
        proportion(ERRORS, VLLM_HTTP_ERRORS, VLLM_HTTP),
        proportion(
            TRUNCATED,
            r#"vllm:request_success_total{finished_reason="length"}"#,
            "vllm:request_success_total",
        ),
        total(OUTPUT_TOKENS, "vllm:request_generation_tokens_sum", "vllm:request_generation_tokens_count"),
        total(PROMPT_TOKENS, "vllm:request_prompt_tokens_sum", "vllm:request_prompt_tokens_count"),
        gauge(QUEUE, "vllm:num_requests_waiting"),
        gauge(RUNNING, "vllm:num_requests_running"),
        fullest(KV_CACHE, cache),
    ]
}

/// Every metric that `server` has.
pub(super) const fn of(server: Server) -> &'static [Entry] {
    match server {
        Server::EnvoyAi => ENVOY_AI,
        Server::Kong => KONG,
        Server::LiteLlm => LITELLM,
        Server::LlamaCpp => LLAMA_CPP,
        Server::NemoGuardrails => NEMO_GUARDRAILS,
        Server::Ollama => &[],
        Server::OpenTelemetry => OPEN_TELEMETRY,
        Server::SgLang => SGLANG,
        Server::Tgi => TGI,
        Server::Triton => TRITON,
        Server::TritonVllm => TRITON_VLLM,
        Server::Vllm => VLLM,
        Server::VllmBefore011 => VLLM_BEFORE_0_11,
    }
}
