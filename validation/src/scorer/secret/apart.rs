//! Letters that stand in order, with other signs between them.

/// Most signs between two letters of a text that is spelt apart.
const APART: usize = 16;

/// The letters and digits of a text, and where in it each stands.
pub(super) struct Bare {
    pub(super) letters: String,
    /// For each byte of `letters` which character of the text it belongs to.
    at: Vec<usize>,
}

/// Letters and digits that are looked for.
pub(super) struct Sought {
    letters: String,
    /// For each byte of `letters` how many before and with it are the same as those at the beginning: what need not be
    /// compared again where the next one is another.
    again: Vec<usize>,
}

impl Bare {
    pub(super) fn of(folded: &str) -> Self {
        let (mut letters, mut at) = (String::new(), Vec::new());
        for (i, c) in folded.chars().enumerate().filter(|(_, c)| c.is_alphanumeric()) {
            letters.push(c);
            at.resize(letters.len(), i);
        }
        Self { letters, at }
    }

    /// Whether what is `sought` stands here in order, beginning and ending with a word, no letter too far from the next.
    pub(super) fn spells(&self, sought: &Sought) -> bool {
        self.spells_by(sought, |here, wanted| here == wanted)
    }

    /// The same, by a comparison of bytes that is made no more than twice as often as there are letters here: D. E. Knuth,
    /// J. H. Morris, V. R. Pratt, *Fast pattern matching in strings*, SIAM Journal on Computing 6(2), 1977.
    fn spells_by(&self, sought: &Sought, mut same: impl FnMut(u8, u8) -> bool) -> bool {
        let Self { letters, at } = self;
        let Sought { letters: wanted, again } = sought;
        let wanted = wanted.as_bytes();
        // Letters of one word stand side by side, as do bytes of one letter.
        let parted = |i: usize| i == 0 || i == at.len() || at[i] > at[i - 1] + 1;
        // How many of the wanted bytes end here, and since where no letter is too far from the next.
        let (mut found, mut near) = (0, 0);
        for (i, byte) in letters.bytes().enumerate() {
            if i > 0 && at[i] - at[i - 1] > APART + 1 {
                near = i;
            }
            loop {
                if wanted.get(found).is_some_and(|wanted| same(byte, *wanted)) {
                    found += 1;
                    break;
                }
                let Some(before) = found.checked_sub(1) else { break };
                found = again[before];
            }
            if found == wanted.len() && found > 0 {
                let (start, end) = (i + 1 - found, i + 1);
                if near <= start && parted(start) && parted(end) {
                    return true;
                }
            }
        }
        false
    }
}

impl Sought {
    pub(super) fn new(letters: String) -> Self {
        let bytes = letters.as_bytes();
        let mut again = vec![0; bytes.len()];
        let mut found = 0;
        for i in 1..bytes.len() {
            while found > 0 && bytes[i] != bytes[found] {
                found = again[found - 1];
            }
            found += usize::from(bytes[i] == bytes[found]);
            again[i] = found;
        }
        Self { letters, again }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Looked for at each place, one letter after the other.
    fn plainly(bare: &Bare, letters: &str) -> bool {
        let Bare { letters: all, at } = bare;
        let parted = |i: usize| i == 0 || i == at.len() || at[i] > at[i - 1] + 1;
        (0..at.len()).any(|start| {
            let end = start + letters.len();
            parted(start)
                && all.as_bytes()[start..].starts_with(letters.as_bytes())
                && parted(end)
                && at[start..end].windows(2).all(|pair| pair[1] - pair[0] <= APART + 1)
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_is_found_at_each_place(text in "([abé]|[ -]|-{15}|-{17}){0,60}", letters in "[abé]{1,6}") {
            let bare = Bare::of(&text);
            prop_assert_eq!(bare.spells(&Sought::new(letters.clone())), plainly(&bare, &letters), "{}", text);
        }
    }

    #[test]
    fn near_misses_are_not_compared_over_and_over() {
        let almost = "a".repeat(255) + "b";
        for (text, wanted) in [
            ("a ".repeat(50_000), almost.clone()),
            ("a".repeat(50_000), almost.clone()),
            (format!("{} ", "a ".repeat(255)).repeat(200), almost.clone()),
            (format!("{}c ", "a ".repeat(255)).repeat(200), almost),
            // All letters, and each time one of them too far away.
            (format!("{}{}", "a ".repeat(200), " ".repeat(2 * APART)).repeat(200), "a".repeat(256)),
            ("ab ab a ".repeat(10_000), "ab".repeat(100) + "c"),
        ] {
            let bare = Bare::of(&text);
            let mut compared = 0;
            let spelt = bare.spells_by(&Sought::new(wanted), |here, wanted| {
                compared += 1;
                here == wanted
            });
            assert!(!spelt && compared <= 2 * bare.letters.len(), "{compared}: {}", &text[..40]);
        }
    }
}
