//! Ingresses with a canary; nobody acts on them.

use serde_json::json;
use tidegate_canary::kubernetes::CanaryIngress;

use crate::bench::Bench;

pub(crate) const BENCH: Bench<CanaryIngress> = Bench {
    router: |client| CanaryIngress::new(client, "fraud-stable", "fraud-candidate"),
    objects: |name| {
        let path = |path: &str, service: &str| {
            let backend = json!({"service": {"name": service, "port": {"number": 80}}});
            json!({"path": path, "pathType": "Prefix", "backend": backend})
        };
        let object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "namespace": "serving"},
            "spec": {
                "ingressClassName": "nginx",
                "rules": [{
                    "host": format!("{name}.example"),
                    "http": {"paths": [path("/v1", "fraud-stable"), path("/docs", "docs")]},
                }],
            },
        });
        vec![(at(name), object)]
    },
    weighed: |name| at(&format!("{name}-tidegate")),
    meddle: |object| {
        let paths = &object["spec"]["rules"][0]["http"]["paths"];
        assert_eq!(paths.as_array().unwrap().len(), 1, "{paths}");
        assert_eq!(paths[0]["backend"]["service"]["name"], "fraud-candidate");
        object["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] = "5000".into();
    },
    resource: "ingresses.networking.k8s.io",
};

fn at(name: &str) -> String {
    format!("apis/networking.k8s.io/v1/namespaces/serving/ingresses/{name}")
}
