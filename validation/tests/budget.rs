//! What a run may take is never overdrawn, however many ask at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod subject;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use proptest::{collection::vec, prelude::*};
use subject::publish;
use tidegate_validation::{
    AgentError, AgentId, Budget, Cached, FnAgent, Freshness, Message, Money, Outcome, Price, Reason, Reply,
    Report, Request, Role, Rule, Run, Shortage, Spending, Subject, Suite, Tokenizer, Unanswered, Verdict,
    checks::{Consistency, Latency, Tokens},
};
use tokio::time::sleep;

/// One token a word.
#[derive(Debug)]
struct Words;

impl Tokenizer for Words {
    fn count(&self, request: &Request) -> u64 {
        request.messages.iter().map(|message| message.content.split_whitespace().count() as u64).sum()
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// An agent that takes a token for each word and answers with as many as it is told, after as many seconds.
fn model(answers: Vec<u64>) -> (FnAgent, Arc<AtomicU64>) {
    let (taken, calls) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let agent = FnAgent::new("model", move |request| {
        let call = calls.fetch_add(1, Ordering::Relaxed) as usize;
        let output = answers[call % answers.len()];
        let input = Words.count(&request);
        count.fetch_add(input + output, Ordering::Relaxed);
        async move {
            sleep(Duration::from_secs(output)).await;
            Ok(Reply::text("ok").with_usage(input, output))
        }
    });
    (agent, taken)
}

async fn ask(run: &Run, agent: &FnAgent, max_tokens: u32) -> Result<Reply, Unanswered> {
    run.ask(agent, &Request::user("three words here").max_tokens(max_tokens), 0, Freshness::Any).await
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_at_once_overdraw_nothing() {
    let (agent, taken) = model(vec![10, 0, 3, 7]);
    let price = Price::per_million(money("1000000"), money("2000000"));
    for (budget, limit) in [
        (Budget::default().tokens(200), 200),
        (Budget::default().money(money("280")).price(price), 280),
        (Budget::default().calls(31).tokens(10_000), 10_000),
    ] {
        taken.store(0, Ordering::Relaxed);
        let run = Run::new(0).budget(budget.tokenizer(Words));
        let asked = join_all((0..100).map(|_| ask(&run, &agent, 10))).await;
        let answered = asked.iter().filter(|reply| reply.is_ok()).count();
        let spent = run.spent();
        assert_eq!(spent.tokens, taken.load(Ordering::Relaxed));
        assert!((15..=50).contains(&answered), "{answered}");
        assert!(spent.tokens <= limit && spent.money <= money("280"), "{spent:?}");
        assert_eq!(spent.calls, answered as u64);
        assert!(asked.iter().all(|reply| matches!(reply, Ok(_) | Err(Unanswered::Short(_)))));
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_give_back_is_waited_for() {
    // Set aside are 13 tokens a call, taken 3: of two at a time all twenty fit one after the other.
    let (agent, _) = model(vec![0]);
    let run = Run::new(0).budget(Budget::default().tokens(20 * 3 + 10).tokenizer(Words));
    let asked = join_all((0..21).map(|_| ask(&run, &agent, 10))).await;
    assert_eq!(asked.iter().filter(|reply| reply.is_ok()).count(), 20);
    let last = asked.into_iter().find_map(Result::err).unwrap();
    assert!(matches!(last, Unanswered::Short(Shortage::Tokens { need: 13, left: 10 })), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_several_threads_overdraw_nothing_and_none_is_forgotten() {
    for round in 0..50 {
        let agent = Arc::new(FnAgent::new("model", |_| async {
            tokio::task::yield_now().await;
            Ok(Reply::text("ok").with_usage(3, 1))
        }));
        // Two at a time have room, and after 99 too little is left for another.
        let run = Run::new(round).budget(Budget::default().tokens(99 * 4 + 12).tokenizer(Words));
        let calls = (0..100).map(|_| {
            let (run, agent) = (run.clone(), Arc::clone(&agent));
            tokio::spawn(async move { ask(&run, &agent, 10).await.is_ok() })
        });
        let calls = tokio::time::timeout(Duration::from_secs(60), join_all(calls)).await;
        let calls = calls.expect("nobody waits for ever");
        let answered = calls.into_iter().filter(|call| *call.as_ref().unwrap()).count();
        assert_eq!((answered, run.spent().tokens), (99, 396));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_stays_paid_for() {
    let (agent, _) = model(vec![1000]);
    let run = Run::new(0).budget(Budget::default().tokens(100).tokenizer(Words));
    let _ = tokio::time::timeout(Duration::from_secs(1), ask(&run, &agent, 50)).await;
    assert_eq!(run.spent().tokens, 53);
    assert!(matches!(
        ask(&run, &agent, 50).await,
        Err(Unanswered::Short(Shortage::Tokens { need: 53, left: 47 }))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_paid_for_where_it_may_have_to_be() {
    let errors: [fn(AgentId) -> AgentError; 4] = [
        |agent| AgentError::Refused { agent, status: 400, why: String::new() },
        |agent| AgentError::Unavailable { agent, why: String::new(), attempts: 1, source: None },
        |agent| AgentError::Interrupted { agent, why: String::new(), source: None },
        |agent| AgentError::Malformed { agent, why: String::new() },
    ];
    for (error, tokens) in errors.into_iter().zip([0, 0, 13, 13]) {
        let agent = FnAgent::new("away", move |_| async move { Err(error(AgentId::new("away"))) });
        let run = Run::new(0).budget(Budget::default().tokenizer(Words));
        assert!(matches!(ask(&run, &agent, 10).await, Err(Unanswered::Lost(_))));
        assert_eq!((run.spent().calls, run.spent().tokens), (1, tokens));
    }
    let run = Run::new(0).call_timeout(Duration::from_secs(5)).budget(Budget::default().tokenizer(Words));
    assert!(matches!(
        ask(&run, &model(vec![9]).0, 10).await,
        Err(Unanswered::Lost(AgentError::TimedOut { .. }))
    ));
    assert_eq!(run.spent().tokens, 13);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_more_than_it_may_is_asked_no_more() {
    let (agent, taken) = model(vec![500]);
    let run = Run::new(0).budget(Budget::default().tokens(100).tokenizer(Words)).call_timeout(Duration::MAX);
    assert!(ask(&run, &agent, 10).await.is_ok());
    assert!(matches!(ask(&run, &agent, 10).await, Err(Unanswered::Short(Shortage::Tokens { left: 0, .. }))));
    assert_eq!((run.spent().tokens, taken.load(Ordering::Relaxed)), (503, 503));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_bounded_is_not_sent() {
    let (agent, taken) = model(vec![1]);
    let price = Price::per_million(money("1"), money("1"));
    let unpriced = Budget::default().money(money("1")).price_of(AgentId::new("another"), price);
    let ask = |budget: Budget, request: Request| {
        let agent = &agent;
        async move { Run::new(0).budget(budget).ask(agent, &request, 0, Freshness::Any).await }
    };
    let bounded = Request::user("Hello").max_tokens(1);
    for (budget, request, said) in [
        (unpriced.clone(), bounded.clone(), "no price for model"),
        (Budget::default().tokens(1000), Request::user("Hello"), "max_tokens"),
        (Budget::default().money(money("1")).price(price), Request::user("Hello"), "max_tokens"),
    ] {
        let error = ask(budget, request).await.unwrap_err();
        let Unanswered::Lost(AgentError::Misconfigured { source, .. }) = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(said), "{source}");
    }
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    let priced = unpriced.price_of(AgentId::new("model"), price);
    assert!(ask(priced, bounded).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_missing_price_blocks_a_suite_before_its_first_call() {
    let (store, manifest) = publish().await;
    let (agent, taken) = model(vec![1]);
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let suite = Suite::new("s").with(Tokens { prompts: vec!["Hello".into(); 9], ..Tokens::default() });
    let report = suite.run(&subject, &Run::new(0).budget(Budget::default().money(money("1")))).await;
    assert!(!report.accepted() && report.to_string().contains("say one with `Budget::price`"), "{report}");
    assert_eq!((taken.load(Ordering::Relaxed), report.spent), (0, Spending::default()));
}

fn tokens_check(prompts: usize) -> Suite {
    let request = tidegate_validation::Sampling { max_tokens: 10, ..Default::default() };
    let prompts = vec!["Hello".to_owned(); prompts];
    Suite::new("s").with(Tokens { prompts, rule: Rule::Point, request, ..Tokens::default() })
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_the_end_is_kept_and_may_decide() {
    let (store, manifest) = publish().await;
    // Each takes 6 tokens; the last that is made leaves too little for the 11 that another may take.
    for (answer, verdict) in [(5, "inconclusive"), (0, "fail")] {
        let (agent, _) = model(vec![answer]);
        let subject = Subject::new(&manifest, &store).with_agent(&agent);
        let run = Run::new(0).budget(Budget::default().tokens((answer + 1) * 40 + 10).tokenizer(Words));
        let report: Report = tokens_check(50).run(&subject, &run).await;
        let finding = &report.findings[0];
        assert_eq!(finding.verdict.word(), verdict, "{report}");
        let unknown = finding.cases.iter().filter(|case| case.outcome == Outcome::Unknown).count();
        assert_eq!((finding.cases.len(), unknown), (50, 10));
        assert_eq!(report.spent.tokens, (answer + 1) * 40);
        if verdict == "inconclusive" {
            let reason = Reason::Budget(Shortage::Tokens { need: 11, left: 10 });
            assert_eq!(finding.verdict, Verdict::Inconclusive(reason));
            assert!(report.to_string().contains("allow more tokens or lower max_tokens"), "{report}");
        }
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}

#[tokio::test(start_paused = true)]
async fn each_run_of_a_suite_has_the_whole_budget() {
    let (store, manifest) = publish().await;
    let (agent, _) = model(vec![1]);
    let subject = Subject::new(&manifest, &store).with_agent(&agent);
    let run = Run::new(0).max_calls(5);
    for _ in 0..2 {
        assert_eq!(tokens_check(5).run(&subject, &run).await.spent.calls, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn remembered_answers_cost_nothing_and_are_counted() {
    let (store, manifest) = publish().await;
    let (agent, taken) = model(vec![1]);
    let cached = Cached::in_memory(agent, NonZeroUsize::new(1000).unwrap());
    let subject = Subject::new(&manifest, &store).with_agent(&cached);
    let prompts = vec!["Hello".to_owned()];
    let suite = tokens_check(30)
        .with(Consistency {
            prompts: prompts.clone(),
            repeats: 20,
            rule: Rule::Point,
            ..Consistency::default()
        })
        .with(Latency { prompts, calls: 20, warmup: 0, rule: Rule::Point, ..Latency::default() });
    let first = suite.run(&subject, &Run::new(0)).await;
    // The prompt that stands there 30 times was asked 30 times: those are repetitions.
    assert_eq!((first.spent.calls, taken.swap(0, Ordering::Relaxed)), (70, 140));
    let second = suite.run(&subject, &Run::new(0)).await;
    assert_eq!(
        (second.spent.calls, taken.load(Ordering::Relaxed)),
        (40, 80),
        "consistency and latency ask anew"
    );
    let remembered = |report: &Report| {
        report.findings.iter().map(|finding| finding.evidence[0].remembered).collect::<Vec<_>>()
    };
    assert_eq!((remembered(&first), remembered(&second)), (vec![0, 0, 0], vec![30, 0, 0]));
    assert!(second.to_string().contains("n = 30, 30 remembered"), "{second}");
}

#[tokio::test(start_paused = true)]
async fn time_is_a_part_of_the_budget() {
    let (agent, _) = model(vec![10]);
    let run =
        Run::new(0).deadline(Duration::from_secs(30)).budget(Budget::default().tokens(13).tokenizer(Words));
    // The second waits for what the first gives back, which is nothing, and then for nothing.
    let (first, second) = tokio::join!(ask(&run, &agent, 10), ask(&run, &agent, 10));
    assert!(first.is_ok());
    assert!(matches!(second, Err(Unanswered::Short(Shortage::Tokens { left: 0, .. }))), "{second:?}");
    let none = Run::new(0).deadline(Duration::ZERO);
    assert!(matches!(ask(&none, &agent, 10).await, Err(Unanswered::Short(Shortage::Time))));
    assert_eq!(none.spent(), Spending::default());
}

#[test]
fn the_default_tokenizer_counts_every_byte() {
    let budget = Budget::default().tokens(200);
    let run = Run::new(0).budget(budget);
    let (agent, _) = model(vec![1]);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let long = Request::user("x".repeat(200)).max_tokens(1).message(Message::new(Role::User, ""));
    let outcome = runtime.block_on(run.ask(&agent, &long, 0, Freshness::Any));
    assert!(
        matches!(outcome, Err(Unanswered::Short(Shortage::Tokens { need: 201.., left: 200 }))),
        "{outcome:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_callers_overdraw_whatever_they_take(
        limit in 0_u64..400,
        answers in vec(0_u64..30, 1..20),
        wanted in vec((1_u32..30, 0_u64..20), 1..60),
    ) {
        let (agent, _) = model(answers);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let run = Run::new(0).budget(Budget::default().tokens(limit).tokenizer(Words));
            let calls = wanted.iter().map(|&(max_tokens, pause)| {
                let (run, agent) = (&run, &agent);
                async move {
                    sleep(Duration::from_secs(pause)).await;
                    // A server that honours `max_tokens`.
                    let outcome = ask(run, agent, max_tokens.max(30)).await;
                    assert!(run.spent().tokens <= limit, "{:?} of {limit}", run.spent());
                    outcome
                }
            });
            let outcomes = tokio::time::timeout(Duration::from_secs(10_000), join_all(calls)).await;
            let outcomes = outcomes.expect("nobody waits for ever");
            let short = |outcome: &Result<_, _>| matches!(outcome, Err(Unanswered::Short(Shortage::Tokens { .. })));
            assert!(outcomes.iter().all(|outcome| outcome.is_ok() || short(outcome)));
        });
    }
}
