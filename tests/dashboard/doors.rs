//! Who gets in, and what strangers get.

use reqwest::{
    StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
        SET_COOKIE,
    },
};
use std::{process::Command, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    ports::free_port,
    site::{Site, TOKEN, field, link, program},
    stories,
};

#[tokio::test]
async fn nobody_sees_anything_without_signing_in() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let page = link(&story.route);
    let answer = site.get(&page).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let location = answer.headers()[LOCATION].to_str().expect("ASCII").to_owned();
    assert!(location.starts_with("/sign-in?next=%2Frollout%3Froute%3D"), "{location}");
    assert!(!answer.text().await.expect("text").contains(story.route.as_str()));
    for path in ["/events", "/events?route=serving%2Fgate"] {
        assert_eq!(
            site.get(path).send().await.expect("an answer").status(),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    for path in ["/ask", "/sign-out"] {
        let answer = site.post(path).form(&[("form_token", "x")]).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let forged = site.get("/").header(COOKIE, "tidegate=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(forged.send().await.expect("an answer").status(), StatusCode::SEE_OTHER);

    // Whoever signs in gets where they wanted to, and nowhere else.
    let form = site.get(&location).send().await.expect("an answer").text().await.expect("text");
    let next = field(&form, "next").expect("the page that was asked for");
    assert_eq!(next, page);
    for (next, reached) in [(&*next, &*page), ("//evil.example/", "/"), ("https://evil.example/", "/")] {
        let form = site.post("/sign-in").form(&[("name", "alice"), ("token", TOKEN), ("next", next)]);
        assert_eq!(form.send().await.expect("an answer").headers()[LOCATION], reached);
    }
}

#[tokio::test]
async fn a_session_is_a_strict_cookie_and_ends_with_signing_out() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let form = site.post("/sign-in").form(&[("name", "alice"), ("token", TOKEN)]);
    let answer = form.send().await.expect("an answer");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("ASCII");
    for part in ["; Path=/", "; Max-Age=28800", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    let visitor = site.sign_in("alice").await;
    let page = visitor.page("/").await;
    let form_token = field(&page, "form_token").expect("a form");
    let wrong = visitor.post("/sign-out").form(&[("form_token", "x")]).send().await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    assert!(visitor.page("/").await.contains("alice"));
    let right =
        visitor.post("/sign-out").form(&[("form_token", &form_token)]).send().await.expect("an answer");
    assert!(right.headers()[SET_COOKIE].to_str().expect("ASCII").contains("Max-Age=0"));
    assert_eq!(visitor.get("/").send().await.expect("an answer").status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn behind_tls_cookies_travel_by_it_only_and_no_other_name_is_answered() {
    let story = stories::waiting().await;
    let site = Site::with(std::slice::from_ref(&story), &["--origin", "https://rollouts.example.org"]).await;
    assert_eq!(site.address, "https://rollouts.example.org");
    let form = site.post("/sign-in").form(&[("name", "alice"), ("token", TOKEN)]);
    let answer = form.header("host", "rollouts.example.org").send().await.expect("an answer");
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("ASCII").to_owned();
    assert!(cookie.starts_with("__Host-tidegate=") && cookie.ends_with("; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a cookie");
    for (host, status) in
        [("rollouts.example.org", StatusCode::OK), ("127.0.0.1", StatusCode::MISDIRECTED_REQUEST)]
    {
        let get = site.get("/").header(COOKIE, cookie).header("host", host);
        assert_eq!(get.send().await.expect("an answer").status(), status, "{host}");
    }
    // What TLS does not protect may be somebody else's doing.
    for origins in [
        &["http://rollouts.example.org"][..],
        &["https://rollouts.example.org", "http://rollouts.example.org"],
    ] {
        let post = site.client.post(site.url("/sign-in")).header("host", "rollouts.example.org");
        let post = origins.iter().fold(post, |post, origin| post.header("origin", *origin));
        assert_eq!(post.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "{origins:?}");
    }
}

#[tokio::test]
async fn a_session_is_over_in_time() {
    let story = stories::waiting().await;
    let site = Site::with(std::slice::from_ref(&story), &["--session", "1s"]).await;
    let visitor = site.sign_in("alice").await;
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while visitor.get("/").send().await.expect("an answer").status() == StatusCode::OK {
        assert!(tokio::time::Instant::now() < end, "still signed in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_another_page_sends_is_refused() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    let before = site.entries(&story.route).await;

    let wrong = visitor.press(&story.route, "pause", &[("form_token", "AAAA")]).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    let other = site.sign_in("bob").await;
    let theirs = field(&other.page("/").await, "form_token").expect("a form");
    let wrong = visitor.press(&story.route, "pause", &[("form_token", &theirs)]).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);

    let page = visitor.rollout(&story.route).await;
    let mut form: Vec<_> = ["form_token", "route", "id", "step", "digest"]
        .map(|name| (name, field(&page, name).expect("a field")))
        .into();
    form.push(("ask", "pause".to_owned()));
    let foreign = [
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("origin", &*site.address), ("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "none")],
        vec![],
    ];
    for headers in foreign {
        let post = site.client.post(site.url("/ask")).header(COOKIE, &visitor.cookie).form(&form);
        let post = headers.iter().fold(post, |post, (name, value)| post.header(*name, *value));
        assert_eq!(post.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(site.entries(&story.route).await, before, "nothing was asked");
    let sent = visitor.post("/ask").form(&form).send().await.expect("an answer");
    assert_eq!(sent.status(), StatusCode::SEE_OTHER, "the same form from its own page");
    assert_eq!(site.entries(&story.route).await.len(), before.len() + 1);
}

#[tokio::test]
async fn other_names_that_lead_here_are_not_answered() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    let port = site.address.rsplit(':').next().expect("a port");
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1:1", "127.0.0.1", ""] {
        let answer = visitor.get("/").header("host", host).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!answer.text().await.expect("text").contains(story.route.as_str()));
    }
    let answer = visitor.get("/").header("host", format!("localhost:{port}")).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_forbids_what_browsers_would_do_otherwise() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    for path in
        ["/", &link(&story.route), "/sign-in", "/style.css", "/script.js", "/nowhere", "/rollout?route=none"]
    {
        let answer = visitor.get(path).send().await.expect("an answer");
        let headers = answer.headers();
        assert_eq!(headers[CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers[REFERRER_POLICY], "same-origin", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let text = answer.text().await.expect("text");
        assert!(
            !text.contains(" style=\"") && !text.contains("<style") && !text.contains("<script>"),
            "{path}"
        );
    }
    let form = vec![("form_token", "x".repeat(20_000))];
    let large = visitor.post("/ask").form(&form).send().await.expect("an answer");
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_token_cannot_be_tried_out() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let try_with = async |token: &str| {
        let form = site.post("/sign-in").form(&[("name", "mallory"), ("token", token)]);
        form.send().await.expect("an answer")
    };
    for _ in 0..5 {
        let answer = try_with("wrong").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers().get(SET_COOKIE).is_none());
    }
    let answer = try_with(TOKEN).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "even with the right one");
    let wait: u64 = answer.headers()[RETRY_AFTER].to_str().expect("ASCII").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn whoever_connects_and_asks_nothing_is_sent_away() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let address = site.local.trim_start_matches("http://");
    let mut idle = tokio::net::TcpStream::connect(address).await.expect("it listens");
    idle.write_all(b"GET / HTTP/1.1\r\nHost: 127").await.expect("it reads");
    let mut said = Vec::new();
    let gone = tokio::time::timeout(Duration::from_secs(20), idle.read_to_end(&mut said)).await;
    gone.expect("it closes the connection").expect("it closes it in order");
    assert!(!String::from_utf8_lossy(&said).contains("200 OK"), "{said:?}");
}

#[test]
fn it_does_not_start_where_it_would_be_unsafe() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.args(arguments).args(["--registry", "nowhere", "--route", "a"]).current_dir(root.path());
        // One would name the files of those who built it.
        command.env_remove("RUST_BACKTRACE");
        let output = command.output().expect("the program runs");
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let said = refused(&["--listen", "0.0.0.0:0", "--token-file", "token"]);
    assert!(said.contains("--origin"), "{said}");
    let said = refused(&["--origin", "http://rollouts.example.org", "--token-file", "token"]);
    assert!(said.contains("in the clear"), "{said}");
    let said = refused(&["--token-file", "token"]);
    assert!(said.contains("the token file token cannot be read"), "{said}");
    for (text, mode, why) in [
        (TOKEN, 0o644, "can be read by others"),
        ("short", 0o600, "16 or more"),
        (TOKEN, 0o600, "no registry"),
    ] {
        let token = root.path().join("token");
        std::fs::write(&token, text).expect("a writable directory");
        permit(&token, mode);
        let said = refused(&["--token-file", "token"]);
        assert!(cfg!(not(unix)) || said.contains(why), "{said}");
        assert!(!said.contains(text), "{said}");
    }
}

#[cfg(unix)]
fn permit(file: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[cfg(not(unix))]
fn permit(_file: &std::path::Path, _mode: u32) {}

/// Prometheus has no token, so what it reads is elsewhere, and only if somebody wants that.
#[tokio::test]
async fn metrics_are_on_a_listener_of_their_own() {
    let story = stories::waiting().await;
    let metrics = format!("127.0.0.1:{}", free_port());
    let site = Site::with(std::slice::from_ref(&story), &["--metrics", &metrics]).await;
    let stranger = site.get("/metrics").send().await.expect("an answer");
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);

    site.sign_in("alice").await.rollout(&story.route).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(format!("http://{metrics}/metrics")).send().await.expect("an answer");
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.expect("text");
    let read = r#"tidegate_registry_journal_seconds_count{operation="read",outcome="ok"}"#;
    assert!(text.contains(read), "{text}");
    for secret in [TOKEN, "alice", story.route.as_str()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let elsewhere = client.get(format!("http://{metrics}/")).send().await.expect("an answer");
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
}
