//! Sending requests when they are due.

use std::{collections::VecDeque, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{
    Distribution, Measured, Plan, Target,
    book::{Book, Flown, Recent},
};
use crate::{AgentError, Shortage, Unanswered};

/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(100);
/// After how many of those a picture is shown.
const LOOKS: u32 = 10;

/// A load while it runs, shown every second.
#[derive(Debug)]
#[non_exhaustive]
pub struct Picture<'a> {
    /// How long it has run, warm-up included.
    pub at: Duration,
    /// Whether it warms up.
    pub warming: bool,
    /// Requests under way.
    pub in_flight: usize,
    /// Requests that were due in the last second.
    pub due: u64,
    /// Requests that were sent in the last second.
    pub sent: u64,
    /// Requests that failed in the last second.
    pub failed: u64,
    /// Latencies, as scheduled, of what was answered in the last second.
    pub latency: &'a Distribution,
    /// What was measured so far.
    pub so_far: &'a Measured,
}

/// Sends the requests of `plan` to `target`, each when it is due, waits for their ends, and says what came of it.
///
/// It stops early by the rules of the plan, after `longest`, when the budget of a run is used up, or when a request
/// fails as every other will. `watch` is called every second: return quickly.
pub async fn drive(
    plan: &Plan,
    target: &dyn Target,
    longest: Duration,
    watch: &mut (dyn FnMut(&Picture<'_>) + Send),
) -> Measured {
    let begin = Instant::now();
    let end = plan.unmeasured().saturating_add(plan.profile.duration());
    let mut schedule = plan.schedule().zip(0_u64..).peekable();
    let mut book = Book::new(plan);
    let mut ages = Ages::default();
    let mut flying = FuturesUnordered::new();
    let mut timer = Box::pin(sleep_until(begin));
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut looked = 0_u32;
    // When no more is sent, if that is before the schedule's end.
    let mut closed = None;
    loop {
        let now = begin.elapsed();
        if closed.is_none() && now >= longest && now < end {
            book.measured.short.get_or_insert(Shortage::Time);
        }
        if closed.is_none() && (book.measured.short.is_some() || hopeless(&book)) {
            closed = Some(now);
        }
        while let Some(&(due, number)) = schedule.peek()
            && due <= now
            && closed.is_none()
        {
            schedule.next();
            let room = flying.len() < plan.in_flight.get();
            book.due(due, room);
            ages.begin(room.then_some(due));
            if room {
                flying.push(fly(target, number, due, begin));
            }
        }
        let next = schedule.peek().map(|&(due, _)| due).filter(|_| closed.is_none());
        if next.is_none() && flying.is_empty() {
            break;
        }
        if let Some(next) = next
            && timer.deadline() != begin + next
        {
            timer.as_mut().reset(begin + next);
        }
        tokio::select! {
            biased;
            () = &mut timer, if next.is_some() => {}
            Some(flown) = flying.next(), if !flying.is_empty() => {
                let mut landed = Some(flown);
                while let Some(mut flown) = landed {
                    ages.end(flown.number);
                    // It was cut short with the load, and nobody knows how long it would have taken.
                    if flown.ended >= longest && matches!(flown.outcome, Err(Unanswered::Lost(AgentError::TimedOut { .. }))) {
                        flown.outcome = Err(Unanswered::Short(Shortage::Time));
                    }
                    book.flown(flown);
                    landed = flying.next().now_or_never().flatten();
                }
            }
            _ = looks.tick() => {
                let now = begin.elapsed();
                let overdue = book.brake.longest().map_or(0, |longest| ages.over(longest, now));
                if let Some(stop) = book.brake.stop(overdue) {
                    book.measured.stopped = Some(stop);
                    closed = closed.or(Some(now));
                    break;
                }
                looked += 1;
                if looked.is_multiple_of(LOOKS) {
                    show(&mut book, now, flying.len(), watch);
                }
            }
        }
    }
    book.close(closed.map_or(end, |at| at.min(end)), ages.since(plan.unmeasured()));
    book.measured
}

async fn fly(target: &dyn Target, number: u64, due: Duration, begin: Instant) -> Flown {
    let started = begin.elapsed();
    let outcome = target.send(number).await;
    let ended = begin.elapsed();
    target.ended(number, &outcome);
    Flown { number, due, started, ended, outcome }
}

fn hopeless(book: &Book) -> bool {
    book.measured.hopeless().is_some()
}

fn show(book: &mut Book, at: Duration, in_flight: usize, watch: &mut (dyn FnMut(&Picture<'_>) + Send)) {
    let recent = std::mem::take(&mut book.recent);
    let Recent { due, sent, failed, latency } = &recent;
    let warming = at < book.measured.warmup;
    // Rates are of what is over.
    book.measured.span = at.saturating_sub(book.measured.warmup);
    watch(&Picture {
        at,
        warming,
        in_flight,
        due: *due,
        sent: *sent,
        failed: *failed,
        latency,
        so_far: &book.measured,
    });
}

/// Since when the requests under way are due, in the order in which they are.
#[derive(Debug, Default)]
struct Ages {
    /// The number of the first.
    first: u64,
    due: VecDeque<Option<Duration>>,
}

impl Ages {
    /// The next request is due, and sent, or never.
    fn begin(&mut self, due: Option<Duration>) {
        self.due.push_back(due);
        self.forget();
    }

    fn end(&mut self, number: u64) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(due) = at.and_then(|at| self.due.get_mut(at)) {
            *due = None;
        }
        self.forget();
    }

    fn forget(&mut self) {
        while let Some(None) = self.due.front() {
            self.due.pop_front();
            self.first += 1;
        }
    }

    /// How many have been under way for more than `longest`.
    fn over(&self, longest: Duration, now: Duration) -> u64 {
        let old = |due: &Duration| due.saturating_add(longest) < now;
        self.due.iter().flatten().take_while(|due| old(due)).count() as u64
    }

    /// When those of them were due that were at `begin` or after.
    fn since(&self, begin: Duration) -> impl Iterator<Item = Duration> {
        self.due.iter().flatten().copied().filter(move |due| *due >= begin)
    }
}
