//! What every object says about itself: the version that a change is guarded by, and its fence.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Value, json};
use tidegate_registry::Seq;

use super::{
    FENCE,
    clip::clip,
    object::Change,
    unfit::{NoFence, Unfit},
};
use crate::Fence;

/// Version, fence and annotations of an object that was read.
#[derive(Debug)]
pub(super) struct Head {
    /// The `resourceVersion`.
    pub(super) version: String,
    /// The fence of the last change, if there was one.
    pub(super) fence: Option<Fence>,
    /// The generation of the spec.
    pub(super) generation: i64,
    /// Its annotations, if it has a map of them.
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

impl Head {
    pub(super) fn read(object: &DynamicObject) -> Result<Self, Unfit> {
        let metadata = &object.metadata;
        let annotations = metadata.annotations.clone();
        Ok(Self {
            version: metadata.resource_version.clone().ok_or(Unfit::Unversioned)?,
            fence: fence(object)?,
            generation: metadata.generation.unwrap_or_default(),
            annotations,
        })
    }

    /// The value of an annotation.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The JSON patch (RFC 6902) that makes `change` with the right `fence`, if the object is still as it was
    /// read.
    pub(super) fn patch(&self, change: Change, fence: Fence) -> Value {
        let mut patch =
            vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": self.version})];
        patch.extend(change.operations);
        let stamp = (FENCE, fence.get().to_string());
        let annotations = change.annotations.into_iter().chain([stamp]);
        if self.annotations.is_some() {
            patch.extend(
                annotations
                    .map(|(key, value)| json!({"op": "add", "path": annotation_at(key), "value": value})),
            );
        } else {
            let all: BTreeMap<_, _> = annotations.collect();
            patch.push(json!({"op": "add", "path": "/metadata/annotations", "value": all}));
        }
        Value::Array(patch)
    }
}

/// The JSON pointer (RFC 6901) to an annotation.
pub(super) fn annotation_at(key: &str) -> String {
    format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The fence in the annotations of `object`, if there is one.
pub(super) fn fence(object: &DynamicObject) -> Result<Option<Fence>, NoFence> {
    let value = object.metadata.annotations.as_ref().and_then(|all| all.get(FENCE));
    let fence = |value: &String| {
        let seq = value.parse().ok().and_then(Seq::new);
        seq.map(Fence::new).ok_or_else(|| NoFence(clip(value, 40)))
    };
    value.map(fence).transpose()
}
