//! Where notifications arrive: a server that takes everything, and proves afterwards who sent it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde::Serialize;
use serde_json::Value;

use crate::running::told;

/// What it shares with who tells it.
pub(crate) const SECRET: &str = "whsec_ZW5kLXRvLWVuZC1vbi1yZWFsLXBhcnRzLTAx";

/// Reads a message a line, and proves each by the reference implementation of Standard Webhooks.
const PROVE: &str = "
import json, sys
from standardwebhooks import Webhook
for line in sys.stdin:
    message = json.loads(line)
    print(json.dumps(Webhook(sys.argv[1]).verify(message['body'], message['headers'])))
";

pub(crate) struct Sink {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Message>>>,
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
        let taken = Arc::<Mutex<Vec<Message>>>::default();
        let takes = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(message) = take(stream) {
                    takes.lock().expect("nobody panics").push(message);
                }
            }
        });
        Self { url, taken }
    }

    /// The events that have arrived, each proven to come from who knows the secret.
    pub(crate) fn proven(&self) -> Vec<Value> {
        let taken = self.taken.lock().expect("nobody panics").clone();
        let mut python = Command::new(told("TIDEGATE_TEST_PYTHON"));
        python.args(["-c", PROVE, SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.spawn().expect("TIDEGATE_TEST_PYTHON is a Python with standardwebhooks");
        let mut input = python.stdin.take().expect("a pipe");
        let lines = taken.iter().map(|message| serde_json::to_string(message).expect("it is JSON") + "\n");
        let lines: String = lines.collect();
        let writes = thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = python.wait_with_output().expect("it ends");
        writes.join().expect("it does not panic").expect("all of it is read");
        assert!(output.status.success(), "a message is not signed as it should be");
        let lines = output.stdout.lines().map(|line| line.expect("text"));
        lines.map(|line| serde_json::from_str(&line).expect("a document")).collect()
    }

    /// An event of this kind has arrived, whose text has all of `words`.
    #[track_caller]
    pub(crate) fn was_told(&self, kind: &str, words: &[&str]) {
        let events = self.proven();
        let kind = format!("dev.tidegate.{kind}.v1");
        let has = |event: &Value| words.iter().all(|word| event.to_string().contains(word));
        let found = events.iter().any(|event| event["type"] == *kind && has(event));
        assert!(found, "nobody was told {kind} with {words:?}: {events:#?}");
    }
}

fn take(stream: TcpStream) -> Option<Message> {
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
    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    let _hung_up = stream.get_mut().write_all(answer);
    Some(Message { headers, body: String::from_utf8(body).ok()? })
}
