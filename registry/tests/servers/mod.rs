//! Real servers to test against, on free ports of the loopback interface.
#![allow(dead_code, reason = "each test file uses the servers that it needs")]

pub(crate) mod gcs;
pub(crate) mod live;
pub(crate) mod proxy;
pub(crate) mod s3;

use std::thread;

use tokio::{net::TcpListener, sync::oneshot};

/// Something that serves connections on a thread and a runtime of its own until it is dropped, so that
/// it goes on whatever the test's runtime does.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Serving {
    /// Hands every connection to `serve`.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
    ) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => drop(tokio::spawn(serve(accepted.unwrap().0))),
                        _ = &mut stopped => break,
                    }
                }
            });
            runtime.shutdown_background();
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
