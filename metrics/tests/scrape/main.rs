//! `Scrape` over pages of a scripted server on loopback, and over those of real processes.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod conformance;
mod gaps;
mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
#[path = "../process/mod.rs"]
mod process;
#[path = "../script/mod.rs"]
mod script;

use std::time::{Duration, SystemTime};

use script::{Reply, Script, chain, client};
use tidegate_metrics::{
    Error, Http, Measurement, Metric, MetricsSource, Missing, Observation, Scrape, Selector, Window,
    prometheus::{Aggregate, Edges, Query, Template},
    scrape::Target,
};

fn of_slot(name: &str) -> Template {
    format!(r#"{name}{{slot="{{{{slot}}}}"}}"#).parse().unwrap()
}

fn queries() -> [(Metric, Query); 4] {
    let hits = r#"requests_total{slot="{{slot}}",code=~"5.."}"#.parse().unwrap();
    [
        (Metric::errors(), Query::proportion(hits, of_slot("requests_total"))),
        (Metric::latency(), Query::histogram(of_slot("seconds_bucket"))),
        ("queue".into(), Query::gauges(of_slot("queue_length"), Aggregate::Sum)),
        ("cost".into(), Query::total(of_slot("cost_sum"), of_slot("cost_count"))),
    ]
}

fn candidate() -> Selector {
    Selector::default().with("slot", "candidate")
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second)
}

fn window(start: u64, end: u64) -> Window {
    Window::new(at(start), at(end)).unwrap()
}

fn text(page: impl Into<String>) -> Reply {
    Reply::With(200, vec![("content-type", "text/plain; version=0.0.4".to_owned())], page.into())
}

fn open_metrics(page: impl Into<String>) -> Reply {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Reply::With(200, vec![("content-type", kind.to_owned())], page.into())
}

fn down() -> Reply {
    Reply::Body(503, "starting".to_owned())
}

/// A page with so many requests.
fn requests(count: u64) -> Reply {
    text(format!("requests_total{{code=\"200\"}} {count}\n"))
}

/// The candidate's pages, one for each scrape that is to come.
async fn candidate_over(pages: impl IntoIterator<Item = Reply>) -> (Scrape, Script) {
    let script = Script::serve(pages).await;
    let target = Target::new(&script.url()).unwrap().with("slot", "candidate");
    let http = Http::new(client()).with_retries(0);
    (Scrape::new(http, [target]).with_queries(queries()).unwrap(), script)
}

/// The candidate, its pages scraped every 15 s from 0 s on.
async fn scraped(pages: impl IntoIterator<Item = Reply>) -> Scrape {
    let pages: Vec<_> = pages.into_iter().collect();
    let scrapes = pages.len() as u64;
    let (source, _) = candidate_over(pages).await;
    for i in 0..scrapes {
        source.scrape(at(15 * i)).await;
    }
    source
}

async fn errors(source: &Scrape, window: Window) -> Measurement {
    source.observe(&Metric::errors(), &candidate(), window).await.unwrap()
}

fn counted(hits: u64, trials: u64) -> Measurement {
    Observation::proportion(hits, trials).unwrap().into()
}

/// Scrapes once and gives the one error.
async fn failure(source: &Scrape, second: u64) -> Error {
    let mut errors = source.scrape(at(second)).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[tokio::test]
async fn pages_are_asked_for_in_both_formats_and_only_by_name() {
    let (source, script) = candidate_over([requests(1)]).await;
    assert!(source.scrape(at(0)).await.is_empty());
    let asked = script.asked();
    assert_eq!(asked[0].method.as_str(), "GET");
    let accept = asked[0].header("accept").unwrap();
    assert!(
        accept.contains("openmetrics-text;version=1.0.0") && accept.contains("version=0.0.4"),
        "{accept}"
    );
}

#[tokio::test]
async fn what_a_page_calls_as_its_target_does_is_renamed() {
    let page = |count| text(format!("requests_total{{slot=\"stable\",job=\"x\",code=\"500\"}} {count}\n"));
    let source = scraped([page(1), page(4)]).await;
    assert_eq!(errors(&source, window(0, 15)).await, counted(3, 3));
    let exported = r#"requests_total{exported_slot="{{slot}}",exported_job="x"}"#;
    let query = Query::proportion(exported.parse().unwrap(), exported.parse().unwrap());
    let source = source.with_query("exported".into(), query).unwrap();
    let stable = Selector::default().with("slot", "stable");
    let measured = source.observe(&"exported".into(), &stable, window(0, 15)).await.unwrap();
    assert_eq!(measured, counted(3, 3));
}

#[tokio::test]
async fn the_times_of_a_page_count_where_it_has_some() {
    let page = |count, second: f64| {
        let at = 1_800_000_000.0 + second;
        open_metrics(format!("requests_total{{code=\"200\"}} {count} {at}\n# EOF\n"))
    };
    // The second sample was taken in the first window, the third is the second again.
    let source = scraped([page(1, 0.0), page(3, 14.5), page(3, 14.5), page(7, 44.5)]).await;
    assert_eq!(errors(&source, window(0, 15)).await, counted(0, 2));
    assert_eq!(errors(&source, window(15, 45)).await, counted(0, 4));
    let (source, _) = candidate_over([page(1, 61.0)]).await;
    assert!(chain(&failure(&source, 0).await).contains("line 1 is no line of OpenMetrics: its time"));
}

#[tokio::test]
async fn a_page_that_is_wrong_gives_nothing() {
    let half = open_metrics("requests_total{code=\"200\"} 5\n");
    let twice = text("requests_total{a=\"1\"} 5\nother 1\nrequests_total{a=\"1\",b=\"\"} 6\n");
    for (reply, cause) in [
        (half, "line 1 is no line of OpenMetrics: it ends here without `# EOF`"),
        (text("requests_total 5\nx"), "line 2 is no line of Prometheus text: it does not end"),
        (twice, "line 3 is no line of Prometheus text: the page has had this series before"),
        (
            Reply::With(200, vec![("content-type", "text/html".to_owned())], "<p>".to_owned()),
            "it is `text/html`",
        ),
        (Reply::Body(404, "nobody".to_owned()), "404"),
        (down(), "503"),
    ] {
        let (source, _) = candidate_over([requests(1), reply]).await;
        assert!(source.scrape(at(0)).await.is_empty());
        let error = failure(&source, 15).await;
        assert!(chain(&error).contains(cause), "{}", chain(&error));
        let missing = errors(&source, window(0, 15)).await;
        let Measurement::Missing(Missing::SourceError { cause: said, .. }) = missing else {
            panic!("{missing:?}")
        };
        assert!(said.contains(cause), "{said}");
    }
}

#[tokio::test]
async fn scrapes_ascend_in_time() {
    let (source, _) = candidate_over([requests(1), requests(2), requests(3)]).await;
    assert!(source.scrape(at(15)).await.is_empty());
    for second in [15, 0] {
        assert!(chain(&failure(&source, second).await).contains("scraped before"));
    }
    // They have changed nothing.
    assert_eq!(errors(&source, window(0, 15)).await, Missing::NoData.into());
}

#[tokio::test]
async fn what_no_page_can_answer_is_refused() {
    let refused = |query| {
        let error = Scrape::new(client(), []).with_query("x".into(), query).unwrap_err();
        error.to_string()
    };
    let native = Query::native_histogram(of_slot("x"), Edges::powers_of_two(0, 1).unwrap());
    assert!(refused(native).contains("no native histograms"));
    assert!(
        refused(Query::gauge(r#"rate(x{slot="{{slot}}"}[1m])"#.parse().unwrap())).contains("no functions")
    );
    assert!(refused(Query::gauge(r#"{slot=~"{{slot}}|"}"#.parse().unwrap())).contains("everything"));
    let error = Scrape::new(client(), []).observe(&"x".into(), &candidate(), window(0, 1)).await.unwrap_err();
    assert!(matches!(error, Error::UnknownMetric { .. }));
    let (source, _) = candidate_over([]).await;
    let error = source.observe(&Metric::errors(), &Selector::default(), window(0, 1)).await.unwrap_err();
    assert!(matches!(error, Error::MissingLabel { .. }));
}

#[tokio::test]
async fn a_name_may_depend_on_the_side() {
    let query = Query::gauge(r#"{__name__=~"queue_{{slot}}"}"#.parse().unwrap());
    let (source, _) = candidate_over([text("queue_candidate 1\n"), text("queue_candidate 2\n")]).await;
    let source = source.with_query("own".into(), query).unwrap();
    source.scrape(at(0)).await;
    source.scrape(at(15)).await;
    let measured = source.observe(&"own".into(), &candidate(), window(0, 15)).await.unwrap();
    assert_eq!(measured, Observation::values(vec![2.0]).unwrap().into());
}

#[tokio::test]
async fn a_password_is_sent_and_in_no_text() {
    let script = Script::serve([requests(1)]).await;
    let url = format!("http://someone:s3cret@{}/metrics?token=s3cret", script.address);
    let source = Scrape::new(Http::new(client()).with_retries(0), [Target::new(&url).unwrap()]);
    assert!(source.scrape(at(0)).await.is_empty());
    let asked = script.asked();
    assert_eq!(asked[0].uri.query(), Some("token=s3cret"));
    // Base64 of `someone:s3cret`, as coreutils' base64 9.1 writes it.
    assert_eq!(asked[0].header("authorization"), Some("Basic c29tZW9uZTpzM2NyZXQ="));
    let error = failure(&source, 15).await;
    for text in [source.to_string(), format!("{source:?}"), chain(&error), format!("{error:?}")] {
        assert!(!text.contains("s3cret") && !text.contains("someone"), "{text}");
    }
}

#[tokio::test]
async fn it_runs_by_itself() {
    let script = Script::answering(|_| requests(7)).await;
    let target = Target::new(&script.url()).unwrap().with("slot", "candidate");
    let source = Scrape::new(client(), [target]).with_queries(queries()).unwrap();
    let second = std::sync::atomic::AtomicU64::new(0);
    let now = || at(second.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let enough = async {
        while script.asked().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = source.run(now, Duration::from_millis(1)) => panic!("it has ended"),
        () = enough => {}
    }
    // Nothing happened, and that was seen.
    assert_eq!(errors(&source, window(0, 2)).await, Missing::NoData.into());
}
