//! The check `load`, of a suite.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_validation::{
    Agent, AgentError, AgentId, Call, Error, FnAgent, Reason, Reply, Report, Request, Rule, Run, Shortage,
    Subject, Suite, Validator as _, Verdict,
    checks::Load,
    load::{Abort, Arrivals, Limit, Prompts, Quantity, drive},
};
use tokio::time::sleep;

use super::{after, ms, plan, sent, subject::publish};

fn load() -> Load {
    Load {
        prompts: vec!["Hello".to_owned()],
        arrivals: Arrivals::Constant,
        rate: 20.0,
        duration: Duration::from_secs(60),
        limits: vec![Limit::latency(0.95, ms(150)), Limit::latency(0.99, ms(300))],
        ..Load::default()
    }
}

async fn report(load: Load, agent: &dyn Agent, run: Run) -> Report {
    let (store, manifest) = publish().await;
    let suite = Suite::new("load").with(load);
    suite.run(&Subject::new(&manifest, &store).with_agent(agent), &run).await
}

async fn verdict(load: Load, agent: &dyn Agent) -> Verdict {
    report(load, agent, Run::new(7)).await.verdict()
}

#[tokio::test(start_paused = true)]
async fn a_fast_server_passes_and_a_slow_one_fails() {
    let passed = report(load(), &after(|| sleep(ms(100))), Run::new(7)).await;
    assert_eq!(passed.verdict(), Verdict::Pass, "{passed}");
    let finding = &passed.findings[0];
    assert!(
        finding.claim.contains("20.000 requests a second") && finding.claim.contains("10s of warm-up"),
        "{finding:?}"
    );
    let p95 = &finding.evidence[0];
    assert!((p95.estimate - 0.1).abs() < 0.002 && p95.upper.unwrap() < 0.103 && p95.n == 1_200, "{p95}");
    assert_eq!(finding.evidence.len(), 5, "{passed}");
    assert_eq!(passed.spent.calls, 1_400);
    assert_eq!(verdict(load(), &after(|| sleep(ms(200)))).await, Verdict::Fail);
}

#[tokio::test(start_paused = true)]
async fn few_requests_prove_little() {
    let short = Load { duration: Duration::from_secs(5), warmup: Duration::ZERO, ..load() };
    let agent = after(|| sleep(ms(100)));
    let found = verdict(short.clone(), &agent).await;
    assert!(matches!(found, Verdict::Inconclusive(Reason::TooFew { .. })), "{found:?}");
    assert_eq!(verdict(Load { rule: Rule::Point, ..short }, &agent).await, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_leaves_it_undecided_and_proven_slowness_fails_all_the_same() {
    let capped = |limit| Load {
        in_flight: std::num::NonZeroUsize::MIN,
        limits: vec![Limit::latency(0.95, ms(limit))],
        ..load()
    };
    let agent = after(|| sleep(ms(100)));
    let found = verdict(capped(150), &agent).await;
    assert!(
        matches!(&found, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("in flight")),
        "{found:?}"
    );
    // Half of the requests were answered, and none in time.
    assert_eq!(verdict(capped(50), &agent).await, Verdict::Fail);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_stops_it_fails_it() {
    let agent = FnAgent::new("busy", |request| async move {
        let _ = request;
        let random = fastrand::bool();
        sleep(ms(10)).await;
        match random {
            true => Ok(Reply::text("Hello.")),
            false => Err(AgentError::TimedOut { agent: AgentId::new("busy"), waited: ms(10) }),
        }
    });
    let stopping = Load { abort: Abort { errors: Some(0.2), p99: None }, ..load() };
    let report = report(stopping, &agent, Run::new(7)).await;
    assert_eq!(report.verdict(), Verdict::Fail);
    assert!(report.to_string().contains("stopped early"), "{report}");
    assert!(report.spent.calls < 200);
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_no_evidence() {
    let agent = FnAgent::new("gone", |_| async {
        let why = "cannot connect".to_owned();
        Err(AgentError::Unavailable { agent: AgentId::new("gone"), why, attempts: 1, source: None })
    });
    let found = verdict(load(), &agent).await;
    assert!(
        matches!(&found, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("gone")),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_run_and_its_budget_hold() {
    let agent = after(|| sleep(ms(100)));
    let short = report(load(), &agent, Run::new(7).deadline(Duration::from_secs(30))).await;
    assert_eq!(short.verdict(), Verdict::Inconclusive(Reason::Budget(Shortage::Time)), "{short}");
    assert!((590..=600).contains(&short.spent.calls), "{short}");
    let poor = report(load(), &agent, Run::new(7).max_calls(500)).await;
    assert!(
        matches!(poor.verdict(), Verdict::Inconclusive(Reason::Budget(Shortage::Calls { .. }))),
        "{poor}"
    );
    assert_eq!(poor.spent.calls, 500);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_than_estimated() {
    let (store, manifest) = publish().await;
    let subject = Subject::new(&manifest, &store);
    for seed in 0..20 {
        let load =
            Load { arrivals: Arrivals::Poisson, warmup: Duration::ZERO, duration: ms(2_000), ..load() };
        let most = load.estimate(&subject).calls;
        let report = report(load, &after(|| sleep(ms(1))), Run::new(seed)).await;
        assert!(report.spent.calls <= most && report.spent.calls > 15, "{} of {most}", report.spent.calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_cannot_be_measured_is_not_kept() {
    let limit = |of| Limit { of, quantile: 0.95, max: ms(100) };
    let judged =
        async |limits, took: u64| verdict(Load { limits, ..load() }, &after(move || sleep(ms(took)))).await;
    // Goodput asks for a time to the first token, too, and there is none; that is no fault of the server.
    let whole = judged(vec![limit(Quantity::Ttft)], 10).await;
    assert!(
        matches!(&whole, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("sent in parts")),
        "{whole:?}"
    );
    let uncounted = judged(vec![limit(Quantity::Tpot)], 10).await;
    assert!(matches!(&uncounted, Verdict::Inconclusive(Reason::Uncounted { .. })), "{uncounted:?}");
    // What is known to be too slow is no good, whatever else is not known of it.
    let slow = vec![Limit { quantile: 0.05, ..limit(Quantity::Latency) }, limit(Quantity::Ttft)];
    assert_eq!(judged(slow, 200).await, Verdict::Fail);
}

#[tokio::test(start_paused = true)]
async fn whether_it_was_good_is_unknown_where_only_something_else_is_known() {
    let limit = |of| Limit { of, quantile: 0.95, max: ms(150) };
    let plan = plan(Arrivals::Constant, 10.0, 60).limits([limit(Quantity::Latency), limit(Quantity::Ttft)]);
    let took = Arc::new(AtomicU64::new(0));
    // Every other answer is too slow.
    let agent = after(move || sleep(ms([100, 200][took.fetch_add(1, Ordering::Relaxed) as usize % 2])));
    let measured = sent(&plan, &agent, &Run::new(7)).await;
    assert_eq!((measured.counts.answered, measured.counts.good), (600, 0));
    let report = report(
        Load { warmup: Duration::ZERO, limits: plan.limits.clone(), rate: 10.0, ..load() },
        &agent,
        Run::new(7),
    )
    .await;
    let good = "share of requests answered within every limit";
    let evidence = report.findings[0].evidence.iter().find(|evidence| evidence.measure == good).unwrap();
    assert_eq!((evidence.n, evidence.unknown), (300, 300), "{evidence}");
}

/// Says that it is somewhere.
#[derive(Debug)]
pub(crate) struct At(pub(crate) &'static str);

#[async_trait::async_trait]
impl Agent for At {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("at")
    }

    fn address(&self) -> Option<String> {
        Some(self.0.to_owned())
    }

    async fn respond(&self, _: &Request, _: &Call) -> Result<Reply, AgentError> {
        sleep(ms(100)).await;
        Ok(Reply::text("Hello."))
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_are_sent_nothing() {
    let (store, manifest) = publish().await;
    let stranger = At("http://10.1.2.3:8000/v1/chat/completions");
    let subject = Subject::new(&manifest, &store).with_agent(&stranger);
    let error = load().validate(&subject, &Run::new(7)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Misconfigured { field: "allow_hosts", why, .. } if why.contains("10.1.2.3")),
        "{error}"
    );
    let allowed = Load { allow_hosts: ["10.1.2.3".to_owned()].into(), ..load() };
    assert_eq!(verdict(allowed, &stranger).await, Verdict::Pass);
    assert_eq!(verdict(load(), &At("http://127.0.0.1:1/v1")).await, Verdict::Pass);
}

#[test]
fn suites_name_it_and_typos_are_refused() {
    let suite =
        |more: &str| Suite::from_toml(&format!("[[checks]]\nkind = \"load\"\nprompts = [\"Hello\"]\n{more}"));
    suite(
        r#"
arrivals = "constant"
stages = [{ rate = 1, to = 10, duration = "1m" }, { rate = 10, duration = "4m" }]
warmup = "20s"
in_flight = 64
limits = [{ of = "ttft", quantile = 0.95, max = "500ms" }, { quantile = 0.99, max = "8s" }]
max_errors = 0.01
abort = { errors = 0.3, p99 = "20s" }
allow_hosts = ["staging.internal"]
"#,
    )
    .unwrap();
    let refused = |more: &str| suite(more).unwrap_err().to_string();
    assert!(refused("rat = 3").contains("rate"));
    assert!(refused("rate = 0").contains("sends nothing"));
    assert!(refused("duration = \"0s\"").contains("duration"));
    assert!(refused("limits = [{ quantile = 1.0, max = \"1s\" }]").contains("quantile"));
    assert!(refused("limits = [{ of = \"tpott\", quantile = 0.9, max = \"1s\" }]").contains("tpot"));
    assert!(refused("abort = { errors = 30 }").contains("abort"));
    assert!(refused("max_errors = 0.0").contains("point"));
    assert!(refused("goodput = 1.0").contains("goodput"));
    let sequential = refused("rule = { sequential = { good = 0.99 } }");
    assert!(sequential.contains("checks[0].rule") && sequential.contains("\"bound\""), "{sequential}");
}

#[tokio::test]
async fn a_rule_of_trials_one_after_another_is_refused_before_anything_is_sent() {
    let (store, manifest) = publish().await;
    let agent = At("http://127.0.0.1:1/v1");
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let rule = Rule::Sequential { good: 0.99, beta: 0.05, most: 100 };
    let error = Load { rule, ..load() }.validate(&subject, &Run::new(7)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Misconfigured { field: "rule", why, .. } if why.contains("overlap")),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_halfway_of_a_hopeless_error_is_no_pass() {
    let asked = Arc::new(AtomicU64::new(0));
    let agent = FnAgent::new("paid out", move |_| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            sleep(ms(100)).await;
            let agent = AgentId::new("paid out");
            match number {
                0..700 => Ok(Reply::text("Hello.")),
                700 => Err(AgentError::Refused { agent, status: 402, why: "no credit".to_owned() }),
                // Those that were under way fail otherwise, and later.
                _ => Err(AgentError::TimedOut { agent, waited: ms(100) }),
            }
        }
    });
    let load = Load { warmup: Duration::ZERO, ..load() };
    let requests = load.requests(7);
    let run = Run::new(7);
    let prompts = Prompts::new("load", &agent, &requests, &run);
    let measured = drive(&load.plan(7), &prompts, Duration::MAX, &mut |_| {}).await;
    assert!(measured.flaw().is_some_and(|flaw| flaw.contains("402")), "{:?}", measured.flaw());
    let verdict = load.judge(&measured).verdict;
    assert!(
        matches!(&verdict, Verdict::Inconclusive(Reason::Denied { what }) if what.contains("402")),
        "{verdict:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_only_when_it_was_asked_again_has_failed() {
    let agent = FnAgent::new("stubborn", |_| async {
        sleep(ms(100)).await;
        let mut reply = Reply::text("Hello.");
        reply.retries = 1;
        Ok(reply)
    });
    let report =
        report(Load { abort: Abort { errors: None, p99: None }, ..load() }, &agent, Run::new(7)).await;
    assert_eq!(report.verdict(), Verdict::Fail, "{report}");
    assert!(report.findings[0].cases[0].input.contains("asked again"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_nothing_is_none() {
    let silent = FnAgent::new("silent", |_| async {
        sleep(ms(100)).await;
        let mut reply = Reply::text(" \n").with_finish_reason("content_filter");
        reply.reasoning = Some(String::new());
        Ok(reply)
    });
    assert_ne!(verdict(load(), &silent).await, Verdict::Pass);
}
