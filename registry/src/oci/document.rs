//! Our own manifest as it travels in an artifact.
//!
//! It is a layer of its own, a document beside the model's files, and not an annotation: part digests of
//! terabytes and a card with reports in it are longer than the 4 MiB that a registry takes for everything
//! that it keeps of an artifact besides layers. The configuration, which ModelPack's schema closes, has no
//! room for it either. Other tools see one more small file.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BoxError, Error, Invalid, Manifest, Result};

const FORMAT: u32 = 1;

/// Bytes of the longest document. A hundred thousand files with long paths fit.
pub(super) const LONGEST_DOCUMENT: u64 = 128 << 20;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    v: u32,
    manifest: Manifest,
}

/// The document, which reads back as what it was made of.
pub(super) fn encode(manifest: &Manifest) -> Result<Bytes> {
    let model = || manifest.model.to_string();
    let document = Document { v: FORMAT, manifest: manifest.clone() };
    let bytes = serde_json::to_vec(&document)
        .map_err(|error| Invalid::new("card", model(), format!("it cannot be written as JSON ({error})")))?;
    if bytes.len() as u64 > LONGEST_DOCUMENT {
        let why = format!(
            "its manifest would be longer than {LONGEST_DOCUMENT} bytes; shorten the card or pack small files"
        );
        return Err(Invalid::new("content", model(), why).into());
    }
    // A document that nobody could read must never be published: its version would be taken for ever.
    match decode(&bytes, &model) {
        Ok(read) if read == *manifest => Ok(bytes.into()),
        _ => Err(Invalid::new("card", model(), "it does not read back as it was written").into()),
    }
}

/// Reads a document; `what` names it.
pub(super) fn decode(bytes: &[u8], what: &(dyn Fn() -> String + Sync)) -> Result<Manifest> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let damaged = |source: BoxError| Error::Corrupt { what: what(), source };
    let Version { v } = serde_json::from_slice(bytes).map_err(|error| damaged(error.into()))?;
    if v != FORMAT {
        return Err(Error::TooNew { what: what(), found: format!("format {v}") });
    }
    let Document { manifest, .. } = serde_json::from_slice(bytes).map_err(|error| damaged(error.into()))?;
    manifest.check(&manifest.model)?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Card, Digest, File, Stamp};

    fn manifest() -> Manifest {
        let digest = Digest::of("x");
        let file = File { path: "f".parse().unwrap(), size: 1, digest, parts: vec![digest] };
        let stamp = Stamp { by: "test".to_owned(), at: std::time::UNIX_EPOCH };
        Manifest::new("m@1.0.0+b".parse().unwrap(), vec![file], stamp, Card::default())
    }

    fn read(bytes: &[u8]) -> Result<Manifest> {
        decode(bytes, &|| "the document".to_owned())
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(read(&encode(&manifest()).unwrap()).unwrap(), manifest());
    }

    #[test]
    fn others_are_told_apart() {
        let bytes = String::from_utf8(encode(&manifest()).unwrap().to_vec()).unwrap();
        let later = bytes.replace(r#""v":1"#, r#""v":2,"new":{}"#);
        assert!(matches!(read(later.as_bytes()), Err(Error::TooNew { .. })));
        let lies = bytes.replacen(r#""size":1"#, r#""size":2"#, 1);
        let deep = format!(r#"{{"v":1,"manifest":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for wrong in ["", "{}", r#"{"v":1}"#, lies.as_str(), deep.as_str()] {
            assert!(matches!(read(wrong.as_bytes()), Err(Error::Corrupt { .. })), "{wrong:.80}");
        }
    }
}
