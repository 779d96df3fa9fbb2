//! Releases that are driven, killed, gone on with, and failed.

use crate::workshop::{Workshop, state, until};

/// Commands write down that they ran; the second one waits until it is let.
const FOUR: &str = r#"
[[stages]]
name = "lint"
run = { command = ["sh", "-c", "echo x >> lints"] }

[[stages]]
name = "tests"
run = { command = ["sh", "-c", "echo $$ >> tests; echo so far; while [ ! -e go ]; do sleep 0.02; done; echo 12 passed"] }

[[stages]]
name = "scan"
needs = []
scan = {}

[[stages]]
name = "publish"
needs = ["tests", "scan"]
publish = {}
"#;

#[test]
fn killed_in_the_midst_of_a_stage_it_goes_on() {
    let workshop = Workshop::new(FOUR);
    let mut first = workshop.spawn(&[]);
    until("the tests begin", || workshop.has("tests") && workshop.read("tests").ends_with('\n'));
    first.kill().expect("SIGKILL");
    first.wait().expect("it is gone");
    let left = workshop.read("tests").trim().to_owned();
    assert!(is_running(&left), "what a killed pipeline has started goes on");

    let second = workshop.spawn(&["--json"]);
    until("the tests begin again", || workshop.read("tests").lines().count() == 2);
    assert!(!is_running(&left), "two attempts of a stage must not run at once");
    workshop.desk.write("go", b"");
    let output = second.wait_with_output().expect("it ends");
    let run = crate::desk::Run::of(&output);
    assert_eq!(run.status, 0, "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&run.out).expect("a document");
    assert_eq!(json["end"], "passed", "{json}");
    for stage in ["lint", "tests", "scan", "publish"] {
        assert_eq!(state(&json, stage), "passed");
    }
    assert_eq!(workshop.read("lints"), "x\n", "what has passed is not done again");
    assert_eq!(json["stages"][1]["attempts"], 2, "{json}");
    let log = json["stages"][1]["files"]["output"].as_str().expect("its output is kept").to_owned();
    assert_eq!(workshop.read(&format!("outputs/m-1.0.0/{log}")), "so far\n12 passed\n");

    let passed = |stage: &str| (format!("tidegate:stage/{stage}/v1"), "PASSED".to_owned());
    let mut attested = workshop.attested();
    attested.sort();
    assert_eq!(attested, ["lint", "publish", "scan", "tests"].map(passed));

    workshop.run(&[]).is(0);
    assert_eq!(workshop.read("lints"), "x\n", "what is over is over");
    assert_eq!(workshop.attested().len(), 4, "nothing is said twice");
}

#[test]
fn a_failure_ends_it_and_what_failed_is_tried_again() {
    let stages = r#"
[[stages]]
name = "lint"
run = { command = ["sh", "-c", "echo x >> lints"] }
[[stages]]
name = "tests"
run = { command = ["sh", "-c", "echo 1 of 12 failed >&2; [ -e mended ]"] }
[[stages]]
name = "publish"
publish = {}
"#;
    let workshop = Workshop::new(stages);
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, json["end"].as_str()), (1, Some("failed")), "{json}");
    assert_eq!((state(&json, "tests"), state(&json, "publish")), ("failed", "waiting"));
    assert_eq!(json["stages"][1]["facts"]["exitStatus"], 1, "{json}");
    let told = workshop.run(&[]);
    assert!(told.err.contains("tests | 1 of 12 failed"), "{told:?}");

    workshop.desk.write("mended", b"");
    let (status, json) = workshop.json(&[]);
    assert_eq!(status, 0, "{json}");
    assert_eq!(workshop.read("lints"), "x\n");

    // That stage again, and what needs it; what comes before stays.
    let (status, json) = workshop.json(&["--from", "tests"]);
    assert_eq!(status, 0, "{json}");
    assert_eq!(json["stages"][0]["attempts"], 1, "{json}");
    assert_eq!(
        (&json["stages"][1]["attempts"], &json["stages"][2]["attempts"]),
        (&4.into(), &2.into()),
        "{json}"
    );
}

#[test]
fn another_source_is_another_release() {
    let workshop = Workshop::new(
        "[[stages]]\nname = \"lint\"\nrun = { command = [\"sh\", \"-c\", \"echo x >> lints\"] }\n",
    );
    for (revision, lints) in [("a", 1), ("a", 1), ("b", 2), ("b", 2)] {
        workshop.run(&["--revision", revision]).is(0);
        assert_eq!(workshop.read("lints").lines().count(), lints, "{revision}");
    }
    // Without a word it is the same, and so is the next.
    workshop.run(&[]).is(0);
    assert_eq!(workshop.read("lints").lines().count(), 2);
    workshop
        .describe("[[stages]]\nname = \"lint\"\nrun = { command = [\"sh\", \"-c\", \"echo y >> lints\"] }\n");
    workshop.run(&[]).is(0);
    assert_eq!(workshop.read("lints"), "x\nx\ny\n", "the description is another one");
}

#[test]
fn what_needs_nothing_of_each_other_runs_at_once() {
    // Each waits for the other.
    let meets = |own: &str, other: &str| {
        format!(
            "[[stages]]\nname = \"{own}\"\nneeds = []\nrun = {{ command = [\"sh\", \"-c\", \"touch {own}; while [ ! -e {other} ]; do sleep 0.02; done\"] }}\n"
        )
    };
    let workshop = Workshop::new(&(meets("a", "b") + &meets("b", "a")));
    workshop.run(&[]).is(0);
}

#[test]
fn a_command_is_bounded_in_time_and_in_what_it_says() {
    let stages = r#"
[[stages]]
name = "talks"
run = { command = ["sh", "-c", "yes | head -c 100000; echo the end"], output_bytes = 1000 }
[[stages]]
name = "hangs"
run = { command = ["sh", "-c", "sleep 1000"], timeout = "100ms" }
"#;
    let workshop = Workshop::new(stages);
    let (status, json) = workshop.json(&[]);
    assert_eq!(status, 1, "{json}");
    assert_eq!(state(&json, "talks"), "passed");
    assert_eq!(json["stages"][0]["facts"]["outputDropped"], 100_008 - 1000, "{json}");
    let kept = workshop.read("outputs/m-1.0.0/talks-1.log");
    assert!(kept.len() < 1100 && kept.ends_with("[99008 more bytes were not kept]\n"), "{kept}");
    assert!(
        json["stages"][1]["said"].as_str().is_some_and(|said| said.contains("longer than 100ms")),
        "{json}"
    );
}

#[test]
fn images_are_pinned_by_their_digests() {
    let digest = "a".repeat(64);
    let stages = r#"
[[stages]]
name = "image"
run = { command = ["sh", "-c", "cat made > image.txt"], images = { server = "image.txt" } }
[[stages]]
name = "look"
run = { command = ["sh", "-c", "echo $TIDEGATE_IMAGE_SERVER > seen"] }
[[stages]]
name = "publish"
publish = { image = "server" }
"#;
    let workshop = Workshop::new(stages);
    workshop.desk.write("made", b"registry.example.com/team/m:1.0.0\n");
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, state(&json, "image")), (1, "failed"), "a tag is no pin: {json}");
    assert!(json["stages"][0]["said"].to_string().contains("images.server"), "{json}");

    let pinned = format!("registry.example.com/team/m@sha256:{digest}");
    workshop.desk.write("made", format!("{pinned}\n").as_bytes());
    workshop.run(&[]).is(0);
    assert_eq!(workshop.read("seen").trim(), pinned);
    let shown = workshop.desk.json(&["show", "m@1.0.0"]);
    assert!(shown.to_string().contains(&format!("\"tidegate.dev/image\":\"{pinned}\"")), "{shown}");
}

#[test]
fn a_scan_that_comes_in_as_sarif_stops_what_is_bad() {
    let sarif = |level: &str| {
        format!(
            r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"trivy"}}}},"results":[{{"ruleId":"CVE-1","level":"{level}","message":{{"text":"xz"}}}}]}}]}}"#
        )
    };
    let workshop = Workshop::new("[[stages]]\nname = \"trivy\"\nsarif = { files = [\"trivy.sarif\"] }\n");
    // Nobody has scanned.
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, state(&json, "trivy")), (3, "undecided"), "{json}");
    workshop.desk.write("trivy.sarif", sarif("error").as_bytes());
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, state(&json, "trivy")), (1, "failed"), "{json}");
    workshop.desk.write("trivy.sarif", sarif("note").as_bytes());
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, state(&json, "trivy")), (0, "passed"), "{json}");
    assert!(workshop.read("outputs/m-1.0.0/trivy.html").starts_with("<!DOCTYPE html>"));
}

#[test]
fn the_page_of_a_scan_says_what_was_scanned_and_no_content_before_there_is_one() {
    let image = format!("registry.example.com/team/m@sha256:{}", "a".repeat(64));
    let build = r#"
[[stages]]
name = "image"
run = { command = ["cp", "made", "image.txt"], images = { server = "image.txt" } }
"#;
    let scans = r#"
[[stages]]
name = "trivy"
sarif = { files = ["trivy.sarif"] }
[[stages]]
name = "publish"
publish = {}
"#;
    let workshop = Workshop::new(scans);
    workshop.desk.write("made", image.as_bytes());
    let sarif = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"trivy"}},"results":[]}]}"#;
    workshop.desk.write("trivy.sarif", sarif.as_bytes());
    let page = || workshop.read("outputs/m-1.0.0/trivy.html");
    workshop.run(&[]).is(0);
    let first = page();
    for said in
        ["not known: the version was not published yet", "none known: no stage before it has made one"]
    {
        assert!(first.contains(said), "{said:?} is missing: {first}");
    }
    assert!(!first.contains("sha256:"), "what stood in for the version is no content of it: {first}");

    // From now on there is a version, and an image.
    workshop.describe(&format!("{build}{scans}"));
    workshop.run(&[]).is(0);
    let shown = workshop.desk.json(&["show", "m@1.0.0"]);
    let digest = shown["manifest"]["digest"].as_str().unwrap_or_else(|| panic!("{shown}"));
    let second = page();
    let image = format!("server: {image}");
    for said in [digest, image.as_str()] {
        assert!(second.contains(said), "{said:?} is missing: {second}");
    }
    assert!(!second.contains("not known"), "{second}");
}

#[test]
fn a_model_file_that_runs_code_is_not_published() {
    let workshop = Workshop::new(
        "[[stages]]\nname = \"scan\"\nscan = {}\n[[stages]]\nname = \"publish\"\npublish = {}\n",
    );
    workshop.desk.write("model/weights.pkl", b"cposix\nsystem\n(S'true'\ntR.");
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, state(&json, "scan"), state(&json, "publish")), (1, "failed", "waiting"), "{json}");
}

#[test]
fn people_are_waited_for_and_the_last_word_of_each_counts() {
    let stages = "[[stages]]\nname = \"publish\"\npublish = {}\n[[stages]]\nname = \"people\"\napprove = { by = 1, of = [\"bob\", \"alice\"] }\n";
    let workshop = Workshop::new(stages);
    let (status, json) = workshop.json(&["--unattended"]);
    assert_eq!((status, state(&json, "people")), (5, "waits"), "{json}");
    // Who published it, and who may not, do not count.
    workshop.desk.run(&["approve", "m@1.0.0"]).is(0);
    workshop.desk.run(&["approve", "m@1.0.0", "--by", "eve"]).is(0);
    assert_eq!(workshop.json(&["--unattended"]).0, 5);
    workshop.desk.run(&["approve", "m@1.0.0", "--withdraw", "--by", "bob", "--comment", "not yet"]).is(0);
    let (status, json) = workshop.json(&["--unattended"]);
    assert_eq!((status, json["stages"][1]["said"].as_str()), (1, Some("bob rejected it: not yet")), "{json}");

    workshop.desk.run(&["approve", "m@1.0.0", "--by", "bob"]).is(0);
    let (status, json) = workshop.json(&[]);
    assert_eq!((status, json["stages"][1]["said"].as_str()), (0, Some("approved by bob")), "{json}");
}

#[test]
fn whoever_begins_later_takes_the_release_over() {
    let workshop = Workshop::new(FOUR);
    let first = workshop.spawn(&[]);
    until("the tests begin", || workshop.has("tests") && workshop.read("tests").ends_with('\n'));
    let second = workshop.spawn(&[]);
    until("the tests begin again", || workshop.read("tests").lines().count() == 2);
    let ended = crate::desk::Run::of(&first.wait_with_output().expect("it ends"));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("another program drives this release now"), "{ended:?}");
    workshop.desk.write("go", b"");
    let ended = crate::desk::Run::of(&second.wait_with_output().expect("it ends"));
    assert_eq!(ended.status, 0, "{ended:?}");
}

fn is_running(pid: &str) -> bool {
    // A zombie has ended.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn people_are_told_though_nobody_listened_at_first() {
    let sink = Sink::start();
    let stages = "[[stages]]\nname = \"tests\"\nrun = { command = [\"sh\", \"-c\", \"[ -e mended ]\"] }\n[notify.team]\nto = { webhook = { url = { file = \"hook\" } } }\n";
    let workshop = Workshop::new(stages);
    workshop.desk.write("hook", format!("{}\n", sink.url).as_bytes());
    assert_eq!(workshop.run(&[]).status, 1);
    workshop.desk.write("mended", b"");
    workshop.run(&[]).is(0);
    let told = sink.told();
    let kinds: Vec<_> = told.iter().map(|notice| notice["data"]["kind"].as_str().unwrap_or("?")).collect();
    assert_eq!(kinds, ["opened", "stuck", "opened", "settled"], "{told:?}");
    assert!(told[1]["data"]["summary"].to_string().contains("`tests` failed: exit status 1"), "{told:?}");
}

/// A webhook that takes everything.
struct Sink {
    url: String,
    told: std::sync::Arc<std::sync::Mutex<Vec<serde_json::Value>>>,
}

impl Sink {
    fn start() -> Self {
        use std::io::{BufRead as _, Read as _, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let told = std::sync::Arc::<std::sync::Mutex<Vec<serde_json::Value>>>::default();
        let kept = std::sync::Arc::clone(&told);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = std::io::BufReader::new(stream.try_clone().expect("a socket"));
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let lower = line.to_ascii_lowercase();
                    length = lower
                        .strip_prefix("content-length:")
                        .map_or(length, |n| n.trim().parse().expect("a number"));
                    line.clear();
                }
                let mut body = vec![0; length];
                // A program that ends hangs up in the midst, and the next one begins anew.
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let notice: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                let mut kept = kept.lock().expect("nobody panicked");
                if kept.iter().all(|old| old["id"] != notice["id"]) {
                    kept.push(notice);
                }
                drop(kept);
                let _gone = stream.write_all(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n");
            }
        });
        Self { url, told }
    }

    fn told(&self) -> Vec<serde_json::Value> {
        self.told.lock().expect("nobody panicked").clone()
    }
}
