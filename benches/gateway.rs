//! What the embedded router costs a server: the same one with and without it, under `wrk`.
//!
//! Each round runs both next to each other, in an order that alternates. Throughput is measured with as many
//! connections as keep the server busy, the delay with one, where nothing queues. A round of either is 2 s,
//! `TIDEGATE_BENCH_ROUNDS` says how many there are, 7 otherwise. Needs `wrk` (Debian's package), or `WRK_BIN`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench takes its size from outside")]

mod figures;

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use axum::{Router, routing::get};
use tidegate::canary::{EmbeddedRouter, Fence, RouteId, Traffic, TrafficRouter as _, WallClock, Weight};
use tidegate::registry::Seq;
use tokio::{net::TcpListener, runtime::Builder};

use self::figures::{Figure, Sheet};

/// What a small classifier answers.
const ANSWER: &str = r#"{"model":"fraud","version":"1.1.0","label":"legitimate","score":0.9731}"#;

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let wrk = std::env::var("WRK_BIN").unwrap_or_else(|_| "wrk".to_owned());
    if Command::new(&wrk).arg("--version").output().is_err() {
        if in_earnest {
            return Sheet::of("gateway").rest("`wrk` cannot be run; install it, or set WRK_BIN to it");
        }
        eprintln!("left out: `{wrk}` cannot be run");
        return Ok(());
    }
    let rounds = std::env::var("TIDEGATE_BENCH_ROUNDS").map_or(Ok(7), |rounds| rounds.parse())?;
    let rounds = if in_earnest { rounds } else { 1 };

    // One thread for the server; the other core is the load's.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let plain = runtime.block_on(serve(|app| app))?;
    let route: RouteId = "serving/fraud".parse()?;
    let router = EmbeddedRouter::new(WallClock::system(), 7);
    let tenth = Traffic::split(Weight::percent(10).context("a percentage")?);
    runtime.block_on(router.apply(&route, &tenth, Fence::new(Seq::FIRST)))?;
    let split = runtime.block_on(serve(|app| app.layer(router.layer(&route))))?;

    println!("| | without | with a split of 10 % | | wanted |");
    println!("|---|--:|--:|--:|--:|");
    let mut busy = Vec::new();
    let mut quiet = Vec::new();
    for round in 0..rounds {
        let both = |connections| -> Result<(Load, Load)> {
            let load = |address| load(&wrk, address, connections);
            if round % 2 == 0 {
                let without = load(plain)?;
                Ok((without, load(split)?))
            } else {
                let with = load(split)?;
                Ok((load(plain)?, with))
            }
        };
        busy.push(both(32)?);
        quiet.push(both(1)?);
    }
    let of = |loads: &[(Load, Load)], what: fn(&Load) -> f64| {
        let without = median(loads.iter().map(|(without, _)| what(without)));
        let with = median(loads.iter().map(|(_, with)| what(with)));
        (without, with)
    };
    let (without, with) = of(&busy, |load| load.per_second);
    let ratio = median(busy.iter().map(|(without, with)| with.per_second / without.per_second));
    let mut sheet = Sheet::of("gateway");
    sheet.say(
        "a server behind the embedded router, with a split of 10 %, under `wrk`",
        Figure::of(with).beside(without).ratio(ratio),
    );
    println!("| requests a second, 32 connections | {without:.0} | {with:.0} | {ratio:.3} | ≥ 0.9 |");
    for (name, what, wanted) in [
        ("median, one connection", (|load| load.p50) as fn(&Load) -> f64, ""),
        ("p99, one connection", |load| load.p99, "< 100 µs more"),
    ] {
        let (without, with) = of(&quiet, what);
        let more = median(quiet.iter().map(|(without, with)| what(with) - what(without)));
        println!("| {name} | {without:.0} µs | {with:.0} µs | {more:+.0} µs | {wanted} |");
        if name.starts_with("p99") {
            sheet.say("p99 behind the embedded router, and not without it", Figure::of(more / 1e6));
        }
    }
    if in_earnest { sheet.close() } else { Ok(()) }
}

/// Serves on a port of its own until the end of the process.
async fn serve(around: impl FnOnce(Router) -> Router) -> Result<SocketAddr> {
    let app = around(Router::new().route("/", get(async || ANSWER)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// What `wrk` says of one load. Times are in microseconds.
struct Load {
    per_second: f64,
    p50: f64,
    p99: f64,
}

fn load(wrk: &str, address: SocketAddr, connections: u32) -> Result<Load> {
    let connections = format!("-c{connections}");
    let told = Command::new(wrk)
        .args(["-t1", &connections, "-d2s", "--latency", &format!("http://{address}/")])
        .output()
        .context("cannot run wrk")?;
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
    Ok(Load { per_second: after("Requests/sec:")?.parse()?, p50: time("50%")?, p99: time("99%")? })
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
