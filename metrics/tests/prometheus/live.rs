//! Against a real Prometheus, which scrapes what the test serves.

mod native;

use super::*;
use crate::process::{Page, Server, until};

/// Bounds half-way between scrapes, so that it is certain which samples belong to the window.
fn between(page: &Page, from: usize, to: usize) -> Window {
    let at = |scrape: usize| page.scrapes()[scrape].at + Duration::from_millis(500);
    Window::new(at(from), at(to)).unwrap()
}

async fn scraped(page: &Page, times: usize) {
    until("scrapes enough", async || (page.scrapes().len() >= times).then_some(())).await;
    // The scrape that was counted is stored a moment later.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

fn live(server: &Server) -> Prometheus {
    Prometheus::new(client(), &server.url()).unwrap().with_queries(queries())
}

#[tokio::test]
#[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
async fn counts_are_those_of_the_target() {
    let page = Page::serve("1.4.0").await;
    let server = Server::start(&[&page], "", &[]).await;
    scraped(&page, 12).await;
    let (live, scrapes) = (live(&server), page.scrapes());
    let ask = async |metric: &str, window| live.observe(&metric.into(), &candidate(), window).await.unwrap();
    for (from, to) in [(1, 9), (1, 4), (4, 9), (6, 9)] {
        let (window, before, after) = (between(&page, from, to), &scrapes[from].counts, &scrapes[to].counts);
        let rise = |code| after.requests[code] - before.requests[code];
        assert_eq!(
            ask("errors", window).await,
            counted(rise(1), rise(0) + rise(1)),
            "scrapes {from} to {to}"
        );
        let counts = after.buckets.iter().zip(before.buckets).map(|(after, before)| after - before).collect();
        let expected = Observation::histogram(Page::EDGES.to_vec(), counts).unwrap();
        assert_eq!(ask("latency", window).await, expected.into(), "scrapes {from} to {to}");
        let expected = Observation::total(after.cost - before.cost, rise(0) + rise(1)).unwrap();
        assert_eq!(ask("cost", window).await, expected.into(), "scrapes {from} to {to}");
        let expected = scrapes[from + 1..=to].iter().map(|scrape| scrape.queue).collect();
        assert_eq!(ask("queue", window).await, Observation::values(expected).unwrap().into());
    }
    let window = between(&page, 1, 9);
    let nobody = Selector::default().with("version", "0.0.0\"} or requests_total{x=\"");
    let measured = live.observe(&Metric::errors(), &nobody, window).await.unwrap();
    assert_eq!(measured, Missing::NoData.into());

    let wrong = Query::histogram(r#"sum(rate(x{v="{{version}}"}"#.parse().unwrap());
    let wrong = live.clone().with_query(Metric::latency(), wrong);
    let error = wrong.observe(&Metric::latency(), &candidate(), window).await.unwrap_err();
    assert!(
        matches!(error, Error::Malformed { .. }) && chain(&error).contains("parse error"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
#[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
async fn restarts_are_counted_and_deaths_are_seen() {
    let page = Page::serve("1.4.0").await;
    let server = Server::start(&[&page], "", &[]).await;
    scraped(&page, 5).await;
    let before = page.scrapes().len() - 1;
    page.restart().await;
    scraped(&page, before + 5).await;
    let live = live(&server).with_staleness(Duration::from_secs(3));
    let scrapes = page.scrapes();
    let window = between(&page, 1, before + 3);
    let all = |scrape: usize| scrapes[scrape].counts.requests.iter().sum::<u64>();
    let errors = |scrape: usize| scrapes[scrape].counts.requests[1];
    assert!(all(before + 1) < all(before), "the process has begun anew");
    let expected =
        counted(errors(before) - errors(1) + errors(before + 3), all(before) - all(1) + all(before + 3));
    let measured = live.observe(&Metric::errors(), &candidate(), window).await.unwrap();
    assert_eq!(measured, expected);

    let died = page.scrapes().last().unwrap().at;
    page.stop().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = |seconds| died + Duration::from_millis(500) + Duration::from_secs(seconds);
    for (metric, end) in [("errors", 4), ("queue", 4), ("latency", 5)] {
        let window = Window::new(after(0), after(end)).unwrap();
        let measured = live.observe(&metric.into(), &candidate(), window).await.unwrap();
        assert!(matches!(measured, Measurement::Missing(Missing::Stale { .. })), "{metric}: {measured:?}");
    }
}

#[tokio::test]
#[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
async fn several_gauges_are_told_apart() {
    let (one, other) = (Page::serve("1.4.0").await, Page::serve("1.4.0").await);
    let server = Server::start(&[&one, &other], "", &[]).await;
    scraped(&one, 8).await;
    scraped(&other, 8).await;
    let (live, window) = (live(&server), between(&one, 2, 5));
    let error = live.observe(&"queue".into(), &candidate(), window).await.unwrap_err();
    assert!(chain(&error).contains("2 series are selected"), "{}", chain(&error));
    let together = live.observe(&"queues".into(), &candidate(), window).await.unwrap();
    // The first by its labels is either; the other's reading is its own or the one before.
    let Measurement::Observed(Observation::Values(readings)) = &together else { panic!("{together:?}") };
    assert!((2..=4).contains(&readings.len()), "{readings:?}");
    assert!(
        readings.is_sorted() && readings.iter().all(|sum| *sum > 0.0 && sum.fract() == 0.0),
        "{readings:?}"
    );
    // Both pages count the same traffic from the same beginning.
    let measured = live.observe(&Metric::errors(), &candidate(), window).await.unwrap();
    let trials = measured.observed().unwrap().trials();
    assert!((2 * 3 * Page::TRAFFIC..=2 * 4 * Page::TRAFFIC).contains(&trials), "{trials}");
}

#[tokio::test]
#[ignore = "needs Prometheus (the binary on the PATH or in PROMETHEUS_BIN)"]
async fn a_password_opens_a_server_that_is_locked() {
    let page = Page::serve("1.4.0").await;
    // bcrypt of `s3cret`, as htpasswd of Apache 2.4 makes it with -nbBC 4.
    let users =
        "basic_auth_users: {someone: \"$2y$04$XKJTir4lTwJt7.mWrUZVL.WFItyfOXuEMcoYrf5fgbBU.6DSdX1oa\"}\n";
    let server = Server::start(&[&page], users, &[]).await;
    scraped(&page, 6).await;
    let window = between(&page, 1, 4);
    let with = |userinfo: &str| {
        let url = server.url().replace("http://", &format!("http://{userinfo}"));
        Prometheus::new(client(), &url).unwrap().with_queries(queries())
    };
    let measured = with("someone:s3cret@").observe(&Metric::errors(), &candidate(), window).await.unwrap();
    assert_eq!(measured.observed().unwrap().trials(), 3 * Page::TRAFFIC);
    for userinfo in ["", "someone:wrong@", "nobody:s3cret@"] {
        let error = with(userinfo).observe(&Metric::errors(), &candidate(), window).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{}", chain(&error));
    }
}
