//! What the map of a route says, as entries and as traffic.
//!
//! Pure. A map reads, in the order in which it is filled:
//!
//! ```text
//! fence 17
//! split 1250:1250:header=x-user
//! ada%20l@header=x-user 0:candidate
//! tester@cookie=lane 1:stable
//! ```
//!
//! The split has the basis points of the candidate and of the baseline and the key by which users are sticky,
//! in one entry, so that a request reads them in one lookup. An exception has its value in percent-encoding
//! (all but the unreserved characters of RFC 3986, 2.3, as HAProxy's `url_enc` writes it), so nothing that a
//! plan says can be taken for a command; then its place in the order, and its slot.

use tidegate_registry::Seq;

use crate::{Exception, Fence, Key, Observed, Slot, Traffic, Weight};

/// The most exceptions that a route can have. The configuration knows this number as the rank of none.
pub(super) const MOST_EXCEPTIONS: usize = 1_000;
/// The longest value of an exception in bytes. A command must fit into HAProxy's buffer of 16 KiB.
const LONGEST_VALUE: usize = 1_000;

const FENCE: &str = "fence";
const SPLIT: &str = "split";
/// Ends the key of an exception that an earlier one makes idle; no request asks for such a key.
const AGAIN: &str = "@again";

/// The entries of a map, in order.
#[derive(Clone, Debug)]
pub(super) struct Entries(Vec<(String, String)>);

/// Traffic that no map can say.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsayable {
    #[error("there are {0} exceptions; a map takes {MOST_EXCEPTIONS} at most")]
    Many(usize),
    #[error(
        "the value of exceptions[{0}] is over {LONGEST_VALUE} bytes or has control characters, which no request can carry; change it"
    )]
    Value(usize),
}

/// An entry that is none of a route.
#[derive(Debug, thiserror::Error)]
#[error("its entry `{key} {value}` says nothing about a route; remove it with `del map`")]
pub(super) struct Foreign {
    key: String,
    value: String,
}

impl Entries {
    /// The entries that say `traffic` and `fence`.
    pub(super) fn new(traffic: &Traffic, fence: Fence) -> Result<Self, Unsayable> {
        let exceptions = traffic.exceptions();
        if exceptions.len() > MOST_EXCEPTIONS {
            return Err(Unsayable::Many(exceptions.len()));
        }
        let points = |slot| traffic.weight(slot).as_basis_points();
        let sticky = traffic.sticky().map(name).unwrap_or_default();
        let split = format!("{}:{}:{sticky}", points(Slot::Candidate), points(Slot::Baseline));
        let mut entries = vec![(FENCE.to_owned(), fence.to_string()), (SPLIT.to_owned(), split)];
        for (rank, Exception { key, value, to }) in exceptions.iter().enumerate() {
            if value.len() > LONGEST_VALUE || value.chars().any(char::is_control) {
                return Err(Unsayable::Value(rank));
            }
            let mut key = format!("{}@{}", encode(value), name(key));
            if entries.iter().any(|(taken, _)| *taken == key) {
                key.push_str(AGAIN);
            }
            entries.push((key, format!("{rank}:{to}")));
        }
        Ok(Self(entries))
    }

    /// Takes over lines of a key and, after a space, a value.
    pub(super) fn from_lines<'l>(lines: impl Iterator<Item = &'l str>) -> Self {
        let entry = |line: &str| {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            (key.to_owned(), value.to_owned())
        };
        Self(lines.map(entry).collect())
    }

    /// Lines of a key, a space and a value, as a map file has them.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(key, value)| format!("{key} {value}"))
    }

    /// Whether they are the same, in whatever order.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let sorted = |entries: &Self| {
            let mut entries = entries.0.clone();
            entries.sort_unstable();
            entries
        };
        sorted(self) == sorted(other)
    }

    /// The fence alone, whatever else there is.
    pub(super) fn fence(&self) -> Result<Option<Fence>, Foreign> {
        let entry = self.0.iter().find(|(key, _)| key == FENCE);
        entry.map(|(key, value)| fence(value).ok_or_else(|| foreign(key, value))).transpose()
    }

    /// What they say. Without a split, everything goes to stable.
    pub(super) fn observed(&self) -> Result<Observed, Foreign> {
        let mut held = None;
        let mut base = None;
        let mut exceptions = Vec::new();
        for (key, value) in &self.0 {
            let said = match key.as_str() {
                FENCE => fence(value).filter(|_| held.is_none()).map(|fence| held = Some(fence)),
                SPLIT => split(value).filter(|_| base.is_none()).map(|traffic| base = Some(traffic)),
                key => exception(key, value).map(|exception| exceptions.push(exception)),
            };
            said.ok_or_else(|| foreign(key, value))?;
        }
        exceptions.sort_by_key(|(rank, _)| *rank);
        let traffic = base
            .unwrap_or_else(Traffic::stable)
            .with_exceptions(exceptions.into_iter().map(|(_, exception)| exception));
        Ok(Observed::new(traffic, held))
    }
}

/// The name of a key in maps and in the configuration: `header=x-user`.
pub(super) fn name(key: &Key) -> String {
    match key {
        Key::Cookie(name) => format!("cookie={name}"),
        Key::Header(name) => format!("header={name}"),
    }
}

fn key(name: &str) -> Option<Key> {
    let key = match name.split_once('=')? {
        ("cookie", name) => Key::Cookie(name.to_owned()),
        ("header", name) => Key::Header(name.to_owned()),
        _ => return None,
    };
    key.is_token().then_some(key)
}

fn fence(value: &str) -> Option<Fence> {
    value.parse().ok().and_then(Seq::new).map(Fence::new)
}

fn split(value: &str) -> Option<Traffic> {
    let mut fields = value.splitn(3, ':');
    let mut weight = || fields.next()?.parse().ok().and_then(Weight::basis_points);
    let (candidate, baseline) = (weight()?, weight()?);
    let sticky = match fields.next()? {
        "" => None,
        name => Some(key(name)?),
    };
    Some(Traffic::split(candidate).with_baseline(baseline)?.with_sticky(sticky))
}

fn exception(entry: &str, value: &str) -> Option<(usize, Exception)> {
    let (encoded, name) = entry.strip_suffix(AGAIN).unwrap_or(entry).split_once('@')?;
    let (rank, slot) = value.split_once(':')?;
    let to = [Slot::Stable, Slot::Baseline, Slot::Candidate].into_iter().find(|to| to.to_string() == slot)?;
    let rank = rank.parse().ok().filter(|rank| *rank < MOST_EXCEPTIONS)?;
    Some((rank, Exception { key: key(name)?, value: decode(encoded)?, to }))
}

fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What [`encode`] made this of; no other spelling, as no request would ever match that.
fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(if byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            rest = tail;
            u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok().filter(|value| encode(value) == encoded)
}

fn foreign(key: &str, value: &str) -> Foreign {
    let excerpt = |text: &str| text.chars().take(100).filter(|c| !c.is_control()).collect();
    Foreign { key: excerpt(key), value: excerpt(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn traffic(candidate: u16, baseline: u16, exceptions: Vec<Exception>, sticky: Option<Key>) -> Traffic {
        let weight = |bp| Weight::basis_points(bp).unwrap();
        let traffic = Traffic::split(weight(candidate)).with_baseline(weight(baseline)).unwrap();
        traffic.with_exceptions(exceptions).with_sticky(sticky)
    }

    fn keys() -> impl Strategy<Value = Key> {
        let name = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8}";
        prop_oneof![name.prop_map(Key::Cookie), name.prop_map(Key::Header)]
    }

    prop_compose! {
        fn exceptions()(
            key in keys(),
            // Few values, so that some come again, and any values.
            value in prop_oneof!["[ab]", "\\PC{0,20}"],
            to in prop_oneof![Just(Slot::Stable), Just(Slot::Baseline), Just(Slot::Candidate)],
        ) -> Exception {
            Exception { key, value, to }
        }
    }

    proptest! {
        #[test]
        fn entries_say_exactly_what_they_were_made_of(
            candidate in 0u16..=10_000,
            baseline in 0u16..=10_000,
            exceptions in prop::collection::vec(exceptions(), 0..30),
            sticky in prop::option::of(keys()),
            n in 1u64..,
        ) {
            prop_assume!(Seq::new(n).is_some());
            let traffic = traffic(candidate, baseline.min(10_000 - candidate), exceptions, sticky);
            let fence = Fence::new(Seq::new(n).unwrap());
            let lines: Vec<_> = Entries::new(&traffic, fence).unwrap().lines().collect();
            // Nothing in a line could end a command, begin another or hide a space.
            for line in &lines {
                prop_assert_eq!(line.matches(' ').count(), 1, "{}", line);
                prop_assert!(line.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
                prop_assert!(!line.contains([';', '\\', '<']));
            }
            let read = Entries::from_lines(lines.iter().map(String::as_str));
            prop_assert_eq!(read.observed().unwrap(), Observed::new(traffic, Some(fence)));
        }

        #[test]
        fn lines_of_any_text_are_read_or_named(lines in prop::collection::vec("\\PC{0,40}", 0..5)) {
            let entries = Entries::from_lines(lines.iter().map(String::as_str));
            if let Err(foreign) = entries.observed() {
                prop_assert!(foreign.to_string().contains("del map"));
            }
        }
    }

    #[test]
    fn a_map_reads_as_documented() {
        let exception = |key, value: &str, to| Exception { key, value: value.to_owned(), to };
        let header = || Key::Header("x-user".to_owned());
        let exceptions = vec![
            exception(header(), "ada l", Slot::Candidate),
            exception(Key::Cookie("lane".to_owned()), "tester", Slot::Stable),
            exception(header(), "ada l", Slot::Stable),
        ];
        let traffic = traffic(1_250, 1_250, exceptions, Some(header()));
        let lines: Vec<_> =
            Entries::new(&traffic, Fence::new(Seq::new(17).unwrap())).unwrap().lines().collect();
        let expected = [
            "fence 17",
            "split 1250:1250:header=x-user",
            "ada%20l@header=x-user 0:candidate",
            "tester@cookie=lane 1:stable",
            "ada%20l@header=x-user@again 2:stable",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_somebody_else_wrote_is_named() {
        for line in [
            "fence 0",
            "fence -1",
            "split 1:2",
            "split 9000:2000:",
            "split 10001:0:",
            "split 1:1:x-user",
            "tester@header=x-user candidate",
            "tester@header=x-user 1000:candidate",
            "tester@header=x-user 0:nowhere",
            "a%2f@header=x-user 0:stable",
            "a%F@header=x-user 0:stable",
            "a%FF@header=x-user 0:stable",
            "canary be_canary",
        ] {
            let said = Entries::from_lines([line].into_iter()).observed().unwrap_err().to_string();
            assert!(said.contains(line), "{said}");
        }
        let twice = Entries::from_lines(["split 1:1:", "split 2:2:"].into_iter());
        assert!(twice.observed().is_err());
    }

    #[test]
    fn what_no_map_can_say_is_refused() {
        let say = |values: Vec<String>| {
            let key = Key::Header("x-user".to_owned());
            let exceptions =
                values.into_iter().map(|value| Exception { key: key.clone(), value, to: Slot::Stable });
            Entries::new(&traffic(0, 0, exceptions.collect(), None), Fence::new(Seq::FIRST))
        };
        assert!(matches!(say(vec!["a".to_owned(); 1_001]), Err(Unsayable::Many(1_001))));
        assert!(say((0..1_000).map(|n| n.to_string()).collect()).is_ok());
        for value in ["a\nb".to_owned(), "a\0".to_owned(), "a".repeat(1_001)] {
            assert!(matches!(say(vec!["fine".to_owned(), value]), Err(Unsayable::Value(1))));
        }
    }
}
