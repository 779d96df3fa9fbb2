//! A small text classifier with real weights: multinomial logistic regression over a bag of words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::messages::{Message, tokens};

/// How to train. Equal training on equal examples gives equal weights, bit by bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Training {
    /// Passes over the examples.
    pub(crate) epochs: usize,
    /// Decides the order of the examples, and which of them a `fraction` takes.
    pub(crate) seed: u64,
    /// The part of the examples to learn from, above 0.0 and up to 1.0.
    pub(crate) fraction: f64,
}

/// `P(label | text) = softmax(W x + b)`, where `x` is 1 for each word of the vocabulary that occurs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Classifier {
    pub(super) labels: Vec<String>,
    pub(super) words: BTreeMap<String, usize>,
    /// Row by row, one row of `words.len()` for each label.
    pub(super) weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Some logit is NaN or infinite: the weights are damaged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotFinite;

/// `config.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    architecture: String,
    labels: Vec<String>,
}

const ARCHITECTURE: &str = "bag-of-words-logistic-regression";
const LEARNING_RATE: f32 = 0.3;
const L2: f32 = 1e-4;
const MOST_BYTES: u64 = 16 << 20;

impl Training {
    /// From half of the examples: right for about four messages in five.
    pub(crate) const HALF: Self = Self { epochs: 30, seed: 3, fraction: 0.5 };
    /// From all of them: right for about 19 in 20.
    pub(crate) const FULL: Self = Self { fraction: 1.0, ..Self::HALF };
}

impl Classifier {
    /// Learns from `examples` by stochastic gradient descent.
    ///
    /// # Panics
    ///
    /// If there is no example.
    pub(crate) fn train(examples: &[Message], training: Training) -> Self {
        assert!(!examples.is_empty(), "a classifier learns from at least one example");
        let mut rng = Rng::with_seed(training.seed);
        let mut examples: Vec<&Message> = examples.iter().collect();
        rng.shuffle(&mut examples);
        let taken = (training.fraction * examples.len() as f64).ceil() as usize;
        examples.truncate(taken.max(1));

        let labels: BTreeSet<&str> = examples.iter().map(|example| example.label.as_str()).collect();
        let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
        let words: BTreeSet<String> = examples.iter().flat_map(|example| tokens(&example.text)).collect();
        let words: BTreeMap<String, usize> = words.into_iter().enumerate().map(|(i, w)| (w, i)).collect();
        let weights = vec![0.0; labels.len() * words.len()];
        let mut model = Self { bias: vec![0.0; labels.len()], labels, words, weights };

        let mut samples: Vec<(Vec<usize>, usize)> = examples
            .iter()
            .map(|example| {
                let label = model.labels.iter().position(|l| *l == example.label);
                (model.features(&example.text), label.expect("labels are those of the examples"))
            })
            .collect();
        for epoch in 0..training.epochs {
            rng.shuffle(&mut samples);
            let rate = LEARNING_RATE / (1.0 + epoch as f32 / 10.0);
            for (features, label) in &samples {
                model.step(features, *label, rate);
            }
        }
        model
    }

    /// One step down the gradient of the cross entropy.
    fn step(&mut self, features: &[usize], label: usize, rate: f32) {
        let mut error = softmax(&self.logits(features));
        error[label] -= 1.0;
        for (row, error) in error.into_iter().enumerate() {
            self.bias[row] -= rate * error;
            for feature in features {
                let weight = &mut self.weights[row * self.words.len() + feature];
                *weight -= rate * (error + L2 * *weight);
            }
        }
    }

    /// The most likely label of `text` and its probability.
    pub(crate) fn classify(&self, text: &str) -> Result<(&str, f32), NotFinite> {
        let logits = self.logits(&self.features(text));
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(NotFinite);
        }
        let probabilities = softmax(&logits);
        let best = (0..self.labels.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let best = best.expect("a classifier has at least one label");
        Ok((&self.labels[best], probabilities[best]))
    }

    /// The share of `examples` that is labelled rightly, 0.0 to 1.0.
    pub(crate) fn accuracy(&self, examples: &[Message]) -> f64 {
        let right =
            examples.iter().filter(|e| self.classify(&e.text).is_ok_and(|(label, _)| label == e.label));
        right.count() as f64 / examples.len() as f64
    }

    /// Writes `model.safetensors`, `vocabulary.txt` and `config.json` into `directory`, creating it.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let write = |name: &str, bytes: &[u8]| {
            fs::write(directory.join(name), bytes)
                .with_context(|| format!("cannot write {name} in {}", directory.display()))
        };
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (weights, bias) = (bytes(&self.weights), bytes(&self.bias));
        let tensors = [
            ("bias", TensorView::new(Dtype::F32, vec![self.labels.len()], &bias)?),
            ("weight", TensorView::new(Dtype::F32, vec![self.labels.len(), self.words.len()], &weights)?),
        ];
        let config = Config { architecture: ARCHITECTURE.to_owned(), labels: self.labels.clone() };
        write("model.safetensors", &safetensors::serialize(tensors, None)?)?;
        write(
            "vocabulary.txt",
            self.words.keys().flat_map(|word| [word, "\n"]).collect::<String>().as_bytes(),
        )?;
        write("config.json", &serde_json::to_vec_pretty(&config)?)
    }

    /// Reads what [`save`](Self::save) wrote. Sizes and shapes are checked, values are not: like most
    /// servers, this one learns of a damaged weight when a request meets it.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let config: Config =
            serde_json::from_slice(&read(directory, "config.json")?).context("config.json is malformed")?;
        ensure!(
            config.architecture == ARCHITECTURE,
            "config.json names another architecture: {}",
            config.architecture
        );
        let labels = config.labels;
        ensure!(
            !labels.is_empty() && labels.is_sorted_by(|a, b| a < b),
            "config.json needs distinct labels in ascending order"
        );

        let vocabulary =
            String::from_utf8(read(directory, "vocabulary.txt")?).context("vocabulary.txt is not UTF-8")?;
        let vocabulary: Vec<String> = vocabulary.lines().map(str::to_owned).collect();
        ensure!(
            vocabulary.is_sorted_by(|a, b| a < b),
            "vocabulary.txt needs distinct words in ascending order"
        );
        let words: BTreeMap<String, usize> =
            vocabulary.into_iter().enumerate().map(|(i, w)| (w, i)).collect();

        let bytes = read(directory, "model.safetensors")?;
        let tensors = SafeTensors::deserialize(&bytes).context("model.safetensors is malformed")?;
        let weights = floats(&tensors, "weight", &[labels.len(), words.len()])?;
        let bias = floats(&tensors, "bias", &[labels.len()])?;
        Ok(Self { labels, words, weights, bias })
    }

    fn features(&self, text: &str) -> Vec<usize> {
        let features: BTreeSet<usize> =
            tokens(text).filter_map(|word| self.words.get(&word).copied()).collect();
        features.into_iter().collect()
    }

    fn logits(&self, features: &[usize]) -> Vec<f32> {
        let row = |row: usize| {
            features.iter().map(|feature| self.weights[row * self.words.len() + feature]).sum::<f32>()
        };
        (0..self.labels.len()).map(|label| self.bias[label] + row(label)).collect()
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn read(directory: &Path, name: &str) -> Result<Vec<u8>> {
    let path = directory.join(name);
    let mut bytes = Vec::new();
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= MOST_BYTES, "{} is larger than {MOST_BYTES} bytes", path.display());
    Ok(bytes)
}

fn floats(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let tensor = tensors.tensor(name).with_context(|| format!("model.safetensors has no tensor `{name}`"))?;
    ensure!(
        tensor.dtype() == Dtype::F32 && tensor.shape() == shape,
        "tensor `{name}` is {:?} {:?}, F32 {shape:?} is needed",
        tensor.dtype(),
        tensor.shape()
    );
    let (values, _) = tensor.data().as_chunks();
    Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
