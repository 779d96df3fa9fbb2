//! How a run stands: a fold over its events.

use std::time::Duration;

use tidegate::validation::{Cost, Event, Evidence, Finding, Money, Spending, Verdict};

/// How a run stands.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// What is validated, and by which suite.
    pub(super) title: String,
    /// Who answers.
    pub(super) agent: String,
    pub(super) most: Most,
    pub(super) checks: Vec<Check>,
    pub(super) spent: Spending,
    /// The most calls of all checks that have begun.
    begun: u64,
}

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) time: Duration,
    /// The most calls of all checks.
    pub(super) calls: u64,
    /// Calls of the budget.
    pub(super) budget: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) money: Option<Money>,
}

#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// It has not begun.
    Waits,
    /// It asks.
    Asks(Asks),
    /// It is over.
    Over { verdict: Verdict, claim: String, evidence: Option<Evidence> },
}

#[derive(Clone, Debug)]
pub(super) struct Asks {
    /// The most that it may cost.
    pub(super) cost: Cost,
    pub(super) calls: u64,
    /// Trials so far, and of how many, where they are counted one by one.
    pub(super) trials: Option<(u64, u64)>,
    pub(super) evidence: Option<Evidence>,
    /// When the evidence was looked at last.
    looked: Duration,
}

/// Evidence is worked out no more often than this: over many clusters that takes a while.
const LOOK: Duration = Duration::from_millis(100);

impl View {
    pub(super) fn new<'a>(
        title: String,
        agent: String,
        most: Most,
        checks: impl Iterator<Item = &'a str>,
    ) -> Self {
        let checks = checks.map(|name| Check { name: name.to_owned(), state: State::Waits }).collect();
        Self { title, agent, most, checks, spent: Spending::default(), begun: 0 }
    }

    /// Notes what happened, `at` so long after the beginning.
    pub(super) fn see(&mut self, event: &Event<'_>, at: Duration) {
        match *event {
            Event::Started { check, cost } => {
                let asks = Asks { cost, calls: 0, trials: None, evidence: None, looked: at };
                self.begun = self.begun.saturating_add(cost.calls);
                self.set(check, State::Asks(asks));
            }
            Event::Called { check, spent } => {
                self.spent = spent;
                if let Some(asks) = self.asking(check) {
                    asks.calls += 1;
                }
            }
            Event::Recalled { check, calls } => {
                if let Some(asks) = self.asking(check) {
                    asks.cost.calls = asks.cost.calls.saturating_sub(calls);
                }
                self.begun = self.begun.saturating_sub(calls);
            }
            Event::Counted(standing) => {
                if let Some(asks) = self.asking(standing.check()) {
                    asks.trials = Some((standing.made(), standing.of()));
                    if asks.evidence.is_none() || at >= asks.looked + LOOK {
                        asks.looked = at;
                        asks.evidence = standing.evidence();
                    }
                }
            }
            Event::Finished(Finding { check, verdict, claim, evidence, .. }) => {
                let (verdict, claim) = (verdict.clone(), claim.clone());
                self.set(check, State::Over { verdict, claim, evidence: evidence.last().cloned() });
            }
            _ => {}
        }
    }

    /// How long it may still take at the pace so far, `at` so long after the beginning; nothing is known before the
    /// first call. Checks may ask less than they say, so it may be over sooner.
    pub(super) fn left(&self, at: Duration) -> Option<Duration> {
        if self.spent.calls == 0 || at.is_zero() {
            return None;
        }
        let running = self.checks.iter().filter_map(|check| match &check.state {
            State::Asks(asks) => Some(asks.ahead()),
            _ => None,
        });
        let ahead = self.most.calls.saturating_sub(self.begun).saturating_add(running.sum());
        let ahead = self.budget_left().map_or(ahead, |left| ahead.min(left));
        let seconds = at.as_secs_f64() * ahead as f64 / self.spent.calls as f64;
        let left = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Some(left.min(self.most.time.saturating_sub(at)))
    }

    fn budget_left(&self) -> Option<u64> {
        Some(self.most.budget?.saturating_sub(self.spent.calls))
    }

    fn asking(&mut self, check: &str) -> Option<&mut Asks> {
        let state = self.checks.iter_mut().find(|known| known.name == check).map(|known| &mut known.state);
        match state {
            Some(State::Asks(asks)) => Some(asks),
            _ => None,
        }
    }

    fn set(&mut self, check: &str, state: State) {
        if let Some(known) = self.checks.iter_mut().find(|known| known.name == check) {
            known.state = state;
        }
    }
}

impl Asks {
    /// The most calls that are still to come.
    fn ahead(&self) -> u64 {
        match self.trials {
            // What is on record is not asked again.
            Some((made, of)) if of > 0 => {
                (self.cost.calls as f64 * of.saturating_sub(made) as f64 / of as f64).ceil() as u64
            }
            _ => self.cost.calls.saturating_sub(self.calls),
        }
    }
}
