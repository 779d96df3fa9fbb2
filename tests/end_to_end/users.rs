//! Who asks, and what they are answered.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Two tokens: what is seen is whether and by whom it is answered.
const ASKED: &str =
    r#"{"model": "assistant", "prompt": "The capital of France is", "max_tokens": 2, "temperature": 0}"#;

/// How many they are at once.
const USERS: usize = 14;

/// People who ask one thing after another, until this is dropped.
pub(crate) struct Users {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

/// How often which version, or what stands before them, gave which status.
pub(crate) type Seen = BTreeMap<(String, u16), u64>;

/// What a server answers to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Who it says that it is.
    pub(crate) version: Option<String>,
    pub(crate) body: String,
}

impl Users {
    pub(crate) fn of(port: u16) -> Self {
        let (over, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Seen>>::default());
        let user = |_| {
            let (over, seen) = (Arc::clone(&over), Arc::clone(&seen));
            thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let by = match request(port, "POST", "/v1/completions", ASKED) {
                        Some(answer) => {
                            (answer.version.unwrap_or_else(|| "nobody".to_owned()), answer.status)
                        }
                        None => ("nobody".to_owned(), 0),
                    };
                    *seen.lock().unwrap_or_else(PoisonError::into_inner).entry(by).or_default() += 1;
                    // Not to wait for anything, but because people read before they ask again.
                    thread::park_timeout(Duration::from_millis(50));
                }
            })
        };
        let threads = (0..USERS).map(user).collect();
        Self { over, seen, threads }
    }

    /// What was seen since this was asked last.
    pub(crate) fn seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _panicked = thread.join();
        }
    }
}

impl Answer {
    pub(crate) const fn is_good(&self) -> bool {
        self.status == 200
    }
}

/// One request over a connection of its own; nothing if nobody answers.
pub(crate) fn request(port: u16, method: &str, path: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let version = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-version").then(|| value.trim().to_owned())
    });
    Some(Answer { status, version, body: body.to_owned() })
}
