//! 10 000 resamples of the mean difference of 10 000 cases, beside numpy's.
//!
//! Every figure is a median over rounds, and in brackets the best of them. In each round both take the same new
//! values, one after the other, in an order that alternates. The bounds that both find must agree within a twentieth
//! of the width of the interval, which is what chance leaves.
//!
//! `TIDEGATE_BENCH_ROUNDS` sets the rounds, 9 otherwise. numpy is left out unless `TIDEGATE_BENCH_TOOLS` names
//! a directory with a Python that has it:
//!
//! ```sh
//! python3 -m venv target/tools
//! target/tools/bin/pip install numpy
//! TIDEGATE_BENCH_TOOLS=$PWD/target/tools/bin cargo bench -p tidegate-validation --bench bootstrap
//! ```
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

#[path = "../../benches/figures/mod.rs"]
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
use tidegate_validation::statistics::{Bootstrap, Cluster};

use self::figures::{Figure, Sheet};

const CASES: usize = 10_000;
const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 10_000, seed: 7 };

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let rounds = std::env::var("TIDEGATE_BENCH_ROUNDS").map_or(Ok(9), |number| number.parse())?;
    let rounds = if in_earnest { rounds } else { 1 };
    let mut numpy = match std::env::var_os("TIDEGATE_BENCH_TOOLS") {
        Some(tools) => Some(Numpy::start(Path::new(&tools))?),
        None => {
            println!("without numpy: set TIDEGATE_BENCH_TOOLS to a directory with a python that has it");
            None
        }
    };
    let mut rng = Rng::with_seed(7);
    let (mut once, mut repeated, mut theirs) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        let differences: Vec<f64> = (0..CASES).map(|_| rng.f64() - rng.f64() + 0.02).collect();
        let mut of_numpy = None;
        if let Some(numpy) = numpy.as_mut().filter(|_| round % 2 == 0) {
            of_numpy = Some(numpy.resample(&differences)?);
        }
        let (took, bounds) = timed(|| {
            let means = BOOTSTRAP.mean(differences.iter().map(|d| Cluster { sum: *d, count: 1 }))?;
            means.bca(0.95)?;
            means.percentile(0.95)
        });
        once.push(took);
        if let Some(numpy) = numpy.as_mut().filter(|_| round % 2 == 1) {
            of_numpy = Some(numpy.resample(&differences)?);
        }
        let (least, most) = bounds.context("differences vary")?;
        if let Some((took, their_least, their_most)) = of_numpy {
            theirs.push(took);
            let off = (least - their_least).abs().max((most - their_most).abs());
            ensure!(
                off < (most - least) / 20.0,
                "{least} to {most}, but of numpy {their_least} to {their_most}"
            );
        }
        let clusters = differences.iter().zip(1..).map(|(d, i)| Cluster { sum: *d, count: 1 + i % 3 });
        repeated.push(timed(|| BOOTSTRAP.mean(clusters.clone())).0);
    }
    println!("{} resamples of {CASES} cases, medians of {rounds} rounds (best):", BOOTSTRAP.resamples);
    print("one value a case", &mut once);
    print("repeats, unequal", &mut repeated);
    if !theirs.is_empty() {
        print("numpy", &mut theirs);
        println!(
            "  {:.1} times as long ({:.1})",
            theirs[theirs.len() / 2] / once[once.len() / 2],
            theirs[0] / once[0]
        );
    }
    if !in_earnest {
        return Ok(());
    }
    let mut sheet = Sheet::of("bootstrap");
    let mut figure = Figure::of(once[once.len() / 2]);
    if !theirs.is_empty() {
        figure = figure.beside(theirs[theirs.len() / 2]);
    }
    sheet.say("10 000 resamples of the mean difference of 10 000 cases, and its bounds", figure);
    sheet.close()
}

fn print(what: &str, seconds: &mut [f64]) {
    seconds.sort_by(f64::total_cmp);
    println!("  {what:<16} {:6.3} s ({:.3})", seconds[seconds.len() / 2], seconds[0]);
}

/// Seconds, and what came of it.
fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let outcome = black_box(run());
    (start.elapsed().as_secs_f64(), outcome)
}

/// A process that resamples what it is sent.
struct Numpy {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Numpy {
    fn start(tools: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bootstrap.py");
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

    /// Seconds, and the bounds.
    fn resample(&mut self, values: &[f64]) -> Result<(f64, f64, f64)> {
        self.to.write_all(&(values.len() as u64).to_le_bytes())?;
        let bytes: Vec<u8> = values.iter().copied().flat_map(f64::to_le_bytes).collect();
        self.to.write_all(&bytes).context("python ended early: does it have numpy?")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        let mut numbers = answer.split_whitespace().map(str::parse);
        let mut next = || numbers.next().context("python ended early: does it have numpy?");
        Ok((next()??, next()??, next()??))
    }
}

impl Drop for Numpy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
