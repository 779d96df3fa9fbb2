//! How many replicas each side has, is to have, and was told to have.
//!
//! Pure.

use std::num::NonZeroU16;

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::json;

use super::super::{
    clip::clip,
    head::Head,
    object::Change,
    unfit::{NotTakenUp, Unfit},
};
use crate::{Slot, Traffic, Weight, rounding};

/// The annotation that says what was last wanted: of a Service the replicas of stable, baseline and candidate,
/// as in `8/1/1`; of a Deployment its own.
pub(in crate::kubernetes) const REPLICAS: &str = "tidegate.dev/replicas";

pub(super) const SLOTS: [Slot; 3] = [Slot::Stable, Slot::Baseline, Slot::Candidate];

/// Replicas of each slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([u32; 3]);

/// What a Service says is wanted.
#[derive(Debug)]
pub(super) struct Intent {
    head: Head,
    wanted: Option<Counts>,
}

/// How many replicas a Deployment has.
#[derive(Debug)]
pub(super) struct Scale {
    head: Head,
    /// What it was last told by us.
    written: Option<u32>,
    wanted: u32,
    there: u32,
    ready: u32,
    seen: i64,
}

/// The smallest share that is a whole number of `total` replicas and of which all shares are multiples.
pub(super) fn granularity(total: NonZeroU16) -> Weight {
    let full = Weight::FULL.as_basis_points();
    let (mut a, mut b) = (full, total.get());
    while b > 0 {
        (a, b) = (b, a % b);
    }
    Weight::basis_points(full / a).unwrap_or(Weight::FULL)
}

impl Counts {
    /// The replicas of `total` that make `traffic`, a multiple of the [granularity].
    pub(super) fn of(traffic: &Traffic, total: NonZeroU16) -> Self {
        let parts = rounding::parts_of(traffic, total.get().into());
        Self(parts.map(|part| u32::try_from(part).expect("it is no more than the total")))
    }

    pub(super) const fn get(self, slot: Slot) -> u32 {
        self.0[slot as usize]
    }

    pub(super) const fn set(&mut self, slot: Slot, count: u32) {
        self.0[slot as usize] = count;
    }

    fn parse(text: &str) -> Option<Self> {
        let mut counts = text.split('/').map(|count| count.parse().ok());
        let parsed = [counts.next()??, counts.next()??, counts.next()??];
        counts.next().is_none().then_some(Self(parsed))
    }
}

impl Intent {
    pub(super) fn read(object: &DynamicObject) -> Result<Self, Unfit> {
        let head = Head::read(object)?;
        let parse = |text: &str| Counts::parse(text).ok_or_else(|| unreadable(text));
        let wanted = head.annotation(REPLICAS).map(parse).transpose()?;
        Ok(Self { head, wanted })
    }

    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    /// What was last wanted, if anything ever was.
    pub(super) const fn wanted(&self) -> Option<Counts> {
        self.wanted
    }

    pub(super) fn plan(&self, wanted: Counts) -> Change {
        let [stable, baseline, candidate] = wanted.0;
        let due = self.wanted != Some(wanted);
        let annotations = due.then(|| (REPLICAS, format!("{stable}/{baseline}/{candidate}")));
        Change { operations: Vec::new(), annotations: annotations.into_iter().collect() }
    }
}

impl Scale {
    pub(super) fn read(object: &DynamicObject) -> Result<Self, Unfit> {
        let unfit = |source| Unfit::Unreadable { kind: "a Deployment of apps/v1", source };
        let Deployment { spec, status } = Deployment::deserialize(&object.data).map_err(unfit)?;
        let Status { observed_generation: seen, replicas: there, ready_replicas: ready } =
            status.unwrap_or_default();
        let head = Head::read(object)?;
        let parse = |text: &str| text.parse().map_err(|_| unreadable(text));
        let written = head.annotation(REPLICAS).map(parse).transpose()?;
        // "Defaults to 1."
        Ok(Self { written, wanted: spec.replicas.unwrap_or(1), there, ready, seen, head })
    }

    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    /// How many replicas its spec asks for.
    pub(super) const fn wanted(&self) -> u32 {
        self.wanted
    }

    /// How many it was last told to have.
    pub(super) const fn written(&self) -> Option<u32> {
        self.written
    }

    pub(super) fn plan(&self, wanted: u32) -> Change {
        let mut change = Change::default();
        if self.wanted != wanted {
            change.operations.push(json!({"op": "add", "path": "/spec/replicas", "value": wanted}));
        }
        if self.written != Some(wanted) {
            change.annotations.push((REPLICAS, wanted.to_string()));
        }
        change
    }

    /// Whether `wanted` replicas are ready at least.
    pub(super) fn arrived(&self, wanted: u32) -> Result<(), NotTakenUp> {
        self.seen()?;
        if self.ready >= wanted { Ok(()) } else { Err(self.short(wanted)) }
    }

    /// Whether exactly as many replicas as its spec asks for are there and ready.
    pub(super) fn settled(&self) -> Result<(), NotTakenUp> {
        self.seen()?;
        let settled = self.ready == self.wanted && self.there == self.wanted;
        if settled { Ok(()) } else { Err(self.short(self.wanted)) }
    }

    fn short(&self, wanted: u32) -> NotTakenUp {
        NotTakenUp::Replicas { ready: self.ready, there: self.there, wanted }
    }

    fn seen(&self) -> Result<(), NotTakenUp> {
        let (seen, wanted) = (self.seen, self.head.generation);
        if seen >= wanted { Ok(()) } else { Err(NotTakenUp::Lags { seen, wanted }) }
    }
}

fn unreadable(text: &str) -> Unfit {
    Unfit::Annotation { key: REPLICAS, value: clip(text, 40) }
}

#[derive(Deserialize)]
struct Deployment {
    spec: Spec,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Spec {
    replicas: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: i64,
    replicas: u32,
    ready_replicas: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(n: u16) -> NonZeroU16 {
        NonZeroU16::new(n).unwrap()
    }

    #[test]
    fn shares_are_whole_replicas() {
        let cases = [
            (1, 10_000),
            (2, 5_000),
            (3, 10_000),
            (5, 2_000),
            (7, 10_000),
            (8, 1_250),
            (10, 1_000),
            (12, 2_500),
            (100, 100),
            (10_000, 1),
            (20_000, 1),
        ];
        for (replicas, expected) in cases {
            assert_eq!(granularity(total(replicas)).as_basis_points(), expected, "{replicas}");
        }
    }

    proptest! {
        #[test]
        fn what_is_promised_is_made_exactly(replicas in 1u16.., a in any::<u16>(), b in any::<u16>()) {
            let unit = granularity(total(replicas)).as_basis_points();
            let parts = 10_000 / unit;
            let candidate = a % (parts + 1);
            let baseline = b % (parts - candidate + 1);
            let weight = |n| Weight::basis_points(n * unit).unwrap();
            let traffic = Traffic::split(weight(candidate)).with_baseline(weight(baseline)).unwrap();
            let counts = Counts::of(&traffic, total(replicas));
            prop_assert_eq!(counts.0.iter().sum::<u32>(), u32::from(replicas));
            prop_assert_eq!(rounding::split_of(counts.0.map(u64::from)), Some(traffic));
        }

        #[test]
        fn no_annotation_is_too_odd_to_be_read(text in any::<String>()) {
            if let Some(Counts([stable, baseline, candidate])) = Counts::parse(&text) {
                let again = format!("{stable}/{baseline}/{candidate}");
                prop_assert_eq!(Counts::parse(&again), Counts::parse(&text));
            }
        }
    }

    #[test]
    fn ready_is_ready_only_for_this_generation_and_without_others() {
        let scale = |status: serde_json::Value| {
            let object = json!({"metadata": {"resourceVersion": "1", "generation": 4}, "spec": {"replicas": 3}, "status": status});
            Scale::read(&serde_json::from_value(object).unwrap()).unwrap()
        };
        let status = |seen, there, ready| json!({"observedGeneration": seen, "replicas": there, "readyReplicas": ready});
        assert!(scale(status(4, 3, 3)).settled().is_ok());
        for status in
            [status(3, 3, 3), status(4, 4, 3), status(4, 3, 2), status(4, 3, 4), json!(null), json!({})]
        {
            assert!(scale(status.clone()).settled().is_err(), "{status}");
        }
        assert!(scale(status(4, 5, 4)).arrived(3).is_ok() && scale(status(3, 5, 4)).arrived(3).is_err());
    }
}
