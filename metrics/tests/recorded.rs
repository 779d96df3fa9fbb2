//! `Recorded` is a source like any other, and so is a flaky one that happens not to fail.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::time::{Duration, SystemTime};

use tidegate_metrics::{
    Error, Measurement, Metric, MetricsSource, Missing, Observation, Recorded, Selector, Window,
    testkit::{
        Flaky,
        conformance::{self, Stocked},
    },
};

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second)
}

fn candidate() -> Selector {
    Selector::default().with("slot", "candidate")
}

fn holding(metric: &Metric) -> Recorded {
    let recorded = Recorded::new();
    let labels = candidate().with("pod", "a");
    for second in 0..=120 {
        let one = Observation::proportion(second % 2, 10).unwrap();
        recorded.record(metric, &labels, at(second), one).unwrap();
        let other = Observation::proportion(0, 7).unwrap();
        recorded.record(metric, &Selector::default().with("slot", "stable"), at(second), other).unwrap();
    }
    recorded
}

async fn stocked() -> Stocked<Recorded> {
    Stocked {
        source: holding(&Metric::errors()),
        metric: Metric::errors(),
        selector: candidate(),
        nobody: candidate().with("pod", "b"),
        window: Window::new(at(10), at(40)).unwrap(),
        expected: Observation::proportion(15, 300).unwrap(),
    }
}

async fn steady() -> Stocked<Flaky<Recorded>> {
    let Stocked { source, metric, selector, nobody, window, expected } = stocked().await;
    Stocked { source: Flaky::new(source, 1), metric, selector, nobody, window, expected }
}

#[tokio::test]
async fn answers_what_was_observed() {
    conformance::answers_what_was_observed(stocked).await;
    conformance::answers_what_was_observed(steady).await;
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

#[tokio::test]
async fn clones_share_and_forget_together() {
    let recorded = holding(&Metric::errors());
    recorded.clone().forget_until(at(100));
    let ask = async |from, to| {
        recorded
            .observe(&Metric::errors(), &candidate(), Window::new(at(from), at(to)).unwrap())
            .await
            .unwrap()
    };
    assert_eq!(ask(0, 100).await, Missing::NoData.into());
    assert_eq!(ask(100, 120).await, Observation::proportion(10, 200).unwrap().into());
}

#[tokio::test]
async fn two_shapes_of_one_metric_are_an_error() {
    let recorded = holding(&Metric::errors());
    let values = Observation::values(vec![1.0]).unwrap();
    assert!(
        recorded.record(&Metric::errors(), &candidate().with("pod", "a"), at(5), values.clone()).is_err()
    );
    recorded.record(&Metric::errors(), &candidate().with("pod", "c"), at(5), values).unwrap();
    let window = Window::new(at(0), at(10)).unwrap();
    let error = recorded.observe(&Metric::errors(), &candidate(), window).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }));
}

#[tokio::test]
async fn a_flaky_source_fails_by_its_seed() {
    let fates = async |seed| {
        let flaky = Flaky::new(holding(&Metric::errors()), seed).with_unavailable(0.3).with_missing(0.3);
        let window = Window::new(at(10), at(40)).unwrap();
        let mut fates = Vec::new();
        for _ in 0..200 {
            fates.push(match flaky.observe(&Metric::errors(), &candidate(), window).await {
                Err(error) if error.is_transient() => 'e',
                Ok(Measurement::Missing(Missing::NoData)) => 'm',
                Ok(Measurement::Observed(_)) => 'o',
                other => panic!("{other:?} was not scheduled"),
            });
        }
        assert_eq!(flaky.calls(), 200);
        fates
    };
    let (one, again, other) = (fates(1).await, fates(1).await, fates(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    for fate in ['e', 'm', 'o'] {
        let count = one.iter().filter(|known| **known == fate).count();
        assert!((40..=100).contains(&count), "{count} times {fate} of 200");
    }
}
