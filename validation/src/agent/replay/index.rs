//! Where the answers of a recording are.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use tidegate_registry::Digest;

use super::{super::key::key, line::Line};
use crate::{
    AgentId,
    lines::{self, Ending},
};

/// Longest line that is read, in bytes.
const LONGEST: usize = 64 << 20;

/// Where the answers of a recording are, in the order of their keys.
#[derive(Debug)]
pub(super) struct Index {
    places: Vec<(Digest, Place)>,
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Index {
    /// The places of a recording, and whose it is; blocking.
    pub(super) fn read(path: &Path) -> io::Result<(Self, AgentId)> {
        let mut file = BufReader::new(File::open(path)?);
        let (mut places, mut owner, mut offset) = (Vec::new(), None::<AgentId>, 0);
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            let invalid =
                |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("line {number} {why}"));
            match lines::next(&mut file, &mut bytes, LONGEST)? {
                Ending::None => break,
                Ending::TooLong => return Err(invalid(format!("is longer than {LONGEST} bytes"))),
                Ending::Torn => {
                    tracing::warn!("line {number} of {} was not finished and is left out", path.display());
                    break;
                }
                Ending::Whole => {}
            }
            if !bytes.trim_ascii().is_empty() {
                let line: Line<'_> = serde_json::from_slice(&bytes)
                    .map_err(|error| invalid(format!("is none of a recording: {error}")))?;
                if owner.get_or_insert_with(|| line.agent.clone()) != &line.agent {
                    return Err(invalid(
                        "is of another agent than the first; keep a file for each".to_owned(),
                    ));
                }
                let len = u32::try_from(bytes.len()).map_err(|error| invalid(error.to_string()))?;
                places.push((key(None, &line.request, line.trial), Place { offset, len }));
            }
            offset += bytes.len() as u64;
        }
        let owner = owner.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it holds no answer; record some first")
        })?;
        places.sort_unstable();
        Ok((Self { places }, owner))
    }

    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// The answers under `key`, in the order in which they were recorded.
    pub(super) fn find(&self, key: Digest) -> &[(Digest, Place)] {
        let start = self.places.partition_point(|(known, _)| *known < key);
        let len = self.places[start..].partition_point(|(known, _)| *known == key);
        &self.places[start..start + len]
    }
}
