//! One file, read as it is hashed and sent.

use std::mem;

use super::{
    gguf::Gguf,
    json_file::JsonFile,
    onnx::OnnxModel,
    reading::{Damage, Facts, Reading},
    safetensors::Safetensors,
    settings::{Config, TokenizerConfig},
    steps::{Scan, Steps},
    tokenizer::TokenizerFile,
};
use crate::FilePath;

/// What stands in the place of a file that Git LFS has not fetched.
/// Source: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// Reads what a file says about itself, out of its bytes as they pass.
///
/// Nothing is awaited, and no more than a few hundred KiB are kept, whatever the file. What its name
/// says is only a hint where its first bytes say more: GGUF and safetensors are recognised under any
/// name, ONNX and the JSON files by theirs. After the header of a file, bytes cost nothing.
///
/// ```
/// use tidegate_registry::{Inspector, Profile};
///
/// let mut inspector = Inspector::new(&"model.safetensors".parse()?);
/// for block in [&b"\x3b\0\0\0\0\0\0\0"[..], br#"{"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}} "#, &[0; 12]] {
///     inspector.feed(block);
/// }
/// let profile = Profile::of(inspector.finish());
/// assert_eq!((profile.parameters, profile.dtypes["BF16"]), (Some(6), 6));
/// # Ok::<(), tidegate_registry::Invalid>(())
/// ```
#[derive(Debug)]
pub struct Inspector {
    path: FilePath,
    size: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first bytes, until there are enough of them to tell what it is.
    Beginning(Vec<u8>),
    Damaged(&'static str, Damage),
    /// It is nothing that is known here.
    Other,
    Scanning(&'static str, Box<dyn Scan>),
}

impl Inspector {
    /// Begins with the file that will lie at `path`.
    #[must_use]
    pub fn new(path: &FilePath) -> Self {
        Self { path: path.clone(), size: 0, state: State::Beginning(Vec::new()) }
    }

    /// Takes in the next bytes of the file, however many.
    pub fn feed(&mut self, mut block: &[u8]) {
        self.size = self.size.saturating_add(block.len() as u64);
        if let State::Beginning(head) = &mut self.state {
            let missing = LFS_POINTER.len() - head.len();
            let (now, later) = block.split_at(block.len().min(missing));
            head.extend_from_slice(now);
            if now.len() < missing {
                return;
            }
            self.begin();
            block = later;
        }
        self.scan(block);
    }

    /// How many of the next bytes make no difference, so that a caller who can need not read them;
    /// `u64::MAX` when none does any more.
    pub(super) fn idle(&self) -> u64 {
        match &self.state {
            State::Beginning(_) => 0,
            State::Damaged(..) | State::Other => u64::MAX,
            State::Scanning(_, scan) => scan.idle(),
        }
    }

    /// Passes over `count` bytes, at most those that [`idle`](Self::idle) said.
    pub(super) fn pass(&mut self, count: u64) {
        self.size = self.size.saturating_add(count);
        if let State::Scanning(_, scan) = &mut self.state {
            scan.pass(count);
        }
    }

    /// What the file says, now that all of it was fed; nothing if it is of no kind that is known here.
    #[must_use]
    pub fn finish(mut self) -> Option<Reading> {
        if matches!(self.state, State::Beginning(_)) {
            self.begin();
        }
        let (kind, facts) = match self.state {
            State::Beginning(_) | State::Other => return None,
            State::Damaged(kind, damage) => (kind, Err(damage)),
            State::Scanning(kind, scan) => (kind, scan.finish(self.size)),
        };
        Some(Reading { path: self.path, kind, facts })
    }

    fn begin(&mut self) {
        let State::Beginning(head) = mem::replace(&mut self.state, State::Other) else { return };
        let Some((kind, scan)) = scanner(self.path.as_str(), &head) else { return };
        self.state = if head == LFS_POINTER {
            State::Damaged(
                kind,
                Damage::new("it is a Git LFS pointer; fetch the file itself with `git lfs pull`"),
            )
        } else {
            State::Scanning(kind, scan)
        };
        self.scan(&head);
    }

    fn scan(&mut self, bytes: &[u8]) {
        if let State::Scanning(kind, scan) = &mut self.state
            && let Err(damage) = scan.feed(bytes)
        {
            self.state = State::Damaged(kind, damage);
        }
    }
}

/// How to read a file that is called `path` and begins with `head`.
fn scanner(path: &str, head: &[u8]) -> Option<(&'static str, Box<dyn Scan>)> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    Some(if Gguf::begins(head) {
        ("gguf", Box::new(Steps::<Gguf>::default()))
    } else if Safetensors::begins(head) {
        ("safetensors", Box::new(Safetensors::new()))
    } else {
        match (name.as_str(), extension) {
            ("config.json", _) => ("config.json", Box::new(JsonFile::<Config>::default())),
            ("tokenizer.json", _) => ("tokenizer.json", Box::new(JsonFile::<TokenizerFile>::default())),
            ("tokenizer_config.json", _) => {
                ("tokenizer_config.json", Box::new(JsonFile::<TokenizerConfig>::default()))
            }
            (_, "gguf") => ("gguf", Box::new(Steps::<Gguf>::default())),
            (_, "onnx") => ("onnx", Box::new(Steps::<OnnxModel>::default())),
            (_, "safetensors") => ("safetensors", Box::new(Safetensors::new())),
            _ => return None,
        }
    })
}

impl Reading {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &FilePath {
        &self.path
    }

    /// What is wrong with the file, if it cannot be read as what it seems to be: one printable line.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        let damage = self.facts.as_ref().err()?;
        let Self { path, kind, .. } = self;
        Some(if path.as_str().ends_with(kind) && kind.contains('.') {
            format!("{path} is not readable: {damage}")
        } else {
            format!("{path} is not readable as {kind}: {damage}")
        })
    }

    pub(super) fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref().ok()
    }
}
