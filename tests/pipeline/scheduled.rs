//! What can run given what is done, and how a journal is folded.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use tidegate::registry::{Digest, Seq};

use crate::{
    progress::{Entry, Event, Opened, Outcome, Progress, State},
    schedule::{after, before, circle, ready},
};

/// A diamond and what follows: 0 → (1, 2) → 3 → 4.
fn diamond() -> Vec<BTreeSet<usize>> {
    [vec![], vec![0], vec![0], vec![1, 2], vec![3]].map(BTreeSet::from_iter).into()
}

#[test]
fn what_is_needed_comes_before_and_the_rest_at_once() {
    let needs = diamond();
    let mut passed = BTreeSet::new();
    let mut rounds = Vec::new();
    while passed.len() < needs.len() {
        let round = ready(&needs, &passed, &passed, 9);
        assert!(!round.is_empty(), "it stands still at {passed:?}");
        passed.extend(&round);
        rounds.push(round);
    }
    assert_eq!(rounds, [vec![0], vec![1, 2], vec![3], vec![4]]);
}

#[test]
fn no_more_begin_than_are_free_and_none_that_was_tried() {
    let needs = diamond();
    let zero = BTreeSet::from([0]);
    assert_eq!(ready(&needs, &zero, &zero, 1), [1]);
    assert_eq!(ready(&needs, &zero, &zero, 0), [] as [usize; 0]);
    // 1 is under way or has failed; what needs it waits.
    assert_eq!(ready(&needs, &zero, &BTreeSet::from([0, 1]), 9), [2]);
    assert_eq!(ready(&needs, &BTreeSet::from([0, 2]), &BTreeSet::from([0, 1, 2]), 9), [] as [usize; 0]);
}

#[test]
fn before_and_after_go_all_the_way() {
    let needs = diamond();
    assert_eq!(before(&needs, 3), BTreeSet::from([0, 1, 2]));
    assert_eq!(after(&needs, 1), BTreeSet::from([1, 3, 4]));
    assert_eq!(after(&needs, 4), BTreeSet::from([4]));
}

#[test]
fn the_shortest_circle_is_told() {
    assert_eq!(circle(&diamond()), None);
    let own: Vec<BTreeSet<usize>> = vec![BTreeSet::from([0])];
    assert_eq!(circle(&own), Some(vec![0, 0]));
    // 0 needs 1 needs 2 needs 0, and 3 and 4 each other.
    let needs: Vec<BTreeSet<usize>> =
        [vec![1], vec![2], vec![0], vec![4], vec![3, 0]].map(BTreeSet::from_iter).into();
    assert_eq!(circle(&needs), Some(vec![3, 4, 3]));
}

#[test]
fn a_stage_without_an_end_waits_again_and_what_passed_does_not() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let open = |again: &[&str]| {
        Event::Open(Opened {
            by: "ada".to_owned(),
            description: Digest::of("x"),
            revision: None,
            again: again.iter().map(|&name| name.to_owned()).collect(),
            passed: Vec::new(),
        })
    };
    let began = |stage: &str| Event::Began { stage: stage.to_owned() };
    let ended = |stage: &str, outcome| Event::Ended { stage: stage.to_owned(), outcome };
    let events = [
        open(&[]),
        began("a"),
        ended("a", Outcome::passed("fine")),
        began("b"),
        began("c"),
        ended("c", Outcome::failed("no")),
        open(&[]),
    ];
    let mut progress = Progress::default();
    let mut seq = Seq::FIRST;
    for (second, event) in (0..).zip(events) {
        let entry = Entry { at: at(second), event };
        // As it is read back from the journal.
        let text = serde_json::to_string(&entry).expect("it is JSON");
        assert_eq!(serde_json::from_str::<Entry>(&text).expect("it is read back"), entry, "{text}");
        progress.apply(seq, &entry);
        seq = seq.next();
    }
    assert!(progress.state("a").has_passed());
    for interrupted_or_failed in ["b", "c"] {
        assert_eq!(*progress.state(interrupted_or_failed), State::Waiting);
    }
    assert_eq!((progress.course("b").results, progress.course("c").results), (0, 1));
    assert_eq!(progress.course("a").took(), Some(Duration::from_secs(1)));

    progress.apply(seq, &Entry { at: at(9), event: open(&["a"]) });
    assert_eq!(*progress.state("a"), State::Waiting, "it was asked for again");
}
