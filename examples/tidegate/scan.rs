//! `tidegate scan PATH…`

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use anyhow::Result;
use clap::Args;
use futures::{StreamExt as _, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tidegate::validation::{
    Projection,
    scan::{FileScan, ScanError, Scanner, is_dangerous},
};

use crate::{
    Session,
    answer::{self, Answer, Status},
    failure::{Failure, unreadable},
    formats::{Formats, relative},
    words::{count, plain},
};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate scan model.safetensors weights/
  tidegate scan --json models/ | jq -r 'select(.verdict != \"pass\") | .path'
  tidegate scan --allow datasketch.minhash.MinHash=\"reviewed in #412\" index.pkl

It is the content that says what a file is, never its name; nothing is executed. Exit status: 0 all are clean; 1 one would
run code that nobody reviewed; 3 one could not be read to its end, or is made so that readers disagree. With --json there is
a document a line, one for each file: {path, verdict, content, bytes, findings: [{rule, severity, detail, offset}]}.")]
pub(crate) struct Scan {
    /// Files, or directories with files; links are not followed
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// An import of a pickle that is all right, and why: MODULE.NAME=REASON
    #[arg(long, value_name = "NAME=REASON", value_parser = exception)]
    allow: Vec<(String, String)>,
    #[command(flatten)]
    formats: Formats,
}

impl Scan {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        self.formats.expect_writable(session.json)?;
        let mut files = Vec::new();
        for path in &self.paths {
            collect(path, &mut files)?;
        }
        if files.is_empty() {
            return Err(Failure::Misused("there is no file below these paths; name others".to_owned()).into());
        }
        let allow = self.allow.into_iter();
        let scanner = allow.fold(Scanner::new(), |scanner, (name, why)| scanner.with_exception(name, why));
        let scanner = Arc::new(scanner);
        let progress = ProgressBar::new(files.len() as u64);
        let scan = |path: PathBuf| {
            let scanner = Arc::clone(&scanner);
            async move { tokio::task::spawn_blocking(move || (scanner.scan_path(&path), path)).await }
        };
        let at_once = available_parallelism().map_or(1, usize::from);
        let mut scans = stream::iter(files).map(scan).buffered(at_once);
        let mut counts = BTreeMap::<&str, usize>::new();
        let mut kept = Vec::new();
        let fence = self.formats.fence(session.json)?;
        while let Some(scanned) = scans.next().await {
            let (mut found, path) = scanned?;
            let verdict = found.as_ref().map_or("inconclusive", |found| found.verdict.word());
            *counts.entry(verdict).or_default() += 1;
            let line = if session.json { document(&found, &path).to_string() } else { text(&found, &path) };
            progress.suspend(|| answer::say(&line))?;
            progress.inc(1);
            if self.formats.any() {
                match &mut found {
                    Ok(found) => found.path = relative(&path),
                    Err(error) => error.path = relative(&path),
                }
                kept.push(found);
            }
        }
        progress.finish_and_clear();
        let of = |verdict: &str| counts.get(verdict).copied().unwrap_or_default();
        let status = match (of("fail"), of("inconclusive")) {
            (0, 0) => Status::Done,
            (0, _) => Status::Inconclusive,
            _ => Status::Refused,
        };
        let all = counts.values().sum::<usize>();
        let each: Vec<_> = counts.iter().map(|(verdict, files)| format!("{files} {verdict}")).collect();
        let text = format!("{}: {}", count(all, "file"), each.join(", "));
        let text = if session.json { String::new() } else { text };
        let mut answer = Answer { text, json: Value::Null, status };
        if self.formats.any() {
            self.formats.write(Projection::of_scans(&kept), None, session.json, fence, &mut answer);
        }
        Ok(answer)
    }
}

fn document(found: &Result<FileScan, ScanError>, path: &Path) -> Value {
    match found {
        Ok(found) => serde_json::to_value(found).unwrap_or_default(),
        Err(error) => json!({
            "path": path.display().to_string(),
            "verdict": "inconclusive",
            "findings": [],
            "error": error.to_string(),
        }),
    }
}

/// `fail  model.pkl`, and what was found.
fn text(found: &Result<FileScan, ScanError>, path: &Path) -> String {
    let head = |verdict: &str| format!("{verdict:<12}  {}", plain(&path.display().to_string()));
    match found {
        Ok(found) => {
            let mut lines = vec![head(found.verdict.word())];
            lines.extend(
                found.detections.iter().map(|found| format!("              {}", plain(&found.to_string()))),
            );
            lines.join("\n")
        }
        Err(error) => format!("{}\n              {}", head("inconclusive"), plain(&error.to_string())),
    }
}

/// Every file at or below `path`, in the order of their names.
pub(crate) fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let wrong =
        |error: std::io::Error| Failure::Misused(format!("`{}` {}", path.display(), unreadable(&error)));
    // What is named may be a link; what is found on the way is not followed.
    if !fs::metadata(path).map_err(wrong)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut open = vec![path.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let kind = entry.file_type().map_err(wrong)?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    files.append(&mut found);
    Ok(())
}

fn exception(text: &str) -> Result<(String, String), String> {
    let (name, why) =
        text.split_once('=').ok_or("write MODULE.NAME=REASON, the reason is kept in findings")?;
    if why.trim().is_empty() {
        return Err("say why; somebody will ask".to_owned());
    }
    if is_dangerous(name) {
        return Err(format!("`{name}` runs commands or code, and no reason makes that harmless"));
    }
    Ok((name.to_owned(), why.to_owned()))
}
