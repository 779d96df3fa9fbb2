//! Texts as vectors, near each other where they speak of the same.

#[cfg(feature = "embeddings")]
mod minilm;
#[cfg(feature = "openai")]
mod openai;

use std::fmt;

use async_trait::async_trait;
use tidegate_registry::Invalid;

#[cfg(feature = "embeddings")]
pub use self::minilm::{MiniLm, OpenModelError};
#[cfg(feature = "openai")]
pub use self::openai::OpenAiEmbeddings;
use crate::{AgentError, AgentId, Call};

/// A model that turns texts into vectors.
///
/// # Contract
///
/// * **A vector for each text, in order.** All of them have the same number of dimensions, whenever they are
///   asked for. What a text becomes does not depend on the texts beside it, but for rounding.
/// * **In time.** `embed` returns within [`Call::timeout`], retries and all batches included.
/// * **A stable name.** `fingerprint` says what made the vectors: a threshold for one model means
///   nothing for another.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Embedder: fmt::Debug + Send + Sync + 'static {
    /// What makes the vectors: printed in errors and kept in reports.
    fn fingerprint(&self) -> AgentId;

    /// The vectors of `texts`.
    async fn embed(&self, texts: &[String], call: &Call) -> Result<Vec<Embedding>, AgentError>;
}

/// The direction of a text: a vector of length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Most dimensions of a vector.
    pub const MOST_DIMENSIONS: usize = 1 << 16;

    /// The direction of `vector`, whatever its length.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for a vector without a direction: one of no dimensions, of more than
    /// [`MOST_DIMENSIONS`](Self::MOST_DIMENSIONS), of zeros, or with a number that is infinite or none.
    pub fn new(mut vector: Vec<f32>) -> Result<Self, Invalid> {
        let invalid = |why| Invalid::new("embedding", format!("of {} dimensions", vector.len()), why);
        if vector.is_empty() || vector.len() > Self::MOST_DIMENSIONS {
            return Err(invalid("it must have from 1 to 65536 dimensions"));
        }
        if vector.iter().any(|number| !number.is_finite()) {
            return Err(invalid("it holds a number that is infinite or none"));
        }
        let length = vector.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt();
        if length == 0.0 {
            return Err(invalid("it is zero and points nowhere; is the text empty?"));
        }
        for number in &mut vector {
            *number = (f64::from(*number) / length) as f32;
        }
        Ok(Self(vector))
    }

    /// The vector.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The cosine of the angle to `other`, from -1 to 1; `None` if that is of another number of dimensions and
    /// so by another model.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> Option<f64> {
        let products = self.0.iter().zip(&other.0).map(|(a, b)| f64::from(*a) * f64::from(*b));
        (self.0.len() == other.0.len()).then(|| products.sum::<f64>().clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn embedding(vector: &[f32]) -> Embedding {
        Embedding::new(vector.to_vec()).unwrap()
    }

    #[test]
    fn cosines_are_those_of_the_angles() {
        let near = |a: &[f32], b: &[f32], cosine: f64| {
            assert!((embedding(a).cosine(&embedding(b)).unwrap() - cosine).abs() < 1e-6, "{a:?} {b:?}");
        };
        near(&[1.0, 0.0], &[0.0, 5.0], 0.0);
        near(&[1.0, 1.0], &[1.0, 0.0], 0.5_f64.sqrt());
        near(&[1.0, 2.0], &[-2.0, -4.0], -1.0);
        assert_eq!(embedding(&[1.0]).cosine(&embedding(&[1.0, 0.0])), None);
    }

    #[test]
    fn what_points_nowhere_is_refused() {
        for vector in
            [vec![], vec![0.0; 3], vec![1.0, f32::NAN], vec![f32::INFINITY], vec![1.0; (1 << 16) + 1]]
        {
            assert!(Embedding::new(vector).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_direction_has_length_one_and_is_near_itself(vector in vec(any::<f32>(), 1..50), scale in 0.001_f32..1000.0) {
            let Ok(direction) = Embedding::new(vector.clone()) else { return Ok(()) };
            prop_assert!((direction.cosine(&direction).unwrap() - 1.0).abs() < 1e-5);
            let scaled: Vec<_> = vector.iter().map(|number| number * scale).collect();
            if scaled.iter().all(|number| number.is_normal() || *number == 0.0) && vector.iter().all(|n| n.is_normal() || *n == 0.0) {
                prop_assert!((direction.cosine(&Embedding::new(scaled).unwrap()).unwrap() - 1.0).abs() < 1e-5);
            }
        }
    }
}
