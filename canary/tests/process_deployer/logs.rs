//! What servers print.

use std::fs;

use tidegate_canary::{Deployer, Slot, testkit::fence};

use crate::{
    server::Behaviour,
    stage::{self, Stage, becomes_absent, until},
};

#[tokio::test]
async fn a_flood_stays_within_its_banks_and_its_end_is_kept() {
    let stage = Stage::new();
    stage.behave("1.0.0", &Behaviour { floods: true, ..Behaviour::default() });
    let mut spec = stage.spec();
    spec.log_bytes = 1 << 20;
    let servers = stage.open_with(spec).await.unwrap();
    stage::run(&servers, Slot::Candidate, "1.0.0").await;
    let log = stage.state().join("logs/candidate-1.log");
    let aside = stage.state().join("logs/candidate-1.log.1");
    let size = |path| fs::metadata(path).map_or(0, |file| file.len());
    let (mut largest, mut cuts, mut before) = (0, 0, 0);
    until("the fifth cut", async || {
        let now = size(&log);
        cuts += u32::from(now < before);
        before = now;
        largest = largest.max(now);
        assert!(size(&aside) <= 1 << 20, "{} bytes were set aside", size(&aside));
        (cuts == 5).then_some(())
    })
    .await;
    // What comes between two looks, by the server's rate, with a wide margin for a busy machine.
    assert!(largest < 128 << 20, "it grew to {largest} bytes");
    servers.remove(Slot::Candidate, fence(1)).await.unwrap();
    becomes_absent(&servers, Slot::Candidate).await;
    assert!(log.exists() && aside.exists(), "logs are kept after the end");
    stage.end(servers).await;
}

#[tokio::test]
async fn logs_of_the_last_starts_are_kept_for_this_user() {
    use std::os::unix::fs::PermissionsExt;

    let stage = Stage::new();
    let mut spec = stage.spec();
    spec.logs = 2;
    let servers = stage.open_with(spec).await.unwrap();
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        let prints = format!("here is {version}\n");
        stage.behave(version, &Behaviour { prints, ..Behaviour::default() });
        stage::run(&servers, Slot::Candidate, version).await;
    }
    let logs = stage.state().join("logs");
    let mut names: Vec<_> =
        fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["candidate-3.log", "candidate-4.log"]);
    assert!(fs::read_to_string(logs.join("candidate-4.log")).unwrap().contains("here is 1.3.0"));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(stage.state()), 0o700);
    assert_eq!(mode(logs.join("candidate-4.log")), 0o600);
    assert_eq!(mode(stage.state().join("candidate.json")), 0o600);
    stage.end(servers).await;
}
