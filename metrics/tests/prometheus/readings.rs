//! Gauges, totals and native histograms, in the words of the server.

use super::*;

fn missing(measurement: Measurement) -> Missing {
    match measurement {
        Measurement::Missing(missing) => missing,
        other => panic!("{other:?} is not missing"),
    }
}

#[tokio::test]
async fn a_gauge_is_its_samples_in_the_window() {
    let queue = series(&[], &["7", "1", "0", "2.5", "3e0", "4", "5"]);
    let measured = measured("queue", [matrix([queue])]).await.unwrap();
    assert_eq!(measured, Observation::values(vec![0.0, 2.5, 3.0, 4.0]).unwrap().into());
}

#[tokio::test]
async fn several_gauges_are_no_answer_unless_it_is_said_what_they_are_together() {
    let queues = || matrix([series(&[("pod", "a")], &["1"; 6]), series(&[("pod", "b")], &["2"; 6])]);
    let error = measured("queue", [queues()]).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }));
    assert!(chain(&error).contains(r#"{instance="a",job="model",pod="a"}"#), "{}", chain(&error));
    let together = measured("queues", [queues()]).await.unwrap();
    assert_eq!(together, Observation::values(vec![3.0; 4]).unwrap().into());
}

#[tokio::test]
async fn what_is_not_finite_is_said() {
    for (odd, expected) in [
        ("NaN", Missing::NotANumber),
        ("+Inf", Missing::Infinite { negative: false }),
        ("-Inf", Missing::Infinite { negative: true }),
    ] {
        let queue = series(&[], &["1", "2", odd, "3", "4", "5"]);
        assert_eq!(missing(measured("queue", [matrix([queue])]).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn a_sum_without_its_count_is_refused() {
    let sum = series(&[("model", "a")], &["1", "2", "3", "4", "5", "6"]);
    let count = series(&[("model", "b")], &["1", "2", "3", "4", "5", "6"]);
    let error = measured("cost", [matrix([sum.clone()]), matrix([sum, count])]).await.unwrap_err();
    assert!(chain(&error).contains("no sum with the same labels"), "{}", chain(&error));
}

#[tokio::test]
async fn kinds_of_samples_are_not_mistaken_for_each_other() {
    let plain = series(&[], &["1", "2", "3", "4", "5", "6"]);
    let error = measured("native", [matrix([plain])]).await.unwrap_err();
    assert!(chain(&error).contains("plain numbers"), "{}", chain(&error));
    let native = json!({"metric": {}, "histograms": [[START + 30, {"count": "1"}]]});
    let error = measured("queue", [matrix([native])]).await.unwrap_err();
    assert!(chain(&error).contains("native histograms"), "{}", chain(&error));
}

#[tokio::test]
async fn an_old_gauge_is_stale() {
    let queue = series(&[], &["1", "2"]);
    let age = Duration::from_secs(60);
    assert_eq!(missing(measured("queue", [matrix([queue])]).await.unwrap()), Missing::Stale { age });
}

#[tokio::test]
async fn warnings_are_an_answer_in_part_and_remarks_are_not() {
    let with = |field: &str| {
        let data = json!({"resultType": "matrix", "result": [series(&[], &["1", "2", "3", "4", "5", "6"])]});
        Reply::Body(200, json!({"status": "success", field: ["PromQL info: odd"], "data": data}).to_string())
    };
    assert!(matches!(
        missing(measured("queue", [with("warnings")]).await.unwrap()),
        Missing::SourceError { retryable: true, .. }
    ));
    let remarked = measured("queue", [with("infos")]).await.unwrap();
    assert_eq!(remarked, Observation::values(vec![3.0, 4.0, 5.0, 6.0]).unwrap().into());
}
