//! PSI, Kolmogorov–Smirnov, Wasserstein-1 and Jensen–Shannon of 20 columns of 1 000 000 rows on either side, beside
//! SciPy's and evidently's.
//!
//! Columns are normal, exponential, uniform, lognormal or rounded to hundredths in turn, and the current ones have
//! drifted a little. All take the same values of one column, one after the other, in an order that changes from column
//! to column. Ours are summarised and compared, in one thread; evidently's tests are called themselves, without the
//! report around them. Figures must agree: PSI and Jensen–Shannon with SciPy's over the same deciles and with
//! evidently's over its bins, D within what the summary says it may be off.
//!
//! `TIDEGATE_BENCH_COLUMNS` sets the columns. SciPy and evidently are left out unless `TIDEGATE_BENCH_TOOLS` names
//! a directory with a Python that has them:
//!
//! ```sh
//! python3 -m venv target/tools
//! target/tools/bin/pip install scipy evidently 'pandas<3'
//! TIDEGATE_BENCH_TOOLS=$PWD/target/tools/bin cargo bench -p tidegate-validation --bench drift
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
use tidegate_validation::drift::{Binning, Gaps, Histogram, NumericColumn};

use self::figures::{Figure, Sheet};

const ROWS: usize = 1_000_000;

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let columns = std::env::var("TIDEGATE_BENCH_COLUMNS").map_or(Ok(20), |number| number.parse())?;
    let (columns, rows) = if in_earnest { (columns, ROWS) } else { (5, 1_000) };
    let mut python = match std::env::var_os("TIDEGATE_BENCH_TOOLS") {
        Some(tools) => Some(Python::start(Path::new(&tools))?),
        None => {
            println!(
                "without SciPy and evidently: set TIDEGATE_BENCH_TOOLS to a directory with a python that has them"
            );
            None
        }
    };
    if let Some(python) = &mut python {
        // Modules are loaded before anything is measured.
        let (few, _) = column(0, 100, &mut Rng::with_seed(7));
        python.compare(b's', &few, &few)?;
        python.compare(b'e', &few, &few)?;
    }
    let mut rng = Rng::with_seed(7);
    let (mut ours, mut scipy, mut evidently, mut parts) = (vec![], vec![], vec![], [0.0; 2]);
    for number in 0..columns {
        let (reference, current) = column(number, rows, &mut rng);
        let mut figures = None;
        for turn in 0..3 {
            match ((turn + number) % 3, &mut python) {
                (0, _) => {
                    let (took, summaries) = timed(|| (summary(&reference), summary(&current)));
                    parts[0] += took;
                    let (took_too, compared) = timed(|| {
                        let histogram = Histogram::of_numbers(&summaries.0, &summaries.1, Binning::Deciles);
                        (Gaps::between(&summaries.0, &summaries.1), histogram)
                    });
                    parts[1] += took_too;
                    ours.push(took + took_too);
                    figures = Some((
                        compared.0.context("there are rows")?,
                        compared.1.context("there are rows")?,
                        summaries,
                    ));
                }
                (1, Some(python)) => scipy.push(python.compare(b's', &reference, &current)?),
                (_, Some(python)) => evidently.push(python.compare(b'e', &reference, &current)?),
                (_, None) => {}
            }
        }
        let (gaps, histogram, summaries) = figures.context("each column is compared")?;
        if let (Some(theirs), Some(others)) = (scipy.last(), evidently.last()) {
            let [_, psi, ks, wasserstein, jensen_shannon] = *theirs;
            near("PSI", histogram.psi(), psi, 0.01)?;
            near("Jensen-Shannon", histogram.jensen_shannon_nats(), jensen_shannon, 0.01)?;
            near("Wasserstein", gaps.wasserstein, wasserstein, 0.01)?;
            let missed = ks - gaps.kolmogorov_smirnov;
            ensure!(
                (-1e-12..=gaps.rank_error).contains(&missed),
                "D is {ks} and not {}",
                gaps.kolmogorov_smirnov
            );
            let [_, psi, _, normed, jensen_shannon] = *others;
            let binned = Histogram::of_numbers(&summaries.0, &summaries.1, Binning::Evidently)
                .context("there are rows")?;
            near("evidently's PSI", binned.psi(), psi, 0.02)?;
            near("evidently's Jensen-Shannon", binned.jensen_shannon_nats(), jensen_shannon, 0.02)?;
            near("evidently's Wasserstein", gaps.wasserstein_normed, normed, 0.01)?;
        }
    }
    println!("{columns} columns of 2 × {rows} rows, a median column (best):");
    let own = print("tidegate", &mut ours, None);
    println!(
        "    summarise {:.0} %, compare {:.0} %",
        parts[0] / (parts[0] + parts[1]) * 100.0,
        parts[1] / (parts[0] + parts[1]) * 100.0
    );
    let mut sheet = Sheet::of("drift");
    for (name, theirs, what) in [
        ("SciPy", scipy, "drift of a column, 2 × 1 000 000 rows, beside SciPy's"),
        ("evidently", evidently, "drift of a column, 2 × 1 000 000 rows, beside evidently's"),
    ] {
        let mut figure = Figure::of(own.0);
        if !theirs.is_empty() {
            let mut seconds = theirs.iter().map(|figures| figures[0]).collect::<Vec<_>>();
            figure = figure.beside(print(name, &mut seconds, Some(own)).0);
        }
        sheet.say(what, figure);
    }
    if in_earnest { sheet.close() } else { Ok(()) }
}

/// A reference and a current column, of a kind that goes by the number.
fn column(number: usize, rows: usize, rng: &mut Rng) -> (Vec<f64>, Vec<f64>) {
    let mut draw = |shift: f64, scale: f64| -> Vec<f64> {
        let mut normal =
            || (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
        (0..rows)
            .map(|_| match number % 5 {
                0 => shift + scale * normal(),
                1 => -scale * (1.0 - normal().abs() / 9.0).ln() + shift,
                2 => 40.0 + shift + scale * (normal() * 1e6).fract(),
                3 => (shift + scale * normal()).exp(),
                _ => ((shift + scale * normal()) * 100.0).round() / 100.0,
            })
            .collect()
    };
    (draw(0.0, 1.0), draw(0.05, 1.1))
}

fn summary(values: &[f64]) -> NumericColumn {
    let mut column = NumericColumn::new();
    column.extend(values.iter().copied());
    column
}

fn near(what: &str, ours: f64, theirs: f64, by: f64) -> Result<()> {
    ensure!((ours - theirs).abs() <= by * theirs.abs(), "{what} is {theirs} and not {ours}");
    Ok(())
}

/// The median seconds.
fn print(what: &str, seconds: &mut [f64], own: Option<(f64, f64)>) -> (f64, f64) {
    seconds.sort_by(f64::total_cmp);
    let (median, best) = (seconds[seconds.len() / 2], seconds[0]);
    print!("  {what:<10} {median:6.3} s ({best:.3})");
    match own {
        Some((own_median, own_best)) => {
            println!(", {:.1} times as long ({:.1})", median / own_median, best / own_best);
        }
        None => println!(),
    }
    (median, best)
}

/// Seconds, and what came of it.
fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let outcome = black_box(run());
    (start.elapsed().as_secs_f64(), outcome)
}

/// A process that compares what it is sent.
struct Python {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start(tools: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/drift.py");
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

    /// Seconds; PSI, Kolmogorov–Smirnov, Wasserstein and Jensen–Shannon as this way of comparing has them.
    fn compare(&mut self, way: u8, reference: &[f64], current: &[f64]) -> Result<[f64; 5]> {
        self.to.write_all(&[way])?;
        self.to.write_all(&(reference.len() as u64).to_le_bytes())?;
        let bytes: Vec<u8> = [reference, current].concat().into_iter().flat_map(f64::to_le_bytes).collect();
        self.to.write_all(&bytes).context("python ended early: does it have scipy and evidently?")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        let numbers: Vec<f64> = answer.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        numbers.try_into().ok().context("python ended early: does it have scipy and evidently?")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
