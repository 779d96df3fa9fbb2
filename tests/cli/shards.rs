//! `tidegate validate` spread over processes: each asks its share, and the records are merged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    http::{HeaderMap, Method, StatusCode},
    routing::{any, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    desk::{Desk, Run},
    servers::s3::{self, BUCKET, S3, Writes},
};

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/suites")
}

/// A server of a model that knows the answers to the questions of the examples, but for every fifth. It is asked in
/// `asked` how often, and takes `pause` for each.
async fn serve(asked: Arc<AtomicUsize>, pause: Duration) -> String {
    let lines = fs::read_to_string(suites().join("questions.jsonl")).unwrap();
    let questions = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let known = questions.enumerate().map(|(n, question)| {
        let answer = if n % 5 == 4 { "I do not know." } else { question["target"][0].as_str().unwrap() };
        (question["input"].as_str().unwrap().to_owned(), answer.to_owned())
    });
    let known: Arc<HashMap<String, String>> = Arc::new(known.collect());
    let answer = move |_: HeaderMap, Json(request): Json<Value>| {
        let (known, asked) = (Arc::clone(&known), Arc::clone(&asked));
        async move {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            let said = request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
            Json(json!({
                "choices": [{ "message": { "content": known[said] }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 },
            }))
        }
    };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async { axum::serve(listener, routes).await });
    format!("http://{address}/v1")
}

/// A desk with the suite of the examples.
fn desk() -> Desk {
    let desk = Desk::published();
    for file in ["support.toml", "questions.jsonl"] {
        desk.write(&format!("suite/{file}"), &fs::read(suites().join(file)).unwrap());
    }
    desk
}

/// Does something that blocks while a server of this test answers.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

const ASK: [&str; 4] = ["validate", "m@1.0.0", "--suite", "suite/support.toml"];

/// A report without what its calls took.
fn findings(run: Run, status: i32) -> Value {
    let answer: Value = serde_json::from_str(&run.is(status).out).unwrap();
    answer["report"]["findings"].clone()
}

#[tokio::test]
async fn shares_are_merged_into_what_one_run_says() {
    let asked = Arc::default();
    let endpoint = serve(Arc::clone(&asked), Duration::ZERO).await;
    beside(move || {
        let desk = desk();
        let ask = |more: &[&str]| desk.run(&[&ASK, &["--endpoint", &endpoint][..], more].concat());
        let single = ask(&["--json"]);
        let status = single.status;
        let single = findings(single, status);
        for share in 0..3 {
            let shard = format!("{share}/3");
            let record = format!("records/{share}.jsonl");
            fs::create_dir_all(desk.path("records")).unwrap();
            let run = ask(&["--shard", &shard, "--record", &record]).is(0);
            assert!(run.out.contains(&format!("share {shard} of m@1.0.0")), "{run:?}");
            // What is on record is not asked again.
            let before = asked.load(Ordering::Relaxed);
            ask(&["--shard", &shard, "--record", &record]).is(0);
            assert_eq!(asked.load(Ordering::Relaxed), before);
        }
        let merge = |more: &[&str]| desk.run(&[&ASK, more].concat());
        assert_eq!(findings(merge(&["--json", "--merge", "records"]), status), single);
        let each = ["--json", "--merge", "records/2.jsonl", "records/0.jsonl", "records/1.jsonl"];
        assert_eq!(findings(merge(&each), status), single);
        merge(&["--merge", "records", "--attest"]).is(status);
        // The report, and the same as an in-toto test result.
        assert_eq!(desk.json(&["show", "m@1.0.0"])["attestations"].as_array().unwrap().len(), 2);

        merge(&["--merge", "records/0.jsonl", "records/2.jsonl"]).is(3).says(&["no record of share 1/3"]);
        merge(&["--merge", "records", "records/1.jsonl"]).is(2).says(&["both of share 1/3"]);
        ask(&["--shard", "1/3", "--record", "other.jsonl", "--seed", "8"]).is(0);
        let mixed = ["--merge", "records/0.jsonl", "other.jsonl", "records/2.jsonl"];
        merge(&mixed).is(2).says(&["other.jsonl", "the seed was 8 and should be 0"]);
        merge(&["--merge", "nowhere.jsonl"]).is(2).says(&["nowhere.jsonl"]);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    let desk = Arc::new(desk());
    let run = |more: &[&str]| desk.run(&[&ASK, more].concat());
    run(&["--endpoint", "http://127.0.0.1:9/v1", "--shard", "1/3"]).is(2).says(&["--record"]);
    run(&["--endpoint", "http://127.0.0.1:9/v1", "--shard", "3/3", "--record", "r"]).is(2).says(&["0/4"]);
    run(&[]).is(2).says(&["--endpoint"]);
    run(&["--merge", "r", "--endpoint", "http://127.0.0.1:9/v1"]).is(2).says(&["--merge"]);
    for merged in ["s3://me:hush@bucket/x", "s3://bucket/x?token=hush", "https://host/hush"] {
        let run = run(&["--merge", merged]).is(2);
        assert!(run.err.contains("environment") && !run.err.contains("hush"), "{run:?}");
    }
    let price = ["--endpoint", "http://127.0.0.1:9/v1", "--max-money", "1"];
    run(&price).is(2).says(&["--price"]);
    run(&["--endpoint", "http://127.0.0.1:9/v1", "--price", "1"]).is(2).says(&["0.15:0.60"]);
    let embedder = ["--price", "1:1", "--embedder", "http://127.0.0.1:9/v1", "--embedder-model", "e"];
    run(&[&price[..], &embedder].concat()).is(2).says(&["--embedder-price"]);
    let share =
        ["--endpoint", "http://127.0.0.1:9/v1", "--shard", "1/3", "--record", "r", "--junit", "j.xml"];
    run(&share).is(2).says(&["--merge"]);
}

/// One of two processes is killed while it asks; the same command goes on, and the whole is what it would have been.
#[tokio::test]
async fn a_share_whose_process_was_killed_is_gone_on_with() {
    let asked = Arc::default();
    let endpoint = serve(Arc::clone(&asked), Duration::from_millis(40)).await;
    beside(move || {
        let desk = desk();
        let share = |i: &str| {
            let endpoint = ["--endpoint", &endpoint, "--concurrency", "1", "--record"];
            let record = format!("{}.jsonl", &i[..1]);
            let mut command = desk.command(&[&ASK, &endpoint[..], &[&record, "--shard", i]].concat());
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command
        };
        let mut child = share("0/2").spawn().unwrap();
        while asked.load(Ordering::Relaxed) < 3 {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(share("1/2").status().unwrap().success());
        let merge = |more: &[&str]| desk.run(&[&ASK, &["--merge", "0.jsonl", "1.jsonl"][..], more].concat());
        merge(&[]).is(3).says(&["0.jsonl", "run that share again"]);
        let before = asked.load(Ordering::Relaxed);
        assert!(share("0/2").status().unwrap().success());
        let again = asked.load(Ordering::Relaxed) - before;
        let whole = merge(&["--json"]);
        let status = whole.status;
        let evidence = findings(whole, status)[1]["evidence"][0].clone();
        assert_eq!((&evidence["n"], &evidence["unknown"]), (&json!(16), &json!(0)), "{evidence}");
        // One call was under way when it was killed; everything before it was on record.
        assert!(before + again <= 16 + 1, "{before} and {again} calls for 16 questions");
    })
    .await;
}

/// What the Job among the examples says is what the program takes: its pods meet in a bucket, and the command in its
/// head merges them.
#[tokio::test]
async fn the_job_of_the_examples_runs() {
    let asked = Arc::default();
    let endpoint = serve(Arc::clone(&asked), Duration::ZERO).await;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes/validate-job.yaml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let documents = manifest.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let documents: Vec<Value> = documents.collect();
    let job = documents.iter().find(|document| document["kind"] == "Job").unwrap();
    let (spec, pod) = (&job["spec"], &job["spec"]["template"]["spec"]);
    assert_eq!((&job["apiVersion"], &spec["completionMode"]), (&json!("batch/v1"), &json!("Indexed")));
    let container = &pod["containers"][0];
    for (what, is) in [
        (&pod["automountServiceAccountToken"], json!(false)),
        (&pod["securityContext"]["runAsNonRoot"], json!(true)),
        (&container["securityContext"]["readOnlyRootFilesystem"], json!(true)),
        (&container["securityContext"]["allowPrivilegeEscalation"], json!(false)),
        (&container["securityContext"]["capabilities"]["drop"], json!(["ALL"])),
    ] {
        assert_eq!(*what, is, "least privileges");
    }
    let account = documents.iter().find(|document| document["kind"] == "ServiceAccount").unwrap();
    assert_eq!(account["metadata"]["name"], pod["serviceAccountName"]);
    assert!(!documents.iter().any(|document| document["kind"].as_str().unwrap().contains("Role")));
    // Every volume that is mounted is there, and the suite is the one that the head makes a ConfigMap of.
    let names = |list: &Value| -> Vec<String> {
        let names = list.as_array().unwrap().iter();
        let mut names: Vec<_> = names.map(|volume| volume["name"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
    let config = pod["volumes"][0]["configMap"]["name"].as_str().unwrap();
    assert!(manifest.contains(&format!("create configmap {config} --from-file examples/suites/")));

    let shares = spec["completions"].as_u64().unwrap();
    assert!(spec["parallelism"].as_u64().unwrap() <= shares);
    let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    let merge = manifest.lines().find_map(|line| line.strip_prefix("#   tidegate ")).unwrap().to_owned();
    beside(move || {
        let server = S3::start(Writes::InTurn);
        let desk = desk();
        desk.write("keys/api", b"sesame\n");
        let run = |arguments: Vec<String>| {
            // Paths and addresses of the cluster are those of this test.
            let here = |argument: String| {
                let argument = argument.replace("/suite/", "suite/").replace("examples/suites/", "suite/");
                let argument = argument.replace("/keys/", "keys/");
                argument.replace("http://support-candidate:8000/v1", &endpoint)
            };
            let arguments: Vec<String> = arguments.into_iter().map(here).collect();
            let mut command = desk.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            let options = s3::options(&server.endpoint()).into_iter();
            command.env("TIDEGATE_REGISTRY", format!("s3://{BUCKET}/registry"));
            command.envs(options.map(|(name, value)| (name.to_uppercase(), value)));
            Run::of(&command.output().unwrap())
        };
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        run(words("publish support@1.1.0 model")).is(0);
        let merged = || run([words(&merge), vec!["--json".to_owned()]].concat());
        for index in 0..shares {
            assert_eq!(merged().status, 3, "shares are missing");
            let index = index.to_string();
            let of_pod = arguments.iter().map(|argument| argument.replace("$(JOB_COMPLETION_INDEX)", &index));
            run(of_pod.collect()).is(0);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 16);
        let record = server.directory().join("validation/support-1.1.0/0.jsonl");
        assert!(fs::read_to_string(record).unwrap().starts_with("{\"record\":\"tidegate:trials/v1\""));
        let whole = merged();
        let status = whole.status;
        let answer: Value = serde_json::from_str(&whole.out).unwrap();
        assert_eq!(answer["attested"], true, "{answer}");
        assert_eq!(answer["report"]["spent"]["calls"], 16);
        let single = format!(
            "validate support@1.1.0 --suite suite/support.toml --endpoint {endpoint} --api-key-file keys/api --json"
        );
        assert_eq!(findings(run(words(&single)), status), answer["report"]["findings"]);
        // A pod that is made again goes on from the bucket, and asks nothing.
        let before = asked.load(Ordering::Relaxed);
        let of_pod = arguments.iter().map(|argument| argument.replace("$(JOB_COMPLETION_INDEX)", "2"));
        run(of_pod.collect()).is(0);
        assert_eq!(asked.load(Ordering::Relaxed), before);
    })
    .await;
}

/// What becomes of a question that gets no answer.
#[derive(Clone, Copy)]
enum Fate {
    /// What comes back is no reply.
    Garbled,
    /// It is refused for good.
    Refused,
}

/// A server of a model that says `yes` to everything but `what`. It is asked in `asked` how often.
async fn agreeing(what: &'static str, fate: Fate, asked: &Arc<AtomicUsize>) -> String {
    let asked = Arc::clone(asked);
    let answer = move |Json(request): Json<Value>| async move {
        asked.fetch_add(1, Ordering::Relaxed);
        let said = request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        let reply = json!({
            "choices": [{ "message": { "content": "yes" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 },
        });
        match fate {
            _ if said != what => (StatusCode::OK, Json(reply)),
            Fate::Garbled => (StatusCode::OK, Json(json!({ "choices": [] }))),
            Fate::Refused => (StatusCode::BAD_REQUEST, Json(json!({ "error": { "message": "too long" } }))),
        }
    };
    listen(Router::new().route("/v1/chat/completions", post(answer))).await + "/v1"
}

async fn listen(routes: Router) -> String {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// Twenty questions, half of which are to be answered with `yes` at least.
const YES: &str = "[[checks]]
kind = \"cases\"
name = \"yes\"
dataset = \"yes.jsonl\"
floor = 0.5
rule = \"point\"
assert = [{ kind = \"contains\", value = \"yes\" }]
";

fn yes() -> Desk {
    let desk = Desk::published();
    let lines: String = (0..20).map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\"}}\n")).collect();
    desk.write("yes.toml", YES.as_bytes());
    desk.write("yes.jsonl", lines.as_bytes());
    desk
}

/// The others decide without it, and yet the share is not what it should be.
#[tokio::test]
async fn a_share_that_lost_a_trial_is_not_recorded_whole() {
    let endpoint = agreeing("7", Fate::Garbled, &Arc::default()).await;
    beside(move || {
        let desk = yes();
        let ask = |more: &[&str]| {
            let each = ["validate", "m@1.0.0", "--suite", "yes.toml", "--endpoint", &endpoint, "--shard"];
            desk.run(&[&each[..], more].concat())
        };
        let mut statuses = Vec::new();
        for share in 0..3 {
            let (shard, record) = (format!("{share}/3"), format!("{share}.jsonl"));
            let run = ask(&[&shard, "--record", &record]);
            let whole = run.out.contains("is recorded:");
            assert_ne!(whole, run.out.contains("is not recorded whole; run it again"), "{run:?}");
            assert_ne!(
                whole,
                run.out.contains("trials without a result, which are made again: 1"),
                "{run:?}"
            );
            statuses.push(run.status);
        }
        let lost = statuses.iter().position(|&status| status == 3).unwrap();
        statuses.sort_unstable();
        assert_eq!(statuses, [0, 0, 3]);
        let json = ask(&[&format!("{lost}/3"), "--record", &format!("{lost}.jsonl"), "--json"]).is(3);
        let json: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!((&json["complete"], &json["lost"]), (&json!(false), &json!(1)), "{json}");
        assert_eq!(json["report"]["findings"][0]["verdict"], "pass", "{json}");
    })
    .await;
}

/// A server of a model that says `yes`, and turns everybody away with a `status` that is not 0.
async fn guarded(status: &Arc<AtomicU16>) -> String {
    let status = Arc::clone(status);
    let answer = move |Json(_): Json<Value>| async move {
        let reply = json!({
            "choices": [{ "message": { "content": "yes" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 },
        });
        match status.load(Ordering::Relaxed) {
            0 => (StatusCode::OK, Json(reply)),
            status => {
                (StatusCode::from_u16(status).unwrap(), Json(json!({ "error": { "message": "go away" } })))
            }
        }
    };
    listen(Router::new().route("/v1/chat/completions", post(answer))).await + "/v1"
}

/// Who is turned away is told what to change, and not to try the same again.
#[tokio::test]
async fn a_share_that_is_turned_away_says_what_to_correct() {
    let status = Arc::new(AtomicU16::new(0));
    let endpoint = guarded(&status).await;
    beside(move || {
        let desk = yes();
        let ask = |more: &[&str]| {
            let each = ["validate", "m@1.0.0", "--suite", "yes.toml", "--endpoint", &endpoint];
            let share = ["--shard", "0/1", "--record", "0.jsonl", "--concurrency", "1"];
            desk.run(&[&each[..], &share, more].concat())
        };
        let address = "check the model's name, and the URL";
        for (refusal, remedy) in [(401, "check the token"), (403, "check the token"), (404, address)] {
            status.store(refusal, Ordering::Relaxed);
            let run = ask(&[]).is(3);
            for words in [
                "is not recorded whole; correct the credentials, the model's name or the address, and then run",
                "turned away whatever is asked: ",
                remedy,
            ] {
                assert!(run.out.contains(words), "{words:?} is missing: {run:?}");
            }
            let json: Value = serde_json::from_str(&ask(&["--json"]).is(3).out).unwrap();
            let denied = json["denied"][0].as_str().unwrap();
            assert!(denied.contains(&format!("status {refusal}")), "{json}");
            let verdict = &json["report"]["findings"][0]["verdict"];
            assert!(verdict["inconclusive"]["denied"].is_object(), "{json}");
        }
        status.store(0, Ordering::Relaxed);
        let run = ask(&[]).is(0);
        assert!(run.out.contains("is recorded: ") && !run.out.contains("turned away"), "{run:?}");
    })
    .await;
}

/// What no other try changes is no reason for one.
#[tokio::test]
async fn a_share_is_recorded_though_a_question_is_refused_for_good_or_its_budget_is_used_up() {
    let asked = Arc::default();
    let endpoint = agreeing("7", Fate::Refused, &asked).await;
    beside(move || {
        let desk = yes();
        let ask = |record: &str, more: &[&str]| {
            let each = ["validate", "m@1.0.0", "--suite", "yes.toml", "--endpoint", &endpoint];
            let run = desk.run(&[&each[..], &["--shard", "0/1", "--record", record], more].concat());
            (run, asked.swap(0, Ordering::Relaxed))
        };
        let complete = |run: Run| {
            let json: Value = serde_json::from_str(&run.is(0).out).unwrap();
            (json["complete"].clone(), json["lost"].clone())
        };
        let (run, calls) = ask("refused.jsonl", &[]);
        assert!(run.is(0).out.contains("is recorded:"));
        assert_eq!(calls, 20);
        let (run, calls) = ask("refused.jsonl", &["--json"]);
        assert_eq!((complete(run), calls), ((json!(true), json!(0)), 0));
        let merged =
            desk.run(&["validate", "m@1.0.0", "--suite", "yes.toml", "--merge", "refused.jsonl", "--json"]);
        let merged = findings(merged, 0);
        let evidence = &merged[0]["evidence"][0];
        assert_eq!((&evidence["n"], &evidence["unknown"]), (&json!(19), &json!(1)), "{evidence}");

        for _ in 0..2 {
            let (run, _) = ask("short.jsonl", &["--max-calls", "3"]);
            let run = run.is(0);
            assert!(run.out.contains("is recorded, not complete for lack of budget: "), "{run:?}");
            assert!(run.out.contains("not asked to the end for lack of budget: yes"), "{run:?}");
        }
        let (run, _) = ask("short.jsonl", &["--max-calls", "3", "--json"]);
        assert_eq!(complete(run), (json!(false), json!(0)));
        let (run, calls) = ask("short.jsonl", &["--json"]);
        assert_eq!((complete(run), calls), ((json!(true), json!(0)), 17), "a greater budget goes on");
    })
    .await;
}

/// A store that has nothing, and answers with `refusal` to what it is to keep, until it is `open`.
async fn closed(open: &Arc<AtomicBool>, refusal: StatusCode) -> String {
    let open = Arc::clone(open);
    let answer = move |method: Method| async move {
        let tag = [("ETag", "\"1\"")];
        let (status, said) = match method {
            Method::PUT if open.load(Ordering::Relaxed) => (StatusCode::OK, ""),
            Method::PUT => (refusal, "<Error><Code>AccessDenied</Code></Error>"),
            _ => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
        };
        (status, tag, said)
    };
    listen(Router::new().fallback(any(answer))).await
}

/// Validates with records in the bucket of `store`.
fn with_store(desk: &Desk, store: &str, more: &[&str]) -> Run {
    fs::create_dir_all(desk.path("tmp")).unwrap();
    let mut command = desk.command(&[&["validate", "m@1.0.0", "--suite"], more].concat());
    command.env("TMPDIR", desk.path("tmp"));
    command.envs(s3::options(store).into_iter().map(|(name, value)| (name.to_uppercase(), value)));
    Run::of(&command.output().unwrap())
}

/// Another try would be refused as well, so it is said what to change before it.
#[tokio::test]
async fn a_store_that_refuses_a_record_says_what_to_correct() {
    let endpoint = agreeing("nothing", Fate::Refused, &Arc::default()).await;
    let (credentials, address) =
        ("the credentials are refused; put others", "correct the URL, or the endpoint");
    let mut stores = Vec::new();
    for (refusal, remedy) in [(401, credentials), (403, credentials), (404, address)] {
        let refusal = StatusCode::from_u16(refusal).unwrap();
        stores.push((closed(&Arc::default(), refusal).await, remedy));
    }
    beside(move || {
        let desk = yes();
        for (n, (store, remedy)) in stores.iter().enumerate() {
            let url = format!("s3://models/runs/{n}.jsonl");
            let share = ["yes.toml", "--endpoint", &endpoint, "--record", &url, "--shard", "0/1"];
            let run = with_store(&desk, store, &share).is(4);
            for words in ["its record is not where it belongs", remedy, "; then the same command goes on"] {
                assert!(run.out.contains(words), "{words:?} is missing: {run:?}");
            }
            let json = with_store(&desk, store, &[&share[..], &["--json"]].concat()).is(4);
            let json: Value = serde_json::from_str(&json.out).unwrap();
            assert!(json["kept"]["remedy"].as_str().unwrap().contains(remedy), "{json}");
        }
    })
    .await;
}

/// What was asked is neither lost nor asked again because a store is closed at the end.
#[tokio::test]
async fn a_record_that_cannot_be_uploaded_is_kept() {
    let (asked, open) = (Arc::default(), Arc::default());
    let (endpoint, store) =
        (agreeing("nothing", Fate::Refused, &asked).await, closed(&open, StatusCode::FORBIDDEN).await);
    beside(move || {
        let desk = yes();
        let run = |more: &[&str]| with_store(&desk, &store, more);
        let url = "s3://models/runs/0.jsonl";
        let ask = ["yes.toml", "--endpoint", &endpoint, "--record", url];
        let said = run(&ask).is(4);
        for words in [
            "by suite `suite`",
            "the record is not in s3://models/runs/0.jsonl",
            "it is kept here: ",
            "upload it with `aws s3 cp '",
        ] {
            assert!(said.out.contains(words), "{words:?} is missing: {said:?}");
        }
        let json: Value = serde_json::from_str(&run(&[&ask[..], &["--json"]].concat()).is(4).out).unwrap();
        assert_eq!(
            (&json["verdict"], &json["recordError"]["kind"]),
            (&json!("pass"), &json!("refused")),
            "{json}"
        );
        let kept = |what: &str| json["kept"][what].as_str().unwrap().to_owned();
        let report: Value = serde_json::from_slice(&fs::read(kept("report")).unwrap()).unwrap();
        assert_eq!(report, json["report"]);
        assert_eq!(kept("upload"), format!("aws s3 cp '{}' '{url}'", kept("record")));
        let merged = run(&["yes.toml", "--merge", &kept("record"), "--json"]).is(0);
        assert_eq!(findings(merged, 0), json["report"]["findings"]);

        let share = run(&[&ask[..], &["--shard", "0/1"]].concat()).is(4);
        assert!(share.out.contains("its record is not where it belongs"), "{share:?}");
        assert!(share.out.contains("it is kept here: "), "{share:?}");

        // Whoever tries again for the sake of the store does not get past a check that failed.
        desk.write("no.toml", YES.replace("value = \"yes\"", "value = \"no\"").as_bytes());
        let failed =
            run(&["no.toml", "--endpoint", &endpoint, "--record", "s3://models/runs/no.jsonl"]).is(1);
        assert!(failed.out.contains("it is kept here: "), "{failed:?}");

        // The same command went on from what was kept, each time, and does so when the store is open again.
        assert_eq!(asked.swap(0, Ordering::Relaxed), 40, "20 for each record");
        open.store(true, Ordering::Relaxed);
        let whole = run(&ask).is(0);
        assert!(whole.err.contains("goes on from ") && !Path::new(&kept("record")).exists(), "{whole:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[test]
fn the_schema_of_suites_is_printed() {
    let desk = Desk::new();
    let printed: Value = serde_json::from_str(&desk.run(&["suite-schema"]).is(0).out).unwrap();
    assert_eq!(printed, tidegate::validation::Suite::schema());
    assert_eq!(desk.json(&["suite-schema"]), printed);
}

/// `script` of util-linux gives it a terminal.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_gets_a_picture_while_it_runs_and_then_the_report() {
    use std::process::{Command, Stdio};

    let endpoint = serve(Arc::default(), Duration::from_millis(150)).await;
    let text = beside(move || {
        let desk = desk();
        let program = desk.command(&[]);
        let program = program.get_program().to_str().unwrap();
        let ask = ASK.join(" ");
        let line = format!(
            "stty rows 40 cols 80; exec {program} {ask} --endpoint {endpoint} --concurrency 1 --max-calls 100"
        );
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).current_dir(desk.root.path());
        command.env("TIDEGATE_REGISTRY", desk.path("registry")).env("NO_PROXY", "*");
        command.env("TERM", "xterm").env("NO_COLOR", "1").stdin(Stdio::null());
        String::from_utf8(command.output().expect("script is part of every Linux").stdout).unwrap()
    })
    .await;
    for words in
        ["m@1.0.0 by suite support-bot", "VALIDATING", "▸ questions", "of at most 16 calls", "left at most"]
    {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
    let first = text.split("\x1b[?2026l").next().unwrap();
    let lines = first.matches("\x1b[K\r\n").count();
    assert!(text.contains(&format!("\x1b[{lines}A\r")), "it is drawn in its place: {text:?}");
    let (_, report) = text.rsplit_once("\x1b[J\x1b[?2026l").unwrap();
    assert!(report.contains("by suite `support-bot`") && !report.contains("VALIDATING"), "{report}");
}
