//! What is made of what comes back.

use super::*;

#[tokio::test]
async fn each_period_is_stamped_with_its_end() {
    let points = [(0, 0.1), (60, 0.2), (120, 0.3), (180, 0.4), (240, 0.5)];
    assert_eq!(latency([complete(&points)]).await.unwrap(), readings(&[0.1, 0.2, 0.3, 0.4, 0.5]));
    // The period before the window and the one after it are not in it.
    let around = complete(&[(0, 0.1), (60, 0.2), (300, 0.9)]);
    assert_eq!(latency([around]).await.unwrap(), readings(&[0.1, 0.2]));
}

#[tokio::test]
async fn order_does_not_matter_and_absent_points_are_absent() {
    let descending = complete(&[(240, 0.5), (120, 0.3), (0, 0.1)]);
    assert_eq!(latency([descending]).await.unwrap(), readings(&[0.1, 0.3, 0.5]));
    assert_eq!(latency([complete(&[])]).await.unwrap(), no_data());
}

#[tokio::test]
async fn counts_are_summed_over_periods_and_no_hits_are_none() {
    let trials = || complete(&[(0, 100.0), (60, 50.0), (240, 25.0)]);
    let hits = complete(&[(60, 2.0), (0, 3.0)]);
    assert_eq!(ask(Metric::errors(), five_minutes(), [hits, trials()]).await.0.unwrap(), counted(5, 175));
    let none = complete(&[]);
    assert_eq!(ask(Metric::errors(), five_minutes(), [none, trials()]).await.0.unwrap(), counted(0, 175));
    let (nothing, _) = ask(Metric::errors(), five_minutes(), [complete(&[]), complete(&[])]).await;
    assert_eq!(nothing.unwrap(), no_data());
    let replies = [complete(&[(0, 10.5), (60, 4.5)]), complete(&[(0, 2.0), (60, 1.0)])];
    let total = Observation::total(15.0, 3).unwrap();
    assert_eq!(ask(Metric::new("tokens"), five_minutes(), replies).await.0.unwrap(), total.into());
}

#[tokio::test]
async fn a_percentile_is_no_count() {
    let replies = [complete(&[(0, 0.25)]), complete(&[(0, 10.0)])];
    let error = ask(Metric::errors(), minute(), replies).await.0.unwrap_err();
    assert!(chain(&error).contains("0.25 is no count"), "{}", chain(&error));
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let replies = [
        page(&[result("PartialData", &[(0, 0.1), (60, 0.2)])], Some("two")),
        page(&[], Some("three")),
        complete(&[(120, 0.3)]),
    ];
    let (measured, asked) = ask(Metric::latency(), five_minutes(), replies).await;
    assert_eq!(measured.unwrap(), readings(&[0.1, 0.2, 0.3]));
    let tokens: Vec<_> = asked.iter().map(|asked| asked.json()["NextToken"].clone()).collect();
    assert_eq!(tokens, [Value::Null, json!("two"), json!("three")]);
}

#[tokio::test]
async fn pages_without_end_are_no_answer() {
    let script = Script::answering(|_| page(&[result("PartialData", &[])], Some("again"))).await;
    let error = source(&script).observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
    assert!(chain(&error).contains("more than 100 pages"), "{}", chain(&error));
    assert_eq!(script.asked().len(), 100);
}

#[tokio::test]
async fn data_in_part_is_missing_and_says_why() {
    let mut partial = result("PartialData", &[(0, 0.1)]);
    partial["Messages"] = json!([{"Code": "Slow", "Value": "some \u{1b}data came late"}]);
    let measured = latency([page(&[partial], None)]).await.unwrap();
    let cause = "its status is PartialData (Slow: some  data came late)".to_owned();
    assert_eq!(measured, Missing::SourceError { cause, retryable: true }.into());
}

#[tokio::test]
async fn a_result_that_is_refused_or_broken_is_said() {
    let mut forbidden = result("Forbidden", &[]);
    forbidden["Messages"] =
        json!([{"Code": "Forbidden", "Value": "too complex to retrieve cross region data"}]);
    let error = latency([page(&[forbidden], None)]).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && chain(&error).contains("cross region"), "{error}");
    let error = latency([page(&[result("InternalError", &[(0, 1.0)])], None)]).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    let mut of_another = result("Complete", &[]);
    of_another["Id"] = json!("other");
    let mut unpaired = result("Complete", &[(0, 1.0)]);
    unpaired["Values"] = json!([]);
    let mut text = result("Complete", &[(0, 1.0)]);
    text["Values"] = json!(["many"]);
    for (reply, problem) in [
        (page(&[], None), "no result"),
        (page(&[of_another], None), "`other`"),
        (page(&[unpaired], None), "1 timestamps and 0 values"),
        (page(&[text], None), "`many` is no number"),
        (page(&[result("Odd", &[])], None), "status is `Odd`"),
        (complete(&[(30, 1.0)]), "no period of 60 s begins"),
        (complete(&[(60, 1.0), (60, 2.0)]), "two points"),
        (Reply::Body(200, "<html>".to_owned()), "not the expected JSON"),
        (Reply::Body(200, r#"{"MetricDataResults": 1}"#.to_owned()), "not the expected JSON"),
    ] {
        let error = latency([reply]).await.unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }) && chain(&error).contains(problem),
            "{}",
            chain(&error)
        );
    }
}

#[tokio::test]
async fn what_json_has_no_number_for_is_no_reading() {
    for (value, missing) in [
        ("NaN", Missing::NotANumber),
        ("Infinity", Missing::Infinite { negative: false }),
        ("-Infinity", Missing::Infinite { negative: true }),
    ] {
        let mut odd = result("Complete", &[(0, 1.0)]);
        odd["Values"] = json!([value]);
        assert_eq!(latency([page(&[odd], None)]).await.unwrap(), missing.into());
    }
}

#[tokio::test]
async fn times_may_be_written_out() {
    let mut written = result("Complete", &[(0, 1.0), (60, 2.0)]);
    written["Timestamps"] = json!(["2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"]);
    assert_eq!(latency([page(&[written.clone()], None)]).await.unwrap(), readings(&[1.0, 2.0]));
    for wrong in [json!("yesterday"), json!(1_800_000_000.5), json!(-1), json!(1e300)] {
        written["Timestamps"][0] = wrong;
        let error = latency([page(&[written.clone()], None)]).await.unwrap_err();
        assert!(chain(&error).contains("is no time"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let points: Vec<_> = (0..5).map(|i| (60 * i, 0.1)).collect();
    let script = Script::serve([complete(&points)]).await;
    let source = source_at(&script.url(), Http::new(client()).with_response_limit(100), key());
    let error = source.observe(&Metric::latency(), &candidate(), five_minutes()).await.unwrap_err();
    assert!(chain(&error).contains("longer than 100 bytes"), "{}", chain(&error));
}

mod refusals {
    use super::*;

    #[tokio::test]
    async fn throttling_is_waited_out_and_each_try_is_signed_at_its_time() {
        for throttled in [
            refusal(400, "ThrottlingException", "Rate exceeded"),
            refusal(400, "com.amazonaws.cloudwatch#Throttling", "Rate exceeded"),
            Reply::Body(503, "busy".to_owned()),
            Reply::With(429, vec![("retry-after", "0".to_owned())], String::new()),
        ] {
            let script = Script::serve([throttled, complete(&[(0, 0.1)])]).await;
            let ticks = std::sync::atomic::AtomicU64::new(0);
            let now = move || at(ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            let source = CloudWatch::new(client(), "eu-central-1", key(), now)
                .unwrap()
                .at(&script.url())
                .unwrap()
                .with_query(Metric::latency(), Query::values(stat("Latency", "p95")));
            let measured = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap();
            assert_eq!(measured, readings(&[0.1]));
            let [first, second] = [0, 1].map(|i| script.asked()[i].header("x-amz-date").unwrap().to_owned());
            assert!(first < second, "{first} {second}");
        }
    }

    #[tokio::test]
    async fn throttling_without_end_is_unavailable() {
        let script = Script::answering(|_| refusal(400, "Throttling", "Rate exceeded")).await;
        let error = source(&script).observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
        assert!(
            error.is_transient() && chain(&error).contains("Throttling: Rate exceeded"),
            "{}",
            chain(&error)
        );
        assert_eq!(script.asked().len(), 3);
    }

    #[tokio::test]
    async fn time_runs_out() {
        let script = Script::serve([Reply::Hang]).await;
        let http = Http::new(client()).with_timeout(Duration::from_millis(50));
        let source = source_at(&script.url(), http, key());
        let error = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
        assert!(error.is_transient() && chain(&error).contains("50ms"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn each_is_sorted_by_what_the_caller_can_do() {
        let not_yet = "Signature not yet current: 20270115T080320Z is still later than";
        for (status, kind, message, denied, contains) in [
            (
                403,
                "AccessDenied",
                "not authorized to perform: cloudwatch:GetMetricData",
                true,
                "GetMetricData",
            ),
            (403, "InvalidClientTokenId", "The security token is invalid", true, "security token"),
            (400, "UnrecognizedClientException", "The security token is invalid", true, "security token"),
            (400, "ExpiredTokenException", "expired", true, "ExpiredTokenException"),
            (400, "com.amazon.coral.service#AccessDeniedException", "no", true, "AccessDeniedException: no"),
            (403, "InvalidSignatureException", not_yet, true, "clock"),
            (400, "RequestExpired", "Request has expired", true, "clock"),
            (403, "SomethingNew", "no", true, "SomethingNew"),
            (
                400,
                "InvalidParameterValue",
                "The value for parameter Period is invalid",
                false,
                "Period is invalid",
            ),
            (400, "ValidationError", "StartTime must be before EndTime", false, "StartTime"),
            (404, "UnknownOperationException", "", false, "UnknownOperation"),
        ] {
            let error = latency([refusal(status, kind, message)]).await.unwrap_err();
            assert_eq!(matches!(error, Error::Denied { .. }), denied, "{kind}");
            assert_eq!(matches!(error, Error::Malformed { .. }), !denied, "{kind}");
            assert!(chain(&error).contains(contains), "{}", chain(&error));
        }
        let error = latency([Reply::Body(403, "<html>no".to_owned())]).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }) && chain(&error).contains("<html>no"), "{error}");
        let error = latency([refusal(400, "InternalServiceFault", "")]).await.unwrap_err();
        assert!(error.is_transient());
    }

    #[tokio::test]
    async fn what_it_says_is_cut_short() {
        let error =
            latency([refusal(400, "InvalidParameterValue", &"x\n".repeat(10_000))]).await.unwrap_err();
        let text = chain(&error);
        assert!(text.len() < 600 && !text.contains('\n'), "{text}");
    }
}
