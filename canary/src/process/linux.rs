//! Processes as the kernel knows them: by pidfd and `/proc`, so that a number that was used again for
//! something else is never taken for a server of ours.

use std::{
    ffi::OsStr,
    fs, io,
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    time::Duration,
};

use rustix::{
    fd::AsFd,
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal,
        waitid,
    },
};
use serde::{Deserialize, Serialize};

/// The environment variable by which processes of a start are found, children included.
pub(super) const MARK: &str = "TIDEGATE_SERVER";

/// How often a process is looked at. A pidfd could be waited for instead, but registering it takes unsafe code.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// More than the kernel lets a program start with by default.
const LARGEST_ENVIRONMENT: u64 = 8 << 20;
/// How often those that bear a mark are looked for until none is left.
const SWEEPS: usize = 100;
const BETWEEN_SWEEPS: Duration = Duration::from_millis(20);

/// What tells one process from any other of this machine, until it is started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Identity {
    pid: i32,
    /// When it began, in clock ticks since the machine was started: field 22 of `/proc/PID/stat`, proc(5).
    started: u64,
    /// Which start of the machine: `/proc/sys/kernel/random/boot_id`.
    boot: String,
}

/// A server's process, which leads its group.
#[derive(Debug)]
pub(super) struct Process {
    identity: Identity,
    pid: Pid,
    descriptor: OwnedFd,
}

/// One line of `/proc/PID/stat`.
struct Stat {
    is_dead: bool,
    group: i32,
    started: u64,
}

/// Which start of the machine this is.
pub(super) fn boot() -> io::Result<String> {
    let mut text = String::new();
    fs::File::open("/proc/sys/kernel/random/boot_id")?.take(64).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

impl Stat {
    /// `None` when there is no such process.
    fn read(pid: i32) -> Option<Self> {
        let mut text = Vec::new();
        fs::File::open(format!("/proc/{pid}/stat")).ok()?.take(4_096).read_to_end(&mut text).ok()?;
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // The name of the program stands in parentheses and may have some itself.
        let after = text.iter().rposition(|byte| *byte == b')')? + 1;
        let fields: Vec<&str> = std::str::from_utf8(&text[after..]).ok()?.split_ascii_whitespace().collect();
        // The first of these is field 3. A first thread that has ended is shown as dead while others run on.
        let threads: u64 = fields.get(17)?.parse().ok()?;
        Some(Self {
            is_dead: matches!(*fields.first()?, "Z" | "X") && threads <= 1,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

impl Identity {
    /// Who `pid` is, if it lives.
    fn of(pid: i32, boot: &str) -> Option<Self> {
        let stat = Stat::read(pid).filter(|stat| !stat.is_dead)?;
        Some(Self { pid, started: stat.started, boot: boot.to_owned() })
    }

    /// Whether this very process lives.
    pub(super) fn is_alive(&self) -> bool {
        Self::of(self.pid, &self.boot).is_some_and(|living| living == *self)
    }
}

impl Process {
    /// A child that nobody has waited for.
    pub(super) fn of_child(child: &std::process::Child, boot: &str) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        // It keeps its number, and its line in /proc, until somebody waits for it.
        let stat = Stat::read(pid.as_raw_pid()).ok_or_else(|| io::Error::other("/proc does not show it"))?;
        let identity = Identity { pid: pid.as_raw_pid(), started: stat.started, boot: boot.to_owned() };
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { identity, pid, descriptor })
    }

    /// The process `identity`, if it lives and this is the same start of the machine.
    pub(super) fn find(identity: &Identity, boot: &str) -> io::Result<Option<Self>> {
        // Neither what is no number of a process nor the first one, which is nobody's server.
        let Some(pid) = Some(identity.pid).filter(|pid| *pid > 1).and_then(Pid::from_raw) else {
            return Ok(None);
        };
        if identity.boot != boot {
            return Ok(None);
        }
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after it was opened: if it is the one now, the descriptor is of no other.
        let found = Self { identity: identity.clone(), pid, descriptor };
        match Stat::read(identity.pid).filter(|stat| stat.started == identity.started) {
            Some(stat) if stat.is_dead => {
                // A child of this very program, whose supervisor was dropped before it ended.
                found.bury();
                Ok(None)
            }
            same => Ok(same.map(|_| found)),
        }
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns once it has ended.
    pub(super) async fn ended(&self) {
        while self.identity.is_alive() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Tells its group, if it lives.
    pub(super) fn tell_group(&self, signal: Signal) {
        if self.identity.is_alive() {
            let told = kill_process_group(self.pid, signal);
            tracing::debug!(pid = self.identity.pid, ?signal, ?told, "telling the group of a server");
        }
    }

    /// How it ended, once it has. What is left of its group is killed.
    pub(super) fn bury(&self) -> String {
        // As long as nobody has waited for a child, its number and that of its group are not used again.
        let waits = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let id = || WaitId::PidFd(self.descriptor.as_fd());
        if !matches!(waitid(id(), waits | WaitIdOptions::NOWAIT), Ok(Some(_))) {
            return "it ended; how is not known, as an earlier supervisor had started it".to_owned();
        }
        let _gone = kill_process_group(self.pid, Signal::KILL);
        match waitid(id(), waits) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("it ended with exit status {code}"),
                (None, Some(signal)) => format!("it was ended by signal {signal}"),
                (None, None) => "it ended".to_owned(),
            },
            _ => "it ended".to_owned(),
        }
    }
}

/// The processes that bear `mark`, except those of other users. Blocks.
fn marked(mark: &OsStr) -> Vec<i32> {
    let variable = [MARK.as_bytes(), b"=", mark.as_bytes()].concat();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| bears(*pid, &variable)).collect()
}

fn bears(pid: i32, variable: &[u8]) -> bool {
    let mut environment = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/environ"));
    let read = file.and_then(|file| file.take(LARGEST_ENVIRONMENT).read_to_end(&mut environment));
    read.is_ok() && environment.split(|byte| *byte == 0).any(|entry| entry == variable)
}

/// The process that bears `mark` and leads its group. Blocks.
pub(super) fn leader(mark: &OsStr, boot: &str) -> Option<Identity> {
    let leads = |pid: &i32| Stat::read(*pid).is_some_and(|stat| stat.group == *pid);
    marked(mark).into_iter().filter(leads).find_map(|pid| Identity::of(pid, boot))
}

/// Kills what bears `mark`, and returns once nothing does, or after two seconds: a process that is in the hands
/// of the kernel may not end by then.
pub(super) async fn sweep(mark: &OsStr) {
    let variable = [MARK.as_bytes(), b"=", mark.as_bytes()].concat();
    for _ in 0..SWEEPS {
        let (mark, variable) = (mark.to_owned(), variable.clone());
        let left = super::blocking(move || {
            let left = marked(&mark);
            for pid in &left {
                let opened = Pid::from_raw(*pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
                // Looked at again after it was opened, so that the descriptor is of no other.
                if let Some(Ok(process)) = opened
                    && bears(*pid, &variable)
                {
                    let _gone = pidfd_send_signal(&process, Signal::KILL);
                }
            }
            left
        });
        if left.await.is_empty() {
            return;
        }
        tokio::time::sleep(BETWEEN_SWEEPS).await;
    }
    tracing::warn!(?mark, "what a server has left behind does not end");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From proc(5), with a name as hostile as the kernel lets it be.
    #[test]
    fn a_stat_is_read_behind_the_last_parenthesis() {
        let line =
            b"4242 (a) Z 1 2 (b) S 1 4240 4239 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 9 0 987654 11 12 13\n";
        let stat = Stat::parse(line).unwrap();
        assert!(!stat.is_dead);
        assert_eq!((stat.group, stat.started), (4_240, 987_654));
        assert!(
            Stat::parse(b"4242 (gone) Z 1 4240 4239 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 5 0").unwrap().is_dead
        );
        for hostile in [&b""[..], b"1", b"1 (a", b"1 (a)", b"1 (a) S", b"1 (a) S 1 x", b"1 (a) S 1 2 \xff"] {
            assert!(Stat::parse(hostile).is_none());
        }
    }

    #[test]
    fn this_process_lives_and_another_of_its_number_does_not() {
        let boot = boot().unwrap();
        let own = Identity::of(std::process::id().try_into().unwrap(), &boot).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
        assert!(Identity::of(i32::MAX, &boot).is_none());
    }
}
