//! `Graphite` against a server on loopback that keeps steps as Whisper does.

#![cfg(feature = "graphite")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Error, Graphite, Http, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window,
    graphite::Gaps, query::Query,
};

const START: u64 = 1_800_000_000;

fn over(http: impl Into<Http>, script: &Script) -> Graphite {
    let errors = Query::proportion(
        "sumSeries(stats_counts.model.{{version}}.errors)".parse().unwrap(),
        "sumSeries(stats_counts.model.{{version}}.requests)".parse().unwrap(),
    );
    let queue = Query::values("seriesByTag('name=queue','version={{version}}')".parse().unwrap());
    Graphite::new(http, &script.url())
        .unwrap()
        .with_query(Metric::errors(), errors)
        .with_query(Metric::new("queue"), queue)
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.5.0")
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(START * 1000 + millis)
}

fn minute() -> Window {
    Window::new(at(0), at(60_000)).unwrap()
}

fn answer(series: Value) -> Reply {
    Reply::Body(200, series.to_string())
}

/// One series: seconds after the start of the history, and values.
fn series(points: &[(u64, Option<f64>)]) -> Reply {
    let points: Vec<_> = points.iter().map(|&(second, value)| json!([value, START + second])).collect();
    answer(json!([{"target": "a.b", "tags": {}, "datapoints": points}]))
}

fn nothing() -> Reply {
    answer(json!([]))
}

/// Every step of the minute.
fn whole(values: [f64; 6]) -> Reply {
    series(&[10, 20, 30, 40, 50, 60].map(|second| (second, Some(values[second as usize / 10 - 1]))))
}

async fn observe(replies: impl IntoIterator<Item = Reply>, metric: &Metric) -> Result<Measurement, Error> {
    let script = Script::serve(replies).await;
    over(client(), &script).observe(metric, &candidate(), minute()).await
}

async fn errors(replies: impl IntoIterator<Item = Reply>) -> Result<Measurement, Error> {
    observe(replies, &Metric::errors()).await
}

async fn readings(reply: Reply) -> Result<Measurement, Error> {
    observe([reply], &Metric::new("queue")).await
}

fn values(values: &[f64]) -> Measurement {
    Observation::values(values.to_vec()).unwrap().into()
}

mod question {
    use super::*;

    #[tokio::test]
    async fn it_names_the_window_and_the_side() {
        let script = Script::serve([nothing(), nothing()]).await;
        over(client(), &script).observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
        let [hits, trials] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.to_string().as_str()), ("POST", "/render"));
        let expected = [
            ("target", "sumSeries(stats_counts.model.1_5_0.errors)"),
            ("from", "1800000000"),
            ("until", "1800000060"),
            ("format", "json"),
            ("noCache", "true"),
        ];
        assert_eq!(hits.form(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(trials.form()[0].1, "sumSeries(stats_counts.model.1_5_0.requests)");
    }

    #[tokio::test]
    async fn a_value_cannot_leave_its_place() {
        let script = Script::answering(|_| nothing()).await;
        let source = over(client(), &script);
        let hostile = Selector::default().with("version", "*.{a,b}),sumSeries(x");
        source.observe(&Metric::errors(), &hostile, minute()).await.unwrap();
        assert_eq!(
            script.asked()[0].form()[0].1,
            "sumSeries(stats_counts.model.___a_b___sumSeries_x.errors)"
        );
        let fits = Selector::default().with("version", "1.5.0+b1, ü");
        source.observe(&Metric::new("queue"), &fits, minute()).await.unwrap();
        assert_eq!(script.asked()[2].form()[0].1, "seriesByTag('name=queue','version=1.5.0+b1, ü')");
        for hostile in ["", "a','name=x", "a;b=c", "a*", "~.", "a|b", "(", "\\", "a\n", "\""] {
            let selector = Selector::default().with("version", hostile);
            let error = source.observe(&Metric::new("queue"), &selector, minute()).await.unwrap_err();
            assert!(matches!(error, Error::UnfitLabel { .. }), "{hostile}: {error}");
        }
        let error = source.observe(&Metric::errors(), &Selector::default(), minute()).await.unwrap_err();
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        assert_eq!(script.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_window_within_a_second_is_not_asked() {
        let script = Script::serve([]).await;
        let window = Window::new(at(100), at(900)).unwrap();
        let error =
            over(client(), &script).observe(&Metric::errors(), &candidate(), window).await.unwrap_err();
        assert!(chain(&error).contains("no whole second"), "{}", chain(&error));
        assert!(script.asked().is_empty());
    }

    #[tokio::test]
    async fn fractions_of_seconds_move_no_stamp_into_another_window() {
        for (start, end, expected) in [(500, 1500, 1.0), (999, 1000, 1.0), (1000, 2999, 2.0)] {
            let reply = series(&[(0, Some(0.5)), (1, Some(1.0)), (2, Some(2.0)), (3, Some(4.0))]);
            let script = Script::serve([reply]).await;
            let window = Window::new(at(start), at(end)).unwrap();
            let measured = over(client(), &script).observe(&Metric::new("queue"), &candidate(), window).await;
            assert_eq!(measured.unwrap(), values(&[expected]), "{start} to {end}");
            assert_eq!(script.asked()[0].form()[1].1, (START + start / 1000).to_string());
            assert_eq!(script.asked()[0].form()[2].1, (START + end / 1000).to_string());
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let source = Graphite::new(client(), "https://user:pass@graphite/").unwrap();
        let shown = format!("{source} {source:?}");
        assert!(!shown.contains("pass") && !shown.contains("user"), "{shown}");
        Graphite::new(client(), "ftp://graphite").unwrap_err();
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn steps_are_summed() {
        let (hits, trials) = (whole([0.0, 1.0, 0.0, 0.0, 0.0, 2.0]), whole([10.0; 6]));
        assert_eq!(errors([hits, trials]).await.unwrap(), Observation::proportion(3, 60).unwrap().into());
    }

    #[tokio::test]
    async fn no_errors_yet_are_none_and_nothing_is_no_data() {
        let empty = || series(&[10, 20, 30, 40, 50, 60].map(|second| (second, None)));
        for hits in [nothing(), empty(), answer(json!([{"target": "a", "datapoints": []}]))] {
            let measured = errors([hits, whole([10.0; 6])]).await.unwrap();
            assert_eq!(measured, Observation::proportion(0, 60).unwrap().into());
        }
        for trials in [nothing(), empty(), whole([0.0; 6])] {
            assert_eq!(errors([nothing(), trials]).await.unwrap(), Missing::NoData.into());
        }
    }

    fn is_partial(measured: &Measurement, at: u64) -> bool {
        matches!(measured, Measurement::Missing(Missing::SourceError { cause, retryable: true })
            if cause.contains(&format!("no value at {}", START + at)))
    }

    #[tokio::test]
    async fn a_step_without_a_value_after_one_with_is_partial() {
        let some = Some(1.0);
        let last = [(10, some), (20, some), (30, some), (40, some), (50, some), (60, None)];
        let inner = [(10, some), (20, some), (30, None), (40, some), (50, some), (60, some)];
        let cut = [(10, some), (20, some), (30, some), (40, some)];
        for (points, gap) in [(&last[..], 60), (&inner, 30), (&cut, 50)] {
            let measured = readings(series(points)).await.unwrap();
            assert!(is_partial(&measured, gap), "{measured:?}");
            let script = Script::serve([series(points)]).await;
            let idle = over(client(), &script).with_gaps(Gaps::Idle);
            let measured = idle.observe(&Metric::new("queue"), &candidate(), minute()).await.unwrap();
            let known = points.iter().filter(|(_, value)| value.is_some()).count();
            assert_eq!(measured, values(&vec![1.0; known]));
        }
        // Trials are complete, but the last hits are not there yet.
        let measured = errors([series(&last), whole([10.0; 6])]).await.unwrap();
        assert!(is_partial(&measured, 60), "{measured:?}");
    }

    #[tokio::test]
    async fn steps_before_the_first_value_and_beyond_the_window_may_be_empty() {
        let some = Some(1.0);
        let late = [(10, None), (20, None), (30, None), (40, None), (50, some), (60, some)];
        assert_eq!(readings(series(&late)).await.unwrap(), values(&[1.0, 1.0]));
        let beyond = [(10, some), (20, some), (30, some), (40, some), (50, some), (60, some), (70, None)];
        assert_eq!(readings(series(&beyond)).await.unwrap(), values(&[1.0; 6]));
        // A step longer than the window.
        assert_eq!(readings(series(&[(60, some)])).await.unwrap(), values(&[1.0]));
    }

    #[tokio::test]
    async fn several_series_are_named_and_refused() {
        let one = |target: &str| json!({"target": target, "datapoints": []});
        let error =
            readings(answer(json!([one("a.b"), one("a.c"), one("a.d"), one("a.e")]))).await.unwrap_err();
        assert!(chain(&error).contains("4 series (a.b, a.c, a.d, …)"), "{}", chain(&error));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let one = |points: &str| Reply::Body(200, format!(r#"[{{"target":"a","datapoints":[{points}]}}]"#));
        for (reply, cause) in [
            (Reply::Body(200, "<html>hello\u{1b}[31m</html>".to_owned()), "expected JSON"),
            (Reply::Body(200, "{}".to_owned()), "expected JSON"),
            // So Graphite writes an infinity.
            (one("[1e9999, 1800000010]"), "out of range"),
            (one("[NaN, 1800000010]"), "expected JSON"),
            (one(r#"["1", 1800000010]"#), "expected JSON"),
            (one("[1]"), "expected JSON"),
            (one("[1, -10]"), "expected JSON"),
            (one("[1, 18446744073709551615]"), "no time in seconds"),
            (Reply::Body(400, "invalid target".to_owned()), "invalid target"),
            (Reply::Body(404, String::new()), "404"),
        ] {
            let error = readings(reply).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient(), "{}", chain(&error));
            assert!(chain(&error).contains(cause) && !chain(&error).contains('\u{1b}'), "{}", chain(&error));
        }
        let half = errors([nothing(), whole([0.5, 0.0, 0.0, 0.0, 0.0, 0.0])]).await.unwrap_err();
        assert!(chain(&half).contains("0.5 is no count"), "{}", chain(&half));
        // Steps that overlap the end of time, or run backwards, end nothing but the answer.
        for points in
            ["[1, 18446744073709551614], [1, 18446744073709551615]", "[1, 1800000020], [1, 1800000010]"]
        {
            drop(readings(one(points)).await);
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let script = Script::serve([Reply::Body(200, " ".repeat(100_000))]).await;
        let source = over(Http::new(client()).with_response_limit(10_000), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(chain(&error).contains("longer than 10000 bytes"), "{}", chain(&error));
    }
}

mod failure {
    use super::*;

    fn later(status: u16) -> Reply {
        Reply::With(status, vec![("retry-after", "0".to_owned())], String::new())
    }

    #[tokio::test]
    async fn refused_credentials_are_said() {
        for status in [401, 403] {
            let error = errors([Reply::Body(status, "no".to_owned())]).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn a_busy_server_is_waited_for() {
        let measured =
            errors([later(429), nothing(), later(503), later(429), whole([1.0; 6])]).await.unwrap();
        assert_eq!(measured, Observation::proportion(0, 6).unwrap().into());
    }

    #[tokio::test]
    async fn a_broken_server_is_left_after_all_tries() {
        let script = Script::answering(|_| later(500)).await;
        let source = over(client(), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }) && error.is_transient(), "{}", chain(&error));
        assert_eq!(script.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let script = Script::serve([Reply::Hang]).await;
        let source = over(Http::new(client()).with_timeout(Duration::from_millis(50)), &script);
        let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{}", chain(&error));
    }
}

mod conformance {
    use tidegate_metrics::testkit::conformance::{self, Stocked};

    use super::*;

    const STEP: u64 = 10;

    /// What the sender flushed: the second after the start at which it did, errors and requests since the flush
    /// before. It has known of errors since the first one.
    const FLUSHES: [(i64, Option<u32>, u32); 10] = [
        (-17, None, 100),
        (-7, None, 50),
        (3, None, 1),
        (13, None, 2),
        (23, Some(1), 4),
        (33, Some(0), 8),
        (43, Some(2), 16),
        (53, Some(0), 32),
        (63, Some(3), 64),
        (73, Some(4), 128),
    ];

    /// Reads `from` and `until` as Whisper does: from the step after `from`'s on, up to `until`'s.
    fn steps(asked: &Asked) -> Reply {
        let fields = asked.form();
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).unwrap().1.as_str();
        let step_of = |name: &str| field(name).parse::<u64>().unwrap() / STEP * STEP;
        let target = field("target");
        if !target.contains(".1_5_0.") {
            return nothing();
        }
        let (from, mut until) = (step_of("from") + STEP, step_of("until") + STEP);
        if from == until {
            until += STEP;
        }
        let points = (from..until).step_by(STEP as usize).map(|step| {
            let flush = FLUSHES
                .iter()
                .find(|(after, ..)| START.checked_add_signed(*after).unwrap() / STEP * STEP == step);
            let value = flush.and_then(
                |&(_, errors, requests)| {
                    if target.contains("errors") { errors } else { Some(requests) }
                },
            );
            json!([value, step])
        });
        answer(json!([{"target": target, "tags": {}, "datapoints": points.collect::<Vec<_>>()}]))
    }

    /// With cuts at 15 s, which is no multiple of the step, and windows shorter than it.
    async fn stocked_until(end: u64, hits: u64, trials: u64) -> Stocked<Graphite> {
        let script = Script::answering(steps).await;
        Stocked {
            source: over(client(), &script),
            metric: Metric::errors(),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: Window::new(at(0), at(end)).unwrap(),
            expected: Observation::proportion(hits, trials).unwrap(),
        }
    }

    /// Steps 10 to 60: the flush at 3 s lies under the stamp 0, the one at 63 s under 60.
    async fn stocked() -> Stocked<Graphite> {
        stocked_until(60_000, 6, 126).await
    }

    #[tokio::test]
    async fn answers_what_was_observed() {
        conformance::answers_what_was_observed(stocked).await;
    }

    #[tokio::test]
    async fn answers_the_same_again() {
        conformance::answers_the_same_again(stocked).await;
    }

    #[tokio::test]
    async fn says_that_nobody_was_observed() {
        conformance::says_that_nobody_was_observed(stocked).await;
    }

    #[tokio::test]
    async fn says_that_nothing_was_observed() {
        conformance::says_that_nothing_was_observed(stocked).await;
    }

    #[tokio::test]
    async fn consecutive_windows_add_up() {
        conformance::consecutive_windows_add_up(stocked).await;
        conformance::consecutive_windows_add_up(|| stocked_until(22_000, 1, 6)).await;
    }
}
