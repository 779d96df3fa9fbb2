//! Load and smoke: what the generator measures, against what is known of the server, on a clock that is not waited for;
//! and over HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checked;
mod frozen;
mod http;
mod limits;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod smoke;
#[path = "../subject/mod.rs"]
mod subject;
mod timing;

use std::{future::Future, time::Duration};

use tidegate_validation::{
    Agent, AgentError, FnAgent, Reply, Request, Run,
    load::{Arrivals, Measured, Plan, Profile, Prompts, drive},
};

/// A plan at this rate, without a warm-up.
fn plan(arrivals: Arrivals, rate: f64, seconds: u64) -> Plan {
    Plan::new(Profile::steady(arrivals, rate, Duration::from_secs(seconds)), 7).warmup(Duration::ZERO)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What comes of `plan`, sent to `agent`.
async fn sent(plan: &Plan, agent: &dyn Agent, run: &Run) -> Measured {
    let requests = [Request::user("Hello"), Request::user("Hello again")];
    drive(plan, &Prompts::new("load", agent, &requests, run), Duration::MAX, &mut |_| {}).await
}

/// An agent that answers `Hello.` after what `wait` waits for.
fn after<W, F>(wait: W) -> FnAgent
where
    W: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    FnAgent::new("after", move |_| {
        let waited = wait();
        async move {
            waited.await;
            Ok::<_, AgentError>(Reply::text("Hello."))
        }
    })
}
