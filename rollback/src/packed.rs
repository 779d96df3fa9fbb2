//! Looks as bytes. A span may have thousands of them and a process a thousand watches, and most of what is seen are a few
//! small numbers.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use tidegate_canary::metrics::{Measurement, Observation, Window};

use crate::{Look, Watch};

/// How a measurement is written.
mod tag {
    /// As in the look before.
    pub(super) const SAME: u8 = 0;
    pub(super) const PROPORTION: u8 = 1;
    pub(super) const HISTOGRAM: u8 = 2;
    pub(super) const TOTAL: u8 = 3;
    pub(super) const VALUES: u8 = 4;
    pub(super) const STRATA: u8 = 5;
    /// As JSON, which says everything that is no number.
    pub(super) const TEXT: u8 = 6;
}

/// Whether a window follows the one before, and is as long.
mod window {
    pub(super) const APART: u8 = 0;
    pub(super) const NEXT: u8 = 1;
}

/// `looks`, of which [`unpack`] gives the same back to the last bit.
pub(crate) fn pack(looks: &[Look]) -> Box<[u8]> {
    let mut packed = Vec::new();
    let mut before: Option<&Look> = None;
    for look in looks {
        let window = look.window;
        if before.is_some_and(|before| following(before.window) == Some(window)) {
            packed.push(window::NEXT);
        } else {
            packed.push(window::APART);
            time(&mut packed, window.start().duration_since(UNIX_EPOCH).unwrap_or_default());
            time(&mut packed, window.length());
        }
        number(&mut packed, look.seen.len() as u64);
        for (place, measurement) in look.seen.iter().enumerate() {
            match before.and_then(|before| before.seen.get(place)) {
                Some(same) if same == measurement => packed.push(tag::SAME),
                _ => measured(&mut packed, measurement),
            }
        }
        before = Some(look);
    }
    packed.into()
}

/// What is taken for packed looks. Bytes say "as before" in one byte and mean as much as was before, so that few of them
/// could be more than a machine holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most looks.
    looks: usize,
    /// The shortest window.
    window: Duration,
    /// The most bytes that all measurements would take if none were as before.
    bytes: usize,
}

impl Bounds {
    /// For what was packed by this process.
    pub(crate) const NONE: Self = Self { looks: usize::MAX, window: Duration::ZERO, bytes: usize::MAX };

    /// For what somebody has kept of a watch. Whoever keeps more sees the span again.
    pub(crate) fn of(watch: &Watch) -> Self {
        let looks = watch.span.as_nanos().div_ceil(watch.window.as_nanos().max(1)) + 1;
        let looks = usize::try_from(looks).unwrap_or(usize::MAX);
        Self { looks, window: watch.window, bytes: 16 << 20 }
    }
}

/// What was packed; nothing if it was not, or is beyond `bounds`.
pub(crate) fn unpack(packed: &[u8], bounds: Bounds) -> Option<Vec<Look>> {
    let mut rest = Rest(packed);
    let mut looks: Vec<Look> = Vec::new();
    // How long each measurement of the look before is, written out.
    let mut lengths: Vec<usize> = Vec::new();
    let mut room = bounds.bytes;
    while !rest.0.is_empty() {
        if looks.len() >= bounds.looks {
            return None;
        }
        let before = looks.last();
        let window = match rest.byte()? {
            window::NEXT => following(before?.window)?,
            window::APART => {
                let start = UNIX_EPOCH.checked_add(rest.time()?)?;
                Window::new(start, start.checked_add(rest.time()?)?)?
            }
            _ => return None,
        };
        if window.length() < bounds.window {
            return None;
        }
        let (mut seen, mut now) = (Vec::new(), Vec::new());
        for place in 0..rest.length()? {
            let left = rest.0.len();
            let (measurement, length) = match rest.byte()? {
                tag::SAME => {
                    let (same, length) = (before?.seen.get(place)?, *lengths.get(place)?);
                    room = room.checked_sub(length)?;
                    (same.clone(), length)
                }
                kind => {
                    let measurement = match kind {
                        tag::TEXT => serde_json::from_slice(rest.bytes()?).ok()?,
                        kind => Measurement::Observed(rest.observation(kind)?),
                    };
                    let length = left - rest.0.len();
                    room = room.checked_sub(length)?;
                    (measurement, length)
                }
            };
            seen.push(measurement);
            now.push(length);
        }
        lengths = now;
        looks.push(Look { window, seen });
    }
    Some(looks)
}

fn following(before: Window) -> Option<Window> {
    Window::new(before.end(), before.end().checked_add(before.length())?)
}

fn measured(packed: &mut Vec<u8>, measurement: &Measurement) {
    let Measurement::Observed(observation) = measurement else { return text(packed, measurement) };
    if !observed(packed, observation) {
        text(packed, measurement);
    }
}

fn text(packed: &mut Vec<u8>, measurement: &Measurement) {
    packed.push(tag::TEXT);
    bytes(packed, &serde_json::to_vec(measurement).expect("it is plain data"));
}

/// Whether this could be written.
fn observed(packed: &mut Vec<u8>, observation: &Observation) -> bool {
    match observation {
        Observation::Proportion { hits, trials } => {
            packed.push(tag::PROPORTION);
            number(packed, *hits);
            number(packed, *trials);
        }
        Observation::Histogram { edges, counts } => {
            packed.push(tag::HISTOGRAM);
            floats(packed, edges);
            number(packed, counts.len() as u64);
            counts.iter().for_each(|count| number(packed, *count));
        }
        Observation::Total { sum, count } => {
            packed.push(tag::TOTAL);
            packed.extend_from_slice(&sum.to_le_bytes());
            number(packed, *count);
        }
        Observation::Values(values) => {
            packed.push(tag::VALUES);
            floats(packed, values);
        }
        Observation::Strata(strata) => {
            let start = packed.len();
            packed.push(tag::STRATA);
            number(packed, strata.len() as u64);
            for (name, stratum) in strata {
                bytes(packed, name.as_bytes());
                if !observed(packed, stratum) {
                    packed.truncate(start);
                    return false;
                }
            }
        }
        _ => return false,
    }
    true
}

fn time(packed: &mut Vec<u8>, time: Duration) {
    number(packed, time.as_secs());
    number(packed, time.subsec_nanos().into());
}

fn floats(packed: &mut Vec<u8>, values: &[f64]) {
    number(packed, values.len() as u64);
    values.iter().for_each(|value| packed.extend_from_slice(&value.to_le_bytes()));
}

fn bytes(packed: &mut Vec<u8>, bytes: &[u8]) {
    number(packed, bytes.len() as u64);
    packed.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first (LEB128).
fn number(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number of things of a byte or more each.
    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= self.0.len())
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn time(&mut self) -> Option<Duration> {
        let (seconds, nanos) = (self.number()?, u32::try_from(self.number()?).ok()?);
        (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
    }

    fn float(&mut self) -> Option<f64> {
        let (float, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(f64::from_le_bytes(*float))
    }

    fn floats(&mut self) -> Option<Vec<f64>> {
        (0..self.length()?).map(|_| self.float()).collect()
    }

    fn observation(&mut self, kind: u8) -> Option<Observation> {
        Some(match kind {
            tag::PROPORTION => Observation::Proportion { hits: self.number()?, trials: self.number()? },
            tag::HISTOGRAM => {
                let edges = self.floats()?;
                let counts = (0..self.length()?).map(|_| self.number()).collect::<Option<_>>()?;
                Observation::Histogram { edges, counts }
            }
            tag::TOTAL => Observation::Total { sum: self.float()?, count: self.number()? },
            tag::VALUES => Observation::Values(self.floats()?),
            tag::STRATA => {
                let mut strata = BTreeMap::new();
                for _ in 0..self.length()? {
                    let name = String::from_utf8(self.bytes()?.to_vec()).ok()?;
                    // None of them is by strata again, so that this ends.
                    let kind = self.byte().filter(|kind| *kind != tag::STRATA)?;
                    strata.insert(name, self.observation(kind)?);
                }
                Observation::Strata(strata)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use tidegate_canary::metrics::Missing;

    use super::*;

    fn plain() -> impl Strategy<Value = Observation> {
        let number = || prop_oneof![0..300_u64, any::<u64>()];
        prop_oneof![
            (number(), number()).prop_map(|(hits, trials)| Observation::Proportion { hits, trials }),
            (prop::collection::vec(any::<f64>(), 0..5), prop::collection::vec(number(), 0..5))
                .prop_map(|(edges, counts)| Observation::Histogram { edges, counts }),
            (any::<f64>(), number()).prop_map(|(sum, count)| Observation::Total { sum, count }),
            prop::collection::vec(any::<f64>(), 0..5).prop_map(Observation::Values),
        ]
    }

    fn measurement() -> impl Strategy<Value = Measurement> {
        let observed = prop_oneof![
            3 => plain(),
            1 => prop::collection::btree_map(".{0,4}", plain(), 0..3).prop_map(Observation::Strata),
        ];
        prop_oneof![
            4 => observed.prop_map(Measurement::Observed),
            1 => Just(Measurement::Missing(Missing::NoData)),
            1 => (".{0,9}", any::<bool>()).prop_map(|(cause, retryable)| {
                Measurement::Missing(Missing::SourceError { cause, retryable })
            }),
            1 => any::<u32>().prop_map(|nanos| {
                Measurement::Missing(Missing::Stale { age: Duration::from_nanos(nanos.into()) })
            }),
        ]
    }

    fn looks() -> impl Strategy<Value = Vec<Look>> {
        let gap = prop_oneof![3 => Just(0_u64), 1 => 0..u64::from(u32::MAX)];
        let length = prop_oneof![3 => Just(30_000_000_000_u64), 1 => 1..u64::from(u32::MAX)];
        let look = (gap, length, prop::collection::vec(measurement(), 0..4), any::<bool>());
        prop::collection::vec(look, 0..9).prop_map(|looks| {
            let mut end = UNIX_EPOCH + Duration::from_secs(1_764_000_000);
            let mut all: Vec<Look> = Vec::new();
            for (gap, length, seen, same) in looks {
                let start = end + Duration::from_nanos(gap);
                end = start + Duration::from_nanos(length);
                let window = Window::new(start, end).unwrap();
                let before = all.last().filter(|_| same).map(|look| look.seen.clone());
                all.push(Look { window, seen: before.unwrap_or(seen) });
            }
            all
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(looks in looks()) {
            prop_assert_eq!(unpack(&pack(&looks), Bounds::NONE), Some(looks));
        }

        #[test]
        fn what_was_not_packed_is_refused_or_read_but_ends(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _read = unpack(&bytes, Bounds::NONE);
            bytes.insert(0, window::APART);
            let _read = unpack(&bytes, Bounds::NONE);
        }
    }

    /// Six hours of half a minute.
    fn bounds() -> Bounds {
        Bounds { looks: 721, window: Duration::from_secs(30), bytes: 16 << 20 }
    }

    /// A megabyte that says "as before" two thousand times would be two gigabytes.
    #[test]
    fn what_says_as_before_too_often_is_refused_before_it_fills_memory() {
        let first = Window::new(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(30)).unwrap();
        let seen = vec![Measurement::Observed(Observation::Values(vec![0.5; 128 << 10]))];
        let mut packed = pack(&[Look { window: first, seen }]).to_vec();
        let one = packed.len();
        for _ in 0..2_000 {
            packed.extend([window::NEXT, 1, tag::SAME]);
        }
        assert!(unpack(&packed, bounds()).is_none());
        let few = &packed[..one + 3 * 14];
        assert_eq!(unpack(few, bounds()).unwrap().len(), 15, "16 MiB are enough for as many");
        assert!(unpack(&packed[..one + 3 * 16], bounds()).is_none());
    }

    #[test]
    fn more_looks_than_a_span_has_and_shorter_windows_are_refused() {
        let look = |nanos: u64, n: u64| {
            let start = UNIX_EPOCH + Duration::from_nanos(nanos * n);
            let window = Window::new(start, start + Duration::from_nanos(nanos)).unwrap();
            Look { window, seen: vec![Measurement::Missing(Missing::NoData)] }
        };
        let half_a_minute = 30_000_000_000;
        let many = |nanos: u64, looks: u64| pack(&(0..looks).map(|n| look(nanos, n)).collect::<Vec<_>>());
        assert_eq!(unpack(&many(half_a_minute, 721), bounds()).unwrap().len(), 721);
        assert!(unpack(&many(half_a_minute, 722), bounds()).is_none());
        for nanos in [1, half_a_minute - 1] {
            assert!(unpack(&many(nanos, 2), bounds()).is_none(), "{nanos} ns");
        }
    }

    #[test]
    fn six_hours_of_two_proportions_are_a_few_bytes_a_look() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
        let look = |n: u64| {
            let start = begin + Duration::from_secs(30 * n);
            let seen = |bad: u64| Observation::proportion(1_000 - bad, 1_000).unwrap().into();
            Look {
                window: Window::ending(start + Duration::from_secs(30), Duration::from_secs(30)).unwrap(),
                seen: vec![seen(n % 3), seen(n % 7)],
            }
        };
        let looks: Vec<_> = (0..720).map(look).collect();
        let packed = pack(&looks);
        assert!(packed.len() < 720 * 13, "{} bytes", packed.len());
        assert_eq!(unpack(&packed, bounds()), Some(looks));
    }
}
