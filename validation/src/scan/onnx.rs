//! ONNX models (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>): which files and which operators of
//! other libraries does the graph bring in?

use std::collections::BTreeSet;

use super::{
    Rule, names,
    protobuf::{Field, Messages, Part, Value},
    section::Section,
    walk::{Stop, Walk},
};

/// Most messages around a message that are followed.
const DEEPEST: u8 = 64;
/// Most fields of a file that tell what it is.
const TELLING: usize = 1 << 12;
/// Most operators of other libraries that are told apart.
const OPERATORS: usize = 100;

/// Operators that ONNX and its reference runtime define.
const DOMAINS: [&str; 8] = [
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "com.microsoft",
    "com.microsoft.nchwc",
];
/// Operators that call a function of Python by its name
/// (<https://github.com/microsoft/onnxruntime-extensions>, `PyOp`, and ONNX Runtime's training, `PythonOp`).
const PYTHON: [&str; 5] = ["PyCustomOp", "PyOp", "PythonOp", "PythonOpGrad", "TritonOp"];
/// Entries of external data that there are; old readers set any other as an attribute.
const ENTRIES: [&str; 5] = ["basepath", "checksum", "length", "location", "offset"];

/// The messages that lead to operators and tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Attribute,
    External,
    Function,
    Graph,
    Model,
    Node,
    SparseTensor,
    Tensor,
    Training,
}

impl Kind {
    /// What a field of a message holds, if it leads anywhere.
    const fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Tensor, 13) => Self::External,
            _ => return None,
        })
    }
}

/// What was seen of a model.
#[derive(Debug, Default)]
struct Model {
    /// Operators of other libraries: domain, name.
    operators: BTreeSet<(String, String)>,
    /// Functions that the model defines itself.
    functions: BTreeSet<(String, String)>,
    /// Whether there are more operators than are told apart.
    is_full: bool,
}

/// Whether a file is a model: fields to its end, a graph among them; if it is cut short, one that begins with
/// the version of its format. Readers ignore the fields that they do not know.
pub(super) fn is_model(section: &mut Section<'_>) -> Result<bool, Stop> {
    let mut messages = Messages::new(section);
    let mut rest = messages.whole();
    let (mut version, mut graph) = (false, None);
    for _ in 0..TELLING {
        let before = rest;
        match messages.next(&mut rest) {
            Ok(Some(Field { number: 1, value: Value::Number(1..=0xff), .. })) => version = true,
            Ok(Some(Field { number: 7, value: Value::Bytes(part), .. })) => graph = Some(part),
            Ok(Some(_)) => {}
            // By chance, a short text may look like one without a version.
            Ok(None) => return Ok(graph.is_some_and(|graph| version || has_fields(&mut messages, graph))),
            Err(Stop::Malformed { .. }) => {
                let mut tag = [0];
                section.read_at(before.start, &mut tag)?;
                return Ok(version && (graph.is_some() || tag[0] == 7 << 3 | 2));
            }
            Err(stop) => return Err(stop),
        }
    }
    // So many fields are no chance.
    Ok(true)
}

/// Whether a part is fields to its end, as those of a graph are.
fn has_fields(messages: &mut Messages<'_, '_>, part: Part) -> bool {
    let (mut rest, mut graph) = (part, false);
    for _ in 0..TELLING {
        match messages.next(&mut rest) {
            Ok(Some(field)) => graph |= field.number <= 16 && matches!(field.value, Value::Bytes(_)),
            Ok(None) => return graph,
            Err(_) => return false,
        }
    }
    true
}

/// Scans a model.
pub(super) fn walk(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let mut messages = Messages::new(section);
    let mut model = Model::default();
    let whole = messages.whole();
    let read = message(&mut messages, walk, &mut model, Kind::Model, whole, 0);
    for (domain, name) in model.operators.difference(&model.functions) {
        walk.report(Rule::OnnxCustomOperator, None, &format!("{domain}.{name}"));
    }
    if model.is_full {
        walk.report(
            Rule::LimitReached,
            None,
            "there are more operators of other libraries than are told apart",
        );
    }
    read
}

fn message(
    messages: &mut Messages<'_, '_>,
    walk: &mut Walk<'_>,
    model: &mut Model,
    kind: Kind,
    part: Part,
    depth: u8,
) -> Result<(), Stop> {
    if depth >= DEEPEST {
        return Err(Stop::Malformed {
            offset: part.start,
            what: "graphs are nested deeper than any reader follows",
        });
    }
    match kind {
        Kind::External => return external(messages, walk, part),
        Kind::Node => {
            let (domain, name) = (field(messages, part, 7)?, field(messages, part, 4)?);
            if PYTHON.contains(&name.as_str()) {
                // At once: it must not be lost among others, whatever the model defines itself.
                walk.report(Rule::OnnxPythonOperator, Some(part.start), &format!("{domain}.{name}"));
            } else if !DOMAINS.contains(&domain.as_str()) {
                match model.operators.len() {
                    ..OPERATORS => drop(model.operators.insert((domain, name))),
                    _ => model.is_full |= !model.operators.contains(&(domain, name)),
                }
            }
        }
        Kind::Function if model.functions.len() < OPERATORS * OPERATORS => {
            let defined = (field(messages, part, 10)?, field(messages, part, 1)?);
            model.functions.insert(defined);
        }
        _ => {}
    }
    messages.each(part, walk, |messages, walk, field| match kind.field(field.number) {
        Some(kind) => message(messages, walk, model, kind, field.bytes()?, depth + 1),
        None => Ok(()),
    })
}

/// The last text of this number, as readers take it; empty if there is none.
fn field(messages: &mut Messages<'_, '_>, message: Part, number: u64) -> Result<String, Stop> {
    let (mut rest, mut found) = (message, None);
    while let Some(field) = messages.next(&mut rest)? {
        if field.number == number {
            found = Some(field.bytes()?);
        }
    }
    found.map_or_else(|| Ok(String::new()), |part| messages.text(part))
}

/// One entry of what says where the bytes of a tensor are.
fn external(messages: &mut Messages<'_, '_>, walk: &mut Walk<'_>, entry: Part) -> Result<(), Stop> {
    let (key, value) = (field(messages, entry, 1)?, field(messages, entry, 2)?);
    if !ENTRIES.contains(&key.as_str()) {
        walk.report(Rule::OnnxExternalPath, Some(entry.start), &format!("an entry that is none: {key}"));
    } else if matches!(key.as_str(), "location" | "basepath") && leads_out(&value) {
        walk.report(Rule::OnnxExternalPath, Some(entry.start), &value);
    }
    Ok(())
}

/// Whether a path leads elsewhere, on any system, or is an address.
fn leads_out(path: &str) -> bool {
    names::escapes(path) || path.contains("://") || path.contains('\0') || path.starts_with('~')
}
