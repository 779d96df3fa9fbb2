//! 1 000 cases that cost nothing to answer, beside promptfoo's and Inspect's: what is left is the runner.
//!
//! Each measurement is a process of its own, which reads the dataset from a file, asks a model that echoes, checks each
//! answer by one assertion and says a verdict; counted are the CPU time of all its threads, in and below the kernel,
//! and the most memory that was resident. Ours is run twice: in memory, and with each trial written to a record. Figures
//! are medians over rounds, and in brackets the best; the tools take turns within a round.
//!
//! `TIDEGATE_BENCH_ROUNDS` sets the rounds, 5 otherwise. The others are left out unless `TIDEGATE_BENCH_TOOLS` names
//! a directory with a Python that has Inspect, and `TIDEGATE_BENCH_PROMPTFOO` the program:
//!
//! ```sh
//! python3 -m venv target/tools
//! target/tools/bin/pip install inspect-ai
//! npm install --prefix target/promptfoo promptfoo
//! TIDEGATE_BENCH_TOOLS=$PWD/target/tools/bin \
//!     TIDEGATE_BENCH_PROMPTFOO=$PWD/target/promptfoo/node_modules/.bin/promptfoo \
//!     cargo bench -p tidegate-validation --bench cases
//! ```
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

#[path = "../../benches/figures/mod.rs"]
mod figures;

use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use tidegate_registry::{Content, Draft, InMemory, ModelStore as _, Stamp};
use tidegate_validation::{
    FnAgent, Record, Reply, Rule, Run, Subject, Suite, checks::Cases, dataset::Dataset,
};

use self::figures::{Figure, Sheet};

const CASES: usize = 1_000;
/// What a child is told by: a directory, and whether it keeps a record.
const CHILD: &str = "TIDEGATE_BENCH_CHILD";
const RECORD: &str = "TIDEGATE_BENCH_RECORD";

/// What a process took.
#[derive(Clone, Copy, Debug)]
struct Took {
    /// Seconds of CPU.
    cpu: f64,
    /// Bytes.
    memory: f64,
}

fn main() -> Result<()> {
    if let Some(directory) = std::env::var_os(CHILD) {
        return child(Path::new(&directory), std::env::var_os(RECORD).is_some());
    }
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let rounds = std::env::var("TIDEGATE_BENCH_ROUNDS").map_or(Ok(5), |number| number.parse())?;
    let rounds = if in_earnest { rounds } else { 1 };
    let directory = tempfile::tempdir()?;
    let line = |n: usize| {
        format!(
            "{{\"id\": \"{n}\", \"input\": \"case {n}\", \"target\": \"case {n}\", \"assert\": [{{\"kind\": \"contains\"}}]}}\n"
        )
    };
    fs::write(directory.path().join("cases.jsonl"), (0..CASES).map(line).collect::<String>())?;
    let tools = std::env::var_os("TIDEGATE_BENCH_TOOLS");
    let promptfoo = std::env::var_os("TIDEGATE_BENCH_PROMPTFOO");
    let (mut plain, mut recorded, mut inspect, mut others) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        plain.push(ours(directory.path(), false)?);
        if let Some(tools) = &tools {
            inspect.push(theirs(Path::new(tools), &["inspect"], directory.path())?);
        }
        recorded.push(ours(directory.path(), true)?);
        if let (Some(tools), Some(program)) = (&tools, &promptfoo) {
            let program = program.to_str().context("the path of promptfoo is text")?;
            others.push(theirs(Path::new(tools), &["promptfoo", program], directory.path())?);
        }
    }
    println!("{CASES} cases that cost nothing, medians of {rounds} rounds (best):");
    let ours = print("tidegate", &mut plain);
    print("tidegate, recorded", &mut recorded);
    let mut sheet = Sheet::of("cases");
    for (what, took) in [("Inspect", &mut inspect), ("promptfoo", &mut others)] {
        let theirs = if took.is_empty() {
            println!("  without {what}: see the head of this file");
            None
        } else {
            Some(print(what, took))
        };
        let (of_cpu, of_memory) = match what {
            "Inspect" => (
                "1 000 cases that cost nothing to answer, processor time beside Inspect's",
                "1 000 cases that cost nothing to answer, memory beside Inspect's",
            ),
            _ => (
                "1 000 cases that cost nothing to answer, processor time beside promptfoo's",
                "1 000 cases that cost nothing to answer, memory beside promptfoo's",
            ),
        };
        for (figure, measure) in
            [(of_cpu, (|took| took.cpu) as fn(Took) -> f64), (of_memory, |took| took.memory)]
        {
            let own = Figure::of(measure(ours));
            sheet.say(figure, theirs.map_or(own, |theirs| own.beside(measure(theirs))));
        }
    }
    if in_earnest { sheet.close() } else { Ok(()) }
}

/// Gives the medians.
fn print(what: &str, took: &mut [Took]) -> Took {
    let of = |measure: fn(&Took) -> f64, took: &mut [Took]| {
        took.sort_by(|a, b| measure(a).total_cmp(&measure(b)));
        (measure(&took[took.len() / 2]), measure(&took[0]))
    };
    let (cpu, best) = of(|took| took.cpu, took);
    let (memory, least) = of(|took| took.memory / 1e6, took);
    println!("  {what:<18} {cpu:7.3} s CPU ({best:.3}), {memory:6.1} MB ({least:.1})");
    Took { cpu, memory: memory * 1e6 }
}

/// What a run of this program took.
fn ours(directory: &Path, record: bool) -> Result<Took> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(CHILD, directory).stderr(Stdio::inherit());
    if record {
        command.env(RECORD, "1");
    }
    said(&command.output()?.stdout)
}

/// What a run of another runner took.
fn theirs(tools: &Path, arguments: &[&str], directory: &Path) -> Result<Took> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cases.py");
    let mut command = Command::new(tools.join("python"));
    command.arg(script).args(arguments).arg(directory).stderr(Stdio::inherit());
    said(&command.output().with_context(|| format!("no python in {}", tools.display()))?.stdout)
}

/// Seconds of CPU and bytes, as a child says them in its last line.
fn said(out: &[u8]) -> Result<Took> {
    let text = std::str::from_utf8(out)?;
    let last = text.lines().last().context("a child says what it took")?;
    let (cpu, memory) = last.split_once(' ').with_context(|| format!("{last} is what a child took"))?;
    Ok(Took { cpu: cpu.parse()?, memory: memory.parse()? })
}

/// The run that is measured.
fn child(directory: &Path, record: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let dataset = Dataset::open(directory.join("cases.jsonl"), &Default::default())?;
        let suite = Suite::new("s").with(Cases { floor: 1.0, rule: Rule::Point, ..Cases::new(dataset) });
        let echo = FnAgent::new("echo", |request| {
            let text = request.prompt().to_owned();
            async move { Ok(Reply::text(text)) }
        });
        let store = InMemory::new();
        let files = Content::bytes([("model.bin".parse()?, "weights".into())]);
        let manifest = store.publish(Draft::new("m@1.0.0".parse()?, Stamp::now("bench")), files, &()).await?;
        let mut run = Run::new(7).concurrency(NonZeroUsize::new(20).context("20 is not 0")?);
        let place = directory.join("record.jsonl");
        if record {
            run = run.record(Record::at(&place));
        }
        let report = suite.run(&Subject::new(&manifest, &store).with_agent(&echo), &run).await;
        ensure!(report.accepted() && report.findings[0].evidence[0].n == CASES as u64, "{report}");
        if record {
            fs::remove_file(place)?;
        }
        anyhow::Ok(())
    })?;
    println!("{} {}", cpu()?, memory()?);
    Ok(())
}

/// Seconds of CPU that this process took: fields 14 and 15 of its `stat`, in hundredths.
fn cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(") ").context("a stat has a name in brackets")?.1;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// Bytes that were resident at most.
fn memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
}
