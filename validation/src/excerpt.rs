//! Text from outside, fit for a line of a report.

/// The first `longest` characters of `text` with control characters made visible: answers come from
/// outside and end up in terminals.
pub(crate) fn excerpt(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for c in text.trim().chars().take(longest) {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            // Marks and overrides of the direction reorder what a person reads (CVE-2021-42574), and these breaks are
            // lines to some readers.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(c.escape_unicode());
            }
            // No character, and nothing that XML could hold.
            '\u{fffe}' | '\u{ffff}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    if text.trim().chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_moves_no_cursor() {
        assert_eq!(excerpt("a\u{1b}[2Jb\n\u{202e}c", 99), "a\\u{1b}[2Jb \\u{202e}c");
        assert_eq!(excerpt("ééé", 2), "éé…");
        assert_eq!(excerpt("a\u{200f}b\u{2028}\u{ffff}", 9), "a\\u{200f}b\\u{2028}\\u{ffff}");
    }
}
