//! Names of members, as those see them who unpack.

/// Whether a name leads out of the directory that it is unpacked into, on any system.
pub(super) fn escapes(name: &str) -> bool {
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    drive || name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_go_down_and_nowhere_else() {
        let out = ["../x", "a/../../x", "/etc/passwd", "\\x", "C:\\x", "c:x", "a\\..\\x"];
        assert!(out.into_iter().all(escapes));
        let within = ["a", "a/b", "a..b", "..a/b", "archive/data/0", "./x"];
        assert!(!within.into_iter().any(escapes));
    }
}
