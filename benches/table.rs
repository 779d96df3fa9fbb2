//! Runs the benches and makes one table of every figure that is promised, beside its yardstick: `benches/table --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "it passes its environment on")]

mod figures;

use std::{
    env, fs,
    io::{self, BufRead as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail, ensure};

use self::figures::{
    FIGURES, Outcome, Said,
    promised::{PROMISED, Program, RUNS, Run},
    row::Row,
    table,
};

const USAGE: &str = "\
usage: benches/table [--json | --write FILE] [RUN...]

Measures the figures of the named runs, all without any, and prints one table of them. With `--write` their rows are replaced
in FILE, between `<!-- figures -->` and `<!-- /figures -->`, and the others are left as they are; with `--json` it is one array.
A bench is named for all of its runs: `transfer` for `transfer-disk` and the others. `--list` says which there are, and what
each needs; what is not there is said in the row, and no older number takes its place. What benches say goes to standard error.

Exit status: 0, whether or not all is as good as wanted; 1 if a run failed; 2 if it was misused.";

#[derive(Default)]
struct Asked {
    json: bool,
    list: bool,
    write: Option<PathBuf>,
    runs: Vec<&'static Run>,
}

fn main() -> ExitCode {
    let asked = match asked(env::args().skip(1)) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("benches/table: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match table(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("benches/table: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Nothing if it was asked how it is used.
fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Option<Asked>> {
    let mut asked = Asked::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--json" => asked.json = true,
            "--list" => asked.list = true,
            "--write" => asked.write = Some(arguments.next().context("--write wants a file")?.into()),
            // Cargo says it to every bench.
            "--bench" => {}
            name => {
                let of = |run: &&Run| run.name == name || run.program == Program::Bench(bench(name));
                let before = asked.runs.len();
                asked.runs.extend(RUNS.iter().filter(of));
                ensure!(asked.runs.len() > before, "there is no run {name}");
            }
        }
    }
    ensure!(!(asked.json && asked.write.is_some()), "it is either --json or --write");
    if asked.runs.is_empty() {
        asked.runs.extend(RUNS);
    }
    Ok(Some(asked))
}

/// The name as the list has it, or one that it does not have.
fn bench(name: &str) -> &'static str {
    let names = RUNS.iter().map(|run| match run.program {
        Program::Bench(bench) | Program::Example(bench) => bench,
    });
    names.into_iter().find(|known| *known == name).unwrap_or_default()
}

/// Whether every run came to its end.
fn table(asked: &Asked) -> Result<bool> {
    if asked.list {
        for run in &asked.runs {
            println!("{:<16} {}", run.name, run.needs);
        }
        return Ok(true);
    }
    // A page that has no table is found out before an hour has passed.
    if let Some(file) = &asked.write {
        table::written(&read(file)?, &[]).with_context(|| format!("{}", file.display()))?;
    }
    let (mut rows, mut all) = (Vec::new(), true);
    for run in &asked.runs {
        let (said, failed) = measured(run)?;
        all &= failed.is_none();
        let failed = failed.unwrap_or_else(|| "its run does not say it".to_owned());
        rows.extend(PROMISED.iter().filter(|promise| promise.run == run.name).map(|promise| {
            let outcome = said.iter().find(|said| said.what == promise.what).map(|said| said.outcome.clone());
            Row { promise, outcome: outcome.unwrap_or_else(|| Outcome::NotMeasured(failed.clone())) }
        }));
    }
    match &asked.write {
        Some(file) => fs::write(file, table::written(&read(file)?, &rows)?)
            .with_context(|| format!("{}", file.display()))?,
        None if asked.json => {
            let rows: Vec<_> = rows.iter().map(Row::json).collect();
            println!("{}", serde_json::to_string_pretty(&rows)?);
        }
        None => print!("{}", table::markdown(&rows)),
    }
    for row in rows.iter().filter(|row| row.holds() == Some(false)) {
        eprintln!("falls short: {}", row.promise.what);
    }
    Ok(all)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{}", file.display()))
}

/// What a run says, and whether it failed.
fn measured(run: &Run) -> Result<(Vec<Said>, Option<String>)> {
    eprintln!("== {}", run.name);
    let left = tempfile::NamedTempFile::new()?;
    let mut command = program(run)?;
    for (name, value) in run.environment {
        if env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    // Standard output is for the table.
    let out = io::stderr().as_fd().try_clone_to_owned()?;
    let ended =
        command.env(FIGURES, left.path()).stdout(out).status().context("the run cannot be started")?;
    let lines = io::BufReader::new(left.reopen()?).lines();
    let said = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<_>>()?;
    Ok((said, (!ended.success()).then(|| format!("its run failed ({ended})"))))
}

fn program(run: &Run) -> Result<Command> {
    let root = env!("CARGO_MANIFEST_DIR");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let of_cargo = |subcommand: &str, kind: &str, name: &str| {
        let mut command = Command::new(&cargo);
        command
            .args([subcommand, "--quiet", "--workspace", "--all-features", "--locked", kind, name])
            .current_dir(root);
        command
    };
    match run.program {
        Program::Bench(name) => {
            let mut command = of_cargo("bench", "--bench", name);
            command.arg("--").args(run.arguments);
            Ok(command)
        }
        Program::Example(name) => {
            let built = of_cargo("build", "--example", name)
                .stdout(io::stderr().as_fd().try_clone_to_owned()?)
                .status()?;
            if !built.success() {
                bail!("the example {name} cannot be built");
            }
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("debug/examples");
            let mut command = Command::new(target.join(name));
            command.args(run.arguments).current_dir(root);
            Ok(command)
        }
    }
}
