//! The model: a weighted sum. Put yours in its place.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The file of a version that holds them.
pub(crate) const FILE: &str = "model.safetensors";
const TENSOR: &str = "coefficients";

/// One for each feature.
#[derive(Debug)]
pub(crate) struct Weights(Vec<f32>);

impl Weights {
    pub(crate) fn new(coefficients: Vec<f32>) -> Self {
        Self(coefficients)
    }

    /// Reads them from the files of a version, and refuses those that would answer nonsense.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let tensors = SafeTensors::deserialize(&bytes).with_context(|| format!("{FILE} is not whole"))?;
        let tensor = tensors.tensor(TENSOR).with_context(|| format!("{FILE} has no `{TENSOR}`"))?;
        ensure!(tensor.dtype() == Dtype::F32, "`{TENSOR}` is not of type F32");
        let values: Vec<f32> =
            tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        ensure!(!values.is_empty(), "`{TENSOR}` is empty");
        ensure!(values.iter().all(|value| value.is_finite()), "`{TENSOR}` has a value that is not finite");
        Ok(Self(values))
    }

    /// As they are published.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = TensorView::new(Dtype::F32, vec![self.0.len()], &bytes)?;
        Ok(safetensors::serialize([(TENSOR, tensor)], None)?)
    }

    /// The sum of the features, weighted.
    pub(crate) fn score(&self, features: &[f32]) -> Result<f32> {
        let wanted = self.0.len();
        ensure!(features.len() == wanted, "there are {} features; send {wanted}", features.len());
        Ok(self.0.iter().zip(features).map(|(weight, feature)| weight * feature).sum())
    }
}
