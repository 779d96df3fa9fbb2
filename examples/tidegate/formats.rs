//! Reports in the formats that pipelines read: the options that name files, and what GitHub is told.

use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::BuildHasher as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use tempfile::NamedTempFile;
use tidegate::validation::Projection;

use crate::{
    answer::{Answer, Status},
    failure::Failure,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct Formats {
    /// Write JUnit XML there: a test for each check and case; an error is what is not known
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write SARIF 2.1.0 there, for code scanning
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write Markdown there
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write one HTML page there, without scripts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// In a GitHub workflow: annotations on standard output, and the summary of the step
    #[arg(long)]
    github: bool,
}

impl Formats {
    /// Longest file of Markdown.
    const LONGEST: usize = 16 << 20;

    /// Whether any is wanted.
    pub(crate) fn any(&self) -> bool {
        self.github || self.files().next().is_some()
    }

    /// That the files can be written, before anything takes hours. With `json` standard output is a document.
    pub(crate) fn expect_writable(&self, json: bool) -> Result<()> {
        for path in self.files() {
            if json && matches!(own_stream(path), Some(Own::Output)) {
                let why = format!(
                    "--json has standard output to itself; write the report to a file instead of `{}`",
                    path.display()
                );
                return Err(Failure::Misused(why).into());
            }
            let writable = match fs::metadata(path) {
                Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                // To open a pipe is to wait for who reads it.
                _ if is_stream(path) => Ok(()),
                _ => beside(path).map(drop),
            };
            writable.map_err(|source| lost(path, source))?;
        }
        Ok(())
    }

    /// Keeps GitHub from taking lines that follow for commands, where lines are said as they come.
    pub(crate) fn fence(&self, json: bool) -> io::Result<Option<Fence>> {
        if !self.github || json || !in_workflow() {
            return Ok(None);
        }
        Fence::begin(io::stdout()).map(Some)
    }

    /// Writes what is wanted. What is about no file of its own is shown at `at`. `json` says how `answer` will be printed, `fence` that
    /// lines were said before. What has been found is answered in either case: where a file cannot be written,
    /// that is said, and the status is an error's.
    pub(crate) fn write(
        &self,
        projection: Projection<'_>,
        at: Option<&Path>,
        json: bool,
        fence: Option<Fence>,
        answer: &mut Answer,
    ) {
        let projection = match at.map(relative) {
            Some(at) => projection.at(at),
            None => projection,
        };
        let mut lost = Vec::new();
        // What goes to standard output is there before the answer.
        let fence = match fence {
            None if self.files().any(|path| is_heard(path)) => self.fence(json).unwrap_or_else(|source| {
                lost.push(format!("standard output cannot be written: {source}"));
                None
            }),
            fence => fence,
        };
        let fenced = self.github && in_workflow();
        let mut put = |path: &Option<PathBuf>, text: &dyn Fn() -> String| {
            let write = |path: &Path| {
                // GitHub hears standard error, too.
                let errors = fenced && matches!(own_stream(path), Some(Own::Errors));
                let _fence = errors.then(|| Fence::begin(io::stderr())).transpose()?;
                replace(path, text().as_bytes())
            };
            if let Some(path) = path
                && let Err(source) = write(path)
            {
                lost.push(format!("`{}` cannot be written: {source}", path.display()));
            }
        };
        put(&self.junit, &|| projection.junit());
        put(&self.sarif, &|| projection.sarif());
        put(&self.markdown, &|| projection.markdown(Self::LONGEST));
        put(&self.html, &|| projection.html());
        if self.github {
            lost.extend(summarise(&projection).err());
        }
        for why in lost {
            answer.text.push_str(&format!("\n{why}"));
            if let Value::Object(json) = &mut answer.json {
                let unwritten = json.entry("unwritten").or_insert_with(|| Value::Array(Vec::new()));
                unwritten.as_array_mut().expect("it was made as a list").push(why.into());
            } else if json {
                let _ = writeln!(io::stderr(), "error: {why}");
            }
            answer.status = Status::Refused;
        }
        if self.github && in_workflow() {
            annotate(&projection, json, fence, answer);
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.junit, &self.sarif, &self.markdown, &self.html].into_iter().flatten()
    }
}

/// Between its two lines GitHub takes nothing for a command: what models answered and how files are called is part of the
/// text, and may look like one. Nobody can know the word that ends it.
///
/// Once it was begun it ends, whatever goes wrong in between: GitHub would be deaf to every later command of the step.
#[derive(Debug)]
pub(crate) struct Fence<W: io::Write = io::Stdout> {
    word: String,
    /// Where it is to be ended; nowhere once somebody else does.
    open: Option<W>,
}

impl<W: io::Write> Fence<W> {
    fn begin(out: W) -> io::Result<Self> {
        let mut fence = Self { word: word(), open: Some(out) };
        let first = first(&fence.word);
        if let Some(out) = &mut fence.open {
            out.write_all(format!("{first}\n").as_bytes()).and_then(|()| out.flush())?;
        }
        Ok(fence)
    }

    /// The line that ends it, which is the caller's to write.
    fn end(mut self) -> String {
        self.open = None;
        last(&self.word)
    }
}

impl<W: io::Write> Drop for Fence<W> {
    fn drop(&mut self) {
        let last = last(&self.word);
        if let Some(out) = &mut self.open {
            // A line may have broken off.
            let _ = out.write_all(format!("\n{last}\n").as_bytes()).and_then(|()| out.flush());
        }
    }
}

fn word() -> String {
    (0..2).map(|_| format!("{:016x}", RandomState::new().hash_one(0))).collect()
}

fn first(word: &str) -> String {
    format!("::stop-commands::{word}")
}

fn last(word: &str) -> String {
    format!("::{word}::")
}

#[expect(clippy::disallowed_methods, reason = "it is by its environment that GitHub says where it is")]
fn in_workflow() -> bool {
    env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Puts the annotations behind the text of the answer, or, where that is a document, on standard error, which
/// GitHub reads as well.
fn annotate(projection: &Projection<'_>, json: bool, fence: Option<Fence>, answer: &mut Answer) {
    let annotations = projection.annotations().join("\n");
    if json {
        if !annotations.is_empty() {
            let _ = writeln!(io::stderr(), "{annotations}");
        }
        return;
    }
    let text = match fence {
        Some(fence) => format!("{}\n{}\n{annotations}", answer.text, fence.end()),
        None => {
            let word = word();
            format!("{}\n{}\n{}\n{annotations}", first(&word), answer.text, last(&word))
        }
    };
    answer.text = text.trim_end().to_owned();
}

/// Adds the report to the summary of the step, if there is one.
#[expect(clippy::disallowed_methods, reason = "it is by its environment that GitHub says where it is")]
fn summarise(projection: &Projection<'_>) -> Result<(), String> {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else { return Ok(()) };
    // Other commands of the same step may have written there.
    let written = fs::metadata(&path).map_or(0, |file| usize::try_from(file.len()).unwrap_or(usize::MAX));
    let summary = projection.markdown(Projection::STEP_SUMMARY.saturating_sub(written));
    let append =
        || fs::OpenOptions::new().append(true).create(true).open(&path)?.write_all(summary.as_bytes());
    append().map_err(|source| format!("the summary `{}` cannot be written: {source}", path.display()))
}

/// Puts `content` at `path` as a whole: a file that was there stays until then, and nobody reads half of one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // A pipe or a device takes what it is given.
    if let Some(own) = own_stream(path) {
        let mut own: Box<dyn io::Write> = match own {
            Own::Output => Box::new(io::stdout()),
            Own::Errors => Box::new(io::stderr()),
        };
        return own.write_all(content).and_then(|()| own.flush());
    }
    if is_stream(path) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let mut file = beside(path)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// What this program writes to anyway.
#[derive(Clone, Copy, Debug)]
enum Own {
    Output,
    Errors,
}

/// Whether `path` is a name of what this program writes to. It may lead to a file, of which only the stream that is open
/// knows how much was written, or to a socket, which cannot be opened again.
fn own_stream(path: &Path) -> Option<Own> {
    match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(Own::Output),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(Own::Errors),
        _ => None,
    }
}

/// Whether what is written there goes on to somebody, and is no file to be replaced: a pipe, a terminal, a device.
fn is_stream(path: &Path) -> bool {
    let special = |there: fs::Metadata| !there.is_file() && !there.is_dir();
    own_stream(path).is_some() || fs::metadata(path).is_ok_and(special)
}

/// Whether what is written there may get to standard output.
fn is_heard(path: &Path) -> bool {
    is_stream(path) && !matches!(own_stream(path), Some(Own::Errors))
}

/// A file in the directory of `path` that is gone if nothing becomes of it.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tidegate-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any other file that is made, less what the user's mask takes away.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory.unwrap_or_else(|| Path::new(".")))
}

fn lost(path: &Path, source: io::Error) -> Failure {
    Failure::Lost {
        what: format!("`{}` cannot be written; name a file in a directory that is there", path.display()),
        source,
    }
}

/// Relative to where the program runs, which in a pipeline is the repository.
pub(crate) fn relative(path: &Path) -> String {
    let here = env::current_dir().ok().and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned()));
    here.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes so many writes, fails at one, and takes those after it.
    #[derive(Clone, Debug)]
    struct Failing {
        written: Arc<Mutex<String>>,
        left: usize,
    }

    impl Failing {
        fn at(left: usize) -> Self {
            Self { written: Arc::default(), left }
        }

        fn lines(&self) -> Vec<String> {
            self.written.lock().unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    }

    impl io::Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.left = self.left.wrapping_sub(1);
            if self.left == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.write(&[]).map(drop)
        }
    }

    #[test]
    fn a_fence_that_was_begun_ends_wherever_a_write_fails() {
        let ends = |out: &Failing| {
            let lines = out.lines();
            let begun = lines.first().and_then(|line| line.strip_prefix("::stop-commands::"));
            begun.is_none_or(|word| lines.last() == Some(&format!("::{word}::")))
        };
        // Its first line, and the flush of it.
        for at in 1..3 {
            let out = Failing::at(at);
            let begun = Fence::begin(out.clone());
            assert!(begun.is_err(), "failing at {at}");
            assert!(ends(&out), "failing at {at}: {:?}", out.lines());
        }
        let out = Failing::at(0);
        let said = || -> io::Result<()> {
            let _fence = Fence::begin(out.clone())?;
            writeln!(Failing { left: 1, ..out.clone() }, "::error::not a command")
        };
        assert!(said().is_err() && ends(&out) && out.lines().len() == 2, "{:?}", out.lines());
        let out = Failing::at(0);
        let last = Fence::begin(out.clone()).unwrap().end();
        assert_eq!((out.lines().len(), last.starts_with("::")), (1, true), "it is the caller's to end");
    }
}
