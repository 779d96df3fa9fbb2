//! Model signatures: those of the PyPI tool `model-signing` 1.1.1, ours, and forged ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, sync::LazyLock, time::SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_registry::{
    Card, Digest, Envelope, File, Manifest, Stamp,
    signing::{ModelSignature, SigningKey, Untrusted, VerifyingKey},
};

fn golden(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/signing").join(name)).unwrap()
}

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_pem(&golden("p256.pem"), None).unwrap());
static TRUSTED: LazyLock<[VerifyingKey; 1]> = LazyLock::new(|| [KEY.verifying_key()]);

/// The directory that the tool has signed; sorted by component, `a/x` comes before `a-b/x`.
const MODEL: [(&str, &str); 7] = [
    (".gitattributes", "*.safetensors filter=lfs\n"),
    ("a-b/x", "2"),
    ("a/x", "1"),
    ("config.json", "{}"),
    ("empty", ""),
    ("tokenizer/\u{e9}t\u{e9}.txt", "\u{e9}"),
    ("weights.safetensors", "not yet trained"),
];

fn manifest<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Manifest {
    let file = |(path, bytes): (&str, &str)| {
        let digest = Digest::of(bytes);
        let parts = if bytes.is_empty() { vec![] } else { vec![digest] };
        File { path: path.parse().unwrap(), size: bytes.len() as u64, digest, parts }
    };
    let stamp = Stamp { by: "ci".to_owned(), at: SystemTime::UNIX_EPOCH };
    let files = files.into_iter().map(file).collect();
    Manifest::new("fraud-scorer@1.4.0".parse().unwrap(), files, stamp, Card::default())
}

/// The statement in a signature.
fn statement(signature: &ModelSignature) -> Value {
    serde_json::from_slice(signature.envelope().payload()).unwrap()
}

/// A signature of `statement`, with `material` as its verification material.
fn bundle(statement: &Value, material: &Value) -> ModelSignature {
    let payload = serde_json::to_vec(statement).unwrap();
    let envelope = Envelope::new("application/vnd.in-toto+json", payload).sign(&KEY).unwrap();
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": material,
        "dsseEnvelope": envelope,
    });
    ModelSignature::decode(bundle.to_string()).unwrap()
}

/// What comes of a signature that is ours but for `change`.
fn verify(change: impl FnOnce(&mut Value)) -> Result<Vec<String>, Untrusted> {
    let manifest = manifest(MODEL);
    let mut statement = statement(&ModelSignature::sign(&manifest, "model", &KEY).unwrap());
    change(&mut statement);
    let signature = bundle(&statement, &json!({ "publicKey": { "hint": TRUSTED[0].id() } }));
    let verified = signature.verify(&manifest, &*TRUSTED)?;
    Ok(verified.unsigned.iter().map(|path| path.as_str().to_owned()).collect())
}

/// Puts the right root digest back after the resources have changed.
fn reroot(statement: &mut Value) {
    let resources = statement["predicate"]["resources"].as_array().unwrap();
    let digests: Vec<u8> = resources
        .iter()
        .flat_map(|resource| {
            format!("sha256:{}", resource["digest"].as_str().unwrap())
                .parse::<Digest>()
                .unwrap()
                .as_bytes()
                .to_vec()
        })
        .collect();
    statement["subject"][0]["digest"]["sha256"] = Digest::of(digests).hex().into();
}

fn resources(statement: &mut Value) -> &mut Vec<Value> {
    statement["predicate"]["resources"].as_array_mut().unwrap()
}

#[test]
fn what_the_tool_signed_is_verified() {
    let keys =
        ["p256.pub", "p384.pub", "p521.pub"].map(|name| VerifyingKey::from_pem(&golden(name)).unwrap());
    for (name, key) in ["p256.sig", "p384.sig", "p521.sig"].into_iter().zip(&keys) {
        let signature = ModelSignature::decode(golden(name)).unwrap();
        assert_eq!(signature.json(), golden(name).as_bytes());
        let verified = signature.verify(&manifest(MODEL), &keys).unwrap();
        assert_eq!((verified.keys.as_slice(), verified.name.as_str()), (&[key][..], "model"));
        assert_eq!(verified.root.hex(), "ad40b597686db8b85bf4db6993f83d00a68251be83d09112c7cbc633b31baa34");
        assert_eq!(verified.unsigned, [".gitattributes".parse().unwrap()]);
        let others: Vec<_> = keys.iter().filter(|other| *other != key).cloned().collect();
        let refused = signature.verify(&manifest(MODEL), &others).unwrap_err();
        assert_eq!(refused, Untrusted::WrongKey { keys: 2, named: key.id() });

        let changed = MODEL.map(|(path, bytes)| (path, if path == "a/x" { "3" } else { bytes }));
        let refused = signature.verify(&manifest(changed), &keys).unwrap_err();
        let (signed, actual) = (Digest::of("1"), Digest::of("3"));
        assert_eq!(refused, Untrusted::FileChanged { file: "a/x".to_owned(), signed, actual });
        let fewer = MODEL.into_iter().filter(|(path, _)| *path != "empty");
        let refused = signature.verify(&manifest(fewer), &keys).unwrap_err();
        assert_eq!(refused, Untrusted::FileMissing { file: "empty".to_owned() });
        let more = MODEL.into_iter().chain([("b", "")]);
        let refused = signature.verify(&manifest(more), &keys).unwrap_err();
        assert_eq!(refused, Untrusted::FileUnlisted { file: "b".to_owned() });
        // Two files that change places have the same root digest.
        let swapped = MODEL.map(|(path, bytes)| match path {
            "a/x" => (path, "2"),
            "a-b/x" => (path, "1"),
            _ => (path, bytes),
        });
        assert!(matches!(signature.verify(&manifest(swapped), &keys), Err(Untrusted::FileChanged { .. })));
    }
}

#[test]
fn what_we_sign_is_what_the_format_says() {
    let signature = ModelSignature::sign(&manifest(MODEL), "model", &KEY).unwrap();
    let bundle: Value = serde_json::from_slice(signature.json()).unwrap();
    assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(
        bundle["verificationMaterial"],
        json!({ "publicKey": { "hint": TRUSTED[0].id() }, "tlogEntries": [] })
    );
    assert_eq!(bundle["dsseEnvelope"]["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(bundle["dsseEnvelope"]["signatures"][0]["keyid"], "");
    assert_eq!(bundle.as_object().unwrap().len(), 3);
    let listed = |(path, bytes): &(&str, &str)| json!({ "name": path, "algorithm": "sha256", "digest": Digest::of(bytes).hex() });
    let digests: Vec<u8> = MODEL[1..].iter().flat_map(|(_, bytes)| *Digest::of(bytes).as_bytes()).collect();
    let expected = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "model", "digest": { "sha256": Digest::of(digests).hex() } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": false,
                "ignore_paths": [".git", ".gitattributes", ".github", ".gitignore", "model.sig"],
            },
            "resources": MODEL[1..].iter().map(listed).collect::<Vec<_>>(),
        },
    });
    assert_eq!(statement(&signature), expected);
    // RFC 6979: the same each time.
    assert_eq!(ModelSignature::sign(&manifest(MODEL), "model", &KEY).unwrap().json(), signature.json());

    let verified = signature.verify(&manifest(MODEL), &*TRUSTED).unwrap();
    assert_eq!((verified.keys.as_slice(), verified.name.as_str()), (&[&TRUSTED[0]][..], "model"));
    // A signature among the files is not signed itself.
    let beside = MODEL.into_iter().chain([("model.sig", "{}")]);
    assert_eq!(signature.verify(&manifest(beside), &*TRUSTED).unwrap().unsigned.len(), 2);

    let nothing = manifest([(".gitignore", "x"), (".git/config", "x")]);
    assert!(
        ModelSignature::sign(&nothing, "model", &KEY).unwrap_err().to_string().contains("none of its files")
    );
    assert!(ModelSignature::sign(&manifest(MODEL), "", &KEY).is_err());
}

#[test]
fn other_writings_of_the_same_are_accepted() {
    let git = [".gitattributes"];
    assert_eq!(verify(|_| {}).unwrap(), git);
    // The tool's order, or any other.
    let reversed = |statement: &mut Value| {
        resources(statement).reverse();
        reroot(statement);
    };
    assert_eq!(verify(reversed).unwrap(), git);
    // Before 1.1; keys that a later version may add; a name that is not the directory's.
    let earlier = |statement: &mut Value| {
        statement["predicate"]["serialization"].as_object_mut().unwrap().remove("ignore_paths");
        statement["predicate"]["added"] = json!({ "x": [1] });
        statement["predicate"]["resources"][0]["uri"] = "file:x".into();
        statement["predicate"]["serialization"]["allow_symlinks"] = true.into();
        statement["added"] = 1.into();
        statement["subject"][0]["name"] = "compat-undefined-not-present".into();
    };
    assert_eq!(verify(earlier).unwrap(), git);
    // A signer may sign what is left out otherwise.
    let signs_all = |statement: &mut Value| {
        let digest = Digest::of(MODEL[0].1).hex();
        resources(statement)
            .push(json!({ "name": ".gitattributes", "algorithm": "sha256", "digest": digest }));
        reroot(statement);
    };
    assert!(verify(signs_all).unwrap().is_empty());

    let statement = statement(&ModelSignature::sign(&manifest(MODEL), "model", &KEY).unwrap());
    for material in [
        json!({ "publicKey": { "rawBytes": "LS0t", "keyDetails": "PKIX_ECDSA_P256_SHA_256" } }),
        json!({ "publicKey": { "hint": null }, "tlogEntries": [], "timestampVerificationData": {} }),
        json!({ "publicKey": { "hint": "" } }),
        json!({ "publicKey": { "hint": "of another writer" } }),
    ] {
        let signature = bundle(&statement, &material);
        assert!(signature.verify(&manifest(MODEL), &*TRUSTED).is_ok(), "{material}");
    }
}

#[test]
fn a_signer_may_leave_out_only_paths_below_the_model() {
    let without = |ignored: Value, gone: &'static [&'static str]| {
        verify(move |statement| {
            statement["predicate"]["serialization"]["ignore_paths"] = ignored;
            resources(statement).retain(|resource| !gone.contains(&resource["name"].as_str().unwrap()));
            reroot(statement);
        })
    };
    let unlisted = |file: &str| Err(Untrusted::FileUnlisted { file: file.to_owned() });
    assert_eq!(
        without(json!(["a", "config.json"]), &["a/x", "config.json"]).unwrap(),
        [".gitattributes", "a/x", "config.json"]
    );
    // `a` is not `a-b`; what is no plain relative path leaves out nothing.
    assert_eq!(without(json!(["a"]), &["a/x", "a-b/x"]), unlisted("a-b/x"));
    for ignored in ["x", "", ".", "./a", "/a", "../model/a", "*", "a/*", "?/x", "[a]", "a/", "A"] {
        assert_eq!(without(json!([ignored]), &["a/x"]), unlisted("a/x"), "{ignored}");
    }
    let many = vec!["a"; 4097];
    assert!(matches!(without(json!(many), &["a/x"]), Err(Untrusted::Malformed(_))));
}

#[test]
fn forged_statements_are_refused_precisely() {
    let unsupported = |what, found: &str, supported| {
        Err(Untrusted::Unsupported { what, found: found.to_owned(), supported })
    };
    let shards = |statement: &mut Value| {
        statement["predicate"]["serialization"]["method"] = "shards".into();
        statement["predicate"]["serialization"]["shard_size"] = 1_000_000_000.into();
    };
    assert_eq!(verify(shards), unsupported("serialization method", "shards", "`files`"));
    let blake =
        |statement: &mut Value| statement["predicate"]["serialization"]["hash_type"] = "blake3".into();
    assert_eq!(verify(blake), unsupported("hash", "blake3", "`sha256`"));
    let one = |statement: &mut Value| resources(statement)[1]["algorithm"] = "sha256-sharded-5".into();
    assert_eq!(verify(one), unsupported("hash", "sha256-sharded-5", "`sha256`"));
    let old = "https://model_signing/Digests/v0.1";
    let of_old = |statement: &mut Value| statement["predicateType"] = old.into();
    assert_eq!(verify(of_old), unsupported("predicate type", old, ModelSignature::PREDICATE_TYPE));

    let root = |statement: &mut Value| statement["subject"][0]["digest"]["sha256"] = "00".into();
    assert!(matches!(verify(root), Err(Untrusted::RootChanged { signed, .. }) if signed == "00"));
    let no_root = |statement: &mut Value| statement["subject"][0]["digest"] = json!({ "sha512": "00" });
    assert!(matches!(verify(no_root), Err(Untrusted::RootChanged { signed, .. }) if signed.is_empty()));
    let swapped = |statement: &mut Value| resources(statement).swap(0, 1);
    assert!(matches!(verify(swapped), Err(Untrusted::RootChanged { .. })));
    let twice = |statement: &mut Value| {
        let first = resources(statement)[0].clone();
        resources(statement).push(first);
        reroot(statement);
    };
    assert_eq!(verify(twice), Err(Untrusted::FileListedTwice { file: "a-b/x".to_owned() }));
    for name in [".", "a-b/../a-b/x", "/a-b/x", "A-B/x", "\u{1b}[2J"] {
        let elsewhere = |statement: &mut Value| resources(statement)[0]["name"] = name.into();
        // The file itself is then not signed.
        assert_eq!(verify(elsewhere), Err(Untrusted::FileUnlisted { file: "a-b/x".to_owned() }));
        let added = |statement: &mut Value| {
            let digest = Digest::of("").hex();
            resources(statement).push(json!({ "name": name, "algorithm": "sha256", "digest": digest }));
            reroot(statement);
        };
        let refused = verify(added).unwrap_err();
        assert!(matches!(&refused, Untrusted::FileMissing { .. }) && !refused.to_string().contains('\u{1b}'));
    }

    type Change = fn(&mut Value);
    let malformed: [(Change, &str); 8] = [
        (|statement| resources(statement).clear(), "no file is listed"),
        (|statement| resources(statement)[0]["digest"] = "zz".into(), "64 lower-case hex digits"),
        (
            |statement| resources(statement)[0]["digest"] = Digest::of("2").hex().to_uppercase().into(),
            "64 lower-case hex digits",
        ),
        (|statement| resources(statement)[0]["digest"] = 1.into(), "invalid type"),
        (|statement| statement["subject"] = json!([]), "exactly one subject"),
        (|statement| statement["predicate"] = json!({ "resources": [] }), "missing field `serialization`"),
        (|statement| statement["_type"] = "https://in-toto.io/Statement/v0.1".into(), "unknown variant"),
        (|statement| *statement = json!([]), "cannot be read"),
    ];
    for (change, says) in malformed {
        match verify(change) {
            Err(Untrusted::Malformed(why)) => assert!(why.to_string().contains(says), "{why}"),
            other => panic!("{says}: {other:?}"),
        }
    }
}

#[test]
fn other_bundles_are_refused_and_kept_whole() {
    let statement = statement(&ModelSignature::sign(&manifest(MODEL), "model", &KEY).unwrap());
    for (material, found) in [
        (json!({ "x509CertificateChain": { "certificates": [{ "rawBytes": "MAA=" }] } }), "certificate"),
        (json!({ "certificate": { "rawBytes": "MAA=" }, "tlogEntries": [{ "logIndex": "1" }] }), "sigstore"),
        (json!({}), "none"),
    ] {
        let signature = bundle(&statement, &material);
        let refused = signature.verify(&manifest(MODEL), &*TRUSTED).unwrap_err();
        assert!(matches!(refused, Untrusted::Unsupported { found: it, .. } if it == found));
        let kept: Value = serde_json::from_slice(signature.json()).unwrap();
        assert_eq!(kept["verificationMaterial"], material);
    }
    for (bundle, says) in [
        (json!({}), "missing field"),
        (json!([]), "not a Sigstore bundle"),
        (
            json!({ "mediaType": "x", "verificationMaterial": {}, "dsseEnvelope": Envelope::new("t", "") }),
            "mediaType",
        ),
        (json!({ "mediaType": "x", "verificationMaterial": {}, "messageSignature": {} }), "missing field"),
    ] {
        let refused = ModelSignature::decode(bundle.to_string()).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    let deep = format!(r#"{{"verificationMaterial":{}"#, "[".repeat(100_000));
    assert!(ModelSignature::decode(deep).is_err());
    let huge = " ".repeat(ModelSignature::LONGEST + 1);
    assert!(ModelSignature::decode(huge).unwrap_err().to_string().contains("longer than"));
    // Another payload, and a payload that is a statement under another type, which nobody signed.
    let mut bundle: Value = serde_json::from_str(&golden("p256.sig")).unwrap();
    bundle["dsseEnvelope"]["payloadType"] = "application/json".into();
    let signature = ModelSignature::decode(bundle.to_string()).unwrap();
    assert!(matches!(signature.verify(&manifest(MODEL), &*TRUSTED), Err(Untrusted::WrongKey { .. })));
    let envelope =
        Envelope::new("application/json", signature.envelope().payload().clone()).sign(&KEY).unwrap();
    bundle["dsseEnvelope"] = serde_json::to_value(envelope).unwrap();
    let signature = ModelSignature::decode(bundle.to_string()).unwrap();
    let refused = signature.verify(&manifest(MODEL), &*TRUSTED).unwrap_err();
    assert!(matches!(refused, Untrusted::Unsupported { what: "payload type", .. }));
}

#[test]
fn a_signature_of_many_files_can_be_read() {
    let names: Vec<_> = (0..20_000).map(|n| format!("shard-{n:06}-of-020000.safetensors")).collect();
    let manifest = manifest(names.iter().map(|name| (name.as_str(), "x")));
    let signature = ModelSignature::sign(&manifest, "model", &KEY).unwrap();
    assert!(signature.json().len() < ModelSignature::LONGEST / 5); // so that five times as many fit
    signature.verify(&manifest, &*TRUSTED).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever byte of a bundle is changed: it is refused, or it means the same.
    #[test]
    fn no_damage_passes_or_panics(
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = golden("p256.sig").into_bytes();
        prop_assert!(ModelSignature::decode(whole[..cut.index(whole.len())].to_vec()).is_err());
        let mut damaged = whole.clone();
        let at = at.index(whole.len());
        damaged[at] ^= 1_u8 << bit;
        let Ok(signature) = ModelSignature::decode(damaged) else { return Ok(()) };
        let original = ModelSignature::decode(whole).unwrap();
        if signature.verify(&manifest(MODEL), &*TRUSTED).is_ok() {
            // Only in what is not signed: the hint, the key's name, keys that are skipped.
            prop_assert_eq!(signature.envelope().payload(), original.envelope().payload());
            prop_assert_eq!(signature.envelope().payload_type(), original.envelope().payload_type());
            prop_assert_eq!(&signature.envelope().signatures()[0].sig, &original.envelope().signatures()[0].sig);
        }
    }
}
