//! What can be published from a directory, and what is refused with which words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use tempfile::TempDir;
use tidegate_registry::{
    Content, Draft, Error, InMemory, Manifest, ModelStore as _, ObjectBacked, Result, Stamp,
};

async fn publish(directory: &Path) -> Result<Manifest> {
    let draft = Draft::new("m@1.0.0".parse().unwrap(), Stamp::now("test"));
    InMemory::new().publish(draft, Content::directory(directory), &()).await
}

async fn refusal(directory: &Path) -> String {
    let error = publish(directory).await.unwrap_err();
    let checked = Content::directory(directory).check().await.unwrap_err();
    assert_eq!(checked.to_string(), error.to_string());
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    error.to_string()
}

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("a/b")).unwrap();
    fs::create_dir_all(directory.path().join("empty")).unwrap();
    fs::write(directory.path().join("a-b"), "two").unwrap();
    fs::write(directory.path().join("a/b/c d.txt"), "three").unwrap();
    fs::write(directory.path().join("Z"), "").unwrap();
    directory
}

#[tokio::test]
async fn a_directory_is_its_files() {
    let directory = directory();
    let manifest = publish(directory.path()).await.unwrap();
    let paths: Vec<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["Z", "a-b", "a/b/c d.txt"]);
    assert_eq!(manifest.size, 8);
}

#[tokio::test]
#[cfg(unix)]
async fn the_content_digest_is_what_coreutils_print() {
    let directory = directory();
    fs::write(directory.path().join("ü"), vec![7; 100_000]).unwrap();
    fs::write(directory.path().join("-n"), "no option").unwrap();
    let manifest = publish(directory.path()).await.unwrap();
    let script =
        r"LC_ALL=C find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs -d '\n' sha256sum -- | sha256sum";
    let output =
        std::process::Command::new("sh").args(["-c", script]).current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if said.contains("sha256sum") && (said.contains("not found") || said.contains("No such file")) {
        // No coreutils here; elsewhere this test compares.
        return;
    }
    assert_eq!(said, "");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim_end(), format!("{}  -", manifest.digest.hex()));
}

#[tokio::test]
async fn each_unusable_directory_has_its_own_sentence() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let missing = refusal(&path("missing")).await;
    assert!(missing.contains("missing") && missing.contains("check the path"), "{missing}");
    fs::create_dir_all(path("empty/nested")).unwrap();
    let empty = refusal(&path("empty")).await;
    assert!(empty.contains("empty") && empty.contains("no files"), "{empty}");
    fs::write(path("file"), "x").unwrap();
    let file = refusal(&path("file")).await;
    assert!(file.contains("not a directory"), "{file}");
    fs::create_dir(path("odd")).unwrap();
    fs::write(path("odd/a:b"), "x").unwrap();
    let odd = refusal(&path("odd")).await;
    assert!(odd.contains("a:b") && odd.contains("rename"), "{odd}");
    fs::create_dir_all(path("deep").join("d/".repeat(66))).unwrap();
    fs::create_dir_all(path("staged/below/.tidegate-x")).unwrap();
    let staged = refusal(&path("staged")).await;
    assert!(staged.contains(".tidegate-x") && staged.contains("download"), "{staged}");
    let deep = refusal(&path("deep")).await;
    assert!(deep.contains("deep; flatten"), "{deep}");
}

#[tokio::test]
#[cfg(unix)]
async fn links_sockets_and_foreign_names_are_refused() {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener};

    let root = tempfile::tempdir().unwrap();
    let case = |name: &str| {
        let directory = root.path().join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("f"), "x").unwrap();
        directory
    };
    let link = case("link");
    symlink("/etc/passwd", link.join("weights")).unwrap();
    let said = refusal(&link).await;
    assert!(
        said.contains("weights") && said.contains("symbolic link") && said.contains("copy the file"),
        "{said}"
    );
    let looped = case("loop");
    symlink(&looped, looped.join("again")).unwrap();
    assert!(refusal(&looped).await.contains("symbolic link"));
    let socket = case("socket");
    let _listener = UnixListener::bind(socket.join("s")).unwrap();
    assert!(refusal(&socket).await.contains("neither a file nor a directory"));
    let foreign = case("foreign");
    fs::write(foreign.join(std::ffi::OsStr::from_bytes(b"\xff.bin")), "x").unwrap();
    assert!(refusal(&foreign).await.contains("not UTF-8"));
}

#[tokio::test]
async fn a_refused_directory_leaves_the_registry_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let registry = ObjectBacked::directory(root.path().join("registry")).await.unwrap();
    let draft = Draft::new("m@1.0.0".parse().unwrap(), Stamp::now("test"));
    registry.publish(draft, Content::directory(root.path().join("missing")), &()).await.unwrap_err();
    let left: Vec<_> =
        fs::read_dir(root.path().join("registry")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["tidegate.json"]);
}

#[tokio::test]
async fn streams_are_checked_by_their_paths() {
    let content =
        |paths: &[&str]| Content::bytes(paths.iter().map(|path| (path.parse().unwrap(), "x".into())));
    content(&["b", "a/b"]).check().await.unwrap();
    for paths in [&[] as &[_], &["a", "b", "a"], &["a/b", "a"], &["a/.tidegate-1/b"]] {
        let refused = content(paths).check().await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_opened_makes_no_directories() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "x").unwrap();
    ObjectBacked::directory(root.path().join("file/a/b")).await.unwrap_err();
    ObjectBacked::directory(root.path().join("a/b")).await.unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}
