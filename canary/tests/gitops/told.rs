//! Who is told, and what is said of how far it is.

use std::{fs, time::Duration};

use tidegate_canary::{
    ActuatorError, Deployer, GitOps, Readiness, Slot, Workload, gitops::Place, testkit::fence,
};

use crate::{Checkout, ensure, release, said, stable};

fn checkout() -> Checkout {
    Checkout::new(&[("a.yaml", "tag: 1.1.0\n"), ("b.yaml", "digest: 0\n")])
}

fn deployer(checkout: &Checkout) -> GitOps {
    checkout.deployer([
        Place::new("a.yaml", "$.tag", "{version}").unwrap(),
        Place::new("b.yaml", "$.digest", "{digest}").unwrap(),
    ])
}

#[tokio::test]
async fn it_is_ready_when_the_cluster_runs_what_all_files_say() {
    let checkout = checkout();
    let deployer = deployer(&checkout);
    assert!(deployer.in_place());
    let ahead = deployer.status(Slot::Stable).await.unwrap_err();
    assert!(ahead.is_transient() && said(&ahead).contains("b.yaml"), "{}", said(&ahead));

    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    let error = deployer.status(Slot::Stable).await.unwrap_err();
    let text = said(&error);
    assert!(error.is_transient(), "a controller may put it in force at any time");
    let ActuatorError::Displaced { runs, .. } = &error else { panic!("{text}") };
    assert_eq!(**runs, release("fraud@1.1.0"));
    for word in
        ["`a.yaml` says `1.1.0` no more but `1.0.0`", "fraud@1.1.0 runs", "merge request", "controller"]
    {
        assert!(text.contains(word), "{text}");
    }
    checkout.cluster.ensure(&stable("fraud@1.0.0"), fence(1)).await.unwrap();
    let ready = Readiness::Ready { release: release("fraud@1.0.0") };
    assert_eq!(deployer.status(Slot::Stable).await.unwrap(), ready);
    assert_eq!(deployer.status(Slot::Candidate).await.unwrap(), Readiness::Absent);

    // By hand in the cluster, while the files say otherwise: the controller would take it back.
    checkout.cluster.ensure(&stable("fraud@1.1.0"), fence(2)).await.unwrap();
    assert!(deployer.status(Slot::Stable).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn the_command_is_run_once_for_a_change_and_again_until_it_succeeds() {
    let checkout = checkout();
    let script = checkout.directory.path().join("tell.sh");
    let log = checkout.directory.path().join("log");
    let tell = |end: &str| {
        fs::write(
            &script,
            format!("echo \"$@\" in $PWD >> '{}'; echo no remote >&2; exit {end}", log.display()),
        )
        .unwrap()
    };
    let deployer = deployer(&checkout)
        .with_command(["sh", script.to_str().unwrap(), "Back to {name} {version}, {digest}"])
        .unwrap();
    tell("7");
    for n in 1..3 {
        let error = ensure(&deployer, "fraud@1.0.0", n).await.unwrap_err();
        let text = said(&error);
        assert!(matches!(error, ActuatorError::Refused { .. }), "{text}");
        for word in ["files are written, but nobody was told", "exit status: 7", "no remote"] {
            assert!(text.contains(word), "{text}");
        }
    }
    assert_eq!(checkout.text("a.yaml"), "tag: 1.0.0\n");
    tell("0");
    for n in 3..6 {
        ensure(&deployer, "fraud@1.0.0", n).await.unwrap();
    }
    let lines = fs::read_to_string(&log).unwrap();
    let line = format!(
        "Back to fraud 1.0.0, {} in {}",
        release("fraud@1.0.0").digest,
        checkout.path("").canonicalize().unwrap().display()
    );
    assert_eq!(lines.lines().collect::<Vec<_>>(), [&line, &line, &line]);
    // The files say it already, by whomever: nobody has to be told.
    checkout.put("a.yaml", b"tag: 1.2.0\n");
    checkout.put("b.yaml", format!("digest: {}\n", release("fraud@1.2.0").digest).as_bytes());
    ensure(&deployer, "fraud@1.2.0", 6).await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), lines);
}

/// What is committed is what a directory beside the checkout says.
#[tokio::test]
async fn what_is_merged_late_is_proposed_to_be_taken_back_and_what_waits_is_told_once() {
    let checkout = checkout();
    let main = checkout.directory.path().join("main");
    fs::create_dir(&main).unwrap();
    let merge = |model: &str| {
        let release = release(model);
        fs::write(main.join("a.yaml"), format!("tag: {}\n", release.model.version())).unwrap();
        fs::write(main.join("b.yaml"), format!("digest: {}\n", release.digest)).unwrap();
    };
    let log = checkout.directory.path().join("log");
    fs::write(&log, "").unwrap();
    let deployer = deployer(&checkout)
        .with_refresh(["sh", "-c", "cp ../main/*.yaml ."])
        .with_command(["sh", "-c", &format!("echo $1 >> '{}'", log.display()), "tell", "{version}"])
        .unwrap();
    let told = || fs::read_to_string(&log).unwrap().lines().count();
    let says = |version: &str| {
        assert_eq!(checkout.text("a.yaml"), format!("tag: {version}\n"));
    };

    merge("fraud@1.1.0");
    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    assert_eq!(told(), 1, "it waits to be merged");
    says("1.0.0");
    ensure(&deployer, "fraud@1.0.0", 2).await.unwrap();
    assert_eq!(told(), 2, "another driver cannot know what became of it");

    merge("fraud@1.0.0");
    ensure(&deployer, "fraud@1.0.0", 2).await.unwrap();
    assert_eq!(told(), 2, "it is merged");
    // One that was open all the time is merged after it, and one of somebody else.
    for (late, times) in [("fraud@1.1.0", 3), ("fraud@1.2.0", 4)] {
        merge(late);
        for _ in 0..2 {
            ensure(&deployer, "fraud@1.0.0", 2).await.unwrap();
        }
        assert_eq!(told(), times, "{late}");
        says("1.0.0");
    }
    // A new process knows that, too.
    let reread = fs::read_to_string(checkout.directory.path().join("fraud.json")).unwrap();
    assert!(reread.contains("\"over\": \"sha256:"), "{reread}");

    let away = deployer.clone().with_refresh(["sh", "-c", "echo no remote >&2; exit 1"]);
    let error = ensure(&away, "fraud@1.1.0", 3).await.unwrap_err();
    let text = said(&error);
    assert!(
        error.is_transient() && text.contains("what is committed") && text.contains("no remote"),
        "{text}"
    );
    says("1.0.0");
    let missing = deployer.with_refresh(["/no/such/program"]);
    assert!(!ensure(&missing, "fraud@1.1.0", 3).await.unwrap_err().is_transient());
    assert_eq!(told(), 4);
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_and_asked_again() {
    let checkout = checkout();
    let hanging = deployer(&checkout).with_command(["sleep", "1000"]).unwrap();
    let hanging = hanging.with_command_timeout(Duration::from_millis(100));
    let error = ensure(&hanging, "fraud@1.0.0", 1).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("did not end within 100ms"), "{}", said(&error));
    let missing = deployer(&checkout).with_command(["/no/such/program"]).unwrap();
    let error = ensure(&missing, "fraud@1.0.0", 1).await.unwrap_err();
    assert!(said(&error).contains("cannot be run"), "{}", said(&error));
    assert!(deployer(&checkout).with_command(["git", "commit", "-m", "{branch}"]).is_err());
}

#[tokio::test]
async fn a_superseded_driver_changes_nothing_and_there_is_one_slot() {
    let checkout = checkout();
    let deployer = deployer(&checkout);
    ensure(&deployer, "fraud@1.0.0", 5).await.unwrap();
    let again = deployer.clone();
    for late in [ensure(&again, "fraud@1.1.0", 4).await, again.remove(Slot::Candidate, fence(4)).await] {
        assert!(matches!(late, Err(ActuatorError::Fenced { .. })), "{late:?}");
    }
    assert_eq!(checkout.text("a.yaml"), "tag: 1.0.0\n");
    deployer.remove(Slot::Candidate, fence(5)).await.unwrap();
    assert!(said(&deployer.remove(Slot::Stable, fence(5)).await.unwrap_err()).contains("not removed"));
    let candidate = Workload { slot: Slot::Candidate, ..stable("fraud@1.1.0") };
    let error = deployer.ensure(&candidate, fence(6)).await.unwrap_err();
    assert!(said(&error).contains("no candidate slot"), "{}", said(&error));
    let state = checkout.directory.path().join("fraud.json");
    for garbage in ["{}", "", "{\"format\":2,\"fence\":5,\"wanted\":null,\"told\":true}"] {
        fs::write(&state, garbage).unwrap();
        let error = ensure(&deployer, "fraud@1.1.0", 9).await.unwrap_err();
        assert!(
            said(&error).contains("fraud.json") && said(&error).contains("restore it"),
            "{}",
            said(&error)
        );
    }
    assert_eq!(checkout.text("a.yaml"), "tag: 1.0.0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_drivers_the_latest_wins() {
    for _ in 0..20 {
        let checkout = checkout();
        let drivers = (1..=4).map(|n| {
            let deployer = deployer(&checkout);
            tokio::spawn(async move { ensure(&deployer, &format!("fraud@1.{n}.0"), n).await })
        });
        for driver in drivers.collect::<Vec<_>>() {
            match driver.await.unwrap() {
                Ok(()) | Err(ActuatorError::Fenced { .. }) => {}
                Err(error) => panic!("{}", said(&error)),
            }
        }
        assert_eq!(checkout.text("a.yaml"), "tag: 1.4.0\n");
        assert_eq!(checkout.text("b.yaml"), format!("digest: {}\n", release("fraud@1.4.0").digest));
    }
}

/// By the commands that the documentation names, with somebody else who pushes first.
#[tokio::test]
async fn a_push_that_is_refused_since_another_was_first_is_made_again() {
    let checkout = Checkout::new(&[("a.yaml", "tag: 1.1.0\n")]);
    let root = checkout.directory.path();
    let git = |at: &str, arguments: &str| {
        let output = std::process::Command::new("git")
            .current_dir(root.join(at))
            .args([
                "-c",
                "user.name=ada",
                "-c",
                "user.email=ada@example.org",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(".", "init -q --bare origin.git");
    git("repository", "init -q");
    for setting in ["user.name ada", "user.email ada@example.org"] {
        git("repository", &format!("config {setting}"));
    }
    git("repository", "add -A");
    git("repository", "commit -qm begin");
    git("repository", "push -q ../origin.git HEAD:main");
    git("repository", "remote add origin ../origin.git");
    git(".", "clone -q -b main origin.git other");
    git("other", "commit -q --allow-empty -m other");

    let first = "if [ ! -e ../pushed ]; then touch ../pushed; git -C ../other push -q origin HEAD:main; fi";
    let command = "git diff --quiet || git commit -qam \"fraud $0\" && git push -q origin HEAD:main";
    let refresh = "git fetch -q origin main && git reset -q --hard origin/main";
    let deployer = checkout
        .deployer([Place::new("a.yaml", "$.tag", "{version}").unwrap()])
        .with_refresh(["sh", "-c", refresh])
        .with_command(["sh", "-c", &format!("{first}; {command}"), "{version}"])
        .unwrap();
    let error = ensure(&deployer, "fraud@1.0.0", 1).await.unwrap_err();
    assert!(error.is_transient() && said(&error).contains("nobody was told"), "{}", said(&error));
    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    let log = git("origin.git", "log --format=%s main");
    assert_eq!(log.lines().collect::<Vec<_>>(), ["fraud 1.0.0", "other", "begin"]);
    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    assert_eq!(git("origin.git", "log --format=%s main"), log, "it is in force");
    // Should it be merged over, the checkout is not in the way of that.
    git("other", "pull -q --rebase origin main");
    fs::write(root.join("other/a.yaml"), "tag: 1.1.0\n").unwrap();
    git("other", "commit -qam late");
    git("other", "push -q origin HEAD:main");
    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    assert_eq!(git("origin.git", "show main:a.yaml"), "tag: 1.0.0\n");
}
