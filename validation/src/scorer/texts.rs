//! One text or several, any of which will do.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

use super::ScoreError;
use crate::dataset::Question;

/// One text or several; written as one or as a list, with numbers as they are. Without any, the targets
/// of the question take their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Texts(pub Vec<String>);

impl Texts {
    /// These texts or, without any, the targets of `question`; unscorable without those as well.
    pub(super) fn or_targets<'a>(&'a self, question: &'a Question) -> Result<&'a [String], ScoreError> {
        match (self.0.as_slice(), question.targets.as_slice()) {
            ([], []) => Err(ScoreError::unscorable(format!(
                "question `{}` has no target to compare with",
                question.id
            ))),
            ([], targets) => Ok(targets),
            (own, _) => Ok(own),
        }
    }

    /// What is wrong with these texts, if anything.
    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        let empty = self.0.iter().any(|text| text.trim().is_empty());
        empty.then(|| ("value", "must not be empty; leave it out to compare with the targets".to_owned()))
    }
}

impl<T: Into<String>> From<T> for Texts {
    fn from(text: T) -> Self {
        Self(vec![text.into()])
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts::from(text))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Texts, E> {
                Ok(Texts::from(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Texts, E> {
                Ok(Texts::from(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Texts, E> {
                Ok(Texts::from(number.to_string()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(Texts(text)) = list.next_element()? {
                    texts.extend(text);
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}
