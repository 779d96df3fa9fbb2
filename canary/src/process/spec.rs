//! What a server is and how it is looked after, as data.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use reqwest::Url;
use serde::Deserialize;

use super::template::{Filling, Place, StrayBrace, Template};
use crate::{ActuatorError, BoxError, LONGEST, Rehearsed, Slot, Workload};

/// How the server of a slot is started and looked after. The same for every slot.
///
/// All texts of [`command`](Self::command) may have the placeholders `{port}`, `{slot}`, `{model}` (the name
/// without its version), `{version}`, `{digest}` and `{directory}` (where the release's files are);
/// [`ready`](Self::ready) may have all but the last. `{{` and `}}` stand for braces.
///
/// ```
/// # let spec: tidegate_canary::process::ServerSpec = serde_json::from_str(r#"
/// {
///   "ready": "http://127.0.0.1:{port}/health",
///   "command": {
///     "program": "llama-server",
///     "args": ["--model", "{directory}/model.gguf", "--port", "{port}", "--threads", "1"],
///     "env": {"LLAMA_ARG_ALIAS": "{model}@{version}"}
///   },
///   "pace": {"start": "2m"}
/// }
/// # "#).unwrap();
/// # assert_eq!(spec.command.args.len(), 6);
/// ```
///
/// It is read, not written: values of `env` may be secrets, and what cannot be written cannot leak.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerSpec {
    /// What is started.
    pub command: Command,
    /// Where `GET` answers 2xx once the server can take requests. Redirects and proxies are as the client that
    /// asks has them; no body is needed, and none is read to its end.
    pub ready: String,
    /// Ports of slots. A slot that is not named here gets a free one at each start.
    #[serde(default)]
    pub ports: BTreeMap<Slot, u16>,
    /// After how many ends in a row, none of them after [`Pace::steady`], the slot has failed.
    #[serde(default = "crashes")]
    pub crashes: u32,
    /// How large the log of a start may become, in bytes, before it is set aside. One is kept aside, so a start
    /// takes twice as much on disk.
    #[serde(default = "log_bytes")]
    pub log_bytes: u64,
    /// Of how many starts of a slot the logs are kept.
    #[serde(default = "logs")]
    pub logs: usize,
    /// The durations.
    #[serde(default)]
    pub pace: Pace,
}

/// A program and what it is given. It is started as it is written, by no shell, in a process group of its own
/// and with nothing to read.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Command {
    /// A path, or a name that is looked for in `PATH`.
    pub program: String,
    /// Its arguments. Every user of the machine can read them; secrets belong in [`env`](Self::env).
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables. The values are in no message and no log of ours.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether it has only the variables of [`env`](Self::env), rather than those of this process as well.
    #[serde(default)]
    pub clear_env: bool,
    /// Its working directory, if not that of this process.
    #[serde(default)]
    pub directory: Option<String>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Pace {
    /// Until a release's files are there. By default 30 min.
    #[serde(with = "humantime_serde")]
    pub files: Duration,
    /// From the start of a server until it is ready; one that is not by then is stopped, which counts as an end
    /// of its own. By default 5 min.
    #[serde(with = "humantime_serde")]
    pub start: Duration,
    /// The answer to one question whether it is ready. By default 2 s.
    #[serde(with = "humantime_serde")]
    pub answer: Duration,
    /// Between two such questions. By default 250 ms.
    #[serde(with = "humantime_serde")]
    pub pause: Duration,
    /// From the first good answer until it counts as ready. By default nothing.
    #[serde(with = "humantime_serde")]
    pub settle: Duration,
    /// From `SIGTERM` to `SIGKILL`: for requests in flight. By default 30 s.
    #[serde(with = "humantime_serde")]
    pub stop: Duration,
    /// For how long a server must have been ready for its earlier ends to be forgotten. By default 1 min.
    #[serde(with = "humantime_serde")]
    pub steady: Duration,
    /// Before the first restart; it doubles with each. By default 1 s.
    #[serde(with = "humantime_serde")]
    pub back_off: Duration,
    /// The longest that it becomes. By default 1 min.
    #[serde(with = "humantime_serde")]
    pub longest_back_off: Duration,
}

/// Why a spec does not hold up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidSpec {
    #[error("command.env has a name that is empty or has `=` or a zero byte; correct it")]
    EnvName,
    #[error("crashes is 0, so nothing would ever be started; write at least 1")]
    NoStart,
    #[error("logBytes is not between 4096 and 2^40; write for example 16777216")]
    LogBytes,
    #[error("pace.{field} is longer than a year; write for example 30s")]
    Long { field: &'static str },
    #[error("ports has 0 or the same port twice; name different ones, or none for free ones")]
    Ports,
    #[error("pace.{field} is shorter than 1ms; write for example 1s")]
    Short { field: &'static str },
    #[error("{field} is not valid")]
    Template { field: String, source: StrayBrace },
    #[error(
        "ready is no http or https URL without `{{directory}}`; write for example `http://127.0.0.1:{{port}}/health`"
    )]
    Url,
    #[error("{field} has a zero byte, or is an empty program; correct it")]
    Zero { field: String },
}

/// A spec that was checked, ready to be filled in.
pub(super) struct Prepared {
    pub(super) spec: ServerSpec,
    pub(super) program: Template,
    args: Vec<Template>,
    pub(super) env: Vec<(String, Template)>,
    pub(super) directory: Option<Template>,
    ready: Template,
}

impl ServerSpec {
    /// A server that `command` starts and that is ready when `GET` on `ready` answers 2xx; otherwise by the
    /// defaults: free ports, 5 ends in a row, logs of 16 MiB of the last 10 starts of a slot.
    pub fn new(command: Command, ready: impl Into<String>) -> Self {
        Self {
            command,
            ready: ready.into(),
            ports: BTreeMap::new(),
            crashes: crashes(),
            log_bytes: log_bytes(),
            logs: logs(),
            pace: Pace::default(),
        }
    }

    /// Whether the server of `workload` could be started, as [`LocalProcesses`](crate::LocalProcesses) tells by
    /// [`rehearse`](crate::Deployer::rehearse), without taking a state directory. Blocks for as long as files are looked at.
    ///
    /// # Errors
    ///
    /// [`ActuatorError::Refused`] when the spec is not valid, or the program is not there or may not be executed.
    pub fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        let refused = |source: BoxError| ActuatorError::Refused {
            target: format!("the server of the {} slot", workload.slot),
            source,
        };
        let prepared = self.clone().prepare().map_err(|invalid| refused(invalid.into()))?;
        prepared.rehearse(workload).map_err(|why| refused(why.into()))
    }

    pub(super) fn prepare(self) -> Result<Prepared, InvalidSpec> {
        let Pace { files, start, answer, pause, settle, stop, steady, back_off, longest_back_off } =
            self.pace;
        let set = [("files", files), ("start", start), ("answer", answer), ("pause", pause)];
        if let Some((field, _)) = set.into_iter().find(|(_, d)| *d < Duration::from_millis(1)) {
            return Err(InvalidSpec::Short { field });
        }
        let free = [("settle", settle), ("stop", stop), ("steady", steady), ("backOff", back_off)];
        let all = set.into_iter().chain(free).chain([("longestBackOff", longest_back_off)]);
        if let Some((field, _)) = all.into_iter().find(|(_, d)| *d > LONGEST) {
            return Err(InvalidSpec::Long { field });
        }
        if self.crashes == 0 {
            return Err(InvalidSpec::NoStart);
        }
        if !(4_096..=1 << 40).contains(&self.log_bytes) {
            return Err(InvalidSpec::LogBytes);
        }
        let ports: BTreeSet<u16> = self.ports.values().copied().collect();
        if ports.contains(&0) || ports.len() < self.ports.len() {
            return Err(InvalidSpec::Ports);
        }
        let Command { program, args, env, directory, .. } = &self.command;
        if program.is_empty() {
            return Err(InvalidSpec::Zero { field: "command.program".to_owned() });
        }
        if env.keys().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(InvalidSpec::EnvName);
        }
        let parse = |field: String, text: &str| {
            if text.contains('\0') {
                return Err(InvalidSpec::Zero { field });
            }
            Template::parse(text).map_err(|source| InvalidSpec::Template { field, source })
        };
        let ready = parse("ready".to_owned(), &self.ready)?;
        Ok(Prepared {
            program: parse("command.program".to_owned(), program)?,
            args: args
                .iter()
                .enumerate()
                .map(|(n, text)| parse(format!("command.args[{n}]"), text))
                .collect::<Result<_, _>>()?,
            env: env
                .iter()
                .map(|(name, text)| Ok((name.clone(), parse(format!("command.env.{name}"), text)?)))
                .collect::<Result<_, _>>()?,
            directory: directory
                .as_ref()
                .map(|text| parse("command.directory".to_owned(), text))
                .transpose()?,
            ready: Some(ready).filter(is_url).ok_or(InvalidSpec::Url)?,
            spec: self,
        })
    }
}

/// Whether it is a URL whatever it is filled with, or at least with something.
fn is_url(template: &Template) -> bool {
    let release = crate::Release {
        model: "model@1.0.0".parse().expect("it is a model's name and version"),
        digest: tidegate_registry::Digest::of(""),
    };
    let filling =
        Filling { port: 1, slot: Slot::Stable, release: &release, directory: std::path::Path::new("/") };
    !template.has(Place::Directory) && url(template, &filling).is_some()
}

fn url(template: &Template, filling: &Filling<'_>) -> Option<Url> {
    let url: Url = template.fill(filling).to_str()?.parse().ok()?;
    (["http", "https"].contains(&url.scheme()) && url.has_host()).then_some(url)
}

impl Prepared {
    /// The command with everything filled in, without what becomes of its output.
    pub(super) fn command(&self, filling: &Filling<'_>) -> std::process::Command {
        let mut command = std::process::Command::new(self.program.fill(filling));
        command.args(self.args.iter().map(|arg| arg.fill(filling)));
        if self.spec.command.clear_env {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value.fill(filling))));
        if let Some(directory) = &self.directory {
            command.current_dir(directory.fill(filling));
        }
        command
    }

    /// Where to ask whether it is ready.
    pub(super) fn ready(&self, filling: &Filling<'_>) -> Option<Url> {
        url(&self.ready, filling)
    }

    /// What the values of the environment are made of, which must not be repeated.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        // Shorter ones are no secrets, and `1` is everywhere.
        let texts = self.env.iter().flat_map(|(_, value)| value.texts());
        texts.flat_map(str::lines).map(str::trim).filter(|text| text.len() >= 6)
    }
}

impl Command {
    /// `program` without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            clear_env: false,
            directory: None,
        }
    }

    /// This command with more arguments.
    #[must_use]
    pub fn with_args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// This command with one more environment variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            files: Duration::from_secs(30 * 60),
            start: Duration::from_secs(5 * 60),
            answer: Duration::from_secs(2),
            pause: Duration::from_millis(250),
            settle: Duration::ZERO,
            stop: Duration::from_secs(30),
            steady: Duration::from_secs(60),
            back_off: Duration::from_secs(1),
            longest_back_off: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// How long to wait after so many ends in a row.
    pub(super) fn before_restart(&self, crashes: u32) -> Duration {
        let factor = 1 << crashes.saturating_sub(1).min(30);
        self.back_off.saturating_mul(factor).min(self.longest_back_off)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("clear_env", &self.clear_env)
            .field("directory", &self.directory)
            .finish()
    }
}

const fn crashes() -> u32 {
    5
}

const fn log_bytes() -> u64 {
    16 << 20
}

const fn logs() -> usize {
    10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pace = Pace::default();
        let pauses = [1, 2, 3, 6, 7, 8, u32::MAX].map(|crashes| pace.before_restart(crashes).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
    }
}
