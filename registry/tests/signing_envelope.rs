//! Envelopes and attestations: signed, verified, tampered with, kept in the log.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_registry::{
    Approval, Attestation, Attestations, Content, Decision, Digest, Draft, Envelope, InMemory, ModelRef,
    ModelStore as _, ResourceDescriptor, Signature, Stamp, Statement, TestOutcome, TestResult,
    signing::{SigningKey, Untrusted, VerifyingKey},
};

static KEYS: LazyLock<[SigningKey; 3]> = LazyLock::new(|| {
    ["p256.pem", "p384.pem", "p521.pem"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/signing").join(name);
        SigningKey::from_pem(&fs::read_to_string(path).unwrap(), None).unwrap()
    })
});

fn public() -> [VerifyingKey; 3] {
    KEYS.each_ref().map(SigningKey::verifying_key)
}

fn stamp() -> Stamp {
    Stamp { by: "alice".to_owned(), at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) }
}

fn model() -> ModelRef {
    "fraud-scorer@1.4.0".parse().unwrap()
}

fn content() -> Digest {
    Digest::of("its files")
}

fn result() -> TestResult {
    let mut result = TestResult::of(vec!["tone".to_owned()], vec!["latency".to_owned()], vec![]);
    result.url = Some("https://ci.example.com/8841".to_owned());
    result.configuration.push(ResourceDescriptor {
        name: "suite.toml".to_owned(),
        digest: [("sha256".to_owned(), Digest::of("suite").hex())].into(),
        ..ResourceDescriptor::default()
    });
    result
}

#[test]
fn every_signer_is_found_once() {
    let [p256, p384, p521] = public();
    let envelope = Envelope::new("text/plain", "hello");
    assert_eq!(envelope.verify(&public()).unwrap_err(), Untrusted::Unsigned);
    let envelope = envelope.sign(&KEYS[0]).unwrap().sign(&KEYS[2]).unwrap().sign(&KEYS[0]).unwrap();
    let trusted = [p521.clone(), p384.clone(), p256.clone(), p521.clone()];
    assert_eq!(envelope.verify(&trusted).unwrap(), [&p521, &p256]);
    let refused = envelope.verify(std::slice::from_ref(&p384)).unwrap_err();
    assert_eq!(refused, Untrusted::WrongKey { keys: 1, named: p256.id() });
    assert_eq!(envelope.verify(&[]).unwrap_err(), Untrusted::WrongKey { keys: 0, named: p256.id() });
    // What a signature says of its key does not matter.
    let Signature { sig, .. } = envelope.signatures()[1].clone();
    for keyid in [String::new(), p256.id(), "\u{0}".to_owned()] {
        let renamed =
            Envelope::new("text/plain", "hello").with(Signature { keyid, sig: sig.clone() }).unwrap();
        assert_eq!(renamed.verify(&trusted).unwrap(), [&p521]);
    }
}

#[test]
fn envelopes_are_read_as_leniently_as_dsse_asks_and_no_more() {
    let payload = [0xfb_u8, 0xef, 0xff, 0xfe];
    let envelope = Envelope::new("text/plain", payload.to_vec()).sign(&KEYS[1]).unwrap();
    let json = serde_json::to_value(&envelope).unwrap();
    assert_eq!(json["payload"], "++///g==");
    let read = |json: &Value| Envelope::decode(&serde_json::to_vec(json).unwrap());
    assert_eq!(read(&json).unwrap(), envelope);
    for spelling in ["--___g==", "--___g", "++///g"] {
        let mut other = json.clone();
        other["payload"] = spelling.into();
        other["signatures"][0]["sig"] = BASE64_URL_SAFE_NO_PAD.encode(&envelope.signatures()[0].sig).into();
        other["signatures"][0]["keyid"] = Value::Null;
        other["extra"] = json!([1]);
        assert_eq!(read(&other).unwrap().verify(&public()).unwrap().len(), 1, "{spelling}");
        other["signatures"][0].as_object_mut().unwrap().remove("keyid");
        assert_eq!(read(&other).unwrap().signatures()[0].keyid, "");
    }
    for wrong in ["++__/g==", "++///h==", "++///g===", "+", "++ ///g==", "++\n//g==", "é"] {
        let mut other = json.clone();
        other["payload"] = wrong.into();
        assert!(read(&other).unwrap_err().to_string().contains("base64"), "{wrong:?}");
    }
    for gone in ["payload", "payloadType", "signatures"] {
        let mut other = json.clone();
        other.as_object_mut().unwrap().remove(gone);
        assert!(read(&other).unwrap_err().to_string().contains(gone));
    }
}

#[test]
fn hostile_envelopes_are_refused() {
    let many = vec![json!({ "sig": "" }); 65];
    let many = json!({ "payload": "", "payloadType": "t", "signatures": many }).to_string();
    assert!(Envelope::decode(many.as_bytes()).unwrap_err().to_string().contains("at most 64"));
    let full = (0..64).fold(Envelope::new("t", ""), |envelope, _| {
        envelope.with(Signature { keyid: String::new(), sig: Vec::new() }).unwrap()
    });
    assert!(full.clone().sign(&KEYS[0]).unwrap_err().to_string().contains("at most 64"));
    assert!(matches!(full.verify(&public()), Err(Untrusted::WrongKey { keys: 3, .. })));

    let huge = vec![b' '; Envelope::LONGEST + 1];
    assert!(Envelope::decode(&huge).unwrap_err().to_string().contains("longer than"));
    let deep = "[".repeat(100_000);
    assert!(Envelope::decode(deep.as_bytes()).is_err());
    let deep = format!(r#"{{"payload":"","payloadType":"t","signatures":[],"x":{deep}"#);
    assert!(Envelope::decode(deep.as_bytes()).is_err());

    let statement = |payload: Vec<u8>| Envelope::new(Statement::PAYLOAD_TYPE, payload).statement();
    assert!(statement(vec![b' '; Statement::LONGEST + 1]).unwrap_err().to_string().contains("longer than"));
    let about = r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","subject":[{"name":"a"}],"#;
    let deep = format!(r#"{about}"predicate":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(statement(deep.into_bytes()).is_err());
    let nothing = about.replace(r#"{"name":"a"}"#, "");
    assert!(
        statement(format!("{nothing}\"x\":1}}").into_bytes()).unwrap_err().to_string().contains("no subject")
    );
    assert!(statement(format!("{about}\"x\":1}}").into_bytes()).unwrap().predicate.is_null());
    let old = about.replace("/v1", "/v0.1");
    assert!(
        statement(format!("{old}\"x\":1}}").into_bytes()).unwrap_err().to_string().contains("Statement v1")
    );
    let other = Envelope::new("application/json", "{}").statement().unwrap_err();
    assert!(other.to_string().contains("application/vnd.in-toto+json"));
}

#[test]
fn signatures_in_another_encoding_are_refused() {
    let envelope = Envelope::new("text/plain", "hello").sign(&KEYS[0]).unwrap();
    let der = &envelope.signatures()[0].sig;
    let integers = &der[2..];
    let r = &integers[2..2 + usize::from(integers[1])];
    let s = &integers[2 + r.len() + 2..];
    let fixed = |integer: &[u8]| {
        let integer = integer.strip_prefix(&[0]).unwrap_or(integer);
        [vec![0; 32 - integer.len()], integer.to_vec()].concat()
    };
    let raw = [fixed(r), fixed(s)].concat();
    let zero = vec![0x30, 6, 2, 1, 0, 2, 1, 0];
    let one = vec![0x30, 6, 2, 1, 1, 2, 1, 1];
    let longer = [&der[..], &[0]].concat();
    for sig in [raw, zero, one, longer, Vec::new(), der[..der.len() - 1].to_vec(), vec![0x30; 5_000]] {
        let signature = Signature { keyid: String::new(), sig };
        let other = Envelope::new("text/plain", "hello").with(signature).unwrap();
        assert!(matches!(other.verify(&public()), Err(Untrusted::WrongKey { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_flipped_bit_is_refused(
        key in 0..3_usize,
        payload in prop::collection::vec(any::<u8>(), 1..200),
        kind in "[a-z/.+]{1,40}",
        part in 0..3,
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let signed = Envelope::new(kind.clone(), payload.clone()).sign(&KEYS[key]).unwrap();
        let trusted = public();
        prop_assert_eq!(signed.verify(&trusted).unwrap(), [&trusted[key]]);
        let mut sig = signed.signatures()[0].sig.clone();
        let (mut kind, mut payload) = (kind.into_bytes(), payload);
        let flip = |bytes: &mut Vec<u8>, bit: u8| { let at = at.index(bytes.len()); bytes[at] ^= 1_u8 << bit; };
        match part {
            0 => flip(&mut sig, bit),
            1 => flip(&mut kind, bit % 7), // it stays ASCII
            _ => flip(&mut payload, bit),
        }
        let kind = String::from_utf8(kind).unwrap();
        let signature = Signature { keyid: String::new(), sig };
        let forged = Envelope::new(kind, payload).with(signature).unwrap();
        let refused = matches!(forged.verify(&public()), Err(Untrusted::WrongKey { .. }));
        prop_assert!(refused);
    }

    /// The type cannot lend a byte to the payload, or the other way round.
    #[test]
    fn what_is_signed_says_where_the_payload_begins(kind in "[a-z ]{0,8}", payload in "[a-z 0-9]{0,8}") {
        let joined = format!("{kind} {} {payload}", payload.len());
        let envelopes = [Envelope::new(kind, payload), Envelope::new(joined, "")];
        prop_assert_ne!(envelopes[0].signed_bytes(), envelopes[1].signed_bytes());
    }

    #[test]
    fn no_truncated_envelope_panics(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let attestation = result().attestation(stamp()).sign(&model(), &content(), &KEYS[0]).unwrap();
        let mut json = serde_json::to_vec(attestation.envelope().unwrap()).unwrap();
        prop_assert!(Envelope::decode(&json[..cut.index(json.len())]).is_err());
        let at = at.index(json.len());
        json[at] = with;
        if let Ok(envelope) = Envelope::decode(&json) {
            let _ = envelope.statement();
            let _ = envelope.verify(&public());
        }
    }

    /// Numbers and texts survive the way through the envelope, so that it still agrees when it is read.
    #[test]
    fn an_attestation_agrees_with_its_envelope_after_a_round_trip(number in any::<f64>(), whole in any::<i64>(), text in ".*") {
        let predicate = json!({ "number": number, "whole": whole, "text": text });
        let attestation = Attestation::new("https://example.com/x/v1", stamp(), predicate);
        let signed = attestation.sign(&model(), &content(), &KEYS[0]).unwrap();
        let read: Attestation = serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
        prop_assert_eq!(&read, &signed);
        prop_assert_eq!(read.verify(&model(), &content(), &public()).unwrap().len(), 1);
    }
}

#[test]
fn an_attestation_holds_for_its_version_alone() {
    let [p256, p384, _] = public();
    let signed = result().attestation(stamp()).sign(&model(), &content(), &KEYS[0]).unwrap();
    assert_eq!(signed.verify(&model(), &content(), &public()).unwrap(), [&p256]);
    assert_eq!(TestResult::try_from(&signed).unwrap(), result());
    let twice = signed.clone().sign(&model(), &content(), &KEYS[1]).unwrap();
    assert_eq!(twice.verify(&model(), &content(), &public()).unwrap(), [&p256, &p384]);

    let other: ModelRef = "fraud-scorer@1.5.0".parse().unwrap();
    for (model, content) in [(&other, &content()), (&model(), &Digest::of("other files"))] {
        let refused = signed.verify(model, content, &public()).unwrap_err();
        assert!(matches!(&refused, Untrusted::OtherSubject { found, .. } if found == "fraud-scorer@1.4.0"));
        assert!(signed.clone().sign(model, content, &KEYS[1]).unwrap_err().to_string().contains("not about"));
    }
    let bare = result().attestation(stamp());
    assert_eq!(bare.verify(&model(), &content(), &public()).unwrap_err(), Untrusted::Unsigned);
    assert!(matches!(
        signed.verify(&model(), &content(), &[p384]).unwrap_err(),
        Untrusted::WrongKey { keys: 1, named } if named == p256.id()
    ));

    // Nobody can put other words into the envelope's mouth.
    let mut forged = signed.clone();
    forged.predicate["result"] = "PASSED".into();
    let refused = forged.verify(&model(), &content(), &public()).unwrap_err();
    assert!(refused.to_string().contains("something else than the statement in its envelope"), "{refused}");
    for (field, value) in
        [("predicateType", json!("other")), ("predicate", json!({})), ("envelope", json!({}))]
    {
        let mut json = serde_json::to_value(&signed).unwrap();
        json[field] = value;
        assert!(serde_json::from_value::<Attestation>(json).is_err(), "{field}");
    }
}

#[test]
fn predicates_are_written_as_in_toto_has_them() {
    let signed = result().attestation(stamp()).sign(&model(), &content(), &KEYS[2]).unwrap();
    let payload: Value = serde_json::from_slice(signed.envelope().unwrap().payload()).unwrap();
    let hex = content().hex();
    let expected = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "fraud-scorer@1.4.0", "digest": { "sha256": hex, "dirHash": hex } }],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "WARNED",
            "configuration": [{ "name": "suite.toml", "digest": { "sha256": Digest::of("suite").hex() } }],
            "url": "https://ci.example.com/8841",
            "passedTests": ["tone"],
            "warnedTests": ["latency"],
            "failedTests": [],
        },
    });
    assert_eq!(payload, expected);
    let outcome = |passed: &[&str], warned: &[&str], failed: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        TestResult::of(names(passed), names(warned), names(failed)).result
    };
    assert_eq!(outcome(&["a"], &[], &[]), TestOutcome::Passed);
    assert_eq!(outcome(&["a"], &[], &["b"]), TestOutcome::Failed);
    assert_eq!(outcome(&[], &[], &[]), TestOutcome::Failed);

    let approval = Approval { stamp: stamp(), decision: Decision::Reject, comment: "too slow".to_owned() };
    let attestation = approval.attestation().unwrap();
    let expected =
        json!({ "by": "alice", "at": "2027-01-15T08:00:00Z", "decision": "reject", "comment": "too slow" });
    assert_eq!(
        (attestation.predicate_type.as_str(), &attestation.predicate),
        ("tidegate:approval/v1", &expected)
    );
    assert_eq!(Approval::try_from(&attestation).unwrap(), approval);
    assert!(TestResult::try_from(&attestation).unwrap_err().to_string().contains("its type is not"));
    let early = Stamp { by: String::new(), at: SystemTime::UNIX_EPOCH - Duration::from_secs(1) };
    assert!(Approval { stamp: early, ..approval }.attestation().is_err());
}

#[tokio::test]
async fn envelopes_are_kept_in_the_log() {
    let store = InMemory::new();
    let files = Content::bytes([("weights.safetensors".parse().unwrap(), "not yet trained".into())]);
    let manifest = store.publish(Draft::new(model(), stamp()), files, &()).await.unwrap();
    let attestations = Attestations::new(Arc::new(store.clone()));
    let signed = result().attestation(stamp()).sign(&model(), &manifest.digest, &KEYS[0]).unwrap();
    attestations.attest(&model(), signed.clone()).await.unwrap();

    // Somebody else's envelope, about a file of the version, in their encoding.
    let subject =
        ResourceDescriptor { name: "weights.safetensors".to_owned(), ..ResourceDescriptor::default() };
    let statement =
        Statement::new([subject], "https://slsa.dev/provenance/v1", json!({ "buildDefinition": {} }));
    let theirs = Envelope::of(&statement).unwrap().sign(&KEYS[1]).unwrap();
    let theirs = Attestation::enveloped(theirs, stamp()).unwrap();
    attestations.attest(&model(), theirs.clone()).await.unwrap();
    assert_eq!(attestations.of(&model()).await.unwrap(), [signed.clone(), theirs.clone()]);
    let of = attestations.of(&model()).await.unwrap();
    assert_eq!(of[0].verify(&model(), &manifest.digest, &public()).unwrap(), [&public()[0]]);
    assert_eq!(of[1].envelope().unwrap().verify(&public()).unwrap(), [&public()[1]]);
    assert!(matches!(
        of[1].verify(&model(), &manifest.digest, &public()),
        Err(Untrusted::OtherSubject { found, .. }) if found == "weights.safetensors"
    ));

    let mut forged = signed;
    forged.predicate["result"] = "PASSED".into();
    let refused = attestations.attest(&model(), forged).await.unwrap_err();
    assert!(refused.to_string().contains("something else"), "{refused}");
}

#[test]
fn bare_attestations_are_written_as_before() {
    let bare = Attestation::new("t", stamp(), json!(1));
    let json = serde_json::to_value(&bare).unwrap();
    assert_eq!(
        json,
        json!({ "predicateType": "t", "stamp": { "by": "alice", "at": "2027-01-15T08:00:00Z" }, "predicate": 1 })
    );
    assert_eq!(serde_json::from_value::<Attestation>(json).unwrap(), bare);
    let payload = BASE64_STANDARD.encode("not a statement");
    let json = json!({
        "predicateType": "t", "stamp": bare.stamp, "predicate": 1,
        "envelope": { "payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": [] },
    });
    assert!(serde_json::from_value::<Attestation>(json).is_err());
}
