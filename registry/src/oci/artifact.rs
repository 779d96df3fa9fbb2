//! The manifest of an artifact, laid out as the CNCF ModelPack specification says.
//!
//! <https://github.com/modelpack/model-spec/blob/main/docs/spec.md>

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::media;
use crate::{Digest, File, FilePath, Invalid, Manifest, transfer::source::check_paths};

/// The media type of an image manifest, which is what an artifact is described by.
pub(super) const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of an index, which names several manifests.
pub(super) const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Bytes of the largest manifest: what registries have to take, and most take no more.
pub(super) const LONGEST_MANIFEST: usize = 4 << 20;

/// The type of an artifact that is a model.
const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";

/// The media type of its configuration.
const MODEL_CONFIG: &str = "application/vnd.cncf.model.config.v1+json";

/// The annotation of a layer that says which file it is.
const FILEPATH: &str = "org.cncf.model.filepath";

/// The same to ORAS, whose artifacts come without the one above.
const TITLE: &str = "org.opencontainers.image.title";

/// The annotation of a layer that says that its media type was guessed.
const UNTESTED: &str = "org.cncf.model.file.mediatype.untested";

/// The path of the layer that holds our own manifest: one that no file of a version can have.
const DOCUMENT: &str = ".tidegate-manifest.json";

/// What an artifact is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Artifact {
    pub(super) config: Blob,
    /// The files, ascending by path.
    pub(super) files: Vec<Layer>,
    /// Our own manifest, if tidegate made the artifact.
    pub(super) document: Option<Blob>,
}

/// Bytes in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// A file that is a layer as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) path: FilePath,
    pub(super) blob: Blob,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Reads the manifest of an artifact, made by whomever. Says what is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            media_type: Option<String>,
        }
        let not_json = |error| format!("it is no image manifest ({error})");
        let Kind { media_type } = serde_json::from_slice(bytes).map_err(not_json)?;
        if media_type.as_deref() == Some(IMAGE_INDEX) {
            return Err("it is an index of several artifacts; name one of them by its digest".to_owned());
        }
        let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(not_json)?;
        if manifest.schema_version != 2 || media_type.is_some_and(|kind| kind != IMAGE_MANIFEST) {
            return Err("it is another kind of manifest than images have".to_owned());
        }
        let is_model =
            manifest.artifact_type.as_deref() == Some(MODEL) || manifest.config.media_type == MODEL_CONFIG;
        if !is_model {
            let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
            return Err(format!("it is a {}, not a ModelPack model", shown(kind)));
        }
        let config = manifest.config.blob()?;
        let (mut files, mut document) = (Vec::with_capacity(manifest.layers.len()), None);
        for layer in &manifest.layers {
            if layer.path() == Some(DOCUMENT) {
                if document.replace(layer.blob()?).is_some() {
                    return Err(format!("it has two layers {DOCUMENT}"));
                }
            } else {
                files.push(layer.file()?);
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err("it has no files".to_owned());
        }
        check_paths(files.iter().map(|file| &file.path)).map_err(|error| error.to_string())?;
        if files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.blob.size)).is_none() {
            return Err("its layers have more bytes together than can be counted".to_owned());
        }
        Ok(Self { config, files, document })
    }

    /// Whether `manifest` says of its files what the layers say. Says what differs.
    pub(super) fn agrees(&self, manifest: &Manifest) -> Result<(), String> {
        if self.files.len() != manifest.files.len() {
            return Err(format!("{} files in {} layers", manifest.files.len(), self.files.len()));
        }
        let differs = |(layer, file): &(&Layer, &File)| {
            (&layer.path, layer.blob) != (&file.path, Blob { digest: file.digest, size: file.size })
        };
        match std::iter::zip(&self.files, &manifest.files).find(differs) {
            None => Ok(()),
            Some((layer, file)) => Err(format!(
                "the layer {} has {} bytes and is {}, but its manifest lists {} with {} bytes and {}",
                layer.path, layer.blob.size, layer.blob.digest, file.path, file.size, file.digest
            )),
        }
    }

    /// The manifest of the artifact that `manifest` becomes. Where there is room, layers have their paths
    /// under the name that ORAS looks for as well.
    pub(super) fn encode(manifest: &Manifest, config: Blob, document: Blob) -> Result<Bytes, Invalid> {
        for titles in [true, false] {
            let bytes = Self::image(manifest, config, document, titles);
            if bytes.len() <= LONGEST_MANIFEST {
                return Ok(bytes.into());
            }
        }
        let why = format!(
            "{} files need a manifest of more than the {LONGEST_MANIFEST} bytes that registries take; pack small ones into an archive",
            manifest.files.len()
        );
        Err(Invalid::new("content", manifest.model.to_string(), why))
    }

    fn image(manifest: &Manifest, config: Blob, document: Blob, titles: bool) -> Vec<u8> {
        let annotations = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let layer = |file: &File| {
            let path = file.path.as_str();
            let pairs = [(FILEPATH, path), (UNTESTED, "true"), (TITLE, path)];
            Descriptor {
                media_type: media::of(&file.path).to_owned(),
                digest: file.digest.to_string(),
                size: file.size,
                annotations: annotations(if titles { &pairs } else { &pairs[..2] }),
            }
        };
        let document = Descriptor {
            media_type: media::DOC.to_owned(),
            digest: document.digest.to_string(),
            size: document.size,
            annotations: annotations(&[(FILEPATH, DOCUMENT), (TITLE, DOCUMENT)]),
        };
        let model = &manifest.model;
        let image = ImageManifest {
            schema_version: 2,
            media_type: Some(IMAGE_MANIFEST.to_owned()),
            artifact_type: Some(MODEL.to_owned()),
            config: Descriptor {
                media_type: MODEL_CONFIG.to_owned(),
                digest: config.digest.to_string(),
                size: config.size,
                annotations: BTreeMap::new(),
            },
            layers: manifest.files.iter().map(layer).chain([document]).collect(),
            annotations: annotations(&[
                (TITLE, model.name().as_str()),
                ("org.opencontainers.image.version", &model.version().to_string()),
            ]),
        };
        serde_json::to_vec(&image).expect("text and numbers are JSON")
    }
}

impl Descriptor {
    fn path(&self) -> Option<&str> {
        self.annotations.get(FILEPATH).or_else(|| self.annotations.get(TITLE)).map(String::as_str)
    }

    fn blob(&self) -> Result<Blob, String> {
        let digest = self.digest.parse().map_err(|error: Invalid| error.to_string())?;
        Ok(Blob { digest, size: self.size })
    }

    fn file(&self) -> Result<Layer, String> {
        let blob = self.blob()?;
        if !media::is_raw(&self.media_type) {
            return Err(format!(
                "its layer {} is {}, and only files as they are can be read; build it with raw layers (modctl build --raw)",
                blob.digest,
                shown(&self.media_type)
            ));
        }
        let path = self.path().ok_or_else(|| format!("its layer {} has no {FILEPATH}", blob.digest))?;
        let path = path.parse().map_err(|error: Invalid| error.to_string())?;
        Ok(Layer { path, blob })
    }
}

/// Somebody else's text, so that it can stand in a message.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Card, Stamp};

    fn descriptor(kind: &str, path: &str, bytes: &str) -> Value {
        let annotations = if path.is_empty() { json!({}) } else { json!({ FILEPATH: path }) };
        json!({
            "mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len(),
            "annotations": annotations,
        })
    }

    fn image(layers: Value) -> Value {
        json!({
            "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "artifactType": MODEL,
            "config": descriptor(MODEL_CONFIG, "", "{}"), "layers": layers,
        })
    }

    fn parse(value: &Value) -> Result<Artifact, String> {
        Artifact::parse(value.to_string().as_bytes())
    }

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        let file = |&(path, bytes): &(&str, &str)| File {
            path: path.parse().unwrap(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
            parts: if bytes.is_empty() { Vec::new() } else { vec![Digest::of(bytes)] },
        };
        let stamp = Stamp { by: "test".to_owned(), at: std::time::UNIX_EPOCH };
        Manifest::new("m@1.0.0".parse().unwrap(), files.iter().map(file).collect(), stamp, Card::default())
    }

    const RAW: &str = "application/vnd.cncf.model.weight.v1.raw";

    #[test]
    fn what_is_written_reads_back() {
        let manifest = manifest(&[("b/w.safetensors", "weights"), ("README.md", "hello"), ("empty", "")]);
        let (config, document) = (Digest::of("config"), Digest::of("document"));
        let (config, document) = (Blob { digest: config, size: 6 }, Blob { digest: document, size: 8 });
        let bytes = Artifact::encode(&manifest, config, document).unwrap();
        let artifact = Artifact::parse(&bytes).unwrap();
        assert_eq!((artifact.config, artifact.document), (config, Some(document)));
        artifact.agrees(&manifest).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["artifactType"], MODEL);
        assert_eq!(value["layers"][1]["mediaType"], "application/vnd.cncf.model.weight.v1.raw");
        assert_eq!(value["layers"][1]["annotations"][FILEPATH], "b/w.safetensors");
    }

    #[test]
    fn a_manifest_that_says_something_else_is_noticed() {
        let artifact =
            parse(&image(json!([descriptor(RAW, "a", "one"), descriptor(RAW, "b", "two")]))).unwrap();
        artifact.agrees(&manifest(&[("a", "one"), ("b", "two")])).unwrap();
        for other in [
            &[("a", "one")] as &[_],
            &[("a", "one"), ("b", "two!")],
            &[("a", "one"), ("c", "two")],
            &[("a", "one"), ("b", "owt")],
            &[("a", "one"), ("b", "two"), ("c", "")],
        ] {
            artifact.agrees(&manifest(other)).unwrap_err();
        }
    }

    #[test]
    fn what_others_made_is_read_as_far_as_it_is_files() {
        let mut by_oras = image(json!([descriptor(RAW, "", "one")]));
        by_oras["layers"][0]["annotations"] = json!({ TITLE: "w.bin" });
        by_oras.as_object_mut().unwrap().remove("artifactType");
        let artifact = parse(&by_oras).unwrap();
        assert_eq!(artifact.files[0].path.as_str(), "w.bin");
        assert_eq!(artifact.document, None);
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let good = || descriptor(RAW, "a", "one");
        let changed = |pointer: &str, to: Value| {
            let mut value = image(json!([good(), descriptor(RAW, "b", "two")]));
            *value.pointer_mut(pointer).unwrap() = to;
            value
        };
        let sha512 = format!("sha512:{}", "0".repeat(128));
        let hostile = [
            changed("/schemaVersion", json!(1)),
            changed("/mediaType", json!(IMAGE_INDEX)),
            changed("/mediaType", json!("application/vnd.docker.distribution.manifest.v2+json")),
            changed("/layers", json!([])),
            changed("/layers", json!({})),
            changed("/layers/0/digest", json!(sha512)),
            changed("/layers/0/digest", json!("sha256:../../../etc/passwd")),
            changed("/layers/0/size", json!(-1)),
            changed("/layers/0/size", json!(1.5)),
            changed("/layers/0/size", json!(u64::MAX)),
            changed("/layers/0/annotations", json!({})),
            changed("/layers/0/annotations", json!({ FILEPATH: "../a" })),
            changed("/layers/0/annotations", json!({ FILEPATH: "/etc/passwd" })),
            changed("/layers/0/annotations", json!({ FILEPATH: "b" })),
            changed("/layers/0/annotations", json!({ FILEPATH: "b/c" })),
            changed("/layers/0/annotations", json!({ FILEPATH: ".tidegate-x/c" })),
            changed("/layers/0/mediaType", json!("application/vnd.cncf.model.weight.v1.tar")),
            changed("/layers/0/mediaType", json!("application/vnd.oci.image.layer.v1.tar+gzip")),
            changed("/config", json!({})),
            changed("/config/digest", json!(sha512)),
            image(json!([good(), descriptor(RAW, DOCUMENT, "1"), descriptor(RAW, DOCUMENT, "2")])),
        ];
        for value in hostile {
            parse(&value).unwrap_err();
        }
        let mut other = changed("/artifactType", json!("application/vnd.example"));
        other["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        parse(&other).unwrap_err();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        Artifact::parse(deep.as_bytes()).unwrap_err();
        let deep = format!("{{\"mediaType\":null,\"layers\":{deep}}}");
        Artifact::parse(deep.as_bytes()).unwrap_err();
        Artifact::parse(b"").unwrap_err();
    }

    #[test]
    fn more_files_than_a_registry_takes_are_refused() {
        let files: Vec<_> = (0..20_000).map(|n| format!("file-{n:05}")).collect();
        let files: Vec<_> = files.iter().map(|path| (path.as_str(), "x")).collect();
        let blob = Blob { digest: Digest::of(""), size: 0 };
        let encoded = |count: usize| Artifact::encode(&manifest(&files[..count]), blob, blob);
        for count in [10_000, 15_000] {
            let artifact = Artifact::parse(&encoded(count).unwrap()).unwrap();
            artifact.agrees(&manifest(&files[..count])).unwrap();
        }
        assert!(encoded(20_000).unwrap_err().to_string().contains("20000 files"));
    }
}
