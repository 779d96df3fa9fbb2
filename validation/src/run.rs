//! The terms of a run: how long, for how much, how many calls at once, with what instruments, and who watches.

use std::{
    fmt,
    future::{Future, ready},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    Agent, AgentError, AgentId, Budget, Call, Cost, Embedder, Embedding, Finding, Freshness, Record,
    RecordError, Reply, Request, Shortage, Spending,
    budget::{Purse, Refused, Reservation, within},
    checks::Standing,
    record::{Header, Recording},
    safety::Classifier,
    scorer::Judge,
    telemetry::called,
};

/// The terms under which a suite runs: how long, for how much, how many calls at once, with what instruments, and who
/// watches.
///
/// | term | without it |
/// |---|---|
/// | [`deadline`](Self::deadline), [`call_timeout`](Self::call_timeout) | 15 minutes for all, 60 s for a call |
/// | [`budget`](Self::budget), [`max_calls`](Self::max_calls) | what the checks ask for |
/// | [`concurrency`](Self::concurrency) | 4 calls at once |
/// | [`judge`](Self::judge), [`embedder`](Self::embedder) | checks that need them are inconclusive |
/// | [`record`](Self::record) | a run that is killed begins anew |
/// | [`watch`](Self::watch) | nobody is told before the report |
///
/// What runs out in the middle is no error: a check then says what the answers so far decide. A `Run` may be used for
/// several suites; each of them has the whole time and the whole budget.
///
/// ```
/// use std::time::Duration;
/// use tidegate_validation::{Event, Run};
///
/// let run = Run::new(7).deadline(Duration::from_secs(120)).max_calls(500).watch(|event| match event {
///     Event::Counted(standing) if standing.made() % 100 == 0 => {
///         println!("{}: {} of {}", standing.check(), standing.made(), standing.of());
///     }
///     Event::Finished(finding) => println!("{}: {}", finding.check, finding.verdict.word()),
///     _ => {}
/// });
/// # let _ = run;
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Run {
    /// Goes into every request and into the report, so that the run can be repeated.
    pub seed: u32,
    /// When the run is made, for what expires; not known at first.
    pub at: Option<SystemTime>,
    /// How long a single call may take, retries included; 60 s at first.
    pub call_timeout: Duration,
    /// How many calls a check may have under way at once, unless it needs them one by one; 4 at first.
    pub concurrency: NonZeroUsize,
    /// How long the run may take; 15 minutes at first. What is not known by then stays unknown.
    pub deadline: Duration,
    /// What says whether answers do harm, for checks that ask one; none at first.
    pub classifier: Option<Arc<dyn Classifier>>,
    /// What turns texts into vectors, for scorers that compare meanings; none at first.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// What judges answers, for scorers that ask one; none at first.
    pub judge: Option<Judge>,
    /// Where each trial of the checks that stream is written down; nowhere at first.
    pub record: Option<Record>,
    recording: Option<Arc<Recording>>,
    ends: Option<Instant>,
    purse: Arc<Purse>,
    watch: Arc<dyn Fn(Event<'_>) + Send + Sync>,
}

/// Why a question has no answer.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "either the agent was asked or it was not")]
pub enum Unanswered {
    /// It was asked, and the agent gave none.
    Lost(AgentError),
    /// It was not asked: there was too little left.
    Short(Shortage),
}

/// What happens in a run while it happens.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A check begins, and may cost so much.
    Started {
        /// The check.
        check: &'a str,
        /// The most that it may cost.
        cost: Cost,
    },
    /// A call was answered, or will not be.
    Called {
        /// The check that made it.
        check: &'a str,
        /// What all calls of the run took so far.
        spent: Spending,
    },
    /// A check of a dataset counted one more trial.
    Counted(Standing<'a>),
    /// A trial was found in the record of the run, and what may have been calls was spared.
    Recalled {
        /// The check that found it.
        check: &'a str,
        /// The most calls that it would have taken.
        calls: u64,
    },
    /// A check is over.
    Finished(&'a Finding),
}

impl Run {
    /// A run with this seed and the terms said at the fields.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");
        Self {
            seed,
            at: None,
            call_timeout: Duration::from_secs(60),
            concurrency: CONCURRENCY,
            deadline: Duration::from_secs(15 * 60),
            classifier: None,
            embedder: None,
            judge: None,
            record: None,
            recording: None,
            ends: None,
            purse: Purse::new(Budget::default(), Spending::default()),
            watch: Arc::new(|_| {}),
        }
    }

    /// This run, made at this time: what expires is held against it.
    #[must_use]
    pub const fn at(mut self, time: SystemTime) -> Self {
        self.at = Some(time);
        self
    }

    /// This run, ending after `deadline`.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// This run, with calls of at most `timeout`.
    #[must_use]
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// This run, with at most so many calls at once.
    #[must_use]
    pub const fn concurrency(mut self, calls: NonZeroUsize) -> Self {
        self.concurrency = calls;
        self
    }

    /// This run, within `budget`; without one it may take what it likes. Each run of a suite has the whole budget, but
    /// for one that goes on from a [record](Self::record), which has what was left; checks that are made without a suite share that of their `Run` and its clones.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.purse = Purse::new(budget, Spending::default());
        self
    }

    /// This run, with at most so many calls.
    #[must_use]
    pub fn max_calls(self, calls: u64) -> Self {
        let budget = self.purse.budget().clone();
        self.budget(budget.calls(calls))
    }

    /// This run, with this to say whether answers do harm. Its calls are of the run's budget.
    #[must_use]
    pub fn classifier(mut self, classifier: impl Classifier) -> Self {
        self.classifier = Some(Arc::new(classifier));
        self
    }

    /// This run, with this to turn texts into vectors.
    #[must_use]
    pub fn embedder(mut self, embedder: impl Embedder) -> Self {
        self.embedder = Some(Arc::new(embedder));
        self
    }

    /// This run, with this to judge answers. Its calls are of the run's budget.
    #[must_use]
    pub fn judge(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }

    /// This run, with each trial of the checks that stream written down; a record that exists is gone on from.
    #[must_use]
    pub fn record(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    /// This run, telling `watch` what happens. It is called between awaits: return quickly.
    #[must_use]
    pub fn watch(mut self, watch: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        self.watch = Arc::new(watch);
        self
    }

    /// Asks `agent` within the time and the budget of the run, as repetition number `trial` of the request.
    ///
    /// # Errors
    ///
    /// [`Unanswered::Short`] if there is too little left for the call, which is not made then, and
    /// [`Unanswered::Lost`] if the agent gave no answer.
    pub async fn ask(
        &self,
        agent: &dyn Agent,
        request: &Request,
        trial: u32,
        freshness: Freshness,
    ) -> Result<Reply, Unanswered> {
        let reserved = self.purse.reserve(agent.fingerprint(), request);
        self.put(agent, request, reserved, |call| Call { freshness, ..call.trial(trial) }).await
    }

    /// Asks `agent` as [`ask`](Self::ask) does, for a new answer, at once and by a single attempt: what it does not answer at
    /// first has failed.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask). There is too little left also where calls under way may take less than was set aside for
    /// them: to wait for those would be taken for the time of this one.
    pub async fn ask_once(
        &self,
        agent: &dyn Agent,
        request: &Request,
        trial: u32,
    ) -> Result<Reply, Unanswered> {
        let reserved = ready(self.purse.reserve_now(agent.fingerprint(), request));
        self.put(agent, request, reserved, |call| call.trial(trial).afresh().once()).await
    }

    /// Asks `agent` on these terms, once what it can take is set aside, for as long as there is time.
    async fn put(
        &self,
        agent: &dyn Agent,
        request: &Request,
        reserved: impl Future<Output = Result<Arc<Reservation>, Refused>> + Send,
        terms: impl FnOnce(Call) -> Call + Send,
    ) -> Result<Reply, Unanswered> {
        let id = agent.fingerprint();
        let (reservation, call) = self.call(&id, reserved).await?;
        let call = terms(call);
        let answer = called(&id, "chat", agent.respond(request, &call), |reply| {
            reply.usage.filter(|_| !reply.remembered)
        });
        let outcome = within(&reservation, answer).await;
        reservation.settle(&outcome);
        outcome.map_err(Unanswered::Lost)
    }

    /// Asks `embedder` for the vectors of `texts`, within the time and the budget of the run.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub async fn embed(
        &self,
        embedder: &dyn Embedder,
        texts: &[String],
    ) -> Result<Vec<Embedding>, Unanswered> {
        let reserved = self.purse.reserve_vectors(embedder.fingerprint(), texts);
        let id = embedder.fingerprint();
        let (reservation, call) = self.call(&id, reserved).await?;
        let answer = called(&id, "embeddings", embedder.embed(texts, &call), |_| None);
        let outcome = within(&reservation, answer).await;
        reservation.settle_vectors(&outcome);
        outcome.map_err(Unanswered::Lost)
    }

    /// The terms of a call, once what it can take is set aside.
    async fn call(
        &self,
        agent: &AgentId,
        reserved: impl Future<Output = Result<Arc<Reservation>, Refused>> + Send,
    ) -> Result<(Arc<Reservation>, Call), Unanswered> {
        let over = || Unanswered::Short(Shortage::Time);
        let reserved = tokio::time::timeout(self.left(), reserved).await.map_err(|_| over())?;
        let reservation = reserved.map_err(|refused| match refused {
            Refused::Short(shortage) => Unanswered::Short(shortage),
            Refused::Unknown(why) => {
                Unanswered::Lost(AgentError::Misconfigured { agent: agent.clone(), source: why.into() })
            }
        })?;
        let left = self.left();
        if left.is_zero() {
            reservation.give_back();
            return Err(over());
        }
        Ok((reservation, Call::new(self.call_timeout.min(left))))
    }

    /// Tokens of `text` in a question, as its budget counts them.
    pub(crate) fn weigh(&self, text: &str) -> u64 {
        self.purse.budget().weigh(text)
    }

    /// What its calls took so far.
    #[must_use]
    pub fn spent(&self) -> Spending {
        self.purse.spent()
    }

    /// How much time is left.
    pub(crate) fn left(&self) -> Duration {
        self.ends.map_or(self.deadline, |end| end.saturating_duration_since(Instant::now()))
    }

    /// What its calls took so far, and what is set aside for those under way.
    pub(crate) fn gone(&self) -> Spending {
        self.purse.gone()
    }

    /// Has the record say what is gone, after a call whose answer is not recorded: a run that is killed has spent it.
    pub(crate) fn note_spent(&self, check: &str) {
        if let Some(Err(error)) = self.recording().map(|record| record.spend(self.gone())) {
            tracing::warn!(check, "what was spent is not recorded: {error}");
        }
    }

    /// Tells whoever watches.
    pub(crate) fn tell(&self, event: Event<'_>) {
        (self.watch)(event);
    }

    /// This run with its clock started and nothing spent.
    pub(crate) fn started(&self) -> Self {
        let ends = Instant::now().checked_add(self.deadline);
        let purse = Purse::new(self.purse.budget().clone(), Spending::default());
        Self { ends, purse, ..self.clone() }
    }

    /// This run with its clock started unless it runs already, for what asks without a suite: its calls are of the budget of this run.
    pub(crate) fn timed(&self) -> Self {
        let ends = self.ends.or_else(|| Instant::now().checked_add(self.deadline));
        Self { ends, ..self.clone() }
    }

    /// This run with its record open, if it has one, and with what was spent by then.
    pub(crate) async fn recorded(mut self, header: Header) -> Result<Self, RecordError> {
        if let Some(record) = self.record.clone() {
            let path = record.path().to_owned();
            let opened = tokio::task::spawn_blocking(move || Recording::open(&record, &header)).await;
            let opened = opened.map_err(|source| RecordError::Io { path, source: source.into() })?;
            let recording = opened?;
            self.purse = Purse::new(self.purse.budget().clone(), recording.spent());
            self.recording = Some(Arc::new(recording));
        }
        Ok(self)
    }

    /// The open record.
    pub(crate) fn recording(&self) -> Option<&Recording> {
        self.recording.as_deref()
    }

    /// When the time is over; `None` if never.
    pub(crate) const fn ends(&self) -> Option<Instant> {
        self.ends
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("seed", &self.seed)
            .field("at", &self.at)
            .field("call_timeout", &self.call_timeout)
            .field("concurrency", &self.concurrency)
            .field("deadline", &self.deadline)
            .field("budget", self.purse.budget())
            .field("classifier", &self.classifier)
            .field("embedder", &self.embedder)
            .field("judge", &self.judge)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}
