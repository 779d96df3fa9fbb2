//! A second client, which knows nothing but the distribution specification.

use bytes::Bytes;
use serde_json::{Value, json};
use tidegate_registry::Digest;

use super::client;

pub(crate) const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A repository, by its URL `…/v2/<name>`.
pub(crate) struct Plain(pub(crate) String);

impl Plain {
    pub(crate) fn new(address: &str, repository: &str) -> Self {
        Self(format!("{address}/v2/{repository}"))
    }

    pub(crate) async fn manifest(&self, name: &str) -> Option<Bytes> {
        let asked = client().get(format!("{}/manifests/{name}", self.0)).header("accept", IMAGE_MANIFEST);
        let answer = asked.send().await.unwrap();
        if answer.status() == 404 {
            return None;
        }
        Some(answer.error_for_status().unwrap().bytes().await.unwrap())
    }

    pub(crate) async fn blob(&self, digest: &str) -> Bytes {
        let answer = client().get(format!("{}/blobs/{digest}", self.0)).send().await.unwrap();
        answer.error_for_status().unwrap().bytes().await.unwrap()
    }

    /// Stores a blob and returns its descriptor.
    pub(crate) async fn push(&self, kind: &str, path: &str, bytes: Bytes) -> Value {
        let digest = Digest::of(&bytes).to_string();
        let size = bytes.len();
        let begun = client().post(format!("{}/blobs/uploads/", self.0)).send().await.unwrap();
        let begun = begun.error_for_status().unwrap();
        let mut url = begun.url().join(begun.headers()["location"].to_str().unwrap()).unwrap();
        url.query_pairs_mut().append_pair("digest", &digest);
        client().put(url).body(bytes).send().await.unwrap().error_for_status().unwrap();
        json!({
            "mediaType": kind, "digest": digest, "size": size,
            "annotations": { "org.cncf.model.filepath": path },
        })
    }

    pub(crate) async fn tag(&self, tag: &str, manifest: impl Into<Bytes>) {
        let put = client().put(format!("{}/manifests/{tag}", self.0)).header("content-type", IMAGE_MANIFEST);
        put.body(manifest.into()).send().await.unwrap().error_for_status().unwrap();
    }

    /// An artifact as `modctl build --raw` makes it.
    pub(crate) async fn artifact(&self, tag: &str, layers: Vec<Value>) -> Value {
        let digests: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
        let config = json!({
            "descriptor": { "createdAt": "2025-01-01T00:00:00Z", "family": "xyz3", "description": "theirs" },
            "config": { "architecture": "transformer", "format": "safetensors", "paramSize": "8b" },
            "modelfs": { "type": "layers", "diffIds": digests },
        });
        let kind = "application/vnd.cncf.model.config.v1+json";
        let mut config = self.push(kind, "", config.to_string().into()).await;
        config.as_object_mut().unwrap().remove("annotations");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE_MANIFEST,
            "artifactType": "application/vnd.cncf.model.manifest.v1+json", "config": config, "layers": layers,
        });
        self.tag(tag, manifest.to_string()).await;
        manifest
    }
}
