//! What a run may take, and what it took.

mod attempts;
mod ledger;
mod money;
mod purse;
mod shortage;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

#[cfg(feature = "openai")]
pub(crate) use self::attempts::{again, failed};
use self::ledger::Limits;
pub(crate) use self::{
    attempts::within,
    purse::{Purse, Refused, Reservation},
};
pub use self::{
    ledger::Spending,
    money::{Money, Price},
    shortage::Shortage,
};
use crate::{AgentId, ByteBound, Request, Tokenizer, Usage};

/// What a run may take at most: calls, tokens, money. Its time is the [deadline](crate::Run::deadline).
///
/// The most that a call can take is set aside before it is sent, and what it did not take is given back
/// when it ends. So no number of calls at the same time takes more than the budget, provided that the
/// [`Tokenizer`] does not say too little and the server honours `max_tokens`; what a server takes beyond
/// that is counted, and no call after it is made. A call that breaks off, times out or
/// cannot be understood has taken all that was set aside for it: it may have to be paid for. So has each attempt that
/// failed on the server's side, and another is made only if there is enough left for it.
///
/// Judges and embedders are paid from the same budget, but for those that are [free](Self::free).
///
/// Every request must say `max_tokens` under a limit of tokens or money, and every agent must have a price
/// under one of money. What is asked without is [`Misconfigured`](crate::AgentError::Misconfigured), and not sent.
///
/// ```
/// use tidegate_validation::{Budget, Price};
///
/// let price = Price::per_million("0.15".parse()?, "0.60".parse()?);
/// let budget = Budget::default().calls(500).tokens(200_000).money("2.50".parse()?).price(price);
/// # let _ = budget;
/// # Ok::<(), tidegate_registry::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    price: Option<Price>,
    prices: BTreeMap<AgentId, Price>,
    free: BTreeSet<AgentId>,
    tokenizer: Arc<dyn Tokenizer>,
}

impl Budget {
    /// This budget, of at most so many calls.
    #[must_use]
    pub const fn calls(mut self, calls: u64) -> Self {
        self.limits.calls = Some(calls);
        self
    }

    /// This budget, of at most so many tokens, those of questions and of answers together.
    #[must_use]
    pub const fn tokens(mut self, tokens: u64) -> Self {
        self.limits.tokens = Some(tokens);
        self
    }

    /// This budget, of at most so much money.
    #[must_use]
    pub const fn money(mut self, money: Money) -> Self {
        self.limits.money = Some(money);
        self
    }

    /// This budget, at this price for every agent that has none of its own.
    #[must_use]
    pub const fn price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// This budget, with a price of its own for the agent of this name.
    #[must_use]
    pub fn price_of(mut self, agent: AgentId, price: Price) -> Self {
        self.prices.insert(agent, price);
        self
    }

    /// This budget, from which calls of the agent or embedder of this name take nothing, as those of a model on a
    /// machine of one's own.
    #[must_use]
    pub fn free(mut self, agent: AgentId) -> Self {
        self.free.insert(agent);
        self
    }

    /// This budget, with questions counted by `tokenizer`; by [`ByteBound`] at first.
    #[must_use]
    pub fn tokenizer(mut self, tokenizer: impl Tokenizer) -> Self {
        self.tokenizer = Arc::new(tokenizer);
        self
    }

    /// The most that a call can take; `Err` says why that is not known.
    fn most(&self, agent: &AgentId, request: &Request) -> Result<Spending, String> {
        if self.free.contains(agent) {
            return Ok(Spending::default());
        }
        let price = self.price_for(agent);
        self.priced(agent, price)?;
        let limited = self.limits.money.is_some() || self.limits.tokens.is_some();
        let answer = match request.max_tokens {
            Some(tokens) => u64::from(tokens),
            None if limited => {
                return Err(
                    "there is a limit of tokens or money, and the request does not say max_tokens".to_owned()
                );
            }
            None => 0,
        };
        let question = self.tokenizer.count(request);
        let money = price.map_or(Money::ZERO, |price| price.of(question, 0, answer));
        Ok(Spending { calls: 1, tokens: question.saturating_add(answer), money })
    }

    /// Tokens of `text` in a question.
    pub(crate) fn weigh(&self, text: &str) -> u64 {
        self.tokenizer.count(&Request::user(text))
    }

    /// The most that the vectors of `texts` can take; `Err` says why that is not known.
    fn most_of_texts(&self, embedder: &AgentId, texts: &[String]) -> Result<Spending, String> {
        if self.free.contains(embedder) {
            return Ok(Spending::default());
        }
        let price = self.price_for(embedder);
        self.priced(embedder, price)?;
        let tokens = texts.iter().map(|text| self.weigh(text));
        let tokens = tokens.fold(0, u64::saturating_add);
        let money = price.map_or(Money::ZERO, |price| price.of(tokens, 0, 0));
        Ok(Spending { calls: 1, tokens, money })
    }

    fn priced(&self, agent: &AgentId, price: Option<Price>) -> Result<(), String> {
        match self.limits.money.is_some() && price.is_none() {
            true => Err(format!(
                "there is a limit of money and no price for {agent}; say one with `Budget::price`"
            )),
            false => Ok(()),
        }
    }

    /// What a call took whose tokens were counted.
    fn used(&self, agent: &AgentId, usage: Usage) -> Spending {
        if self.free.contains(agent) {
            return Spending::default();
        }
        let price = self.price_for(agent);
        let answered = usage.answered();
        Spending {
            calls: 1,
            tokens: usage.input_tokens.saturating_add(answered),
            money: price
                .map_or(Money::ZERO, |price| price.of(usage.input_tokens, usage.cached_tokens, answered)),
        }
    }

    fn price_for(&self, agent: &AgentId) -> Option<Price> {
        self.prices.get(agent).copied().or(self.price)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            price: None,
            prices: BTreeMap::new(),
            free: BTreeSet::new(),
            tokenizer: Arc::new(ByteBound),
        }
    }
}
