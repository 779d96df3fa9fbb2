//! Signatures both ways with the PyPI tool `model-signing`.
//!
//! ```text
//! python3 -m venv target/model-signing
//! target/model-signing/bin/pip install model-signing==1.1.1 sigstore==4.5.1 cryptography==50.0.2 pyOpenSSL==26.4.0
//! TIDEGATE_TEST_PYTHON=$PWD/target/model-signing/bin/python \
//!     cargo test -p tidegate-registry --all-features --test signing_interop -- --ignored
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::SystemTime,
};

use tempfile::TempDir;
use tidegate_registry::{
    Content, Draft, InMemory, Manifest, ModelStore as _, Stamp,
    signing::{Curve, ModelSignature, SigningKey, Untrusted},
};

const PASSPHRASE: &str = "correct horse";

/// A model, a key and a signature in a directory of their own.
struct Desk {
    root: TempDir,
    key: SigningKey,
}

impl Desk {
    fn new(curve: Curve) -> Self {
        let desk = Self { root: tempfile::tempdir().unwrap(), key: SigningKey::generate(curve).unwrap() };
        // `a-b` sorts before `a` by code point and after it by component.
        for (path, bytes) in [
            ("a/x", &b"1"[..]),
            ("a-b/x", b"2"),
            ("B", b"3"),
            ("empty", b""),
            ("tokenizer/\u{e9}t\u{e9} 1.txt", "\u{e9}".as_bytes()),
            ("weights.safetensors", &[7; 3_000_000]),
            (".gitattributes", b"*.safetensors filter=lfs\n"),
        ] {
            let path = desk.model().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(desk.path("key.pem"), desk.key.to_pem().as_str()).unwrap();
        fs::write(desk.path("key.encrypted.pem"), desk.key.to_encrypted_pem(PASSPHRASE).unwrap().as_str())
            .unwrap();
        fs::write(desk.path("key.pub"), desk.key.verifying_key().to_pem()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn model(&self) -> PathBuf {
        self.path("fraud-scorer")
    }

    /// The manifest of the model as it is now.
    async fn manifest(&self) -> Manifest {
        let stamp = Stamp { by: "ci".to_owned(), at: SystemTime::UNIX_EPOCH };
        let draft = Draft::new("fraud-scorer@1.0.0".parse().unwrap(), stamp);
        InMemory::new().publish(draft, Content::directory(self.model()), &()).await.unwrap()
    }

    fn tool_signs(&self, signature: &Path, more: &[&str]) {
        let (model, key) = (self.model(), self.path("key.pem"));
        let arguments = [
            OsStr::new("sign"),
            OsStr::new("key"),
            model.as_os_str(),
            OsStr::new("--private_key"),
            key.as_os_str(),
            OsStr::new("--signature"),
            signature.as_os_str(),
        ];
        let output = tool(arguments.into_iter().chain(more.iter().map(OsStr::new)));
        assert!(output.status.success(), "{}", text(&output));
    }

    fn tool_verifies(&self, signature: &Path) -> Output {
        let (model, key) = (self.model(), self.path("key.pub"));
        tool([
            OsStr::new("verify"),
            OsStr::new("key"),
            model.as_os_str(),
            OsStr::new("--public_key"),
            key.as_os_str(),
            OsStr::new("--signature"),
            signature.as_os_str(),
        ])
    }

    async fn we_verify(&self, signature: &Path) -> Result<Vec<String>, Untrusted> {
        let signature = ModelSignature::decode(fs::read(signature).unwrap()).unwrap();
        let trusted = [self.key.verifying_key()];
        let verified = signature.verify(&self.manifest().await, &trusted)?;
        assert_eq!((verified.keys.as_slice(), verified.name.as_str()), (&[&trusted[0]][..], "fraud-scorer"));
        Ok(verified.unsigned.iter().map(|path| path.as_str().to_owned()).collect())
    }

    async fn both_accept(&self, signature: &Path, unsigned: &[&str]) {
        assert_eq!(self.we_verify(signature).await.unwrap(), unsigned);
        let output = self.tool_verifies(signature);
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Both accept `signature`, and refuse it after a change to the model.
    async fn both_tell_changes(&self, signature: &Path, unsigned: &[&str]) {
        let tool_says = |says: &str| {
            let output = self.tool_verifies(signature);
            assert!(!output.status.success() && text(&output).contains(says), "{}", text(&output));
        };
        self.both_accept(signature, unsigned).await;
        fs::write(self.model().join("a/x"), "4").unwrap();
        assert!(
            matches!(self.we_verify(signature).await, Err(Untrusted::FileChanged { file, .. }) if file == "a/x")
        );
        tool_says("Hash mismatch");
        fs::write(self.model().join("a/x"), "1").unwrap();
        if self.key.curve() != Curve::P256 {
            return; // The rest has nothing to do with the key, and starting the tool takes a second.
        }

        fs::write(self.model().join("a/y"), "").unwrap();
        let refused = self.we_verify(signature).await;
        assert_eq!(refused, Err(Untrusted::FileUnlisted { file: "a/y".to_owned() }));
        tool_says("Extra files found");
        fs::remove_file(self.model().join("a/y")).unwrap();

        fs::remove_file(self.model().join("empty")).unwrap();
        let refused = self.we_verify(signature).await;
        assert_eq!(refused, Err(Untrusted::FileMissing { file: "empty".to_owned() }));
        tool_says("Missing files");
        fs::write(self.model().join("empty"), "").unwrap();
        self.both_accept(signature, unsigned).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is told where Python is")]
fn python() -> PathBuf {
    std::env::var_os("TIDEGATE_TEST_PYTHON")
        .expect("TIDEGATE_TEST_PYTHON is a Python that has model-signing and pyOpenSSL")
        .into()
}

fn tool<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Output {
    Command::new(python()).args(["-m", "model_signing"]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
#[ignore = "needs the PyPI package model-signing (the Python that has it in TIDEGATE_TEST_PYTHON)"]
async fn what_the_tool_signs_we_verify() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let desk = Desk::new(curve);
        let outside = desk.path("model.sig");
        desk.tool_signs(&outside, &[]);
        desk.both_tell_changes(&outside, &[".gitattributes"]).await;

        // With the key as we have encrypted it, beside the model. The tool's option `--password` is broken (it
        // hands text to `cryptography`, which wants bytes), so this goes through its library.
        let inside = desk.model().join("model.sig");
        let script = format!(
            "import model_signing as m; m.signing.Config()\
             .set_hashing_config(m.hashing.Config().set_ignored_paths(paths=[{inside:?}]))\
             .use_elliptic_key_signer(private_key={:?}, password={PASSPHRASE:?}.encode()).sign({:?}, {inside:?})",
            desk.path("key.encrypted.pem"),
            desk.model(),
        );
        let output = Command::new(python()).args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        desk.both_accept(&inside, &[".gitattributes", "model.sig"]).await;
        fs::remove_file(&inside).unwrap();

        // With a path left out.
        let left_out = desk.model().join("tokenizer");
        desk.tool_signs(&outside, &["--ignore-paths", left_out.to_str().unwrap()]);
        let unsigned = desk.we_verify(&outside).await.unwrap();
        assert_eq!(unsigned, [".gitattributes", "tokenizer/\u{e9}t\u{e9} 1.txt"]);

        let other = [SigningKey::generate(curve).unwrap().verifying_key()];
        let signature = ModelSignature::decode(fs::read(&outside).unwrap()).unwrap();
        let refused = signature.verify(&desk.manifest().await, &other).unwrap_err();
        assert_eq!(refused, Untrusted::WrongKey { keys: 1, named: desk.key.verifying_key().id() });
    }
}

#[tokio::test]
#[ignore = "needs the PyPI package model-signing (the Python that has it in TIDEGATE_TEST_PYTHON)"]
async fn what_we_sign_the_tool_verifies() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let desk = Desk::new(curve);
        let signature = ModelSignature::sign(&desk.manifest().await, "fraud-scorer", &desk.key).unwrap();
        let (outside, inside) = (desk.path("model.sig"), desk.model().join("model.sig"));
        fs::write(&outside, signature.json()).unwrap();
        desk.both_tell_changes(&outside, &[".gitattributes"]).await;
        fs::write(&inside, signature.json()).unwrap();
        desk.both_accept(&inside, &[".gitattributes", "model.sig"]).await;
        // The tool does not take it for that of another key.
        let key = SigningKey::generate(curve).unwrap();
        fs::write(desk.path("key.pub"), key.verifying_key().to_pem()).unwrap();
        let output = desk.tool_verifies(&inside);
        assert!(!output.status.success() && text(&output).contains("Key mismatch"), "{}", text(&output));
    }
}
