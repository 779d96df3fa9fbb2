//! A bill of materials: what a version is made of, in a form that other tools read.
//!
//! Source: CycloneDX 1.6, ECMA-424, <https://cyclonedx.org/docs/1.6/json/>; its profile for machine learning:
//! <https://cyclonedx.org/capabilities/mlbom/>.

use serde_json::{Map, Value, json};
use uuid::Builder;

use crate::{Ancestor, Digest, File, Manifest, Profile, Relation};

/// The `predicateType` of an attestation whose predicate is a CycloneDX bill of materials.
///
/// Source: <https://github.com/in-toto/attestation/blob/main/spec/predicates/cyclonedx.md>.
pub const PREDICATE_TYPE: &str = "https://cyclonedx.org/bom";

/// The CycloneDX 1.6 bill of materials of a version, as a JSON document.
///
/// * `metadata.component` is the model: its pedigree (what it was fine-tuned, quantised or merged from, or
///   adapts), and its model card, with the [`Profile`], the metrics and the labels.
/// * `components` are its files, each with its SHA-256, its framework, and the data sets that it was
///   trained and evaluated on. `dependencies` ties them to the model.
///
/// It follows from the manifest alone, so that the same manifest always gives the same document: the time
/// is that of the publication, and the serial number is a UUID of version 8 (RFC 9562, section 5.8) made
/// of the first 16 bytes of the SHA-256 of `tidegate:NAME@VERSION`, a line feed and the content digest.
/// The hash of the model is its [content digest](crate::content_digest), which is not that of any file;
/// the same digest is to be found where another version names this one as its ancestor.
///
/// What has no place in CycloneDX is in `properties`, under names that begin with `tidegate:`.
#[must_use]
pub fn cyclonedx(manifest: &Manifest) -> Value {
    let card = &manifest.card;
    let (data, ancestors): (Vec<_>, Vec<_>) =
        card.lineage.iter().enumerate().partition(|(_, ancestor)| is_data(ancestor.relation));
    let data: Vec<_> = data.into_iter().map(|(n, ancestor)| origin("data", n, ancestor)).collect();
    let ancestors: Vec<_> =
        ancestors.into_iter().map(|(n, ancestor)| origin("machine-learning-model", n, ancestor)).collect();

    let mut components: Vec<_> = manifest.files.iter().map(file).collect();
    if let Some(framework) = &card.framework {
        components.push(json!({
            "type": "framework",
            "bom-ref": "framework",
            "name": framework.name,
            "version": framework.version,
        }));
    }
    let datasets: Vec<_> = data.iter().map(|data| json!({"ref": data["bom-ref"]})).collect();
    components.extend(data);
    let parts: Vec<_> = components.iter().map(|component| component["bom-ref"].clone()).collect();

    let mut metadata = Map::new();
    if manifest.created.check().is_ok() {
        let at = humantime::format_rfc3339(manifest.created.at);
        metadata.insert("timestamp".to_owned(), at.to_string().into());
    }
    let reference = format!("tidegate:{}", manifest.model);
    metadata.insert("component".to_owned(), model(manifest, &reference, ancestors, datasets));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(manifest),
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [{"ref": reference, "dependsOn": parts}],
    })
}

fn serial_number(manifest: &Manifest) -> String {
    let digest = Digest::of(format!("tidegate:{}\n{}", manifest.model, manifest.digest));
    let (bytes, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    Builder::from_custom_bytes(*bytes).into_uuid().urn().to_string()
}

fn model(manifest: &Manifest, reference: &str, ancestors: Vec<Value>, datasets: Vec<Value>) -> Value {
    let card = &manifest.card;
    let version = manifest.model.version().to_string();
    let mut model = Map::new();
    let mut put = |name: &str, value: Value| model.insert(name.to_owned(), value);
    put("type", "machine-learning-model".into());
    put("bom-ref", reference.into());
    put("name", manifest.model.name().as_str().into());
    put("purl", format!("pkg:generic/{}@{}", manifest.model.name(), version.replace('+', "%2B")).into());
    put("version", version.into());
    put("hashes", hashes(&manifest.digest));
    put("publisher", manifest.created.by.as_str().into());
    put("properties", json!([property("tidegate:size", manifest.size)]));
    if !card.description.is_empty() {
        put("description", card.description.as_str().into());
    }
    if !card.tags.is_empty() {
        put("tags", json!(card.tags));
    }
    if !ancestors.is_empty() {
        put("pedigree", json!({"ancestors": ancestors}));
    }
    let model_card = model_card(manifest, datasets);
    if !model_card.is_empty() {
        put("modelCard", model_card.into());
    }
    model.into()
}

fn model_card(manifest: &Manifest, datasets: Vec<Value>) -> Map<String, Value> {
    let unknown = Profile::default();
    let profile = manifest.profile.as_ref().unwrap_or(&unknown);
    let mut parameters = Map::new();
    if let Some(family) = &profile.family {
        parameters.insert("architectureFamily".to_owned(), family.as_str().into());
    }
    if let Some(architecture) = &profile.architecture {
        parameters.insert("modelArchitecture".to_owned(), architecture.as_str().into());
    }
    if !datasets.is_empty() {
        parameters.insert("datasets".to_owned(), datasets.into());
    }
    let metrics = manifest.card.metrics.iter();
    let metrics: Vec<_> =
        metrics.map(|(name, value)| json!({"type": name, "value": value.to_string()})).collect();
    let labels = manifest.card.labels.iter();
    let labels = labels.map(|(name, value)| property(&format!("tidegate:label:{name}"), value));
    let properties: Vec<_> = profile_properties(profile).into_iter().chain(labels).collect();

    let mut card = Map::new();
    if !parameters.is_empty() {
        card.insert("modelParameters".to_owned(), parameters.into());
    }
    if !metrics.is_empty() {
        card.insert("quantitativeAnalysis".to_owned(), json!({"performanceMetrics": metrics}));
    }
    if !properties.is_empty() {
        card.insert("properties".to_owned(), properties.into());
    }
    card
}

fn profile_properties(profile: &Profile) -> Vec<Value> {
    let mut properties = Vec::new();
    let mut put = |name: &str, value: String| properties.push(property(&format!("tidegate:{name}"), value));
    for format in &profile.formats {
        put("format", format.clone());
    }
    let numbers = [
        ("parameters", profile.parameters),
        ("context-length", profile.context_length),
        ("vocabulary", profile.tokenizer.vocabulary),
        ("onnx:ir-version", profile.onnx.ir_version),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            put(name, number.to_string());
        }
    }
    for (dtype, parameters) in &profile.dtypes {
        put(&format!("parameters:{dtype}"), parameters.to_string());
    }
    let texts = [
        ("quantization", &profile.quantization),
        ("tokenizer", &profile.tokenizer.model),
        ("onnx:producer", &profile.onnx.producer),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, text.clone());
        }
    }
    for (domain, version) in &profile.onnx.opsets {
        put(&format!("onnx:opset:{domain}"), version.to_string());
    }
    for file in &profile.onnx.external {
        put("onnx:external", file.clone());
    }
    properties
}

fn file(file: &File) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("file:{}", file.path),
        "name": file.path.as_str(),
        "hashes": hashes(&file.digest),
        "properties": [property("tidegate:size", file.size)],
    })
}

/// What the version comes from, entry `n` of its lineage.
fn origin(kind: &str, n: usize, ancestor: &Ancestor) -> Value {
    let relation = serde_json::to_value(ancestor.relation).expect("a relation is a word");
    let mut origin = json!({
        "type": kind,
        "bom-ref": format!("lineage:{n}"),
        "name": ancestor.uri,
        "properties": [{"name": "tidegate:relation", "value": relation}],
    });
    if let Some(digest) = &ancestor.digest {
        origin["hashes"] = hashes(digest);
    }
    if is_reference(&ancestor.uri) {
        origin["externalReferences"] = json!([{"type": "distribution", "url": ancestor.uri}]);
    }
    origin
}

const fn is_data(relation: Relation) -> bool {
    match relation {
        Relation::EvaluatedBy | Relation::TrainedOn => true,
        Relation::AdapterOf | Relation::FinetunedFrom | Relation::MergedFrom | Relation::QuantizedFrom => {
            false
        }
    }
}

/// Whether `uri` can stand where CycloneDX wants a URI. A lineage may name an ancestor in any words, and a
/// document with something else in such a place is refused as a whole. Takes fewer than RFC 3986 does.
fn is_reference(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            if host.is_empty() || !host.bytes().all(name) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            path
        }
    };
    is_scheme
        && path
            .bytes()
            .all(|byte| name(byte) || matches!(byte, b'/' | b':' | b'@' | b'?' | b'=' | b'&' | b'+'))
}

fn hashes(digest: &Digest) -> Value {
    json!([{"alg": "SHA-256", "content": digest.hex()}])
}

fn property(name: &str, value: impl ToString) -> Value {
    json!({"name": name, "value": value.to_string()})
}
