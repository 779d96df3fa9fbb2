//! Pages of real processes: two that the test starts, and Prometheus itself, which shows its own.

use super::*;
use crate::process::{Page, Server, now, until};

/// What a page of the tests calls its version is its side here.
fn of_pages() -> [(Metric, Query); 4] {
    let of = |name: &str| -> Template { format!(r#"{name}{{version="{{{{version}}}}"}}"#).parse().unwrap() };
    let hits = r#"requests_total{version="{{version}}",code=~"5.."}"#.parse().unwrap();
    [
        (Metric::errors(), Query::proportion(hits, of("requests_total"))),
        (Metric::latency(), Query::histogram(of("seconds_bucket"))),
        ("queue".into(), Query::gauge(of("queue_length"))),
        ("cost".into(), Query::total(of("cost_sum"), of("cost_count"))),
    ]
}

#[tokio::test]
#[ignore = "listens on loopback and keeps real time"]
async fn two_processes_are_counted_and_one_restarts() {
    let (candidate, stable) = (Page::serve("1.5.0").await, Page::serve("1.4.0").await);
    let targets = [&candidate, &stable].map(|page| Target::new(&page.url()).unwrap());
    let http = Http::new(client()).with_retries(0);
    let source = Scrape::new(http, targets).with_queries(of_pages()).unwrap();
    let side = |version: &str| Selector::default().with("version", version);
    let mut times = Vec::new();
    for scrape in 0..9 {
        if scrape == 5 {
            candidate.restart().await;
        }
        times.push(now());
        let failed = source.scrape(times[scrape]).await;
        assert!(failed.is_empty(), "{failed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let window = Window::new(times[1], times[8]).unwrap();
    for (page, version) in [(&candidate, "1.5.0"), (&stable, "1.4.0")] {
        let scrapes = page.scrapes();
        let parts = if version == "1.5.0" { [(Some(1), 4), (None, 8)] } else { [(Some(1), 5), (Some(5), 8)] };
        let grown = |value: &dyn Fn(&process::Counts) -> u64| -> u64 {
            let before = |from: Option<usize>| from.map_or(0, |from| value(&scrapes[from].counts));
            parts.iter().map(|&(from, to)| value(&scrapes[to].counts) - before(from)).sum()
        };
        let (errors, ok) = (grown(&|counts| counts.requests[1]), grown(&|counts| counts.requests[0]));
        let measured = source.observe(&Metric::errors(), &side(version), window).await.unwrap();
        assert_eq!(measured, counted(errors, errors + ok), "{version}");
        let counts = (0..3).map(|bucket| grown(&|counts| counts.buckets[bucket])).collect();
        let measured = source.observe(&Metric::latency(), &side(version), window).await.unwrap();
        assert_eq!(
            measured,
            Observation::histogram(Page::EDGES.to_vec(), counts).unwrap().into(),
            "{version}"
        );
        let measured = source.observe(&"cost".into(), &side(version), window).await.unwrap();
        // In eighths.
        let cost = grown(&|counts| (8.0 * counts.cost) as u64) as f64 / 8.0;
        assert_eq!(measured, Observation::total(cost, errors + ok).unwrap().into(), "{version}");
        let queue: Vec<f64> = scrapes[2..=8].iter().map(|scrape| scrape.queue).collect();
        let measured = source.observe(&"queue".into(), &side(version), window).await.unwrap();
        assert_eq!(measured, Observation::values(queue).unwrap().into(), "{version}");
    }

    candidate.stop().await;
    let end = now();
    let failed = source.scrape(end).await;
    assert_eq!(failed.len(), 1);
    let window = Window::new(times[8], end).unwrap();
    let measured = source.observe(&Metric::errors(), &side("1.5.0"), window).await.unwrap();
    assert!(matches!(measured, Measurement::Missing(Missing::SourceError { .. })), "{measured:?}");
    let measured = source.observe(&Metric::errors(), &side("1.4.0"), window).await.unwrap();
    assert_eq!(measured.observed().unwrap().trials(), Page::TRAFFIC);
}

/// A page that somebody else's library writes, in the format that it prefers.
#[tokio::test]
#[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
async fn prometheus_shows_how_often_it_was_asked() {
    let server = Server::start(&[], "", &[]).await;
    let target = Target::new(&format!("{}/metrics", server.url())).unwrap().with("slot", "candidate");
    let asked = |code: &str| -> Template {
        format!(
            r#"prometheus_http_requests_total{{slot="{{{{slot}}}}",handler="/api/v1/query",code=~"{code}"}}"#
        )
        .parse()
        .unwrap()
    };
    let seconds =
        r#"prometheus_http_request_duration_seconds_bucket{slot="{{slot}}",handler="/api/v1/query"}"#.parse();
    let source = Scrape::new(client(), [target])
        .with_query(Metric::errors(), Query::proportion(asked("4.."), asked(".+")))
        .unwrap()
        .with_query(Metric::latency(), Query::histogram(seconds.unwrap()))
        .unwrap();
    until("a page", async || source.scrape(now()).await.is_empty().then_some(())).await;
    let ask = async |query: &str| {
        let url = format!("{}/api/v1/query?query={query}", server.url());
        client().get(url).send().await.unwrap().status().as_u16()
    };
    let start = now();
    assert!(source.scrape(start).await.is_empty());
    for _ in 0..9 {
        assert_eq!(ask("up").await, 200);
    }
    for _ in 0..3 {
        assert_eq!(ask("up(").await, 400);
    }
    let end = now();
    assert!(source.scrape(end).await.is_empty());
    let window = Window::new(start, end).unwrap();
    let measured = source.observe(&Metric::errors(), &candidate(), window).await.unwrap();
    assert_eq!(measured, counted(3, 12));
    let measured = source.observe(&Metric::latency(), &candidate(), window).await.unwrap();
    assert_eq!(measured.observed().unwrap().trials(), 12);
}
