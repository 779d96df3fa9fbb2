//! ONNX: one message of protocol buffers, weights and all.
//!
//! Source: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>. The messages on the way to the
//! initializers are gone into, in subgraphs too; everything else, weights above all, is passed over by
//! its length. The values of `Constant` nodes are not counted: they are shapes and axes.

use super::{
    Onnx,
    reading::{Damage, Facts, Weights, shown, text},
    steps::{Pieces, Step},
    tally::{Elements, Tally},
    wire::{Wire, field, varint},
};

/// Messages in messages. A subgraph takes three.
const DEEPEST: usize = 32;

/// Bytes of a text that is of interest; a longer one is passed over.
const LONGEST_TEXT: u64 = 1024;

/// Bytes of the packed dimensions of a tensor.
const LONGEST_SHAPE: u64 = 4096;

/// Names of operator sets, and of files with weights, that are kept.
const MOST_NAMES: usize = 16;

/// What is read of an ONNX file.
#[derive(Debug, Default)]
pub(super) struct OnnxModel {
    /// The messages around the next field, below the model, and where they end.
    open: Vec<(Message, u64)>,
    tally: Tally,
    found: Onnx,
    producer: String,
    producer_version: String,
    has_graph: bool,
    opset: (String, Option<u64>),
    tensor: Tensor,
    entry: (String, String),
}

#[derive(Debug, Default)]
struct Tensor {
    elements: Elements,
    dtype: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Attribute,
    /// `StringStringEntryProto`, of a tensor's external data.
    Entry,
    Graph,
    Model,
    Node,
    Opset,
    SparseTensor,
    Tensor,
}

/// What to do with a field.
enum Want {
    Enter(Message),
    Nothing,
    Shape,
    Text,
}

impl Pieces for OnnxModel {
    fn step(&mut self, at: u64, bytes: &[u8]) -> Result<Step, Damage> {
        self.close(at)?;
        let (message, end) = self.open.last().copied().unwrap_or((Message::Model, u64::MAX));
        let Some(field) = field(bytes)? else { return Ok(Step::Need(bytes.len() + 1)) };
        let behind = at.checked_add(field.taken as u64).ok_or(Damage::overflow())?;
        let (Wire::Fixed(length) | Wire::Length(length)) = field.value else {
            return self.number(message, field.number, field.value, field.taken, behind <= end);
        };
        let behind = behind.checked_add(length).filter(|behind| *behind <= end);
        let behind = behind.ok_or(Damage::new("a field is longer than the message around it"))?;
        let want = match field.value {
            Wire::Length(_) => want(message, field.number),
            _ => Want::Nothing,
        };
        let most = match want {
            Want::Enter(message) if self.open.len() < DEEPEST => {
                self.enter(message);
                self.open.push((message, behind));
                return Ok(Step::Took(field.taken));
            }
            Want::Shape if length > LONGEST_SHAPE => {
                return Err(Damage::new("it has a tensor of thousands of dimensions"));
            }
            Want::Shape => LONGEST_SHAPE,
            Want::Text => LONGEST_TEXT,
            Want::Enter(_) | Want::Nothing => 0,
        };
        if length > most {
            return Ok(Step::Skip(field.taken, length));
        }
        let taken = field.taken + usize::try_from(length).expect("it has just been bounded");
        let Some(content) = bytes.get(field.taken..taken) else { return Ok(Step::Need(taken)) };
        match want {
            Want::Shape => self.shape(content)?,
            Want::Text => self.text(message, field.number, &String::from_utf8_lossy(content)),
            Want::Enter(_) | Want::Nothing => {}
        }
        Ok(Step::Took(taken))
    }

    fn finish(mut self, size: u64, between: bool) -> Result<Facts, Damage> {
        self.close(size)?;
        if !between || !self.open.is_empty() {
            return Err(Damage::new("it ends in the middle of a message"));
        }
        if !self.has_graph || self.found.ir_version.is_none() {
            return Err(Damage::new("it has no graph or no version of the format"));
        }
        self.found.producer = text(&format!("{} {}", self.producer, self.producer_version));
        let Self { tally, found: onnx, .. } = self;
        Ok(Facts::Weights(Box::new(Weights { tally, onnx, ..Weights::default() })))
    }
}

fn want(message: Message, field: u64) -> Want {
    match (message, field) {
        (Message::Model, 2 | 3) | (Message::Opset, 1) | (Message::Entry, 1 | 2) => Want::Text,
        (Message::Model, 7) | (Message::Attribute, 6 | 11) => Want::Enter(Message::Graph),
        (Message::Model, 8) => Want::Enter(Message::Opset),
        (Message::Graph, 1) => Want::Enter(Message::Node),
        (Message::Graph, 5) | (Message::SparseTensor, 1) => Want::Enter(Message::Tensor),
        (Message::Graph, 15) => Want::Enter(Message::SparseTensor),
        (Message::Node, 5) => Want::Enter(Message::Attribute),
        (Message::Tensor, 1) => Want::Shape,
        (Message::Tensor, 13) => Want::Enter(Message::Entry),
        _ => Want::Nothing,
    }
}

impl OnnxModel {
    /// Leaves the messages that end at `at`.
    fn close(&mut self, at: u64) -> Result<(), Damage> {
        while let Some((message, _)) = self.open.pop_if(|(_, end)| *end == at) {
            match message {
                Message::Tensor => {
                    let Tensor { elements, dtype } = std::mem::take(&mut self.tensor);
                    match name(dtype) {
                        Some(name) => self.tally.count(name, elements.product())?,
                        None => {
                            self.tally.count_unknown(&format!("onnx type {dtype}"), elements.product())?
                        }
                    }
                }
                Message::Opset => {
                    let (domain, version) = std::mem::take(&mut self.opset);
                    let opsets = &mut self.found.opsets;
                    if let Some(version) = version
                        && opsets.len() < MOST_NAMES
                    {
                        let domain = text(&domain).unwrap_or_else(|| "ai.onnx".to_owned());
                        opsets.insert(domain, version);
                    }
                }
                Message::Entry => {
                    let (key, value) = std::mem::take(&mut self.entry);
                    if key == "location" && self.found.external.len() < MOST_NAMES {
                        self.found.external.insert(shown(&value));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, message: Message) {
        match message {
            Message::Entry => self.entry = Default::default(),
            Message::Graph => self.has_graph = true,
            Message::Opset => self.opset = Default::default(),
            Message::Tensor => self.tensor = Tensor::default(),
            _ => {}
        }
    }

    fn number(
        &mut self,
        message: Message,
        field: u64,
        value: Wire,
        taken: usize,
        fits: bool,
    ) -> Result<Step, Damage> {
        let Wire::Varint(value) = value else { return Ok(Step::Took(taken)) };
        if !fits {
            return Err(Damage::new("a field is longer than the message around it"));
        }
        match (message, field) {
            (Message::Model, 1) => self.found.ir_version = Some(value),
            (Message::Opset, 2) => self.opset.1 = Some(value),
            (Message::Tensor, 1) => self.dimension(value)?,
            (Message::Tensor, 2) => self.tensor.dtype = value,
            _ => {}
        }
        Ok(Step::Took(taken))
    }

    fn text(&mut self, message: Message, field: u64, text: &str) {
        let place = match (message, field) {
            (Message::Model, 2) => &mut self.producer,
            (Message::Model, _) => &mut self.producer_version,
            (Message::Opset, _) => &mut self.opset.0,
            (_, 1) => &mut self.entry.0,
            _ => &mut self.entry.1,
        };
        text.clone_into(place);
    }

    fn shape(&mut self, mut packed: &[u8]) -> Result<(), Damage> {
        while !packed.is_empty() {
            let Some((dimension, length)) = varint(packed)? else {
                return Err(Damage::new("the dimensions of a tensor end in the middle of a number"));
            };
            self.dimension(dimension)?;
            packed = &packed[length..];
        }
        Ok(())
    }

    fn dimension(&mut self, dimension: u64) -> Result<(), Damage> {
        if i64::try_from(dimension).is_err() {
            return Err(Damage::new("it has a tensor with a negative dimension"));
        }
        self.tensor.elements.times(dimension)
    }
}

/// The name of `TensorProto.DataType` number `id`, as safetensors spells it.
const fn name(id: u64) -> Option<&'static str> {
    Some(match id {
        1 => "F32",
        2 => "U8",
        3 => "I8",
        4 => "U16",
        5 => "I16",
        6 => "I32",
        7 => "I64",
        8 => "STRING",
        9 => "BOOL",
        10 => "F16",
        11 => "F64",
        12 => "U32",
        13 => "U64",
        14 => "C64",
        15 => "C128",
        16 => "BF16",
        17 => "F8_E4M3",
        18 => "F8_E4M3FNUZ",
        19 => "F8_E5M2",
        20 => "F8_E5M2FNUZ",
        21 => "U4",
        22 => "I4",
        23 => "F4",
        24 => "F8_E8M0",
        25 => "U2",
        26 => "I2",
        27 => "F6_E2M3",
        28 => "F6_E3M2",
        _ => return None,
    })
}
