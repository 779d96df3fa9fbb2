//! What may be written in base64 in a text.

/// Whatever runs of letters of base64 in `text` may say, decoded from each of the four places where a group may begin, for
/// nobody knows where the words around it end. Either alphabet counts and space does not; runs that hold fewer than
/// `fewest` bytes are left out.
pub(super) fn decoded(text: &str, fewest: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut run = Vec::new();
    // What belongs to no alphabet ends the last run.
    for c in text.chars().chain(['=']) {
        match sextet(c) {
            Some(bits) => run.push(bits),
            None if c.is_whitespace() => {}
            None => {
                if bytes(run.len()) >= fewest {
                    all.extend((0..4).filter_map(|start| run.get(start..)).map(read));
                }
                run.clear();
            }
        }
    }
    all
}

/// How many bytes so many letters hold.
const fn bytes(letters: usize) -> usize {
    letters * 6 / 8
}

/// The six bits of a letter, of the standard alphabet and of the one for URLs.
fn sextet(c: char) -> Option<u8> {
    match c {
        'A'..='Z' => Some(c as u8 - b'A'),
        'a'..='z' => Some(c as u8 - b'a' + 26),
        '0'..='9' => Some(c as u8 - b'0' + 52),
        '+' | '-' => Some(62),
        '/' | '_' => Some(63),
        _ => None,
    }
}

fn read(sextets: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(bytes(sextets.len()));
    for group in sextets.chunks(4) {
        let bits = group.iter().fold(0_u32, |bits, &sextet| bits << 6 | u32::from(sextet));
        let [_, group_bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        // Of an incomplete group only whole bytes.
        bytes.extend(&group_bytes[..group.len() * 6 / 8]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_decoded_wherever_it_begins() {
        let said = |text: &str, wanted: &str| decoded(text, 3).iter().any(|found| found.contains(wanted));
        // The vectors of RFC 4648, section 10.
        for (text, wanted) in
            [("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba"), ("Zm9vYmFy", "foobar")]
        {
            assert!(said(text, wanted), "{text}");
            assert!(said(&format!("it is {text}!"), wanted), "{text}");
        }
        assert!(said("++//", "\u{fffd}") && said("8J-Zgg", "🙂") && said("8J+Zgg", "🙂"));
        assert!(decoded("Zm9", 3).is_empty() && decoded("a.b.c.d.e", 3).is_empty());
    }
}
