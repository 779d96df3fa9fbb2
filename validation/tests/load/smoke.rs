//! The check `smoke`.

use std::time::Duration;

use tidegate_validation::{
    Agent, AgentError, AgentId, Error, FnAgent, Outcome, Reason, Reply, Report, Run, Subject, Suite, Verdict,
    checks::{Smoke, SmokeCase},
};
use tokio::time::{Instant, sleep};

use super::{checked::At, ms, subject::publish};

fn smoke() -> Smoke {
    let case = |input: &str, target: Option<&str>| SmokeCase {
        input: input.to_owned(),
        target: target.map(str::to_owned),
    };
    Smoke {
        cases: vec![case("What is 2+2?", Some("4")), case("Hello", None), case("Hello", None)],
        ..Smoke::default()
    }
}

fn agent(sum: &'static str, takes: u64) -> FnAgent {
    FnAgent::new("agent", move |request| async move {
        sleep(ms(takes)).await;
        Ok(Reply::text(if request.prompt() == "Hello" { "Hello to you!" } else { sum }))
    })
}

async fn report(smoke: Smoke, agent: &dyn Agent) -> Report {
    let (store, manifest) = publish().await;
    let suite = Suite::new("smoke").with(smoke);
    suite.run(&Subject::new(&manifest, &store).with_agent(agent), &Run::new(7)).await
}

#[tokio::test(start_paused = true)]
async fn all_must_be_answered_as_expected() {
    let passed = report(smoke(), &agent("It is 4.", 100)).await;
    assert_eq!(passed.verdict(), Verdict::Pass, "{passed}");
    let failed = report(smoke(), &agent("It is 5.", 100)).await;
    assert_eq!(failed.verdict(), Verdict::Fail);
    let outcomes: Vec<_> = failed.findings[0].cases.iter().map(|case| case.outcome).collect();
    assert_eq!(outcomes, [Outcome::Miss, Outcome::Hit, Outcome::Hit]);
}

#[tokio::test(start_paused = true)]
async fn all_of_it_is_over_in_thirty_seconds() {
    let begin = Instant::now();
    let late = report(smoke(), &agent("It is 4.", 40_000)).await;
    assert_eq!(late.verdict(), Verdict::Fail, "{late}");
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_fails_and_an_error_is_no_evidence() {
    assert_eq!(report(smoke(), &agent("", 1)).await.verdict(), Verdict::Fail);
    let gone = FnAgent::new("gone", |_| async {
        let why = "cannot connect".to_owned();
        Err(AgentError::Unavailable { agent: AgentId::new("gone"), why, attempts: 1, source: None })
    });
    let found = report(smoke(), &gone).await.verdict();
    assert!(
        matches!(&found, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("gone")),
        "{found:?}"
    );
}

#[test]
fn suites_name_it() {
    let suite = |more: &str| Suite::from_toml(&format!("[[checks]]\nkind = \"smoke\"\n{more}"));
    suite("within = \"20s\"\ncases = [{ input = \"Hello\" }, { input = \"2+2?\", target = \"4\" }]").unwrap();
    assert!(suite("cases = []").unwrap_err().to_string().contains("cases"));
    assert!(
        suite("cases = [{ input = \"Hello\", taget = \"x\" }]").unwrap_err().to_string().contains("target")
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_filter_lets_nothing_through_of_is_no_answer() {
    let filtered =
        FnAgent::new("filtered", |_| async { Ok(Reply::text("").with_finish_reason("content_filter")) });
    let cases = vec![SmokeCase { input: "Hello".to_owned(), target: None }];
    let report = report(Smoke { cases, ..Smoke::default() }, &filtered).await;
    assert_eq!(report.verdict(), Verdict::Fail, "{report}");
}

#[tokio::test(start_paused = true)]
async fn strangers_are_asked_nothing() {
    let stranger = At("http://10.1.2.3:8000/v1/chat/completions");
    let cases = vec![SmokeCase { input: "Hello".to_owned(), target: None }];
    let smoke = Smoke { cases, ..Smoke::default() };
    let error = smoke.look(&stranger, &Run::new(7)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Misconfigured { field: "allow_hosts", why, .. } if why.contains("10.1.2.3")),
        "{error}"
    );
    let allowed = Smoke { allow_hosts: ["10.1.2.3".to_owned()].into(), ..smoke.clone() };
    assert_eq!(allowed.look(&stranger, &Run::new(7)).await.unwrap().verdict, Verdict::Pass);
    assert!(Suite::new("smoke").with(smoke).is_confined() && !Suite::new("none").is_confined());
}
