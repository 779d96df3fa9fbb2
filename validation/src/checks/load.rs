//! Does the model withstand the load that it will have?

use std::{collections::BTreeSet, num::NonZeroUsize, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Settings, list_flaw};
use crate::{
    Case, Cost, Error, Finding, Gate, Message, Outcome, Request, Role, Rule, Run, Sampling, Subject,
    Validator,
    load::{Abort, Arrivals, Demand, Destinations, Limit, Measured, Plan, Profile, Prompts, Stage, drive},
};

/// Sends the prompts in turn at a rate, each when it is due, and holds quantiles of their times, the share of failures
/// and goodput against limits; see [`load`](crate::load).
///
/// Under [`Rule::Bound`] each quantile must be proven to keep its limit, from order statistics as for
/// [`Latency`](super::Latency). A request is one piece of evidence, however many gaps its answer has, and one whose times
/// nobody knows weighs as much as any other. Where a server stands still for a while, those that wait together miss
/// together: bounds are as much wider as shares differ between blocks of time, of which there are 10 to 20
/// ([`WeightedShare::in_blocks`](crate::statistics::WeightedShare::in_blocks)). A load should last ten times as long as what it
/// is to find. [`Rule::Sequential`] is for trials one after another, and is refused here.
///
/// Where the generator was late itself, or did not send 95 % of the rate, the check does not pass. Failures and limits
/// that are broken whatever the requests that were not sent would have come to still fail it, unless it was late. A rule of
/// `abort` that stops it fails it. A request is sent once, however often the agent is set to retry
/// ([`Call::once`](crate::Call::once)); one that an agent of your own answered only when it asked again has failed. Requests of the warm-up count for nothing but `abort`. The load goes to an agent on
/// this machine, or on a host of `allow_hosts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Load {
    /// The check's name in reports.
    pub name: String,
    /// What is asked, over and over in this order.
    pub prompts: Vec<String>,
    /// How requests come.
    pub arrivals: Arrivals,
    /// Requests a second, unless there are `stages`.
    pub rate: f64,
    /// How long it is measured, unless there are `stages`.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub duration: Duration,
    /// Rates that follow each other, in place of `rate` and `duration`.
    pub stages: Vec<Stage>,
    /// How long requests come before, at the first rate, unmeasured.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub warmup: Duration,
    /// How many requests may be under way at once; what is due while so many are is dropped.
    pub in_flight: NonZeroUsize,
    /// The longest that quantiles may be.
    pub limits: Vec<Limit>,
    /// The greatest share of requests that may fail.
    pub max_errors: f64,
    /// The least share of requests that must be answered within every limit, the widest of each quantity.
    pub goodput: f64,
    /// When to stop early.
    pub abort: Abort,
    /// Hosts besides this machine that may be sent load: names or addresses.
    pub allow_hosts: BTreeSet<String>,
    /// How shares and quantiles are held against limits.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the prompts are put.
    pub request: Sampling,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            prompts: Vec::new(),
            arrivals: Arrivals::Poisson,
            rate: 10.0,
            duration: Duration::from_secs(300),
            stages: Vec::new(),
            warmup: Plan::WARMUP,
            in_flight: Plan::IN_FLIGHT,
            limits: vec![
                Limit::latency(0.95, Duration::from_secs(5)),
                Limit::latency(0.99, Duration::from_secs(10)),
            ],
            max_errors: 0.05,
            goodput: 0.9,
            abort: Abort::default(),
            allow_hosts: BTreeSet::new(),
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Load {
    const KIND: &str = "load";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if !(0.0..=1.0).contains(&self.max_errors) {
            return Some((
                "max_errors",
                format!("{} must be a share from 0 to 1, such as 0.05", self.max_errors),
            ));
        }
        if self.max_errors == 0.0 && self.rule == Rule::Bound {
            return Some((
                "max_errors",
                "of 0 cannot be proven by any number of requests; say rule = \"point\" or a higher share"
                    .to_owned(),
            ));
        }
        if matches!(self.rule, Rule::Sequential { .. }) {
            let why = "is sequential, which takes trials one after another until they decide; requests of a load overlap, \
                       and it lasts as long as it says: say rule = \"bound\", or \"point\"";
            return Some(("rule", why.to_owned()));
        }
        let gate = Gate { floor: self.goodput, rule: self.rule, confidence: self.confidence };
        let goodput =
            || gate.flaw().map(|(field, why)| (if field == "floor" { "goodput" } else { field }, why));
        list_flaw("prompts", self.prompts.len())
            .or_else(|| self.profile().flaw())
            .or_else(|| self.limits.iter().find_map(Limit::flaw))
            .or_else(|| self.abort.flaw())
            .or_else(goodput)
            .or_else(|| self.request.flaw())
    }
}

#[async_trait]
impl Validator for Load {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.plan(0).most(), self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let wrong = |field, why| Error::Misconfigured { check: self.name.clone(), field, why };
        if let Some((field, why)) = self.flaw() {
            return Err(wrong(field, why));
        }
        let Some(agent) = subject.agent else { return Err(Error::NoAgent { check: self.name.clone() }) };
        if let Some(address) = agent.address() {
            let found = self.destinations().find(&address).await;
            found.map_err(|forbidden| wrong("allow_hosts", forbidden.to_string()))?;
        }
        let requests = self.requests(run.seed);
        let prompts = Prompts::new(&self.name, agent, &requests, run);
        let measured = drive(&self.plan(run.seed), &prompts, run.left(), &mut |_| {}).await;
        Ok(self.judge(&measured))
    }
}

impl Load {
    /// When it sends what, and when it stops.
    #[must_use]
    pub fn plan(&self, seed: u32) -> Plan {
        Plan::new(self.profile(), seed.into())
            .warmup(self.warmup)
            .in_flight(self.in_flight)
            .limits(self.limits.iter().copied())
            .abort(self.abort)
    }

    /// What it asks.
    #[must_use]
    pub fn requests(&self, seed: u32) -> Vec<Request> {
        let messages = |prompt: &String| vec![Message::new(Role::User, prompt)];
        self.prompts.iter().map(|prompt| self.request.request(messages(prompt), seed)).collect()
    }

    /// Where it may send load.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        self.allow_hosts.iter().fold(Destinations::here(), Destinations::allow)
    }

    /// What is wrong with its settings, if anything, in words.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.flaw().map(|(field, why)| format!("`{field}` {why}"))
    }

    /// What follows of what was measured.
    #[must_use]
    pub fn judge(&self, measured: &Measured) -> Finding {
        let (verdict, evidence) = measured.judge(Demand {
            max_errors: self.max_errors,
            goodput: self.goodput,
            rule: self.rule,
            confidence: self.confidence,
        });
        let cases = measured
            .failures
            .iter()
            .map(|(kind, times)| Case::new(kind, Outcome::Miss, &format!("{times} requests")));
        let stopped =
            measured.stopped.iter().map(|stop| Case::new("the load", Outcome::Miss, &stop.to_string()));
        Finding::new(&self.name, verdict, self.claim(measured))
            .with_evidence(evidence)
            .with_cases(stopped.chain(cases))
    }

    fn claim(&self, measured: &Measured) -> String {
        let limits: Vec<_> = self.limits.iter().map(ToString::to_string).collect();
        let arrivals = match self.arrivals {
            Arrivals::Constant => "at equal distances",
            Arrivals::Poisson => "by chance",
        };
        format!(
            "under {:.3} requests a second that come {arrivals} for {:.0?}, after {:.0?} of warm-up that do not count: {}",
            measured.asked(),
            measured.span,
            measured.warmup,
            if limits.is_empty() { "requests are answered".to_owned() } else { limits.join(", ") },
        )
    }

    fn profile(&self) -> Profile {
        match self.stages.is_empty() {
            true => Profile::steady(self.arrivals, self.rate, self.duration),
            false => Profile { arrivals: self.arrivals, stages: self.stages.clone() },
        }
    }
}
