//! The books: what may be spent, what is spent, and what is set aside for calls under way.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

use super::{Money, Shortage};

/// What calls took, or may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Spending {
    /// Calls of the agent, of a judge and of an embedder, their own retries not counted.
    pub calls: u64,
    /// Tokens of questions and answers. Of calls whose tokens nobody counted, and of attempts that failed and may have
    /// to be paid for, it is the most that they can have taken.
    pub tokens: u64,
    /// What the tokens cost; nothing unless there are prices.
    pub money: Money,
}

/// The most that may be spent; `None` for as much as one likes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) calls: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) money: Option<Money>,
}

/// The books of one run: a pure value, so that every order of events can be tried.
///
/// `spent + reserved` is never above the limits, as long as no call takes more than was set aside for it.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    limits: Limits,
    spent: Spending,
    /// Set aside for calls under way.
    reserved: Spending,
}

/// What may become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// The most that it can take is set aside.
    Now,
    /// There is enough once calls under way have taken less than was set aside for them.
    Perhaps,
    /// There is too little, however little those take.
    Never(Shortage),
}

impl Ledger {
    pub(super) const fn new(limits: Limits, spent: Spending) -> Self {
        let none = Spending { calls: 0, tokens: 0, money: Money::ZERO };
        Self { limits, spent, reserved: none }
    }

    /// Sets `most` aside, if there is so much.
    pub(super) fn reserve(&mut self, most: Spending) -> Grant {
        if let Some(shortage) = self.shortage(self.spent, most) {
            return Grant::Never(shortage);
        }
        match self.reserve_now(most) {
            Ok(()) => Grant::Now,
            Err(_) => Grant::Perhaps,
        }
    }

    /// Sets `most` aside, if there is so much even if calls under way take all that was set aside for them.
    pub(super) fn reserve_now(&mut self, most: Spending) -> Result<(), Shortage> {
        if let Some(shortage) = self.shortage(self.gone(), most) {
            return Err(shortage);
        }
        self.reserved = self.reserved + most;
        Ok(())
    }

    /// Ends a call for which `most` was set aside and which took `used`.
    pub(super) fn settle(&mut self, most: Spending, used: Spending) {
        self.reserved = self.reserved - most;
        self.spent = self.spent + used;
    }

    pub(super) const fn spent(&self) -> Spending {
        self.spent
    }

    pub(super) fn gone(&self) -> Spending {
        self.spent + self.reserved
    }

    fn shortage(&self, gone: Spending, need: Spending) -> Option<Shortage> {
        let limits = &self.limits;
        let sum = gone + need;
        if let Some(limit) = limits.calls.filter(|&limit| sum.calls > limit) {
            return Some(Shortage::Calls { limit });
        }
        if let Some(limit) = limits.tokens.filter(|&limit| sum.tokens > limit) {
            return Some(Shortage::Tokens { need: need.tokens, left: limit.saturating_sub(gone.tokens) });
        }
        let limit = limits.money.filter(|&limit| sum.money > limit)?;
        Some(Shortage::Money { need: need.money, left: limit.saturating_sub(gone.money) })
    }
}

impl Add for Spending {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money.saturating_add(other.money),
        }
    }
}

impl Sub for Spending {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            tokens: self.tokens.saturating_sub(other.tokens),
            money: self.money.saturating_sub(other.money),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn tokens(tokens: u64) -> Spending {
        Spending { calls: 1, tokens, money: Money::ZERO }
    }

    fn ledger(limit: u64) -> Ledger {
        Ledger::new(Limits { tokens: Some(limit), ..Limits::default() }, Spending::default())
    }

    /// A caller of the walk below.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Caller {
        Waits,
        Calls,
        Ended,
        Refused,
    }

    /// Every order in which callers that each reserve `most` can take turns and take from nothing to `most`.
    fn walk(ledger: &Ledger, callers: &mut [(u64, Caller)], limit: u64, seen: &mut HashSet<String>) {
        if !seen.insert(format!("{ledger:?}{callers:?}")) {
            return;
        }
        let gone = ledger.spent.tokens + ledger.reserved.tokens;
        assert!(gone <= limit, "{gone} of {limit}: {callers:?}");
        let (mut moved, mut waiting) = (false, false);
        for i in 0..callers.len() {
            let (most, state) = callers[i];
            match state {
                Caller::Waits => {
                    let mut next = ledger.clone();
                    let state = match next.reserve(tokens(most)) {
                        Grant::Now => Caller::Calls,
                        Grant::Never(_) => Caller::Refused,
                        Grant::Perhaps => {
                            waiting = true;
                            continue;
                        }
                    };
                    moved = true;
                    callers[i].1 = state;
                    walk(&next, callers, limit, seen);
                    callers[i].1 = Caller::Waits;
                }
                Caller::Calls => {
                    moved = true;
                    for used in 0..=most {
                        let mut next = ledger.clone();
                        next.settle(tokens(most), tokens(used));
                        callers[i].1 = Caller::Ended;
                        walk(&next, callers, limit, seen);
                        callers[i].1 = Caller::Calls;
                    }
                }
                Caller::Ended | Caller::Refused => {}
            }
        }
        assert!(moved || !waiting, "nobody can go on: {ledger:?} {callers:?}");
        if !moved {
            assert_eq!(ledger.reserved.tokens, 0, "nothing stays set aside");
        }
    }

    #[test]
    fn no_order_of_events_overdraws_or_waits_for_ever() {
        let mut states = 0;
        for limit in 0..=7 {
            for most in [[1, 1, 1, 1], [1, 2, 3, 4], [3, 3, 2, 2], [5, 1, 4, 2]] {
                let mut callers = most.map(|most| (most, Caller::Waits));
                let mut seen = HashSet::new();
                walk(&ledger(limit), &mut callers, limit, &mut seen);
                states += seen.len();
            }
        }
        assert!(states > 1000, "the walk saw {states} states");
    }

    #[test]
    fn what_is_lacking_is_said() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        let limits = Limits { calls: Some(2), tokens: Some(100), money: Some(money("1")) };
        let mut books = Ledger::new(limits, Spending::default());
        let call = |tokens, cost| Spending { calls: 1, tokens, money: money(cost) };
        assert_eq!(books.reserve(call(101, "0")), Grant::Never(Shortage::Tokens { need: 101, left: 100 }));
        let dear = Shortage::Money { need: money("1.01"), left: money("1") };
        assert_eq!(books.reserve(call(1, "1.01")), Grant::Never(dear));
        assert_eq!(books.reserve(call(60, "0.6")), Grant::Now);
        assert_eq!(books.reserve(call(60, "0.1")), Grant::Perhaps);
        assert_eq!(books.reserve_now(call(60, "0.1")), Err(Shortage::Tokens { need: 60, left: 40 }));
        books.settle(call(60, "0.6"), call(10, "0.1"));
        assert_eq!(books.reserve(call(60, "0.1")), Grant::Now);
        books.settle(call(60, "0.1"), call(60, "0.1"));
        assert_eq!(books.reserve(call(1, "0")), Grant::Never(Shortage::Calls { limit: 2 }));
        assert_eq!(books.spent(), call(70, "0.2") + Spending { calls: 1, ..Spending::default() });
    }

    proptest! {
        #[test]
        fn the_books_are_never_overdrawn(
            limit in 0_u64..500,
            steps in vec((0_u64..100, any::<bool>(), 0.0..=1.0_f64), 0..200),
        ) {
            let mut books = ledger(limit);
            let (mut under_way, mut spent) = (Vec::new(), 0);
            for (most, ends, share) in steps {
                if ends && !under_way.is_empty() {
                    let most: u64 = under_way.remove(0);
                    let used = (most as f64 * share) as u64;
                    books.settle(tokens(most), tokens(used));
                    spent += used;
                } else if books.reserve(tokens(most)) == Grant::Now {
                    under_way.push(most);
                }
                let aside: u64 = under_way.iter().sum();
                prop_assert!(spent + aside <= limit);
                prop_assert_eq!((books.spent.tokens, books.reserved.tokens), (spent, aside));
            }
        }
    }
}
