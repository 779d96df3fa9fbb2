//! A command of the team's own: its exit status is the result, and what it said is kept.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use serde::Deserialize;
use tidegate::registry::OciImage;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Child,
    time::timeout,
};
use uuid::Uuid;

use super::{
    At, Ending, Preview,
    leftovers::{self, MARK},
    output::Output,
};
use crate::{failure::Failure, ground::Ground, progress::Outcome, secret::small_file, words::bytes};

/// A command. It is started as it is written, by no shell, and has nothing to read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// A program, looked for in `PATH` where it is a name alone, and its arguments.
    command: Vec<String>,
    /// Where it runs; by default beside the file.
    #[serde(default)]
    directory: PathBuf,
    /// Variables beside those of this program. Secrets belong into the environment of this program.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// How long it may take. Longer is a failure.
    #[serde(default = "an_hour", with = "humantime_serde")]
    timeout: Duration,
    /// How many bytes of what it says are kept.
    #[serde(default = "output_bytes")]
    output_bytes: u64,
    /// The images that it makes: for each a file that it leaves, which says the image by its digest.
    #[serde(default)]
    images: BTreeMap<String, PathBuf>,
}

/// A child whose whole group ends when it is dropped.
struct Group(Child);

/// Lines of what it said last that are told.
const TOLD: usize = 20;

impl Command {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let every = format!("{}/{}#", ground.outputs_directory().display(), at.stage);
        leftovers::end(&every).await.map_err(|source| Failure::Lost {
            what: format!("stage `{}` cannot begin anew", at.stage),
            source,
        })?;
        // Whoever takes the release over ends what this one has started; this one must not end the other's.
        let mark = format!("{every}{}", Uuid::now_v7());
        for image in self.images.values() {
            // What an earlier attempt left must not be taken for what this one makes.
            let _none = std::fs::remove_file(self.inside(ground, image));
        }
        let log = format!("{}-{}.log", at.stage, at.attempt);
        let lost = |source| Failure::Lost { what: format!("output `{log}` cannot be written"), source };
        let output = Output::create(&ground.outputs()?.join(&log), self.output_bytes).map_err(lost)?;
        let output = Arc::new(Mutex::new(output));
        let ended = timeout(self.timeout, self.spawned(at, &mark, &output)).await;
        // What it has started and not ended would write while the next stage reads.
        leftovers::end(&mark).await.map_err(|source| Failure::Lost {
            what: format!("what stage `{}` has started does not end", at.stage),
            source,
        })?;
        let mut output = locked(&output);
        let dropped = output.close();
        let outcome = match ended {
            Err(_) => {
                Outcome::failed(format!("it took longer than {}", humantime::format_duration(self.timeout)))
            }
            Ok(status) => self.judged(status?, ground),
        };
        let outcome = outcome.with_lines(output.last(TOLD)).with_file("output", &*log);
        Ok(Ending::Came(match dropped {
            0 => outcome,
            dropped => outcome.with_fact("outputDropped", dropped),
        }))
    }

    /// What its end means.
    fn judged(&self, status: ExitStatus, ground: &Ground) -> Outcome {
        match status.code() {
            Some(0) => match self.made(ground) {
                Ok(images) if images.is_empty() => Outcome::passed("exit status 0"),
                Ok(images) => {
                    let said: Vec<_> = images.values().map(String::as_str).collect();
                    Outcome::passed(format!("made {}", said.join(", ")))
                        .with_fact("images", images_fact(&images))
                }
                Err(why) => Outcome::failed(why),
            },
            Some(code) => Outcome::failed(format!("exit status {code}")).with_fact("exitStatus", code),
            None => Outcome::failed(format!("it was ended by a signal ({status})")),
        }
    }

    /// The images that it made. One that is said by a tag alone can be another one tomorrow.
    fn made(&self, ground: &Ground) -> Result<BTreeMap<String, String>, String> {
        let read = |(name, path): (&String, &PathBuf)| {
            let path = self.inside(ground, path);
            let text = small_file("image", &path).map_err(|error| error.to_string())?;
            let image = text.trim().parse::<OciImage>().map_err(|error| {
                format!("images.{name}: `{}` does not pin an image by its digest: {error}", path.display())
            })?;
            Ok((name.clone(), image.to_string()))
        };
        self.images.iter().map(read).collect()
    }

    async fn spawned(&self, at: At<'_>, mark: &str, output: &Arc<Mutex<Output>>) -> Result<ExitStatus> {
        /// What it has started may hold its outputs open for longer than it lives.
        const REST: Duration = Duration::from_secs(1);
        let directory = at.ground.release.path(&self.directory);
        let mut command = tokio::process::Command::new(self.program(at.ground));
        command
            .args(&self.command[1..])
            .envs(at.images.iter().map(|(name, image)| (variable(name), image)))
            .env("TIDEGATE_MODEL", at.ground.release.model.to_string())
            .env("TIDEGATE_OUTPUTS", at.ground.outputs()?)
            .envs(&self.env)
            .env(MARK, mark)
            .current_dir(if directory.as_os_str().is_empty() { Path::new(".") } else { &directory })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().map_err(|source| Failure::Lost {
            what: format!("`{}` of stage `{}` cannot be started", self.command[0], at.stage),
            source,
        })?;
        let mut group = Group(child);
        let (out, err) = (group.0.stdout.take(), group.0.stderr.take());
        let mut copied = std::pin::pin!(async {
            tokio::join!(copy(out, output), copy(err, output));
        });
        let status = tokio::select! {
            status = group.0.wait() => status?,
            () = &mut copied => return Ok(group.0.wait().await?),
        };
        let _rest = timeout(REST, copied).await;
        Ok(status)
    }

    pub(super) fn preview(&self, ground: &Ground) -> Preview {
        let line = self.command.join(" ");
        let directory = ground.release.path(&self.directory);
        let here = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
        let program = Path::new(&self.command[0]);
        let lacks_program = (!self.is_there(ground)).then(|| {
            format!("there is no program `{}`; install it, or correct the command", program.display())
        });
        let lacks_directory = (!here.is_dir())
            .then(|| format!("there is no directory `{}`; it is where the command runs", here.display()));
        let mut preview =
            Preview::new(format!("runs `{line}`, for {} at most", humantime::format_duration(self.timeout)))
                .taking(format!("the program `{}`", program.display()))
                .lacking(lacks_program.into_iter().chain(lacks_directory));
        for (name, path) in &self.images {
            preview.does.push_str(&format!("; it makes the image {name}, named in `{}`", path.display()));
        }
        preview
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        const MOST: u64 = 1 << 30;
        if self.command.first().is_none_or(String::is_empty) {
            return Some(("command", "is empty; write a program and its arguments".to_owned()));
        }
        if self.output_bytes > MOST {
            return Some(("output_bytes", format!("is more than {}; write less", bytes(MOST))));
        }
        let fits =
            |name: &&String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        let unfit = self.images.keys().find(|name| !fits(name));
        unfit.map(|name| ("images", format!("`{name}` has to be letters, digits and `_`; rename it")))
    }

    /// A path with a directory is beside the file; a name alone is looked for.
    fn program(&self, ground: &Ground) -> PathBuf {
        let program = Path::new(&self.command[0]);
        if program.components().count() == 1 && !self.command[0].starts_with('.') {
            return program.to_owned();
        }
        // The directory that a command runs in changes what a relative path would mean.
        let path = ground.release.path(program);
        std::path::absolute(&path).unwrap_or(path)
    }

    #[expect(clippy::disallowed_methods, reason = "programs are looked for where the environment says")]
    fn is_there(&self, ground: &Ground) -> bool {
        let program = self.program(ground);
        if program.components().count() > 1 {
            return program.is_file();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(AsRef::<OsStr>::as_ref(&path)).any(|place| place.join(&program).is_file())
    }

    fn inside(&self, ground: &Ground, path: &Path) -> PathBuf {
        ground.release.path(&self.directory).join(path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It has a group of its own, so that Ctrl-C in a terminal is this program's alone.
        if let Some(leader) =
            self.0.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?))
        {
            let _gone = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

async fn copy(from: Option<impl AsyncRead + Unpin>, output: &Mutex<Output>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return,
            Ok(read) => locked(output).push(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn locked(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `TIDEGATE_IMAGE_SERVER`
fn variable(image: &str) -> String {
    format!("TIDEGATE_IMAGE_{}", image.to_ascii_uppercase())
}

fn images_fact(images: &BTreeMap<String, String>) -> serde_json::Value {
    images.iter().map(|(name, image)| (name.clone(), image.clone())).collect()
}

const fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

const fn output_bytes() -> u64 {
    16 << 20
}
