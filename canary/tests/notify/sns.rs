//! Amazon SNS.

use std::collections::BTreeMap;

use tidegate_canary::{
    metrics::cloudwatch::{Credentials, NoCredentials, from_fn},
    notify::{Notice, Recipient, Sns, Undelivered},
};

use crate::{
    bad, chain, client,
    server::{Received, Reply, Server, with},
    webhook::clock,
};

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:deploys";

fn sns(server: &Server, topic: &str) -> Sns {
    let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        .with_session_token("FwoGZXIvYXdzEXAMPLETOKEN");
    Sns::new(client(), topic, credentials, clock()).unwrap().at(&server.at("/")).unwrap()
}

fn form(received: &Received) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{}", received.body)).unwrap();
    url.query_pairs().into_owned().collect()
}

async fn sent(notice: &Notice, topic: &str) -> BTreeMap<String, String> {
    let server = Server::new([]).await;
    sns(&server, topic).deliver(notice).await.unwrap();
    let one = server.one();
    assert_eq!(one.header("content-type"), "application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(one.header("x-amz-date"), "20210225T150210Z");
    assert_eq!(one.header("x-amz-security-token"), "FwoGZXIvYXdzEXAMPLETOKEN");
    let authorization = one.header("authorization");
    assert!(
        authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20210225/eu-central-1/sns/aws4_request, SignedHeaders=content-type;host;"
        ),
        "{authorization}"
    );
    form(&one)
}

#[tokio::test]
async fn a_notice_is_published_with_attributes() {
    let mut notice = bad();
    notice.summary = format!("serving/fraud: größer & more\n{}", "x".repeat(200));
    let form = sent(&notice, TOPIC).await;
    let subject = format!("serving/fraud: gr??er & more?{}", "x".repeat(70));
    let message = serde_json::to_string(&serde_json::to_value(&notice).unwrap()).unwrap();
    let entry = |n: u32, what: &str| format!("MessageAttributes.entry.{n}.{what}");
    let mut expected = BTreeMap::from(
        [
            ("Action", "Publish"),
            ("Version", "2010-03-31"),
            ("TopicArn", TOPIC),
            ("Subject", &format!("{subject}.")),
            ("Message", &message),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let attributes =
        [("id", &*bad().id), ("kind", "returning"), ("severity", "error"), ("route", "serving/fraud")];
    for (n, (name, value)) in (1..).zip(attributes) {
        expected.insert(entry(n, "Name"), name.to_owned());
        expected.insert(entry(n, "Value.DataType"), "String".to_owned());
        expected.insert(entry(n, "Value.StringValue"), value.to_owned());
    }
    assert_eq!(form, expected);
    assert!(form["Subject"].len() <= 100);
}

#[tokio::test]
async fn a_topic_with_an_order_gets_groups_and_ids() {
    let mut notice = bad();
    notice.id = "route/serving/fraud/6".to_owned();
    let form = sent(&notice, &format!("{TOPIC}.fifo")).await;
    // printf %s serving/fraud | sha256sum, and route/serving/fraud/6.
    assert_eq!(form["MessageGroupId"], GROUP);
    assert_eq!(form["MessageDeduplicationId"], DEDUPLICATION);
}

const GROUP: &str = "9b9f8e5fe87922a543e833edbca8924882ecd2013135b166cd2bb8610e777ce1";
const DEDUPLICATION: &str = "424759a983775420eb5a76bc677f0969417f429c03cf7f85900349fc5eb17c53";

#[tokio::test]
async fn what_it_answers_is_told_apart_and_shows_no_secret() {
    let error = |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    let server = Server::new([
        with(400, &error("InvalidParameter")),
        with(400, &error("Throttling")),
        with(403, &error("AuthorizationError")),
        with(404, &error("NotFound")),
        with(500, &error("InternalError")),
        Reply::Echoes(403),
    ])
    .await;
    let sns = sns(&server, TOPIC);
    let mut kinds = String::new();
    for _ in 0..6 {
        let error = sns.deliver(&bad()).await.unwrap_err();
        kinds.push(match error {
            Undelivered::Rejected { .. } => 'j',
            Undelivered::Refused { .. } => 'f',
            Undelivered::Unavailable { .. } => 'u',
            _ => '?',
        });
        let text = format!("{} {error:?}", chain(&error));
        assert!(!text.contains("FwoGZX") && !text.contains("wJalr"), "{text}");
    }
    assert_eq!(kinds, "juffuf");
    assert!(!format!("{sns:?}").contains("wJalr"), "{sns:?}");
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let server = Server::new([]).await;
    for transient in [true, false] {
        let none = from_fn(move |_| async move {
            Err(match transient {
                true => NoCredentials::Unavailable("the vault is closed".into()),
                false => NoCredentials::Absent("no profile".to_owned()),
            })
        });
        let sns = Sns::new(client(), TOPIC, none, clock()).unwrap().at(&server.url).unwrap();
        assert_eq!(sns.deliver(&bad()).await.unwrap_err().is_transient(), transient);
    }
    assert_eq!(server.received().len(), 0);
    for wrong in [
        "deploys",
        "arn:aws:sqs:eu-central-1:123456789012:deploys",
        "arn:aws:sns::1:x",
        "arn:aws:sns:a/b:1:x",
    ] {
        let key = Credentials::new("a", "b");
        assert!(Sns::new(client(), wrong, key, clock()).is_err(), "{wrong}");
    }
}
