//! What bytes are, by themselves and not by their name.

use std::{fmt, io};

use serde::Serialize;

use super::{compressed, config, gguf, jinja, keras, npy, safetensors, section::Section, tar};

/// What a file is, told from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Content {
    /// A file compressed by bzip2.
    Bzip2,
    /// Weights as llama.cpp reads them, often with a template.
    Gguf,
    /// A file compressed by gzip.
    Gzip,
    /// HDF5, as old models of Keras and weights of new ones are.
    Hdf5,
    /// A template of Jinja, as chat models have one.
    Jinja,
    /// A pickle compressed as joblib did before 0.10, and still loads it.
    JoblibZ,
    /// JSON, as configurations are.
    Json,
    /// A file compressed by lz4.
    Lz4,
    /// A file compressed by lzma, alone.
    Lzma,
    /// An array of NumPy.
    Npy,
    /// A model of ONNX.
    Onnx,
    /// None of the others: nothing that is known to run code when it is loaded.
    Other,
    /// A Python pickle, of any protocol.
    Pickle,
    /// Source of Python, or what it is compiled to.
    Python,
    /// Tensors of safetensors.
    Safetensors,
    /// A model of TensorFlow.
    SavedModel,
    /// A 7z archive.
    SevenZip,
    /// A tar archive.
    Tar,
    /// A file compressed by xz.
    Xz,
    /// A zip archive: PyTorch's, NumPy's `.npz`, Keras' and others.
    Zip,
    /// A stream compressed by zlib, as joblib writes it.
    Zlib,
    /// A file compressed by zstd.
    Zstd,
}

impl Content {
    /// Bytes from the beginning that tell what follows.
    const HEAD: usize = 512;

    /// What `section` holds, as its beginning tells.
    pub(crate) fn of(section: &mut Section<'_>) -> io::Result<Self> {
        let mut head = [0; Self::HEAD];
        let read = section.read_at(0, &mut head)?;
        let head = &head[..read];
        Ok(match head {
            [0x78, flags, ..] if is_zlib_header(*flags) && compressed::is_zlib(section) => Self::Zlib,
            _ => Self::from_head(head),
        })
    }

    /// Whether readers of zips, which look at the end first, may see another file than others do.
    pub(crate) const fn may_end_as_zip(self) -> bool {
        matches!(
            self,
            Self::Gguf
                | Self::Hdf5
                | Self::Jinja
                | Self::Json
                | Self::Onnx
                | Self::Other
                | Self::Python
                | Self::Safetensors
                | Self::SavedModel
        )
    }

    fn from_head(head: &[u8]) -> Self {
        match head {
            // A header of 1 152 bytes makes it begin like a pickle.
            head if safetensors::is_start(head) => Self::Safetensors,
            [0x80, 0..=5, ..] => Self::Pickle,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            head if compressed::is_joblib_z(head) => Self::JoblibZ,
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Self::SevenZip,
            head if head.starts_with(npy::MAGIC) => Self::Npy,
            head if is_lzma(head) => Self::Lzma,
            head if tar::is_header(head) => Self::Tar,
            head if head.starts_with(gguf::MAGIC) => Self::Gguf,
            head if head.starts_with(keras::MAGIC) => Self::Hdf5,
            head if config::is_start(head) => Self::Json,
            head if jinja::is_start(head) => Self::Jinja,
            _ => Self::Other,
        }
    }
}

/// Whether the second byte of a zlib stream fits the first, 0x78, without a dictionary.
fn is_zlib_header(flags: u8) -> bool {
    (0x7800 | u16::from(flags)) % 31 == 0 && flags & 0x20 == 0
}

/// Whether this is the header of an lzma file: usual properties, a dictionary size as encoders write it,
/// and a size that is unknown or below 256 GiB.
fn is_lzma(head: &[u8]) -> bool {
    let [0x5d, a, b, c, d, size @ ..] = head else { return false };
    let dictionary = u32::from_le_bytes([*a, *b, *c, *d]);
    let round = dictionary.is_power_of_two() || (dictionary / 3).is_power_of_two() && dictionary % 3 == 0;
    let Some(size) = size.first_chunk::<8>() else { return false };
    let known = u64::from_le_bytes(*size);
    round && dictionary >= 1 << 12 && (known == u64::MAX || known < 1 << 38)
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bzip2 => "bzip2",
            Self::Gguf => "gguf",
            Self::Gzip => "gzip",
            Self::Hdf5 => "hdf5",
            Self::Jinja => "jinja",
            Self::JoblibZ => "joblib-z",
            Self::Json => "json",
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
            Self::Npy => "npy",
            Self::Onnx => "onnx",
            Self::Other => "other",
            Self::Pickle => "pickle",
            Self::Python => "python",
            Self::Safetensors => "safetensors",
            Self::SavedModel => "saved-model",
            Self::SevenZip => "seven-zip",
            Self::Tar => "tar",
            Self::Xz => "xz",
            Self::Zip => "zip",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        })
    }
}
