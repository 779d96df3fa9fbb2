//! What every [`MetricsSource`] must do. A source runs all of it by
//! [`source_conformance!`](crate::source_conformance), with a factory that makes one with a known history.
//!
//! ```
//! # use std::time::{Duration, SystemTime};
//! # use tidegate_metrics::{Metric, Observation, Recorded, Selector, Window};
//! use tidegate_metrics::{source_conformance, testkit::conformance::Stocked};
//!
//! async fn stocked() -> Stocked<Recorded> {
//!     let (metric, selector) = (Metric::errors(), Selector::default().with("slot", "candidate"));
//!     let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//!     let source = Recorded::new();
//!     let expected = Observation::proportion(1, 10).unwrap();
//!     source.record(&metric, &selector, noon + Duration::from_secs(3), expected.clone()).unwrap();
//!     let nobody = Selector::default().with("slot", "nobody");
//!     let window = Window::new(noon, noon + Duration::from_secs(60)).unwrap();
//!     Stocked { source, metric, selector, nobody, window, expected }
//! }
//!
//! source_conformance!(recorded, stocked);
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(
//! # tidegate_metrics::testkit::conformance::answers_what_was_observed(stocked)
//! # );
//! ```

use std::time::Duration;

use crate::{Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window};

/// A source and what it holds.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the factory of a test writes it as a literal")]
pub struct Stocked<S> {
    /// The source.
    pub source: S,
    /// A metric that it knows.
    pub metric: Metric,
    /// A side of which something was observed in `window`, and that side alone.
    pub selector: Selector,
    /// A selector that the source accepts and that matches nothing.
    pub nobody: Selector,
    /// A window of at least two seconds, not the first of the history, in which something was observed.
    pub window: Window,
    /// What was observed in it.
    pub expected: Observation,
}

/// A test for each check of this suite, in a module of the given name. The factory makes
/// [`Stocked`](crate::testkit::conformance::Stocked), anew for each. The tests run on the caller's `tokio`, which needs its
/// features `macros` and `rt`.
#[macro_export]
macro_rules! source_conformance {
    ($module:ident, $factory:expr) => {
        $crate::__source_conformance! { $module, $factory;
            answers_what_was_observed
            answers_the_same_again
            says_that_nobody_was_observed
            says_that_nothing_was_observed
            consecutive_windows_add_up
        }
    };
}

/// A test for each of `$check`.
#[doc(hidden)]
#[macro_export]
macro_rules! __source_conformance {
    ($module:ident, $factory:expr; $($check:ident)*) => {
        mod $module {
            #[allow(unused_imports, reason = "a factory may need nothing from around it")]
            use super::*;

            $(
                #[::tokio::test]
                async fn $check() {
                    $crate::testkit::conformance::$check($factory).await;
                }
            )*
        }
    };
}

/// The answer for the known window is what was observed.
pub async fn answers_what_was_observed<S: MetricsSource, F: Future<Output = Stocked<S>>>(
    factory: impl FnOnce() -> F,
) {
    let stocked = factory().await;
    assert_eq!(
        ask(&stocked, &stocked.selector, stocked.window).await,
        Measurement::Observed(stocked.expected)
    );
}

/// The same question has the same answer.
pub async fn answers_the_same_again<S: MetricsSource, F: Future<Output = Stocked<S>>>(
    factory: impl FnOnce() -> F,
) {
    let stocked = factory().await;
    let first = ask(&stocked, &stocked.selector, stocked.window).await;
    assert_eq!(ask(&stocked, &stocked.selector, stocked.window).await, first);
}

/// A selector that matches nothing gets no data, not zeros and not somebody else's.
pub async fn says_that_nobody_was_observed<S: MetricsSource, F: Future<Output = Stocked<S>>>(
    factory: impl FnOnce() -> F,
) {
    let stocked = factory().await;
    assert_eq!(ask(&stocked, &stocked.nobody, stocked.window).await, Measurement::Missing(Missing::NoData));
}

/// A window in which nothing was observed is missing, not a zero.
pub async fn says_that_nothing_was_observed<S: MetricsSource, F: Future<Output = Stocked<S>>>(
    factory: impl FnOnce() -> F,
) {
    let stocked = factory().await;
    let year = Duration::from_secs(365 * 24 * 3600);
    let (start, end) = (stocked.window.start() - year, stocked.window.end() - year);
    let long_ago = Window::new(start, end).expect("windows of a history are decades after 1970");
    let measured = ask(&stocked, &stocked.selector, long_ago).await;
    assert!(
        matches!(measured, Measurement::Missing(_)),
        "a year before its history the source says {measured:?}"
    );
}

/// Consecutive windows neither lose nor double anything: cut in two anywhere, the parts add up to the whole.
pub async fn consecutive_windows_add_up<S: MetricsSource, F: Future<Output = Stocked<S>>>(
    factory: impl FnOnce() -> F,
) {
    let stocked = factory().await;
    let parts = 4;
    for part in 1..parts {
        let cut = stocked.window.start() + stocked.window.length() * part / parts;
        let halves = [Window::new(stocked.window.start(), cut), Window::new(cut, stocked.window.end())];
        let mut sum = None::<Observation>;
        for half in halves.into_iter().flatten() {
            match (ask(&stocked, &stocked.selector, half).await, &mut sum) {
                (Measurement::Missing(_), _) => {}
                (Measurement::Observed(first), None) => sum = Some(first),
                (Measurement::Observed(more), Some(sum)) => {
                    sum.merge(&more).expect("one metric has one shape")
                }
            }
        }
        assert_eq!(sum.as_ref(), Some(&stocked.expected), "cut at {part}/{parts} of the window");
    }
}

async fn ask<S: MetricsSource>(stocked: &Stocked<S>, selector: &Selector, window: Window) -> Measurement {
    stocked.source.observe(&stocked.metric, selector, window).await.expect("the source answers")
}
