//! A process that is killed while it writes.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
};

use tidegate_canary::{GitOps, InMemoryDeployer, gitops::Place};

use crate::{Checkout, ensure, release};

const FILES: usize = 40;
const DIRECTORY: &str = "TIDEGATE_TEST_CHECKOUT";

fn deployer(checkout: &std::path::Path) -> GitOps {
    let cluster = Arc::new(InMemoryDeployer::serving(release("fraud@1.1.0")));
    let deployer = GitOps::new(checkout.join("repository"), checkout.join("fraud.json"), cluster).unwrap();
    let places = (0..FILES).map(|n| Place::new(format!("{n}.yaml"), "$.tag", "{version}").unwrap());
    // It fails, and says which, when a file does not say what it is told.
    let script = format!(
        "for f in *.yaml; do grep -qx \"tag: $1 # kept\" $f || echo $f $1 >> '{}'; done; echo \"$1\" >> '{}'",
        checkout.join("wrong").display(),
        checkout.join("told").display()
    );
    places.fold(deployer, GitOps::with).with_command(["sh", "-c", &script, "tell", "{version}"]).unwrap()
}

/// Not a test: what the test below kills.
#[tokio::test]
#[ignore = "needs to be started by the test below, which kills it"]
async fn victim() {
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself has no other way to say where")]
    let Some(checkout) = std::env::var_os(DIRECTORY) else { return };
    let deployer = deployer(checkout.as_ref());
    for n in 1.. {
        #[expect(clippy::print_stdout, reason = "it says that it has begun")]
        {
            println!("begin");
        }
        ensure(&deployer, if n % 2 == 0 { "fraud@1.1.0" } else { "fraud@1.0.0" }, n).await.unwrap();
    }
}

#[tokio::test]
async fn killed_between_two_files_each_is_whole_and_the_next_completes_them() {
    let text = |version: &str| format!("tag: {version} # kept\n");
    let files: Vec<_> = (0..FILES).map(|n| (format!("{n}.yaml"), text("1.1.0"))).collect();
    let files: Vec<_> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let mut mixed = 0;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..25 {
        let checkout = Checkout::new(&files);
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--ignored", "--nocapture"])
            .env(DIRECTORY, checkout.directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut begun = lines.map_while(Result::ok).filter(|line| line.ends_with("begin"));
        begun.next().unwrap();
        // However fast it is: once so many files are new.
        let enough = random.usize(0..FILES);
        let is_new = |(file, _): &&(&str, &str)| checkout.text(file) == text("1.0.0");
        while files.iter().filter(is_new).count() < enough {
            std::thread::yield_now();
        }
        victim.kill().unwrap();
        victim.wait().unwrap();

        let now: Vec<_> = files.iter().map(|(file, _)| checkout.text(file)).collect();
        let new = now.iter().filter(|now| **now == text("1.0.0")).count();
        let old = now.iter().filter(|now| **now == text("1.1.0")).count();
        assert_eq!(new + old, FILES, "one of them is half of each: {now:?}");
        mixed += usize::from(new > 0 && old > 0);

        let deployer = deployer(checkout.directory.path());
        ensure(&deployer, "fraud@1.0.0", 1_000_000).await.unwrap();
        for (file, _) in &files {
            assert_eq!(checkout.text(file), text("1.0.0"));
        }
        let left = fs::read_dir(checkout.path("")).unwrap().count();
        assert_eq!(left, FILES, "nothing is left beside them");
        let at = |name: &str| fs::read_to_string(checkout.directory.path().join(name));
        assert!(at("wrong").is_err(), "it was told before all was written: {:?}", at("wrong"));
        assert!(at("told").unwrap().ends_with("1.0.0\n"), "the last change was not told");
    }
    assert!(mixed > 0, "none was killed between two files, so nothing was tried");
}
