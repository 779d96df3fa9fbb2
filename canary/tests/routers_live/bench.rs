//! What every router is asked to do.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Observed, RouteId, Traffic, TrafficRouter,
    kubernetes::FENCE,
    testkit::{
        fence,
        router::{self, Routes},
    },
};

use crate::{
    cluster::{
        Cluster, Way,
        rights::{TIDEGATE, said},
        until,
    },
    split,
};

/// A router, and the objects of its routes.
pub(crate) struct Bench<R> {
    /// Makes a router.
    pub(crate) router: fn(kube::Client) -> R,
    /// Where the objects of the route `serving/NAME` are, and what they say.
    pub(crate) objects: fn(&str) -> Vec<(String, Value)>,
    /// Where the object is in which the weights of `serving/NAME` lie, of which one has the fence.
    pub(crate) weighed: fn(&str) -> String,
    /// Gives the candidate another weight there.
    pub(crate) meddle: fn(&mut Value),
    /// The resource to which the client first needs a right.
    pub(crate) resource: &'static str,
}

/// How many routes have been made.
static ROUTES: AtomicUsize = AtomicUsize::new(0);

impl<R: TrafficRouter> Bench<R> {
    /// All but what needs the cluster alone.
    pub(crate) async fn everything(&self, cluster: &Cluster) {
        self.contract(cluster).await;
        self.what_others_wrote_in_between_is_kept(cluster).await;
        self.what_others_did_to_the_weights_is_seen_and_mended(cluster).await;
        self.what_was_deleted_is_refused_until_it_is_there_again(cluster).await;
        self.who_may_nothing_is_told_what_to_grant(cluster).await;
    }

    /// Makes the route `serving/NAME`.
    pub(crate) async fn route(&self, cluster: &Cluster, name: &str) -> RouteId {
        for (path, object) in (self.objects)(name) {
            let (collection, _) = path.rsplit_once('/').unwrap();
            cluster.create(collection, &object).await;
        }
        format!("serving/{name}").parse().unwrap()
    }

    /// The route `serving/fraud` of a file of the examples works with the rights that are granted there; says how many
    /// these are.
    pub(crate) async fn example(&self, cluster: &Cluster, file: &str) -> usize {
        cluster.apply_examples(&[file]);
        for (path, object) in (self.objects)("fraud") {
            // What runs behind the example is none of its business.
            if path.contains("/deployments/") {
                cluster.create(path.rsplit_once('/').unwrap().0, &object).await;
            }
        }
        let router = (self.router)(cluster.client_by(TIDEGATE));
        let (route, n) = ("serving/fraud".parse().unwrap(), AtomicUsize::new(1));
        let work = async || {
            let fence = fence(n.fetch_add(1, Ordering::Relaxed).try_into().unwrap());
            // The second Ingress is made anew.
            let ingresses = ["delete", "ingress", "fraud-tidegate", "-n", "serving", "--ignore-not-found"];
            cluster.kubectl(&ingresses);
            for traffic in [split(10), split(20), Traffic::stable()] {
                settled(&router, &route, &traffic, fence).await?;
            }
            Ok(())
        };
        cluster.each_right_is_needed("tidegate-route", work).await
    }

    async fn contract(&self, cluster: &Cluster) {
        let make = async || {
            let [route, another] = [self.fresh(cluster).await.1, self.fresh(cluster).await.1];
            Routes { router: (self.router)(cluster.client()), route, another }
        };
        router::a_new_route_is_all_stable(make).await;
        router::a_refused_call_changes_nothing(make).await;
        router::a_superseded_driver_cannot_even_repeat(make).await;
        router::a_superseded_driver_changes_nothing(make).await;
        router::applying_again_changes_nothing(make).await;
        router::driver_of_the_same_fence_may_act_again(make).await;
        router::every_promised_traffic_is_put_in_force(make).await;
        router::of_racing_drivers_the_latest_wins(make).await;
        router::routes_are_apart(make).await;
        router::the_last_traffic_replaces_the_one_before(make).await;
        router::traffic_is_seen_whole(make).await;
        router::what_is_not_promised_is_refused(make).await;
    }

    /// Sixteen writers change the object at once with the router; nobody's change is lost.
    async fn what_others_wrote_in_between_is_kept(&self, cluster: &Cluster) {
        let (name, route) = self.fresh(cluster).await;
        let router = (self.router)(cluster.client());
        settled(&router, &route, &split(20), fence(2)).await.unwrap();
        let path = (self.weighed)(&name);
        let others = join_all((0..16).map(|n| {
            let patch = json!({"metadata": {"annotations": {format!("x{n}"): "x"}}});
            let path = &path;
            async move { cluster.merge(path, &patch).await }
        }));
        join(others, async { settled(&router, &route, &split(10), fence(3)).await.unwrap() }).await;
        let object = cluster.get(&path).await;
        let annotations = object["metadata"]["annotations"].as_object().unwrap();
        assert_eq!(annotations.keys().filter(|key| key.starts_with('x')).count(), 16, "{annotations:?}");
        assert_eq!(annotations[FENCE], "3");
        let managers = object["metadata"]["managedFields"].as_array().unwrap();
        assert!(managers.iter().any(|entry| entry["manager"] == "tidegate"), "{managers:?}");
    }

    async fn what_others_did_to_the_weights_is_seen_and_mended(&self, cluster: &Cluster) {
        let (name, route) = self.fresh(cluster).await;
        let router = (self.router)(cluster.client());
        settled(&router, &route, &split(10), fence(3)).await.unwrap();
        cluster.edit(&(self.weighed)(&name), self.meddle).await;
        let meddled = loop {
            match router.observe(&route).await {
                Ok(seen) if seen.traffic == split(10) => panic!("{seen:?} is said though it was changed"),
                Ok(seen) => break seen,
                Err(error) => assert!(error.is_transient(), "{}", said(&error)),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(meddled.fence, Some(fence(3)));
        settled(&router, &route, &split(10), fence(3)).await.unwrap();
    }

    async fn what_was_deleted_is_refused_until_it_is_there_again(&self, cluster: &Cluster) {
        let (name, route) = self.fresh(cluster).await;
        let router = (self.router)(cluster.client());
        settled(&router, &route, &split(10), fence(3)).await.unwrap();
        // The one that the route names.
        let (path, object) = (self.objects)(&name).swap_remove(0);
        cluster.delete(&path).await;
        let errors = [
            router.observe(&route).await.unwrap_err(),
            router.apply(&route, &split(20), fence(3)).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, ActuatorError::Refused { .. }), "{}", said(&error));
            assert!(said(&error).contains("create it or correct its name"), "{}", said(&error));
        }
        cluster.create(path.rsplit_once('/').unwrap().0, &object).await;
        settled(&router, &route, &split(20), fence(3)).await.unwrap();
    }

    async fn who_may_nothing_is_told_what_to_grant(&self, cluster: &Cluster) {
        let (_, route) = self.fresh(cluster).await;
        let nobody = Way { user: Some("nobody"), ..Way::default() };
        let router = (self.router)(cluster.client_by(nobody));
        let errors = [
            router.observe(&route).await.unwrap_err(),
            router.apply(&route, &split(20), fence(3)).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, ActuatorError::Refused { .. }), "{}", said(&error));
            let words = format!("may not `get` `{}` in namespace `serving`", self.resource);
            assert!(said(&error).contains(&words), "{}", said(&error));
        }
    }

    async fn fresh(&self, cluster: &Cluster) -> (String, RouteId) {
        let name = format!("fraud-{}", ROUTES.fetch_add(1, Ordering::Relaxed));
        let route = self.route(cluster, &name).await;
        (name, route)
    }
}

/// Applies `traffic` until it is in force, as long as the answer may change with time.
async fn settled<R: TrafficRouter>(
    router: &R,
    route: &RouteId,
    traffic: &Traffic,
    by: tidegate_canary::Fence,
) -> Result<(), ActuatorError> {
    until(&format!("{route} has {traffic}"), async || {
        let seen = async {
            router.apply(route, traffic, by).await?;
            router.observe(route).await
        };
        match seen.await {
            Ok(seen) => {
                assert_eq!(seen, Observed::new(traffic.clone(), Some(by)));
                Ok(Ok(()))
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => Ok(Err(error)),
        }
    })
    .await
}
