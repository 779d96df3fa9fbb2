//! Whether the program of a server could be started: what `exec` would look for, without starting anything.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::{
    spec::Prepared,
    template::{Filling, Place, Template},
};
use crate::{Rehearsed, Workload};

/// Where a program is looked for when nothing says where: execvp(3).
const USUAL_PATH: &str = "/bin:/usr/bin";

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unstartable {
    #[error("its working directory `{}` is not there; make it, or correct command.directory", .0.display())]
    Directory(PathBuf),
    #[error("`{}` is no file that this user may execute; install it, or correct command.program", .0.display())]
    Program(PathBuf),
    #[error("there is no program `{}` in `{}`; install it, or correct command.program", .name.display(), .path.display())]
    Unfound { name: PathBuf, path: PathBuf },
}

impl Prepared {
    /// Whether the program is there. What lies among the files of the release is not known before they have come.
    /// Blocks.
    pub(super) fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, Unstartable> {
        let Workload { slot, release, .. } = workload;
        // Where the port or the directory stands, nothing is filled in.
        let filling = Filling { port: 1, slot: *slot, release, directory: Path::new("/") };
        let unknown = |of: &Template| of.has(Place::Directory) || of.has(Place::Port);
        if unknown(&self.program) {
            return Ok(Rehearsed::Unknown);
        }
        let known = self.directory.as_ref().filter(|directory| !unknown(directory));
        let known = known.map(|directory| PathBuf::from(directory.fill(&filling)));
        if let Some(missing) = known.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(Unstartable::Directory(missing.clone()));
        }
        // Relative ones are those of the directory that the server begins in.
        let at = |path: &Path| match (&known, &self.directory) {
            _ if path.is_absolute() => Some(path.to_owned()),
            (Some(known), _) => Some(known.join(path)),
            (None, None) => Some(path.to_owned()),
            (None, Some(_)) => None,
        };
        let program = PathBuf::from(self.program.fill(&filling));
        if program.as_os_str().as_bytes().contains(&b'/') {
            return match at(&program) {
                None => Ok(Rehearsed::Unknown),
                Some(path) if is_executable(&path) => Ok(Rehearsed::Accepted),
                Some(path) => Err(Unstartable::Program(path)),
            };
        }
        let path = self.path(&filling);
        let folders: Vec<_> = std::env::split_paths(&path).map(|folder| at(&folder)).collect();
        if folders.iter().flatten().any(|folder| is_executable(&folder.join(&program))) {
            Ok(Rehearsed::Accepted)
        } else if folders.contains(&None) {
            Ok(Rehearsed::Unknown)
        } else {
            Err(Unstartable::Unfound { name: program, path: path.into() })
        }
    }

    /// Where a program without a path is looked for: in the `PATH` that the server gets.
    #[expect(
        clippy::disallowed_methods,
        reason = "a server inherits the environment, unless its spec says otherwise"
    )]
    fn path(&self, filling: &Filling<'_>) -> OsString {
        let own = self.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.fill(filling));
        let inherited = || std::env::var_os("PATH").filter(|_| !self.spec.command.clear_env);
        own.or_else(inherited).unwrap_or_else(|| OsStr::new(USUAL_PATH).to_owned())
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
