//! What a publication has sent by now, kept in a local file so that it can be gone on with after a kill.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Digest, File, FilePath, ModelRef, Result, object::keys, transfer::blocking::local};

/// Bytes of a journal that are read. The parts of 80 GB take half a megabyte, a hundred thousand small files
/// some forty.
const LONGEST: u64 = 64 << 20;

/// One JSON document a line. A line that is none, as the last one of a killed program may be, says nothing.
///
/// What it says is never trusted for content: whoever goes on reads and hashes everything that is offered,
/// and compares. Appends are not synced, because they have to survive the program, not the machine.
#[derive(Debug)]
pub(in crate::object) struct Journal {
    file: fs::File,
    path: PathBuf,
    of: Line,
    past: HashMap<FilePath, Past>,
}

/// What another process had sent of a file.
#[derive(Clone, Debug)]
pub(in crate::object) struct Past {
    /// Where the blob lies.
    pub(in crate::object) key: String,
    /// The multipart upload that was begun.
    pub(in crate::object) upload: Option<Sending>,
    /// What is all there.
    pub(in crate::object) done: Option<File>,
}

/// A multipart upload and those of its parts that the store has.
#[derive(Clone, Debug)]
pub(in crate::object) struct Sending {
    pub(in crate::object) id: String,
    /// Bytes of each part.
    pub(in crate::object) part: u64,
    /// By number: the store's name for the part, and the digest that says whether it is still the same.
    pub(in crate::object) parts: BTreeMap<usize, (String, Digest)>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::object) enum Line {
    /// The first one: what this is the journal of.
    Of { v: u32, store: String, model: ModelRef },
    /// A blob is begun for a file; with an upload, if it is sent in parts.
    Begin { file: FilePath, key: String, upload: Option<(String, u64)> },
    /// The store has a part.
    Part { file: FilePath, at: usize, id: String, digest: Digest },
    /// The store has the file.
    Done { file: File },
    /// A record may be under way that names the blobs. They are nobody's to go on with from here.
    Committing,
}

impl Journal {
    /// The journal of publishing `model` into `store`, in `directory`, which is made if need be. Nothing if
    /// another process is writing it: that one can be gone on with, this one cannot.
    pub(in crate::object) fn open(directory: &Path, store: &str, model: &ModelRef) -> Result<Option<Self>> {
        fs::create_dir_all(directory).map_err(local("create", directory))?;
        let name = Digest::of(format!("{store}\n{model}")).hex();
        let path = directory.join(format!("{name}.publish"));
        let opened = fs::OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = opened.map_err(local("open", &path))?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let of = Line::Of { v: 1, store: store.to_owned(), model: model.clone() };
        let mut journal = Self { file, path, of, past: HashMap::new() };
        let mut text = Vec::new();
        let read = (&journal.file).take(LONGEST + 1).read_to_end(&mut text);
        read.map_err(local("read", &journal.path))?;
        let mut lines = text.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Line>);
        let is_ours = matches!(lines.next(), Some(Ok(first)) if first == journal.of);
        if is_ours && text.len() as u64 <= LONGEST {
            lines.filter_map(Result::<_, _>::ok).for_each(|line| journal.recall(line));
            // Whatever a killed program was about to say ends here.
            journal.write("\n".to_owned());
        } else {
            journal.forget()?;
        }
        Ok(Some(journal))
    }

    /// What had been sent of `file`.
    pub(in crate::object) fn past(&self, file: &FilePath) -> Option<&Past> {
        self.past.get(file)
    }

    /// The publication that wrote the blobs, and how many it had begun: whoever goes on is the same one.
    pub(in crate::object) fn publication(&self) -> Option<(Uuid, usize)> {
        let keys = || self.past.values().map(|past| past.key.as_str());
        let publication = keys().find_map(keys::publication)?;
        let begun = keys().filter_map(keys::number).max().map_or(0, |last| last.saturating_add(1));
        Some((publication, begun))
    }

    /// Forgets what had been sent, also for whoever goes on after this.
    pub(in crate::object) fn forget(&mut self) -> Result<()> {
        self.past.clear();
        self.file.set_len(0).map_err(local("clear", &self.path))?;
        let _ = (&self.file).seek(SeekFrom::Start(0));
        self.note(&self.of);
        Ok(())
    }

    /// Adds a line. One that cannot be written is only missed by who would go on.
    pub(in crate::object) fn note(&self, line: &Line) {
        let line = serde_json::to_string(line).expect("it is made of text and numbers");
        self.write(format!("{line}\n"));
    }

    /// There is nothing to go on with any more.
    pub(in crate::object) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove the journal of a publication");
        }
    }

    fn write(&self, line: String) {
        if let Err(error) = (&self.file).write_all(line.as_bytes()) {
            tracing::warn!(path = %self.path.display(), %error, "cannot write the journal of a publication");
        }
    }

    fn recall(&mut self, line: Line) {
        match line {
            Line::Of { .. } => {}
            Line::Committing => self.past.clear(),
            // It becomes a name in the store, so it has to be one that we could have given.
            Line::Begin { file, key, upload } => {
                if keys::publication(&key)
                    .is_some_and(|publication| key.starts_with(&publication.to_string()))
                {
                    // One publication is gone on with: the last one.
                    let publication = keys::publication(&key);
                    self.past.retain(|_, past| keys::publication(&past.key) == publication);
                    let sending = |(id, part)| Sending { id, part, parts: BTreeMap::new() };
                    self.past.insert(file, Past { key, upload: upload.map(sending), done: None });
                }
            }
            Line::Part { file, at, id, digest } => {
                if let Some(Past { upload: Some(sending), .. }) = self.past.get_mut(&file) {
                    sending.parts.insert(at, (id, digest));
                }
            }
            Line::Done { file } => {
                if let Some(past) = self.past.get_mut(&file.path) {
                    past.done = Some(file);
                }
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a program that was just being started has it open, too, and
        // whoever publishes the same then would not go on from here.
        drop(self.file.unlock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let key = |n: usize| keys::new_blob(&Uuid::from_bytes([7; 16]), n);
        let path = |path: &str| path.parse::<FilePath>().unwrap();
        let part =
            |at| Line::Part { file: path("b"), at, id: format!("etag {at}"), digest: Digest::of([at as u8]) };
        let file = File { path: path("a"), size: 1, digest: Digest::of("a"), parts: vec![Digest::of("a")] };
        vec![
            Line::Begin { file: path("a"), key: key(1), upload: None },
            Line::Begin { file: path("b"), key: key(2), upload: Some(("upload".to_owned(), 16 << 20)) },
            part(0),
            Line::Done { file },
            part(2),
        ]
    }

    fn model() -> ModelRef {
        "m@1.0.0".parse().unwrap()
    }

    fn open(directory: &Path) -> Journal {
        Journal::open(directory, "bucket", &model()).unwrap().unwrap()
    }

    #[test]
    fn a_journal_remembers_what_was_noted_and_of_what() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("made/for/it");
        let journal = open(&directory);
        lines().iter().for_each(|line| journal.note(line));
        assert!(Journal::open(&directory, "bucket", &model()).unwrap().is_none(), "it is in use");
        // What a child has between fork and exec: the same open file.
        let child = journal.file.try_clone().unwrap();
        drop(journal);
        let journal = open(&directory);
        drop(child);
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert!(journal.past(&a).unwrap().done.is_some());
        let sending = journal.past(&b).unwrap().upload.clone().unwrap();
        assert_eq!(
            (sending.id.as_str(), sending.parts.into_keys().collect::<Vec<_>>()),
            ("upload", vec![0, 2])
        );
        let other = Journal::open(&directory, "bucket", &"m@1.0.1".parse().unwrap()).unwrap().unwrap();
        assert!(other.past(&a).is_none());
        other.remove();
        journal.remove();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }

    #[test]
    fn no_damage_to_a_journal_does_harm() {
        let root = tempfile::tempdir().unwrap();
        let journal = open(root.path());
        lines().iter().for_each(|line| journal.note(line));
        let path = journal.path.clone();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        // Cut off anywhere, it knows of less, and can be written on.
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let journal = open(root.path());
            let known = journal.past.len();
            lines().iter().for_each(|line| journal.note(line));
            drop(journal);
            assert!(known <= 2 && open(root.path()).past.len() == 2, "{length} bytes");
        }
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..500 {
            let mut damaged = whole.clone();
            for _ in 0..8 {
                let at = rng.usize(..damaged.len());
                damaged[at] = rng.u8(..);
            }
            fs::write(&path, &damaged).unwrap();
            let journal = open(root.path());
            assert!(journal.past.values().all(|past| keys::is_blob(&past.key)));
        }
        // Another's lines, and a key that leads elsewhere.
        let of = Line::Of { v: 1, store: "bucket".to_owned(), model: model() };
        let elsewhere =
            Line::Begin { file: "a".parse().unwrap(), key: "../../n/blobs/x".to_owned(), upload: None };
        let text = [of, elsewhere].map(|line| serde_json::to_string(&line).unwrap()).join("\n");
        fs::write(&path, text).unwrap();
        assert!(open(root.path()).past.is_empty());
    }
}
