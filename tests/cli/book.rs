//! What the book and the other pages of the repository say of commands, files and words is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use super::{desk::Desk, help::COMMANDS};

/// Where links to files of the repository lead, from pages that are read elsewhere.
const REPOSITORY: &str = "https://github.com/tidegate/tidegate/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page: its path from the root, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self { path: path.to_owned(), text }
    }

    fn of_the_book() -> Vec<Self> {
        let mut pages = Vec::new();
        let mut pending = vec![PathBuf::from("docs/src")];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(root().join(&directory)).expect("the book is there") {
                let entry = entry.expect("a readable entry");
                let path = directory.join(entry.file_name());
                if entry.path().is_dir() {
                    pending.push(path);
                } else if path.extension().is_some_and(|extension| extension == "md") {
                    pages.push(Self::read(&path));
                }
            }
        }
        assert!(pages.len() > 10, "the book has pages");
        pages
    }

    fn all() -> Vec<Self> {
        let others = ["README.md", "CONTRIBUTING.md", "examples/data/README.md"];
        Self::of_the_book().into_iter().chain(others.map(|path| Self::read(Path::new(path)))).collect()
    }

    /// Lines with their numbers, and the language of the block that they are in.
    fn lines(&self) -> impl Iterator<Item = (usize, Option<&str>, &str)> {
        let mut language = None;
        self.text.lines().enumerate().filter_map(move |(n, line)| {
            match line.trim_start().strip_prefix("```") {
                Some(opened) => {
                    language = if language.is_some() { None } else { Some(opened) };
                    None
                }
                None => Some((n + 1, language, line)),
            }
        })
    }

    /// Text between backticks on lines that are in no block.
    fn quoted(&self) -> Vec<(usize, &str)> {
        let prose = self.lines().filter(|(_, language, _)| language.is_none());
        prose.flat_map(|(n, _, line)| line.split('`').skip(1).step_by(2).map(move |word| (n, word))).collect()
    }
}

/// The words of each call of `tidegate` in a line of shell.
fn calls(line: &str) -> Vec<Vec<&str>> {
    let line = line.split(" #").next().unwrap_or_default();
    let mut calls = Vec::new();
    for part in line.split(['|', ';', '&', '(', ')', '`']) {
        let mut words = unquoted(part).into_iter().skip_while(|word| *word != "tidegate");
        if words.next().is_some() {
            calls.push(words.collect());
        }
    }
    calls
}

/// Words, without those that are quoted: what a user makes up.
fn unquoted(text: &str) -> Vec<&str> {
    text.split(['"', '\'']).step_by(2).flat_map(str::split_whitespace).collect()
}

/// What each command takes, as its help says.
struct Helped(BTreeMap<String, Takes>);

struct Takes {
    /// Whether another command has to follow.
    commands: bool,
    options: BTreeSet<String>,
}

impl Takes {
    fn of(help: &str) -> Self {
        let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let words = lines.flat_map(|line| line.split([' ', ',']).take(3));
        let options = words.filter(|word| word.starts_with('-')).chain(["--version"]);
        Self { commands: help.contains(" <COMMAND>"), options: options.map(str::to_owned).collect() }
    }
}

impl Helped {
    fn ask() -> Self {
        let desk = Desk::new();
        let program: [&[&str]; 1] = [&[]];
        let each = program.into_iter().chain(COMMANDS).map(|command| {
            let help = desk.run(&[command, &["--help"]].concat()).is(0).out;
            (command.join(" "), Takes::of(&help))
        });
        Self(each.collect())
    }

    /// What is wrong with a call, if anything is.
    fn objection(&self, call: &[&str]) -> Option<String> {
        let known = |n: &usize| self.0.contains_key(&call[..*n].join(" "));
        let named = (0..=call.len().min(2)).rev().find(known).expect("no words are the program itself");
        let (command, rest) = call.split_at(named);
        let takes = &self.0[&command.join(" ")];
        if let Some(word) =
            rest.first().filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            && takes.commands
            && !word.starts_with('-')
        {
            return Some(format!("there is no command `{word}`"));
        }
        let options = rest.iter().take_while(|word| **word != "--").filter(|word| word.starts_with('-'));
        let mut names = options.map(|word| word.split(['=', ',', '.']).next().unwrap_or(word));
        let unknown = names.find(|name| name.len() > 1 && !takes.options.contains(*name))?;
        Some(format!("`tidegate {}` has no option `{unknown}`", command.join(" ")))
    }
}

#[test]
fn every_command_and_option_that_a_page_names_is_there() {
    let helped = Helped::ask();
    let mut seen = 0;
    for page in Page::all() {
        let shell = page.lines().filter_map(|(n, language, line)| match language {
            Some("console") => line.strip_prefix("$ ").map(|line| (n, line)),
            Some("sh" | "text") if line.starts_with("tidegate ") => Some((n, line)),
            _ => None,
        });
        let hidden =
            page.lines().filter(|(_, _, line)| line.starts_with("<!-- run: ")).map(|(n, _, line)| (n, line));
        let prose = page.quoted().into_iter().filter(|(_, word)| word.starts_with("tidegate "));
        for (n, line) in shell.chain(hidden).chain(prose) {
            for call in calls(line) {
                seen += 1;
                let objection = helped.objection(&call);
                assert_eq!(objection, None, "{}:{n}: {line}", page.path.display());
            }
        }
    }
    assert!(seen > 100, "{seen} calls were found");
}

#[test]
fn an_unknown_command_or_option_would_be_found() {
    let helped = Helped::ask();
    let wrong =
        ["tidegate frob", "x && tidegate pull m@1.0.0 --frob=3", "tidegate rollout begin plan.yaml | cat"];
    for line in wrong {
        assert!(calls(line).iter().any(|call| helped.objection(call).is_some()), "{line}");
    }
    let right = [
        "A=1 tidegate --help",
        "tidegate report r -o x.html",
        "tidegate drift a.csv b.csv",
        "tidegate rollback …",
    ];
    for line in right {
        assert!(calls(line).iter().all(|call| helped.objection(call).is_none()), "{line}");
    }
}

/// As GitHub and mdBook name headings.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

/// `a/b/../c` as `a/c`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for page in Page::all() {
        let inside = page.path.starts_with("docs/src");
        for (n, language, line) in page.lines() {
            if language.is_some() {
                continue;
            }
            for link in line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
                let place = format!("{}:{n}: {link}", page.path.display());
                let (path, heading) = link.split_once('#').unwrap_or((link, ""));
                let path = match path.strip_prefix(REPOSITORY) {
                    Some(file) => {
                        match file.strip_prefix("blob/main/").or_else(|| file.strip_prefix("tree/main/")) {
                            Some(file) => PathBuf::from(file),
                            None => continue,
                        }
                    }
                    None if path.contains("://") => continue,
                    None if path.is_empty() => page.path.clone(),
                    None => {
                        let path = plain(&page.path.with_file_name("").join(path));
                        assert!(
                            !inside || path.starts_with("docs/src"),
                            "{place}: the book does not hold it"
                        );
                        path
                    }
                };
                seen += 1;
                assert!(root().join(&path).exists(), "{place}: {} is not there", path.display());
                if !heading.is_empty() && path.extension().is_some_and(|extension| extension == "md") {
                    let text = Page::read(&path).text;
                    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                    let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                    assert!(anchors.any(|anchor| anchor == heading), "{place}: there is no such heading");
                }
            }
        }
    }
    assert!(seen > 50, "{seen} links were found");
}

#[test]
fn every_page_is_in_the_summary_and_every_block_has_a_language() {
    let summary = Page::read(Path::new("docs/src/SUMMARY.md")).text;
    for page in Page::of_the_book() {
        let name = page.path.strip_prefix("docs/src").expect("it is of the book").display().to_string();
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("]({name})")),
            "{name} is not in the summary"
        );
        // rustdoc takes a block without one for Rust.
        assert!(
            page.lines().all(|(_, language, _)| language != Some("")),
            "{name} has a block without a language"
        );
    }
}

/// What a machine says when it needs a person is quoted in runbooks to the letter.
#[test]
fn runbooks_quote_what_is_said() {
    let mut said = String::new();
    for directory in ["canary/src/rollout", "rollback/src/undo"] {
        for entry in fs::read_dir(root().join(directory)).expect("it is there") {
            said.push_str(&fs::read_to_string(entry.expect("a readable entry").path()).expect("text"));
        }
    }
    let mut seen = 0;
    for runbook in ["canary-stuck.md", "rollback-stuck.md"] {
        let page = Page::read(&Path::new("docs/src/runbooks").join(runbook));
        let rows = page.text.lines().skip_while(|line| !line.starts_with("| it says |")).skip(2);
        for row in rows.take_while(|line| line.starts_with('|')) {
            let words = row.split('`').nth(1).unwrap_or_else(|| panic!("{runbook}: {row} quotes nothing"));
            // What is in force and what to do about it are said apart and put together.
            for words in words.split("; ") {
                assert!(said.contains(words), "{runbook}: nothing says {words:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} rows were found");
}
