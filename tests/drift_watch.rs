//! A watch that looks at drift, and at quality, goes back when it comes; and only then.

use std::time::Duration;

use anyhow::Result;
use tidegate::{
    canary::metrics::{Bound, Criterion, Metric, Readings, Rule, Statistic, Verdict},
    rollback::Vigilance,
};

#[path = "../examples/quickstart/classifier.rs"]
#[allow(dead_code, reason = "it is the quickstart's")]
mod classifier;
#[path = "../examples/quickstart/messages.rs"]
mod messages;
#[path = "../examples/drift/monitor.rs"]
mod monitor;
#[path = "../examples/drift/story.rs"]
mod story;

use monitor::{DRIFT, QUALITY};
use story::{Stage, WINDOW};

fn drift() -> Criterion {
    let readings = Readings { breaches: 2, of: 3, ..Readings::new(Bound::AtMost(1.0)) };
    Criterion::new(Metric::new(DRIFT), Rule::Readings(readings))
}

fn quality() -> Criterion {
    Criterion::at_least(Metric::new(QUALITY), Statistic::Share, 0.85).with_alpha(0.001)
}

#[tokio::test(start_paused = true)]
async fn the_watch_goes_back_when_the_drift_comes() -> Result<()> {
    let stage = Stage::set_up().await?;
    assert_eq!(stage.production().await?, "intent@1.1.0");
    let sound = Duration::from_secs(10 * 60);
    let (end, after) = stage.watched(vec![drift()], sound, |_, _| ()).await?;
    let Vigilance::Returned { done: true, end, .. } = end else { panic!("{end}") };
    assert_eq!(end, "done, and was seen to help");
    assert!(after > Duration::ZERO && after < 12 * WINDOW, "{after:?}");
    assert_eq!(stage.production().await?, "intent@1.0.0");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_watch_goes_back_when_answers_get_worse() -> Result<()> {
    let stage = Stage::set_up().await?;
    let (end, _) = stage.watched(vec![quality()], Duration::from_secs(10 * 60), |_, _| ()).await?;
    assert!(matches!(end, Vigilance::Returned { done: true, .. }), "{end}");
    assert_eq!(stage.production().await?, "intent@1.0.0");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_drift_it_stays() -> Result<()> {
    let stage = Stage::set_up().await?;
    let never = Duration::from_secs(24 * 3600);
    let (end, _) = stage.watched(vec![drift(), quality()], never, |_, _| ()).await?;
    assert_eq!(end, Vigilance::Kept { verdict: Verdict::Pass });
    assert_eq!(stage.production().await?, "intent@1.1.0");
    Ok(())
}
