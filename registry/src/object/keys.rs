//! Where everything lies.

use std::fmt::Write as _;

use object_store::path::Path;
use uuid::Uuid;

use crate::{Digest, LogKey, ModelName, Seq};

/// Longest escaped log id that is used as it is; local file systems end names at 255 bytes.
const LONGEST_ID: usize = 160;

pub(super) fn marker() -> Path {
    Path::from("tidegate.json")
}

/// Where a check of the store writes; nobody else does.
pub(super) fn scratch() -> Path {
    Path::from("check").join(Uuid::now_v7().to_string())
}

/// Says that the store of this identity has passed a check, where `tidegate.json` came from another one.
pub(super) fn checked(identity: &Digest) -> Path {
    Path::from("check").join(format!("{}.json", identity.hex()))
}

pub(super) fn models() -> Path {
    Path::from("models")
}

/// Record `seq` of a log. Twenty digits hold every `u64`, so names sort as numbers do.
pub(super) fn record(key: &LogKey, seq: Seq) -> Path {
    records(key).join(format!("{:020}.json", seq.get()))
}

/// Where the records of a log lie.
pub(super) fn records(key: &LogKey) -> Path {
    match key.as_model() {
        Some(_) => log(key).join("log"),
        None => log(key),
    }
}

/// The number of the record that lies at `path`, if one does.
pub(super) fn record_seq(path: &Path) -> Option<Seq> {
    Seq::new(path.filename()?.strip_suffix(".json")?.parse().ok()?)
}

/// Where the log of `key` is said to end.
pub(super) fn hint(key: &LogKey) -> Path {
    log(key).join("hint.json")
}

pub(super) fn snapshots(key: &LogKey) -> Path {
    log(key).join("snapshots")
}

pub(super) fn snapshot(key: &LogKey, seq: Seq) -> Path {
    snapshots(key).join(format!("{:020}.jsonl.gz", seq.get()))
}

/// The record that a snapshot was made at, if one lies at `path`.
pub(super) fn snapshot_seq(path: &Path) -> Option<Seq> {
    Seq::new(path.filename()?.strip_suffix(".jsonl.gz")?.parse().ok()?)
}

/// What belongs to a log.
fn log(key: &LogKey) -> Path {
    match key.as_model() {
        Some(name) => model(&name),
        None => Path::from("logs").join(key.kind()).join(escape(key.id())),
    }
}

pub(super) fn manifests(name: &ModelName) -> Path {
    model(name).join("manifests")
}

pub(super) fn manifest(name: &ModelName, digest: &Digest) -> Path {
    manifests(name).join(format!("{}.json", digest.hex()))
}

/// The digest of the document that lies at `path`, going by its name.
pub(super) fn manifest_digest(path: &Path) -> Option<Digest> {
    format!("sha256:{}", path.filename()?.strip_suffix(".json")?).parse().ok()
}

pub(super) fn blobs(name: &ModelName) -> Path {
    model(name).join("blobs")
}

pub(super) fn blob(name: &ModelName, key: &str) -> Path {
    blobs(name).join(key)
}

pub(super) fn uploads(name: &ModelName) -> Path {
    model(name).join("uploads")
}

/// Says that this blob is being uploaded in parts.
pub(super) fn upload(blob: &Path) -> Path {
    let mut parts: Vec<_> = blob.parts().collect();
    let key = parts.pop().map(|key| key.as_ref().to_owned()).unwrap_or_default();
    parts.pop();
    Path::from_iter(parts).join("uploads").join(format!("{key}.json"))
}

/// The key of the blob whose upload is noted at `path`.
pub(super) fn uploaded(path: &Path) -> Option<&str> {
    path.filename()?.strip_suffix(".json").filter(|key| is_blob(key))
}

/// The key of a blob that nobody else has used and nobody will use again: the `n`th of a publication.
pub(super) fn new_blob(publication: &Uuid, n: usize) -> String {
    format!("{publication}.{n}")
}

/// The publication that wrote the blob. The first ones did not say so in their keys.
pub(super) fn publication(key: &str) -> Option<Uuid> {
    let (publication, n) = key.rsplit_once('.')?;
    let is_number = !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
    Uuid::try_parse(publication).ok().filter(|_| is_number)
}

/// Which blob of its publication it is.
pub(super) fn number(key: &str) -> Option<usize> {
    key.rsplit_once('.')?.1.parse().ok()
}

/// Whether this can be the key of a blob.
pub(super) fn is_blob(key: &str) -> bool {
    publication(key).is_some() || Uuid::try_parse(key).is_ok()
}

fn model(name: &ModelName) -> Path {
    models().join(name.as_str())
}

/// A log id as one lower-case segment: every other byte is `=` and two hex digits, as in the quoted
/// printable text of RFC 2045 §6.7, because `%` means something to stores. Different ids stay different:
/// a long one is cut and ends in `==` and its digest.
fn escape(id: &str) -> String {
    let mut escaped = String::new();
    for (at, byte) in id.bytes().enumerate() {
        let plain = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') || (byte == b'.' && at > 0);
        if plain {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "={byte:02x}").expect("a string takes everything");
        }
    }
    if escaped.len() > LONGEST_ID {
        escaped.truncate(LONGEST_ID - 66);
        write!(escaped, "=={}", Digest::of(id).hex()).expect("a string takes everything");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_as_documented() {
        let fraud: ModelName = "fraud".parse().unwrap();
        assert_eq!(
            record(&LogKey::model(&fraud), Seq::FIRST).as_ref(),
            "models/fraud/log/00000000000000000001.json"
        );
        let route = LogKey::new("route", "serving/Fraud").unwrap();
        assert_eq!(
            record(&route, Seq::FIRST).as_ref(),
            "logs/route/serving=2f=46raud/00000000000000000001.json"
        );
    }

    #[test]
    fn different_ids_have_different_names_even_where_case_is_folded() {
        let long = "é".repeat(120);
        let ids =
            ["a/b", "a=2fb", "A/B", "..", ".", "a.b", "a..b", &long, &format!("{long}x"), "ab", "a b", "=="];
        let names: HashSet<String> = ids.iter().map(|id| escape(id).to_ascii_lowercase()).collect();
        assert_eq!(names.len(), ids.len());
        for name in names {
            assert!(name.len() <= 255 && !name.starts_with('.') && !name.contains('/'), "{name}");
            assert_eq!(
                Path::from("logs").join(name.clone()).as_ref(),
                format!("logs/{name}"),
                "nothing is escaped twice"
            );
        }
    }
}
