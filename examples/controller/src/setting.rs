//! What a release acts on: its router, its Deployments, its metrics.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde_json::{Value, json};
use tidegate::{
    canary::{
        Deployer, Gatekeepers, TrafficRouter, WallClock, World,
        kubernetes::{CanaryIngress, Deployments, Destination, HttpRoute, TraefikService, VirtualService},
    },
    metrics::{Metric, MetricsSource, Prometheus, prometheus::Query},
    registry::ObjectBacked,
};

use crate::resource::{ReleaseSpec, Route, RouteKind, Template};

/// What a release acts on.
#[derive(Clone)]
pub(crate) struct Setting {
    router: Arc<dyn TrafficRouter>,
    deployer: Arc<dyn Deployer>,
    metrics: Arc<dyn MetricsSource>,
    /// The same for the same, so that one can see whether it has changed.
    pub(crate) mark: u64,
}

impl Setting {
    /// What `spec`, in `namespace`, says to act on.
    pub(crate) async fn of(
        spec: &ReleaseSpec,
        namespace: &str,
        client: &Client,
        http: &reqwest::Client,
    ) -> Result<Self> {
        let template = template(&spec.deployment, namespace, client).await?;
        let mut deployer = Deployments::new(client.clone(), namespace, &template)
            .context("spec.deployment holds no usable template")?;
        for (container, pattern) in &spec.deployment.images {
            deployer = deployer
                .with_image(container, pattern)
                .with_context(|| format!("spec.deployment.images.{container} cannot be used"))?;
        }
        let name = template["metadata"]["name"].as_str().unwrap_or_default();
        let mut mark = DefaultHasher::new();
        json!([spec.route, spec.metrics, spec.deployment.images, template]).to_string().hash(&mut mark);
        Ok(Self {
            router: router(&spec.route, name, client)?,
            deployer: Arc::new(deployer),
            metrics: Arc::new(prometheus(spec, http)?),
            mark: mark.finish(),
        })
    }

    /// The world of its rollout.
    pub(crate) fn world(&self, registry: &ObjectBacked, clock: WallClock) -> World {
        World {
            store: Arc::new(registry.clone()),
            log: Arc::new(registry.clone()),
            metrics: Arc::clone(&self.metrics),
            router: Arc::clone(&self.router),
            deployer: Arc::clone(&self.deployer),
            gates: Gatekeepers::new(),
            clock,
        }
    }
}

async fn template(said: &Template, namespace: &str, client: &Client) -> Result<Value> {
    let (Some(at), None) = (&said.config_map, &said.template) else {
        return said.template.clone().filter(|_| said.config_map.is_none()).context(
            "spec.deployment needs either a `template` or a `configMap` that holds one; set one of them",
        );
    };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = maps.get_opt(&at.name).await;
    let map = map.with_context(|| format!("cannot read ConfigMap {namespace}/{}", at.name))?;
    let text = map.and_then(|map| map.data?.remove(&at.key)).with_context(|| {
        format!("spec.deployment: there is no ConfigMap {namespace}/{} with a key {}", at.name, at.key)
    })?;
    serde_saphyr::from_str(&text)
        .with_context(|| format!("spec.deployment: {} of ConfigMap {} is no YAML", at.key, at.name))
}

fn router(route: &Route, template: &str, client: &Client) -> Result<Arc<dyn TrafficRouter>> {
    let backend =
        |said: &Option<String>, slot: &str| said.clone().unwrap_or_else(|| format!("{template}-{slot}"));
    let (stable, candidate) = (backend(&route.stable, "stable"), backend(&route.candidate, "candidate"));
    let client = client.clone();
    if matches!(route.kind, RouteKind::Ingress | RouteKind::TraefikService) && route.rule.is_some() {
        bail!("spec.route.rule is for an HTTPRoute or a VirtualService; remove it");
    }
    Ok(match route.kind {
        RouteKind::HttpRoute => {
            let mut router = HttpRoute::new(client, stable, candidate).with_mirror();
            if let Some(rule) = &route.rule {
                router = router.with_rule(rule).with_header_exceptions().with_cookie_exceptions();
            }
            match &route.baseline {
                Some(baseline) => Arc::new(router.with_baseline(baseline)),
                None => Arc::new(router),
            }
        }
        RouteKind::Ingress if route.baseline.is_some() => {
            bail!("spec.route.baseline: an Ingress splits between two sides; remove it")
        }
        RouteKind::Ingress => Arc::new(CanaryIngress::new(client, stable, candidate)),
        RouteKind::TraefikService => {
            let router = TraefikService::new(client, stable, candidate);
            match &route.baseline {
                Some(baseline) => Arc::new(router.with_baseline(baseline)),
                None => Arc::new(router),
            }
        }
        RouteKind::VirtualService => {
            let [stable, candidate] = [stable, candidate].map(Destination::host);
            let mut router = VirtualService::new(client, stable, candidate).with_mirror();
            if let Some(rule) = &route.rule {
                router = router.with_rule(rule);
            }
            match &route.baseline {
                Some(baseline) => Arc::new(router.with_baseline(Destination::host(baseline))),
                None => Arc::new(router),
            }
        }
    })
}

fn prometheus(spec: &ReleaseSpec, http: &reqwest::Client) -> Result<Prometheus> {
    let server = &spec.metrics.prometheus;
    let queries: Result<BTreeMap<Metric, Query>> = server.queries.iter().map(query).collect();
    let source =
        Prometheus::new(http.clone(), &server.url).context("spec.metrics.prometheus.url is unusable")?;
    Ok(source.with_queries(queries?))
}

fn query((metric, query): (&String, &Value)) -> Result<(Metric, Query)> {
    let query = serde_json::from_value(query.clone());
    let query = query.with_context(|| format!("spec.metrics.prometheus.queries.{metric} is no query"))?;
    Ok((Metric::from(metric.as_str()), query))
}
