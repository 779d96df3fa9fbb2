//! The bill of materials of a version.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tidegate_registry::{
    Ancestor, Card, Digest, File, Framework, Inspector, Manifest, Profile, Relation, Stamp, bom,
};

fn file(path: &str, bytes: &[u8]) -> File {
    let digest = Digest::of(bytes);
    File { path: path.parse().unwrap(), size: bytes.len() as u64, digest, parts: vec![digest] }
}

fn stamp() -> Stamp {
    Stamp { by: "ci-8841".to_owned(), at: UNIX_EPOCH + Duration::from_millis(1_764_000_000_250) }
}

fn minimal() -> Manifest {
    let files = vec![file("a", b"a")];
    Manifest::new("tiny@0.1.0".parse().unwrap(), files, stamp(), Card::default())
}

fn ancestor(relation: Relation, uri: &str, digest: Option<Digest>) -> Ancestor {
    Ancestor { relation, uri: uri.to_owned(), digest }
}

fn rich() -> Manifest {
    let files = vec![file("model.gguf", b"weights"), file("config/größe \"1\" #2.json", b"{}")];
    let lineage = vec![
        ancestor(Relation::FinetunedFrom, "tidegate:base-model@2.1.0+cu12", Some(Digest::of("base"))),
        ancestor(Relation::TrainedOn, "https://example.com:8443/sets/a%20b?v=1", None),
        ancestor(Relation::EvaluatedBy, "https://example.com/sets/eval?v=1", Some(Digest::of("set"))),
        ancestor(Relation::MergedFrom, "the model that Bob has on his laptop \u{7}", None),
        ancestor(Relation::AdapterOf, "http://[::1", None),
        ancestor(Relation::QuantizedFrom, "", None),
    ];
    let card = Card {
        description: "Scores payments.".to_owned(),
        framework: Some(Framework { name: "pytorch".to_owned(), version: "2.9.1".to_owned() }),
        metrics: [("accuracy".to_owned(), 0.931), ("loss".to_owned(), 1e-30)].into(),
        tags: ["fraud".to_owned(), "with spaces".to_owned()].into(),
        labels: [("team".to_owned(), "payments".to_owned()), (String::new(), String::new())].into(),
        lineage,
        ..Card::default()
    };
    let read = |path: &str, bytes: &[u8]| {
        let mut inspector = Inspector::new(&path.parse().unwrap());
        inspector.feed(bytes);
        inspector.finish()
    };
    let readings = [
        read("config.json", include_bytes!("profile/config.json")),
        read("model.gguf", include_bytes!("profile/little.gguf")),
        read("model.onnx", include_bytes!("profile/inline.onnx")),
    ];
    let profile = Profile::of(readings.into_iter().flatten());
    Manifest::new("fraud-scorer@1.4.0-rc.1+build.5".parse().unwrap(), files, stamp(), card)
        .with_profile(profile)
}

#[test]
fn the_least_is_said_of_a_minimal_version() {
    let manifest = minimal();
    let expected = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": bom::cyclonedx(&manifest)["serialNumber"],
        "version": 1,
        "metadata": {
            "timestamp": "2025-11-24T16:00:00.250000000Z",
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "tidegate:tiny@0.1.0",
                "name": "tiny",
                "version": "0.1.0",
                "purl": "pkg:generic/tiny@0.1.0",
                "publisher": "ci-8841",
                "hashes": [{"alg": "SHA-256", "content": manifest.digest.hex()}],
                "properties": [{"name": "tidegate:size", "value": "1"}],
            },
        },
        "components": [{
            "type": "file",
            "bom-ref": "file:a",
            "name": "a",
            "hashes": [{
                "alg": "SHA-256",
                "content": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
            }],
            "properties": [{"name": "tidegate:size", "value": "1"}],
        }],
        "dependencies": [{"ref": "tidegate:tiny@0.1.0", "dependsOn": ["file:a"]}],
    });
    assert_eq!(bom::cyclonedx(&manifest), expected);
}

#[test]
fn what_is_known_is_in_the_model_card() {
    let document = bom::cyclonedx(&rich());
    let model = &document["metadata"]["component"];
    assert_eq!(model["purl"], "pkg:generic/fraud-scorer@1.4.0-rc.1%2Bbuild.5");
    assert_eq!(
        model["modelCard"]["modelParameters"],
        json!({
            "architectureFamily": "llama",
            "modelArchitecture": "llama",
            "datasets": [{"ref": "lineage:1"}, {"ref": "lineage:2"}],
        })
    );
    assert_eq!(
        model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0],
        json!({"type": "accuracy", "value": "0.931"})
    );
    let properties = model["modelCard"]["properties"].as_array().unwrap();
    for (name, value) in [
        ("tidegate:parameters", "3328"),
        ("tidegate:parameters:Q4_K", "2048"),
        ("tidegate:quantization", "Q4_K_M"),
        ("tidegate:context-length", "4096"),
        ("tidegate:onnx:opset:ai.onnx", "21"),
        ("tidegate:label:team", "payments"),
    ] {
        assert!(properties.contains(&json!({"name": name, "value": value})), "{name}");
    }
    let ancestors = model["pedigree"]["ancestors"].as_array().unwrap();
    assert_eq!(
        ancestors[0],
        json!({
            "type": "machine-learning-model",
            "bom-ref": "lineage:0",
            "name": "tidegate:base-model@2.1.0+cu12",
            "hashes": [{"alg": "SHA-256", "content": Digest::of("base").hex()}],
            "externalReferences": [{"type": "distribution", "url": "tidegate:base-model@2.1.0+cu12"}],
            "properties": [{"name": "tidegate:relation", "value": "finetuned-from"}],
        })
    );
    assert_eq!(ancestors.len(), 4);
    assert!(
        ancestors[1..].iter().all(|ancestor| ancestor["externalReferences"].is_null()),
        "they are no URIs"
    );
}

#[test]
fn every_reference_is_unique_and_leads_somewhere() {
    let document = bom::cyclonedx(&rich());
    let components = document["components"].as_array().unwrap();
    let refs: BTreeSet<_> =
        components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(refs.len(), components.len());
    let depends: BTreeSet<_> = document["dependencies"][0]["dependsOn"]
        .as_array()
        .unwrap()
        .iter()
        .map(|on| on.as_str().unwrap())
        .collect();
    assert_eq!(depends, refs);
    assert_eq!(document["dependencies"][0]["ref"], document["metadata"]["component"]["bom-ref"]);
}

#[test]
fn the_same_version_gives_the_same_document() {
    let (one, other) = (bom::cyclonedx(&rich()), bom::cyclonedx(&rich()));
    assert_eq!(one.to_string(), other.to_string());
    assert_eq!(bom::cyclonedx(&minimal())["serialNumber"], "urn:uuid:c9cdc4d5-bbae-8e3c-8e5e-b58d2f06eef4");
    assert_ne!(one["serialNumber"], bom::cyclonedx(&minimal())["serialNumber"]);
}

#[test]
fn a_time_that_cannot_be_written_is_left_out() {
    let mut manifest = minimal();
    manifest.created.at = UNIX_EPOCH - Duration::from_secs(1);
    assert!(bom::cyclonedx(&manifest)["metadata"]["timestamp"].is_null());
}

/// Says of each line of its input what is wrong with it, taken as a document of CycloneDX 1.6, or nothing.
const VALIDATE: &str = r#"
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
errors = map(validator.validate_str, sys.stdin)
json.dump([error and repr(error) for error in errors], sys.stdout)
"#;

#[expect(
    clippy::disallowed_methods,
    reason = "a live test is told by its environment where the validator is"
)]
fn python() -> String {
    std::env::var("TIDEGATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// What a strict validator has against each of `documents`.
fn validate(documents: &[Value]) -> Vec<Option<String>> {
    let python = python();
    let mut validator = Command::new(&python)
        .args(["-c", VALIDATE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
    let lines: Vec<_> = documents.iter().map(|document| format!("{document}\n")).collect();
    validator.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    let said = validator.wait_with_output().unwrap().stdout;
    let said: Vec<_> = serde_json::from_slice(&said).unwrap();
    assert_eq!(said.len(), documents.len());
    said
}

#[test]
#[ignore = "needs cyclonedx-python-lib[json-validation]; TIDEGATE_TEST_PYTHON names the python that has it"]
fn a_strict_validator_accepts_it() {
    let mut timeless = minimal();
    timeless.created.at = UNIX_EPOCH - Duration::from_secs(1);
    let mut documents = [rich(), minimal(), timeless].map(|manifest| bom::cyclonedx(&manifest)).to_vec();

    // Whatever is taken for a reference is one.
    let uris = [
        "a:",
        "a:?",
        "a:/b//c",
        "hf:org/model@main",
        "a+b-c.d:e?f?g:@/&=+~",
        "http://h",
        "http://h:",
        "http://h?q",
        "oci://registry.example.com:5000/models/x@sha256:abc",
        "http://-.~_/",
        "s3://bucket/key_1/",
        "a:b:c:",
    ];
    let card = Card {
        lineage: uris.iter().map(|uri| ancestor(Relation::MergedFrom, uri, None)).collect(),
        ..Card::default()
    };
    let many = Manifest::new("tiny@0.1.0".parse().unwrap(), minimal().files, stamp(), card);
    let document = bom::cyclonedx(&many);
    let ancestors = document["metadata"]["component"]["pedigree"]["ancestors"].as_array().unwrap();
    assert!(ancestors.iter().all(|ancestor| ancestor["externalReferences"].is_array()), "{ancestors:?}");
    documents.push(document);
    let good = documents.len();

    // And it does look: a hash, a reference or a field that is not as it should be is refused.
    for (pointer, wrong) in [
        ("/components/0/hashes/0/content", json!("abc")),
        ("/metadata/component/pedigree/ancestors/0/externalReferences/0/url", json!("no uri \u{7}")),
        ("/metadata/component/modelCard", json!({"surplus": 1})),
        ("/metadata/timestamp", json!("yesterday")),
        ("/serialNumber", json!("7")),
    ] {
        let mut document = bom::cyclonedx(&rich());
        *document.pointer_mut(pointer).unwrap() = wrong;
        documents.push(document);
    }
    for (n, said) in validate(&documents).into_iter().enumerate() {
        match said {
            None => assert!(n < good, "document {n} should have been refused"),
            Some(error) => assert!(n >= good && error.contains("ValidationError"), "document {n}: {error}"),
        }
    }
}
