//! TraefikServices; nobody acts on them.

use serde_json::json;
use tidegate_canary::kubernetes::TraefikService;

use crate::bench::Bench;

pub(crate) const BENCH: Bench<TraefikService> = Bench {
    router: |client| TraefikService::new(client, "fraud-stable", "fraud-candidate"),
    objects: |name| {
        let object = json!({
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "TraefikService",
            "metadata": {"name": name, "namespace": "serving"},
            "spec": {"weighted": {"services": [
                {"name": "fraud-stable", "port": 80, "scheme": "h2c"},
                {"name": "fraud-candidate", "port": 80, "weight": 0},
            ]}},
        });
        vec![(at(name), object)]
    },
    weighed: at,
    meddle: |object| {
        assert_eq!(object["spec"]["weighted"]["services"][0]["scheme"], "h2c");
        object["spec"]["weighted"]["services"][1]["weight"] = 9_000.into();
    },
    resource: "traefikservices.traefik.io",
};

fn at(name: &str) -> String {
    format!("apis/traefik.io/v1alpha1/namespaces/serving/traefikservices/{name}")
}
