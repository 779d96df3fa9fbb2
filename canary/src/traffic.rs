//! Where requests go: slots, weights, exceptions.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tidegate_registry::Invalid;

/// A side of a route. Which version runs in a slot is the [`Deployer`](crate::Deployer)'s to know;
/// how much traffic it gets, the [`TrafficRouter`](crate::TrafficRouter)'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "routers and deployers must handle every slot there is")]
pub enum Slot {
    /// The version in service.
    Stable,
    /// A second copy of the version in service, of the candidate's size, to compare like with like.
    Baseline,
    /// The version being judged.
    Candidate,
}

/// A share of traffic in basis points, 0 to 10 000; as text `12.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^(0?[0-9]{1,2}(\\.[0-9]{1,2})?|100(\\.0{1,2})?)%$"))
)]
#[serde(try_from = "String", into = "String")]
pub struct Weight(u16);

/// What is to happen to every request of a route.
///
/// A request goes where the first matching [`Exception`] says; otherwise by the shares, which always
/// sum to [`Weight::FULL`] — by chance, or by a hash of the user where [`sticky`](Self::sticky) names one.
/// Of the requests that stable answers, a share may be [mirrored](Self::mirror).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Traffic {
    baseline: Weight,
    candidate: Weight,
    mirror: Weight,
    exceptions: Vec<Exception>,
    sticky: Option<Key>,
}

/// Requests that go to one slot whatever the weights say. They are no sample of the traffic and take no
/// part in any comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Exception {
    /// Where the value is found.
    pub key: Key,
    /// The value that a request must carry there.
    pub value: String,
    /// Where such requests go.
    pub to: Slot,
}

/// A place in a request that names a user or a wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Key {
    /// The cookie of this name.
    Cookie(String),
    /// The header of this name.
    Header(String),
}

impl Key {
    /// Whether it is a token, as names of headers and cookies are: RFC 9110, 5.6.2.
    pub(crate) fn is_token(&self) -> bool {
        let (Self::Cookie(name) | Self::Header(name)) = self;
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    }
}

impl Weight {
    /// All of it.
    pub const FULL: Self = Self(10_000);
    /// None of it.
    pub const NONE: Self = Self(0);

    /// `p` per cent, if that is at most 100.
    #[must_use]
    pub const fn percent(p: u16) -> Option<Self> {
        if p > 100 { None } else { Some(Self(p * 100)) }
    }

    /// `p` basis points (hundredths of a per cent), if that is at most 10 000.
    #[must_use]
    pub const fn basis_points(p: u16) -> Option<Self> {
        if p > Self::FULL.0 { None } else { Some(Self(p)) }
    }

    /// In basis points.
    #[must_use]
    pub const fn as_basis_points(self) -> u16 {
        self.0
    }

    /// Whether it is none. Takes a reference, as serde asks for it.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// What is left beside this share.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::FULL.0 - self.0)
    }
}

impl Traffic {
    /// Everything to the version in service.
    #[must_use]
    pub const fn stable() -> Self {
        Self::split(Weight::NONE)
    }

    /// `candidate` to the candidate, the rest to stable.
    #[must_use]
    pub const fn split(candidate: Weight) -> Self {
        Self { baseline: Weight::NONE, candidate, mirror: Weight::NONE, exceptions: Vec::new(), sticky: None }
    }

    /// This traffic with `baseline` taken from stable for the baseline; `None` when there is not so much left.
    /// To compare like with like it is as much as the candidate has.
    #[must_use]
    pub fn with_baseline(mut self, baseline: Weight) -> Option<Self> {
        self.baseline = baseline;
        (baseline <= self.candidate.rest()).then_some(self)
    }

    /// This traffic with the share `mirror` of stable's requests copied to the candidate.
    #[must_use]
    pub const fn with_mirror(mut self, mirror: Weight) -> Self {
        self.mirror = mirror;
        self
    }

    /// This traffic with exceptions, the first match winning.
    #[must_use]
    pub fn with_exceptions(mut self, exceptions: impl IntoIterator<Item = Exception>) -> Self {
        self.exceptions.extend(exceptions);
        self
    }

    /// This traffic with users kept on their side: a user's slot is a function of the key's value, and
    /// a user once on the candidate stays there while its weight grows.
    #[must_use]
    pub fn with_sticky(mut self, key: Option<Key>) -> Self {
        self.sticky = key;
        self
    }

    /// The share of a slot.
    #[must_use]
    pub const fn weight(&self, slot: Slot) -> Weight {
        match slot {
            Slot::Stable => Weight(Weight::FULL.0 - self.baseline.0 - self.candidate.0),
            Slot::Baseline => self.baseline,
            Slot::Candidate => self.candidate,
        }
    }

    /// The share of the requests to stable of which the candidate gets a copy as well. Whoever asked gets
    /// stable's answer, and never waits for the candidate's, which nobody sees. Only while stable answers
    /// everything.
    #[must_use]
    pub const fn mirror(&self) -> Weight {
        self.mirror
    }

    /// The slots that requests can reach, by weight, by exception or as copies.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        [Slot::Stable, Slot::Baseline, Slot::Candidate].into_iter().filter(|&slot| {
            self.weight(slot) > Weight::NONE
                || self.exceptions.iter().any(|exception| exception.to == slot)
                || (slot == Slot::Candidate && self.mirror > Weight::NONE)
        })
    }

    /// The exceptions, in order.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// What names the user, if users are to stay on their side.
    #[must_use]
    pub const fn sticky(&self) -> Option<&Key> {
        self.sticky.as_ref()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        })
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stable, {} candidate", self.weight(Slot::Stable), self.candidate)?;
        if self.baseline > Weight::NONE {
            write!(f, ", {} baseline", self.baseline)?;
        }
        if self.mirror > Weight::NONE {
            write!(f, ", {} of stable mirrored", self.mirror)?;
        }
        Ok(())
    }
}

impl FromStr for Weight {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let parse = || {
            let (whole, part) = match s.strip_suffix('%')?.split_once('.') {
                None => (s.strip_suffix('%')?, ""),
                Some((whole, part)) if matches!(part.len(), 1 | 2) => (whole, part),
                Some(_) => return None,
            };
            if !matches!(whole.len(), 1..=3) || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit())
            {
                return None;
            }
            Self::basis_points(format!("{whole}{part:0<2}").parse().ok()?)
        };
        parse().ok_or_else(|| Invalid::new("weight", s, "write 0% to 100%, with at most two decimals"))
    }
}

impl TryFrom<String> for Weight {
    type Error = Invalid;

    fn try_from(s: String) -> Result<Self, Invalid> {
        s.parse()
    }
}

impl From<Weight> for String {
    fn from(weight: Weight) -> Self {
        weight.to_string()
    }
}

/// [`Traffic`] as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    weights: BTreeMap<Slot, Weight>,
    #[serde(default, skip_serializing_if = "Weight::is_none")]
    mirror: Weight,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exceptions: Vec<Exception>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sticky: Option<Key>,
}

impl TryFrom<Unchecked> for Traffic {
    type Error = Invalid;

    fn try_from(unchecked: Unchecked) -> Result<Self, Invalid> {
        let weight = |slot| unchecked.weights.get(&slot).copied().unwrap_or_default();
        let (baseline, candidate) = (weight(Slot::Baseline), weight(Slot::Candidate));
        let sum: u32 = unchecked.weights.values().map(|weight| u32::from(weight.0)).sum();
        if sum != u32::from(Weight::FULL.0) {
            return Err(Invalid::new("traffic", format!("{}", sum / 100), "the weights must sum to 100%"));
        }
        let Unchecked { mirror, exceptions, sticky, .. } = unchecked;
        Ok(Self { baseline, candidate, mirror, exceptions, sticky })
    }
}

impl From<Traffic> for Unchecked {
    fn from(traffic: Traffic) -> Self {
        let weights = [Slot::Stable, Slot::Baseline, Slot::Candidate]
            .into_iter()
            .map(|slot| (slot, traffic.weight(slot)))
            .filter(|(_, weight)| *weight > Weight::NONE)
            .collect();
        let Traffic { mirror, exceptions, sticky, .. } = traffic;
        Self { weights, mirror, exceptions, sticky }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_print_as_they_parse() {
        for bp in 0..=10_000 {
            let weight = Weight::basis_points(bp).unwrap();
            assert_eq!(weight.to_string().parse(), Ok(weight));
        }
        for wrong in ["", "%", "10", "101%", "-1%", "1.234%", "1e1%", "100.01%", ".5%%"] {
            assert!(wrong.parse::<Weight>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn weights_that_do_not_sum_to_all_are_refused() {
        let text = r#"{"weights":{"stable":"90%","candidate":"20%"}}"#;
        assert!(serde_json::from_str::<Traffic>(text).is_err());
    }

    #[test]
    fn traffic_survives_being_written() {
        let key = Key::Header("x-user".to_owned());
        let exception = Exception { key: key.clone(), value: "tester".to_owned(), to: Slot::Candidate };
        let traffic =
            Traffic::split(Weight::percent(20).unwrap()).with_baseline(Weight::percent(20).unwrap()).unwrap();
        let traffic = traffic.with_mirror(Weight::percent(5).unwrap());
        let traffic = traffic.with_exceptions([exception]).with_sticky(Some(key));
        let text = serde_json::to_string(&traffic).unwrap();
        assert_eq!(serde_json::from_str::<Traffic>(&text).unwrap(), traffic);
    }
}
