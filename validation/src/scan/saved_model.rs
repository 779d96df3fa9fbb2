//! `SavedModel`s and graphs of TensorFlow
//! (<https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/saved_model.proto>): which of
//! their operators reach files or Python?

use std::collections::BTreeSet;

use super::{
    Rule, Severity, keras, names,
    protobuf::{Field, Messages, Part, Value},
    section::Section,
    walk::{Stop, Walk},
};

/// Most fields of a file that tell what it is.
const TELLING: usize = 1 << 12;
/// Operators that reach files, load libraries, or call Python
/// (<https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md>). Those of checkpoints are not among them.
const OPERATORS: [&str; 21] = [
    "CreateSummaryFileWriter",
    "DebugIdentity",
    "DebugIdentityV2",
    "EagerPyFunc",
    "FileSystemSetConfiguration",
    "FixedLengthRecordReader",
    "FixedLengthRecordReaderV2",
    "ImmutableConst",
    "LoadDataset",
    "LoadLibrary",
    "MatchingFiles",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "SaveDataset",
    "SaveDatasetV2",
    "TextLineReaderV2",
    "WholeFileReader",
    "WholeFileReaderV2",
    "WriteFile",
    "XlaLaunchV2",
];

/// The messages that lead to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Asset,
    Function,
    Graph,
    Library,
    Meta,
    Model,
    Node,
}

impl Kind {
    const fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 2) => Self::Meta,
            (Self::Meta, 2) => Self::Graph,
            (Self::Meta, 6) => Self::Asset,
            (Self::Graph, 1) | (Self::Function, 3) => Self::Node,
            (Self::Graph, 2) => Self::Library,
            (Self::Library, 1) => Self::Function,
            _ => return None,
        })
    }
}

/// Whether a file is a model: fields to its end, a graph among them; if it is cut short, one that begins with
/// the version of its format. Readers ignore the fields that they do not know.
pub(super) fn is_model(section: &mut Section<'_>) -> Result<bool, Stop> {
    let mut messages = Messages::new(section);
    let mut rest = messages.whole();
    let (mut version, mut graph) = (false, false);
    for _ in 0..TELLING {
        let before = rest;
        match messages.next(&mut rest) {
            Ok(Some(Field { number: 1, value: Value::Number(_), .. })) => version = true,
            Ok(Some(Field { number: 2, value: Value::Bytes(part), .. })) => {
                graph = graph || is_graph(&mut messages, part);
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(graph),
            Err(Stop::Malformed { .. }) => {
                let mut tag = [0];
                section.read_at(before.start, &mut tag)?;
                return Ok(version && (graph || tag[0] == 2 << 3 | 2));
            }
            Err(stop) => return Err(stop),
        }
    }
    // So many fields are no chance.
    Ok(true)
}

/// Whether a part holds a graph, or what describes one.
fn is_graph(messages: &mut Messages<'_, '_>, part: Part) -> bool {
    let mut rest = part;
    for _ in 0..TELLING {
        match messages.next(&mut rest) {
            Ok(Some(Field { number: 1 | 2, value: Value::Bytes(_), .. })) => return true,
            Ok(Some(_)) => {}
            _ => return false,
        }
    }
    true
}

/// Scans a model.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut messages = Messages::new(section);
    let mut found = BTreeSet::new();
    let whole = messages.whole();
    message(&mut messages, walk, &mut found, Kind::Model, whole)?;
    // Layers of Keras are described in the same file.
    keras::search(section, walk)
}

fn message(
    messages: &mut Messages<'_, '_>,
    walk: &mut Walk<'_>,
    found: &mut BTreeSet<&'static str>,
    kind: Kind,
    part: Part,
) -> Result<(), Stop> {
    messages.each(part, walk, |messages, walk, field| {
        match (kind, field.number) {
            (Kind::Node, 2) => {
                let name = messages.text(field.bytes()?)?;
                let known = OPERATORS.into_iter().find(|known| *known == name);
                if let Some(operator) = known.filter(|operator| found.insert(operator)) {
                    walk.report(Rule::TensorFlowOperator, Some(field.at), operator);
                }
                return Ok(());
            }
            (Kind::Asset, 2) => {
                let name = messages.text(field.bytes()?)?;
                if names::escapes(&name) {
                    walk.report_as(Rule::PathTraversal, Severity::High, Some(field.at), &name);
                }
                return Ok(());
            }
            _ => {}
        }
        // The kinds lead to each other without a circle, so that this ends.
        match kind.field(field.number) {
            Some(kind) => message(messages, walk, found, kind, field.bytes()?),
            None => Ok(()),
        }
    })
}
