//! What goes over the wire.

use super::*;

/// What is signed. The signatures are those of botocore 1.44.8 (`botocore.auth.SigV4Auth`) for the same body and
/// headers at the same time with the same key, `monitoring` in eu-central-1.
const BODY: &str = r#"{"MetricDataQueries":[{"Id":"q","MetricStat":{"Metric":{"Namespace":"Model","MetricName":"Requests","Dimensions":[{"Name":"Version","Value":"1.4.0"}]},"Period":60,"Stat":"Sum"},"ReturnData":true}],"StartTime":1800000000,"EndTime":1800000060,"ScanBy":"TimestampAscending"}"#;
const SIGNATURE: &str = "ef3252bc7d86918f2a3d748a89f3cc52d24d3f5b03fe3396f78d2be9b8345ab9";
const SIGNATURE_AT_A_PATH: &str = "6df4f0c80729dd19e166c5f9c27ba9aacbf36f6c5042b4f1532cb7667b77e006";
const SIGNATURE_OF_A_SESSION: &str = "750bca0dfe5a7a68b4d2046603d5a897cb20bdb23bcb47db44344d3ddd2dae3c";

/// Sends everything to the script, which so stands at the URL that is signed.
fn through(script: &Script) -> reqwest::Client {
    reqwest::Client::builder().proxy(reqwest::Proxy::all(script.url()).unwrap()).build().unwrap()
}

/// The request for one metric that is sent to `url`. In the clear, since a script speaks no TLS; the scheme is not
/// signed.
async fn sent_to(url: &str, credentials: Credentials) -> Asked {
    let script = Script::serve([complete(&[(0, 3.0)])]).await;
    let requests = Query::values(stat("Requests", "Sum"));
    source_at(url, through(&script), credentials)
        .with_query(Metric::new("requests"), requests)
        .observe(&Metric::new("requests"), &candidate(), minute())
        .await
        .unwrap();
    script.asked().remove(0)
}

fn authorization(headers: &str, signature: &str) -> String {
    let scope = "Credential=AKIDEXAMPLE/20270115/eu-central-1/monitoring/aws4_request";
    format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders={headers}, Signature={signature}")
}

#[tokio::test]
async fn a_request_is_signed_as_botocore_signs_it() {
    for (credentials, token, headers, signature) in [
        (key(), None, "content-type;host;x-amz-date;x-amz-target", SIGNATURE),
        (
            key().with_session_token(TOKEN),
            Some(TOKEN),
            "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
            SIGNATURE_OF_A_SESSION,
        ),
    ] {
        let asked = sent_to("http://monitoring.eu-central-1.amazonaws.com/", credentials).await;
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.uri.path(), "/");
        assert_eq!(asked.header("host"), Some("monitoring.eu-central-1.amazonaws.com"));
        assert_eq!(asked.header("content-type"), Some("application/x-amz-json-1.0"));
        assert_eq!(asked.header("x-amz-target"), Some("GraniteServiceVersion20100801.GetMetricData"));
        assert_eq!(asked.header("x-amz-date"), Some("20270115T080320Z"));
        assert_eq!(asked.header("x-amz-security-token"), token);
        assert_eq!(asked.body, BODY);
        assert_eq!(asked.header("authorization").unwrap(), authorization(headers, signature));
    }
}

#[tokio::test]
async fn a_port_and_a_path_are_signed_and_a_password_is_left_out() {
    let asked = sent_to("http://ada:pass@127.0.0.1:4566/a%20b/", key()).await;
    assert_eq!(asked.uri.path(), "/a%20b");
    assert_eq!(asked.header("host"), Some("127.0.0.1:4566"));
    let expected = authorization("content-type;host;x-amz-date;x-amz-target", SIGNATURE_AT_A_PATH);
    assert_eq!(asked.header("authorization").unwrap(), expected);
}

#[tokio::test]
async fn everything_that_a_metric_has_is_asked_for() {
    let script = Script::serve([complete(&[(0, 3.0)])]).await;
    let written = json!({
        "namespace": "AWS/SageMaker", "metricName": "ModelLatency", "stat": "tm99.9", "period": 300,
        "dimensions": {"VariantName": "v-{{version}}", "EndpointName": "support"},
        "unit": "Microseconds", "accountId": "123456789012",
    });
    let read: MetricStat = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
    let source = source(&script).with_query(Metric::latency(), Query::values(read));
    source.observe(&Metric::latency(), &candidate(), five_minutes()).await.unwrap();
    let expected = json!({
        "MetricDataQueries": [{
            "Id": "q", "ReturnData": true, "AccountId": "123456789012",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker", "MetricName": "ModelLatency",
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": "support"},
                        {"Name": "VariantName", "Value": "v-1.4.0"},
                    ],
                },
                "Period": 300, "Stat": "tm99.9", "Unit": "Microseconds",
            },
        }],
        "StartTime": START, "EndTime": START + 300, "ScanBy": "TimestampAscending",
    });
    assert_eq!(script.asked()[0].json(), expected);
}

#[tokio::test]
async fn nothing_is_sent_without_every_label_nor_with_one_that_cloudwatch_cannot_take() {
    let script = Script::serve([]).await;
    let source = source(&script);
    let ask = async |selector: Selector| source.observe(&Metric::errors(), &selector, minute()).await;
    let missing = ask(Selector::default()).await.unwrap_err();
    assert!(matches!(&missing, Error::MissingLabel { label, .. } if label == "version"), "{missing}");
    for value in ["", " ", "größer", "a\nb", &"x".repeat(1025)] {
        let unfit = ask(Selector::default().with("version", value)).await.unwrap_err();
        assert!(matches!(&unfit, Error::UnfitLabel { label, .. } if label == "version"), "{unfit}");
    }
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn a_window_that_is_not_whole_periods_is_refused_before_anything_is_sent() {
    let script = Script::serve([]).await;
    let source = source(&script)
        .with_query(Metric::new("fine"), Query::values(stat("Latency", "p95").every(1).unwrap()));
    let half = Duration::from_millis(500);
    for (metric, start, end, problem) in [
        ("latency", at(0), at(90), "a period of 60 s"),
        ("latency", at(30), at(90), "a period of 60 s"),
        ("fine", at(0) + half, at(60) + half, "a period of 1 s"),
        ("fine", at(0), at(100_801), "100801 periods"),
    ] {
        let window = Window::new(start, end).unwrap();
        let error = source.observe(&Metric::new(metric), &candidate(), window).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains("nothing was sent") && text.contains(problem), "{text}");
        assert!(!error.is_transient());
    }
    assert!(script.asked().is_empty());
}

#[test]
fn what_cloudwatch_would_refuse_cannot_be_written() {
    let good = || MetricStat::new("Model", "Latency", [("Version", "{{version}}")], "p95");
    let many = || (0..31).map(|i| (format!("D{i}"), "{{version}}"));
    for (wrong, problem) in [
        (MetricStat::new("", "Latency", [("Version", "{{version}}")], "p95"), "namespace"),
        (MetricStat::new(":Model", "Latency", [("Version", "{{version}}")], "p95"), "colon"),
        (MetricStat::new("Model", "Länge", [("Version", "{{version}}")], "p95"), "ASCII"),
        (MetricStat::new("Model", "L", [(":Version", "{{version}}")], "p95"), "colon"),
        (MetricStat::new("Model", "L", [("Version", "1.4.0")], "p95"), "{{label}}"),
        (MetricStat::new("Model", "L", [("Version", "{{version}")], "p95"), "`Version` is no template"),
        (MetricStat::new("Model", "L", [("Version", "{{version}}"), ("A", "")], "p95"), "empty"),
        (MetricStat::new("Model", "L", [("Version", "{{version}}")], "p950"), "more than 100"),
        (MetricStat::new("Model", "L", many(), "p95"), "at most 30"),
        (good().unwrap().every(0), "multiple of 60"),
        (good().unwrap().every(90), "multiple of 60"),
        (good().unwrap().in_unit("ms"), "Milliseconds"),
        (good().unwrap().of_account("12345"), "twelve digits"),
    ] {
        let text = chain(&wrong.unwrap_err());
        assert!(text.contains(problem), "{text}");
    }
    for seconds in [1, 5, 10, 20, 30, 60, 300, 86_400] {
        good().unwrap().every(seconds).unwrap();
    }
    for (field, value) in [("stat", json!("sum")), ("period", json!(7)), ("unti", json!("Seconds"))] {
        let mut written = serde_json::to_value(good().unwrap()).unwrap();
        written[field] = value;
        serde_json::from_value::<MetricStat>(written).unwrap_err();
    }
}

#[test]
fn each_region_has_its_endpoint() {
    for (region, endpoint) in [
        ("eu-central-1", "https://monitoring.eu-central-1.amazonaws.com/"),
        ("us-gov-west-1", "https://monitoring.us-gov-west-1.amazonaws.com/"),
        ("cn-north-1", "https://monitoring.cn-north-1.amazonaws.com.cn/"),
        ("eusc-de-east-1", "https://monitoring.eusc-de-east-1.amazonaws.eu/"),
        ("us-iso-east-1", "https://monitoring.us-iso-east-1.c2s.ic.gov/"),
        ("us-isob-east-1", "https://monitoring.us-isob-east-1.sc2s.sgov.gov/"),
    ] {
        let source = CloudWatch::new(client(), region, key(), || at(0)).unwrap();
        assert_eq!(source.to_string(), format!("CloudWatch at {endpoint}"));
    }
    for wrong in ["", "eu central", "Frankfurt", "evil.example/", "a@b"] {
        let error = CloudWatch::new(client(), wrong, key(), || at(0)).unwrap_err();
        assert!(error.to_string().contains("eu-central-1"), "{error}");
    }
    CloudWatch::new(client(), "eu-central-1", key(), || at(0)).unwrap().at("ftp://host").unwrap_err();
}
