//! The table of routes that says what traffic is wanted, and the traffic that a table says.
//!
//! Pure: traffic goes in and a table comes out, or the other way round.

use tidegate_registry::{Digest, Seq};

use super::proto::{
    ClusterWeight, DiscoveryResponse, Fraction, HashPolicy, Matcher, Metadata, Note, Notes,
    RequestMirrorPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, RuntimeFraction, StringMatcher,
    VirtualHost, WeightedCluster,
};
use crate::{Exception, Fence, Key, RouteId, Slot, Traffic, Weight};

/// Names of the clusters between which a route splits.
#[derive(Clone, Debug)]
pub(super) struct Clusters {
    pub(super) stable: String,
    pub(super) baseline: Option<String>,
    pub(super) candidate: String,
}

/// A table that says no traffic, or traffic that no table says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("its rules are not as this router writes them; apply the traffic again")]
    Changed,
    #[error("it names the cluster `{0}`, which is no side of this route; correct the names of the sides")]
    Cluster(String),
    #[error("its fence is `{0}`, which is no positive number; remove the file and `install` the route again")]
    Fence(String),
    #[error("{key:?} cannot be matched: {why}")]
    Key { key: Key, why: &'static str },
    #[error(
        "exceptions[{0}] goes to the baseline, for which there is no cluster; name one by `with_baseline`"
    )]
    NoBaseline(usize),
    #[error("it does not read as a table that this router wrote; remove it, or use another directory")]
    Unreadable(#[source] serde_json::Error),
    #[error("the value of exceptions[{0}] is empty or has control characters, so no request carries it")]
    Value(usize),
}

impl Clusters {
    fn of(&self, slot: Slot) -> Option<&str> {
        match slot {
            Slot::Stable => Some(&self.stable),
            Slot::Baseline => self.baseline.as_deref(),
            Slot::Candidate => Some(&self.candidate),
        }
    }

    fn slot(&self, name: &str) -> Result<Slot, Unfit> {
        let slots = [Slot::Stable, Slot::Candidate, Slot::Baseline];
        let found = slots.into_iter().find(|&slot| self.of(slot) == Some(name));
        found.ok_or_else(|| Unfit::Cluster(name.chars().take(100).collect()))
    }
}

impl DiscoveryResponse {
    /// The file that says `table`. Its version follows from that, so it is known without being remembered.
    pub(super) fn with(table: RouteConfiguration) -> Self {
        let mut version = Digest::of(serde_json::to_vec(&table).expect("a table is JSON")).hex();
        version.truncate(16);
        Self { version_info: version, resources: [table] }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unfit> {
        serde_json::from_slice(bytes).map_err(Unfit::Unreadable)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a table is JSON");
        bytes.push(b'\n');
        bytes
    }
}

impl RouteConfiguration {
    /// The table that says `traffic`, of checked capabilities.
    pub(super) fn of(
        route: &RouteId,
        traffic: &Traffic,
        fence: Option<Fence>,
        clusters: &Clusters,
        timeout: Option<&str>,
    ) -> Result<Self, Unfit> {
        let timeout = timeout.map(str::to_owned);
        let exceptions = traffic.exceptions().iter().enumerate();
        let mut routes = exceptions
            .map(|(index, exception)| exceptional(index, exception, clusters, timeout.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        let metadata =
            Metadata { filter_metadata: Notes { ours: Note { fence: fence.map(|f| f.to_string()) } } };
        routes.push(Route {
            r#match: RouteMatch { prefix: "/".to_owned(), headers: Vec::new(), cookies: Vec::new() },
            route: RouteAction { timeout, ..splitting(traffic, clusters)? },
            metadata: Some(metadata),
        });
        let name = route.to_string();
        let host = VirtualHost { name: name.clone(), domains: vec!["*".to_owned()], routes };
        let r#type = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration".to_owned();
        Ok(Self { r#type, name, virtual_hosts: [host] })
    }

    /// The fence of the last change, if there was one.
    pub(super) fn fence(&self) -> Result<Option<Fence>, Unfit> {
        let [VirtualHost { routes, .. }] = &self.virtual_hosts;
        let metadata = routes.last().and_then(|split| split.metadata.as_ref()).ok_or(Unfit::Changed)?;
        let Some(text) = &metadata.filter_metadata.ours.fence else { return Ok(None) };
        let fence = text.parse().ok().and_then(Seq::new).map(Fence::new);
        fence.map(Some).ok_or_else(|| Unfit::Fence(text.chars().take(40).collect()))
    }

    /// The traffic that it says, if it is as this router writes it for the same clusters.
    pub(super) fn traffic(&self, route: &RouteId, clusters: &Clusters) -> Result<Traffic, Unfit> {
        let [VirtualHost { routes, .. }] = &self.virtual_hosts;
        let (split, exceptions) = routes.split_last().ok_or(Unfit::Changed)?;
        let traffic = said(&split.route, clusters)?;
        let exceptions =
            exceptions.iter().map(|rule| exception(rule, clusters)).collect::<Result<Vec<_>, _>>()?;
        let traffic = traffic.with_exceptions(exceptions);
        // Whatever was not read above, it must be there and nothing else.
        let timeout = split.route.timeout.as_deref();
        match Self::of(route, &traffic, self.fence()?, clusters, timeout) {
            Ok(expected) if expected == *self => Ok(traffic),
            _ => Err(Unfit::Changed),
        }
    }
}

/// The rule for the requests of an exception. They are no sample of the traffic, so none of them is copied.
fn exceptional(
    index: usize,
    Exception { key, value, to }: &Exception,
    clusters: &Clusters,
    timeout: Option<String>,
) -> Result<Route, Unfit> {
    let cluster = clusters.of(*to).ok_or(Unfit::NoBaseline(index))?.to_owned();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(Unfit::Value(index));
    }
    check(key)?;
    let matching = |name: &String| {
        vec![Matcher { name: name.clone(), string_match: StringMatcher { exact: value.clone() } }]
    };
    let (headers, cookies) = match key {
        Key::Header(name) => (matching(name), Vec::new()),
        Key::Cookie(name) => (Vec::new(), matching(name)),
    };
    Ok(Route {
        r#match: RouteMatch { prefix: "/".to_owned(), headers, cookies },
        route: RouteAction { cluster: Some(cluster), timeout, ..RouteAction::default() },
        metadata: None,
    })
}

/// The candidate has the hashes from 0 up, the baseline those from the top down: a user whose hash is with
/// the candidate stays there as its weight grows.
fn splitting(traffic: &Traffic, clusters: &Clusters) -> Result<RouteAction, Unfit> {
    let side = |slot| {
        let weight = traffic.weight(slot);
        let name = clusters.of(slot).filter(|_| weight > Weight::NONE)?.to_owned();
        Some(ClusterWeight { name, weight: weight.as_basis_points() })
    };
    if let Some(key) = traffic.sticky() {
        check(key)?;
    }
    let hash_policy = traffic.sticky().map(|key| match key.clone() {
        Key::Header(header_name) => HashPolicy::Header { header_name },
        Key::Cookie(name) => HashPolicy::Cookie { name },
    });
    let mirror = (traffic.mirror() > Weight::NONE).then(|| RequestMirrorPolicy {
        cluster: clusters.candidate.clone(),
        runtime_fraction: RuntimeFraction {
            default_value: Fraction {
                numerator: traffic.mirror().as_basis_points(),
                denominator: "TEN_THOUSAND".to_owned(),
            },
        },
    });
    Ok(RouteAction {
        weighted_clusters: Some(WeightedCluster {
            clusters: [Slot::Candidate, Slot::Stable, Slot::Baseline].into_iter().filter_map(side).collect(),
            use_hash_policy: hash_policy.is_some().then_some(true),
        }),
        hash_policy: hash_policy.into_iter().collect(),
        request_mirror_policies: mirror.into_iter().collect(),
        ..RouteAction::default()
    })
}

/// Envoy matches some headers under other names, and some not at all.
fn check(key: &Key) -> Result<(), Unfit> {
    let why = match key {
        _ if !key.is_token() => "its name is no token of RFC 9110",
        Key::Header(name) if name.eq_ignore_ascii_case("host") => "Envoy keeps no header of this name",
        _ => return Ok(()),
    };
    Err(Unfit::Key { key: key.clone(), why })
}

/// Shares, copies and sticky users of the rule that splits.
fn said(action: &RouteAction, clusters: &Clusters) -> Result<Traffic, Unfit> {
    let (mut candidate, mut baseline) = (Weight::NONE, Weight::NONE);
    for cluster in action.weighted_clusters.iter().flat_map(|weighted| &weighted.clusters) {
        let points = Weight::basis_points(cluster.weight).ok_or(Unfit::Changed)?;
        match clusters.slot(&cluster.name)? {
            Slot::Candidate => candidate = points,
            Slot::Baseline => baseline = points,
            Slot::Stable => {}
        }
    }
    let mirror = action.request_mirror_policies.first();
    let mirror = mirror.map_or(Some(Weight::NONE), |policy| {
        Weight::basis_points(policy.runtime_fraction.default_value.numerator)
    });
    let sticky = action.hash_policy.first().cloned().map(|policy| match policy {
        HashPolicy::Cookie { name } => Key::Cookie(name),
        HashPolicy::Header { header_name } => Key::Header(header_name),
    });
    let traffic = Traffic::split(candidate).with_baseline(baseline).ok_or(Unfit::Changed)?;
    Ok(traffic.with_mirror(mirror.ok_or(Unfit::Changed)?).with_sticky(sticky))
}

fn exception(rule: &Route, clusters: &Clusters) -> Result<Exception, Unfit> {
    let RouteMatch { headers, cookies, .. } = &rule.r#match;
    let (key, matcher) = match (headers.as_slice(), cookies.as_slice()) {
        ([header], []) => (Key::Header(header.name.clone()), header),
        ([], [cookie]) => (Key::Cookie(cookie.name.clone()), cookie),
        _ => return Err(Unfit::Changed),
    };
    let to = clusters.slot(rule.route.cluster.as_deref().ok_or(Unfit::Changed)?)?;
    Ok(Exception { key, value: matcher.string_match.exact.clone(), to })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clusters() -> Clusters {
        let [stable, candidate] = ["s", "c"].map(str::to_owned);
        Clusters { stable, baseline: Some("b".to_owned()), candidate }
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof!["[a-z-]{1,9}".prop_map(Key::Header), "[A-Za-z_.]{1,9}".prop_map(Key::Cookie)]
            .prop_filter("Envoy has no such header", |key| check(key).is_ok())
    }

    fn slot() -> impl Strategy<Value = Slot> {
        prop_oneof![Just(Slot::Stable), Just(Slot::Baseline), Just(Slot::Candidate)]
    }

    prop_compose! {
        fn traffic()(
            candidate in 0u16..=10_000,
            baseline in 0u16..=10_000,
            mirror in 0u16..=10_000,
            sticky in proptest::option::of(key()),
            exceptions in proptest::collection::vec((key(), "[^\\p{Cc}]{1,9}", slot()), 0..4),
        ) -> Traffic {
            let [candidate, baseline, mirror] =
                [candidate, baseline.min(10_000 - candidate), mirror].map(|bp| Weight::basis_points(bp).unwrap());
            let exceptions = exceptions.into_iter().map(|(key, value, to)| Exception { key, value, to });
            let traffic = Traffic::split(candidate).with_baseline(baseline).unwrap();
            traffic.with_mirror(mirror).with_exceptions(exceptions).with_sticky(sticky)
        }
    }

    proptest! {
        #[test]
        fn a_table_says_what_it_was_made_of(traffic in traffic(), fence in proptest::option::of(1u64..)) {
            let route = "serving/fraud".parse().unwrap();
            let fence = fence.and_then(Seq::new).map(Fence::new);
            let table = RouteConfiguration::of(&route, &traffic, fence, &clusters(), Some("0s")).unwrap();
            let file = DiscoveryResponse::with(table);
            let read = DiscoveryResponse::read(&file.bytes()).unwrap();
            prop_assert_eq!(&read.version_info, &file.version_info);
            let [table] = read.resources;
            prop_assert_eq!(table.fence().unwrap(), fence);
            prop_assert_eq!(table.traffic(&route, &clusters()).unwrap(), traffic);
            let weights = table.virtual_hosts[0].routes.last().unwrap().route.weighted_clusters.as_ref().unwrap();
            prop_assert_eq!(weights.clusters.iter().map(|c| u32::from(c.weight)).sum::<u32>(), 10_000);
        }
    }

    #[test]
    fn what_cannot_be_matched_is_refused() {
        let route = "serving/fraud".parse().unwrap();
        let header = |name: &str| Key::Header(name.to_owned());
        for (key, value, to) in [
            (header("host"), "a", Slot::Candidate),
            (header(":path"), "a", Slot::Candidate),
            (header("x y"), "a", Slot::Candidate),
            (header("x"), "", Slot::Candidate),
            (header("x"), "a\nb", Slot::Candidate),
            (header("x"), "a", Slot::Baseline),
        ] {
            let exception = Exception { key, value: value.to_owned(), to };
            let traffic = Traffic::stable().with_exceptions([exception.clone()]);
            let clusters = Clusters { baseline: None, ..clusters() };
            let table = RouteConfiguration::of(&route, &traffic, None, &clusters, None);
            assert!(table.is_err(), "{exception:?}");
        }
    }
}
