//! HTTPRoutes, with a stand-in for a gateway.

use serde_json::json;
use tidegate_canary::kubernetes::HttpRoute;

use crate::bench::Bench;

pub(crate) const BENCH: Bench<HttpRoute> = Bench {
    router: |client| {
        let router = HttpRoute::new(client, "fraud-stable", "fraud-candidate").with_rule("predict");
        router.with_baseline("fraud-baseline").with_header_exceptions().with_cookie_exceptions().with_mirror()
    },
    objects: |name| {
        let to =
            |slot: &str, weight: u32| json!({"name": format!("fraud-{slot}"), "port": 80, "weight": weight});
        let object = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": "serving"},
            "spec": {
                "parentRefs": [{"name": "public", "namespace": "gateways"}],
                "rules": [
                    {
                        "name": "health",
                        "matches": [{"path": {"type": "Exact", "value": "/health"}}],
                        "backendRefs": [{"name": "fraud-stable", "port": 80}],
                    },
                    {
                        "name": "predict",
                        "matches": [{"path": {"value": "/v1"}}, {"path": {"value": "/v2"}, "method": "POST"}],
                        "timeouts": {"request": "30s"},
                        "backendRefs": [to("stable", 1), to("baseline", 0), to("candidate", 0)],
                    },
                ],
            },
        });
        vec![(at(name), object)]
    },
    weighed: at,
    meddle: |object| {
        assert_eq!(object["spec"]["rules"][1]["backendRefs"][0]["port"], 80);
        object["spec"]["rules"][1]["backendRefs"][2]["weight"] = 9_000.into();
    },
    resource: "httproutes.gateway.networking.k8s.io",
};

fn at(name: &str) -> String {
    format!("apis/gateway.networking.k8s.io/v1/namespaces/serving/httproutes/{name}")
}
