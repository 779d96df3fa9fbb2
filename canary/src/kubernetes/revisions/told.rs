//! Which release a pod template runs.
//!
//! Pure: a template, or a pod, which has the same fields, goes in; a release comes out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tidegate_registry::Invalid;

use super::{super::clip::clip, unfit::Unfit};
use crate::{Release, kubernetes::deployment::rollout, pattern::Pattern};

/// How a pod template tells which release it runs.
#[derive(Clone, Debug, Default)]
pub(super) enum Told {
    /// By the annotations that `Deployments` writes.
    #[default]
    ByAnnotations,
    /// By the image of a container, which is that of one release.
    ByImage { container: String, images: BTreeMap<String, Release> },
}

impl Told {
    /// By the image of `container`, which `pattern` makes of each of `known`.
    pub(super) fn by_image(
        container: &str,
        pattern: &str,
        known: impl IntoIterator<Item = Release>,
    ) -> Result<Self, Invalid> {
        let parsed = Pattern::parse("pattern of an image", pattern)?;
        let mut images = BTreeMap::new();
        for release in known {
            let image = parsed.image(&release);
            let other = images.insert(image.clone(), release.clone());
            if let Some(other) = other.filter(|other| *other != release) {
                let why = format!(
                    "{other} ({}) and {release} ({}) both have it; put {{digest}} into the pattern `{pattern}`",
                    other.digest, release.digest
                );
                return Err(Invalid::new("image", &image, why));
            }
        }
        Ok(Self::ByImage { container: container.to_owned(), images })
    }

    /// The release that `template` runs.
    pub(super) fn release(&self, template: &Value) -> Result<Release, Unfit> {
        match self {
            Self::ByAnnotations => {
                let annotations = &template["metadata"]["annotations"];
                // What cannot be read says nothing.
                let annotations = BTreeMap::<String, String>::deserialize(annotations).unwrap_or_default();
                Ok(rollout::release(&annotations)?)
            }
            Self::ByImage { container, images } => {
                let image = image(template, container)
                    .ok_or_else(|| Unfit::NoImage { container: clip(container, 63) })?;
                let unknown =
                    || Unfit::ImageUnknown { container: clip(container, 63), image: clip(image, 200) };
                images.get(image).cloned().ok_or_else(unknown)
            }
        }
    }

    /// Whether `template` runs `release`.
    pub(super) fn runs(&self, template: &Value, release: &Release) -> bool {
        self.release(template).is_ok_and(|runs| runs == *release)
    }
}

fn image<'a>(template: &'a Value, container: &str) -> Option<&'a str> {
    let lists = ["containers", "initContainers"].map(|list| template["spec"][list].as_array());
    let mut all = lists.into_iter().flatten().flatten();
    all.find(|found| found["name"] == *container)?["image"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_registry::Digest;

    use super::*;

    fn release(model: &str) -> Release {
        Release { model: model.parse().unwrap(), digest: Digest::of(model) }
    }

    fn template(image: &str) -> Value {
        json!({"spec": {
            "initContainers": [{"name": "fetch", "image": "r/fetch:1"}],
            "containers": [{"name": "mesh", "image": "r/mesh:7"}, {"name": "server", "image": image}],
        }})
    }

    #[test]
    fn an_image_tells_the_release_that_it_belongs_to() {
        let known = ["fraud@1.4.0", "fraud@1.5.0"].map(release);
        let told = Told::by_image("server", "r/fraud:{version}", known.clone()).unwrap();
        assert_eq!(told.release(&template("r/fraud:1.5.0")).unwrap(), known[1]);
        assert!(told.runs(&template("r/fraud:1.4.0"), &known[0]));
        let said = told.release(&template("r/fraud:latest")).unwrap_err().to_string();
        assert!(said.contains("r/fraud:latest") && said.contains("no release that is known"), "{said}");
        let other = Told::by_image("sidecar", "r/fraud:{version}", known).unwrap();
        let said = other.release(&template("r/fraud:1.4.0")).unwrap_err().to_string();
        assert!(said.contains("sidecar"), "{said}");
        for nonsense in [json!(7), json!({"spec": {"containers": {"name": "server"}}}), json!(null)] {
            assert!(told.release(&nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn an_image_that_would_be_two_releases_is_refused_at_once() {
        let again = Release { digest: Digest::of("rebuilt"), ..release("fraud@1.4.0") };
        let known = [release("fraud@1.4.0"), again.clone()];
        let error = Told::by_image("server", "r/fraud:{version}", known.clone()).unwrap_err().to_string();
        assert!(error.contains("{digest}") && error.contains("r/fraud:1.4.0"), "{error}");
        let told = Told::by_image("server", "r/fraud@{digest}", known).unwrap();
        let image = format!("r/fraud@{}", again.digest);
        assert_eq!(told.release(&template(&image)).unwrap(), again);
    }

    #[test]
    fn annotations_tell_by_version_and_content() {
        let says = |digest: Digest| {
            json!({"metadata": {"annotations": {
                rollout::RELEASE: "fraud@1.4.0", rollout::DIGEST: digest.to_string(),
            }}})
        };
        let told = Told::default();
        assert!(told.runs(&says(Digest::of("fraud@1.4.0")), &release("fraud@1.4.0")));
        assert!(
            !told.runs(&says(Digest::of("rebuilt")), &release("fraud@1.4.0")),
            "the same name, other content"
        );
        for unsaid in [json!({}), json!({"metadata": {"annotations": 7}}), json!("x")] {
            let said = told.release(&unsaid).unwrap_err().to_string();
            assert!(said.contains("annotate"), "{said}");
        }
    }
}
