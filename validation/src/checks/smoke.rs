//! Does it answer at all?

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{Matching, Settings, list_flaw};
use crate::{
    Agent, Case, Cost, Error, Event, Finding, Freshness, Message, Outcome, Reason, Reply, Role, Run,
    Sampling, Subject, Unanswered, Validator, Verdict, asking::not_asked, destination::Destinations,
};

/// Asks a few fixed questions, all of which must be answered, as expected where something is, and within a time for
/// all of them together: the first look at a version that was just deployed.
///
/// These cases are all there is, so that nothing is inferred from them. A question that is not answered when the time
/// is over has failed it; one that the agent could not be asked, or to which it gave an error, leaves it inconclusive.
/// The agent is on this machine, or on a host of `allow_hosts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Smoke {
    /// The check's name in reports.
    pub name: String,
    /// What is asked, and the answer.
    pub cases: Vec<SmokeCase>,
    /// When an answer counts as the expected one.
    pub matching: Matching,
    /// How long all of it may take.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub within: Duration,
    /// Hosts besides this machine that may be asked: names or addresses.
    pub allow_hosts: BTreeSet<String>,
    /// How the questions are put.
    pub request: Sampling,
}

/// A question, and its answer if there is one that is right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct SmokeCase {
    /// What is asked.
    pub input: String,
    /// The answer; without one, any that says something will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Most questions that are one look.
const MOST: usize = 1_000;

/// What became of a question.
type Asked = Option<Result<Reply, Unanswered>>;

impl Default for Smoke {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            cases: Vec::new(),
            matching: Matching::Contains,
            within: Duration::from_secs(30),
            allow_hosts: BTreeSet::new(),
            request: Sampling::default(),
        }
    }
}

impl Settings for Smoke {
    const KIND: &str = "smoke";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if self.cases.len() > MOST {
            return Some((
                "cases",
                format!("has more than {MOST} entries; that is a check of kind `answers`"),
            ));
        }
        if self.within.is_zero() {
            return Some(("within", "is no time; write one such as 30s".to_owned()));
        }
        if let Some(case) =
            self.cases.iter().find(|case| case.target.as_deref().is_some_and(|t| t.trim().is_empty()))
        {
            return Some(("cases", format!("has an empty target for `{}`; leave it out", case.input)));
        }
        list_flaw("cases", self.cases.len()).or_else(|| self.request.flaw())
    }
}

#[async_trait]
impl Validator for Smoke {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.cases.len() as u64, self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        match subject.agent {
            Some(agent) => self.look(agent, run).await,
            None => Err(Error::NoAgent { check: self.name.clone() }),
        }
    }
}

impl Smoke {
    /// Makes the check of an agent, whatever version it runs.
    ///
    /// # Errors
    ///
    /// [`Error::Misconfigured`] for settings that make no sense, and for an agent on a host that may not be asked.
    pub async fn look(&self, agent: &dyn Agent, run: &Run) -> Result<Finding, Error> {
        if let Some((field, why)) = self.flaw() {
            return Err(Error::Misconfigured { check: self.name.clone(), field, why });
        }
        if let Some(address) = agent.address() {
            self.destinations().find(&address).await.map_err(|forbidden| Error::Misconfigured {
                check: self.name.clone(),
                field: "allow_hosts",
                why: forbidden.to_string(),
            })?;
        }
        // What has no end in sight is bounded by the run alone.
        let end = Instant::now().checked_add(self.within);
        let mut times = HashMap::<&str, u32>::new();
        let calls: Vec<_> = (self.cases.iter())
            .map(|case| {
                let trial = times.entry(&case.input).or_default();
                *trial += 1;
                self.ask(agent, run, &case.input, *trial - 1, end)
            })
            .collect();
        let asked: Vec<Asked> = stream::iter(calls).buffered(run.concurrency.get()).collect().await;
        let mut verdicts = Vec::with_capacity(asked.len());
        let cases = self.cases.iter().zip(asked).map(|(case, asked)| {
            let (verdict, detail) = self.judge(case, asked);
            let outcome = match verdict {
                Verdict::Pass => Outcome::Hit,
                Verdict::Fail => Outcome::Miss,
                Verdict::Inconclusive(_) => Outcome::Unknown,
            };
            verdicts.push(verdict);
            Case::new(&case.input, outcome, &detail)
        });
        let cases: Vec<_> = cases.collect();
        let claim = format!("all {} questions are answered within {:?}", cases.len(), self.within);
        Ok(Finding::new(&self.name, Verdict::over(&verdicts), claim).with_cases(cases))
    }

    /// Where it may ask.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        self.allow_hosts.iter().fold(Destinations::here(), Destinations::allow)
    }

    /// The answer; `None` if there was none when the time was over.
    async fn ask(
        &self,
        agent: &dyn Agent,
        run: &Run,
        input: &str,
        trial: u32,
        end: Option<Instant>,
    ) -> Asked {
        if end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let request = self.request.request(vec![Message::new(Role::User, input)], run.seed);
        let asked = run.ask(agent, &request, trial, Freshness::New);
        let answer = match end {
            Some(end) => timeout_at(end, asked).await.ok(),
            None => Some(asked.await),
        };
        run.note_spent(&self.name);
        run.tell(Event::Called { check: &self.name, spent: run.spent() });
        answer
    }

    fn judge(&self, case: &SmokeCase, asked: Asked) -> (Verdict, String) {
        match asked {
            None => (Verdict::Fail, format!("no answer when {:?} were over", self.within)),
            Some(Ok(reply)) => match (&case.target, reply.said().filter(|said| !said.trim().is_empty())) {
                (_, None) if reply.is_cut_off() => {
                    (Verdict::Inconclusive(Reason::CutOff), "cut off before it said anything".to_owned())
                }
                (_, None) => (Verdict::Fail, "an empty answer".to_owned()),
                (Some(target), Some(said)) if !self.matching.holds(&said, target) => {
                    (Verdict::Fail, format!("`{target}` expected, `{}` answered", said.trim()))
                }
                (_, Some(said)) => (Verdict::Pass, said.into_owned()),
            },
            Some(Err(Unanswered::Short(shortage))) => {
                (Verdict::Inconclusive(not_asked(Some(&shortage))), "not asked".to_owned())
            }
            Some(Err(Unanswered::Lost(error))) => {
                (Verdict::Inconclusive(Reason::infra(&error)), error.to_string())
            }
        }
    }
}
