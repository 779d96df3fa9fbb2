//! What kind of file a layer is.
//!
//! <https://github.com/modelpack/model-spec/blob/main/docs/annotations.md>

use crate::FilePath;

pub(super) const CODE: &str = "application/vnd.cncf.model.code.v1.raw";
pub(super) const CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
pub(super) const DATASET: &str = "application/vnd.cncf.model.dataset.v1.raw";
pub(super) const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
pub(super) const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";

/// Whether a layer of this type is a file as it is, and not an archive.
pub(super) fn is_raw(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.cncf.model.") && media_type.ends_with(".raw")
}

/// The media type of a file, guessed from its name as ModelPack's own tool does; what says nothing is
/// weights.
pub(super) fn of(path: &FilePath) -> &'static str {
    let name = path.as_str().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if ["license", "notice", "readme"].iter().any(|doc| name.starts_with(doc)) {
        return DOC;
    }
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "md" | "pdf" | "rst" => DOC,
        "ini" | "jinja" | "json" | "model" | "tiktoken" | "toml" | "txt" | "xml" | "yaml" | "yml" => CONFIG,
        "c" | "cpp" | "cu" | "h" | "ipynb" | "js" | "py" | "rs" | "sh" => CODE,
        "arrow" | "csv" | "jsonl" | "parquet" | "tsv" => DATASET,
        _ => WEIGHT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_name() {
        for (path, kind) in [
            ("model.safetensors", WEIGHT),
            ("a/b/config.json", CONFIG),
            ("tokenizer.model", CONFIG),
            ("README", DOC),
            ("LICENSE.txt", DOC),
            ("docs/use.md", DOC),
            ("run.py", CODE),
            ("test.parquet", DATASET),
            ("weights", WEIGHT),
        ] {
            assert_eq!(of(&path.parse().unwrap()), kind, "{path}");
            assert!(is_raw(kind));
        }
    }
}
