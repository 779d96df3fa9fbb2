//! The choice of a target is a table: what happened in the channel, and where that leads.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{sync::Arc, time::SystemTime};

use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelName, ModelRef, ModelStore, Move, Stamp,
};
use tidegate_rollback::{NoTarget, PassedOver, Target};

/// What happened, one word each: `1` promotes version 1.0.0; `1+` promotes it and it finishes its bake;
/// `1<` rolls back to it; `1<+` does and then it finishes a bake.
async fn history(script: &str) -> Vec<Move> {
    let store = InMemory::default();
    let channels = Channels::new(Arc::new(store.clone()));
    let (name, production): (ModelName, _) = ("fraud".parse().unwrap(), Channel::production());
    let stamp = || Stamp { by: "ada".to_owned(), at: SystemTime::UNIX_EPOCH };
    for (i, word) in script.split_whitespace().enumerate() {
        let model = version(word);
        let content = Content::bytes([("w".parse().unwrap(), model.to_string().into())]);
        store.publish(Draft::new(model.clone(), stamp()), content, &()).await.unwrap();
        let cause = if word.contains('<') {
            Cause::Rollback { id: i.to_string(), reason: "bad".to_owned() }
        } else {
            Cause::Promote
        };
        let moved = channels.promote(&model, &production, &Expect::Any, cause, stamp()).await.unwrap();
        if word.contains('+') {
            channels.settle(&name, &production, moved.seq, stamp()).await.unwrap();
        }
    }
    channels.history(&name, &production).await.unwrap()
}

fn version(word: &str) -> ModelRef {
    format!("fraud@{}.0.0", &word[..1]).parse().unwrap()
}

#[tokio::test]
async fn last_good_is_the_newest_that_settled_and_was_not_left_since() {
    for (script, wanted) in [
        ("1+ 2", Some("1")),
        ("1+ 2+", Some("1")),
        ("1+ 2+ 3", Some("2")),
        ("1+ 2 3", Some("1")),
        ("1 2 3", None),
        ("1", None),
        ("1+", None),
        // 3 was bad, so from 2 the way is not back up to it, and not to 2 itself.
        ("1+ 2+ 3+ 2<", Some("1")),
        // 2 was rolled back from, later promoted again and settled: the last word counts.
        ("1+ 2+ 1< 2+ 3", Some("2")),
        // Here it was not settled again, but it is what was left last.
        ("1+ 2+ 1< 3", Some("1")),
        ("2+ 1+ 3 1<", Some("2")),
        // There and back again, as in a rehearsal: nothing is held against 1.
        ("1+ 2+ 1< 2<", Some("1")),
        ("1+ 2+ 3+ 2< 1<", None),
    ] {
        let history = history(script).await;
        match (Target::LastGood.choose(&history, None), wanted) {
            (Ok(choice), Some(wanted)) => {
                assert_eq!(choice.to, version(wanted), "{script}");
                assert_eq!(choice.from, history.last().unwrap().to, "{script}");
            }
            (Err(NoTarget::NoneGood(_)), None) => {}
            (other, _) => panic!("{script}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn it_says_why_the_others_were_passed_over() {
    let choice = Target::LastGood.choose(&history("1+ 2 3+ 1< 4").await, None).unwrap();
    assert_eq!(choice.to, version("1"));
    assert_eq!(choice.passed_over, [(version("4"), PassedOver::InService)]);
    let choice = Target::LastGood.choose(&history("1+ 2 3+ 2< 4").await, None).unwrap();
    let reasons = [
        (version("4"), PassedOver::InService),
        (version("2"), PassedOver::Unsettled),
        (version("3"), PassedOver::RolledBackFrom),
    ];
    assert_eq!(choice.passed_over, reasons);
}

#[tokio::test]
async fn a_person_may_name_any_other_version() {
    let history = history("1+ 2+ 1<").await;
    assert_eq!(Target::Exactly(version("2")).choose(&history, None).unwrap().to, version("2"));
    assert_eq!(Target::Exactly(version("1")).choose(&history, None), Err(NoTarget::InService(version("1"))));
    assert_eq!(Target::LastGood.choose(&[], None), Err(NoTarget::EmptyChannel));
}

#[tokio::test]
async fn while_a_candidate_is_tried_what_is_in_service_is_the_last_good() {
    let history = history("1+ 2+").await;
    let tried = version("3");
    let choice = Target::LastGood.choose(&history, Some(&tried)).unwrap();
    assert_eq!((choice.from, choice.to), (tried.clone(), version("2")));
    assert_eq!(Target::Exactly(version("2")).choose(&history, Some(&tried)).unwrap().to, version("2"));
    assert_eq!(
        Target::Exactly(tried.clone()).choose(&history, Some(&tried)),
        Err(NoTarget::InService(tried))
    );
}
