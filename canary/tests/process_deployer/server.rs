//! The server that the tests supervise: this program, told by its environment to be one, and by a file in its
//! working directory how to behave.

use std::{
    convert::Infallible,
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use serde::{Deserialize, Serialize};

/// The port that makes this program a server.
pub(crate) const PORT: &str = "TIDEGATE_TEST_PORT";
/// The file that says how it behaves.
pub(crate) const BEHAVIOUR: &str = "behaviour.json";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Behaviour {
    /// Ends at once, with this status.
    pub(crate) exit: Option<i32>,
    /// Ends after so many milliseconds.
    pub(crate) exit_after: Option<u64>,
    /// Is not ready before so many milliseconds.
    pub(crate) ready_after: u64,
    /// Answers whether it is ready with this status and a body that does not end.
    pub(crate) endless: Option<u16>,
    /// Starts a child, in its own group or a session of its own.
    pub(crate) child: Option<Child>,
    /// Prints as fast as it can.
    pub(crate) floods: bool,
    /// Prints this before it listens.
    pub(crate) prints: String,
    /// Answers every nth request with 500.
    pub(crate) every_nth_fails: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Child {
    InGroup,
    InSession,
}

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) pid: u32,
    pub(crate) arguments: Vec<String>,
    pub(crate) token: String,
}

#[expect(clippy::disallowed_methods, reason = "this program is the server")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// No test, but the server. Without [`PORT`] it does nothing.
#[test]
fn serve() {
    if let Some(port) = variable(PORT) {
        match &*port {
            "child" => linger(),
            "session" => {
                rustix::process::setsid().unwrap();
                linger()
            }
            port => run(port.parse().unwrap()),
        }
    }
}

/// Does nothing, until the test is over: its directory is gone then, and this program must be, even if it was
/// started at the last moment.
#[expect(clippy::disallowed_methods, reason = "a process of its own, that waits")]
fn linger() {
    for _ in 0..3_000 {
        std::thread::sleep(Duration::from_millis(100));
        if std::env::current_dir().is_err() {
            break;
        }
    }
    std::process::exit(0);
}

#[expect(clippy::zombie_processes, reason = "whether a child is left behind is what is tested")]
#[tokio::main(flavor = "current_thread")]
async fn run(port: u16) {
    std::thread::spawn(linger);
    let behaviour = std::fs::read(BEHAVIOUR).unwrap_or_else(|_| b"{}".to_vec());
    let behaviour: Behaviour = serde_json::from_slice(&behaviour).unwrap();
    print(&behaviour.prints);
    if let Some(status) = behaviour.exit {
        std::process::exit(status);
    }
    if let Some(child) = behaviour.child {
        let kind = match child {
            Child::InGroup => "child",
            Child::InSession => "session",
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["server::serve", "--exact"]).env(PORT, kind).stdin(Stdio::null());
        let child = command.spawn().unwrap();
        std::fs::write(format!("child-{port}"), child.id().to_string()).unwrap();
    }
    if let Some(after) = behaviour.exit_after {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            std::process::exit(7);
        });
    }
    if behaviour.floods {
        std::thread::spawn(|| {
            for line in 0_u64.. {
                print(&format!("{line} {}\n", "x".repeat(1_000)));
                if line % 64 == 0 {
                    // About 60 MB/s, which a disk can take.
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
        });
    }
    let began = tokio::time::Instant::now();
    let ready = Duration::from_millis(behaviour.ready_after);
    let endless = behaviour.endless;
    let health = async move || match endless {
        Some(status) => {
            let body = stream::repeat_with(|| Ok::<_, Infallible>("more and more "));
            (StatusCode::from_u16(status).unwrap(), Body::from_stream(body)).into_response()
        }
        None if began.elapsed() < ready => {
            (StatusCode::SERVICE_UNAVAILABLE, "loading the model").into_response()
        }
        None => StatusCode::OK.into_response(),
    };
    let who = async || {
        axum::Json(Who {
            pid: std::process::id(),
            arguments: std::env::args().skip(4).collect(),
            token: variable("TOKEN").unwrap_or_default(),
        })
    };
    let count = Arc::new(AtomicU64::new(0));
    let router = Router::new()
        .route("/health", get(health))
        .route("/who", get(who))
        .route("/slow/{ms}", get(slow))
        .route("/", get(answer).with_state((count, behaviour.every_nth_fails)));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

async fn slow(Path(ms): Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    "slow but whole"
}

async fn answer(State((count, every)): State<(Arc<AtomicU64>, Option<u64>)>) -> Response {
    let n = count.fetch_add(1, Ordering::Relaxed) + 1;
    match every {
        Some(every) if n.is_multiple_of(every) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => "fine".into_response(),
    }
}

fn print(text: &str) {
    // Not by `println!`, which a test captures.
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap();
}
