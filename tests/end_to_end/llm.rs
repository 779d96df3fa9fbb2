//! The model, and versions that are put together from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Running, told, until_ready};

/// Gemma 3 270M as it is and with noise in three of its blocks, and chat templates for it.
pub(crate) struct Llm {
    directory: TempDir,
}

/// What a version is made of.
pub(crate) struct Made {
    /// `weights.gguf` or `noised.gguf`.
    pub(crate) weights: &'static str,
    /// `template.jinja`, `no-refusal.jinja`, or none.
    pub(crate) template: Option<&'static str>,
    /// How it is served, see `serve.py`.
    pub(crate) server: Value,
}

impl Llm {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut python = Command::new(told("TIDEGATE_LLM_PYTHON"));
        python.arg(here("versions.py")).args([told("TIDEGATE_GEMMA"), directory.path().into()]);
        assert!(python.status().expect("TIDEGATE_LLM_PYTHON is a Python").success());
        Self { directory }
    }

    /// Puts the files of a version into a new directory. Weights are linked: they are large, and nobody writes them.
    pub(crate) fn put(&self, directory: &Path, made: &Made) {
        fs::create_dir_all(directory).expect("a directory");
        let from = |name: &str| self.directory.path().join(name);
        fs::hard_link(from(made.weights), directory.join("weights.gguf")).expect("it is on the same disk");
        if let Some(template) = made.template {
            fs::copy(from(template), directory.join("template.jinja")).expect("a file");
        }
        fs::write(directory.join("server.json"), made.server.to_string()).expect("a file");
    }
}

/// A server of the files in `directory`, which is ready.
pub(crate) fn serve(directory: &Path, port: u16, version: &str, fault: &Path) -> Running {
    let mut command = Command::new(told("TIDEGATE_LLM_PYTHON"));
    command.arg(here("serve.py")).arg(directory).args([&port.to_string(), version]).env("FAULT", fault);
    let server = Running::start(&mut command);
    until_ready("the model", port, "/health");
    server
}

/// A file beside these.
pub(crate) fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end").join(name)
}
