//! Servers, and generators, that stand still.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_validation::{
    Agent, Call, Request, Run,
    load::{Arrivals, Distribution, Plan},
    sample_rank,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{after, ms, plan, sent};

/// What the server takes when it does not stand still.
const SERVICE: Duration = Duration::from_millis(5);
/// When it does, from the beginning.
const FREEZE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(25));

/// An agent that stands still from 20 s to 25 s after now.
fn freezing() -> impl Agent {
    let begin = Instant::now();
    after(move || async move {
        if (FREEZE.0..FREEZE.1).contains(&begin.elapsed()) {
            sleep_until(begin + FREEZE.1).await;
        }
        sleep(SERVICE).await;
    })
}

/// What a user waits whose request is due at `at`.
fn truth(at: Duration) -> Duration {
    let frozen = (FREEZE.0..FREEZE.1).contains(&at);
    if frozen { FREEZE.1 - at + SERVICE } else { SERVICE }
}

/// The quantile of what the users of `plan` wait.
fn true_quantile(plan: &Plan, quantile: f64) -> Duration {
    let mut waits: Vec<_> = plan.profile.schedule(plan.seed).map(truth).collect();
    waits.sort_unstable();
    waits[sample_rank(waits.len() as u64, quantile) as usize - 1]
}

fn error(found: Duration, truth: Duration) -> f64 {
    found.abs_diff(truth).as_secs_f64() / truth.as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn the_scheduled_p99_of_a_server_that_freezes_is_the_truth() {
    for (arrivals, seed) in [(Arrivals::Constant, 1), (Arrivals::Poisson, 1), (Arrivals::Poisson, 2)] {
        let mut plan = plan(arrivals, 100.0, 60);
        plan.seed = seed;
        let measured = sent(&plan, &freezing(), &Run::new(7)).await;
        assert_eq!(measured.counts.answered, measured.counts.due, "{:?}", measured.counts);
        for quantile in [0.95, 0.99, 0.999] {
            let (found, truth) =
                (measured.scheduled_latency.quantile(quantile).unwrap(), true_quantile(&plan, quantile));
            assert!(truth > ms(1_000), "the freeze is in it: {truth:?}");
            assert!(error(found, truth) < 0.02, "{arrivals:?} {quantile}: {found:?}, in truth {truth:?}");
        }
        assert_eq!(measured.flaw(), None);
    }
}

/// What `wrk`, `ab` and `hey` do: each of a few users waits for its answer before it asks again (`wrk` mends its figures
/// afterwards, by a guess). While the server stands
/// still they ask nothing, and see one slow answer each.
#[tokio::test(start_paused = true)]
async fn a_closed_loop_sees_next_to_nothing_of_it() {
    let agent = freezing();
    let (begin, seen) = (Instant::now(), Mutex::new(Distribution::new()));
    let user = || async {
        while begin.elapsed() < Duration::from_secs(60) {
            let sent = Instant::now();
            agent.respond(&Request::user("Hello"), &Call::new(ms(60_000))).await.unwrap();
            seen.lock().unwrap().record(sent.elapsed());
        }
    };
    futures::join!(user(), user(), user(), user());
    let seen = seen.into_inner().unwrap();
    let truth = true_quantile(&plan(Arrivals::Constant, 100.0, 60), 0.99);
    let closed = seen.quantile(0.99).unwrap();
    assert!(closed < ms(10) && truth > ms(4_000), "{closed:?} of {} answers, in truth {truth:?}", seen.len());
}

/// What guidellm did until its pull request #1053: time from when a request was sent. A generator that stands still for
/// five seconds then sends all at once, and sees a server that is as fast as ever.
#[tokio::test(start_paused = true)]
async fn a_generator_that_stands_still_knows_and_decides_nothing() {
    let asked = Arc::new(AtomicU64::new(0));
    let agent = after(move || {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            if number == 2_000 {
                // The clock goes on, and nobody sent anything meanwhile.
                tokio::time::advance(ms(5_000)).await;
            }
            sleep(SERVICE).await;
        }
    });
    let plan = plan(Arrivals::Constant, 100.0, 60);
    let measured = sent(&plan, &agent, &Run::new(7)).await;
    let (service, scheduled, delay) =
        [&measured.service_latency, &measured.scheduled_latency, &measured.dispatch_delay]
            .map(|times| times.quantile(0.99).unwrap())
            .into();
    assert!(service < ms(10), "by the time of sending all is well: {service:?}");
    assert!(error(scheduled, ms(4_400)) < 0.02 && error(delay, ms(4_400)) < 0.02, "{scheduled:?} {delay:?}");
    let flaw = measured.flaw().unwrap();
    assert!(flaw.contains("could not keep up") && flaw.contains("4.4s"), "{flaw}");
}
