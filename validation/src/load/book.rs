//! The books of a load while it runs.

use std::time::Duration;

use super::{
    Distribution, Measured, Plan, Quantity,
    blocks::{ByTime, Trials},
    brake::Brake,
};
use crate::{AgentError, Pace, Reply, Unanswered, excerpt::excerpt};

/// Most kinds of failures that are told apart.
const KINDS: usize = 16;

/// A request that is over. Times are from the beginning of the load.
#[derive(Debug)]
pub(super) struct Flown {
    pub(super) number: u64,
    pub(super) due: Duration,
    pub(super) started: Duration,
    pub(super) ended: Duration,
    pub(super) outcome: Result<Reply, Unanswered>,
}

/// What happened since the books were last looked at; the warm-up counts.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) latency: Distribution,
}

/// The books of a load while it runs.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) measured: Measured,
    pub(super) brake: Brake,
    pub(super) recent: Recent,
    /// The longest that a good request may take, of each quantity that has a limit.
    good: Vec<(Quantity, Duration)>,
    begin: Duration,
}

impl Book {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut good = Vec::<(Quantity, Duration)>::new();
        // Gaps are many in a request, and no single one of them makes it bad.
        for limit in plan.limits.iter().filter(|limit| limit.of != Quantity::Itl) {
            match good.iter_mut().find(|(of, _)| *of == limit.of) {
                // What is too long for one in twenty is not yet too long for one in a hundred.
                Some((_, max)) => *max = limit.max.max(*max),
                None => good.push((limit.of, limit.max)),
            }
        }
        let measured = Measured {
            limits: plan.limits.iter().map(|limit| (*limit, Default::default())).collect(),
            trials: ByTime { limits: vec![Trials::default(); plan.limits.len()], ..ByTime::default() },
            warmup: plan.unmeasured(),
            ..Measured::default()
        };
        let begin = measured.warmup;
        Self { measured, brake: Brake::new(plan.abort), recent: Recent::default(), good, begin }
    }

    /// A request is due that is sent, or dropped.
    pub(super) fn due(&mut self, at: Duration, sent: bool) {
        self.recent.due += 1;
        self.recent.sent += u64::from(sent);
        let counts = &mut self.measured.counts;
        if at < self.begin {
            counts.warmup += 1;
            return;
        }
        counts.due += 1;
        if !sent {
            counts.dropped += 1;
            self.measured.trials.unknown(at - self.begin);
        }
    }

    /// A request is over.
    pub(super) fn flown(&mut self, flown: Flown) {
        let Flown { due, started, ended, outcome, .. } = flown;
        let (whole, service, delay) =
            (ended.saturating_sub(due), ended.saturating_sub(started), started.saturating_sub(due));
        let measured = due >= self.begin;
        let at = due.saturating_sub(self.begin);
        if let Err(Unanswered::Short(shortage)) = outcome {
            if measured {
                self.unfinished(at);
            }
            self.measured.short.get_or_insert(shortage);
            return;
        }
        // What was due is the first attempt.
        let again = matches!(&outcome, Ok(reply) if reply.retries > 0);
        self.brake.take(outcome.is_err() || again, whole);
        if measured {
            self.measured.dispatch_delay.record_of(at, &[delay]);
            self.measured.sending = self.measured.sending.max(started.saturating_sub(self.begin));
        }
        match outcome {
            Ok(reply) => {
                self.measured.reached = true;
                if again {
                    self.recent.failed += 1;
                    if measured {
                        self.measured.counts.retries += u64::from(reply.retries);
                        self.failed(at, "answered only when it was asked again".to_owned());
                    }
                    return;
                }
                self.recent.latency.record(whole);
                if measured {
                    self.answered(&reply, at, whole, service);
                }
            }
            Err(Unanswered::Lost(error)) => {
                self.recent.failed += 1;
                if measured {
                    self.failed(at, kind(&error));
                }
                // What ended the load is not forgotten for what was under way and fails after it.
                if !self.measured.failure.as_ref().is_some_and(AgentError::is_hopeless) {
                    self.measured.failure = Some(error);
                }
            }
            Err(Unanswered::Short(_)) => {}
        }
    }

    /// The load ends at `at`, and requests that were due at `under_way` and are measured are not waited for.
    pub(super) fn close(&mut self, at: Duration, under_way: impl Iterator<Item = Duration>) {
        under_way.for_each(|due| self.unfinished(due.saturating_sub(self.begin)));
        self.measured.span = at.saturating_sub(self.begin);
    }

    /// A request that was due `at` so long after the warm-up has no end.
    fn unfinished(&mut self, at: Duration) {
        self.measured.counts.unfinished += 1;
        self.measured.trials.unknown(at);
    }

    fn answered(&mut self, reply: &Reply, at: Duration, whole: Duration, service: Duration) {
        let measured = &mut self.measured;
        measured.counts.answered += 1;
        measured.trials.answered.count(at, 1, 0);
        measured.scheduled_latency.record_of(at, &[whole]);
        measured.service_latency.record_of(at, &[service]);
        let ttft = reply.pace.as_ref().map(|pace| {
            // What an agent waits before it sends is waited by whoever asked.
            let before = whole.saturating_sub(reply.latency.max(pace.first));
            before.saturating_add(pace.first)
        });
        measured.ttft.record_of(at, ttft.as_slice());
        match &reply.pace {
            Some(Pace { gaps, .. }) => measured.itl.record_of(at, gaps),
            None => measured.counts.whole += 1,
        }
        match reply.usage {
            Some(usage) => {
                measured.input_tokens = measured.input_tokens.saturating_add(usage.input_tokens);
                measured.output_tokens = measured.output_tokens.saturating_add(usage.answered());
            }
            None => measured.counts.uncounted += 1,
        }
        let tpot = per_token(reply);
        if let Timed::Took(time) = tpot {
            measured.tpot.record_of(at, &[time]);
        }
        let timed = |of| match of {
            Quantity::Latency => Timed::Took(whole),
            Quantity::Ttft => ttft.map_or(Timed::Unknown, Timed::Took),
            Quantity::Tpot => tpot,
            Quantity::Itl => Timed::Nothing,
        };
        for ((limit, tally), trials) in measured.limits.iter_mut().zip(&mut measured.trials.limits) {
            // None where nobody knows.
            let kept = match (timed(limit.of), &reply.pace) {
                (Timed::Took(time), _) => Some((u64::from(time <= limit.max), 1)),
                (Timed::Unknown, _) => None,
                (Timed::Nothing, Some(pace)) if limit.of == Quantity::Itl => {
                    let kept = pace.gaps.iter().filter(|gap| **gap <= limit.max).count() as u64;
                    Some((kept, pace.gaps.len() as u64))
                }
                (Timed::Nothing, None) if limit.of == Quantity::Itl => None,
                (Timed::Nothing, _) => continue,
            };
            match kept {
                Some((hits, all)) => {
                    tally.hits += hits;
                    tally.misses += all - hits;
                    trials.count(at, hits, all - hits);
                }
                None => {
                    tally.unknown += 1;
                    trials.unknown(at);
                }
            }
        }
        // What is known to be too long is bad, whatever else nobody knows.
        let good = self.good.iter().try_fold(true, |all, &(of, max)| match timed(of) {
            Timed::Took(time) if time > max => Err(()),
            Timed::Took(_) | Timed::Nothing => Ok(all),
            Timed::Unknown => Ok(false),
        });
        match good {
            Ok(true) => {
                measured.counts.good += 1;
                measured.trials.good.count(at, 1, 0);
            }
            Ok(false) => measured.trials.good.unknown(at),
            Err(()) => measured.trials.good.count(at, 0, 1),
        }
    }

    fn failed(&mut self, at: Duration, kind: String) {
        let measured = &mut self.measured;
        measured.counts.failed += 1;
        measured.trials.answered.count(at, 0, 1);
        measured.trials.good.count(at, 0, 1);
        let room = measured.failures.len() < KINDS || measured.failures.contains_key(&kind);
        *measured.failures.entry(if room { kind } else { "other failures".to_owned() }).or_default() += 1;
    }
}

/// A time of a request.
#[derive(Clone, Copy, Debug)]
enum Timed {
    /// There is nothing to time.
    Nothing,
    Took(Duration),
    /// Nobody measured or counted what it takes to know.
    Unknown,
}

fn per_token(reply: &Reply) -> Timed {
    match (&reply.pace, reply.usage) {
        (Some(pace), Some(usage)) => match u32::try_from(usage.answered().saturating_sub(1)) {
            Ok(0) => Timed::Nothing,
            Ok(tokens) => Timed::Took(reply.latency.saturating_sub(pace.first) / tokens),
            Err(_) => Timed::Unknown,
        },
        _ => Timed::Unknown,
    }
}

/// A failure in few words, without what differs from one to the next.
fn kind(error: &AgentError) -> String {
    const LONGEST: usize = 120;
    match error {
        AgentError::Interrupted { why, .. } => excerpt(&format!("interrupted: {why}"), LONGEST),
        AgentError::Malformed { why, .. } => excerpt(&format!("no reply: {why}"), LONGEST),
        AgentError::Refused { status, .. } => format!("refused with status {status}"),
        AgentError::TimedOut { .. } => "timed out".to_owned(),
        AgentError::Unavailable { why, .. } => excerpt(&format!("unavailable: {why}"), LONGEST),
        other => excerpt(&other.to_string(), LONGEST),
    }
}
