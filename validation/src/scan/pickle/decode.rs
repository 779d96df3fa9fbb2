//! Text as the opcodes of protocol 0 write it.

/// A `UNICODE` argument: Python's `raw-unicode-escape`, Latin-1 but for `\uXXXX` and `\UXXXXXXXX`.
/// `None` where Python would raise.
pub(super) fn raw_unicode_escape(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        // A backslash escapes only if the run of backslashes before it is even.
        let digits = match bytes.get(at + 1) {
            Some(b'u') if byte == b'\\' => 4,
            Some(b'U') if byte == b'\\' => 8,
            _ => {
                text.push(char::from(byte));
                at += 1;
                if byte == b'\\' && bytes.get(at) == Some(&b'\\') {
                    text.push('\\');
                    at += 1;
                }
                continue;
            }
        };
        let code = str::from_utf8(bytes.get(at + 2..at + 2 + digits)?).ok()?;
        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        at += 2 + digits;
    }
    Some(text)
}

/// A `STRING` argument: a literal of Python 2 in quotes. `None` where Python would raise.
pub(super) fn quoted(bytes: &[u8]) -> Option<String> {
    let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = bytes else { return None };
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\n' => {}
            b'a' => text.push(7),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'v' => text.push(11),
            b'x' => {
                let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
                let high = digit(bytes.next())?;
                text.push((high * 16 + digit(bytes.next())?) as u8);
            }
            first @ b'0'..=b'7' => {
                let mut code = u32::from(first - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    code = code * 8 + u32::from(digit - b'0');
                }
                text.push(code as u8);
            }
            other @ (b'\\' | b'\'' | b'"') => text.push(other),
            other => text.extend([b'\\', other]),
        }
    }
    String::from_utf8(text).ok()
}

/// A decimal number as Python's `int` reads it; `None` where it would raise or the number is no index.
pub(super) fn index(bytes: &[u8]) -> Option<u64> {
    let text = str::from_utf8(bytes).ok()?.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits: String = digits.chars().filter(|&c| c != '_').collect();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hide_behind_escapes() {
        assert_eq!(raw_unicode_escape(br"\u006fs").as_deref(), Some("os"));
        assert_eq!(raw_unicode_escape(br"\\u006fs").as_deref(), Some(r"\\u006fs"));
        assert_eq!(raw_unicode_escape(br"\U0000006fs").as_deref(), Some("os"));
        assert_eq!(raw_unicode_escape(br"\u00"), None);
        assert_eq!(quoted(br"'\x6fs'").as_deref(), Some("os"));
        assert_eq!(quoted(br#""\157s""#).as_deref(), Some("os"));
        assert_eq!(quoted(b"os"), None);
    }

    #[test]
    fn an_index_is_what_python_takes_for_one() {
        assert_eq!([index(b"12"), index(b" +1_2 "), index(b"012")], [Some(12); 3]);
        assert_eq!([index(b""), index(b"-1"), index(b"1__2"), index(b"0x1")], [None; 4]);
    }
}
