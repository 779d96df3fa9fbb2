//! The Envoy router against an administration interface in process, and against a real Envoy.
//!
//! ```text
//! ENVOY_BIN=… cargo test -p tidegate-canary --test envoy -- --ignored
//! ```

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod fake;
mod ground;
mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod server;

use tempfile::TempDir;
use tidegate_canary::{
    ActuatorError, Envoy, Exception, Key, Observed, RouteId, Slot, Traffic, TrafficRouter, Weight,
    testkit::{fence, router::Routes, router_conformance},
};

use crate::fake::{Fake, Mood, NOWHERE};

router_conformance!(with_a_baseline, async || routes(true).await);
router_conformance!(without_a_baseline, async || routes(false).await);

async fn routes(baseline: bool) -> Routes<Envoy> {
    let Ground { router, .. } = start().await;
    let router = if baseline { router.with_baseline("fraud-baseline") } else { router };
    let another = "serving/spam: ünïcode".parse().unwrap();
    router.install(&another).await.unwrap();
    Routes { router, route: route(), another }
}

/// An Envoy that has the route, and a router for it.
struct Ground {
    fake: Fake,
    router: Envoy,
    /// The same router, but for a cluster that Envoy does not have.
    astray: Envoy,
}

async fn start() -> Ground {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_owned();
    let (fake, url) = Fake::start(directory).await;
    let router = |candidate| {
        Envoy::new(reqwest::Client::new(), url.parse().unwrap(), &path, "fraud-stable", candidate)
    };
    let (router, astray) = (router("fraud-candidate"), router(NOWHERE));
    router.install(&route()).await.unwrap();
    Ground { fake, router, astray }
}

fn route() -> RouteId {
    "serving/fraud".parse().unwrap()
}

fn split(percent: u16) -> Traffic {
    Traffic::split(Weight::percent(percent).unwrap())
}

/// The error and its causes as one text.
fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[tokio::test]
async fn installing_again_keeps_what_is_there() {
    let Ground { router, .. } = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    router.install(&route()).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(3))));
}

#[tokio::test]
async fn a_route_that_was_never_installed_is_refused_with_the_remedy() {
    let Ground { router, .. } = start().await;
    let error = router.observe(&"serving/other".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(
        said(&error).contains("serving%2Fother.json") && said(&error).contains("`install`"),
        "{}",
        said(&error)
    );
}

#[tokio::test(start_paused = true)]
async fn what_envoy_has_not_read_is_not_in_force() {
    let Ground { fake, router, .. } = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    fake.is(Mood::Sleeps);
    assert!(router.apply(&route(), &split(50), fence(3)).await.unwrap_err().is_transient());
    let error = router.observe(&route()).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("still has version"), "{}", said(&error));
    // Another driver finds the file, so it is fenced all the same.
    let error = router.apply(&route(), &split(0), fence(2)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Fenced { .. }), "{error:?}");
    fake.is(Mood::Reads);
    assert_eq!(router.observe(&route()).await.unwrap().traffic, split(50));
}

#[tokio::test]
async fn a_rejected_table_is_refused_and_the_one_before_put_back() {
    let Ground { router, astray, .. } = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    let before = std::fs::read(router.file(&route())).unwrap();
    let error = astray.apply(&route(), &split(20), fence(4)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("its log says why"), "{}", said(&error));
    assert_eq!(std::fs::read(router.file(&route())).unwrap(), before);
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(3))));
}

#[tokio::test]
async fn rules_that_envoy_is_too_old_for_are_refused_and_the_table_before_put_back() {
    let Ground { fake, router, .. } = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    fake.is(Mood::Aged);
    let key = Key::Cookie("user".to_owned());
    let exception = Exception { key, value: "ada".to_owned(), to: Slot::Candidate };
    let traffic = split(10).with_exceptions([exception]);
    let error = router.apply(&route(), &traffic, fence(3)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("use a newer one"), "{}", said(&error));
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(3))));
}

#[tokio::test]
async fn a_file_of_somebody_else_is_refused_and_kept() {
    for text in ["", "{}", "version_info: yaml", r#"{"version_info": "1", "resources": []}"#] {
        let Ground { router, .. } = start().await;
        std::fs::write(router.file(&route()), text).unwrap();
        let error = router.apply(&route(), &split(10), fence(3)).await.unwrap_err();
        assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
        assert!(said(&error).contains("remove it"), "{}", said(&error));
        assert_eq!(std::fs::read_to_string(router.file(&route())).unwrap(), text);
    }
}

#[tokio::test]
async fn what_others_did_to_the_table_is_seen_and_mended() {
    let Ground { router, .. } = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    let edit = |from: &str, to: &str| {
        let text = std::fs::read_to_string(router.file(&route())).unwrap();
        assert!(text.contains(from));
        std::fs::write(router.file(&route()), text.replacen(from, to, 1)).unwrap();
    };
    edit("\"weight\": 1000", "\"weight\": 2000");
    let error = router.observe(&route()).await.unwrap_err();
    assert!(said(&error).contains("apply the traffic again"), "{}", said(&error));
    edit("\"weight\": 9000", "\"weight\": 8000");
    assert_eq!(router.observe(&route()).await.unwrap().traffic, split(20));
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    edit("\"prefix\": \"/\"", "\"prefix\": \"/v1\"");
    assert!(said(&router.observe(&route()).await.unwrap_err()).contains("apply the traffic again"));
    edit("\"prefix\"", "\"case_sensitive\": false, \"prefix\"");
    assert!(said(&router.observe(&route()).await.unwrap_err()).contains("does not read"));
}

#[tokio::test]
async fn hostile_answers_end_in_errors() {
    let deep = format!(r#"{{"configs": {}"#, "[".repeat(200_000));
    let deep_ours = format!(
        r#"{{"configs": [{{"route_config": {{"name": "serving/fraud", "x": {}1{}}}}}]}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    for (mood, transient, word) in [
        (Mood::Floods, false, "longer than"),
        (Mood::Says(200, deep), false, "does not read as Envoy's"),
        (Mood::Says(200, deep_ours), false, "does not read as Envoy's"),
        (Mood::Says(200, "<html>".to_owned()), false, "administration interface"),
        (Mood::Says(200, r#"{"configs": 7}"#.to_owned()), false, "does not read as Envoy's"),
        (Mood::Says(200, "{}".to_owned()), true, "no table of this name"),
        (Mood::Says(404, "x".repeat(10_000)), false, "404"),
        (Mood::Says(503, "\u{1b}[31mno".to_owned()), true, "503"),
    ] {
        let Ground { fake, router, .. } = start().await;
        fake.is(mood);
        let error = router.observe(&route()).await.unwrap_err();
        let said = said(&error);
        assert!(said.contains(word) && said.len() < 1_000 && !said.contains('\u{1b}'), "{said}");
        assert_eq!(error.is_transient(), transient, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_envoy_that_does_not_answer_is_unavailable() {
    let Ground { fake, router, .. } = start().await;
    fake.is(Mood::Hangs);
    let error = router.observe(&route()).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("10s"), "{}", said(&error));
}

#[tokio::test]
async fn the_way_back_is_written_even_when_envoy_does_not_answer() {
    let Ground { fake, router, .. } = start().await;
    router.apply(&route(), &split(50), fence(3)).await.unwrap();
    fake.is(Mood::Says(503, String::new()));
    assert!(router.apply(&route(), &split(0), fence(3)).await.unwrap_err().is_transient());
    fake.is(Mood::Reads);
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(0), Some(fence(3))));
}

#[tokio::test]
async fn an_exception_to_a_side_that_is_not_there_is_refused() {
    let Ground { router, .. } = start().await;
    let key = Key::Header("x-user".to_owned());
    let exception = Exception { key, value: "a".to_owned(), to: Slot::Baseline };
    let traffic = split(10).with_exceptions([exception]);
    let error = router.apply(&route(), &traffic, fence(3)).await.unwrap_err();
    assert!(
        matches!(error, ActuatorError::Refused { .. }) && said(&error).contains("with_baseline"),
        "{error:?}"
    );
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let url = "http://admin:hunter2@127.0.0.1:9901".parse().unwrap();
    let router = Envoy::new(reqwest::Client::new(), url, "/etc/envoy/tidegate", "s", "c");
    assert!(!format!("{router:?}").contains("hunter2"));
    assert_eq!(
        router.file(&"a b/ü".parse().unwrap()).to_str(),
        Some("/etc/envoy/tidegate/a%20b%2F%C3%BC.json")
    );
}
