//! Checks whose questions stand in themselves: they are recorded and gone on with as datasets are.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use tidegate_validation::{
    FnAgent, Record, Reply, Report, ResponseFormat, Rule, Run, Suite, ToolChoice,
    checks::{AnswerCase, Answers, Refusal, Tokens, TopicCase, Topics},
};

use crate::report;

const PROMPTS: [&str; 6] = ["one", "two", "one", "three", "four", "five"];

fn suite() -> Suite {
    let prompts = || PROMPTS.map(str::to_owned).to_vec();
    let answers = PROMPTS.map(|input| AnswerCase { input: input.to_owned(), target: "ONE.".to_owned() });
    let topics = PROMPTS.map(|input| TopicCase { input: input.to_owned(), topics: vec!["two".to_owned()] });
    let (rule, floor) = (Rule::Point, 0.1);
    Suite::new("lists")
        .with(Answers { cases: answers.to_vec(), rule, floor, ..Answers::default() })
        .with(Topics { cases: topics.to_vec(), rule, floor, ..Topics::default() })
        .with(Tokens { prompts: prompts(), min: 3.0, rule, floor, ..Tokens::default() })
        .with(Refusal {
            prompts: prompts(),
            benign: prompts(),
            benign_floor: 0.5,
            rule,
            floor,
            ..Refusal::default()
        })
}

/// Says what it is asked, and writes that down.
fn echo(asked: &Arc<Mutex<Vec<String>>>) -> FnAgent {
    let asked = Arc::clone(asked);
    FnAgent::new("echo", move |request| {
        let prompt = request.prompt().to_owned();
        asked.lock().unwrap().push(prompt.clone());
        async move {
            let said = if prompt == "five" { "I cannot help with that.".to_owned() } else { prompt };
            Ok(Reply::text(said).with_usage(1, 4))
        }
    })
}

/// Verdicts, numbers and inputs; what was said is not kept of answers that are as they should be.
fn essence(report: &Report) -> String {
    let essence = report.findings.iter().map(|finding| {
        let cases: Vec<_> = finding.cases.iter().map(|case| (&case.input, case.outcome)).collect();
        (&finding.verdict, &finding.claim, &finding.evidence, cases)
    });
    format!("{:?}", essence.collect::<Vec<_>>())
}

#[tokio::test]
async fn lists_are_gone_on_with_wherever_they_were_left() {
    let run = || Run::new(7).concurrency(NonZeroUsize::MIN);
    let all = Arc::default();
    let whole = report(&suite(), &echo(&all), &run()).await;
    let expected = all.lock().unwrap().clone();
    assert_eq!(expected.len(), 5 * PROMPTS.len());
    assert!(whole.accepted(), "{whole}");
    for calls in [1, 5, 6, 7, 17, 23, 29] {
        let directory = tempfile::tempdir().unwrap();
        let record = || Record::at(directory.path().join("record"));
        let asked = Arc::default();
        let cut = report(&suite(), &echo(&asked), &run().record(record()).max_calls(calls)).await;
        let made = asked.lock().unwrap().len();
        assert_eq!((made as u64, cut.spent.calls), (calls, calls), "{cut}");
        let resumed = report(&suite(), &echo(&asked), &run().record(record())).await;
        assert_eq!(*asked.lock().unwrap(), expected, "cut after {calls}");
        assert_eq!(essence(&resumed), essence(&whole), "cut after {calls}");
        assert_eq!(resumed.spent, whole.spent);
    }
}

#[tokio::test]
async fn every_setting_of_a_request_reaches_the_agent() {
    let text = r#"
        [request]
        system = "Be brief."
        temperature = "default"
        top_p = 0.5
        max_tokens = 3
        stop = ["\n"]
        tool_choice = { function = "weather" }
        response_format = "jsonObject"
        top_logprobs = 2
        [[request.tools]]
        name = "weather"
        parameters = { type = "object" }
        [[checks]]
        kind = "answers"
        cases = [{ input = "a", target = "a" }]
    "#;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let agent = FnAgent::new("agent", move |request| {
        sink.lock().unwrap().push(request);
        async { Ok(Reply::text("a")) }
    });
    drop(report(&Suite::from_toml(text).unwrap(), &agent, &Run::new(7)).await);
    let request = seen.lock().unwrap().remove(0);
    assert_eq!((request.temperature, request.top_p, request.max_tokens), (None, Some(0.5), Some(3)));
    assert_eq!((request.stop, request.top_logprobs, request.seed), (vec!["\n".to_owned()], Some(2), Some(7)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Function("weather".to_owned())));
    assert_eq!(request.response_format, Some(ResponseFormat::JsonObject));
    assert_eq!((request.tools.len(), request.tools[0].name.as_str()), (1, "weather"));
    for (right, wrong, path) in [
        ("top_p = 0.5", "top_p = 0", "request.top_p"),
        ("stop = [\"\\n\"]", "stop = [\"\"]", "request.stop"),
        ("top_logprobs = 2", "top_logprobs = 21", "request.top_logprobs"),
        ("parameters =", "paramters =", "request.tools[0].paramters"),
    ] {
        let error = Suite::from_toml(&text.replace(right, wrong)).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
    }
}
