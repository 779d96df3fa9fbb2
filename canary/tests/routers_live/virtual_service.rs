//! VirtualServices; nobody acts on them.

use serde_json::json;
use tidegate_canary::kubernetes::{Destination, VirtualService};

use crate::bench::Bench;

pub(crate) const BENCH: Bench<VirtualService> = Bench {
    router: |client| {
        let [stable, candidate] =
            ["stable", "candidate"].map(|slot| Destination::host(format!("fraud-{slot}")));
        VirtualService::new(client, stable, candidate).with_rule("predict").with_mirror()
    },
    objects: |name| {
        let to = |slot: &str, weight: u32| json!({"destination": {"host": format!("fraud-{slot}"), "port": {"number": 80}}, "weight": weight});
        let object = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "serving"},
            "spec": {
                "hosts": ["fraud.example"],
                "http": [
                    {"name": "health", "match": [{"uri": {"exact": "/health"}}], "route": [to("stable", 0)]},
                    {
                        "name": "predict",
                        "match": [{"uri": {"prefix": "/v1"}, "headers": {"x-tenant": {"exact": "a"}}}],
                        "retries": {"attempts": 2},
                        "route": [to("stable", 100), to("candidate", 0)],
                    },
                ],
            },
        });
        vec![(at(name), object)]
    },
    weighed: at,
    meddle: |object| {
        assert_eq!(object["spec"]["http"][1]["retries"]["attempts"], 2);
        let route = &mut object["spec"]["http"][1]["route"];
        (route[0]["weight"], route[1]["weight"]) = (50.into(), 50.into());
    },
    resource: "virtualservices.networking.istio.io",
};

fn at(name: &str) -> String {
    format!("apis/networking.istio.io/v1/namespaces/serving/virtualservices/{name}")
}
