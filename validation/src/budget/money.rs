//! Money, exactly.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tidegate_registry::Invalid;

/// An amount of money in whichever currency prices are said in, exact to a millionth of a millionth.
///
/// ```
/// use tidegate_validation::Money;
///
/// let budget: Money = "2.50".parse()?;
/// assert_eq!(budget.to_string(), "2.5");
/// # Ok::<(), tidegate_registry::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = r"^[0-9]{1,8}(\.[0-9]{1,12})?$"))
)]
#[serde(try_from = "String", into = "String")]
pub struct Money(u64);

/// What a model's tokens cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Price {
    /// A million tokens of questions.
    pub input: Money,
    /// A million tokens of questions that the provider remembers; as `input` if there is no rebate.
    pub cached_input: Option<Money>,
    /// A million tokens of answers, thinking included.
    pub output: Money,
}

const DIGITS: usize = 12;
const UNIT: u64 = 10_u64.pow(DIGITS as u32);

impl Money {
    /// None.
    pub const ZERO: Self = Self(0);

    pub(crate) const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Price {
    /// A price of tokens in and out, by the million.
    #[must_use]
    pub const fn per_million(input: Money, output: Money) -> Self {
        Self { input, cached_input: None, output }
    }

    /// What so many tokens cost, rounded up.
    pub(crate) fn of(&self, input: u64, cached: u64, output: u64) -> Money {
        let cached = cached.min(input);
        let cost = |tokens: u64, price: Money| u128::from(tokens) * u128::from(price.0);
        let all = cost(input - cached, self.input)
            + cost(cached, self.cached_input.unwrap_or(self.input))
            + cost(output, self.output);
        Money(u64::try_from(all.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

impl FromStr for Money {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let why = "write an amount such as 2.50, below 18 million and with at most 12 decimals";
            Invalid::new("amount of money", text, why)
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let sound = !whole.is_empty() && !fraction.is_empty() && fraction.len() <= DIGITS;
        if !(sound && digits(whole) && digits(fraction)) {
            return Err(invalid());
        }
        let whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(UNIT));
        let fraction = format!("{fraction:0<DIGITS$}").parse::<u64>().ok();
        let amount = whole.zip(fraction).and_then(|(whole, fraction)| whole.checked_add(fraction));
        amount.map(Self).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Money {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / UNIT, self.0 % UNIT);
        match fraction {
            0 => write!(f, "{whole}"),
            _ => write!(f, "{whole}.{}", format!("{fraction:0DIGITS$}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.0000000000001", "18446745", "NaN", " 1"]
        {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_cost_what_the_price_list_says() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        let price =
            Price { cached_input: Some(money("0.075")), ..Price::per_million(money("0.15"), money("0.6")) };
        assert_eq!(price.of(1_000_000, 0, 1_000_000), money("0.75"));
        assert_eq!(price.of(1000, 400, 500), money("0.00042"));
        assert_eq!(price.of(1, 0, 0), money("0.00000015"));
        // A price below what is counted in is rounded up, never to nothing.
        assert_eq!(Price::per_million(Money(1), Money(1)).of(1, 0, 0), Money(1));
        assert_eq!(Price::per_million(Money(u64::MAX), Money::ZERO).of(u64::MAX, 0, 0), Money(u64::MAX));
    }

    proptest! {
        #[test]
        fn an_amount_is_read_as_it_is_written(amount in any::<u64>()) {
            prop_assert_eq!(Money(amount).to_string().parse::<Money>().unwrap(), Money(amount));
        }
    }
}
