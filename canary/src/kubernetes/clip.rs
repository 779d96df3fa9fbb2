//! Texts from outside, as people are shown them.

/// At most `longest` characters of `text`, none of them a control character.
pub(super) fn clip(text: &str, longest: usize) -> String {
    let mut shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut clipped: String = shown.by_ref().take(longest).collect();
    if shown.next().is_some() {
        clipped.push('…');
    }
    clipped
}
