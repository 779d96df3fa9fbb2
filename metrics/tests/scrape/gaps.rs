//! What was not scraped is missing, never zero.

use std::{collections::BTreeMap, sync::Mutex};

use super::*;

fn cause(measurement: Measurement) -> String {
    match measurement {
        Measurement::Missing(Missing::SourceError { cause, .. }) => cause,
        other => panic!("{other:?} is no failure"),
    }
}

fn stale(seconds: u64) -> Measurement {
    Missing::Stale { age: Duration::from_secs(seconds) }.into()
}

#[tokio::test]
async fn a_failure_between_scrapes_loses_nothing() {
    let source = scraped([requests(1), requests(3), down(), requests(9), requests(10)]).await;
    assert_eq!(errors(&source, window(0, 60)).await, counted(0, 9));
    assert_eq!(errors(&source, window(0, 15)).await, counted(0, 2));
    assert_eq!(errors(&source, window(30, 45)).await, counted(0, 6));
    // Nothing was scraped in it but a failure.
    assert!(cause(errors(&source, window(15, 30)).await).contains("503"));
}

#[tokio::test]
async fn a_failure_at_the_end_is_no_end_of_traffic() {
    let source = scraped([requests(1), requests(3), down(), down()]).await;
    let source = source.with_staleness(Duration::from_secs(20));
    assert!(cause(errors(&source, window(0, 45)).await).contains("503"));
    // Not long before the end it was scraped: the rest belongs to the next window.
    assert_eq!(errors(&source, window(0, 30)).await, counted(0, 2));
}

#[tokio::test]
async fn who_does_not_scrape_knows_nothing() {
    let source = scraped([]).await;
    assert_eq!(errors(&source, window(0, 60)).await, Missing::NoData.into());
    let source = scraped([requests(1), requests(3)]).await;
    assert_eq!(errors(&source, window(15, 60)).await, stale(45));
    assert_eq!(errors(&source, window(0, 200)).await, stale(185));
}

#[tokio::test]
async fn a_window_after_a_long_gap_has_no_beginning() {
    let source = scraped([requests(1), down(), down(), down(), requests(90), requests(95)]).await;
    let source = source.with_lookback(Duration::from_secs(30));
    // The 89 requests came some time in the last minute; how many in the window nobody knows.
    assert!(cause(errors(&source, window(45, 75)).await).contains("503"));
    assert_eq!(errors(&source, window(60, 75)).await, counted(0, 5));
}

#[tokio::test]
async fn a_new_target_counts_from_what_it_first_showed() {
    let source = scraped([requests(70), requests(75)]).await;
    let before = Window::new(at(0) - Duration::from_secs(20), at(15)).unwrap();
    assert_eq!(errors(&source, before).await, counted(0, 5));
}

#[tokio::test]
async fn a_new_series_of_a_known_target_rose_from_zero() {
    let page = |bucket: u64| {
        let buckets: String = if bucket == 0 {
            String::new()
        } else {
            format!("seconds_bucket{{le=\"1\"}} {bucket}\nseconds_bucket{{le=\"+Inf\"}} {bucket}\n")
        };
        text(format!("up 1\n{buckets}"))
    };
    let source = scraped([page(0), page(0), page(4)]).await;
    let measured = source.observe(&Metric::latency(), &candidate(), window(0, 30)).await.unwrap();
    assert_eq!(measured, Observation::histogram(vec![1.0], vec![4, 0]).unwrap().into());
}

/// Two targets of the candidate and one of the stable version, each with its own pages.
#[tokio::test]
async fn a_side_is_all_its_targets_and_no_others() {
    let seen = Mutex::new(BTreeMap::<String, u64>::new());
    let script = Script::answering(move |asked| {
        let mut seen = seen.lock().unwrap();
        let scrape = seen.entry(asked.uri.path().to_owned()).and_modify(|scrape| *scrape += 1).or_default();
        match (asked.uri.path(), *scrape) {
            ("/b", 2..) | ("/stable", 3..) => down(),
            (_, scrape) => requests(10 * scrape),
        }
    })
    .await;
    let target = |path: &str, slot: &str| {
        let target = Target::new(&format!("{}/{path}", script.url())).unwrap();
        target.with("slot", slot).with("instance", path)
    };
    let targets = [target("a", "candidate"), target("b", "candidate"), target("stable", "stable")];
    let http = Http::new(client()).with_retries(0);
    let source = Scrape::new(http, targets).with_queries(queries()).unwrap();
    let source = source.with_staleness(Duration::from_secs(10));
    for (scrape, failures) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        assert_eq!(source.scrape(at(15 * scrape)).await.len(), failures);
    }
    assert_eq!(errors(&source, window(0, 15)).await, counted(0, 20));
    assert!(cause(errors(&source, window(15, 30)).await).contains("/b"));
    let of_stable = async |window| {
        source.observe(&Metric::errors(), &Selector::default().with("slot", "stable"), window).await.unwrap()
    };
    assert_eq!(of_stable(window(15, 30)).await, counted(0, 10));
    assert!(cause(of_stable(window(30, 45)).await).contains("/stable"));
    let nobody = Selector::default().with("slot", "nobody");
    let measured = source.observe(&Metric::errors(), &nobody, window(0, 15)).await.unwrap();
    assert_eq!(measured, Missing::NoData.into());
}

#[tokio::test]
async fn what_is_no_longer_kept_is_said() {
    let pages = || (1..=5).map(requests);
    let (source, _) = candidate_over(pages()).await;
    let short = source.with_retention(Duration::from_secs(40));
    let (source, _) = candidate_over(pages()).await;
    // Each scrape takes one sample, and one for itself.
    let few = source.with_sample_limit(6);
    for source in [short, few] {
        for scrape in 0..5 {
            assert!(source.scrape(at(15 * scrape)).await.is_empty());
        }
        assert_eq!(errors(&source, window(30, 60)).await, counted(0, 2));
        assert!(cause(errors(&source, window(15, 60)).await).contains("begins before what is kept"));
    }
}

#[tokio::test]
async fn pages_with_too_many_series_are_refused() {
    let page = |count: u64| {
        let lines = (0..count).map(|i| format!("requests_total{{code=\"{i}\"}} 1\nother{{a=\"{i}\"}} 1\n"));
        text(lines.collect::<String>())
    };
    // Those that no query asks for do not count.
    let (source, _) = candidate_over([page(3), page(4), text("requests_total{code=\"x\"} 1\n")]).await;
    let source = source.with_series_limit(3);
    assert!(source.scrape(at(0)).await.is_empty());
    assert!(chain(&failure(&source, 15).await).contains("more than 3 series"));
    // Three are kept already.
    assert!(chain(&failure(&source, 30).await).contains("more than 3 series"));
    assert!(cause(errors(&source, window(0, 30)).await).contains("more than 3 series"));
}
