//! The conformance suite, over a server that keeps a history as CloudWatch does.

use tidegate_metrics::testkit::conformance::{self, Stocked};

use super::*;

/// Errors and requests of version 1.4.0 by the minute, around and in the window.
const HISTORY: [(u64, f64, f64); 6] =
    [(0, 9.0, 90.0), (60, 1.0, 10.0), (120, 2.0, 20.0), (180, 0.0, 5.0), (240, 4.0, 40.0), (300, 8.0, 80.0)];

/// Answers for times from `StartTime` on, before `EndTime`, the newest first, whatever is asked, in pages of two.
fn answer(asked: &Asked) -> Reply {
    let asked = asked.json();
    let metric = &asked["MetricDataQueries"][0]["MetricStat"]["Metric"];
    let known = metric["Namespace"] == "Model"
        && metric["Dimensions"] == json!([{"Name": "Version", "Value": "1.4.0"}]);
    let [start, end] = ["StartTime", "EndTime"].map(|name| asked[name].as_u64().unwrap());
    let skip: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let mut points: Vec<_> = HISTORY
        .into_iter()
        .filter(|(second, ..)| known && (start..end).contains(&(START + second)))
        .map(|(second, errors, requests)| match metric["MetricName"].as_str() {
            Some("Errors") => (second, errors),
            _ => (second, requests),
        })
        .collect();
    points.reverse();
    let rest = points.get(skip..).unwrap_or_default();
    let more = rest.len() > 2;
    let next = (skip + 2).to_string();
    let status = if more { "PartialData" } else { "Complete" };
    page(&[result(status, &rest[..rest.len().min(2)])], more.then_some(&next))
}

async fn stocked() -> Stocked<CloudWatch> {
    let script = Script::answering(answer).await;
    Stocked {
        source: source(&script),
        metric: Metric::errors(),
        selector: candidate(),
        nobody: Selector::default().with("version", "9.9.9"),
        window: Window::new(at(60), at(300)).unwrap(),
        expected: Observation::proportion(7, 75).unwrap(),
    }
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
