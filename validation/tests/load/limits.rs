//! Requests that are not sent, fail, or are not waited for.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tidegate_validation::{
    AgentError, AgentId, Budget, FnAgent, Reply, Request, Run, Shortage,
    load::{Abort, Arrivals, Limit, Prompts, Stop, drive},
};
use tokio::time::{Instant, sleep};

use super::{after, ms, plan, sent};

/// An agent that says it is busy every `nth` time, and at once.
fn failing(nth: u64) -> FnAgent {
    let asked = AtomicU64::new(0);
    FnAgent::new("failing", move |_| {
        let fails = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(nth);
        async move {
            if fails {
                let why = "status 503: too many".to_owned();
                return Err(AgentError::Unavailable {
                    agent: AgentId::new("failing"),
                    why,
                    attempts: 1,
                    source: None,
                });
            }
            sleep(ms(100)).await;
            Ok(Reply::text("Hello."))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_due_beyond_the_cap_is_dropped_and_never_sent_later() {
    let cap = NonZeroUsize::new(2).unwrap();
    let plan = plan(Arrivals::Constant, 10.0, 60).in_flight(cap);
    let measured = sent(&plan, &after(|| sleep(ms(290))), &Run::new(7)).await;
    let counts = measured.counts;
    // Of each three that are due while two are answered, one finds no room.
    assert_eq!(counts.due, 600);
    assert!((190..=210).contains(&counts.dropped), "{counts:?}");
    assert_eq!(counts.answered + counts.dropped, counts.due);
    assert!(measured.dispatch_delay.max().unwrap() <= ms(2), "{:?}", measured.dispatch_delay);
    assert!(measured.scheduled_latency.max().unwrap() <= ms(293), "{:?}", measured.scheduled_latency);
    let flaw = measured.flaw().unwrap();
    assert!(flaw.contains("dropped") && flaw.contains("in flight"), "{flaw}");
}

#[tokio::test(start_paused = true)]
async fn failures_have_no_latency_and_are_no_goodput() {
    let plan = plan(Arrivals::Constant, 10.0, 60).limits([Limit::latency(0.99, ms(150))]);
    let measured = sent(&plan, &failing(4), &Run::new(7)).await;
    let counts = measured.counts;
    assert_eq!((counts.failed, counts.answered, counts.good), (150, 450, 450));
    assert_eq!(measured.scheduled_latency.len(), 450);
    // All that failed did so at once, and would have made the server look fast.
    assert!(measured.scheduled_latency.quantile(0.01).unwrap() >= ms(100), "{measured:?}");
    assert!((measured.goodput() - 7.5).abs() < 1e-9);
    assert_eq!(
        measured.failures.iter().collect::<Vec<_>>(),
        [(&"unavailable: status 503: too many".to_owned(), &150)]
    );
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_no_goodput_either() {
    let plan = plan(Arrivals::Constant, 10.0, 60)
        .limits([Limit::latency(0.5, ms(50)), Limit::latency(0.99, ms(90))]);
    let measured = sent(&plan, &failing(u64::MAX), &Run::new(7)).await;
    assert_eq!((measured.counts.answered, measured.counts.good), (599, 0));
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_too_many_fail() {
    let begin = Instant::now();
    let plan = plan(Arrivals::Poisson, 20.0, 300).abort(Abort { errors: Some(0.3), p99: None });
    let measured = sent(&plan, &failing(2), &Run::new(7)).await;
    assert!(matches!(measured.stopped, Some(Stop::Errors { of: 100, .. })), "{:?}", measured.stopped);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let counts = measured.counts;
    assert_eq!(counts.due, counts.answered + counts.failed + counts.dropped + counts.unfinished);
    assert!(counts.unfinished > 0 && measured.span < Duration::from_secs(8), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_a_server_stands_still_though_no_answer_comes() {
    let begin = Instant::now();
    let rule = Abort { errors: None, p99: Some(ms(2_000)) };
    let agent = after(move || async move {
        sleep(if begin.elapsed() < ms(20_000) { ms(10) } else { ms(3_600_000) }).await;
    });
    let measured = sent(&plan(Arrivals::Constant, 20.0, 300).abort(rule), &agent, &Run::new(7)).await;
    assert!(matches!(measured.stopped, Some(Stop::Slow { .. })), "{:?}", measured.stopped);
    let took = begin.elapsed();
    assert!(ms(22_000) < took && took < ms(22_500), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_it_and_is_not_overdrawn() {
    let run = Run::new(7).max_calls(40);
    let measured = sent(&plan(Arrivals::Constant, 10.0, 60), &after(|| sleep(ms(100))), &run).await;
    assert_eq!(measured.short, Some(Shortage::Calls { limit: 40 }));
    assert_eq!((run.spent().calls, measured.counts.answered), (40, 40));
    assert!(measured.span < ms(5_000), "{:?}", measured.span);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_others_may_give_back() {
    // Two calls at a time have room, and each takes next to nothing of what was set aside for it.
    let agent = FnAgent::new("short", |_| async {
        sleep(ms(290)).await;
        Ok(Reply::text("Hello.").with_usage(1, 1))
    });
    let requests = [Request::user("Hello").max_tokens(1_000)];
    let run = Run::new(7).budget(Budget::default().tokens(2_500));
    let plan = plan(Arrivals::Constant, 10.0, 60);
    let measured =
        drive(&plan, &Prompts::new("load", &agent, &requests, &run), Duration::MAX, &mut |_| {}).await;
    assert!(matches!(measured.short, Some(Shortage::Tokens { .. })), "{:?}", measured.short);
    assert_eq!((measured.counts.answered, measured.counts.unfinished), (2, 1));
    assert!(measured.scheduled_latency.max().unwrap() <= ms(293), "{:?}", measured.scheduled_latency);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_ends_it_at_once() {
    let agent = FnAgent::new("locked", |_| async {
        let (agent, why) = (AgentId::new("locked"), "check the token".to_owned());
        Err(AgentError::Refused { agent, status: 401, why })
    });
    let measured = sent(&plan(Arrivals::Constant, 10.0, 300), &agent, &Run::new(7)).await;
    assert_eq!((measured.counts.due, measured.counts.failed), (1, 1));
    assert!(measured.failure.unwrap().is_hopeless());
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_a_failure() {
    let agent = FnAgent::new("silent", |_| async { Ok(Reply::text(" ")) });
    let measured = sent(&plan(Arrivals::Constant, 10.0, 5), &agent, &Run::new(7)).await;
    assert_eq!((measured.counts.answered, measured.counts.failed), (0, 50));
}
