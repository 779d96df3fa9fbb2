//! One map of a running HAProxy: read as a whole, replaced as a whole.
//!
//! A map has versions. `prepare map` numbers a new one, which is filled unseen, and `commit map` makes it the
//! current one unless a later one is already, which it thereby never can be undone by.

use super::{
    ATTEMPTS,
    entries::Entries,
    failure::{Failure, Refusal, Trouble},
    socket::Socket,
};

/// What a list of maps begins with.
const HEAD: &str = "# id (file) description";
/// What HAProxy says of a version that it has not prepared, or that another one has followed.
const NO_VERSION: &str = "Version number";
/// How many bytes of commands are sent in one line. HAProxy's buffer takes 16 KiB.
const LINE: usize = 4 << 10;

/// A map, by the path under which the configuration names it.
#[derive(Debug)]
pub(super) struct Map<'s> {
    pub(super) socket: &'s Socket,
    pub(super) path: String,
}

/// What is in force.
#[derive(Debug)]
pub(super) struct Reading {
    /// The current version.
    pub(super) version: u32,
    /// Its entries.
    pub(super) entries: Entries,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "its configuration reads no map `{path}`; paste the lines of `HaProxy::config` into a frontend, create the file, empty, and reload it"
)]
struct Unread {
    path: String,
}

impl Map<'_> {
    /// The current version, all of which was in force at once.
    pub(super) async fn read(&self) -> Result<Reading, Failure> {
        let path = &self.path;
        for _ in 0..ATTEMPTS {
            let answer = self.socket.ask(&format!("show map;show map {path};show map")).await?;
            let Some((before, entries, after)) = parts(&answer) else {
                return Err(if answer.starts_with(HEAD) {
                    Failure::later(Trouble::BrokeOff)
                } else {
                    Failure::unreadable(&answer)
                });
            };
            let [before, after] = [before, after].map(|list| self.version_in(list));
            let version = before?;
            // A long answer is written in pieces, between which another version can become the current one.
            if version == after? {
                return Ok(Reading { version, entries: contents(entries)? });
            }
        }
        Err(Failure::later(Trouble::Contended))
    }

    /// The number of a new version.
    pub(super) async fn prepare(&self) -> Result<u32, Failure> {
        let answer = self.socket.ask(&format!("prepare map {}", self.path)).await?;
        let number = answer.strip_prefix("New version created: ").map(|number| number.trim_end().parse());
        match number {
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(Failure::unreadable(&answer)),
            None => Err(Failure::said(&answer)),
        }
    }

    /// Fills a prepared version, unless HAProxy does not know it any more.
    pub(super) async fn fill(&self, version: u32, entries: &Entries) -> Result<bool, Failure> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for entry in entries.lines() {
            let command = format!("add map @{version} {} {entry}", self.path);
            if !line.is_empty() && line.len() + command.len() > LINE {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(';');
            }
            line.push_str(&command);
        }
        lines.push(line);
        for line in lines {
            match self.socket.tell(&line).await {
                Err(Failure::Never(refusal)) if refusal.to_string().contains(NO_VERSION) => return Ok(false),
                told => told?,
            }
        }
        Ok(true)
    }

    /// What a prepared version has been filled with so far.
    pub(super) async fn prepared(&self, version: u32) -> Result<Entries, Failure> {
        contents(&self.socket.ask(&format!("show map @{version} {}", self.path)).await?)
    }

    /// Makes a prepared version the current one. Whether it is shows in the next reading: a later one may have
    /// come first, or a new process that knows nothing of it.
    pub(super) async fn commit(&self, version: u32) -> Result<(), Failure> {
        let answer = self.socket.ask(&format!("commit map @{version} {}", self.path)).await?;
        match answer.trim() {
            "" => Ok(()),
            text if text.starts_with(NO_VERSION) => Ok(()),
            text => Err(Failure::said(text)),
        }
    }

    fn version_in(&self, list: &str) -> Result<u32, Failure> {
        let ours = |line: &&str| {
            let file = line.split_once(" (").and_then(|(_, rest)| rest.strip_prefix(self.path.as_str()));
            file.is_some_and(|rest| rest.starts_with(") "))
        };
        let Some(line) = list.lines().find(ours) else {
            return Err(Failure::never(Unread { path: self.path.clone() }));
        };
        let version = line.rsplit_once(" curr_ver=").and_then(|(_, rest)| rest.split(' ').next());
        version.and_then(|version| version.parse().ok()).ok_or_else(|| Failure::never(Refusal::Old))
    }
}

/// A list of maps, the entries of one, and the list again, of an answer that is whole.
fn parts(answer: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = answer.strip_prefix(HEAD)?.strip_prefix('\n')?.split_once("\n\n")?;
    let (entries, after) = match rest.strip_prefix('\n').and_then(|rest| rest.strip_prefix(HEAD)) {
        Some(after) => ("", after),
        None => rest.split_once(&format!("\n\n{HEAD}\n"))?,
    };
    after.ends_with("\n\n").then_some((before, entries, after))
}

/// The entries in lines of `0x55d0c8a0 key value`.
fn contents(lines: &str) -> Result<Entries, Failure> {
    let mut entries = Vec::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        match line.split_once(' ') {
            Some((place, entry)) if place.starts_with("0x") => entries.push(entry),
            _ => return Err(Failure::said(lines)),
        }
    }
    Ok(Entries::from_lines(entries.into_iter()))
}
