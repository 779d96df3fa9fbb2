//! Debian's `docker-registry`, the reference implementation of the distribution specification, on a free
//! port; and a proxy that changes what it says.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use bytes::Bytes;

use crate::ports::free_port;

/// A registry process with an empty store, which ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    _directory: tempfile::TempDir,
}

/// `user` with the password `correct horse`, as bcrypt at its lowest cost.
pub(crate) const HTPASSWD: &str = "user:$2b$04$w7dKnB5mqe3jfFnjU08KcuyWD10DwNufQ.V6mkdu3yDriEBkvbPhi\n";

impl Server {
    pub(crate) fn start() -> Self {
        Self::configured(|_| String::new())
    }

    /// A registry that lets nobody in but `user`.
    pub(crate) fn locked() -> Self {
        Self::configured(|directory| {
            let path = directory.join("htpasswd");
            std::fs::write(&path, HTPASSWD).unwrap();
            format!("auth: {{htpasswd: {{realm: test, path: {path:?}}}}}\n")
        })
    }

    fn configured(more: impl Fn(&Path) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let free = format!("127.0.0.1:{}", free_port());
        let root = directory.path().join("store");
        let configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {root:?}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"{free}\"}}\n{}",
            more(directory.path())
        );
        let path = directory.path().join("config.yml");
        std::fs::write(&path, configuration).unwrap();
        let child = Command::new(binary())
            .arg("serve")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts: install it or set DOCKER_REGISTRY_BIN");
        let mut server = Self { child, address: format!("http://{free}"), _directory: directory };
        for _ in 0..500 {
            if std::net::TcpStream::connect(&free).is_ok() {
                return server;
            }
            assert!(server.child.try_wait().unwrap().is_none(), "docker-registry ended at once");
            pause(Duration::from_millis(20));
        }
        panic!("docker-registry does not listen after 10 s");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests are told where the server is")]
fn binary() -> String {
    std::env::var("DOCKER_REGISTRY_BIN").unwrap_or_else(|_| "docker-registry".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a process says in no other way that it listens")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// What passed through a proxy: `METHOD path`.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// A proxy before `address` that does `change` to the bodies of blobs that are fetched. Its address, and
/// what it saw.
pub(crate) async fn proxy(
    address: &str,
    change: impl Fn(Bytes) -> Bytes + Clone + Send + Sync + 'static,
) -> (String, Seen) {
    let seen = Seen::default();
    let (to, kept, client) = (address.to_owned(), Arc::clone(&seen), super::client());
    let forward = async move |request: Request| {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().unwrap().to_string();
        kept.lock().unwrap().push(format!("{} {path}", parts.method));
        let is_blob = parts.method == "GET" && path.contains("/blobs/");
        let body = to_bytes(body, usize::MAX).await.unwrap();
        // With the proxy's own `Host`, so that uploads go on through it.
        let asked = client.request(parts.method, format!("{to}{path}")).headers(parts.headers).body(body);
        let answer = asked.send().await.unwrap();
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        let bytes = if is_blob { change(bytes) } else { bytes };
        headers.remove("transfer-encoding");
        if is_blob {
            headers.insert("content-length", bytes.len().into());
        }
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    };
    (serve(Router::new().fallback(forward)).await, seen)
}

pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
