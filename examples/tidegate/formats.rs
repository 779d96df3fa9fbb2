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
    answer::{self, Answer, Status},
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

    /// That the files can be written, before anything takes hours.
    pub(crate) fn expect_writable(&self) -> Result<()> {
        for path in self.files() {
            beside(path).map(drop).map_err(|source| lost(path, source))?;
        }
        Ok(())
    }

    /// Keeps GitHub from taking lines that follow for commands, where lines are said as they come.
    pub(crate) fn fence(&self, json: bool) -> io::Result<Option<Fence>> {
        if !self.github || json || !in_workflow() {
            return Ok(None);
        }
        let fence = Fence::new();
        answer::say(&fence.begin())?;
        Ok(Some(fence))
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
        let mut put = |path: &Option<PathBuf>, text: &dyn Fn() -> String| {
            if let Some(path) = path
                && let Err(source) = replace(path, text().as_bytes())
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
#[derive(Debug)]
pub(crate) struct Fence(String);

impl Fence {
    fn new() -> Self {
        let word = |_| format!("{:016x}", RandomState::new().hash_one(0));
        Self((0..2).map(word).collect())
    }

    fn begin(&self) -> String {
        format!("::stop-commands::{}", self.0)
    }

    fn end(&self) -> String {
        format!("::{}::", self.0)
    }
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
    let (begun, fence) = (fence.is_some(), fence.unwrap_or_else(Fence::new));
    let text = format!("{}\n{}\n{annotations}", answer.text, fence.end());
    let text = if begun { text } else { format!("{}\n{text}", fence.begin()) };
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
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let mut file = beside(path)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
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
