//! Against HAProxy itself, 2.4 or later:
//!
//! ```text
//! HAPROXY_BIN=/usr/sbin/haproxy cargo test -p tidegate-canary --test haproxy -- --ignored
//! ```

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures::future::{join, join_all};
use tidegate_canary::{
    Exception, HaProxyWeights, Key, Observed, RouteId, Slot, Traffic, TrafficRouter, Weight,
    testkit::{
        fence,
        router::{self, Routes},
    },
};

use crate::{header, refused, route, server::Server, split, unavailable};

/// Workers that send requests one after the other.
const WORKERS: usize = 8;
/// Requests that are counted for each weight.
const COUNTED: usize = 600;

/// Runs every check of the suite, each on two routes of its own.
macro_rules! keeps_the_contract {
    ($make:expr) => {
        router::a_new_route_is_all_stable($make).await;
        router::a_refused_call_changes_nothing($make).await;
        router::a_superseded_driver_cannot_even_repeat($make).await;
        router::a_superseded_driver_changes_nothing($make).await;
        router::applying_again_changes_nothing($make).await;
        router::driver_of_the_same_fence_may_act_again($make).await;
        router::every_promised_traffic_is_put_in_force($make).await;
        router::of_racing_drivers_the_latest_wins($make).await;
        router::routes_are_apart($make).await;
        router::the_last_traffic_replaces_the_one_before($make).await;
        router::traffic_is_seen_whole($make).await;
        router::what_is_not_promised_is_refused($make).await;
    };
}

fn spare_routes(n: usize) -> Vec<RouteId> {
    (0..n).map(|n| format!("spare/route-{n}").parse().unwrap()).collect()
}

fn weight(bp: u16) -> Weight {
    Weight::basis_points(bp).unwrap()
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn a_real_haproxy_keeps_the_contract_by_map() {
    let routes = spare_routes(48);
    let server = Server::start(&route(), &routes).await;
    let next = AtomicUsize::new(0);
    let make = async || {
        let n = next.fetch_add(2, Ordering::Relaxed);
        // In turns over the Unix socket and TCP, and with files and without.
        let address = if n.is_multiple_of(4) { server.socket() } else { server.host() };
        let router = server.router(&address);
        let router = if n % 8 < 4 { router.with_files(server.maps()) } else { router };
        Routes { router, route: routes[n].clone(), another: routes[n + 1].clone() }
    };
    keeps_the_contract!(make);
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn a_real_haproxy_keeps_the_contract_by_weights() {
    let server = Server::start(&route(), &spare_routes(48)).await;
    let next = AtomicUsize::new(0);
    let make = async || {
        let n = next.fetch_add(2, Ordering::Relaxed);
        let [route, another] = [n, n + 1].map(|n| format!("b-{n}").parse().unwrap());
        Routes { router: weights(&server.socket()), route, another }
    };
    keeps_the_contract!(make);
}

fn weights(socket: &str) -> HaProxyWeights {
    HaProxyWeights::new(socket, "stable", "candidate").unwrap().with_baseline("baseline").unwrap()
}

/// Twenty changes while requests never stop: none fails, and after each the sides have their shares, to five
/// standard errors.
async fn twenty_changes_under_load(
    router: &impl TrafficRouter,
    route: &RouteId,
    url: &str,
    shares: &[(u16, u16)],
) {
    let client = reqwest::Client::new();
    let phase = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let counts = Mutex::new(BTreeMap::<(usize, String), usize>::new());
    let sent = AtomicUsize::new(0);
    let work = async {
        join_all((0..WORKERS).map(|_| async {
            while !over.load(Ordering::Relaxed) {
                let before = phase.load(Ordering::Relaxed);
                let side = ask(client.get(url)).await;
                sent.fetch_add(1, Ordering::Relaxed);
                // Odd while a change is under way.
                if before.is_multiple_of(2) && before == phase.load(Ordering::Relaxed) {
                    *counts.lock().unwrap().entry((before, side)).or_default() += 1;
                }
            }
        }))
        .await;
    };
    let count =
        |phase, side: &str| counts.lock().unwrap().get(&(phase, side.to_owned())).copied().unwrap_or(0);
    let drive = async {
        for (n, (candidate, baseline)) in (1..).zip(shares.iter().copied().cycle().take(20)) {
            let traffic = Traffic::split(weight(candidate)).with_baseline(weight(baseline)).unwrap();
            phase.store(2 * n - 1, Ordering::Relaxed);
            router.apply(route, &traffic, fence(n as u64)).await.unwrap();
            phase.store(2 * n, Ordering::Relaxed);
            let sides = ["stable", "baseline", "candidate"];
            while sides.iter().map(|side| count(2 * n, side)).sum::<usize>() < COUNTED {
                tokio::task::yield_now().await;
            }
            assert_eq!(
                router.observe(route).await.unwrap(),
                Observed::new(traffic.clone(), Some(fence(n as u64)))
            );
        }
        over.store(true, Ordering::Relaxed);
    };
    join(work, drive).await;
    for (n, (candidate, baseline)) in (1..).zip(shares.iter().copied().cycle().take(20)) {
        let stable = 10_000 - candidate - baseline;
        let sides = [("stable", stable), ("baseline", baseline), ("candidate", candidate)];
        let all: usize = sides.iter().map(|(side, _)| count(2 * n, side)).sum();
        for (side, bp) in sides {
            let seen = count(2 * n, side);
            assert!(within_five_errors(seen, all, bp), "{side} has {seen} of {all} at {bp} basis points");
        }
    }
    assert!(sent.load(Ordering::Relaxed) >= 20 * COUNTED);
}

/// Whether `seen` of `all` is what a share of `bp` basis points gives, to five standard errors of a binomial.
fn within_five_errors(seen: usize, all: usize, bp: u16) -> bool {
    let (p, all) = (f64::from(bp) / 10_000.0, all as f64);
    (seen as f64 - all * p).abs() <= 5.0 * (all * p * (1.0 - p)).sqrt()
}

/// The side that answered. Anything but an answer of a side ends the test.
async fn ask(request: reqwest::RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn no_request_is_lost_and_shares_are_exact_by_map() {
    let server = Server::start(&route(), &[]).await;
    let shares = [(100, 0), (1_250, 1_250), (5_000, 5_000), (3_333, 0), (10_000, 0), (0, 0), (50, 9_950)];
    let router = server.router(&server.socket());
    twenty_changes_under_load(&router, &route(), &server.by_map(), &shares).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn no_request_is_lost_and_shares_are_exact_by_weights() {
    let server = Server::start(&route(), &[]).await;
    let shares = [(100, 0), (1_200, 1_200), (5_000, 5_000), (3_300, 0), (10_000, 0), (0, 0), (100, 9_900)];
    let backend: RouteId = "weights".parse().unwrap();
    twenty_changes_under_load(&weights(&server.socket()), &backend, &server.by_weights(), &shares).await;
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn exceptions_send_exactly_those_requests_and_the_first_wins() {
    let server = Server::start(&route(), &[]).await;
    let router = server.router(&server.socket());
    let client = reqwest::Client::new();
    let odd = "Ada L; %2f#,=@\"~\\é";
    let to = |key: Key, value: &str, to| Exception { key, value: value.to_owned(), to };
    let cookie = || Key::Cookie("user".to_owned());
    let traffic = split(0).with_exceptions([
        to(header("x-user"), "tester", Slot::Candidate),
        to(cookie(), "tester", Slot::Baseline),
        to(header("x-user"), "other", Slot::Baseline),
        to(header("x-user"), "tester", Slot::Stable),
        to(header("x-user"), odd, Slot::Candidate),
        to(header("x-user"), "", Slot::Baseline),
        to(cookie(), "bob", Slot::Candidate),
    ]);
    router.apply(&route(), &traffic, fence(1)).await.unwrap();
    let cases: [(Option<&str>, Option<&str>, &str); 16] = [
        (None, None, "stable"),
        (Some("tester"), None, "candidate"),
        (Some("tester"), Some("user=tester"), "candidate"),
        (Some("other"), Some("user=tester"), "baseline"),
        (Some("other"), Some("user=bob"), "baseline"),
        (None, Some("user=tester"), "baseline"),
        (None, Some("a=b; user=bob; c=d"), "candidate"),
        (None, Some("xuser=bob"), "stable"),
        (None, Some("user=bobby"), "stable"),
        (None, Some("USER=bob"), "stable"),
        (Some(odd), None, "candidate"),
        (Some("testers"), None, "stable"),
        (Some("Tester"), None, "stable"),
        (Some("tester,other"), None, "stable"),
        (Some("bob"), None, "stable"),
        (Some(""), None, "baseline"),
    ];
    for _ in 0..20 {
        for (user, cookie, side) in cases {
            let mut request = client.get(server.by_map());
            if let Some(user) = user {
                request = request.header("X-User", user.as_bytes());
            }
            if let Some(cookie) = cookie {
                request = request.header("Cookie", cookie);
            }
            assert_eq!(ask(request).await, side, "{user:?} {cookie:?}");
        }
    }
    // All weight on the candidate changes nothing for them.
    router
        .apply(&route(), &split(100).with_exceptions(traffic.exceptions().to_vec()), fence(1))
        .await
        .unwrap();
    assert_eq!(ask(client.get(server.by_map()).header("X-User", "other")).await, "baseline");
    assert_eq!(ask(client.get(server.by_map())).await, "candidate");
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn users_stay_on_their_side_while_it_grows() {
    let server = Server::start(&route(), &[]).await;
    let router = server.router(&server.socket());
    let client = reqwest::Client::new();
    let side = async |key: &Key, user: usize| {
        let request = match key {
            Key::Header(name) => client.get(server.by_map()).header(name, format!("user-{user}")),
            Key::Cookie(name) => client.get(server.by_map()).header("Cookie", format!("{name}=user-{user}")),
            _ => unreachable!("there are two kinds of keys"),
        };
        ask(request).await
    };
    const USERS: usize = 1_000;
    for key in [header("x-user"), Key::Cookie("user".to_owned())] {
        let mut on = vec![false; USERS];
        for bp in [500, 2_500, 4_000] {
            let traffic = Traffic::split(weight(bp)).with_baseline(weight(bp)).unwrap();
            router.apply(&route(), &traffic.with_sticky(Some(key.clone())), fence(1)).await.unwrap();
            let mut counts = BTreeMap::<String, usize>::new();
            for (user, on) in on.iter_mut().enumerate() {
                let found = side(&key, user).await;
                assert!(!*on || found == "candidate", "user {user} left the candidate at {bp}");
                *on = found == "candidate";
                *counts.entry(found).or_default() += 1;
            }
            for slot in ["candidate", "baseline"] {
                assert!(within_five_errors(counts[slot], USERS, bp), "{counts:?} at {bp}");
            }
            // The same user is always on the same side.
            for user in 0..50 {
                assert_eq!(side(&key, user).await, side(&key, user).await);
            }
        }
    }
    // Who does not carry the key goes by chance.
    let mut seen = BTreeMap::<String, usize>::new();
    for _ in 0..500 {
        *seen.entry(ask(client.get(server.by_map())).await).or_default() += 1;
    }
    assert!(within_five_errors(seen["candidate"], 500, 4_000), "{seen:?}");
}

/// Two drivers in a race, as if in two processes, thirty times: whatever happens, what a third one sees never
/// goes back, and the later driver has the last word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn a_superseded_driver_never_undoes_what_a_later_one_did() {
    let server = Server::start(&route(), &[]).await;
    let over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (router, over) = (server.router(&server.host()), Arc::clone(&over));
        async move {
            let mut highest = None;
            while !over.load(Ordering::Relaxed) {
                let seen = router.observe(&route()).await.unwrap();
                assert!(seen.fence >= highest, "{seen:?} after {highest:?}");
                highest = seen.fence;
            }
        }
    });
    for round in 1..=30 {
        let drivers = [3 * round, 3 * round + 1, 3 * round + 2].map(|n| {
            // Not clones: these do not wait for each other.
            let router = server.router(&server.socket());
            tokio::spawn(async move {
                loop {
                    match router.apply(&route(), &split((n % 100) as u16), fence(n)).await {
                        Err(error) if error.is_transient() => {}
                        answer => return answer,
                    }
                }
            })
        });
        let last = 3 * round + 2;
        let answers = join_all(drivers).await;
        answers[2].as_ref().unwrap().as_ref().unwrap();
        let seen = server.router(&server.socket()).observe(&route()).await.unwrap();
        assert_eq!(seen, Observed::new(split((last % 100) as u16), Some(fence(last))));
    }
    over.store(true, Ordering::Relaxed);
    watcher.await.unwrap();
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn a_reload_forgets_without_files_and_remembers_with_them() {
    let mut server = Server::start(&route(), &[]).await;
    let plain = server.router(&server.socket());
    let filed = server.router(&server.socket()).with_files(server.maps());
    let backend: RouteId = "weights".parse().unwrap();
    let by_weights = weights(&server.socket());

    plain.apply(&route(), &split(30), fence(5)).await.unwrap();
    by_weights.apply(&backend, &split(30), fence(5)).await.unwrap();
    server.reload().await;
    assert_eq!(plain.observe(&route()).await.unwrap(), Observed::new(Traffic::stable(), None));
    assert_eq!(by_weights.observe(&backend).await.unwrap(), Observed::new(Traffic::stable(), None));

    let exception = Exception { key: header("x-user"), value: "a b".to_owned(), to: Slot::Candidate };
    let traffic = split(30).with_exceptions([exception]).with_sticky(Some(header("x-user")));
    filed.apply(&route(), &traffic, fence(6)).await.unwrap();
    server.reload().await;
    assert_eq!(filed.observe(&route()).await.unwrap(), Observed::new(traffic.clone(), Some(fence(6))));
    let client = reqwest::Client::new();
    assert_eq!(ask(client.get(server.by_map()).header("X-User", "a b")).await, "candidate");
    // It goes on from there.
    filed.apply(&route(), &split(100), fence(6)).await.unwrap();
    assert_eq!(ask(client.get(server.by_map())).await, "candidate");
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn a_killed_haproxy_is_unavailable_and_the_driver_goes_on_when_it_is_back() {
    let mut server = Server::start(&route(), &[]).await;
    let router = server.router(&server.socket()).with_files(server.maps());
    router.apply(&route(), &split(10), fence(5)).await.unwrap();
    // Killed while changes are under way.
    let changes = tokio::spawn({
        let router = router.clone();
        async move {
            for percent in (1..=99).cycle() {
                if let Err(error) = router.apply(&route(), &split(percent), fence(6)).await {
                    return error;
                }
            }
            unreachable!("the cycle never ends")
        }
    });
    while router.observe(&route()).await.unwrap().fence != Some(fence(6)) {
        tokio::task::yield_now().await;
    }
    server.end();
    let error = changes.await.unwrap();
    assert!(error.is_transient(), "{error:?}");
    unavailable(&router.observe(&route()).await, "check its address");
    server.launch().await;
    // What a change that was under way left behind is a whole one.
    let seen = router.observe(&route()).await.unwrap();
    assert!(seen.fence >= Some(fence(5)), "{seen:?}");
    router.apply(&route(), &split(50), fence(6)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(50), Some(fence(6))));
}

#[tokio::test]
#[ignore = "needs HAProxy (HAPROXY_BIN, or haproxy on the PATH)"]
async fn a_real_haproxy_says_what_is_wrong() {
    let server = Server::start(&route(), &[]).await;
    let backend: RouteId = "weights".parse().unwrap();
    let poor = weights(&server.poor_socket());
    refused(&poor.apply(&backend, &split(10), fence(1)).await, "`level admin`");
    let router = weights(&server.socket());
    refused(&router.observe(&"nobody".parse().unwrap()).await, "no backend `nobody`");
    refused(&router.apply(&"static".parse().unwrap(), &split(10), fence(1)).await, "static LB algorithm");
    let seen = router.observe(&"static".parse().unwrap()).await.unwrap();
    assert_eq!(seen, Observed::new(Traffic::stable(), None));
    let unread = server.router(&server.socket()).observe(&"serving/nobody".parse().unwrap()).await;
    refused(&unread, "serving/nobody.map");
    // Somebody drains the candidate by hand.
    router.apply(&backend, &split(10), fence(1)).await.unwrap();
    server.ask("set server weights/candidate state drain").await.unwrap();
    assert_eq!(router.observe(&backend).await.unwrap(), Observed::new(Traffic::stable(), Some(fence(1))));
    // An HTTP server is no runtime API.
    let web = weights(server.by_map().trim_start_matches("http://").trim_end_matches('/'));
    refused(&web.observe(&backend).await, "correct the address");
}
