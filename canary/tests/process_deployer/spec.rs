//! What is wrong with a spec is said before anything is started.

use std::{error::Error, os::unix::fs::PermissionsExt, time::Duration};

use tidegate_canary::{
    ActuatorError, Deployer, Rehearsed, Slot,
    process::{Command, ServerSpec},
};

use crate::stage::{SLOTS, Stage, TOKEN, command, workload};

#[tokio::test]
async fn a_spec_that_does_not_hold_up_starts_nothing() {
    let stage = Stage::new();
    let mut specs: Vec<(ServerSpec, &str)> = Vec::new();
    let mut with = |change: &dyn Fn(&mut ServerSpec), text| {
        let mut spec = stage.spec();
        change(&mut spec);
        specs.push((spec, text));
    };
    with(&|spec| spec.command.args.push("--port={prot}".to_owned()), "command.args[6]");
    with(&|spec| spec.command.program = "{}".to_owned(), "command.program");
    with(&|spec| spec.command.program = String::new(), "command.program");
    with(&|spec| spec.command.directory = Some("}".to_owned()), "command.directory");
    with(&|spec| drop(spec.command.env.insert("KEY".to_owned(), "{s3cret}".to_owned())), "command.env.KEY");
    with(&|spec| drop(spec.command.env.insert("A=B".to_owned(), String::new())), "command.env");
    with(&|spec| spec.command.args.push("a\0b".to_owned()), "zero byte");
    with(&|spec| spec.ready = "127.0.0.1:{port}".to_owned(), "`http://127.0.0.1:{port}/health`");
    with(&|spec| spec.ready = "file:///{port}".to_owned(), "http or https");
    with(&|spec| spec.ready = "http://127.0.0.1:{port}/{directory}".to_owned(), "without `{directory}`");
    with(&|spec| spec.ready = "http://127.0.0.1:{port}/{".to_owned(), "ready is not valid");
    with(&|spec| spec.ports.extend(SLOTS.map(|slot| (slot, 8_080))), "ports");
    with(&|spec| spec.ports = [(Slot::Stable, 0)].into(), "ports");
    with(&|spec| spec.crashes = 0, "crashes");
    with(&|spec| spec.log_bytes = 0, "logBytes");
    with(&|spec| spec.pace.pause = Duration::ZERO, "pace.pause");
    with(&|spec| spec.pace.longest_back_off = Duration::MAX, "pace.longestBackOff");
    for (spec, text) in specs {
        let error = stage.try_open(spec).await.unwrap_err();
        assert!(matches!(error, ActuatorError::Refused { .. }));
        let mut whole = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            whole += &format!(": {cause}");
            source = cause.source();
        }
        assert!(whole.contains(text), "{whole:?} says nothing of {text:?}");
        assert!(!whole.contains("s3cret"), "{whole}");
    }
    assert_eq!(stage.processes(), [0; 0]);
}

#[tokio::test]
async fn values_of_the_environment_are_not_shown() {
    let stage = Stage::new();
    let servers = stage.open().await;
    for shown in [format!("{servers:?}"), format!("{:?}", stage.spec()), format!("{:#?}", command())] {
        assert!(shown.contains("TOKEN") && !shown.contains(TOKEN), "{shown}");
    }
    stage.end(servers).await;
}

#[test]
fn a_spec_is_data() {
    let spec: ServerSpec = serde_json::from_str(
        r#"{"command": {"program": "serve", "args": ["{port}"], "env": {"A": "b"}, "clearEnv": true},
            "ready": "http://127.0.0.1:{port}/", "ports": {"stable": 8080}, "logBytes": 4096,
            "pace": {"stop": "10s", "longestBackOff": "5m"}}"#,
    )
    .unwrap();
    let mut command = Command::new("serve").with_args(["{port}"]).with_env("A", "b");
    command.clear_env = true;
    let mut expected = ServerSpec::new(command, "http://127.0.0.1:{port}/");
    expected.ports.insert(Slot::Stable, 8_080);
    expected.log_bytes = 4_096;
    expected.pace.stop = Duration::from_secs(10);
    expected.pace.longest_back_off = Duration::from_secs(300);
    assert_eq!(spec, expected);
    for wrong in
        [r#"{"command": {"program": "x"}}"#, r#"{"command": {"program": "x", "shell": "y"}, "ready": ""}"#]
    {
        serde_json::from_str::<ServerSpec>(wrong).unwrap_err();
    }
}

#[tokio::test]
async fn a_rehearsal_finds_a_program_that_could_not_be_started_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().canonicalize().unwrap();
    let file = |name: &str, mode| {
        let path = folder.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, plain) = (file("serve-fraud", 0o755), file("plain", 0o644));
    let folder = folder.to_str().unwrap();
    let rehearsed = async |change: &dyn Fn(&mut Command)| {
        let stage = Stage::new();
        let mut spec = stage.spec();
        change(&mut spec.command);
        let servers = stage.open_with(spec).await.unwrap();
        let answer = servers.rehearse(&workload(Slot::Candidate, "1.1.0")).await;
        assert_eq!(servers.status(Slot::Candidate).await.unwrap(), tidegate_canary::Readiness::Absent);
        stage.end(servers).await;
        answer.map_err(|error| error.source().unwrap().to_string())
    };
    let program = |text: &str| {
        let text = text.to_owned();
        move |command: &mut Command| command.program.clone_from(&text)
    };
    let accepted = Ok(Rehearsed::Accepted);
    assert_eq!(rehearsed(&|_| ()).await, accepted);
    assert_eq!(rehearsed(&program(&good)).await, accepted);
    assert_eq!(rehearsed(&program("sh")).await, accepted, "it is in the PATH that this test has");
    assert_eq!(rehearsed(&program("{directory}/serve")).await, Ok(Rehearsed::Unknown));
    assert_eq!(rehearsed(&program("./serve")).await, Ok(Rehearsed::Unknown), "it begins among the files");
    for path in [plain, format!("{folder}/gone"), folder.to_owned()] {
        let why = rehearsed(&program(&path)).await.unwrap_err();
        assert!(why.contains(&path) && why.contains("command.program"), "{why}");
    }
    let why = rehearsed(&program("serve-fraud")).await.unwrap_err();
    assert!(why.starts_with("there is no program `serve-fraud`"), "{why}");
    let beside = |command: &mut Command| {
        command.program = "serve-fraud".to_owned();
        command.env.insert("PATH".to_owned(), format!("/nowhere:{folder}"));
    };
    assert_eq!(rehearsed(&beside).await, accepted, "a server has the PATH of its spec");
    let elsewhere = |command: &mut Command| command.directory = Some(format!("{folder}/gone"));
    let why = rehearsed(&elsewhere).await.unwrap_err();
    assert!(why.contains("command.directory"), "{why}");
    let within = |command: &mut Command| {
        command.program = "./serve-fraud".to_owned();
        command.directory = Some(folder.to_owned());
    };
    assert_eq!(rehearsed(&within).await, accepted);
}
