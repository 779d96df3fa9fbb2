//! Against MiniStack, which has topics and queues, and against readers of Standard Webhooks and CloudEvents that
//! somebody else has written (`pip install ministack standardwebhooks cloudevents`).

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tidegate_canary::{
    WallClock,
    metrics::cloudwatch::Credentials,
    notify::{Format, Recipient, Sns, Undelivered, Webhook},
};

use crate::{bad, client, ports::free_port, promoted, server::Server, webhook::SECRET};

#[expect(
    clippy::disallowed_methods,
    reason = "a live test is told by its environment where its programs are"
)]
fn program(variable: &str, otherwise: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| otherwise.into(), PathBuf::from)
}

/// Ends when it is dropped, and with this program: a shell that holds its standard input ends it.
#[derive(Debug)]
struct MiniStack {
    url: String,
    shell: Child,
    _directory: tempfile::TempDir,
}

const SHELL: &str = r#"
cd "$1" || exit 1
"$2" >log 2>&1 &
cat >/dev/null
kill $!
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 $! 2>/dev/null || break; sleep .3; done
kill -9 $! 2>/dev/null
"#;

impl Drop for MiniStack {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ended = self.shell.wait();
    }
}

impl MiniStack {
    async fn start() -> Self {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let shell = Command::new("sh")
            .args(["-c", SHELL, "sh"])
            .arg(directory.path())
            .arg(program("MINISTACK_BIN", "ministack"))
            // Without the first it listens for everybody.
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("TMPDIR", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { url: format!("http://127.0.0.1:{port}"), shell, _directory: directory };
        for _ in 0..300 {
            if client().get(&server.url).send().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("30 s passed and MiniStack does not serve; is MINISTACK_BIN the program?");
    }

    /// An action of the protocol `query`, and the text in the first element of this name in its answer.
    async fn ask(&self, service: &str, fields: &[(&str, &str)], element: &str) -> String {
        let scope = format!("Credential=test/20270115/eu-central-1/{service}/aws4_request");
        let mut form = reqwest::Url::parse("http://x").unwrap();
        form.query_pairs_mut().extend_pairs(fields);
        let answer = client()
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
            .body(form.query().unwrap().to_owned())
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        let (_, rest) = text.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("{text}"));
        let (found, _) = rest.split_once(&format!("</{element}>")).unwrap();
        found.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }
}

#[tokio::test]
#[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
async fn ministack_hands_a_notice_on() {
    let server = MiniStack::start().await;
    let topic = server.ask("sns", &[("Action", "CreateTopic"), ("Name", "deploys")], "TopicArn").await;
    let queue = server.ask("sqs", &[("Action", "CreateQueue"), ("QueueName", "q")], "QueueUrl").await;
    let account = topic.split(':').nth(4).unwrap();
    let endpoint = format!("arn:aws:sqs:eu-central-1:{account}:q");
    let subscribe =
        [("Action", "Subscribe"), ("TopicArn", &*topic), ("Protocol", "sqs"), ("Endpoint", &*endpoint)];
    server.ask("sns", &subscribe, "SubscriptionArn").await;
    let sns = |topic: &str| {
        let credentials = Credentials::new("test", "test");
        Sns::new(client(), topic, credentials, WallClock::system()).unwrap().at(&server.url).unwrap()
    };
    sns(&topic).deliver(&bad()).await.unwrap();
    let receive = [("Action", "ReceiveMessage"), ("QueueUrl", &*queue), ("WaitTimeSeconds", "5")];
    let envelope: Value = serde_json::from_str(&server.ask("sqs", &receive, "Body").await).unwrap();
    let message: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(message, serde_json::to_value(bad()).unwrap());
    assert!(envelope["Subject"].as_str().unwrap().starts_with("serving/fraud: traffic returns"));
    let attributes = &envelope["MessageAttributes"];
    assert_eq!(attributes["id"], json!({"Type": "String", "Value": bad().id}));
    assert_eq!(attributes["severity"]["Value"], "error");
    let error = sns(&topic.replace("deploys", "nowhere")).deliver(&bad()).await.unwrap_err();
    assert!(matches!(error, Undelivered::Refused { .. }), "{error:?}");
}

const READER: &str = r#"
import json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook
for line in sys.stdin:
    sent = json.loads(line)
    verified = Webhook(sys.argv[1]).verify(sent["body"], sent["headers"])
    event = from_http_event(HTTPMessage(sent["headers"], sent["body"].encode()))
    data = event.get_data()
    data = json.loads(data) if isinstance(data, (bytes, str)) else data
    print(json.dumps({"verified": verified, "id": event.get_id(), "source": event.get_source(),
        "type": event.get_type(), "subject": event.get_subject(), "time": event.get_time().isoformat(), "data": data}))
"#;

#[tokio::test]
#[ignore = "needs a Python with standardwebhooks and cloudevents in TIDEGATE_TEST_PYTHON"]
async fn what_others_have_written_verifies_and_reads_a_webhook() {
    let server = Server::new([]).await;
    let mut expected = Vec::new();
    for format in [Format::CloudEvent, Format::CloudEventBinary] {
        let webhook = Webhook::new(client(), &server.at("/hook"), WallClock::system()).unwrap();
        let webhook = webhook.signed(SECRET.parse().unwrap()).with_format(format);
        for notice in promoted() {
            webhook.deliver(&notice).await.unwrap();
            expected.push(notice);
        }
    }
    let mut python = Command::new(program("TIDEGATE_TEST_PYTHON", "python3"))
        .args(["-c", READER, SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    for received in server.received() {
        let headers: serde_json::Map<String, Value> = received
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        writeln!(input, "{}", json!({"headers": headers, "body": received.body})).unwrap();
    }
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let read: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), expected.len());
    for (read, notice) in read.iter().zip(&expected) {
        let data = serde_json::to_value(notice).unwrap();
        assert_eq!(read["id"], notice.id);
        assert_eq!(read["source"], "/tidegate/route/serving/fraud");
        assert_eq!(read["type"], format!("dev.tidegate.rollout.{}.v1", notice.kind));
        assert_eq!(read["subject"], "ci-8841");
        assert_eq!(read["data"], data);
        let time = humantime::format_rfc3339_seconds(notice.at).to_string().replace('Z', "+00:00");
        assert_eq!(read["time"], time);
        assert!(read["verified"] == data || read["verified"]["data"] == data);
    }
}
