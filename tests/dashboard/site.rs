//! A dashboard that runs, and somebody who looks at it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{COOKIE, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use tempfile::TempDir;
use tidegate_canary::{Entry, RouteId, RouteJournal};
use tidegate_registry::ObjectBacked;

use crate::{ports::free_port, stories::Story};

pub(crate) const TOKEN: &str = "mk4nZ0pqB7tQw1s9XyE3";

/// The program on a free port, with a registry of its own. Dropping it ends the program.
pub(crate) struct Site {
    pub(crate) registry: ObjectBacked,
    /// Where it says it is.
    pub(crate) address: String,
    /// Where it listens.
    pub(crate) local: String,
    pub(crate) client: Client,
    program: Child,
    _root: TempDir,
}

/// Somebody who is signed in.
pub(crate) struct Visitor<'a> {
    pub(crate) site: &'a Site,
    pub(crate) cookie: String,
}

/// Cargo builds examples before it runs tests, into the directory next to that of the tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let directory = test.ancestors().nth(2).expect("cargo keeps tests in target/PROFILE/deps");
    let program = directory.join("examples/dashboard").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is not built; run `cargo build --example dashboard` first",
        program.display()
    );
    program
}

impl Site {
    pub(crate) async fn showing(stories: &[Story]) -> Self {
        Self::with(stories, &[]).await
    }

    pub(crate) async fn with(stories: &[Story], options: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let directory = root.path().join("registry");
        let registry = ObjectBacked::directory(&directory).await.expect("a registry");
        for story in stories {
            story.copy(&registry).await;
        }
        let token = root.path().join("token");
        fs::write(&token, TOKEN).expect("a writable directory");
        close(&token);
        let free = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program());
        command.arg("--registry").arg(directory).arg("--token-file").arg(token).args(["--listen", &free]);
        for story in stories {
            command.args(["--route", story.route.as_str()]);
        }
        command.args(options).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut program = command.spawn().expect("the program runs");
        let mut address = String::new();
        let out = program.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut address).expect("the program says where it is");
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(30));
        let client = client.build().expect("a client");
        Self {
            registry,
            address: address.trim().to_owned(),
            local: format!("http://{free}"),
            client,
            program,
            _root: root,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.local)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// As a form of one of its own pages is sent.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client
            .post(self.url(path))
            .header("origin", &self.address)
            .header("sec-fetch-site", "same-origin")
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Visitor<'_> {
        let form = self.post("/sign-in").form(&[("name", name), ("token", TOKEN)]);
        let answer = form.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[LOCATION], "/");
        let cookie = answer.headers()[SET_COOKIE].to_str().expect("ASCII").to_owned();
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        Visitor { site: self, cookie }
    }

    pub(crate) async fn entries(&self, route: &RouteId) -> Vec<Entry> {
        let journal = RouteJournal::open(Arc::new(self.registry.clone()), route).await;
        journal.expect("a journal that replays").entries().to_vec()
    }
}

impl Visitor<'_> {
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.site.get(path).header(COOKIE, &self.cookie)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.site.post(path).header(COOKIE, &self.cookie)
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("text")
    }

    pub(crate) async fn rollout(&self, route: &RouteId) -> String {
        self.page(&link(route)).await
    }

    /// Presses the button `wish` on the page of `route`, with changes to the form.
    pub(crate) async fn press(&self, route: &RouteId, wish: &str, changes: &[(&str, &str)]) -> Response {
        let page = self.rollout(route).await;
        let fields = ["form_token", "route", "id", "step", "digest"];
        let mut form: Vec<_> =
            fields.into_iter().filter_map(|name| Some((name, field(&page, name)?))).collect();
        form.push(("ask", wish.to_owned()));
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            form.push((name, (*value).to_owned()));
        }
        self.post("/ask").form(&form).send().await.expect("an answer")
    }
}

/// What a hidden field of a page holds.
pub(crate) fn field(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("type=\"hidden\" name=\"{name}\" value=\""))?;
    let value = rest.split('"').next()?;
    Some(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

pub(crate) fn link(route: &RouteId) -> String {
    format!(
        "/rollout?{}",
        url::form_urlencoded::Serializer::new(String::new()).append_pair("route", route.as_str()).finish()
    )
}

#[cfg(unix)]
fn close(token: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(token, fs::Permissions::from_mode(0o600)).expect("it is ours");
}

#[cfg(not(unix))]
fn close(_token: &std::path::Path) {}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
