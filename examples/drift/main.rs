//! A version that answers quickly, without errors, and otherwise than it used to: a watch that looks at drift goes back
//! from it.
//!
//! `cargo run --example drift`
//!
//! A classifier is trained here and published with a summary of what it answers. While it serves, each window of
//! answers is compared with that summary, and how far they are apart is a metric like any other. An hour passes in an
//! instant, as time is virtual.
#![expect(clippy::print_stdout, reason = "a program talks to its user")]

#[path = "../quickstart/classifier.rs"]
#[allow(dead_code, reason = "it is the quickstart's")]
mod classifier;
#[path = "../quickstart/messages.rs"]
mod messages;
mod monitor;
mod story;

use std::time::Duration;

use anyhow::Result;
use tidegate::canary::metrics::{Bound, Criterion, Metric, Readings, Rule};

use self::{monitor::DRIFT, story::Stage};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let stage = Stage::set_up().await?;
    println!("production is {}", stage.production().await?);
    let readings = Readings { breaches: 2, of: 3, ..Readings::new(Bound::AtMost(1.0)) };
    let criteria = vec![Criterion::new(Metric::new(DRIFT), Rule::Readings(readings))];
    let sound = Duration::from_secs(10 * 60);
    let tell = |at: Duration, told: &[(String, f64)]| {
        for (version, strain) in told {
            println!("{:>5} s  {version}  {strain:.2} of what it may drift", at.as_secs());
        }
    };
    let (end, after) = stage.watched(criteria, sound, tell).await?;
    println!("{end}, {} s after its features were cut short", after.as_secs());
    println!("production is {}", stage.production().await?);
    Ok(())
}
