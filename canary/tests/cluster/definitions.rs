//! The kinds that routers write, where Kubernetes itself does not know them.
//!
//! HTTPRoute is taken as a release of the Gateway API ships it, but for
//! [what old API servers cannot read](without_empty_defaults); `GATEWAY_API_CRD` may name the file of another release
//! (`config/crd/standard/gateway.networking.k8s.io_httproutes.yaml`). Of the others there is a definition beside the
//! tests with as much of its schema as matters for routers.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Cluster;

const ROUTES: &str = "gateway-api-1.6.1/httproutes";

/// Defines them, and waits until they are served.
pub(super) async fn define(cluster: &Cluster) {
    for file in [ROUTES, "ingressroutes", "traefikservices", "virtualservices"] {
        let definition = match file {
            ROUTES => read(cluster, &other_release().unwrap_or_else(|| beside(file))),
            _ => read(cluster, &beside(file)),
        };
        let definition = without_empty_defaults(definition);
        cluster.create("apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await;
        let (spec, version) = (&definition["spec"], &definition["spec"]["versions"][0]["name"]);
        let [group, plural, version] =
            [&spec["group"], &spec["names"]["plural"], version].map(|text| text.as_str().unwrap());
        cluster.answers(&format!("apis/{group}/{version}/{plural}")).await;
    }
}

/// The tests of other packages use it, too.
fn beside(file: &str) -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let file = format!("canary/tests/kubernetes/crds/{file}.yaml");
    above.find_map(|root| Some(root.join(&file)).filter(|file| file.exists())).unwrap()
}

fn other_release() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "another release is named from outside")]
    std::env::var_os("GATEWAY_API_CRD").map(PathBuf::from)
}

fn read(cluster: &Cluster, file: &Path) -> Value {
    let file = file.to_str().unwrap();
    let json = cluster.kubectl(&["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", file]);
    serde_json::from_str(&json).unwrap()
}

/// Kubernetes before 1.25 forgets the rules in CEL (`x-kubernetes-validations`) without a word, and that is all it
/// does not know; but 1.20 reads `default: ""` as null, which it refuses as no text. Nothing else is changed.
fn without_empty_defaults(mut definition: Value) -> Value {
    fn visit(value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(visit),
            Value::Object(fields) => {
                if fields.get("default").is_some_and(|default| default == "") {
                    fields.remove("default");
                }
                fields.values_mut().for_each(visit);
            }
            _ => {}
        }
    }
    visit(&mut definition);
    definition
}
