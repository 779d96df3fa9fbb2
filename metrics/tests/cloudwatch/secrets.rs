//! Secrets go to the server and nowhere else.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tidegate_metrics::cloudwatch::{Environment, from_fn};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::*;

/// Writes down everything that anybody logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?}\n"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn holds_secrets(text: &str) -> bool {
    [SECRET, TOKEN].iter().any(|secret| text.contains(&secret[..12]))
}

#[tokio::test]
async fn they_are_not_logged() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let mut noisy = result("Complete", &[(0, 0.1)]);
    noisy["Messages"] = json!([{"Code": "Note", "Value": "heard"}]);
    let script = Script::serve([page(&[noisy], None)]).await;
    let source = source_at(&script.url(), client(), key().with_session_token(TOKEN));
    source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap();
    drop(guard);
    assert_eq!(script.asked()[0].header("x-amz-security-token"), Some(TOKEN));
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("heard"), "the log works: {log}");
    assert!(!holds_secrets(&log), "{log}");
}

#[tokio::test]
async fn they_are_not_printed() {
    let credentials = key().with_session_token(TOKEN).expiring(at(1000));
    let printed = format!("{credentials:?}");
    assert!(printed.contains("AKIDEXAMPLE") && !holds_secrets(&printed), "{printed}");
    let source = source_at("http://localhost", client(), credentials.clone());
    assert!(!holds_secrets(&format!("{source:?} {source}")));
    let environment = Environment::new(client(), |name| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(SECRET.to_owned()),
        "AWS_SESSION_TOKEN" | "AWS_CONTAINER_AUTHORIZATION_TOKEN" => Some(TOKEN.to_owned()),
        _ => None,
    });
    assert!(!holds_secrets(&format!("{environment:?}")));
    let function = from_fn(move |_| std::future::ready(Ok(credentials.clone())));
    assert!(!holds_secrets(&format!("{function:?}")));
}

#[tokio::test]
async fn a_server_that_repeats_them_is_not_repeated() {
    let canonical = format!(
        "The request signature we calculated does not match. The Canonical String should have been\n'POST\n/\n\n\
         x-amz-security-token:{TOKEN}\n'"
    );
    let broken = format!("{:280}{TOKEN} {SECRET}", "x");
    for reply in [
        refusal(403, "InvalidSignatureException", &canonical),
        refusal(400, "ValidationError", &format!("{SECRET} {TOKEN}")),
        refusal(400, "Throttling", TOKEN),
        Reply::Body(500, broken),
        Reply::Body(404, TOKEN.to_owned()),
        Reply::Body(200, json!({"MetricDataResults": TOKEN}).to_string()),
    ] {
        let script = Script::answering(move |_| reply.clone()).await;
        let source = source_at(&script.url(), client(), key().with_session_token(TOKEN));
        let error = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
        let text = format!("{} {error:?} {:?}", chain(&error), Missing::from(&error));
        assert!(!holds_secrets(&text), "{text}");
    }
}
