//! Where notifications arrive: a server that takes everything, and proves afterwards who sent it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::running::told;

/// What it shares with who tells it.
pub(crate) const SECRET: &str = "whsec_ZW5kLXRvLWVuZC1vbi1yZWFsLXBhcnRzLTAx";

/// Reads a message a line, and says of each what the reference implementation of Standard Webhooks makes of it, at once: it
/// takes none that is older than five minutes.
const PROVE: &str = "
import json, sys
from standardwebhooks import Webhook
for line in sys.stdin:
    message = json.loads(line)
    try:
        print(json.dumps(Webhook(sys.argv[1]).verify(message['body'], message['headers'])), flush=True)
    except Exception as error:
        print(json.dumps({'refused': str(error)}), flush=True)
";

pub(crate) struct Sink {
    pub(crate) url: String,
    /// What has arrived, or why it was refused.
    events: Arc<Mutex<Vec<Value>>>,
}

#[derive(Clone, Debug, Serialize)]
struct Message {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Sink {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let takes = Arc::clone(&events);
        let mut prover = Prover::start();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((message, mut stream)) = take(stream) else { continue };
                let event = prover.prove(&message);
                takes.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                let _hung_up = stream.write_all(answer);
            }
        });
        Self { url, events }
    }

    /// An event of this kind has arrived, whose text has all of `words`; and nothing has that is not proven to come from
    /// who knows the secret.
    #[track_caller]
    pub(crate) fn was_told(&self, kind: &str, words: &[&str]) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refused = events.iter().find(|event| !event["refused"].is_null());
        assert!(refused.is_none(), "{refused:?}");
        let kind = format!("dev.tidegate.{kind}.v1");
        let has = |event: &Value| words.iter().all(|word| event.to_string().contains(word));
        let found = events.iter().any(|event| event["type"] == *kind && has(event));
        assert!(found, "nobody was told {kind} with {words:?}: {events:#?}");
    }
}

/// A Python that reads one message after another, and ends when nobody can write to it any more.
struct Prover {
    _python: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Prover {
    fn start() -> Self {
        let mut python = Command::new(told("TIDEGATE_TEST_PYTHON"));
        python.args(["-c", PROVE, SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.spawn().expect("TIDEGATE_TEST_PYTHON is a Python with standardwebhooks");
        let output = BufReader::new(python.stdout.take().expect("a pipe"));
        let input = python.stdin.take().expect("a pipe");
        Self { _python: python, input, output }
    }

    fn prove(&mut self, message: &Message) -> Value {
        let line = serde_json::to_string(message).expect("it is JSON") + "\n";
        let mut answer = String::new();
        let asked = self.input.write_all(line.as_bytes());
        let read = asked.and_then(|()| self.output.read_line(&mut answer));
        read.ok().and_then(|_| serde_json::from_str(&answer).ok()).unwrap_or_else(
            || json!({ "refused": "TIDEGATE_TEST_PYTHON is no Python with standardwebhooks" }),
        )
    }
}

fn take(stream: TcpStream) -> Option<(Message, TcpStream)> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), BTreeMap::new());
    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some((Message { headers, body: String::from_utf8(body).ok()? }, stream.into_inner()))
}
