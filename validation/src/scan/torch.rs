//! What PyTorch puts into a zip
//! (<https://github.com/pytorch/pytorch/blob/main/caffe2/serialize/inline_container.h>).

use super::{
    Rule,
    section::Section,
    walk::{Stop, Walk},
};

/// Longest code of a module that is read.
const LONGEST: u64 = 16 << 20;
/// Operators of TorchScript that reach files or run something else
/// (<https://github.com/pytorch/pytorch/blob/main/SECURITY.md>, "Untrusted models").
const OPERATORS: [&[u8]; 6] =
    [b"aten.from_file", b"aten::from_file", b"aten.save", b"torch.save(", b"torch.from_file(", b"profiler."];

/// The directory of an archive in which tensors lie, `archive/`, if it is one of PyTorch's.
pub(super) fn storages<'n>(names: impl Iterator<Item = &'n [u8]>) -> Option<String> {
    let mut names = names.filter_map(|name| str::from_utf8(name).ok());
    names.find_map(|name| {
        name.strip_suffix("data.pkl").filter(|dir| dir.ends_with('/')).map(ToOwned::to_owned)
    })
}

/// Whether a member is the raw bytes of a tensor: PyTorch reads it as nothing else.
pub(super) fn is_storage(name: &str, archive: Option<&str>) -> bool {
    let inner = archive.and_then(|archive| name.strip_prefix(archive));
    let number =
        inner.and_then(|name| name.strip_prefix("data/").or_else(|| name.strip_prefix("constants/")));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a member is the source of a TorchScript module.
pub(super) fn is_code(name: &str, archive: Option<&str>) -> bool {
    let inner = archive.and_then(|archive| name.strip_prefix(archive));
    inner.is_some_and(|name| name.starts_with("code/") && name.ends_with(".py"))
}

/// Reads the source of a TorchScript module.
pub(super) fn code(section: &mut Section<'_>, walk: &mut Walk<'_>) -> Result<(), Stop> {
    let len = section.len().min(LONGEST);
    walk.budget.work(len / 64)?;
    let mut text = vec![0; len as usize];
    let read = section.read_at(0, &mut text)?;
    text.truncate(read);
    if section.len() > LONGEST {
        walk.report(Rule::Malformed, Some(LONGEST), "the source of a module is longer than any");
    }
    for operator in OPERATORS {
        if let Some(at) = memchr::memmem::find(&text, operator) {
            let detail = String::from_utf8_lossy(operator);
            walk.report(Rule::TorchScriptOperator, Some(at as u64), &detail);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_known_by_their_place_beside_the_pickle() {
        let names: [&[u8]; 3] = [b"m/version", b"m/data.pkl", b"m/data/0"];
        let archive = storages(names.into_iter());
        assert_eq!(archive.as_deref(), Some("m/"));
        assert!(is_storage("m/data/0", archive.as_deref()));
        assert!(!is_storage("m/data/x.pkl", archive.as_deref()));
        assert!(!is_storage("n/data/0", archive.as_deref()));
        assert!(!is_storage("m/data/0", None));
        assert!(is_code("m/code/__torch__.py", archive.as_deref()));
    }
}
