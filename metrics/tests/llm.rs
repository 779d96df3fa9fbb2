//! The catalogue of LLM servers: every query is one, and reads what pages of those servers say.

use std::collections::BTreeSet;

use tidegate_metrics::{Rule, llm};

const MATCHERS: &str = r#"version="{{version}}""#;

#[test]
fn every_query_is_one_and_asks_for_the_side() {
    for server in llm::Server::ALL {
        let queries = llm::queries(server, MATCHERS).unwrap();
        assert_eq!(queries.is_empty(), server == llm::Server::Ollama, "{}", server.name());
        let names: BTreeSet<_> = queries.iter().map(|(metric, _)| metric.clone()).collect();
        assert_eq!(names.len(), queries.len(), "{} has a metric twice", server.name());
        for (metric, query) in queries {
            let text = serde_json::to_string(&query).unwrap();
            assert!(text.contains("{{version}}"), "{metric}: {text}");
            let again: tidegate_metrics::prometheus::Query = serde_json::from_str(&text).unwrap();
            assert_eq!(again, query);
        }
    }
}

#[test]
fn a_plan_says_ttft_and_gets_the_query() {
    let queries = llm::queries(llm::Server::Vllm, MATCHERS).unwrap();
    let (_, query) = queries.iter().find(|(metric, _)| metric.as_str() == llm::TTFT).unwrap();
    assert_eq!(
        serde_json::to_value(query).unwrap(),
        serde_json::json!({"histogram": {
            "buckets": r#"vllm:time_to_first_token_seconds_bucket{version="{{version}}"}"#
        }})
    );
    let (_, errors) = queries.iter().find(|(metric, _)| metric.as_str() == llm::ERRORS).unwrap();
    let text = serde_json::to_string(errors).unwrap();
    assert!(text.contains(r#"{version=\"{{version}}\",handler=~"#), "{text}");
}

#[test]
fn matchers_without_a_side_are_refused() {
    assert!(llm::queries(llm::Server::Vllm, r#"namespace="ml""#).is_err());
    assert!(llm::queries(llm::Server::Vllm, "version={{version}}").is_err());
}

#[test]
fn each_metric_is_judged_by_what_it_is() {
    for metric in [llm::TTFT, llm::TPOT, llm::ERRORS, llm::GUARDRAIL_HITS, llm::TOOL_FAILURES, llm::REFUSALS]
    {
        assert!(matches!(llm::criterion(metric).unwrap().rule, Rule::Compare(_)), "{metric}");
    }
    assert!(matches!(llm::criterion(llm::COST).unwrap().rule, Rule::CompareMeans(_)));
    assert!(llm::criterion(llm::QUEUE).is_none());
    // llama.cpp has sums only, so that its time per token is compared by the mean.
    let mean = llm::criterion_at(llm::Server::LlamaCpp, llm::TPOT).unwrap();
    assert!(matches!(mean.rule, Rule::CompareMeans(_)));
    assert!(llm::criterion_at(llm::Server::LlamaCpp, llm::TTFT).is_none());
    for server in llm::Server::ALL {
        for (metric, _) in llm::queries(server, MATCHERS).unwrap() {
            if let Some(criterion) = llm::criterion_at(server, metric.as_str()) {
                criterion.check().unwrap();
            }
        }
    }
}

#[test]
fn an_answer_of_ollama_has_timings() {
    let last = r#"{"model":"m","done":true,"done_reason":"length","total_duration":5043500667,
        "load_duration":5025959,"prompt_eval_count":26,"prompt_eval_duration":325953000,"eval_count":290,
        "eval_duration":4709213000}"#;
    let timings: llm::OllamaTimings = serde_json::from_str(last).unwrap();
    assert_eq!(timings.time_per_output_token().unwrap().as_nanos(), 16_238_665);
    assert_eq!(timings.time_before_output().as_nanos(), 330_978_959);
    assert_eq!(llm::OllamaTimings::default().time_per_output_token(), None);
}
