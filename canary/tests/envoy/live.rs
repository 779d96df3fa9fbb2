//! What a real Envoy does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tidegate_canary::{
    ActuatorError, Envoy, Exception, Key, Slot, Traffic, TrafficRouter, Weight,
    testkit::{
        fence,
        router::{self, Routes},
    },
};

use crate::{
    ground::{Load, Sides, ask, assert_share, assert_split, spread},
    route, said,
    server::Server,
    split,
};

fn bp(points: u16) -> Weight {
    Weight::basis_points(points).unwrap()
}

/// Repeats `apply` until it is done, as a driver would.
async fn put(router: &Envoy, traffic: &Traffic) {
    while let Err(error) = router.apply(&route(), traffic, fence(1)).await {
        assert!(error.is_transient(), "{}", said(&error));
    }
    assert_eq!(router.observe(&route()).await.unwrap().traffic, *traffic);
}

#[tokio::test]
#[ignore = "needs Envoy (ENVOY_BIN)"]
async fn a_real_envoy_keeps_the_contract() {
    let sides = Sides::start().await;
    let servers = std::sync::Mutex::new(Vec::new());
    let make = async || {
        servers.lock().unwrap().clear();
        let server = Server::start(&sides, &["serving/fraud", "serving/spam"]).await;
        let router = server.router.clone();
        servers.lock().unwrap().push(server);
        Routes { router, route: route(), another: "serving/spam".parse().unwrap() }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Envoy (ENVOY_BIN)"]
async fn a_real_envoy_loses_no_request_and_splits_as_told() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, &["serving/fraud"]).await;
    let client = reqwest::Client::new();
    let load = Arc::new(Load::default());
    let url = format!("{}/load", server.url);
    let others: Vec<_> =
        (0..4).map(|_| tokio::spawn(Arc::clone(&load).run(client.clone(), url.clone()))).collect();
    for step in 1..=20 {
        let candidate = bp(step * 701 % 8_000);
        let traffic = Traffic::split(candidate).with_baseline(bp(step * 100)).unwrap();
        put(&server.router, &traffic).await;
        assert_split(&spread(&client, &format!("{}/count", server.url), 1_000).await, &traffic);
    }
    load.end();
    futures::future::join_all(others).await;
    let (sent, failed) = (load.sent.load(Ordering::Relaxed), load.failed.load(Ordering::Relaxed));
    assert!(sent > 1_000 && failed == 0, "{failed} of {sent} failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Envoy (ENVOY_BIN)"]
async fn a_real_envoy_copies_what_stable_gets_and_nothing_else() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, &["serving/fraud"]).await;
    let client = reqwest::Client::new();
    let exception =
        |value: &str, to| Exception { key: Key::Header("x-user".to_owned()), value: value.to_owned(), to };
    let exceptions = [exception("ada", Slot::Candidate), exception("bob", Slot::Stable)];
    for (path, mirror) in [("/a", 2_000), ("/b", 10_000), ("/c", 50), ("/d", 1_055)] {
        let traffic = Traffic::stable().with_mirror(bp(mirror)).with_exceptions(exceptions.clone());
        put(&server.router, &traffic).await;
        let url = format!("{}{path}", server.url);
        assert_split(&spread(&client, &url, 2_000).await, &traffic);
        for user in ["ada", "bob"].repeat(50) {
            ask(&client, &url, &[("x-user", user)]).await;
        }
        // Nobody waits for copies, so the last may still be under way.
        let copies = || sides.seen(Slot::Candidate, path, true);
        let mut before = usize::MAX;
        while before != copies() {
            before = copies();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // Of exceptions there are none, which shows where everything is copied.
        assert_share(before, 2_000, f64::from(mirror) / 1e4);
        assert_eq!(sides.seen(Slot::Candidate, path, false), 50);
        for slot in [Slot::Stable, Slot::Baseline] {
            assert_eq!(sides.seen(slot, path, true), 0, "copies at {slot}");
        }
    }
}

#[tokio::test]
#[ignore = "needs Envoy (ENVOY_BIN)"]
async fn a_real_envoy_sends_exceptions_where_they_belong() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, &["serving/fraud"]).await;
    let client = reqwest::Client::new();
    let exception = |key, value: &str, to| Exception { key, value: value.to_owned(), to };
    let (header, cookie) = (Key::Header("X-User".to_owned()), Key::Cookie("user".to_owned()));
    let odd = r#"a"b$c{d};\e'f.*ü"#;
    let traffic = split(100).with_exceptions([
        exception(header.clone(), "ada", Slot::Baseline),
        exception(cookie.clone(), "ada", Slot::Stable),
        exception(header.clone(), "bob", Slot::Stable),
        exception(cookie, "bob", Slot::Baseline),
        exception(header, odd, Slot::Stable),
    ]);
    put(&server.router, &traffic).await;
    for (headers, slot) in [
        (&[("x-user", "ada")][..], Slot::Baseline),
        (&[("x-user", "ada"), ("cookie", "user=ada")], Slot::Baseline),
        (&[("x-user", "bob"), ("cookie", "user=ada")], Slot::Stable),
        (&[("x-user", "bob"), ("cookie", "user=bob")], Slot::Stable),
        (&[("cookie", "a=b; user=bob; c=d")], Slot::Baseline),
        (&[("x-user", odd)], Slot::Stable),
        (&[("x-user", "ADA")], Slot::Candidate),
        (&[("x-user", "adam")], Slot::Candidate),
        (&[("x-user", "")], Slot::Candidate),
        (&[("cookie", "User=bob; xuser=bob; user=bobby")], Slot::Candidate),
        (&[("cookie", "user=eve; user=bob")], Slot::Candidate),
        (&[], Slot::Candidate),
    ] {
        assert_eq!(ask(&client, &server.url, headers).await, slot.to_string(), "{headers:?}");
    }
}

#[tokio::test]
#[ignore = "needs Envoy (ENVOY_BIN)"]
async fn a_real_envoy_keeps_users_on_their_side() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, &["serving/fraud"]).await;
    let client = reqwest::Client::new();
    let keys = [Key::Header("x-user".to_owned()), Key::Cookie("user".to_owned())];
    for key in keys {
        let mut before = BTreeSet::new();
        for candidate in [0, 500, 1_500, 5_000, 10_000] {
            let baseline = bp(candidate.min(1_000).min(10_000 - candidate));
            let traffic = Traffic::split(bp(candidate)).with_baseline(baseline).unwrap();
            let traffic = traffic.with_sticky(Some(key.clone()));
            put(&server.router, &traffic).await;
            let mut sides = BTreeMap::<_, BTreeSet<_>>::new();
            for user in 0..600 {
                let header = match &key {
                    Key::Header(name) => (name.clone(), format!("user-{user}")),
                    Key::Cookie(name) => ("cookie".to_owned(), format!("a=b; {name}=user-{user}")),
                    key => panic!("{key:?}"),
                };
                let header = [(header.0.as_str(), header.1.as_str())];
                let side = ask(&client, &server.url, &header).await;
                if user % 10 == 0 {
                    assert_eq!(ask(&client, &server.url, &header).await, side);
                }
                sides.entry(side).or_default().insert(user);
            }
            let counts = sides.iter().map(|(side, users)| (side.clone(), users.len())).collect();
            assert_split(&counts, &traffic);
            let now = sides.remove("candidate").unwrap_or_default();
            assert!(before.is_subset(&now), "somebody left a growing candidate");
            before = now;
        }
        // Who names no user is split by chance.
        put(&server.router, &split(50).with_sticky(Some(key))).await;
        assert_split(&spread(&client, &server.url, 1_000).await, &split(50));
    }
}

#[tokio::test]
#[ignore = "needs Envoy (ENVOY_BIN)"]
async fn a_table_that_a_real_envoy_rejects_is_put_back() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, &["serving/fraud"]).await;
    put(&server.router, &split(30)).await;
    // Envoy takes no cluster without a name.
    let tables = server.directory.path().join("rds");
    let astray = Envoy::new(reqwest::Client::new(), server.admin.clone(), tables, "stable", "");
    let error = astray.apply(&route(), &split(40), fence(2)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{}", said(&error));
    assert!(said(&error).contains("rejected"), "{}", said(&error));
    assert_eq!(server.router.observe(&route()).await.unwrap().traffic, split(30));
}
