//! Whoever has no token, the wrong one, or nothing good in mind.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::service::{Service, problem, program, start};

#[tokio::test]
async fn nothing_is_open_without_a_token() {
    let service = Service::start();
    let document = service.get("/openapi.json").await;
    let mut paths: Vec<String> = document["paths"].as_object().expect("paths").keys().cloned().collect();
    paths.extend(["/", "/nothing", "/rollouts/..%2F..%2Ftokens"].map(str::to_owned));
    let bearer = |token: &str| format!("Bearer {token}");
    let wrong = [
        None,
        Some(bearer("")),
        Some(bearer("mk4nZ0pqB7tQw1s9XyE3mk4nZ0pqB7tQw1s9XyE3")),
        Some(bearer(&service.operator[1..])),
        Some(bearer(&format!("{}x", service.operator))),
        Some(format!("Basic {}", service.operator)),
        Some(service.operator.clone()),
        Some("é".to_owned()),
    ];
    for path in &paths {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            // Whoever watches over services has no token.
            if path == "/health" && method == Method::GET {
                continue;
            }
            for wrong in &wrong {
                let mut request = service.client.request(method.clone(), service.url(path));
                if let Some(wrong) = wrong {
                    request = request.header("authorization", wrong.as_bytes());
                }
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{method} {path}");
                let body = problem(answer, StatusCode::UNAUTHORIZED).await.to_string();
                assert!(!body.contains(&service.operator[1..]), "{body}");
            }
        }
    }
}

#[tokio::test]
async fn readers_only_read() {
    let service = Service::start();
    let get = service.client.get(service.url("/rollouts")).bearer_auth(&service.reader);
    assert_eq!(get.send().await.expect("an answer").status(), StatusCode::OK);
    let body = start("ci-1", "serving/fraud", "fraud@1.1.0");
    let post = service.client.post(service.url("/rollouts")).bearer_auth(&service.reader).json(&body);
    let refused = problem(post.send().await.expect("an answer"), StatusCode::FORBIDDEN).await;
    assert!(refused["detail"].as_str().expect("text").starts_with("grafana"), "{refused}");
    assert_eq!(service.get("/rollouts").await, json!([]));
}

#[tokio::test]
async fn hostile_bodies_are_refused_with_a_remedy() {
    let service = Service::start();
    let good = start("ci-1", "serving/fraud", "fraud@1.1.0");
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).expect("a field") = value;
        body.to_string()
    };
    let deep = format!("{{\"id\":\"ci-1\",\"plan\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (String::new(), StatusCode::BAD_REQUEST),
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        (deep, StatusCode::BAD_REQUEST),
        ("x".repeat(300 << 10), StatusCode::PAYLOAD_TOO_LARGE),
        ("[]".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "id": "ci-1" }).to_string(), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/id", json!("../tokens")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/id", json!("a\nb")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/id", json!("x".repeat(101))), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan", json!(7)), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan", json!({})), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan/route", json!("a\u{0}b")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan/candidate", json!("fraud@9.9.9")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan/candidate", json!("nobody@1.0.0")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan/steps/0/weight", json!("150%")), StatusCode::UNPROCESSABLE_ENTITY),
        (with("/plan/timing/window", json!("0s")), StatusCode::UNPROCESSABLE_ENTITY),
    ];
    for (body, status) in cases {
        let shown: String = body.chars().take(80).collect();
        let request = service.request(Method::POST, "/rollouts").header("content-type", "application/json");
        let answer = request.body(body).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{shown}");
        problem(answer, status).await;
    }
    let untyped = service.request(Method::POST, "/rollouts").body(good.to_string());
    problem(untyped.send().await.expect("an answer"), StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    let typo = with("/plan/steps/0", json!({ "weight": "50%", "soaks": "1s" }));
    let request = service.request(Method::POST, "/rollouts").header("content-type", "application/json");
    let answer = request.body(typo).send().await.expect("an answer");
    let detail = problem(answer, StatusCode::UNPROCESSABLE_ENTITY).await["detail"].to_string();
    assert!(detail.contains("steps[0]") && detail.contains("did you mean `soak`?"), "{detail}");
    assert_eq!(service.get("/rollouts").await, json!([]), "nothing of this began");
}

#[tokio::test]
async fn hostile_commands_and_addresses() {
    let service = Service::start();
    service.post("/rollouts", &start("ci-1", "serving/fraud", "fraud@1.1.0")).await;
    service.until("ci-1", |rollout| rollout["status"] == "waiting").await;
    let commands = [
        json!({}),
        json!({ "command": "explode" }),
        json!({ "command": "abort" }),
        json!({ "command": "abort", "reason": "" }),
        json!({ "command": "abort", "reason": "a\nb" }),
        json!({ "command": "abort", "reason": "\u{202e}evil" }),
        json!({ "command": "abort", "reason": "x".repeat(501) }),
        json!({ "command": "abort", "reason": "me", "by": "somebody else" }),
        json!({ "command": "approve", "digest": "sha256:00" }),
    ];
    for command in commands {
        let answer = service.post("/rollouts/ci-1/commands", &command).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{command}");
        problem(answer, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    for path in ["/rollouts/ci-2", "/rollouts/%FF", "/rollouts/%00", "/rollouts/ci-1%2F", "/rollouts/", "/x"]
    {
        let answer = service.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        problem(answer, StatusCode::NOT_FOUND).await;
    }
    let rollout = service.get("/rollouts/ci-1").await;
    assert_eq!(rollout["waitsFor"], json!(["approval"]), "nothing of this was done");
}

/// Whoever begins a request and does not end it holds up nobody, and not the end of the program.
#[cfg(unix)]
#[tokio::test]
async fn half_a_request_holds_up_nobody() {
    let mut service = Service::start();
    let mut half = TcpStream::connect(&service.address).expect("a connection");
    let head = format!(
        "POST /rollouts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 10\r\n\r\n{{",
        service.operator
    );
    half.write_all(head.as_bytes()).expect("it is read");
    assert_eq!(service.get("/rollouts").await, json!([]));
    assert!(service.end().success());
    let mut rest = String::new();
    // Closed, or reset.
    let _ = half.read_to_string(&mut rest);
    assert!(!rest.contains("201"), "{rest}");
}

/// A head that comes byte by byte holds a connection no longer than one that does not come at all.
#[tokio::test]
async fn a_head_that_trickles_in_is_not_waited_for() {
    let service = Service::start();
    let stream = tokio::net::TcpStream::connect(&service.address).await.expect("it listens");
    let (mut read, mut write) = stream.into_split();
    let trickle = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        write.write_all(b"GET /health HTTP/1.1\r\nx-endless: ").await.expect("it reads");
        // Once it is closed, there is nobody to write to.
        while write.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let gone = async {
        tokio::select! {
            // Closed, or reset.
            _ = read.read_to_end(&mut said) => {}
            () = trickle => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it closes the connection");
    assert!(!String::from_utf8_lossy(&said).contains("200 OK"), "{said:?}");
}

#[test]
fn bad_beginnings_are_refused() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let said = |tokens: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(program());
        command.arg("--directory").arg(root.path()).args(arguments);
        if let Some(tokens) = tokens {
            command.env("RELEASE_TOKENS", tokens);
        }
        let output = command.output().expect("the program runs");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let secret = "mk4nZ0pqB7tQw1s9XyE3";
    let cases = [
        ("", "there is no token"),
        ("operator ada short", "shorter than 20 characters"),
        (&format!("admin ada {secret}"), "write reader or operator"),
        (&format!("{secret} ada operator"), "line 1 begins with no role; write reader or operator"),
        (secret, "line 1 is not `ROLE NAME TOKEN`"),
        (&format!("reader eve {secret}\noperator ada {secret}"), "line 2 repeats a token"),
    ];
    for (tokens, expected) in cases {
        let said = said(Some(tokens), &[]);
        assert!(said.contains(expected) && !said.contains(secret), "{said}");
    }
    assert!(said(None, &[]).contains("tokens cannot be read"));
    let open = said(None, &["--listen", "0.0.0.0:0"]);
    assert!(open.contains("--behind-tls"), "{open}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let file = root.path().join("tokens");
        std::fs::write(&file, format!("operator ada {secret}")).expect("a writable directory");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
        assert!(said(None, &[]).contains("run chmod 600"));
    }
}
