//! A network that fails: a proxy for HTTP/1.1 that loses, cuts, repeats and invents answers, by a
//! schedule that follows from a seed.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::Serving;

/// What happens to a request. Nothing else may be told of it than happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is answered twice; the second answer comes when nothing was asked.
    AnsweredTwice,
    /// It arrives twice, and the second answer is given.
    ArrivesTwice,
    Delayed,
    /// It arrives, and the connection ends without an answer.
    DroppedAfter,
    /// The connection ends.
    DroppedBefore,
    /// It arrives, and is answered with this status.
    StatusAfter(u16),
    /// It is answered with this status.
    StatusBefore(u16),
    /// It arrives, and its answer is cut off.
    Truncated,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    serving: Serving,
    weather: Arc<Weather>,
}

#[derive(Debug)]
struct Weather {
    upstream: SocketAddr,
    rng: Mutex<Rng>,
    one_in: AtomicU32,
    faults: AtomicUsize,
}

impl Proxy {
    /// In front of `upstream`; on average one of `one_in` requests has a fault, none if that is 0.
    pub(crate) fn start(upstream: &str, seed: u64, one_in: u32) -> Self {
        let weather = Arc::new(Weather {
            upstream: upstream.strip_prefix("http://").unwrap().parse().unwrap(),
            rng: Mutex::new(Rng::with_seed(seed)),
            one_in: AtomicU32::new(one_in),
            faults: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&weather);
        let serving = Serving::start(move |connection| {
            let weather = Arc::clone(&shared);
            async move {
                // Either side may go away at any time.
                let _ = weather.relay(connection).await;
            }
        });
        Self { serving, weather }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.serving.url()
    }

    pub(crate) fn set(&self, one_in: u32) {
        self.weather.one_in.store(one_in, Ordering::SeqCst);
    }

    /// How many requests had a fault. A test in which none had has shown nothing.
    pub(crate) fn faults(&self) -> usize {
        self.weather.faults.load(Ordering::SeqCst)
    }
}

struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
    method: String,
    conditional: bool,
}

impl Weather {
    async fn relay(&self, connection: TcpStream) -> std::io::Result<()> {
        let (reader, mut writer) = connection.into_split();
        let mut reader = BufReader::new(reader);
        while let Some(request) = Request::read(&mut reader).await? {
            let fault = self.draw(&request);
            match fault {
                Some(Fault::DroppedBefore) => return Ok(()),
                Some(Fault::StatusBefore(status)) => {
                    writer.write_all(&answer(status)).await?;
                    continue;
                }
                Some(Fault::ArrivesTwice) => drop(self.ask(&request).await?),
                Some(Fault::Delayed) => tokio::time::sleep(Duration::from_millis(self.delay())).await,
                _ => {}
            }
            let answered = self.ask(&request).await?;
            match fault {
                Some(Fault::DroppedAfter) => return Ok(()),
                Some(Fault::StatusAfter(status)) => writer.write_all(&answer(status)).await?,
                Some(Fault::Truncated) => {
                    let end = self.rng.lock().unwrap().usize(0..answered.len());
                    writer.write_all(&answered[..end]).await?;
                    return Ok(());
                }
                Some(Fault::AnsweredTwice) => writer.write_all(&answered.repeat(2)).await?,
                _ => writer.write_all(&answered).await?,
            }
        }
        Ok(())
    }

    /// The whole answer, on a connection of its own that ends with it.
    async fn ask(&self, request: &Request) -> std::io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(self.upstream).await?;
        let end = request.head.len() - 2;
        let head = [&request.head[..end], b"connection: close\r\n\r\n"].concat();
        upstream.write_all(&[head, request.body.clone()].concat()).await?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).await?;
        // The connection to the client stays.
        const CLOSE: &[u8] = b"connection: close\r\n";
        if let Some(at) = answer.windows(CLOSE.len()).position(|line| line == CLOSE) {
            answer.drain(at..at + CLOSE.len());
        }
        Ok(answer)
    }

    fn delay(&self) -> u64 {
        self.rng.lock().unwrap().u64(1..40)
    }

    fn draw(&self, request: &Request) -> Option<Fault> {
        let mut rng = self.rng.lock().unwrap();
        let one_in = self.one_in.load(Ordering::SeqCst);
        if one_in == 0 || rng.u32(0..one_in) > 0 {
            return None;
        }
        self.faults.fetch_add(1, Ordering::SeqCst);
        let faults = [
            Fault::AnsweredTwice,
            Fault::ArrivesTwice,
            Fault::Delayed,
            Fault::DroppedAfter,
            Fault::DroppedBefore,
            Fault::StatusAfter(500),
            Fault::StatusAfter(503),
            Fault::StatusBefore(500),
            Fault::StatusBefore(503),
            Fault::Truncated,
            // S3 answers a conflict only to what has a condition.
            Fault::StatusAfter(409),
            Fault::StatusBefore(409),
        ];
        let end = if request.conditional { faults.len() } else { faults.len() - 2 };
        let fault = faults[rng.usize(..end)];
        // Made once more, a creation of an upload only leaves one that nobody knows; its answer is the
        // first that the client can use.
        Some(if fault == Fault::ArrivesTwice && request.method == "GET" { Fault::Delayed } else { fault })
    }
}

impl Request {
    async fn read(reader: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> std::io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).await? == 0 {
                return Ok(None);
            }
        }
        let text = String::from_utf8(head.clone()).unwrap().to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).await?;
        let method = text.split(' ').next().unwrap().to_ascii_uppercase();
        Ok(Some(Self { head, body, method, conditional: text.contains("\r\nif-none-match:") }))
    }
}

fn answer(status: u16) -> Vec<u8> {
    let code = match status {
        409 => "ConditionalRequestConflict",
        503 => "SlowDown",
        _ => "InternalError",
    };
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    format!(
        "HTTP/1.1 {status} {code}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}
