//! An nginx in process: it holds what the files said when it was last reloaded, and shows the variables of
//! their states. Its commands are those of a shell.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Path as PathOf, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use tempfile::TempDir;
use tidegate_canary::Nginx;

/// What it does when it is asked for a state.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Shows,
    /// Its workers take turns in showing what they have and what they had.
    Mixes,
    /// It never answers.
    Hangs,
    /// It answers with this status and body.
    Says(u16, String),
    /// Its answers have no end.
    Floods,
}

/// The upstream that it does not have.
pub(crate) const NOWHERE: &str = "nowhere";

#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    directory: TempDir,
    mood: Mood,
    asked: usize,
}

impl Fake {
    pub(crate) async fn start() -> (Self, Nginx) {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["files", "loaded", "before"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tidegate/", listener.local_addr().unwrap()).parse().unwrap();
        let router =
            Nginx::new(reqwest::Client::new(), url, path("files"), "fraud-stable", "fraud-candidate");
        let test = r#"if grep -q '"nowhere"' "$0"/files/*.conf; then echo 'nginx: [emerg] host not found in upstream "nowhere"' >&2; exit 1; fi"#;
        let router = router.with_test(shell(test, directory.path()));
        let reload = r#"cp "$0"/loaded/* "$0"/before/; cp "$0"/files/*.conf "$0"/loaded/"#;
        let router = router.with_reload(shell(reload, directory.path()));
        let fake = Self(Arc::new(Mutex::new(Inner { directory, mood: Mood::Shows, asked: 0 })));
        let shown = Router::new().route("/tidegate/{label}", get(state)).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, shown).await });
        (fake, router)
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.lock().unwrap().directory.path().join(name)
    }

    /// It starts, and so reads what was installed.
    pub(crate) fn load(&self) {
        for file in std::fs::read_dir(self.path("files")).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, self.path("loaded").join(file.file_name().unwrap())).unwrap();
        }
    }
}

/// `script` in a shell, which finds `directory` in `$0`.
pub(crate) fn shell(script: &str, directory: &Path) -> [String; 4] {
    let directory = directory.display().to_string();
    ["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned(), directory]
}

async fn state(State(fake): State<Fake>, PathOf(label): PathOf<String>) -> Response {
    let mood = fake.0.lock().unwrap().mood.clone();
    let asked = {
        let mut inner = fake.0.lock().unwrap();
        inner.asked += 1;
        inner.asked
    };
    let from = match mood {
        Mood::Mixes if asked % 2 == 0 => "before",
        Mood::Shows | Mood::Mixes => "loaded",
        Mood::Hangs => std::future::pending().await,
        Mood::Says(status, body) => return (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Mood::Floods => {
            let chunk = || Some((Ok::<_, std::io::Error>(vec![b' '; 1 << 16]), ()));
            return Body::from_stream(stream::unfold((), move |()| async move { chunk() })).into_response();
        }
    };
    let Ok(text) = std::fs::read_to_string(fake.path(from).join(format!("{label}.conf"))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let word = |line: &str| {
        let start = format!("map \"\" $tidegate_{label}__s");
        let (_, word) = line.strip_prefix(&start)?.split_once("{ default '")?;
        word.strip_suffix("'; }").map(str::to_owned)
    };
    text.lines().filter_map(word).collect::<String>().into_response()
}
