//! What a channel demands of a version, and what was taken back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tidegate_registry::{
    Approval, Attestation, Attestations, Cause, Channel, Channels, Content, Decision, Draft, Error, Expect,
    Filter, InMemory, Lifecycle, ModelName, ModelRef, ModelStore as _, ModelStoreExt as _, Move, Policy,
    Result, Retention, Rule, Stamp,
};

const TEST: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A registry of a model, and a clock.
struct Desk {
    store: InMemory,
    channels: Channels,
    attestations: Attestations,
    lifecycle: Lifecycle,
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn by(who: &str, seconds: u64) -> Stamp {
    Stamp { by: who.to_owned(), at: at(seconds) }
}

fn model(version: &str) -> ModelRef {
    format!("m@{version}").parse().unwrap()
}

fn name() -> ModelName {
    "m".parse().unwrap()
}

fn staging() -> Channel {
    "staging".parse().unwrap()
}

impl Desk {
    async fn new(versions: &[&str]) -> Self {
        let store = InMemory::new();
        let log = || Arc::new(store.clone());
        let desk = Self {
            store: store.clone(),
            channels: Channels::new(log()),
            attestations: Attestations::new(log()),
            lifecycle: Lifecycle::new(log()),
        };
        for (n, version) in versions.iter().enumerate() {
            let content = Content::bytes([("f".parse().unwrap(), Bytes::from((*version).to_owned()))]);
            desk.store.publish(Draft::new(model(version), by("ada", n as u64)), content, &()).await.unwrap();
        }
        desk
    }

    async fn demand(&self, rules: &[Rule]) {
        let policy = Policy { rules: rules.to_vec() };
        self.channels.set_policy(&name(), &Channel::production(), Some(policy), by("ada", 9)).await.unwrap();
    }

    async fn promote(&self, version: &str, channel: &Channel, seconds: u64) -> Result<Move> {
        let stamp = by("ada", seconds);
        self.channels.promote(&model(version), channel, &Expect::Any, Cause::Promote, stamp).await
    }

    /// Why `version` may not be in production, in words.
    async fn refused(&self, version: &str, seconds: u64) -> String {
        let error = self.promote(version, &Channel::production(), seconds).await.unwrap_err();
        let Error::NotAllowed { unmet, .. } = &error else { panic!("{error}") };
        let asked = self
            .channels
            .unmet(&model(version), &Channel::production(), &Cause::Promote, at(seconds))
            .await
            .unwrap();
        assert_eq!(asked, *unmet, "asking and trying find the same");
        error.to_string()
    }

    async fn attest(&self, version: &str, kind: &str, predicate: serde_json::Value, stamp: Stamp) {
        let attestation = Attestation::new(kind, stamp, predicate);
        self.attestations.attest(&model(version), attestation).await.unwrap();
    }

    async fn latest(&self) -> String {
        self.store.resolve(&"m@latest".parse().unwrap(), &self.channels).await.unwrap().version().to_string()
    }
}

#[tokio::test]
async fn the_last_test_result_counts_and_not_for_ever() {
    let desk = Desk::new(&["1.0.0"]).await;
    desk.demand(&[Rule::Attested {
        predicate_type: TEST.to_owned(),
        result: Some("PASSED".to_owned()),
        within: Some(Duration::from_secs(3600)),
    }])
    .await;
    assert!(desk.refused("1.0.0", 10).await.contains("nothing was said of kind"));
    desk.attest("1.0.0", TEST, serde_json::json!({ "result": "PASSED" }), by("ci", 20)).await;
    desk.attest("1.0.0", TEST, serde_json::json!({ "result": "FAILED" }), by("ci", 30)).await;
    assert!(desk.refused("1.0.0", 40).await.contains("comes to FAILED"));
    desk.attest("1.0.0", TEST, serde_json::json!({ "accepted": true }), by("ci", 50)).await;
    let late = desk.refused("1.0.0", 50 + 3601).await;
    assert!(late.contains("is older than 1h") && late.contains("ci (2027-01-15T08:00:50Z)"), "{late}");
    desk.promote("1.0.0", &Channel::production(), 50 + 3600).await.unwrap();
}

#[tokio::test]
async fn approvals_are_of_different_people_and_not_of_the_publisher() {
    let desk = Desk::new(&["1.0.0"]).await;
    let decide = async |who, seconds, decision| {
        let approval = Approval { stamp: by(who, seconds), decision, comment: String::new() };
        desk.attestations.attest(&model("1.0.0"), approval.attestation().unwrap()).await.unwrap();
    };
    let approve = async |who, seconds| decide(who, seconds, Decision::Approve).await;
    desk.demand(&[Rule::Approved { by: 2, of: ["ada", "bo", "cy", "di"].map(String::from).into() }]).await;
    approve("ada", 20).await;
    approve("eve", 21).await;
    approve("bo", 22).await;
    approve("bo", 23).await;
    let text = desk.refused("1.0.0", 30).await;
    assert!(text.contains("bo approved of it (have it approved by 1 more of ada, cy, di)"), "{text}");
    approve("cy", 31).await;
    decide("bo", 32, Decision::Reject).await;
    assert!(desk.refused("1.0.0", 33).await.contains("cy approved of it"));
    approve("bo", 34).await;
    // What does not say yes or no says no.
    let unclear = [serde_json::json!({}), serde_json::json!({ "result": "PASSED", "decision": "abstain" })];
    for (seconds, unclear) in (36..).step_by(2).zip(unclear) {
        desk.attest("1.0.0", Approval::PREDICATE_TYPE, unclear, by("cy", seconds)).await;
        assert!(desk.refused("1.0.0", seconds).await.contains("bo approved of it"));
        approve("cy", seconds + 1).await;
    }
    desk.promote("1.0.0", &Channel::production(), 50).await.unwrap();
}

#[tokio::test]
async fn time_in_another_channel_adds_up() {
    let desk = Desk::new(&["1.0.0", "1.1.0"]).await;
    desk.demand(&[Rule::Soaked { channel: staging(), at_least: Duration::from_secs(100) }]).await;
    assert!(desk.refused("1.0.0", 10).await.contains("staging has pointed to it for 0s of 1m 40s"));
    desk.promote("1.0.0", &staging(), 20).await.unwrap();
    desk.promote("1.1.0", &staging(), 80).await.unwrap();
    assert!(desk.refused("1.0.0", 500).await.contains("leave it there for 40s more"));
    desk.promote("1.0.0", &staging(), 600).await.unwrap();
    desk.channels.demote(&name(), &staging(), &Expect::Any, "over", by("ada", 620)).await.unwrap();
    assert!(desk.refused("1.0.0", 700).await.contains("leave it there for 20s more"));
    desk.promote("1.0.0", &staging(), 800).await.unwrap();
    desk.promote("1.0.0", &Channel::production(), 820).await.unwrap();
}

#[tokio::test]
async fn a_publication_that_promotes_obeys_the_policy() {
    let desk = Desk::new(&["1.0.0"]).await;
    desk.demand(&[Rule::Attested { predicate_type: TEST.to_owned(), result: None, within: None }]).await;
    let publish = async |attested: bool| {
        let mut draft =
            Draft::new(model("1.1.0"), by("ada", 20)).promoted_to(Channel::production(), Expect::Any);
        if attested {
            draft.card.attestations.push(Attestation::new(
                TEST,
                by("ci", 19),
                serde_json::json!({ "result": "PASSED" }),
            ));
        }
        desk.store.publish(draft, Content::bytes([("f".parse().unwrap(), Bytes::from("x"))]), &()).await
    };
    let error = publish(false).await.unwrap_err();
    assert!(matches!(error, Error::NotAllowed { .. }), "{error}");
    publish(true).await.unwrap();
    let current = desk.channels.current(&name(), &Channel::production()).await.unwrap().unwrap();
    assert_eq!(current.to, model("1.1.0"));
    assert_eq!(desk.attestations.of(&model("1.1.0")).await.unwrap(), [], "that one is in the manifest");
}

#[tokio::test]
async fn the_way_back_is_open_whatever_the_policy_but_not_to_quarantine() {
    let desk = Desk::new(&["1.0.0", "1.1.0"]).await;
    desk.promote("1.0.0", &Channel::production(), 10).await.unwrap();
    desk.promote("1.1.0", &Channel::production(), 20).await.unwrap();
    desk.demand(&[Rule::Approved { by: 1, of: [].into() }]).await;
    desk.refused("1.0.0", 30).await;
    let channel = Channel::production();
    let revert = async |seconds| {
        desk.channels.revert(&name(), &channel, &Expect::Any, "it is slow", by("bo", seconds)).await
    };
    let back = revert(40).await.unwrap();
    assert_eq!((&back.to, &back.from), (&model("1.0.0"), &Some(model("1.1.0"))));
    assert!(matches!(&back.cause, Cause::Revert { reason, .. } if reason == "it is slow"));
    desk.lifecycle.quarantine(&model("1.1.0"), "it leaks secrets", by("bo", 50)).await.unwrap();
    let error = revert(60).await.unwrap_err().to_string();
    assert!(error.contains("it leaks secrets") && !error.contains("approved"), "{error}");
    desk.lifecycle.lift(&model("1.1.0"), "a false alarm", by("bo", 70)).await.unwrap();
    assert_eq!(revert(80).await.unwrap().to, model("1.1.0"));
}

#[tokio::test]
async fn a_channel_can_point_nowhere_and_come_back() {
    let desk = Desk::new(&["1.0.0"]).await;
    let channel = Channel::production();
    let demote = async |expect, seconds| {
        desk.channels.demote(&name(), &channel, expect, "off", by("bo", seconds)).await
    };
    assert_eq!(demote(&Expect::Absent, 5).await.unwrap(), None);
    desk.promote("1.0.0", &channel, 10).await.unwrap();
    assert!(matches!(demote(&Expect::Absent, 15).await.unwrap_err(), Error::ChannelMoved { .. }));
    let ended = demote(&Expect::At(model("1.0.0")), 20).await.unwrap().unwrap();
    assert_eq!(ended.ended.as_ref().unwrap().reason, "off");
    assert_eq!(desk.channels.current(&name(), &channel).await.unwrap(), None);
    assert_eq!(desk.channels.all(&name()).await.unwrap(), []);
    let was =
        async |seconds| desk.channels.at(&name(), &channel, at(seconds)).await.unwrap().map(|made| made.to);
    assert_eq!((was(9).await, was(10).await, was(20).await), (None, Some(model("1.0.0")), None));
    let back =
        desk.channels.revert(&name(), &channel, &Expect::Absent, "on again", by("bo", 30)).await.unwrap();
    assert_eq!((back.to, back.from), (model("1.0.0"), None));
}

#[tokio::test]
async fn rules_that_can_never_hold_are_refused() {
    let desk = Desk::new(&["1.0.0"]).await;
    for rule in [
        Rule::Approved { by: 0, of: [].into() },
        Rule::Approved { by: 2, of: ["bo".to_owned()].into() },
        Rule::Attested { predicate_type: String::new(), result: None, within: None },
        Rule::Soaked { channel: Channel::production(), at_least: Duration::from_secs(1) },
    ] {
        let policy = Some(Policy { rules: vec![rule.clone()] });
        let set = desk.channels.set_policy(&name(), &Channel::production(), policy, by("ada", 1)).await;
        assert!(matches!(set, Err(Error::Invalid(_))), "{rule:?}");
    }
    let text = r#"{"rules":[{"soaked":{"channel":"staging","at-least":"2days","at-most":"3days"}}]}"#;
    assert!(serde_json::from_str::<Policy>(text).is_err(), "what is misspelt is refused");
    let policy: Policy = serde_json::from_str(&text.replace(r#","at-most":"3days""#, "")).unwrap();
    assert_eq!(policy.rules.len(), 1);
}

#[tokio::test]
async fn what_was_taken_back_is_passed_over() {
    let desk = Desk::new(&["1.0.0", "1.1.0", "1.2.0", "1.3.0"]).await;
    desk.lifecycle.yank(&model("1.3.0"), "slow", by("bo", 10)).await.unwrap();
    desk.lifecycle.quarantine(&model("1.2.0"), "unsafe", by("bo", 11)).await.unwrap();
    assert_eq!(desk.latest().await, "1.1.0");
    desk.promote("1.3.0", &staging(), 12).await.unwrap();
    assert!(matches!(desk.promote("1.2.0", &staging(), 13).await.unwrap_err(), Error::NotAllowed { .. }));
    // The same content under another number is as bad.
    let again = Draft::new(model("1.4.0"), by("eve", 14));
    let content = Content::bytes([("f".parse().unwrap(), Bytes::from("1.2.0"))]);
    desk.store.publish(again, content, &()).await.unwrap();
    assert!(matches!(desk.promote("1.4.0", &staging(), 15).await.unwrap_err(), Error::NotAllowed { .. }));
    assert_eq!(desk.latest().await, "1.1.0");
    desk.lifecycle.unyank(&model("1.3.0"), "fast enough", by("bo", 16)).await.unwrap();
    assert_eq!(desk.latest().await, "1.3.0");
    let error = desk.lifecycle.yank(&model("1.3.0"), " ", by("bo", 17)).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_its_number_with_it() {
    let desk = Desk::new(&["1.0.0", "1.1.0"]).await;
    desk.promote("1.1.0", &staging(), 10).await.unwrap();
    let error = desk.lifecycle.delete(&model("1.1.0"), "old", by("bo", 11)).await.unwrap_err();
    assert!(matches!(&error, Error::InUse { channels, .. } if *channels == [staging()]), "{error}");
    desk.promote("1.0.0", &staging(), 12).await.unwrap();
    desk.lifecycle.delete(&model("1.1.0"), "old", by("bo", 13)).await.unwrap();
    for error in [
        desk.store.manifest(&model("1.1.0")).await.unwrap_err(),
        desk.promote("1.1.0", &staging(), 14).await.unwrap_err(),
        desk.lifecycle.delete(&model("1.1.0"), "old", by("bo", 15)).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound { .. }) && error.to_string().contains("bo (2027"), "{error}");
    }
    let content = || Content::bytes([("f".parse().unwrap(), Bytes::from("1.1.0"))]);
    let error =
        desk.store.publish(Draft::new(model("1.1.0"), by("ada", 16)), content(), &()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let error =
        desk.channels.revert(&name(), &staging(), &Expect::Any, "?", by("ada", 17)).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn retention_keeps_what_is_used() {
    let versions = ["1.0.0", "1.1.0", "1.2.0", "1.3.0-rc.1", "1.3.0-rc.2", "1.3.0", "1.4.0-rc.1", "1.4.0"];
    let desk = Desk::new(&versions).await;
    desk.promote("1.0.0", &Channel::production(), 10).await.unwrap();
    desk.promote("1.1.0", &staging(), 11).await.unwrap();
    desk.promote("1.2.0", &staging(), 12).await.unwrap();
    let retention = Retention { releases: 1, pre_releases: 1, within: Duration::from_secs(5), moves: 1 };
    let expire = async |rehearse| {
        let expired = desk.lifecycle.expire(&name(), &retention, rehearse, by("cron", 10)).await.unwrap();
        expired.iter().map(|model| model.version().to_string()).collect::<Vec<_>>()
    };
    // 1.4.0 and 1.4.0-rc.1 are the highest, 1.3.0 is five seconds old, and the others that stay are used.
    let expected = ["1.3.0-rc.2", "1.3.0-rc.1"];
    // An emptied channel goes back to where it was.
    desk.channels.demote(&name(), &Channel::production(), &Expect::Any, "off", by("bo", 13)).await.unwrap();
    assert_eq!(expire(true).await, expected);
    assert_eq!(desk.store.list(&name(), Filter::default()).await.unwrap().len(), 8);
    assert_eq!(expire(false).await, expected);
    assert!(expire(false).await.is_empty());
    assert_eq!(desk.store.list(&name(), Filter::default()).await.unwrap().len(), 6);
}

#[cfg(feature = "signing")]
#[tokio::test]
async fn a_signature_counts_if_it_is_by_the_key_and_of_the_content() {
    use tidegate_registry::signing::{Curve, ModelSignature, SigningKey};

    let desk = Desk::new(&["1.0.0", "1.1.0"]).await;
    let [ours, other] = [(); 2].map(|()| SigningKey::generate(Curve::P256).unwrap());
    desk.demand(&[Rule::Signed { by: vec![ours.verifying_key().to_pem()] }]).await;
    let name = &ours.verifying_key().id()[..12];
    assert!(desk.refused("1.0.0", 10).await.contains(&format!("none of the keys {name} signed its content")));
    let sign = async |of: &str, key, onto: &str, seconds| {
        let manifest = desk.store.manifest(&model(of)).await.unwrap();
        let signature = ModelSignature::sign(&manifest, "m", key).unwrap();
        let attestation = Attestation::enveloped(signature.envelope().clone(), by("ci", seconds)).unwrap();
        desk.attestations.attest(&model(onto), attestation).await.unwrap();
    };
    sign("1.0.0", &other, "1.0.0", 20).await;
    desk.refused("1.0.0", 21).await;
    sign("1.1.0", &ours, "1.0.0", 22).await;
    desk.refused("1.0.0", 23).await;
    desk.attest(
        "1.0.0",
        ModelSignature::PREDICATE_TYPE,
        serde_json::json!({ "resources": [] }),
        by("ci", 24),
    )
    .await;
    desk.refused("1.0.0", 25).await;
    sign("1.0.0", &ours, "1.0.0", 26).await;
    desk.promote("1.0.0", &Channel::production(), 27).await.unwrap();
    let policy = Some(Policy { rules: vec![Rule::Signed { by: vec!["no key".to_owned()] }] });
    let set = desk.channels.set_policy(&self::name(), &Channel::production(), policy, by("ada", 28)).await;
    assert!(matches!(set, Err(Error::Invalid(_))), "{set:?}");
}
