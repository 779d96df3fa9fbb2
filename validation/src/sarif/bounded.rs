//! What is read of untrusted JSON: lists of a limited length, and words.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A list of at most `MOST` entries; a longer one is an error.
#[derive(Debug)]
pub(super) struct Bounded<T, const MOST: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
            type Value = Bounded<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut taken = Vec::new();
                while let Some(entry) = list.next_element()? {
                    if taken.len() == MOST {
                        return Err(A::Error::custom(format!("a list is longer than {MOST}")));
                    }
                    taken.push(entry);
                }
                Ok(Bounded(taken))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// A text or a number as text; whatever else there is, is passed over. Property bags hold what their writers please.
#[derive(Debug, Default)]
pub(super) struct Word(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
                Ok(Word(Some(text.to_owned())))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Word, E> {
                Ok(Word(Some(number.to_string())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Word, E> {
                Ok(Word(Some(number.to_string())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Word, E> {
                Ok(Word(Some(number.to_string())))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Word, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
