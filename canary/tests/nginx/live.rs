//! What a real nginx does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering},
};

use tidegate_canary::{
    ActuatorError, Exception, Key, Nginx, Slot, Traffic, TrafficRouter, Weight,
    testkit::{
        fence,
        router::{self, Routes},
    },
};

use crate::{
    ground::{Load, SLOTS, Sides, ask, assert_split, spread},
    route, said,
    server::Server,
    split,
};

const SPAM: &str = "serving/spam";

fn bp(points: u16) -> Weight {
    Weight::basis_points(points).unwrap()
}

/// Repeats `apply` until it is done, as a driver would.
async fn put(router: &Nginx, traffic: &Traffic) {
    while let Err(error) = router.apply(&route(), traffic, fence(1)).await {
        assert!(error.is_transient(), "{}", said(&error));
    }
    assert_eq!(router.observe(&route()).await.unwrap().traffic, *traffic);
}

#[tokio::test]
#[ignore = "needs nginx (NGINX_BIN)"]
async fn a_real_nginx_keeps_the_contract() {
    let sides = Sides::start().await;
    let servers = Mutex::new(Vec::new());
    let make = async || {
        servers.lock().unwrap().clear();
        let server = Server::start(&sides, SPAM).await;
        let router = server.router.clone();
        servers.lock().unwrap().push(server);
        Routes { router, route: route(), another: SPAM.parse().unwrap() }
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
#[ignore = "needs nginx (NGINX_BIN)"]
async fn a_real_nginx_loses_no_request_and_splits_as_told() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, SPAM).await;
    // A connection for each request: one that is kept may be closed by a reload while a request is under way
    // on it, and then it is the client that has to repeat it.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let load = Arc::new(Load::default());
    let url = format!("{}/load", server.url);
    let others: Vec<_> =
        (0..4).map(|_| tokio::spawn(Arc::clone(&load).run(client.clone(), url.clone()))).collect();
    let mut answers = BTreeMap::<_, usize>::new();
    for step in 1..=20 {
        let candidate = bp(step * 701 % 8_000);
        let traffic = Traffic::split(candidate).with_baseline(bp(step * 100)).unwrap();
        put(&server.router, &traffic).await;
        let counts = spread(&client, &format!("{}/count", server.url), 1_000).await;
        assert_split(&counts, &traffic);
        counts.into_iter().for_each(|(side, count)| *answers.entry(side).or_default() += count);
    }
    for slot in SLOTS {
        assert_eq!(answers.get(&slot.to_string()), Some(&sides.seen(slot, "/count", false)), "{slot}");
    }
    load.end();
    futures::future::join_all(others).await;
    let (sent, failed) = (load.sent.load(Ordering::Relaxed), load.failed.load(Ordering::Relaxed));
    assert!(sent > 1_000 && failed == 0, "{failed} of {sent} failed");
}

#[tokio::test]
#[ignore = "needs nginx (NGINX_BIN)"]
async fn a_real_nginx_sends_exceptions_where_they_belong() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, SPAM).await;
    let client = reqwest::Client::new();
    let exception = |key, value: &str, to| Exception { key, value: value.to_owned(), to };
    let (header, cookie) = (Key::Header("X-User".to_owned()), Key::Cookie("us.er-ID".to_owned()));
    let odd = r#"a"b$c{d};\e'f.*ü #x\n${user}"#;
    let traffic = split(100).with_exceptions([
        exception(header.clone(), "ada", Slot::Baseline),
        exception(cookie.clone(), "ada", Slot::Stable),
        exception(header.clone(), "bob", Slot::Stable),
        exception(cookie.clone(), "bob", Slot::Baseline),
        exception(header.clone(), odd, Slot::Stable),
        exception(cookie, r#"$1"{}\"#, Slot::Stable),
        exception(header, &"long $ value ".repeat(18), Slot::Baseline),
    ]);
    put(&server.router, &traffic).await;
    for (headers, slot) in [
        (&[("x-user", "ada")][..], Slot::Baseline),
        (&[("x-user", "ada"), ("cookie", "us.er-ID=ada")], Slot::Baseline),
        (&[("x-user", "bob"), ("cookie", "us.er-ID=ada")], Slot::Stable),
        (&[("x-user", "bob"), ("cookie", "us.er-ID=bob")], Slot::Stable),
        (&[("cookie", "a=b; us.er-ID=bob; c=d")], Slot::Baseline),
        (&[("cookie", "a=b;us.er-ID=bob")], Slot::Baseline),
        (&[("x-user", odd)], Slot::Stable),
        (&[("cookie", r#"us.er-ID=$1"{}\"#)], Slot::Stable),
        (&[("x-user", "ADA")], Slot::Candidate),
        (&[("x-user", "adam")], Slot::Candidate),
        (&[("x-user", "")], Slot::Candidate),
        (&[("cookie", "Us.er-ID=bob; xus.er-ID=bob; us.er-ID=bobby; us_er-ID=bob")], Slot::Candidate),
        (&[("cookie", "us.er-ID=eve; us.er-ID=bob")], Slot::Candidate),
        (&[], Slot::Candidate),
    ] {
        assert_eq!(ask(&client, &server.url, headers).await, slot.to_string(), "{headers:?}");
    }
}

#[tokio::test]
#[ignore = "needs nginx (NGINX_BIN)"]
async fn a_real_nginx_keeps_users_on_their_side() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, SPAM).await;
    let client = reqwest::Client::new();
    let keys = [Key::Header("x-user".to_owned()), Key::Cookie("us.er-ID".to_owned())];
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
#[ignore = "needs nginx (NGINX_BIN)"]
async fn a_real_nginx_never_gets_a_bad_configuration() {
    let sides = Sides::start().await;
    let server = Server::start(&sides, SPAM).await;
    put(&server.router, &split(30)).await;
    let file = server.directory.path().join("tidegate/serving_fraud.conf");
    let before = std::fs::read(&file).unwrap();
    // Somebody else has left a mistake in another file.
    let mistake = server.directory.path().join("tidegate/mistake.conf");
    std::fs::write(&mistake, "no_such_directive;").unwrap();
    let error = server.router.apply(&route(), &split(40), fence(2)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{}", said(&error));
    assert!(said(&error).contains("no_such_directive"), "{}", said(&error));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    std::fs::remove_file(mistake).unwrap();
    assert_eq!(server.router.observe(&route()).await.unwrap().traffic, split(30));
    // As many exceptions as there may be.
    let key = |n| Key::Header(format!("x-{n}"));
    let exceptions =
        |count| (0..count).map(move |n| Exception { key: key(n), value: "é".repeat(100), to: Slot::Stable });
    put(&server.router, &split(100).with_exceptions(exceptions(64))).await;
    let client = reqwest::Client::new();
    assert_eq!(ask(&client, &server.url, &[("x-63", "é".repeat(100).as_str())]).await, "stable");
    assert_eq!(ask(&client, &server.url, &[]).await, "candidate");
    let error =
        server.router.apply(&route(), &split(1).with_exceptions(exceptions(65)), fence(2)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{}", said(&error));
}
