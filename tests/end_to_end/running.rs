//! Programs that run beside a test, and how one waits for them.

use std::{
    ffi::OsString,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::users::{Answer, request};

/// A program that ends with the value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// The program that `variable` names.
#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where its servers are")]
pub(crate) fn program(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| otherwise.into())
}

/// What `variable` says, which nothing can stand in for.
#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where its models are")]
pub(crate) fn told(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("name it in {variable}"))
}

/// Waits until a server says that it is ready.
pub(crate) fn until_ready(what: &str, port: u16, path: &str) {
    until(what, || request(port, "GET", path, "").filter(Answer::is_good));
}

/// Looks again and again, for five minutes at most.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(300), "it never came: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes are watched, which have clocks of their own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
