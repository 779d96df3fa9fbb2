//! The nginx router against an nginx in process, and against a real one.
//!
//! ```text
//! NGINX_BIN=… cargo test -p tidegate-canary --test nginx -- --ignored
//! ```

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod fake;
#[path = "../envoy/ground.rs"]
mod ground;
mod live;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod server;

use std::time::Duration;

use tidegate_canary::{
    ActuatorError, Nginx, Observed, RouteId, Traffic, TrafficRouter, Weight,
    testkit::{fence, router::Routes, router_conformance},
};

use crate::fake::{Fake, Mood, NOWHERE, shell};

router_conformance!(with_a_baseline, async || routes(true).await);
router_conformance!(without_a_baseline, async || routes(false).await);

async fn routes(baseline: bool) -> Routes<Nginx> {
    let (fake, router) = start().await;
    let router = if baseline { router.with_baseline("fraud-baseline") } else { router };
    let another = "serving/spam".parse().unwrap();
    router.install(&another).await.unwrap();
    fake.load();
    Routes { router, route: route(), another }
}

async fn start() -> (Fake, Nginx) {
    let (fake, router) = Fake::start().await;
    router.install(&route()).await.unwrap();
    fake.load();
    (fake, router)
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

fn file(fake: &Fake) -> Vec<u8> {
    std::fs::read(fake.path("files/serving_fraud.conf")).unwrap()
}

#[tokio::test]
async fn a_configuration_that_does_not_pass_is_refused_and_the_one_before_put_back() {
    let (fake, router) = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    let before = file(&fake);
    let astray = router.clone().with_baseline(NOWHERE);
    let traffic = split(20).with_baseline(Weight::percent(20).unwrap()).unwrap();
    let error = astray.apply(&route(), &traffic, fence(4)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("[emerg] host not found"), "{}", said(&error));
    assert_eq!(file(&fake), before);
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(3))));
}

#[tokio::test]
async fn what_a_command_says_is_bounded() {
    let (fake, router) = start().await;
    let noise = "i=0; while [ $i -lt 2000 ]; do echo \"$i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" >&2; i=$((i+1)); done; printf '\\033[31mthe end' >&2; exit 3";
    let router = router.with_test(shell(noise, &fake.path("")));
    let error = router.apply(&route(), &split(10), fence(3)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    let said = said(&error);
    assert!(said.contains("the end") && said.contains("exit status: 3"), "{said}");
    assert!(said.len() < 2_000 && !said.contains('\u{1b}'), "{} bytes", said.len());
}

#[tokio::test]
async fn a_command_that_does_not_end_is_ended() {
    let (fake, router) = start().await;
    let before = file(&fake);
    let hangs = || shell("echo $$ > \"$0\"/pid; exec sleep 600", &fake.path(""));
    let brief = router.with_command_timeout(Duration::from_millis(300));
    let error = brief.clone().with_test(hangs()).apply(&route(), &split(10), fence(3)).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("did not end within"), "{}", said(&error));
    assert_eq!(file(&fake), before);
    let error = brief.with_reload(hangs()).apply(&route(), &split(10), fence(3)).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("did not end within"), "{}", said(&error));
    let pid = std::fs::read_to_string(fake.path("pid")).unwrap();
    let gone = async {
        while std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim()))
            .is_ok_and(|line| !line.is_empty())
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the command was ended");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_refused() {
    let (fake, router) = start().await;
    let before = file(&fake);
    for router in [router.clone().with_test(["/nonexistent/nginx"]), router.with_test(Vec::<String>::new())] {
        let error = router.apply(&route(), &split(10), fence(3)).await.unwrap_err();
        assert!(
            matches!(error, ActuatorError::Refused { .. }) && said(&error).contains("correct"),
            "{error:?}"
        );
        assert_eq!(file(&fake), before);
    }
}

#[tokio::test]
async fn a_reload_that_fails_leaves_what_was_tested_and_is_tried_again() {
    let (fake, router) = start().await;
    let down = router.clone().with_reload(shell("echo 'invalid PID number' >&2; exit 1", &fake.path("")));
    let error = down.apply(&route(), &split(10), fence(3)).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("invalid PID"), "{}", said(&error));
    let error = router.observe(&route()).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("fence none"), "{}", said(&error));
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap(), Observed::new(split(10), Some(fence(3))));
}

#[tokio::test]
async fn applying_again_does_not_reload() {
    let (fake, router) = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    let unable =
        router.with_reload(shell("exit 1", &fake.path(""))).with_test(shell("exit 1", &fake.path("")));
    unable.apply(&route(), &split(10), fence(3)).await.unwrap();
}

#[tokio::test]
async fn workers_of_two_minds_are_not_in_force() {
    let (fake, router) = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    router.apply(&route(), &split(20), fence(3)).await.unwrap();
    fake.is(Mood::Mixes);
    assert!(router.observe(&route()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_file_that_was_changed_is_refused_and_mended() {
    let (fake, router) = start().await;
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    let text = String::from_utf8(file(&fake)).unwrap().replace("10.00%", "20.00%");
    std::fs::write(fake.path("files/serving_fraud.conf"), text).unwrap();
    let error = router.observe(&route()).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("apply the traffic again"), "{}", said(&error));
    router.apply(&route(), &split(10), fence(3)).await.unwrap();
    assert_eq!(router.observe(&route()).await.unwrap().traffic, split(10));
}

#[tokio::test]
async fn a_file_of_somebody_else_is_refused_and_kept() {
    for text in [
        "",
        "geo $x { default 1; }",
        "# Written as a whole by a router; what is changed by hand is refused.\n# {}\n",
    ] {
        let (fake, router) = start().await;
        std::fs::write(fake.path("files/serving_fraud.conf"), text).unwrap();
        let error = router.apply(&route(), &split(10), fence(3)).await.unwrap_err();
        assert!(
            matches!(error, ActuatorError::Refused { .. }) && said(&error).contains("remove it"),
            "{error:?}"
        );
        assert_eq!(file(&fake), text.as_bytes());
    }
}

#[tokio::test]
async fn routes_of_one_variable_do_not_share_a_file() {
    let (_fake, router) = start().await;
    let error = router.apply(&"Serving.fraud".parse().unwrap(), &split(10), fence(3)).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert!(said(&error).contains("serving/fraud") && said(&error).contains("rename"), "{}", said(&error));
}

#[tokio::test]
async fn hostile_answers_end_in_errors() {
    for (mood, transient, word) in [
        (Mood::Floods, false, "longer than"),
        (Mood::Says(200, "[".repeat(200_000)), false, "add the location"),
        (Mood::Says(200, format!(r#"{{"route": {}"#, "[".repeat(1_000))), false, "add the location"),
        (Mood::Says(200, "<html>\u{1b}[31m".to_owned()), false, "<html>"),
        (Mood::Says(404, "x".repeat(10_000)), false, "404"),
        (Mood::Says(502, "\u{1b}[31mno".to_owned()), true, "502"),
    ] {
        let (fake, router) = start().await;
        fake.is(mood);
        let error = router.observe(&route()).await.unwrap_err();
        let said = said(&error);
        assert!(said.contains(word) && said.len() < 1_000 && !said.contains('\u{1b}'), "{said}");
        assert_eq!(error.is_transient(), transient, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_nginx_that_does_not_answer_is_unavailable() {
    let (fake, router) = start().await;
    fake.is(Mood::Hangs);
    let error = router.observe(&route()).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("10s"), "{}", said(&error));
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let url = "http://admin:hunter2@127.0.0.1:8081/tidegate".parse().unwrap();
    let router = Nginx::new(reqwest::Client::new(), url, "/etc/nginx/tidegate", "s", "c");
    assert!(!format!("{router:?}").contains("hunter2"));
}
