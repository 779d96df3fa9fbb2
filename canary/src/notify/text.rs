//! Text from a journal, on its way into somebody else's markup.

/// The first `most` characters of a text, each as `escape` writes it: the result has at most `most` characters. What
/// makes other text look like what it is not is replaced: controls, and overrides of the writing direction (Unicode
/// Technical Report 36, §2.5).
pub(super) fn escaped(text: &str, most: usize, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let (mut escaped, mut length) = (String::new(), 0);
    let rest = text.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c });
    // The place of the mark that says that something is left out.
    let mut cut = 0;
    for c in rest {
        let mut buffer = [0; 4];
        let piece = escape(c).unwrap_or_else(|| c.encode_utf8(&mut buffer));
        length += piece.chars().count();
        if length > most {
            escaped.truncate(cut);
            escaped.push('…');
            break;
        }
        escaped.push_str(piece);
        if length < most {
            cut = escaped.len();
        }
    }
    escaped
}

/// The first `most` characters of a text, as it is but for what is deceptive.
pub(super) fn clipped(text: &str, most: usize) -> String {
    escaped(text, most, |_| None)
}

/// The first `most` characters of a text, unchanged, for machines.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.pop();
        short.push('…');
    }
    short
}

fn is_deceptive(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_never_cut_in_two() {
        let amp = |c| (c == '&').then_some("&amp;");
        assert_eq!(escaped("a&b", 7, amp), "a&amp;b");
        assert_eq!(escaped("a&bc", 7, amp), "a&amp;…");
        assert_eq!(escaped("a&b", 6, amp), "a…");
        assert_eq!(escaped("&&", 6, amp), "&amp;…");
        assert_eq!(escaped("&", 4, amp), "…");
        assert_eq!(escaped("", 0, amp), "");
        assert_eq!(clipped("añb\u{202e}c\u{7}", 9), "añb\u{fffd}c\u{fffd}");
        assert_eq!([cut("añb", 3), cut("añbc", 3)], ["añb", "añ…"]);
    }
}
