//! How many requests a second the generator sends, beside `wrk`, and what either says of a server that stands still.
//!
//! A server of one thread answers on loopback; the other core is the load's, as one thread. Each round asks `wrk`, with 32
//! connections that ask as fast as they are answered, then sends half as many again as it managed, of which 32 may be under
//! way, and asks `wrk` again. It does so for a plain `GET` and for a chat through an [`OpenAi`] agent, which `wrk` asks with
//! the same body. At last the server stands still for five seconds of twenty, and the 99th percentile of either is held
//! against what users of that rate wait in truth; `wrk` adds to its figure what it thinks that it has left out.
//!
//! `TIDEGATE_BENCH_ROUNDS` says how many rounds there are, 5 otherwise. Needs `wrk` (Debian's package), or `WRK_BIN`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench takes its size from outside")]

#[path = "../../benches/figures/mod.rs"]
mod figures;

use std::{
    io::Write as _,
    net::SocketAddr,
    num::NonZeroUsize,
    process::Command,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use axum::{
    Router,
    routing::{get, post},
};
use reqwest::Client;
use tidegate_validation::{
    OpenAi, Request, Run,
    load::{Arrivals, Destinations, Plain, Plan, Profile, Prompts, Target, drive},
    sample_rank,
};
use tokio::{net::TcpListener, runtime::Builder, time::Instant};

use self::figures::{Figure, Sheet};

/// What a small classifier answers, and what a chat does.
const ANSWER: &str = r#"{"model":"fraud","version":"1.1.0","label":"legitimate","score":0.9731}"#;
const CHAT: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"billing"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
const ASKED: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"I was charged twice"}],"max_tokens":16}"#;
/// Requests under way.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(32).expect("32 is not 0");
/// How long the server stands still, and from when.
const FREEZE: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let wrk = std::env::var("WRK_BIN").unwrap_or_else(|_| "wrk".to_owned());
    if Command::new(&wrk).arg("--version").output().is_err() {
        if in_earnest {
            return Sheet::of("load").rest("`wrk` cannot be run; install it, or set WRK_BIN to it");
        }
        eprintln!("left out: `{wrk}` cannot be run");
        return Ok(());
    }
    let rounds = std::env::var("TIDEGATE_BENCH_ROUNDS").map_or(Ok(5), |rounds| rounds.parse())?;
    let (rounds, seconds) = if in_earnest { (rounds, 2) } else { (1, 1) };

    let frozen = Arc::new(Mutex::new(None));
    let address = serve(Arc::clone(&frozen))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let plain = runtime.block_on(Destinations::here().find(&format!("http://{address}/")))?;
    let plain = Plain::get(&plain)?;
    let agent = OpenAi::new(Client::new(), &format!("http://{address}/v1"), "m")?;
    let (requests, run) = ([Request::user("I was charged twice").max_tokens(16)], Run::new(7));
    let prompts = Prompts::new("bench", &agent, &requests, &run);

    let script = std::env::temp_dir().join(format!("tidegate-wrk-{}.lua", std::process::id()));
    let mut file = std::fs::File::create(&script)?;
    writeln!(
        file,
        "wrk.method = 'POST'\nwrk.body = '{ASKED}'\nwrk.headers['Content-Type'] = 'application/json'"
    )?;
    let script = script.to_string_lossy();

    let mut sheet = Sheet::of("load");
    println!("| requests a second, medians of {rounds} | wrk | ours | share | wanted |");
    println!("|---|--:|--:|--:|--:|");
    for chat in [false, true] {
        let (name, target, path, script, wanted): (_, &dyn Target, _, _, _) = match chat {
            false => ("plain GET", &plain, "", None, "≥ 0.5"),
            true => ("chat through an agent", &prompts, "v1/chat/completions", Some(&*script), "≥ 0.5"),
        };
        let url = format!("http://{address}/{path}");
        let mut found = Vec::new();
        for _ in 0..rounds {
            let ask = || ask_wrk(&wrk, &url, script, CONNECTIONS.get(), seconds);
            let before = ask()?.per_second;
            let ours = most(&runtime, target, before, seconds)?;
            // Ours stands between two of theirs, and is compared with both.
            let theirs = before.midpoint(ask()?.per_second);
            found.push((theirs, ours));
        }
        let theirs = median(found.iter().map(|(theirs, _)| *theirs));
        let ours = median(found.iter().map(|(_, ours)| *ours));
        let share = median(found.iter().map(|(theirs, ours)| ours / theirs));
        println!("| {name} | {theirs:.0} | {ours:.0} | {share:.2} | {wanted} |");
        let what = match chat {
            false => {
                "plain requests that the load generator sends and a server on the same two cores answers"
            }
            true => "chats through an agent that the load generator sends and such a server answers",
        };
        sheet.say(what, Figure::of(ours).beside(theirs).ratio(share));
    }

    let (rate, seconds, freeze) = if in_earnest { (100.0, 20, FREEZE) } else { (50.0, 1, FREEZE / 10) };
    let still = |begin: Instant| Some((begin + freeze, begin + 2 * freeze));
    let plan = Plan::new(Profile::steady(Arrivals::Constant, rate, Duration::from_secs(seconds)), 7)
        .warmup(Duration::ZERO);
    let set = |at: Instant| *frozen.lock().unwrap_or_else(PoisonError::into_inner) = still(at);
    let measured = runtime.block_on(async {
        set(Instant::now());
        drive(&plan, &plain, Duration::MAX, &mut |_| {}).await
    });
    let mut waits: Vec<_> = plan
        .profile
        .schedule(7)
        .map(|at| if (freeze..2 * freeze).contains(&at) { 2 * freeze - at } else { Duration::ZERO })
        .collect();
    waits.sort_unstable();
    let truth = waits[sample_rank(waits.len() as u64, 0.99) as usize - 1].as_secs_f64();
    let ours = measured.scheduled_latency.quantile(0.99).context("requests were answered")?.as_secs_f64();
    set(Instant::now());
    let theirs = ask_wrk(&wrk, &format!("http://{address}/"), None, 10, seconds)?.p99 / 1e6;
    println!("\n| p99 of a server that stands still for {freeze:?} | seconds | off the truth | wanted |");
    println!("|---|--:|--:|--:|");
    println!("| in truth | {truth:.3} | | |");
    println!("| scheduled latency | {ours:.3} | {:.1} % | < 2 % |", (ours / truth - 1.0).abs() * 100.0);
    println!("| wrk, 10 connections | {theirs:.3} | {:.1} % | |", (theirs / truth - 1.0).abs() * 100.0);
    std::fs::remove_file(&*script)?;
    let off = |seconds: f64| (seconds / truth - 1.0).abs() * 100.0;
    sheet.say(
        "p99, as scheduled, of a server that freezes for 5 s of 20: off what users wait",
        Figure { ratio: None, ..Figure::of(off(ours)).beside(off(theirs)) },
    );
    if in_earnest { sheet.close() } else { Ok(()) }
}

/// Serves on a thread of its own until the end of the process; between the two times it answers nobody.
fn serve(frozen: Arc<Mutex<Option<(Instant, Instant)>>>) -> Result<SocketAddr> {
    let (say, said) = mpsc::channel();
    thread::spawn(move || -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let answer = move || {
                let still = *frozen.lock().unwrap_or_else(PoisonError::into_inner);
                async move {
                    if let Some((begin, end)) = still
                        && (begin..end).contains(&Instant::now())
                    {
                        tokio::time::sleep_until(end).await;
                    }
                    ANSWER
                }
            };
            let chat = async |_: String| ([("content-type", "application/json")], CHAT);
            let routes = Router::new().route("/", get(answer)).route("/v1/chat/completions", post(chat));
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            say.send(listener.local_addr()?)?;
            Ok(axum::serve(listener, routes).await?)
        })
    });
    said.recv().context("the server does not start")
}

/// How many requests a second are sent and answered where half as many again as `wrk` manages are due, and as many may be
/// under way as it has connections.
fn most(runtime: &tokio::runtime::Runtime, target: &dyn Target, theirs: f64, seconds: u64) -> Result<f64> {
    let profile = Profile::steady(Arrivals::Constant, 1.5 * theirs, Duration::from_secs(seconds));
    let plan = Plan::new(profile, 7).warmup(Duration::from_millis(200)).in_flight(CONNECTIONS);
    let measured = runtime.block_on(drive(&plan, target, Duration::MAX, &mut |_| {}));
    ensure!(measured.counts.failed == 0, "requests failed: {:?}", measured.failures);
    Ok(measured.counts.answered as f64 / measured.span.max(measured.sending).as_secs_f64())
}

/// What `wrk` says of one load. Times are in microseconds.
struct Load {
    per_second: f64,
    p99: f64,
}

fn ask_wrk(wrk: &str, url: &str, script: Option<&str>, connections: usize, seconds: u64) -> Result<Load> {
    let (connections, duration) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let mut command = Command::new(wrk);
    command.args(["-t1", &connections, &duration, "--timeout", "30s", "--latency"]);
    let told = command.args(script.iter().flat_map(|script| ["-s", script])).arg(url).output();
    let told = told.context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&told.stdout);
    ensure!(told.status.success(), "wrk failed: {}", String::from_utf8_lossy(&told.stderr));
    ensure!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "requests failed: {text}");
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim).with_context(|| format!("wrk does not say `{label}`: {text}"))
    };
    let time = |label| -> Result<f64> {
        let text = after(label)?;
        for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
            if let Some(number) = text.strip_suffix(unit) {
                return Ok(number.parse::<f64>()? * factor);
            }
        }
        bail!("`{text}` is no time");
    };
    Ok(Load { per_second: after("Requests/sec:")?.parse()?, p99: time("99%")? })
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
