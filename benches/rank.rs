//! The rank test on 2 × 10 000 values beside SciPy's, and the shift that goes with it.
//!
//! Every figure is a median over rounds. In each round both take the same new values, one after the other, in
//! an order that alternates, so neither has seen them before; SciPy's process has long started and has tested
//! something. The chances that both find must agree in nine digits.
//!
//! `TIDEGATE_BENCH_ROUNDS` sets the rounds, 51 otherwise. SciPy is left out unless `TIDEGATE_BENCH_TOOLS` names
//! a directory with a Python that has it:
//!
//! ```sh
//! python3 -m venv target/tools
//! target/tools/bin/pip install scipy
//! TIDEGATE_BENCH_TOOLS=target/tools/bin cargo bench --bench rank
//! ```
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

mod figures;

use std::{
    hint::black_box,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use tidegate::metrics::statistics::{hodges_lehmann, mann_whitney, shift_interval};

use self::figures::{Figure, Sheet, Spread};

/// Values on a side.
const VALUES: usize = 10_000;

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let rounds = std::env::var("TIDEGATE_BENCH_ROUNDS").map_or(Ok(51), |number| number.parse())?;
    let rounds = if in_earnest { rounds } else { 1 };
    let mut scipy = match std::env::var_os("TIDEGATE_BENCH_TOOLS") {
        Some(tools) => Some(SciPy::start(Path::new(&tools))?),
        None => {
            println!("without SciPy: set TIDEGATE_BENCH_TOOLS to a directory with a python that has it");
            None
        }
    };
    // What a latency is measured to makes it either unique or one of many that are tied.
    let medians = [
        report("no ties", rounds, |latency| latency, scipy.as_mut())?,
        report("many ties", rounds, |latency| (latency * 1e3).ceil() / 1e3, scipy.as_mut())?,
    ];
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("rank");
    let what = "Mann–Whitney, 2 × 10 000 values, without ties and with many";
    let ours = Figure::of(Spread::of(medians.map(|(ours, _)| ours / 1e3)));
    let theirs: Option<Vec<_>> = medians.iter().map(|(ours, theirs)| Some((*ours, (*theirs)?))).collect();
    sheet.say(
        what,
        match theirs {
            Some(both) => ours
                .beside(Spread::of(both.iter().map(|(_, theirs)| theirs / 1e3)))
                .ratio(Spread::of(both.iter().map(|(ours, theirs)| ours / theirs))),
            None => ours,
        },
    );
    sheet.close()
}

/// Prints what a round took, for latencies as they are seen through `measured`; gives the milliseconds of the test and of SciPy's.
fn report(
    name: &str,
    rounds: usize,
    measured: fn(f64) -> f64,
    mut scipy: Option<&mut SciPy>,
) -> Result<(f64, Option<f64>)> {
    let mut rng = Rng::with_seed(7);
    let (mut test, mut shift, mut interval, mut theirs) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let mut side = |mean: f64| (0..VALUES).map(|_| measured(-mean * (1.0 - rng.f64()).ln())).collect();
        let (candidate, baseline): (Vec<f64>, Vec<f64>) = (side(0.204), side(0.2));
        let mut of_scipy = None;
        if let Some(scipy) = scipy.as_deref_mut().filter(|_| round % 2 == 0) {
            of_scipy = Some(scipy.test(&candidate, &baseline)?);
        }
        let (took, ours) = timed(|| mann_whitney(&candidate, &baseline));
        test.push(took);
        let p = ours.context("all latencies are finite")?.p_two_sided;
        if let Some(scipy) = scipy.as_deref_mut().filter(|_| round % 2 == 1) {
            of_scipy = Some(scipy.test(&candidate, &baseline)?);
        }
        if let Some((took, their_p)) = of_scipy {
            theirs.push(took);
            ensure!((p / their_p - 1.0).abs() < 1e-9, "the chance is {p}, but SciPy's is {their_p}");
        }
        shift.push(timed(|| hodges_lehmann(&candidate, &baseline)).0);
        interval.push(timed(|| shift_interval(&candidate, &baseline, 0.95)).0);
    }
    let (test, shift, interval) = (median(test), median(shift), median(interval));
    println!("2 × {VALUES} values, {name}, medians of {rounds} rounds:");
    println!("  mann_whitney   {test:8.3} ms");
    let theirs = (!theirs.is_empty()).then(|| median(theirs));
    if let Some(theirs) = theirs {
        println!("  SciPy          {theirs:8.3} ms, {:.1} times as long, same chance", theirs / test);
    }
    println!("  hodges_lehmann {shift:8.3} ms");
    println!("  shift_interval {interval:8.3} ms");
    Ok((test, theirs))
}

/// Milliseconds, and what came of it.
fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let outcome = black_box(run());
    (start.elapsed().as_secs_f64() * 1e3, outcome)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A process that tests what it is sent.
struct SciPy {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl SciPy {
    fn start(tools: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rank.py");
        let mut process = Command::new(tools.join("python"))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("no python in {}", tools.display()))?;
        let to = process.stdin.take().context("it is piped")?;
        let from = BufReader::new(process.stdout.take().context("it is piped")?);
        Ok(Self { process, to, from })
    }

    /// Milliseconds, and the chance.
    fn test(&mut self, first: &[f64], second: &[f64]) -> Result<(f64, f64)> {
        self.to.write_all(&(first.len() as u64).to_le_bytes())?;
        let bytes: Vec<u8> = [first, second].concat().into_iter().flat_map(f64::to_le_bytes).collect();
        self.to.write_all(&bytes).context("python ended early: does it have scipy?")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        let (seconds, chance) =
            answer.trim().split_once(' ').context("python ended early: does it have scipy?")?;
        Ok((seconds.parse::<f64>()? * 1e3, chance.parse()?))
    }
}

impl Drop for SciPy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
