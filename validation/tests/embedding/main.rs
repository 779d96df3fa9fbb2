//! Sentence models that run here: against onnxruntime over the same weights, and over files that lie.

#![expect(clippy::print_stdout, reason = "what is measured is shown to whoever asks for it")]

mod hostile;
mod live;
mod tiny;
