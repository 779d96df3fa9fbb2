//! The suite for every source, over two targets of one side and one of another, with a restart.

use std::{collections::BTreeMap, sync::Mutex};

use tidegate_metrics::testkit::conformance::{self, Stocked};

use super::*;

/// What target `a` shows at each scrape: it restarts after the fourth.
fn page_of_a(scrape: usize) -> Reply {
    let ok = [10, 20, 30, 40, 5, 60, 99][scrape];
    let errors = [1, 1, 2, 2, 0, 1, 9][scrape];
    let buckets = [[0, 0], [5, 9], [5, 9], [6, 11], [1, 2], [2, 3], [3, 4]][scrape];
    let (sum, count) = [(1.0, 4), (1.5, 6), (2.75, 7), (3.0, 8), (0.25, 1), (0.5, 2), (7.0, 9)][scrape];
    let queue = [7.0, 1.0, 0.0, 2.5, 3.0, 4.0, 5.0][scrape];
    open_metrics(format!(
        "# TYPE requests counter\n\
         requests_total{{code=\"200\"}} {ok}\nrequests_total{{code=\"500\"}} {errors} # {{t=\"x\"}} 1\n\
         # TYPE seconds histogram\n\
         seconds_bucket{{le=\"0.5\"}} {}\nseconds_bucket{{le=\"+Inf\"}} {}\n\
         # TYPE cost summary\ncost_sum {sum}\ncost_count {count}\ncost_created 1700000000.5\n\
         # TYPE queue_length gauge\nqueue_length {queue}\n# EOF\n",
        buckets[0], buckets[1]
    ))
}

/// What target `b` shows at each scrape.
fn page_of_b(scrape: usize) -> Reply {
    text(format!(
        "requests_total{{code=\"200\"}} {}\nseconds_bucket{{le=\"0.5\"}} {scrape}\n\
         seconds_bucket{{le=\"+Inf\"}} {}\nqueue_length 100\ncost_sum 1\ncost_count 1\n",
        10 * scrape,
        2 * scrape
    ))
}

/// Scraped at 0 s, 15 s and so on to 90 s; the window is that of the middle minute.
async fn stocked(metric: &str, expected: Observation) -> Stocked<Scrape> {
    let seen = Mutex::new(BTreeMap::<String, usize>::new());
    let script = Script::answering(move |asked| {
        let mut seen = seen.lock().unwrap();
        let scrape = seen.entry(asked.uri.path().to_owned()).and_modify(|scrape| *scrape += 1).or_default();
        match asked.uri.path() {
            "/a" => page_of_a(*scrape),
            "/b" => page_of_b(*scrape),
            _ => requests(1000 * *scrape as u64),
        }
    })
    .await;
    let target = |path: &str, slot: &str| {
        let target = Target::new(&format!("{}/{path}", script.url())).unwrap();
        target.with("slot", slot).with("instance", path)
    };
    let targets = [target("a", "candidate"), target("b", "candidate"), target("c", "stable")];
    let source = Scrape::new(client(), targets).with_queries(queries()).unwrap();
    for scrape in 0..7 {
        assert!(source.scrape(at(15 * scrape)).await.is_empty());
    }
    Stocked {
        source,
        metric: metric.into(),
        selector: candidate(),
        nobody: Selector::default().with("slot", "nobody"),
        window: window(15, 75),
        expected,
    }
}

macro_rules! conforms {
    ($($kind:ident: $metric:literal, $expected:expr;)*) => {$(
        mod $kind {
            use super::*;

            async fn stocked() -> Stocked<Scrape> {
                super::stocked($metric, $expected).await
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
            }
        }
    )*};
}

conforms! {
    // `a`: errors by 1, 0, restarted with 0, 1, the rest by 10, 10, restarted with 5, 55; `b`: 10 each time.
    proportion: "errors", Observation::proportion(2, 2 + 80 + 40).unwrap();
    // `a` at or below 0.5: 0, 1, restarted with 1, 1, and in all 0, 2, 2, 1; `b`: 1 and 2 each time.
    histogram: "latency", Observation::histogram(vec![0.5], vec![3 + 4, 2 + 4]).unwrap();
    gauges: "queue", Observation::values(vec![100.0, 102.5, 103.0, 104.0]).unwrap();
    total: "cost", Observation::total(1.25 + 0.25 + 0.25 + 0.25, 1 + 1 + 1 + 1).unwrap();
}
