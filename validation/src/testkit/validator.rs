//! What every [`Validator`] must do. A check of your own runs all of it by
//! [`validator_conformance!`](crate::validator_conformance).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tidegate_registry::{Manifest, ModelStore};

use crate::{
    Agent, AgentError, AgentId, Call, Error, Finding, Reply, Request, Run, Subject, Validator, Verdict,
};

/// A check, and a version that passes it.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the factory of a test writes it as a literal")]
pub struct Checked<V> {
    /// The check.
    pub validator: V,
    /// The version.
    pub manifest: Manifest,
    /// Where its files are.
    pub store: Arc<dyn ModelStore>,
    /// The version at work; whatever it is where the check asks nothing.
    pub agent: Arc<dyn Agent>,
}

/// A test for each check of this suite, in a module of the given name. The factory makes
/// [`Checked`](crate::testkit::validator::Checked), anew for each. The tests run on the caller's `tokio`, which needs its
/// features `macros` and `rt`.
#[macro_export]
macro_rules! validator_conformance {
    ($module:ident, $factory:expr) => {
        $crate::__validator_conformance! { $module, $factory;
            a_good_version_passes
            every_call_is_estimated_and_of_the_run
            what_was_not_asked_proves_nothing
            a_server_that_is_away_is_no_fault_of_the_model
        }
    };
}

/// A test for each of `$check`.
#[doc(hidden)]
#[macro_export]
macro_rules! __validator_conformance {
    ($module:ident, $factory:expr; $($check:ident)*) => {
        mod $module {
            #[allow(unused_imports, reason = "a factory may need nothing from around it")]
            use super::*;

            $(
                #[::tokio::test]
                async fn $check() {
                    $crate::testkit::validator::$check($factory).await;
                }
            )*
        }
    };
}

/// The version passes, under the check's own name, which says something.
pub async fn a_good_version_passes<V: Validator>(make: impl AsyncFn() -> Checked<V>) {
    let checked = make().await;
    let name = checked.validator.name().to_owned();
    assert!(!name.trim().is_empty(), "a check has a name");
    let (found, _) = checked.found(&Run::new(7), |agent| agent).await;
    let finding = found.expect("the check can be made");
    assert_eq!((finding.check, finding.verdict), (name, Verdict::Pass));
    assert!(!finding.claim.trim().is_empty(), "a finding says what was to be shown");
}

/// The agent is asked no more often than was estimated, and never but by [`Run::ask`].
pub async fn every_call_is_estimated_and_of_the_run<V: Validator>(make: impl AsyncFn() -> Checked<V>) {
    let checked = make().await;
    let run = Run::new(7);
    let (_, calls) = checked.found(&run, |agent| agent).await;
    let (most, spent) = (checked.estimate(), run.spent().calls);
    assert!(calls <= most, "{most} calls were estimated, and {calls} made");
    assert_eq!(calls, spent, "{calls} calls were made, and {spent} of them by the run");
}

/// A check of answers that may ask nothing is inconclusive, and does not ask.
pub async fn what_was_not_asked_proves_nothing<V: Validator>(make: impl AsyncFn() -> Checked<V>) {
    let checked = make().await;
    let (found, calls) = checked.found(&Run::new(7).max_calls(0), |agent| agent).await;
    assert_eq!(calls, 0, "nothing may be asked");
    checked.expect_undecided(found);
}

/// A check of answers that gets none is inconclusive.
pub async fn a_server_that_is_away_is_no_fault_of_the_model<V: Validator>(
    make: impl AsyncFn() -> Checked<V>,
) {
    let checked = make().await;
    let (found, _) = checked.found(&Run::new(7), |_| Arc::new(Away)).await;
    checked.expect_undecided(found);
}

impl<V: Validator> Checked<V> {
    fn estimate(&self) -> u64 {
        self.validator.estimate(&Subject::new(&self.manifest, &*self.store).with_agent(&*self.agent)).calls
    }

    /// What the check finds of the version, at work as what `change` makes of its agent, and how often that was asked.
    async fn found(
        &self,
        run: &Run,
        change: impl FnOnce(Arc<dyn Agent>) -> Arc<dyn Agent>,
    ) -> (Result<Finding, Error>, u64) {
        let agent = Counted { inner: change(Arc::clone(&self.agent)), calls: AtomicU64::new(0) };
        let subject = Subject::new(&self.manifest, &*self.store).with_agent(&agent);
        let found = self.validator.validate(&subject, run).await;
        (found, agent.calls.into_inner())
    }

    fn expect_undecided(&self, found: Result<Finding, Error>) {
        match found {
            _ if self.estimate() == 0 => {}
            Err(_) => {}
            Ok(finding) => {
                let undecided = matches!(finding.verdict, Verdict::Inconclusive(_));
                assert!(undecided, "without an answer the verdict is {:?}", finding.verdict);
            }
        }
    }
}

/// An agent that counts what it is asked.
struct Counted {
    inner: Arc<dyn Agent>,
    calls: AtomicU64,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Agent for Counted {
    fn fingerprint(&self) -> AgentId {
        self.inner.fingerprint()
    }

    fn address(&self) -> Option<String> {
        self.inner.address()
    }

    async fn respond(&self, request: &Request, call: &Call) -> Result<Reply, AgentError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.respond(request, call).await
    }
}

/// An agent that is not there.
#[derive(Debug)]
struct Away;

#[async_trait]
impl Agent for Away {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("away")
    }

    async fn respond(&self, _: &Request, _: &Call) -> Result<Reply, AgentError> {
        let why = "it is away".to_owned();
        Err(AgentError::Unavailable { agent: self.fingerprint(), why, attempts: 1, source: None })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use tidegate_registry::{Card, InMemory, Stamp};

    use super::*;
    use crate::{
        Cost, FnAgent,
        checks::{Smoke, SmokeCase},
    };

    fn checked<V>(validator: V) -> Checked<V> {
        let stamp = Stamp { by: "ada".to_owned(), at: UNIX_EPOCH };
        let manifest = Manifest::new("m@1.0.0".parse().unwrap(), Vec::new(), stamp, Card::default());
        let agent = FnAgent::new("echo", async |request| Ok(Reply::text(&request.messages[0].content)));
        Checked { validator, manifest, store: Arc::new(InMemory::new()), agent: Arc::new(agent) }
    }

    fn smoke() -> Smoke {
        let case = |input: &str| SmokeCase { input: input.to_owned(), target: None };
        Smoke { cases: vec![case("one"), case("two")], ..Smoke::default() }
    }

    validator_conformance!(smoke_test, async || checked(smoke()));

    /// Asks behind the back of the run, and takes no answer for a bad one.
    #[derive(Debug)]
    struct Hasty(Cost);

    #[async_trait]
    impl Validator for Hasty {
        fn name(&self) -> &str {
            "hasty"
        }

        fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
            self.0
        }

        async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
            let agent = subject.agent.expect("it is given one");
            let answer = agent.respond(&Request::user("?"), &Call::new(run.call_timeout)).await;
            let verdict = if answer.is_ok() { Verdict::Pass } else { Verdict::Fail };
            Ok(Finding::new(self.name(), verdict, "it answers"))
        }
    }

    #[tokio::test]
    #[should_panic = "and 0 of them by the run"]
    async fn calls_behind_the_back_of_the_run_are_seen() {
        every_call_is_estimated_and_of_the_run(async || checked(Hasty(Cost::calls(1, 1)))).await;
    }

    #[tokio::test]
    #[should_panic = "0 calls were estimated, and 1 made"]
    async fn calls_that_nobody_estimated_are_seen() {
        every_call_is_estimated_and_of_the_run(async || checked(Hasty(Cost::default()))).await;
    }

    #[tokio::test]
    #[should_panic = "without an answer the verdict is Fail"]
    async fn blaming_the_model_for_its_server_is_seen() {
        a_server_that_is_away_is_no_fault_of_the_model(async || checked(Hasty(Cost::calls(1, 1)))).await;
    }
}
