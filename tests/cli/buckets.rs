//! Registries in buckets: of an S3 server within this program, and of real ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    process::{Command, Stdio},
};

use super::{
    desk::{Desk, Run, files},
    servers::{
        live::{self, Live},
        s3::{self, BUCKET, S3, SECRET_KEY, Writes},
    },
};

struct Bucket {
    server: S3,
    desk: Desk,
}

impl Bucket {
    fn new() -> Self {
        Self { server: S3::start(Writes::InTurn), desk: Desk::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        let options = s3::options(&self.server.endpoint()).into_iter();
        command
            .env("TIDEGATE_REGISTRY", format!("s3://{BUCKET}/team/models"))
            .envs(options.map(|(name, value)| (name.to_uppercase(), value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let run = Run::of(&self.command(arguments).output().expect("the program runs"));
        assert!(!format!("{run:?}").contains(SECRET_KEY), "{run:?}");
        run
    }

    /// Kills one of `m@2.0.0`, in eight parts, when so many of them are there. Returns its journal.
    fn kill_a_publication(&self, parts: usize) -> String {
        let file = fs::File::create(self.desk.path("model/weights.bin")).unwrap();
        file.set_len(128 << 20).unwrap();
        let slowly = ["publish", "m@2.0.0", "model", "--bandwidth", "60MB", "--concurrency", "2"];
        let mut child = self.command(&slowly).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while self.desk.path("state").read_dir().is_err()
            || self.journal().matches("\"part\":{").count() < parts
        {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        self.journal()
    }

    fn journal(&self) -> String {
        let all = files(&self.desk.path("state/tidegate/transfers"));
        all.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
    }

    fn stored(&self) -> usize {
        files(&self.server.directory()).len()
    }
}

#[test]
fn a_bucket_holds_a_registry() {
    let bucket = Bucket::new();
    let missing = format!("no registry in s3://{BUCKET}/team/models");
    for reads in [&["list"][..], &["verify", "m@1.0.0"], &["gc"], &["pull", "m@1.0.0", "out"]] {
        bucket.run(reads).is(4).says(&[&missing]);
    }
    assert_eq!(bucket.stored(), 0, "reading begins no registry");

    bucket.run(&["publish", "m@1.0.0", "model", "--promote", "staging"]).is(0);
    assert!(bucket.server.directory().join("team/models/tidegate.json").is_file());
    assert!(bucket.run(&["list", "m"]).is(0).out.contains("1.0.0"));
    bucket.run(&["promote", "m@1.0.0", "--channel", "production"]).is(0);
    bucket.run(&["pull", "m:production", "out", "--bandwidth", "1GB/s", "--concurrency", "2"]).is(0);
    let bytes = |name: &str| fs::read(bucket.desk.path(name)).unwrap();
    assert_eq!(bytes("out/weights.bin"), bytes("model/weights.bin"));
    bucket.run(&["verify", "m:staging", "--concurrency", "1"]).is(0);
    bucket.run(&["fsck"]).is(0);
    bucket.run(&["gc", "--dry-run"]).is(0);
    assert!(!bucket.desk.path("registry").exists());
}

#[test]
fn a_bucket_of_others_does_not_become_a_registry() {
    let bucket = Bucket::new();
    let other = bucket.server.directory().join("team/models");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("notes.txt"), "mine").unwrap();
    bucket.run(&["list"]).is(4).says(&["no registry in"]);
    bucket.run(&["publish", "m@1.0.0", "model"]).is(2).says(&["team/models is not empty"]);
    assert_eq!(bucket.stored(), 1);
    let elsewhere = format!("s3://{BUCKET}/team/other");
    bucket.run(&["publish", "m@1.0.0", "model", "--registry", &elsewhere]).is(0);
}

#[test]
fn urls_are_refused_without_their_secrets() {
    let desk = Desk::new();
    for (url, why) in [
        ("s3://me:hush@bucket/team", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket/team?token=hush", "environment"),
        ("ftp://me:hush@host/team", "s3://bucket/prefix"),
        ("https://me:hush@host/team", ""),
    ] {
        for command in [&["list"][..], &["publish", "m@1.0.0", "model"]] {
            let run = desk.run(&[command, &["--registry", url]].concat()).is(2);
            assert!(!run.err.contains("hush"), "{run:?}");
            assert!(run.err.to_lowercase().contains(&why.to_lowercase()), "{why}: {run:?}");
        }
    }
    desk.run(&["list", "--registry", "memory:///"]).is(4).says(&["no registry in memory:///"]);
    desk.run(&["publish", "m@1.0.0", "model", "--registry", "memory:///"]).is(0);
    desk.run(&["list", "--registry", "file://relative"]).is(2).says(&["absolute path"]);
}

#[test]
fn a_pace_has_units() {
    let desk = Desk::published();
    for (option, wrong) in [
        ("--bandwidth", ["0", "-1", "fast", "1.2.3MB", "50 bananas", ""]),
        ("--concurrency", ["0", "-1", "257", "1.5", "x", ""]),
    ] {
        for wrong in wrong {
            desk.run(&["verify", "m@1.0.0", &format!("{option}={wrong}")]).is(2).says(&[option, "write"]);
        }
    }
    for right in ["100000", "50MB", "1.5 GiB/s", "40mib", "99999999999TB"] {
        desk.run(&["verify", "m@1.0.0", "--bandwidth", right]).is(0);
    }
}

#[cfg(unix)]
#[test]
fn a_killed_publication_is_gone_on_with() {
    let bucket = Bucket::new();
    bucket.run(&["publish", "m@1.0.0", "model"]).is(0);
    // Again and again: each goes on where the one before was.
    let [.., begun] = [1, 3, 5].map(|parts| bucket.kill_a_publication(parts));
    let upload = begun.lines().find(|line| line.contains("\"upload\":[")).expect("an upload was begun");
    let key = upload.split("\"key\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();

    let missing = (128 << 20) - begun.matches("\"part\":{").count() as u64 * (16 << 20);
    let before = bucket.server.received();
    bucket.run(&["publish", "m@2.0.0", "model"]).is(0);
    let sent = bucket.server.received() - before;
    assert!((missing..=missing + missing / 10).contains(&sent), "{sent} bytes for {missing} missing ones");
    let blob = bucket.server.directory().join("team/models/models/m/blobs").join(&key);
    assert_eq!(blob.metadata().unwrap().len(), 128 << 20, "under the key that was begun: {key}");
    assert_eq!(bucket.journal(), "");
    bucket.run(&["verify", "m@2.0.0"]).is(0);
    assert_eq!(bucket.server.unfinished(), 0);
}

#[cfg(unix)]
#[test]
fn a_killed_publication_that_nobody_goes_on_with_is_ended() {
    let bucket = Bucket::new();
    bucket.run(&["publish", "m@1.0.0", "model"]).is(0);
    bucket.kill_a_publication(2);
    let unfinished = bucket.server.unfinished();
    assert!(unfinished > 0);
    let fsck = bucket.run(&["fsck", "m"]).is(0).out;
    assert!(fsck.contains("sound") && fsck.contains(", 1 unfinished upload"), "{fsck}");
    let gc = |options: &[&str], says: &str| {
        let run = bucket.run(&[&["gc"], options].concat()).is(0);
        assert!(run.out.ends_with(says), "{run:?}");
    };
    gc(&[], "removed 0 objects, 0 B\n");
    gc(&["--grace", "0s", "--dry-run"], "and 1 unfinished upload\n");
    assert_eq!(bucket.server.unfinished(), unfinished);
    gc(&["m", "--grace", "0s"], "and 1 unfinished upload\n");
    assert_eq!(bucket.server.unfinished(), 0);
    gc(&["--grace", "0s"], "removed 0 objects, 0 B\n");
    bucket.run(&["publish", "m@2.0.0", "model"]).is(0);
    bucket.run(&["verify", "m@2.0.0"]).is(0);
}

/// Everything that goes through the client of a store, against a real one.
fn a_life(live: &Live) {
    let desk = Desk::new();
    fs::File::create(desk.path("model/weights.bin")).unwrap().set_len(40 << 20).unwrap();
    let url = format!("{}/{}", live.bucket(), uuid::Uuid::now_v7());
    let run = |arguments: &[&str]| {
        let mut command = desk.command(&[arguments, &["--registry", &url]].concat());
        let options = live.options().iter().map(|(name, value)| (name.to_uppercase(), value));
        Run::of(&command.envs(options).output().unwrap())
    };
    run(&["list"]).is(4).says(&["no registry in"]);
    run(&["publish", "m@1.0.0", "model", "--promote", "staging"]).is(0);
    run(&["publish", "m@1.1.0", "model", "--promote", "staging", "--expect", "m@1.0.0"]).is(0);
    let listed = run(&["list", "m"]).is(0).out;
    assert!(listed.contains("1.1.0") && listed.contains("staging"), "{listed}");
    run(&["pull", "m:staging", "out"]).is(0);
    assert_eq!(fs::read(desk.path("out/weights.bin")).unwrap(), vec![0; 40 << 20]);
    run(&["revert", "m", "--channel", "staging", "--reason", "slow"]).is(0);
    run(&["delete", "m@1.1.0", "--reason", "slow"]).is(0);
    run(&["gc", "--grace", "0s", "--retention", "0s"]).is(0);
    run(&["fsck", "m"]).is(0);
    run(&["verify", "m@1.0.0"]).is(0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite (`azurite-blob` on the PATH or in AZURITE_BIN)"]
async fn a_container_of_azure_holds_a_registry() {
    a_life(live::azurite().await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS (`weed` on the PATH or in SEAWEEDFS_BIN)"]
async fn a_bucket_of_seaweedfs_holds_a_registry() {
    a_life(live::seaweedfs().await);
}
