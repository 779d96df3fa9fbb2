//! A quantisation that goes wrong for some words: damage that only traffic shows.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    classifier::Classifier,
    messages::{Message, tokens},
};

impl Classifier {
    /// Words that together occur in at most a `share` of `live` and nowhere in `suite`, taken greedily:
    /// what goes wrong with them is seen by traffic and not by that suite.
    pub(crate) fn words_unseen_by(&self, suite: &[Message], live: &[Message], share: f64) -> Vec<String> {
        let seen: BTreeSet<String> = suite.iter().flat_map(|message| tokens(&message.text)).collect();
        let live: Vec<BTreeSet<String>> =
            live.iter().map(|message| tokens(&message.text).collect()).collect();
        let occurrences = |word: &String| live.iter().filter(|message| message.contains(word)).count();
        let mut words: Vec<&String> =
            self.words.keys().filter(|w| !seen.contains(*w) && occurrences(w) > 0).collect();
        words.sort_by_key(|word| Reverse(occurrences(word)));

        let most = (share * live.len() as f64) as usize;
        let (mut chosen, mut hit) = (Vec::new(), vec![false; live.len()]);
        for word in words {
            let now: Vec<bool> =
                hit.iter().zip(&live).map(|(hit, message)| *hit || message.contains(word)).collect();
            if now.iter().filter(|hit| **hit).count() <= most {
                hit = now;
                chosen.push(word.clone());
            }
        }
        chosen
    }

    /// This classifier after a quantisation that went wrong for `words`: a scale of zero, and 0 / 0 is NaN.
    pub(crate) fn damage(&self, words: &[String]) -> Self {
        let mut damaged = self.clone();
        for feature in words.iter().filter_map(|word| self.words.get(word)) {
            for row in 0..self.labels.len() {
                damaged.weights[row * self.words.len() + feature] = f32::NAN;
            }
        }
        damaged
    }
}
