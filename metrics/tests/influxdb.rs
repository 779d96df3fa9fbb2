//! `InfluxDb` and `InfluxDb3` against servers on loopback that keep points as InfluxDB does.

#![cfg(feature = "influxdb")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod script;

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use script::{Asked, Reply, Script, chain, client};
use serde_json::{Value, json};
use tidegate_metrics::{
    Error, Http, InfluxDb, InfluxDb3, Measurement, Metric, MetricsSource, Missing, Observation, Selector,
    Window,
    influxdb::{FluxQuery, SqlQuery},
    query::Query,
};

const START: u64 = 1_800_000_000;
const TOKEN: &str = "t0k3n-5D41402A==";

/// What a version must not be able to do, whatever it is called.
const HOSTILE: [&str; 9] = [
    "a\" or true or \"",
    "$\" or true or r.v == \"",
    "${exit()}",
    "a' OR 'a'='a",
    "a\\",
    "a\\\" --",
    "a\n// b\r\t",
    "\0\u{1b}[31m$",
    "{{start}} $label0 é",
];

fn flux(field: &str) -> FluxQuery {
    format!(
        "from(bucket: \"models\") |> range(start: {{{{start}}}}, stop: {{{{end}}}}) |> filter(fn: (r) => \
         r.version == \"{{{{version}}}}\" and r._field == \"{field}\") |> group() |> sum()"
    )
    .parse()
    .unwrap()
}

fn sql(field: &str) -> SqlQuery {
    format!(
        "SELECT sum({field}) AS n FROM requests WHERE version = {{{{version}}}} AND time > {{{{start}}}} AND \
         time <= {{{{end}}}}"
    )
    .parse()
    .unwrap()
}

fn over(http: impl Into<Http>, script: &Script) -> InfluxDb {
    InfluxDb::new(http, &script.url(), "ml & ops", &HeaderValue::from_static(TOKEN))
        .unwrap()
        .with_query(Metric::errors(), Query::proportion(flux("errors"), flux("total")))
        .with_query(Metric::latency(), Query::values(flux("latency")))
}

fn over3(http: impl Into<Http>, script: &Script) -> InfluxDb3 {
    InfluxDb3::new(http, &script.url(), "models", &HeaderValue::from_static(TOKEN))
        .unwrap()
        .with_query(Metric::errors(), Query::proportion(sql("errors"), sql("total")))
        .with_query(Metric::latency(), Query::values(sql("latency")))
}

fn candidate() -> Selector {
    Selector::default().with("version", "1.5.0")
}

fn at(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START) + Duration::from_nanos(nanoseconds)
}

fn minute() -> Window {
    Window::new(at(0), at(60_000_000_000)).unwrap()
}

fn csv(text: &str) -> Reply {
    Reply::With(200, vec![("content-type", "text/csv; charset=utf-8".to_owned())], text.replace('\n', "\r\n"))
}

/// One table, as the server writes it.
fn table(datatype: &str, rows: &[&str]) -> Reply {
    let rows: String = rows.iter().map(|value| format!(",,0,{value}\n")).collect();
    csv(&format!(
        "#datatype,string,long,{datatype}\n#group,false,false,false\n#default,_result,,\n,result,table,_value\n{rows}\n"
    ))
}

/// The same with times, in seconds of the minute.
fn timed(rows: &[(&str, &str)]) -> Reply {
    let rows: String = rows.iter().map(|(time, value)| format!(",,0,{time},{value}\n")).collect();
    csv(&format!(
        "#datatype,string,long,dateTime:RFC3339,double\n#group,false,false,false,false\n#default,_result,,,\n\
         ,result,table,_time,_value\n{rows}\n"
    ))
}

fn rows(rows: Value) -> Reply {
    Reply::Body(200, rows.to_string())
}

async fn latency(reply: Reply) -> Result<Measurement, Error> {
    let script = Script::serve([reply]).await;
    over(client(), &script).observe(&Metric::latency(), &candidate(), minute()).await
}

async fn latency3(reply: Reply) -> Result<Measurement, Error> {
    let script = Script::serve([reply]).await;
    over3(client(), &script).observe(&Metric::latency(), &candidate(), minute()).await
}

fn values(values: &[f64]) -> Measurement {
    Observation::values(values.to_vec()).unwrap().into()
}

/// The text in the string that stands after `before`, read by Flux's rules: a backslash with `n`, `r`, `t`, `"`,
/// `\`, `${` or `x` and two digits; a dollar with what comes after it. And what comes after the string.
fn flux_string<'a>(query: &'a str, before: &str) -> (String, &'a str) {
    let text = query.split_once(before).unwrap().1;
    let mut bytes = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let next = rest.chars().next().expect("the string ends");
        match next {
            '"' => return (String::from_utf8(bytes).unwrap(), &rest[1..]),
            '\\' if rest[1..].starts_with('x') => {
                bytes.push(u8::from_str_radix(&rest[2..4], 16).unwrap());
                at += 4;
            }
            '\\' => {
                let (escaped, length) = match &rest[1..2] {
                    "n" => (b'\n', 2),
                    "r" => (b'\r', 2),
                    "t" => (b'\t', 2),
                    "\\" => (b'\\', 2),
                    "\"" => (b'"', 2),
                    "$" if rest[2..].starts_with('{') => (b'$', 2),
                    other => panic!("no escape of Flux: {other}"),
                };
                bytes.push(escaped);
                at += length;
            }
            '$' => {
                let second = rest[1..].chars().next().unwrap();
                assert_ne!(second, '{', "an expression begins");
                assert_ne!(second, '"', "the string ends in a dollar");
                bytes.extend_from_slice(&rest.as_bytes()[..1 + second.len_utf8()]);
                at += 1 + second.len_utf8();
            }
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                at += other.len_utf8();
            }
        }
    }
}

mod flux_question {
    use super::*;

    #[tokio::test]
    async fn it_names_the_organisation_the_dialect_and_the_window() {
        let script = Script::serve([table("long", &["1"]), table("long", &["9"])]).await;
        let measured = over(client(), &script).observe(&Metric::errors(), &candidate(), minute()).await;
        assert_eq!(measured.unwrap(), Observation::proportion(1, 9).unwrap().into());
        let [hits, trials] = <[Asked; 2]>::try_from(script.asked()).unwrap();
        assert_eq!((hits.method.as_str(), hits.uri.path()), ("POST", "/api/v2/query"));
        assert_eq!(hits.query(), [("org".to_owned(), "ml & ops".to_owned())]);
        assert_eq!(hits.header("authorization"), Some("Token t0k3n-5D41402A=="));
        assert_eq!(hits.header("accept"), Some("application/csv"));
        assert_eq!(hits.header("content-type"), Some("application/json"));
        assert_eq!(hits.json()["dialect"]["annotations"], json!(["datatype", "group", "default"]));
        // Flux excludes the stop, a window the start.
        assert_eq!(
            hits.json()["query"],
            "from(bucket: \"models\") |> range(start: 2027-01-15T08:00:00.000000001Z, \
             stop: 2027-01-15T08:01:00.000000001Z) |> filter(fn: (r) => r.version == \"1.5.0\" and \
             r._field == \"errors\") |> group() |> sum()"
        );
        assert!(trials.json()["query"].as_str().unwrap().contains("r._field == \"total\""));
    }

    #[tokio::test]
    async fn a_value_stays_a_string() {
        let script = Script::answering(|_| table("long", &["1"])).await;
        let source = over(client(), &script);
        for hostile in HOSTILE {
            let selector = Selector::default().with("version", hostile);
            source.observe(&Metric::latency(), &selector, minute()).await.unwrap();
            let asked = script.asked().last().unwrap().json();
            let (read, after) = flux_string(asked["query"].as_str().unwrap(), "r.version == \"");
            assert_eq!(read, hostile);
            assert_eq!(after, " and r._field == \"latency\") |> group() |> sum()");
        }
    }

    #[tokio::test]
    async fn a_missing_label_is_named_before_anything_is_sent() {
        let script = Script::serve([]).await;
        let observed =
            over(client(), &script).observe(&Metric::errors(), &Selector::default(), minute()).await;
        let error = observed.unwrap_err();
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        assert!(script.asked().is_empty());
    }

    #[test]
    fn queries_that_hide_something_are_refused() {
        let range = "range(start: {{start}}, stop: {{end}})";
        for (text, problem) in [
            ("range(start: -5m) |> f(v: \"{{v}}\")".to_owned(), "does not name the window"),
            ("range(start: {{start}}) |> f(v: \"{{v}}\")".to_owned(), "does not name the window"),
            (range.to_owned(), "no label"),
            (format!("{range} |> f(v: {{{{v}}}})"), "inside a double-quoted string"),
            (format!("{range} // \" \n |> f(v: {{{{v}}}}) // \""), "a comment"),
            (format!("{range} |> f(v: \"${{{{v}}}}\")"), "`${`"),
            (format!("{range} |> f(v: \"${{r.v}} {{{{v}}}}\")"), "`${`"),
            (format!("{range} |> f(v: \"$\\\", w: {{{{v}}}}, x: \"\")"), "`$\\`"),
            (format!("{range} |> f(x: r.a =~ /\"/, v: {{{{v}}}}, y: r.a =~ /\"/)"), "a regular expression"),
            (format!("{range} |> f(x: return /\"/, v: {{{{v}}}}, y: /\"/)"), "a regular expression"),
            (format!("{range} |> f(v: r.a =~ /{{{{v}}}}/)"), "a regular expression"),
        ] {
            let error = text.parse::<FluxQuery>().unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
        for text in [
            format!(
                "{range} |> f(v: r.a / r.b, w: \"a/b//c\", u: 2 / 3, x: r.y =~ /^a\\/b$/ and r.v == \"{{{{v}}}}\")"
            ),
            format!(
                "{range} |> map(fn: (r) => ({{r with _value: (r.a) / r[\"b\"] / 2.0}})) |> f(v: \"\\\\{{{{v}}}}\")"
            ),
        ] {
            let query: FluxQuery = text.parse().unwrap();
            let written = serde_json::to_string(&query).unwrap();
            assert_eq!(serde_json::from_str::<FluxQuery>(&written).unwrap().to_string(), text);
        }
    }
}

mod flux_answer {
    use super::*;

    #[tokio::test]
    async fn nothing_is_no_data() {
        for reply in [csv(""), csv("\n"), csv("\n\n"), table("double", &[]), table("double", &[""])] {
            assert_eq!(latency(reply).await.unwrap(), Missing::NoData.into());
        }
        // An empty table tells its group key by defaults.
        let empty = csv("#datatype,string,long,string,double\n#group,false,false,true,false\n\
            #default,_result,0,api,\n,result,table,host,_value\n\n");
        assert_eq!(latency(empty).await.unwrap(), Missing::NoData.into());
    }

    #[tokio::test]
    async fn rows_are_of_their_time() {
        let measured = latency(timed(&[
            ("2027-01-15T08:00:00Z", "1"),
            ("2027-01-15T08:00:00.000000001Z", "2"),
            ("2027-01-15T08:00:30Z", ""),
            ("2027-01-15T08:01:00Z", "4"),
            // The end of the range, as `aggregateWindow` stamps its last one.
            ("2027-01-15T08:01:00.000000001Z", "8"),
            ("2027-01-15T08:01:00.000000002Z", "16"),
        ]));
        assert_eq!(measured.await.unwrap(), values(&[2.0, 4.0, 8.0]));
    }

    #[tokio::test]
    async fn what_is_not_finite_is_said() {
        for (value, missing) in [
            ("NaN", Missing::NotANumber),
            ("+Inf", Missing::Infinite { negative: false }),
            ("-Inf", Missing::Infinite { negative: true }),
        ] {
            assert_eq!(latency(table("double", &[value])).await.unwrap(), missing.into());
        }
    }

    #[tokio::test]
    async fn several_tables_are_named_and_refused() {
        let head = "#datatype,string,long,dateTime:RFC3339,string,string,double\n\
            #group,false,false,true,true,true,false\n#default,_result,,,,,\n\
            ,result,table,_start,host,code,_value\n";
        let time = "2027-01-15T08:00:00Z";
        let one_head = format!("{head},,0,{time},a,200,1\n,,1,{time},b,200,2\n");
        let own_heads = format!("{head},,0,{time},a,200,1\n\n{head},,1,{time},b,200,2\n");
        for text in [one_head, own_heads] {
            let error = latency(csv(&text)).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains("(host=a code=200; host=b code=200; …)"), "{}", chain(&error));
        }
        let yields = "#datatype,string,long,double\n#group,false,false,false\n#default,RESULT,,\n\
            ,result,table,_value\n,,0,1\n";
        let two = format!("{}\n{}", yields.replace("RESULT", "a"), yields.replace("RESULT", "b"));
        assert!(chain(&latency(csv(&two)).await.unwrap_err()).contains("several tables"));
    }

    #[tokio::test]
    async fn an_error_after_the_beginning_is_an_answer_in_part() {
        let error = "#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n,\"memory \"\"limit\"\"\",\n";
        let late = "#datatype,string,long,double\n#group,false,false,false\n#default,_result,,\n\
            ,result,table,_value\n,,0,1\n";
        for text in [
            error.to_owned(),
            format!("{late}\n{error}"),
            "error,reference\n\"memory \"\"limit\"\"\",897\n".to_owned(),
        ] {
            let measured = latency(csv(&text)).await.unwrap();
            assert!(
                matches!(&measured, Measurement::Missing(Missing::SourceError { cause, retryable: true })
                    if cause.contains("memory \"limit\"")),
                "{measured:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        let head = "#datatype,string,long,double\n#group,false,false,false\n#default,_result,,\n";
        for (reply, cause) in [
            (csv("<html>\n<body>hello\u{1b}[31m, you</body>\n"), "annotations are missing"),
            (csv(",result,table,_value\n,_result,0,1\n"), "annotations are missing"),
            (csv("#group,false\n"), "no header"),
            (csv(&format!("{head},result,table,_value\n,,0,1,2\n")), "5 columns, its header 4"),
            (csv(&format!("{head},result,table,n\n,,0,1\n")), "no column `_value`, but n"),
            (csv(&format!("{head},result,table,_value\n,,0,1\n,,0,2\n")), "2 rows without `_time`"),
            (table("string", &["many"]), "type string"),
            (table("boolean", &["true"]), "type boolean"),
            (table("double", &["many"]), "no number: many"),
            (timed(&[("yesterday", "1")]), "no time: yesterday"),
            (Reply::Body(404, json!({"code": "not found"}).to_string()), "not found"),
            (Reply::Body(400, "error @1:1-1:2: undefined".to_owned()), "undefined"),
            (Reply::Body(200, " ".repeat(20_000)), "longer than 10000 bytes"),
        ] {
            let script = Script::serve([reply]).await;
            let source = over(Http::new(client()).with_response_limit(10_000), &script);
            let error = source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains(cause) && !chain(&error).contains('\u{1b}'), "{}", chain(&error));
        }
    }
}

mod sql_question {
    use super::*;

    #[tokio::test]
    async fn labels_are_parameters() {
        let script = Script::answering(|_| rows(json!([{"n": 1}]))).await;
        let source = over3(client(), &script);
        for hostile in HOSTILE.into_iter().chain(["1.5.0", ""]) {
            let selector = Selector::default().with("version", hostile);
            source.observe(&Metric::latency(), &selector, minute()).await.unwrap();
            let asked = script.asked().pop().unwrap();
            assert_eq!(
                (asked.method.as_str(), asked.uri.to_string().as_str()),
                ("POST", "/api/v3/query_sql")
            );
            assert_eq!(asked.header("authorization"), Some("Bearer t0k3n-5D41402A=="));
            assert_eq!(
                asked.json(),
                json!({
                    "db": "models",
                    "q": "SELECT sum(latency) AS n FROM requests WHERE version = $label0 AND \
                        time > '2027-01-15T08:00:00.000000000Z' AND time <= '2027-01-15T08:01:00.000000000Z'",
                    "params": {"label0": hostile},
                    "format": "json",
                })
            );
        }
        let error = source.observe(&Metric::errors(), &Selector::default(), minute()).await.unwrap_err();
        assert!(matches!(&error, Error::MissingLabel { label, .. } if label == "version"), "{error}");
        assert_eq!(script.asked().len(), HOSTILE.len() + 2);
    }

    #[test]
    fn gaps_stand_for_whole_values() {
        let window = "time > {{start}} AND time <= {{end}}";
        for (text, problem) in [
            (format!("SELECT n FROM r WHERE v = '{{{{v}}}}' AND {window}"), "without quotes"),
            (format!("SELECT n FROM r WHERE \"{{{{v}}}}\" = 1 AND {window}"), "without quotes"),
            (
                "SELECT n FROM r WHERE v = {{v}} AND time > '{{start}}' AND time <= {{end}}".to_owned(),
                "without quotes",
            ),
            ("SELECT n FROM r WHERE v = {{v}} AND time > {{start}}".to_owned(), "does not name the window"),
            (format!("SELECT n FROM r WHERE {window}"), "no label"),
            (format!("SELECT 'n FROM r WHERE v = {{{{v}}}} AND {window}"), "quotes"),
        ] {
            let error = text.parse::<SqlQuery>().unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
        let text =
            format!("SELECT n FROM r WHERE a = {{{{v}}}} OR b = {{{{v}}}} AND c = 'it''s' AND {window}");
        let query: SqlQuery = serde_json::from_value(json!(text)).unwrap();
        assert_eq!(query.to_string(), text);
    }
}

mod sql_answer {
    use super::*;

    #[tokio::test]
    async fn nothing_is_no_data() {
        // A sum of nothing is null, and what is null is left out.
        for reply in [rows(json!([])), rows(json!([{}])), rows(json!([{"time": "2027-01-15T08:01:00"}]))] {
            assert_eq!(latency3(reply).await.unwrap(), Missing::NoData.into());
        }
        assert_eq!(latency3(rows(json!([{"n": null}]))).await.unwrap(), Missing::NotANumber.into());
    }

    #[tokio::test]
    async fn rows_are_of_their_time() {
        let measured = latency3(rows(json!([
            {"time": "2027-01-15T08:00:00", "n": 1},
            {"time": "2027-01-15T08:00:00.000000001", "n": 2},
            {"time": "2027-01-15T08:00:30.5"},
            {"n": 4.5, "time": "2027-01-15T08:01:00Z"},
            {"n": 8, "time": "2027-01-15T08:01:00.000000001"},
        ])));
        assert_eq!(measured.await.unwrap(), values(&[2.0, 4.5]));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_refused() {
        for (reply, cause) in [
            (rows(json!([{"n": 1, "m": 2, "time": "2027-01-15T08:00:01"}])), "several columns (m, n)"),
            (rows(json!([{"n": 1}, {"m": 2}])), "several columns (n, m)"),
            (rows(json!([{"n": 1}, {"n": 2}])), "2 rows without `time`"),
            (rows(json!([{"n": "1"}])), "`n` is no number"),
            (rows(json!([{"n": true}])), "`n` is no number"),
            (rows(json!([{"n": 1, "time": 3}])), "`time` is no time"),
            (rows(json!([{"n": 1, "time": "2027-01-15T08:00:00+01:00"}])), "no time in UTC"),
            (rows(json!({"error": "what?"})), "expected JSON"),
            (Reply::Body(200, "[{\"n\":1},".to_owned()), "expected JSON"),
            (Reply::Body(200, "<html>\u{1b}</html>".to_owned()), "expected JSON"),
            (Reply::Body(400, "SQL error: ParserError".to_owned()), "ParserError"),
        ] {
            let error = latency3(reply).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{}", chain(&error));
            assert!(chain(&error).contains(cause), "{}", chain(&error));
        }
    }
}

mod failure {
    use super::*;

    fn later(status: u16) -> Reply {
        Reply::With(status, vec![("retry-after", "0".to_owned())], String::new())
    }

    async fn both(replies: impl Fn() -> Vec<Reply>, http: Http) -> [Result<Measurement, Error>; 2] {
        let (script, script3) = (Script::serve(replies()).await, Script::serve(replies()).await);
        [
            over(http.clone(), &script).observe(&Metric::latency(), &candidate(), minute()).await,
            over3(http, &script3).observe(&Metric::latency(), &candidate(), minute()).await,
        ]
    }

    #[tokio::test]
    async fn refused_credentials_are_said() {
        for status in [401, 403] {
            for result in both(|| vec![Reply::Body(status, "no".to_owned())], client().into()).await {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
            }
        }
    }

    #[tokio::test]
    async fn a_busy_server_is_waited_for_and_a_broken_one_left() {
        let script = Script::serve([later(429), table("long", &["3"])]).await;
        let measured = over(client(), &script).observe(&Metric::latency(), &candidate(), minute()).await;
        assert_eq!(measured.unwrap(), values(&[3.0]));
        let script = Script::serve([later(503), rows(json!([{"n": 3}]))]).await;
        let measured = over3(client(), &script).observe(&Metric::latency(), &candidate(), minute()).await;
        assert_eq!(measured.unwrap(), values(&[3.0]));
        for result in both(|| vec![later(500), later(502), later(503)], client().into()).await {
            let error = result.unwrap_err();
            assert!(error.is_transient() && chain(&error).contains("503"), "{}", chain(&error));
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_left() {
        let http = Http::new(client()).with_timeout(Duration::from_millis(50));
        for result in both(|| vec![Reply::Hang], http).await {
            assert!(result.unwrap_err().is_transient());
        }
    }

    #[tokio::test]
    async fn secrets_are_not_shown() {
        let script = Script::answering(|_| Reply::Body(401, "unauthorized access".to_owned())).await;
        let url = script.url().replace("http://", "http://user:pa55@");
        let token = HeaderValue::from_static(TOKEN);
        let two = InfluxDb::new(client(), &url, "ml", &token).unwrap();
        let two = two.with_query(Metric::errors(), Query::values(flux("errors")));
        let three = InfluxDb3::new(client(), &url, "models", &token).unwrap();
        let three = three.with_query(Metric::errors(), Query::values(sql("errors")));
        let errors = [
            two.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err(),
            three.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err(),
        ];
        let shown =
            format!("{two} {two:?} {three} {three:?} {errors:?} {} {}", chain(&errors[0]), chain(&errors[1]));
        assert!(!shown.contains("t0k3n") && !shown.contains("pa55"), "{shown}");
        InfluxDb::new(client(), "ftp://influx", "ml", &token).unwrap_err();
        InfluxDb3::new(client(), "localhost:8181", "ml", &token).unwrap_err();
    }
}

mod conformance {
    use tidegate_metrics::testkit::conformance::{self, Stocked};

    use super::*;

    /// Points of version 1.5.0: nanoseconds after the start, errors and requests. Some lie on the bounds and cuts
    /// of the window, and a nanosecond beside them.
    const POINTS: [(i64, u64, u64); 11] = [
        (-1, 100, 500),
        (0, 200, 1000),
        (1, 1, 1),
        (14_999_999_999, 0, 2),
        (15_000_000_000, 1, 4),
        (15_000_000_001, 0, 8),
        (30_000_000_000, 3, 16),
        (45_000_000_000, 0, 32),
        (59_999_999_999, 1, 64),
        (60_000_000_000, 2, 128),
        (60_000_000_001, 300, 2000),
    ];

    fn since_start(time: &str) -> i64 {
        let at = humantime::parse_rfc3339(time).unwrap();
        match at.duration_since(super::at(0)) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap(),
        }
    }

    fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
        text.split_once(before).unwrap().1.split_once(after).unwrap().0
    }

    /// The sum over the points that `is_inside`, none if there are none.
    fn sum(is_errors: bool, is_inside: impl Fn(i64) -> bool) -> Option<u64> {
        let inside: Vec<_> = POINTS.iter().filter(|(at, ..)| is_inside(*at)).collect();
        let sum = inside.iter().map(|(_, errors, total)| if is_errors { errors } else { total }).sum();
        (!inside.is_empty()).then_some(sum)
    }

    /// Flux: from the start on, and before the stop.
    fn two(asked: &Asked) -> Reply {
        let query = asked.json()["query"].as_str().unwrap().to_owned();
        let (start, stop) =
            (since_start(between(&query, "start: ", ",")), since_start(between(&query, "stop: ", ")")));
        assert!(start < stop, "cannot query an empty range");
        if !query.contains("r.version == \"1.5.0\"") {
            return csv("\n");
        }
        let sum = sum(query.contains("\"errors\""), |at| start <= at && at < stop);
        sum.map_or_else(|| csv("\n"), |sum| table("long", &[&sum.to_string()]))
    }

    /// SQL: after the start, and up to the end. A sum of nothing is null, and left out.
    fn three(asked: &Asked) -> Reply {
        let question = asked.json();
        let query = question["q"].as_str().unwrap();
        let (start, end) =
            (since_start(between(query, "time > '", "'")), since_start(between(query, "time <= '", "'")));
        let is_candidate = question["params"]["label0"] == "1.5.0" && query.contains("version = $label0 ");
        let sum = sum(query.contains("sum(errors)"), |at| is_candidate && start < at && at <= end);
        rows(sum.map_or_else(|| json!([{}]), |sum| json!([{"n": sum}])))
    }

    fn stocked<S>(source: S) -> Stocked<S> {
        Stocked {
            source,
            metric: Metric::errors(),
            selector: candidate(),
            nobody: Selector::default().with("version", "0.0.0"),
            window: minute(),
            expected: Observation::proportion(8, 255).unwrap(),
        }
    }

    async fn stocked2() -> Stocked<InfluxDb> {
        stocked(over(client(), &Script::answering(two).await))
    }

    async fn stocked3() -> Stocked<InfluxDb3> {
        stocked(over3(client(), &Script::answering(three).await))
    }

    #[tokio::test]
    async fn answers_what_was_observed() {
        conformance::answers_what_was_observed(stocked2).await;
        conformance::answers_what_was_observed(stocked3).await;
    }

    #[tokio::test]
    async fn answers_the_same_again() {
        conformance::answers_the_same_again(stocked2).await;
        conformance::answers_the_same_again(stocked3).await;
    }

    #[tokio::test]
    async fn says_that_nobody_was_observed() {
        conformance::says_that_nobody_was_observed(stocked2).await;
        conformance::says_that_nobody_was_observed(stocked3).await;
    }

    #[tokio::test]
    async fn says_that_nothing_was_observed() {
        conformance::says_that_nothing_was_observed(stocked2).await;
        conformance::says_that_nothing_was_observed(stocked3).await;
    }

    #[tokio::test]
    async fn consecutive_windows_add_up() {
        conformance::consecutive_windows_add_up(stocked2).await;
        conformance::consecutive_windows_add_up(stocked3).await;
    }
}
