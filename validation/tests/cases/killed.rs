//! A run that is killed while it asks, and gone on with.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tidegate_validation::{FnAgent, MergeError, Record, Run, Suite, checks::Cases, dataset::Shard};

use crate::{answer, check, counting, numbers_of, published, report};

const QUESTIONS: usize = 300;
const DIRECTORY: &str = "TIDEGATE_TEST_RECORD";
const SHARE: &str = "TIDEGATE_TEST_SHARE";

fn suite() -> Suite {
    share(Shard::ALL)
}

fn share(shard: Shard) -> Suite {
    Suite::new("s").shard(shard).with(Cases { repeats: 2, ..check(numbers_of(QUESTIONS, shard)) })
}

/// Answers as `counting` does, and notes each question in a file first.
fn noting(directory: &Path) -> FnAgent {
    let path = directory.join("asked");
    FnAgent::new("counting", move |request| {
        let prompt = request.prompt().to_owned();
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        file.write_all(format!("{prompt}\n").as_bytes()).unwrap();
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(answer(&prompt))
        }
    })
}

fn counts(lines: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    lines.for_each(|line| *counts.entry(line).or_default() += 1);
    counts
}

/// How often each question was answered according to the record.
fn recorded(directory: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(directory.join("record")).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let cases = whole
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).unwrap()["case"].as_str()?.to_owned()));
    counts(cases.map(|case| case.trim_start_matches("case-").to_owned()))
}

fn asked(directory: &Path) -> BTreeMap<String, usize> {
    counts(fs::read_to_string(directory.join("asked")).unwrap_or_default().lines().map(str::to_owned))
}

/// Not a test: what the test below kills.
#[tokio::test]
#[ignore = "needs to be started by the test below, which kills it"]
async fn victim() {
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself has no other way to say where")]
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    #[expect(clippy::disallowed_methods, reason = "as above")]
    let shard = std::env::var(SHARE).map_or(Shard::ALL, |shard| shard.parse().unwrap());
    let run = Run::new(7).record(Record::at(directory.join("record")));
    drop(report(&share(shard), &noting(directory), &run).await);
}

#[tokio::test]
async fn killed_anywhere_nothing_recorded_is_asked_again() {
    let expected = report(&suite(), &counting(&Arc::default()), &Run::new(7)).await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut amid = 0;
    for _ in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let before = (recorded(directory.path()).values().sum::<usize>(), asked(directory.path()));
            let mut victim = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "killed::victim", "--ignored"])
                .env(DIRECTORY, directory.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // It is killed some questions after it began to ask, however slow the machine is.
            let more = random.usize(1..120);
            let begun: usize = before.1.values().sum();
            while asked(directory.path()).values().sum::<usize>() < begun + more
                && victim.try_wait().unwrap().is_none()
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            victim.kill().unwrap();
            victim.wait().unwrap();
            let now: usize = recorded(directory.path()).values().sum();
            amid += usize::from(now > before.0 && now < 2 * QUESTIONS);
        }
        let (known, before) = (recorded(directory.path()), asked(directory.path()));
        let run = Run::new(7).record(Record::at(directory.path().join("record")));
        let resumed = report(&suite(), &noting(directory.path()), &run).await;
        assert_eq!(resumed.findings, expected.findings);
        for (case, times) in asked(directory.path()) {
            let new = times - before.get(&case).copied().unwrap_or(0);
            let missing = 2 - known.get(&case).copied().unwrap_or(0);
            assert_eq!(new, missing, "case {case} was asked {new} times and {missing} were missing");
        }
        assert!(recorded(directory.path()).values().all(|&times| times == 2));
        // What was under way when it was killed is all that was ever asked twice: four calls each time.
        let twice: usize = asked(directory.path()).values().map(|times| times - 2).sum();
        assert!(twice <= 3 * 4, "{twice} questions were asked again");
    }
    assert!(amid > 0, "none was killed amid its questions, so nothing was tried");
}

/// One of three shares is killed; nothing is merged before it was gone on with, and then as if nothing had happened.
#[tokio::test]
async fn a_share_that_was_killed_is_gone_on_with_and_merged() {
    let expected = report(&suite(), &counting(&Arc::default()), &Run::new(7)).await;
    let directory = tempfile::tempdir().unwrap();
    let places = (0..3).map(|i| directory.path().join(i.to_string())).collect::<Vec<_>>();
    let records: Vec<_> = places.iter().map(|place| Record::at(place.join("record"))).collect();
    for (i, place) in places.iter().enumerate() {
        fs::create_dir(place).unwrap();
        let shard = Shard::new(i as u32, 3).unwrap();
        if i != 1 {
            let run = Run::new(7).record(records[i].clone());
            drop(report(&share(shard), &noting(place), &run).await);
            continue;
        }
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--ignored"])
            .envs([(DIRECTORY, place.as_os_str()), (SHARE, shard.to_string().as_ref())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while asked(place).len() < 20 && victim.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
    let (_, manifest) = published().await;
    let torn = suite().merge(&manifest, &records).await.unwrap_err();
    assert!(
        matches!(&torn, MergeError::Incomplete { shard, check, .. } if shard.index() == 1 && check == "numbers"),
        "{torn}"
    );
    let before: usize = recorded(&places[1]).values().sum();
    let resumed = share(Shard::new(1, 3).unwrap());
    drop(report(&resumed, &noting(&places[1]), &Run::new(7).record(records[1].clone())).await);
    let merged = suite().merge(&manifest, &records).await.unwrap();
    assert_eq!(merged.findings, expected.findings);
    let after: usize = recorded(&places[1]).values().sum();
    assert!(before > 0 && before < after, "{before} of {after}: it was killed amid its questions");
    let twice: usize = asked(&places[1]).values().map(|times| times - 2).sum();
    assert!(twice <= 4, "only what was under way was asked again, not {twice}");
}
