//! What the embedded router costs a server: the same one with and without it.
//!
//! Throughput is measured by `wrk`, with as many connections as keep the server busy, for 1 s of either. The delay is
//! measured where nothing queues, by one client that asks one of both and then the other, 4 000 times: what wakes a thread
//! of a virtual machine late now and then, for longer than any router takes, befalls either alike.
//!
//! Each round is a new process that serves both, and the order alternates: where a process happens to lie in memory can make
//! it faster or slower for as long as it lives (Mytkowicz et al., "Producing wrong data without doing anything obviously
//! wrong!", 2009), and two equal servers in one process came out up to 5 % apart, which is half of what is allowed here.
//! `TIDEGATE_BENCH_PROCESSES` says how many there are, 40 otherwise. Needs `wrk` (Debian's package), or `WRK_BIN`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench takes its size from outside")]

mod figures;

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use axum::{Router, routing::get};
use tidegate::canary::{EmbeddedRouter, Fence, RouteId, Traffic, TrafficRouter as _, WallClock, Weight};
use tidegate::registry::Seq;
use tidegate::validation::sample_rank;
use tokio::{net::TcpListener, runtime::Builder};

use self::figures::{Figure, Sheet};

/// What a small classifier answers.
const ANSWER: &str = r#"{"model":"fraud","version":"1.1.0","label":"legitimate","score":0.9731}"#;

/// Set for a process that serves.
const CHILD: &str = "TIDEGATE_BENCH_CHILD";

fn main() -> Result<()> {
    if std::env::var_os(CHILD).is_some() {
        return serve();
    }
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
    let rounds = std::env::var("TIDEGATE_BENCH_PROCESSES").map_or(Ok(40), |rounds| rounds.parse())?;
    let rounds = if in_earnest { rounds } else { 1 };

    let (mut busy, mut quiet) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let servers = Servers::start()?;
        let [plain, split] = servers.addresses;
        busy.push(if round % 2 == 0 {
            let without = per_second(&wrk, plain)?;
            (without, per_second(&wrk, split)?)
        } else {
            let with = per_second(&wrk, split)?;
            (per_second(&wrk, plain)?, with)
        });
        quiet.push(delays(servers.addresses, if in_earnest { 4_000 } else { 100 })?);
    }
    let mut sheet = Sheet::of("gateway");
    let without = median(busy.iter().map(|(without, _)| *without));
    let with = median(busy.iter().map(|(_, with)| *with));
    let ratio = median(busy.iter().map(|(without, with)| with / without));
    println!("| | without | with a split of 10 % | | wanted |");
    println!("|---|--:|--:|--:|--:|");
    println!("| requests a second, 32 connections | {without:.0} | {with:.0} | {ratio:.3} | ≥ 0.9 |");
    sheet.say(
        "a server behind the embedded router, with a split of 10 %, under `wrk`",
        Figure::of(with).beside(without).ratio(ratio),
    );

    for (name, quantile, wanted) in [("median", 0.5, ""), ("p99", 0.99, "< 100 µs more")] {
        let of = |delays: &[Duration]| {
            let rank = sample_rank(delays.len() as u64, quantile) as usize;
            delays[rank - 1].as_secs_f64() * 1e6
        };
        let without = median(quiet.iter().map(|[without, _]| of(without)));
        let with = median(quiet.iter().map(|[_, with]| of(with)));
        let more = median(quiet.iter().map(|[without, with]| of(with) - of(without)));
        println!("| {name}, one connection | {without:.0} µs | {with:.0} µs | {more:+.0} µs | {wanted} |");
        if name == "p99" {
            sheet.say("p99 that the embedded router adds, one connection", Figure::of(more / 1e6));
        }
    }
    if in_earnest { sheet.close() } else { Ok(()) }
}

/// Serves without the router and with it, says where, and ends when nobody listens any more.
fn serve() -> Result<()> {
    // One thread for the server; the other core is the load's.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let route: RouteId = "serving/fraud".parse()?;
    let router = EmbeddedRouter::new(WallClock::system(), 7);
    let tenth = Traffic::split(Weight::percent(10).context("a percentage")?);
    runtime.block_on(router.apply(&route, &tenth, Fence::new(Seq::FIRST)))?;
    let app = || Router::new().route("/", get(async || ANSWER));
    for app in [app(), app().layer(router.layer(&route))] {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        println!("{}", listener.local_addr()?);
        runtime.spawn(async move { axum::serve(listener, app).await });
    }
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// A process that serves without the router and with it, in this order.
struct Servers {
    process: Child,
    addresses: [SocketAddr; 2],
}

impl Servers {
    fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.env(CHILD, "serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(process.stdout.take().context("its output is taken")?).lines();
        let mut address = || -> Result<_> { Ok(said.next().context("the servers do not start")??.parse()?) };
        Ok(Self { addresses: [address()?, address()?], process })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What `wrk` says.
fn per_second(wrk: &str, address: SocketAddr) -> Result<f64> {
    let told = Command::new(wrk)
        .args(["-t1", "-c32", "-d1s", &format!("http://{address}/")])
        .output()
        .context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&told.stdout);
    ensure!(told.status.success(), "wrk failed: {}", String::from_utf8_lossy(&told.stderr));
    ensure!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "requests failed: {text}");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = line.with_context(|| format!("wrk does not say how many requests: {text}"))?;
    Ok(rate.trim().parse()?)
}

/// How long as many answers of either take, in the order of their length.
fn delays([plain, split]: [SocketAddr; 2], times: usize) -> Result<[Vec<Duration>; 2]> {
    let mut streams = [TcpStream::connect(plain)?, TcpStream::connect(split)?];
    let mut delays = [Vec::new(), Vec::new()];
    for _ in 0..times {
        for (stream, delays) in streams.iter_mut().zip(&mut delays) {
            delays.push(delay(stream)?);
        }
    }
    delays.iter_mut().for_each(|delays| delays.sort_unstable());
    Ok(delays)
}

/// How long one answer takes.
fn delay(stream: &mut TcpStream) -> Result<Duration> {
    let begin = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: fraud\r\n\r\n")?;
    let (mut answer, mut read) = ([0; 1 << 10], 0);
    while !answer[..read].ends_with(ANSWER.as_bytes()) {
        let more = stream.read(&mut answer[read..])?;
        ensure!(more > 0, "the server answers `{}`", String::from_utf8_lossy(&answer[..read]));
        read += more;
    }
    Ok(begin.elapsed())
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let (below, above) = ((numbers.len() - 1) / 2, numbers.len() / 2);
    numbers[below].midpoint(numbers[above])
}
