//! The HAProxy routers against a runtime API that keeps versions of maps and fails on demand; and, in [`live`],
//! against HAProxy itself.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod runtime_api;
mod server;

use std::time::Duration;

use tidegate_canary::{
    ActuatorError, Exception, HaProxy, HaProxyWeights, Key, Observed, RouteId, Slot, Traffic, TrafficRouter,
    Weight,
    testkit::{fence, router::Routes, router_conformance},
};

use crate::{
    ports::free_port,
    runtime_api::{Fault, Inner, RuntimeApi},
};

const FRAUD: &str = "/maps/serving/fraud.map";
const SPAM: &str = "/maps/serving/spam.map";

router_conformance!(by_map, async || by_map(|router, _| keyed(router).with_baseline()));
router_conformance!(by_map_that_reads_no_keys, async || by_map(|router, _| router));
router_conformance!(by_map_with_files, async || by_map(|router, api| {
    std::fs::create_dir(api.directory().join("serving")).unwrap();
    keyed(router).with_baseline().with_files(api.directory())
}));
router_conformance!(by_weights, async || by_weights(|router| router));
router_conformance!(by_weights_with_a_baseline, async || by_weights(with_baseline));

fn by_map(make: fn(HaProxy, &RuntimeApi) -> HaProxy) -> Routes<HaProxy> {
    let api = api();
    let router = make(HaProxy::new(&api.socket(), "/maps").unwrap(), &api);
    Routes { router, route: route(), another: "serving/spam".parse().unwrap() }
}

fn by_weights(make: fn(HaProxyWeights) -> HaProxyWeights) -> Routes<HaProxyWeights> {
    let router = make(weights(&api()));
    Routes { router, route: "fraud".parse().unwrap(), another: "spam-2".parse().unwrap() }
}

fn api() -> RuntimeApi {
    RuntimeApi::start(&[FRAUD, SPAM], &["fraud", "spam-2"])
}

fn map(api: &RuntimeApi) -> HaProxy {
    keyed(HaProxy::new(&api.socket(), "/maps").unwrap())
}

fn keyed(router: HaProxy) -> HaProxy {
    router.with_key(header("x-user")).unwrap().with_key(Key::Cookie("user".to_owned())).unwrap()
}

fn weights(api: &RuntimeApi) -> HaProxyWeights {
    HaProxyWeights::new(&api.socket(), "stable", "candidate").unwrap()
}

fn with_baseline(router: HaProxyWeights) -> HaProxyWeights {
    router.with_baseline("baseline").unwrap()
}

fn route() -> RouteId {
    "serving/fraud".parse().unwrap()
}

fn backend() -> RouteId {
    "fraud".parse().unwrap()
}

pub(crate) fn header(name: &str) -> Key {
    Key::Header(name.to_owned())
}

pub(crate) fn split(percent: u16) -> Traffic {
    Traffic::split(Weight::percent(percent).unwrap())
}

fn exception(key: Key, value: &str, to: Slot) -> Exception {
    Exception { key, value: value.to_owned(), to }
}

/// The error and its causes as one text.
pub(crate) fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refused(answer: &Result<impl std::fmt::Debug, ActuatorError>, word: &str) {
    match answer {
        Err(error @ ActuatorError::Refused { .. }) if said(error).contains(word) => {}
        answer => panic!("{answer:?} is no refusal that says `{word}`"),
    }
}

fn unavailable(answer: &Result<impl std::fmt::Debug, ActuatorError>, word: &str) {
    match answer {
        Err(error @ ActuatorError::Unavailable { .. }) if said(error).contains(word) => {}
        answer => panic!("{answer:?} is not unavailable for `{word}`"),
    }
}

fn fenced(answer: &Result<(), ActuatorError>, by: u64, higher: u64) {
    let fenced = matches!(answer, Err(ActuatorError::Fenced { offered, held }) if *offered == fence(by) && *held == fence(higher));
    assert!(fenced, "{answer:?}");
}

#[tokio::test]
async fn a_map_is_filled_unseen_and_committed_at_once() {
    let api = api();
    let traffic = split(10).with_exceptions([exception(header("x-user"), "a b", Slot::Candidate)]);
    map(&api).apply(&route(), &traffic, fence(7)).await.unwrap();
    let changes: Vec<_> = api.lines().into_iter().filter(|line| !line.starts_with("show")).collect();
    let add = format!("add map @1 {FRAUD}");
    let expected = [
        format!("prepare map {FRAUD}"),
        format!("{add} fence 7;{add} split 1000:0:;{add} a%20b@header=x-user 0:candidate"),
        format!("commit map @1 {FRAUD}"),
    ];
    assert_eq!(changes, expected);
}

#[tokio::test]
async fn many_exceptions_are_sent_in_lines_that_haproxy_can_take() {
    let api = api();
    let exceptions =
        (0..1_000).map(|n| exception(header("x-user"), &format!("tester number {n}"), Slot::Candidate));
    let traffic = split(10).with_exceptions(exceptions);
    let router = map(&api);
    router.apply(&route(), &traffic, fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(traffic, Some(fence(7))));
    assert!(api.lines().iter().all(|line| line.len() < 8_192));
}

#[tokio::test]
async fn nothing_in_a_plan_is_taken_for_a_command() {
    let api = api();
    let router = map(&api);
    let evil = "a;set server fraud/stable weight 0 <<\\ %0a#|`$(x)\"'";
    let traffic = split(10).with_exceptions([exception(header("x-user"), evil, Slot::Candidate)]);
    router.apply(&route(), &traffic, fence(1)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap().traffic, traffic);
    assert!(api.lines().iter().all(|line| !line.contains("set server")));

    let before = api.lines().len();
    let broken = split(10).with_exceptions([exception(header("x-user"), "a\nb", Slot::Candidate)]);
    refused(&router.apply(&route(), &broken, fence(1)).await, "control characters");
    for name in ["fraud;quit", "fraud map", "../fraud", "a//b", "/fraud", "fraud/", "fraud/.x", "a\\b", "é"]
    {
        refused(&router.observe(&name.parse().unwrap()).await, "it names a file");
    }
    for name in ["fraud;quit", "fraud stable", "fraud/stable", "#1\\", ""] {
        let Ok(route) = name.parse() else { continue };
        refused(&weights(&api).apply(&route, &split(10), fence(1)).await, "name of a backend");
    }
    assert_eq!(api.lines().len(), before);
    assert!(HaProxyWeights::new(&api.socket(), "stable;quit", "candidate").is_err());
    assert!(HaProxy::new(&api.socket(), "/maps,0;quit").is_err());
    for key in ["x user", "x;user", "x)", "x'", "", "x#"] {
        assert!(HaProxy::new(&api.socket(), "/maps").unwrap().with_key(header(key)).is_err(), "{key}");
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    for wrong in ["", "admin.sock", "localhost", ":9999", "localhost:99999", "/run/a\nb", "unix@/run/a:b"] {
        assert!(HaProxy::new(wrong, "/maps").is_err(), "{wrong}");
    }
    for right in ["/run/haproxy/admin.sock", "127.0.0.1:9999", "[::1]:9999", "haproxy:9999"] {
        HaProxy::new(right, "/maps").unwrap();
    }
    HaProxy::new(&format!("/{}", "a".repeat(96)), "/maps").unwrap();
    assert!(HaProxy::new(&format!("/{}", "a".repeat(97)), "/maps").is_err());
}

#[tokio::test]
async fn what_the_configuration_does_not_have_is_refused_with_the_remedy() {
    let api = api();
    let missing: RouteId = "serving/nobody".parse().unwrap();
    for answer in
        [map(&api).observe(&missing).await.map(drop), map(&api).apply(&missing, &split(10), fence(1)).await]
    {
        refused(&answer, "`/maps/serving/nobody.map`");
        refused(&answer, "`HaProxy::config`");
    }
    refused(&weights(&api).observe(&"nobody".parse().unwrap()).await, "no backend `nobody`");
    api.edit(|inner| inner.remove("fraud", "candidate"));
    refused(&weights(&api).observe(&backend()).await, "no server `candidate`");

    let other_key = split(10).with_sticky(Some(header("x-session")));
    refused(&map(&api).apply(&route(), &other_key, fence(1)).await, "`header=x-session`");
    let baseline = split(10).with_exceptions([exception(header("x-user"), "a", Slot::Baseline)]);
    refused(&map(&api).apply(&route(), &baseline, fence(1)).await, "`with_baseline`");
    assert_eq!(api.count("prepare"), 0);
}

#[tokio::test]
async fn a_socket_without_rights_is_refused_with_the_remedy() {
    let api = api();
    api.edit(|inner| inner.level("user"));
    refused(&map(&api).apply(&route(), &split(10), fence(1)).await, "`level admin`");
    refused(&weights(&api).apply(&backend(), &split(10), fence(1)).await, "`level admin`");
}

#[tokio::test(start_paused = true)]
async fn an_api_that_fails_is_unavailable_and_one_that_is_none_is_refused() {
    let api = api();
    let (map, weights) = (map(&api), weights(&api));
    map.apply(&route(), &split(10), fence(1)).await.unwrap();
    weights.apply(&backend(), &split(10), fence(1)).await.unwrap();
    let whole = b"# id (file) description\n0 (/maps/serving/fraud.map) pattern loaded";
    for fault in
        [Fault::Hang, Fault::Answer(b""), Fault::Answer(whole), Fault::Answer(b"# id (file) description\n")]
    {
        api.fail("show map", fault);
        unavailable(&map.observe(&route()).await, "");
    }
    for hundredths in 0..100 {
        for start in ["show map", "get var"] {
            api.fail(start, Fault::Lose(hundredths));
        }
        // A part is never taken for the whole, wherever it ends.
        unavailable(&map.observe(&route()).await, "");
        let seen = weights.observe(&backend()).await;
        assert!(seen.is_err(), "{hundredths}: {seen:?}");
    }
    for (fault, word) in [
        (Fault::Endless, "correct the address"),
        (Fault::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "correct the address"),
        (Fault::Answer(b"\xff\xfe\x00\n"), "correct the address"),
        (Fault::Answer(b"Unknown command, but maybe\n\n"), "2.4"),
        (Fault::Answer(b"\n\n\n\n"), "correct the address"),
    ] {
        api.fail("show map", fault);
        refused(&map.observe(&route()).await, word);
        api.fail("get var", fault);
        refused(&weights.observe(&backend()).await, word);
    }
    // Nothing of it did any harm.
    assert_eq!(map.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(1))));
    assert_eq!(weights.observe(&backend()).await.unwrap(), Observed::new(split(10), Some(fence(1))));
}

#[tokio::test]
async fn nobody_at_the_socket_is_unavailable() {
    let api = api();
    let gone = format!("{}x", api.socket());
    unavailable(&HaProxy::new(&gone, "/maps").unwrap().observe(&route()).await, "check its address");
    let port = free_port();
    let tcp = HaProxyWeights::new(&format!("127.0.0.1:{port}"), "stable", "candidate").unwrap();
    unavailable(&tcp.apply(&backend(), &split(10), fence(1)).await, "check its address");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_fails_midway_changes_nothing_or_everything_and_can_be_repeated() {
    for (percent, start) in [(20, "prepare"), (30, "add"), (40, "commit"), (50, "show map")] {
        for fault in [Fault::Hang, Fault::Answer(b""), Fault::Lose(50), Fault::Lose(0)] {
            let api = api();
            let router = map(&api);
            router.apply(&route(), &split(10), fence(1)).await.unwrap();
            api.fail(start, fault);
            unavailable(&router.apply(&route(), &split(percent), fence(2)).await, "");
            let seen = router.observe(&route()).await.unwrap();
            let (before, after) =
                (Observed::new(split(10), Some(fence(1))), Observed::new(split(percent), Some(fence(2))));
            assert!(seen == before || seen == after, "{seen:?}");
            router.apply(&route(), &split(percent), fence(2)).await.unwrap();
            assert_eq!(router.observe(&route()).await.unwrap(), after);
        }
    }
    for start in ["get var", "experimental-mode", "set server"] {
        for fault in [Fault::Hang, Fault::Answer(b""), Fault::Lose(50), Fault::Lose(0)] {
            let api = api();
            let router = weights(&api);
            router.apply(&backend(), &split(10), fence(1)).await.unwrap();
            api.fail(start, fault);
            unavailable(&router.apply(&backend(), &split(20), fence(2)).await, "");
            router.apply(&backend(), &split(20), fence(2)).await.unwrap();
            assert_eq!(router.observe(&backend()).await.unwrap(), Observed::new(split(20), Some(fence(2))));
        }
    }
}

/// Somebody else, in another process, puts 40 % in force with `fence`, all at once.
fn overtake(inner: &mut Inner, fence: u64) {
    let said = inner.command(&format!("prepare map {FRAUD}"));
    let version = said.trim().rsplit(' ').next().unwrap().to_owned();
    for entry in [format!("fence {fence}"), "split 4000:0:".to_owned()] {
        inner.command(&format!("add map @{version} {FRAUD} {entry}"));
    }
    inner.command(&format!("commit map @{version} {FRAUD}"));
}

#[tokio::test]
async fn a_driver_that_is_overtaken_at_any_moment_is_fenced() {
    for start in ["prepare", "add", "show map;", "commit"] {
        let api = api();
        let router = map(&api);
        api.fail(start, Fault::Overtake(|inner| overtake(inner, 8)));
        fenced(&router.apply(&route(), &split(10), fence(7)).await, 7, 8);
        assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(40), Some(fence(8))));
    }
}

#[tokio::test]
async fn a_driver_that_overtakes_has_the_last_word() {
    for start in ["prepare", "add", "show map;", "commit"] {
        let api = api();
        let router = map(&api);
        api.fail(start, Fault::Overtake(|inner| overtake(inner, 6)));
        router.apply(&route(), &split(10), fence(7)).await.unwrap();
        assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
    }
}

/// A later driver has prepared its version before ours and commits it only after we have looked.
#[tokio::test(start_paused = true)]
async fn a_later_driver_on_its_way_fences_before_it_arrives() {
    let api = api();
    let router = map(&api);
    api.edit(|inner| {
        inner.command(&format!("prepare map {FRAUD}"));
        inner.command(&format!("add map @1 {FRAUD} fence 8"));
    });
    fenced(&router.apply(&route(), &split(10), fence(7)).await, 7, 8);
    assert_eq!(api.count("commit"), 0);
    router.apply(&route(), &split(10), fence(9)).await.unwrap();
    assert_eq!(api.edit_answer(&format!("commit map @1 {FRAUD}")), "Version number out of range.\n\n");
}

/// The same, but it has not even said its fence yet when we look first.
#[tokio::test(start_paused = true)]
async fn a_version_of_an_unknown_driver_is_waited_for_but_not_for_ever() {
    let api = api();
    let router = map(&api);
    let apply = |n| {
        let router = router.clone();
        async move { router.apply(&route(), &split(10), fence(n)).await }
    };
    api.edit(|inner| drop(inner.command(&format!("prepare map {FRAUD}"))));
    let waiting = tokio::spawn(apply(7));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished());
    api.edit(|inner| drop(inner.command(&format!("add map @1 {FRAUD} fence 8"))));
    fenced(&waiting.await.unwrap(), 7, 8);

    // It died before it could say anything.
    let api = api_with_an_abandoned_version();
    let router = map(&api);
    let before = tokio::time::Instant::now();
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert!(before.elapsed() > Duration::from_secs(1));
    // The next one need not wait again.
    let before = tokio::time::Instant::now();
    router.apply(&route(), &split(20), fence(7)).await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(1));
}

fn api_with_an_abandoned_version() -> RuntimeApi {
    let api = api();
    api.edit(|inner| drop(inner.command(&format!("prepare map {FRAUD}"))));
    api
}

#[tokio::test]
async fn versions_may_wrap_around() {
    let api = api();
    api.edit(|inner| inner.versions_at(FRAUD, u32::MAX - 1));
    let router = map(&api);
    for percent in [10, 20, 30, 40] {
        router.apply(&route(), &split(percent), fence(1)).await.unwrap();
        assert_eq!(router.observe(&route()).await.unwrap().traffic, split(percent));
    }
}

#[tokio::test]
async fn a_restart_midway_is_seen_and_mended() {
    for start in ["prepare", "add", "commit"] {
        let api = api();
        let router = map(&api);
        router.apply(&route(), &split(10), fence(7)).await.unwrap();
        api.fail(start, Fault::Overtake(Inner::restart));
        router.apply(&route(), &split(20), fence(7)).await.unwrap();
        assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(20), Some(fence(7))));
    }
}

#[tokio::test]
async fn what_others_did_to_a_map_is_seen_and_mended() {
    let api = api();
    let router = map(&api);
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    api.edit(|inner| drop(inner.command(&format!("add map @1 {FRAUD} bob@cookie=user 3:stable"))));
    let seen = router.observe(&route()).await.unwrap();
    let bob = exception(Key::Cookie("user".to_owned()), "bob", Slot::Stable);
    assert_eq!(seen, Observed::new(split(10).with_exceptions([bob]), Some(fence(7))));
    api.edit(|inner| drop(inner.command(&format!("add map @1 {FRAUD} canary be_canary"))));
    refused(&router.observe(&route()).await, "`canary be_canary`");
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
}

#[tokio::test]
async fn the_file_says_what_is_in_force() {
    let api = api();
    std::fs::create_dir(api.directory().join("serving")).unwrap();
    let file = api.directory().join("serving/fraud.map");
    let router = map(&api).with_files(api.directory());
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "fence 7\nsplit 1000:0:\n");
    // A driver that is fenced, or that asks for too much, leaves it alone, and nothing else lies about.
    fenced(&router.apply(&route(), &split(20), fence(6)).await, 6, 7);
    refused(&router.apply(&route(), &split(20).with_mirror(Weight::FULL), fence(8)).await, "copies");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "fence 7\nsplit 1000:0:\n");
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    // Lost, it is written again although the map needs no change.
    std::fs::remove_file(&file).unwrap();
    router.apply(&route(), &split(10), fence(7)).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "fence 7\nsplit 1000:0:\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_before_anything_changes() {
    let api = api();
    let router = map(&api).with_files(api.directory().join("missing"));
    refused(&router.apply(&route(), &split(10), fence(7)).await, "create its directory");
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(Traffic::stable(), None));
}

#[tokio::test]
async fn weights_grow_before_others_shrink() {
    let api = api();
    let router = weights(&api);
    router.apply(&backend(), &split(100), fence(7)).await.unwrap();
    router.apply(&backend(), &Traffic::stable(), fence(7)).await.unwrap();
    let moves: Vec<_> = api.lines().into_iter().filter(|line| line.starts_with("set server")).collect();
    let mark = "experimental-mode on;set var proc.tidegate.fraud str(7)";
    let expected = [
        format!("set server fraud/candidate weight 100;set server fraud/stable weight 0;{mark}"),
        format!("set server fraud/stable weight 100;set server fraud/candidate weight 0;{mark}"),
    ];
    assert_eq!(moves, expected);
}

#[tokio::test]
async fn weights_are_observed_as_they_are() {
    let api = api();
    let router = with_baseline(weights(&api));
    router.apply(&backend(), &split(10), fence(7)).await.unwrap();
    let set = |command: &str| api.edit(|inner| drop(inner.command(command)));
    for (server, weight) in [("stable", 1), ("baseline", 1), ("candidate", 1)] {
        set(&format!("set server fraud/{server} weight {weight}"));
    }
    let seen = router.observe(&backend()).await.unwrap();
    assert_eq!(seen.fence, Some(fence(7)));
    let shares = [Slot::Stable, Slot::Baseline, Slot::Candidate]
        .map(|slot| seen.traffic.weight(slot).as_basis_points());
    assert_eq!(shares, [3_333, 3_333, 3_334]);
    set("set server fraud/candidate state drain");
    let seen = router.observe(&backend()).await.unwrap().traffic;
    assert_eq!(seen.weight(Slot::Candidate), Weight::NONE);
    set("set server fraud/candidate state ready");
    router.apply(&backend(), &split(10), fence(7)).await.unwrap();
    assert_eq!(router.observe(&backend()).await.unwrap(), Observed::new(split(10), Some(fence(7))));

    for server in ["stable", "candidate"] {
        set(&format!("set server fraud/{server} weight 0"));
    }
    refused(&router.observe(&backend()).await, "all weights are 0");
    set("set server fraud/baseline weight 5");
    refused(&weights(&api).observe(&backend()).await, "server `baseline`, which is no side");
}

#[tokio::test]
async fn a_driver_of_weights_that_is_overtaken_is_fenced() {
    let api = api();
    let router = weights(&api);
    let overtake: fn(&mut Inner) = |inner| drop(inner.command("set var proc.tidegate.fraud str(8)"));
    api.fail("get var", Fault::Overtake(overtake));
    fenced(&router.apply(&backend(), &split(10), fence(7)).await, 7, 8);
    assert_eq!(router.observe(&backend()).await.unwrap(), Observed::new(Traffic::stable(), Some(fence(8))));
    api.edit(|inner| drop(inner.command("set var proc.tidegate.fraud str(seven)")));
    refused(&router.observe(&backend()).await, "str(-)");
}

/// A driver was killed between its two lines; somebody waits a little, then says what is there.
#[tokio::test(start_paused = true)]
async fn weights_that_stopped_moving_are_observed_and_mended() {
    let api = api();
    let router = weights(&api);
    api.edit(|inner| drop(inner.command("set var proc.tidegate.fraud str(7.moving)")));
    assert_eq!(router.observe(&backend()).await.unwrap(), Observed::new(Traffic::stable(), Some(fence(7))));
    fenced(&router.apply(&backend(), &split(10), fence(6)).await, 6, 7);
    router.apply(&backend(), &split(10), fence(7)).await.unwrap();
    assert_eq!(router.observe(&backend()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
}

#[tokio::test]
async fn weights_that_are_refused_are_as_they_were() {
    let api = api();
    let router = weights(&api);
    router.apply(&backend(), &split(10), fence(7)).await.unwrap();
    api.fail(
        "set server",
        Fault::Answer(
            b"Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n\n\n",
        ),
    );
    refused(&router.apply(&backend(), &split(20), fence(8)).await, "static LB algorithm");
    assert_eq!(router.observe(&backend()).await.unwrap(), Observed::new(split(10), Some(fence(7))));
}
