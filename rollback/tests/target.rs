//! The choice of a target is a table: what happened in the channel, and where that leads.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Expect, InMemory, ModelName, ModelRef, ModelStore, Move, Stamp,
};
use tidegate_rollback::{Braked, Brakes, Choice, Known, NoTarget, PassedOver, Survey, Target, Unfit};

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
        match (Target::LastGood.choose(&history, None, &Survey::default()), wanted) {
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
    let choice = Target::LastGood.choose(&history("1+ 2 3+ 1< 4").await, None, &Survey::default()).unwrap();
    assert_eq!(choice.to, version("1"));
    assert_eq!(choice.passed_over, [(version("4"), PassedOver::InService)]);
    let choice = Target::LastGood.choose(&history("1+ 2 3+ 2< 4").await, None, &Survey::default()).unwrap();
    let reasons = [
        (version("4"), PassedOver::InService),
        (version("2"), PassedOver::Unsettled),
        (version("3"), PassedOver::RolledBackFrom),
    ];
    assert_eq!(choice.passed_over, reasons);
}

#[tokio::test]
async fn it_says_also_what_speaks_against_those_behind_its_choice() {
    let one_way = Survey::default().with(version("3"), Known { unfit: None, one_way: true, content: None });
    let history = history("1+ 2 3+ 4+ 5").await;
    let choice = Target::LastGood.choose(&history, None, &one_way).unwrap();
    assert_eq!(choice.to, version("4"));
    let beyond = PassedOver::Beyond(version("3"));
    let older =
        [(version("3"), None), (version("2"), Some(PassedOver::Unsettled)), (version("1"), Some(beyond))];
    assert_eq!(choice.older, older);
    let back = Target::Back(NonZeroUsize::new(1).unwrap()).choose(&history, None, &one_way).unwrap();
    assert_eq!((back.to, back.older), (version("4"), Vec::new()));
}

#[tokio::test]
async fn a_person_may_name_any_other_version() {
    let history = history("1+ 2+ 1<").await;
    assert_eq!(
        Target::Exactly(version("2")).choose(&history, None, &Survey::default()).unwrap().to,
        version("2")
    );
    assert_eq!(
        Target::Exactly(version("1")).choose(&history, None, &Survey::default()),
        Err(NoTarget::InService(version("1")))
    );
    assert_eq!(Target::LastGood.choose(&[], None, &Survey::default()), Err(NoTarget::EmptyChannel));
}

#[tokio::test]
async fn while_a_candidate_is_tried_what_is_in_service_is_the_last_good() {
    let history = history("1+ 2+").await;
    let tried = version("3");
    let choice = Target::LastGood.choose(&history, Some(&tried), &Survey::default()).unwrap();
    assert_eq!((choice.from, choice.to), (tried.clone(), version("2")));
    assert_eq!(
        Target::Exactly(version("2")).choose(&history, Some(&tried), &Survey::default()).unwrap().to,
        version("2")
    );
    assert_eq!(
        Target::Exactly(tried.clone()).choose(&history, Some(&tried), &Survey::default()),
        Err(NoTarget::InService(tried))
    );
}

fn unfit(unfit: Unfit) -> Known {
    Known { unfit: Some(unfit), one_way: false, content: None }
}

#[tokio::test]
async fn what_cannot_run_is_passed_over_and_refused() {
    let history = history("1+ 2+ 3+ 4+ 5").await;
    let quarantined = Unfit::Quarantined { why: "a backdoor".to_owned() };
    let survey = Survey::default()
        .with(version("4"), unfit(quarantined.clone()))
        .with(version("3"), unfit(Unfit::Gone))
        .with(version("2"), unfit(Unfit::Damaged { why: "part 3 differs".to_owned() }));
    let choice = Target::LastGood.choose(&history, None, &survey).unwrap();
    assert_eq!(choice.to, version("1"));
    let words: Vec<String> = choice.passed_over.iter().map(|(model, why)| format!("{model} {why}")).collect();
    assert_eq!(
        words,
        [
            "fraud@5.0.0 is in service",
            "fraud@4.0.0 is in quarantine: a backdoor",
            "fraud@3.0.0 is not in the registry any more",
            "fraud@2.0.0 is damaged: part 3 differs",
        ]
    );
    for target in [Target::Exactly(version("4")), back(1)] {
        let refused = target.choose(&history, None, &survey).unwrap_err();
        assert_eq!(
            refused,
            NoTarget::Unfit { model: version("4"), why: PassedOver::Unfit(quarantined.clone()) }
        );
    }
}

fn back(n: usize) -> Target {
    Target::Back(NonZeroUsize::new(n).unwrap())
}

#[tokio::test]
async fn so_many_back_counts_each_version_once() {
    let history = history("1+ 2 3+ 2 4").await;
    let chosen = |n| back(n).choose(&history, None, &Survey::default()).map(|choice| choice.to);
    assert_eq!(chosen(1), Ok(version("2")));
    assert_eq!(chosen(2), Ok(version("3")));
    assert_eq!(chosen(3), Ok(version("1")));
    assert_eq!(chosen(4), Err(NoTarget::TooFarBack { wanted: 4, have: 3 }));
}

/// A version that has changed a schema for good: nothing goes back past it but a person's exact word.
#[tokio::test]
async fn nothing_is_rolled_back_past_what_is_not_rollback_safe() {
    let one_way = || Known { unfit: None, one_way: true, content: None };
    let history = history("1+ 2+ 3+ 4").await;
    let at = |word| Survey::default().with(version(word), one_way());
    // The one in service is it.
    let none = Target::LastGood.choose(&history, None, &at("4")).unwrap_err();
    assert!(
        none.to_string().contains("fraud@3.0.0 lies before fraud@4.0.0, which must not be rolled back past")
    );
    // To it one may go, and not beyond.
    assert_eq!(Target::LastGood.choose(&history, None, &at("3")).unwrap().to, version("3"));
    let survey = at("3").with(version("3"), Known { unfit: Some(Unfit::Gone), one_way: true, content: None });
    assert!(matches!(Target::LastGood.choose(&history, None, &survey), Err(NoTarget::NoneGood(_))));
    assert_eq!(
        back(2).choose(&history, None, &at("3")),
        Err(NoTarget::Unfit { model: version("2"), why: PassedOver::Beyond(version("3")) })
    );
    assert_eq!(Target::Exactly(version("2")).choose(&history, None, &at("3")).unwrap().to, version("2"));
}

#[tokio::test]
async fn brakes_leave_what_follows_to_a_person() {
    let brakes = Brakes::default();
    let hour = Duration::from_secs(3600);
    // One word an hour, from midnight on.
    let history = async |script: &str| {
        let mut history = history(script).await;
        for (i, moved) in history.iter_mut().enumerate() {
            moved.stamp.at += hour * i as u32;
        }
        history
    };
    let at = |hours: f64| SystemTime::UNIX_EPOCH + hour.mul_f64(hours);
    assert_eq!(brakes.check(&[], at(0.0)), Ok(()));
    assert_eq!(brakes.check(&history("1+ 2").await, at(1.1)), Ok(()));
    // What was gone back to is not left again, however long ago that was.
    let returned = history("1+ 2 1<").await;
    for hours in [2.1, 900.0] {
        assert_eq!(brakes.check(&returned, at(hours)), Err(Braked::AfterReturn(version("1"))));
    }
    // The next change may be rolled back, but not within the hour, nor as the fourth of a day.
    let cooling = brakes.check(&history("1+ 2 1< 3").await, at(2.9));
    assert_eq!(cooling, Err(Braked::CoolDown { last: at(2.0) }));
    assert_eq!(brakes.check(&history("1+ 2 1< 3").await, at(3.1)), Ok(()));
    let often = history("1+ 2 1< 2 1< 2 1< 2").await;
    assert_eq!(
        brakes.check(&often, at(8.0)),
        Err(Braked::TooMany { count: 3, within: Duration::from_secs(24 * 3600) })
    );
    assert_eq!(brakes.check(&often, at(27.0)), Ok(()));
    // A rollback from what was only tried leaves what is in service as it was, and takes nothing back.
    assert_eq!(brakes.check(&history("1+ 2+ 2< 2< 2<").await, at(4.1)), Ok(()));
    let tried = history("1+ 2 1< 1<").await;
    assert_eq!(brakes.check(&tried, at(900.0)), Err(Braked::AfterReturn(version("1"))));
    let cooling = brakes.check(&history("1+ 2 1< 3 3<").await, at(2.9));
    assert_eq!(cooling, Err(Braked::CoolDown { last: at(2.0) }));
}

/// It is in journals, so it is for ever.
#[tokio::test]
async fn a_choice_is_written_down_in_this_form() {
    let history = history("1+ 2+ 3+ 4+ 5 6").await;
    let unfit = |unfit| Known { unfit: Some(unfit), one_way: false, content: None };
    let survey = Survey::default()
        .with(version("2"), unfit(Unfit::Gone))
        .with(version("3"), unfit(Unfit::Refused { why: "no quota".to_owned() }))
        .with(version("4"), unfit(Unfit::Quarantined { why: "it lies".to_owned() }));
    let choice = Target::LastGood.choose(&history, None, &survey).unwrap();
    let written = serde_json::to_value(&choice).unwrap();
    let expected = serde_json::json!({
        "target": "lastGood",
        "from": "fraud@6.0.0",
        "to": "fraud@1.0.0",
        "passedOver": [
            ["fraud@6.0.0", "inService"],
            ["fraud@5.0.0", "unsettled"],
            ["fraud@4.0.0", { "unfit": { "quarantined": { "why": "it lies" } } }],
            ["fraud@3.0.0", { "unfit": { "refused": { "why": "no quota" } } }],
            ["fraud@2.0.0", { "unfit": "gone" }],
        ],
    });
    assert_eq!(written, expected);
    assert_eq!(serde_json::from_value::<Choice>(written).unwrap(), choice);
    assert_eq!(choice.passed_over[3].1.to_string(), "would not be made to run: no quota");
}
