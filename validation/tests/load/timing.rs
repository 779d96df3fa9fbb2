//! When parts of answers come, on a clock that is not waited for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tidegate_validation::{
    Agent, AgentError, AgentId, Call, FnAgent, Pace, Reply, Request, Run, Shortage, Unanswered,
    load::{Arrivals, Limit, Prompts, Quantity, Target, drive},
};
use tokio::time::{advance, sleep};

use super::{ms, plan, sent};

/// An agent whose first part comes after 200 ms, and four more 20 ms after each other.
fn streaming() -> FnAgent {
    FnAgent::new("streaming", |_| async {
        sleep(ms(280)).await;
        let mut reply = Reply::text("one two three four five").with_usage(7, 5);
        let mut pace = Pace::default();
        pace.first = ms(200);
        pace.gaps = vec![ms(20); 4];
        (reply.latency, reply.pace) = (ms(280), Some(pace));
        Ok(reply)
    })
}

fn near(found: Option<Duration>, wanted: Duration) -> bool {
    found.is_some_and(|found| found.abs_diff(wanted) <= (wanted / 500).max(ms(1)))
}

#[tokio::test(start_paused = true)]
async fn times_of_tokens_are_those_of_the_answers() {
    let limits = [
        Limit { of: Quantity::Ttft, quantile: 0.99, max: ms(200) },
        Limit { of: Quantity::Itl, quantile: 0.99, max: ms(19) },
        Limit { of: Quantity::Tpot, quantile: 0.99, max: ms(20) },
    ];
    let plan = plan(Arrivals::Constant, 10.0, 30).limits(limits);
    let measured = sent(&plan, &streaming(), &Run::new(7)).await;
    assert!(near(measured.ttft.quantile(0.99), ms(200)), "{:?}", measured.ttft);
    assert!(near(measured.itl.quantile(0.5), ms(20)) && measured.itl.len() == 300 * 4, "{:?}", measured.itl);
    assert!(near(measured.tpot.quantile(0.5), ms(20)) && measured.tpot.len() == 300, "{:?}", measured.tpot);
    assert!(near(measured.scheduled_latency.quantile(0.5), ms(280)), "{:?}", measured.scheduled_latency);
    assert!((measured.tokens_per_second().unwrap() - 50.0).abs() < 0.5, "{:?}", measured.tokens_per_second());
    let kept: Vec<_> = measured.limits.iter().map(|(_, tally)| (tally.hits, tally.misses)).collect();
    assert_eq!(kept, [(300, 0), (0, 1_200), (300, 0)]);
    // A gap makes no request bad.
    assert_eq!(measured.counts.good, 300);
}

/// An agent's requests, of each of which something is written down that takes a while.
#[derive(Debug)]
struct Written {
    lines: AtomicU64,
}

#[async_trait::async_trait]
impl Target for Written {
    async fn send(&self, _: u64) -> Result<Reply, Unanswered> {
        sleep(ms(10)).await;
        Ok(Reply::text("Hello."))
    }

    fn ended(&self, _: u64, outcome: &Result<Reply, Unanswered>) {
        assert!(outcome.is_ok());
        self.lines.fetch_add(1, Ordering::Relaxed);
        // The clock is put forward as soon as that is polled.
        let _ = advance(ms(100)).now_or_never();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_down_of_a_request_is_no_part_of_its_time() {
    let written = Arc::new(Written { lines: AtomicU64::new(0) });
    let targets = vec![Arc::clone(&written)];
    let plan = plan(Arrivals::Constant, 4.0, 1);
    let measured = drive(&plan, &targets, Duration::MAX, &mut |_| {}).await;
    assert_eq!((measured.counts.answered, written.lines.load(Ordering::Relaxed)), (4, 4));
    // Each would have taken 110 ms.
    assert!(measured.service_latency.quantile(0.01).unwrap() < ms(100), "{:?}", measured.service_latency);
}

#[tokio::test(start_paused = true)]
async fn spending_is_told_once_a_request_has_ended() {
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let run = Run::new(7).watch(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let (agent, requests) = (streaming(), [Request::user("Hello")]);
    let prompts = Prompts::new("load", &agent, &requests, &run);
    let outcome = prompts.send(0).await;
    assert_eq!(told.load(Ordering::Relaxed), 0);
    prompts.ended(0, &outcome);
    prompts.ended(1, &Err(Unanswered::Short(Shortage::Time)));
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_warm_up_is_not_measured_and_said() {
    let mut first = 0;
    let plan = plan(Arrivals::Constant, 10.0, 30).warmup(ms(5_000));
    let measured = sent(&plan, &streaming(), &Run::new(7)).await;
    first += measured.counts.warmup;
    assert_eq!((first, measured.counts.due, measured.counts.answered), (50, 300, 300));
    assert_eq!((measured.warmup, measured.span), (ms(5_000), ms(30_000)));
    assert!((measured.asked() - 10.0).abs() < 1e-9 && (measured.achieved() - 10.0).abs() < 0.01);
    assert_eq!(measured.scheduled_latency.len(), 300);
}

/// Waits 400 ms before it sends, for a limiter or another attempt, and tells the times of the attempt alone.
#[derive(Debug)]
struct Waiting;

#[async_trait::async_trait]
impl Agent for Waiting {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("waiting")
    }

    async fn respond(&self, _: &Request, _: &Call) -> Result<Reply, AgentError> {
        sleep(ms(500)).await;
        let (mut reply, mut pace) = (Reply::text("Hello.").with_usage(1, 2), Pace::default());
        (pace.first, pace.gaps) = (ms(50), vec![ms(50)]);
        (reply.latency, reply.pace) = (ms(100), Some(pace));
        Ok(reply)
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_the_first_token_begins_when_the_request_is_due() {
    let limit = Limit { of: Quantity::Ttft, quantile: 0.5, max: ms(100) };
    let measured = sent(&plan(Arrivals::Constant, 10.0, 10).limits([limit]), &Waiting, &Run::new(7)).await;
    assert!(near(measured.ttft.quantile(0.5), ms(450)), "{:?}", measured.ttft);
    assert_eq!((measured.limits[0].1.hits, measured.counts.good), (0, 0), "{:?}", measured.limits);
}
