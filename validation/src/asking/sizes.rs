//! How large answers are, to tell an ordinary one from a huge one.

use crate::{Reply, Run};

/// How large an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Tokens of its text, as the budget counts them in a question about it.
    tokens: u64,
    /// Whether it is longer than its request allows.
    beyond: bool,
}

/// The sizes of answers, counted in classes of which each is twice the one before.
#[derive(Debug)]
pub(crate) struct Sizes([u64; CLASSES]);

/// One for nothing, and one for each bit of a number.
const CLASSES: usize = 65;
/// So many other answers tell what an ordinary one is.
const ENOUGH: u64 = 4;

impl Size {
    /// That of an answer to a request of at most `max_tokens`.
    pub(crate) fn of(reply: &Reply, max_tokens: u32, run: &Run) -> Self {
        let tokens = reply.said().map_or(0, |said| run.weigh(&said));
        let beyond = reply.usage.is_some_and(|usage| usage.answered() > u64::from(max_tokens));
        Self { tokens, beyond }
    }

    /// That of a question about both answers.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(other.tokens), beyond: self.beyond || other.beyond }
    }

    const fn class(self) -> usize {
        (u64::BITS - self.tokens.leading_zeros()) as usize
    }
}

impl Sizes {
    pub(super) const fn push(&mut self, size: Size) {
        self.0[size.class()] += 1;
    }

    /// Whether at least half of the others are as large as this one, which was counted, and it is no larger than it
    /// may be. Not known of the first few.
    pub(super) fn is_ordinary(&self, size: Size) -> bool {
        let others = self.0.iter().sum::<u64>().saturating_sub(1);
        let as_large = self.0[size.class()..].iter().sum::<u64>().saturating_sub(1);
        !size.beyond && others >= ENOUGH && as_large >= others.div_ceil(2)
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self([0; CLASSES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(tokens: u64) -> Size {
        Size { tokens, beyond: false }
    }

    #[test]
    fn a_huge_answer_is_told_from_an_ordinary_one() {
        let mut sizes = Sizes::default();
        let mut counted = |tokens| {
            sizes.push(size(tokens));
            sizes.is_ordinary(size(tokens))
        };
        // What comes first may be anything.
        assert!(!counted(9_000) && !counted(30) && !counted(33) && !counted(40));
        assert!(counted(35) && counted(50) && !counted(9_000) && counted(0) && !counted(u64::MAX));
        assert!(!sizes.is_ordinary(Size { beyond: true, ..size(35) }));
    }
}
