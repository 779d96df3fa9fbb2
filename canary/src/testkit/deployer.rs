//! What every [`Deployer`] must do. A backend runs all of it by
//! [`deployer_conformance!`](super::deployer_conformance).

use futures::future::join_all;

use super::{assert_fenced, fence, patiently, pauses};
use crate::{ActuatorError, Deployer, Readiness, Release, Slot, Weight, Workload};

/// A deployer on which nobody has acted and whose baseline and candidate slots are empty, and what it can run.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the factory of a test writes it as a literal")]
pub struct Slots<D> {
    /// The deployer.
    pub deployer: D,
    /// Two releases that it can run.
    pub releases: [Release; 2],
}

/// A test for each check of this suite, in a module of the given name. The factory makes
/// [`Slots`](crate::testkit::deployer::Slots), anew for each.
#[macro_export]
macro_rules! deployer_conformance {
    ($module:ident, $factory:expr) => {
        $crate::__conformance! { $module, $factory, deployer:
            a_removed_slot_can_be_filled_again
            a_slot_can_change_its_size
            a_superseded_driver_cannot_even_repeat
            a_superseded_driver_changes_nothing
            an_empty_slot_is_absent
            ensured_releases_become_ready
            ensuring_again_changes_nothing
            of_racing_drivers_the_latest_wins
            ready_is_never_said_of_a_predecessor
            rehearsing_changes_nothing
            removing_an_empty_slot_succeeds
            removing_empties_the_slot_alone
            slots_are_apart
        }
    };
}

/// Nothing runs where nothing was ensured.
pub async fn an_empty_slot_is_absent<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    assert_eq!(slots.status(Slot::Candidate).await, Readiness::Absent);
    assert_eq!(slots.status(Slot::Baseline).await, Readiness::Absent);
}

/// What was ensured runs, sooner or later, and `status` says which release it is.
pub async fn ensured_releases_become_ready<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.becomes_ready(Slot::Candidate, 0).await;
}

/// Ensuring what runs already leaves it ready.
pub async fn ensuring_again_changes_nothing<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.becomes_ready(Slot::Candidate, 0).await;
    for _ in 0..3 {
        slots.ensure(Slot::Candidate, 0, 1).await;
        let ready = Readiness::Ready { release: slots.releases[0].clone() };
        assert_eq!(slots.status(Slot::Candidate).await, ready, "it was ready before it was ensured again");
    }
}

/// What can run is not refused in a rehearsal, and does not run because of it; neither is anybody fenced off by it.
pub async fn rehearsing_changes_nothing<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    let rehearse = async |release: usize| {
        let workload = workload(Slot::Candidate, &slots.releases[release]);
        let answer = patiently(async || slots.deployer.rehearse(&workload).await).await;
        answer.unwrap_or_else(|error| panic!("a rehearsal was answered {error:?}"));
    };
    rehearse(0).await;
    assert_eq!(slots.status(Slot::Candidate).await, Readiness::Absent);
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.becomes_ready(Slot::Candidate, 0).await;
    rehearse(1).await;
    rehearse(0).await;
    let ready = Readiness::Ready { release: slots.releases[0].clone() };
    assert_eq!(slots.status(Slot::Candidate).await, ready, "another was only rehearsed");
    slots.ensure(Slot::Candidate, 1, 1).await;
    slots.becomes_ready(Slot::Candidate, 1).await;
}

/// Once another release was ensured, its predecessor is not ready any more, whether or not it still runs.
pub async fn ready_is_never_said_of_a_predecessor<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.becomes_ready(Slot::Candidate, 0).await;
    slots.ensure(Slot::Candidate, 1, 1).await;
    slots.becomes_ready(Slot::Candidate, 1).await;
}

/// A slot that is made larger or smaller is ready again, sooner or later, with the same release.
pub async fn a_slot_can_change_its_size<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    for percent in [10, 100, 50] {
        let share = Weight::percent(percent).expect("at most 100 is written here");
        let workload = Workload { share, ..workload(Slot::Candidate, &slots.releases[0]) };
        let answer = patiently(async || slots.deployer.ensure(&workload, fence(1)).await).await;
        answer.unwrap_or_else(|error| panic!("ensuring {percent} % was answered {error:?}"));
        slots.becomes_ready(Slot::Candidate, 0).await;
    }
}

/// What happens in one slot does not happen in another.
pub async fn slots_are_apart<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    let stable = slots.status(Slot::Stable).await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.ensure(Slot::Baseline, 1, 1).await;
    slots.becomes_ready(Slot::Candidate, 0).await;
    slots.becomes_ready(Slot::Baseline, 1).await;
    assert_eq!(slots.status(Slot::Stable).await, stable);
}

/// `remove` makes a slot empty, and only that one.
pub async fn removing_empties_the_slot_alone<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.ensure(Slot::Baseline, 1, 1).await;
    slots.becomes_ready(Slot::Baseline, 1).await;
    slots.remove(Slot::Candidate, 1).await;
    slots.becomes_absent(Slot::Candidate).await;
    slots.becomes_ready(Slot::Baseline, 1).await;
}

/// `remove` of an empty slot succeeds, as often as one likes.
pub async fn removing_an_empty_slot_succeeds<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.remove(Slot::Baseline, 1).await;
    slots.remove(Slot::Baseline, 1).await;
    slots.becomes_absent(Slot::Baseline).await;
}

/// A slot that was emptied takes a release again.
pub async fn a_removed_slot_can_be_filled_again<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.remove(Slot::Candidate, 1).await;
    slots.ensure(Slot::Candidate, 1, 1).await;
    slots.becomes_ready(Slot::Candidate, 1).await;
}

/// A fence lower than the highest one seen, on whatever slot and by whichever call, changes nothing, and
/// the answer names both.
pub async fn a_superseded_driver_changes_nothing<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 2).await;
    slots.becomes_ready(Slot::Candidate, 0).await;
    slots.remove(Slot::Baseline, 5).await;
    let Slots { deployer, releases: [_, other] } = &slots;
    for slot in [Slot::Candidate, Slot::Baseline, Slot::Stable] {
        assert_fenced(&deployer.ensure(&workload(slot, other), fence(4)).await, fence(4), fence(5));
        assert_fenced(&deployer.remove(slot, fence(2)).await, fence(2), fence(5));
    }
    slots.becomes_ready(Slot::Candidate, 0).await;
    assert_eq!(slots.status(Slot::Baseline).await, Readiness::Absent);
}

/// The highest fence counts even when what it ensured ran already.
pub async fn a_superseded_driver_cannot_even_repeat<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    slots.ensure(Slot::Candidate, 0, 1).await;
    slots.ensure(Slot::Candidate, 0, 2).await;
    let answer = slots.deployer.ensure(&workload(Slot::Candidate, &slots.releases[0]), fence(1)).await;
    assert_fenced(&answer, fence(1), fence(2));
}

/// Drivers that act at the same time end with the release of the highest fence, in whatever order they came
/// through; those who lost are told so or were overtaken.
pub async fn of_racing_drivers_the_latest_wins<D: Deployer>(make: impl AsyncFn() -> Slots<D>) {
    let slots = make().await;
    let drivers: [(u64, usize); 4] = [(3, 0), (1, 0), (4, 1), (2, 0)];
    let answers = join_all(drivers.map(|(n, release)| {
        let Slots { deployer, releases } = &slots;
        async move {
            let call =
                async || deployer.ensure(&workload(Slot::Candidate, &releases[release]), fence(n)).await;
            (n, patiently(call).await)
        }
    }))
    .await;
    for (n, answer) in answers {
        match answer {
            Ok(()) => {}
            Err(ActuatorError::Fenced { offered, held }) => assert!(offered == fence(n) && held > fence(n)),
            Err(error) => panic!("driver {n} was answered {error:?}"),
        }
    }
    slots.becomes_ready(Slot::Candidate, 1).await;
}

fn workload(slot: Slot, release: &Release) -> Workload {
    Workload { slot, release: release.clone(), share: Weight::FULL }
}

impl<D: Deployer> Slots<D> {
    async fn ensure(&self, slot: Slot, release: usize, n: u64) {
        let release = &self.releases[release];
        let answer = patiently(async || self.deployer.ensure(&workload(slot, release), fence(n)).await).await;
        answer.unwrap_or_else(|error| panic!("ensuring {release} with fence {n} was answered {error:?}"));
    }

    async fn remove(&self, slot: Slot, n: u64) {
        let answer = patiently(async || self.deployer.remove(slot, fence(n)).await).await;
        answer.unwrap_or_else(|error| panic!("emptying {slot} with fence {n} was answered {error:?}"));
    }

    async fn status(&self, slot: Slot) -> Readiness {
        let answer = patiently(async || self.deployer.status(slot).await).await;
        answer.unwrap_or_else(|error| panic!("the status of {slot} was answered {error:?}"))
    }

    /// Waits until `release` is ready; meanwhile nothing else may be.
    async fn becomes_ready(&self, slot: Slot, release: usize) {
        let release = &self.releases[release];
        for pause in pauses() {
            match self.status(slot).await {
                Readiness::Ready { release: ready } if ready == *release => return,
                Readiness::Ready { release: ready } => panic!("{release} was ensured, but {ready} is ready"),
                Readiness::Failed { why, .. } => panic!("{release} does not run: {why}"),
                Readiness::Absent | Readiness::Starting { .. } => tokio::time::sleep(pause).await,
            }
        }
        panic!("{release} did not become ready in the {slot} slot");
    }

    async fn becomes_absent(&self, slot: Slot) {
        for pause in pauses() {
            match self.status(slot).await {
                Readiness::Absent => return,
                _ => tokio::time::sleep(pause).await,
            }
        }
        panic!("the {slot} slot did not become empty");
    }
}
