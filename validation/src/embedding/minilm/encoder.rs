//! BERT's encoder: from tokens to one vector a text.
//!
//! J. Devlin et al., arXiv:1810.04805; A. Vaswani et al., *Attention is all you need*, arXiv:1706.03762.

use ndarray::{Array1, Array2, Axis, Slice, linalg::general_mat_mul};
use safetensors::{Dtype, SafeTensors};
use tidegate_registry::Digest;

use super::{OpenModelError, config::Config, files::Directory};

const NAME: &str = "model.safetensors";
const MOST_BYTES: u64 = 2 << 30;

/// The weights of an encoder.
#[derive(Debug)]
pub(super) struct Encoder {
    words: Array2<f32>,
    /// Those of a position and of a first sentence together: there is never a second one.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
}

#[derive(Debug)]
struct Layer {
    /// Query, key and value side by side, the query divided by the root of a head's width.
    attend: Linear,
    attended: Linear,
    attended_norm: Norm,
    widen: Linear,
    narrow: Linear,
    narrow_norm: Norm,
}

#[derive(Debug)]
struct Linear {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

#[derive(Debug)]
struct Norm {
    scale: Array1<f32>,
    shift: Array1<f32>,
    eps: f32,
}

impl Encoder {
    /// The weights of a model of these measures, and the digest of their file.
    pub(super) fn read(directory: &Directory, config: &Config) -> Result<(Self, Digest), OpenModelError> {
        let bytes = directory.bytes(NAME, MOST_BYTES)?;
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|error| directory.unusable(NAME, format!("it is no sound safetensors file: {error}")))?;
        let encoder = Weights { tensors, config }.encoder().map_err(|why| directory.unusable(NAME, why))?;
        Ok((encoder, Digest::of(&bytes)))
    }

    /// The vector of each text: the mean of those of its tokens. No text is empty, and no token unknown.
    pub(super) fn encode(&self, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let width = self.words.ncols();
        let mut x = Array2::zeros((texts.iter().map(Vec::len).sum(), width));
        let tokens = texts.iter().flat_map(|text| text.iter().enumerate());
        for (mut row, (position, &token)) in x.rows_mut().into_iter().zip(tokens) {
            row.assign(&self.words.row(token as usize));
            row += &self.positions.row(position);
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            layer.apply(&mut x, texts, self.heads);
        }
        let mut from = 0;
        let means = texts.iter().map(|text| {
            let own = x.slice_axis(Axis(0), Slice::from(from..from + text.len()));
            from += text.len();
            own.mean_axis(Axis(0)).map_or_else(Vec::new, |mean| mean.to_vec())
        });
        means.collect()
    }
}

impl Layer {
    /// Takes `x`, the tokens of `texts` one text after the other, through the layer.
    fn apply(&self, x: &mut Array2<f32>, texts: &[Vec<u32>], heads: usize) {
        let width = x.ncols();
        let attending = self.attend.apply(x);
        let mut mixed = Array2::zeros(x.raw_dim());
        let mut from = 0;
        for text in texts {
            let own = attending.slice_axis(Axis(0), Slice::from(from..from + text.len()));
            for head in 0..heads {
                let each = width / heads;
                let part = |which: usize| {
                    let start = which * width + head * each;
                    own.slice_axis(Axis(1), Slice::from(start..start + each))
                };
                let mut shares = part(0).dot(&part(1).t());
                softmax(&mut shares);
                let mut mixed = mixed.slice_axis_mut(Axis(0), Slice::from(from..from + text.len()));
                let mut mixed = mixed.slice_axis_mut(Axis(1), Slice::from(head * each..(head + 1) * each));
                general_mat_mul(1.0, &shares, &part(2), 0.0, &mut mixed);
            }
            from += text.len();
        }
        *x += &self.attended.apply(&mixed);
        self.attended_norm.apply(x);
        let mut wide = self.widen.apply(x);
        wide.mapv_inplace(gelu);
        *x += &self.narrow.apply(&wide);
        self.narrow_norm.apply(x);
    }
}

impl Linear {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut y = x.dot(&self.weight.t());
        y += &self.bias;
        y
    }
}

impl Norm {
    /// Gives every row the mean 0 and the variance 1, then scale and shift.
    ///
    /// J. L. Ba, J. R. Kiros, G. E. Hinton, *Layer normalization*, arXiv:1607.06450.
    fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            let n = row.len() as f32;
            let mean = row.sum() / n;
            let variance = row.iter().map(|number| (number - mean).powi(2)).sum::<f32>() / n;
            let by = 1.0 / (variance + self.eps).sqrt();
            for ((number, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
                *number = (*number - mean) * by * scale + shift;
            }
        }
    }
}

/// Makes shares of every row.
fn softmax(rows: &mut Array2<f32>) {
    for mut row in rows.rows_mut() {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.mapv_inplace(|number| (number - most).exp());
        let sum = row.sum();
        row.mapv_inplace(|number| number / sum);
    }
}

/// `x` times the chance that a normal number is below it.
///
/// D. Hendrycks, K. Gimpel, *Gaussian error linear units*, arXiv:1606.08415.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function as a quotient of polynomials, which a compiler can work on several numbers at once; within
/// 5·10⁻⁷.
///
/// The coefficients are those of XLA's `ErfImpl32` (Apache-2.0), <https://github.com/openxla/xla>.
fn erf(x: f32) -> f32 {
    const ALPHA: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BETA: [f32; 5] =
        [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let over = ALPHA.iter().fold(0.0, |sum, coefficient| sum * square + coefficient);
    let under = BETA.iter().fold(0.0, |sum, coefficient| sum * square + coefficient);
    x * over / under
}

/// Tensors of a file, of the shapes that the measures say.
struct Weights<'a> {
    tensors: SafeTensors<'a>,
    config: &'a Config,
}

impl Weights<'_> {
    fn encoder(&self) -> Result<Encoder, String> {
        let Config { hidden_size: width, .. } = *self.config;
        let of = |kind: &str, rows| self.matrix(&format!("embeddings.{kind}_embeddings.weight"), rows, width);
        let words = of("word", self.config.vocab_size)?;
        let mut positions = of("position", self.config.max_position_embeddings)?;
        positions += &of("token_type", self.config.type_vocab_size)?.row(0);
        let norm = self.norm("embeddings.LayerNorm")?;
        let layers = (0..self.config.num_hidden_layers).map(|i| self.layer(&format!("encoder.layer.{i}")));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Encoder { words, positions, norm, layers, heads: self.config.num_attention_heads })
    }

    fn layer(&self, at: &str) -> Result<Layer, String> {
        let Config { hidden_size: width, intermediate_size: wide, num_attention_heads: heads, .. } =
            *self.config;
        let of = |name: &str, rows, columns| self.linear(&format!("{at}.{name}"), rows, columns);
        let mut attend = Linear { weight: Array2::zeros((3 * width, width)), bias: Array1::zeros(3 * width) };
        for (i, name) in ["query", "key", "value"].into_iter().enumerate() {
            let part = of(&format!("attention.self.{name}"), width, width)?;
            let scale = if i == 0 { 1.0 / ((width / heads) as f32).sqrt() } else { 1.0 };
            let own = Slice::from(i * width..(i + 1) * width);
            attend.weight.slice_axis_mut(Axis(0), own).assign(&(part.weight * scale));
            attend.bias.slice_axis_mut(Axis(0), own).assign(&(part.bias * scale));
        }
        Ok(Layer {
            attend,
            attended: of("attention.output.dense", width, width)?,
            attended_norm: self.norm(&format!("{at}.attention.output.LayerNorm"))?,
            widen: of("intermediate.dense", wide, width)?,
            narrow: of("output.dense", width, wide)?,
            narrow_norm: self.norm(&format!("{at}.output.LayerNorm"))?,
        })
    }

    fn linear(&self, name: &str, rows: usize, columns: usize) -> Result<Linear, String> {
        let weight = self.matrix(&format!("{name}.weight"), rows, columns)?;
        Ok(Linear { weight, bias: self.vector(&format!("{name}.bias"), rows)? })
    }

    fn norm(&self, name: &str) -> Result<Norm, String> {
        let width = self.config.hidden_size;
        let scale = self.vector(&format!("{name}.weight"), width)?;
        let shift = self.vector(&format!("{name}.bias"), width)?;
        Ok(Norm { scale, shift, eps: self.config.layer_norm_eps })
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, String> {
        let numbers = self.numbers(name, &[rows, columns])?;
        Array2::from_shape_vec((rows, columns), numbers).map_err(|error| format!("tensor `{name}`: {error}"))
    }

    fn vector(&self, name: &str, len: usize) -> Result<Array1<f32>, String> {
        self.numbers(name, &[len]).map(Array1::from)
    }

    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let tensor = self.tensors.tensor(name).map_err(|_| format!("it has no tensor `{name}`"))?;
        if tensor.shape() != shape {
            return Err(format!(
                "tensor `{name}` is of the shape {:?}, and by config.json {shape:?}",
                tensor.shape()
            ));
        }
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("tensor `{name}` is of {:?}; save the model in float32", tensor.dtype()));
        }
        let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let numbers: Vec<_> = numbers.collect();
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(numbers),
            false => Err(format!("tensor `{name}` holds a number that is infinite or none")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_statrs() {
        for i in -6000..=6000 {
            let x = i as f32 / 1000.0;
            let exact = statrs::function::erf::erf(f64::from(x));
            assert!((f64::from(erf(x)) - exact).abs() < 5e-7, "{x}");
        }
    }
}
