//! One line of a journal, and how it is read: in one pass, since a long journal is nothing but lines.

use std::{fmt, marker::PhantomData, time::SystemTime};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
    forward_to_deserialize_any,
};

use super::Record;

/// One line of a journal: of a route's, unless another kind of record is named, which has to be an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Entry<R = Record> {
    /// When, by the clock of whoever wrote it.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
    /// What.
    #[serde(flatten)]
    pub record: R,
}

/// As a derived one would do it, which would first copy the record into a tree of values.
impl<'de, R: Deserialize<'de>> Deserialize<'de> for Entry<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Line(PhantomData))
    }
}

struct Line<R>(PhantomData<R>);

impl<'de, R: Deserialize<'de>> Visitor<'de> for Line<R> {
    type Value = Entry<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry with its time")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry<R>, A::Error> {
        let mut fields = Fields { map, at: None, variants: &[] };
        let record = R::deserialize(&mut fields)?;
        fields.variants = &[];
        while fields.next_key::<IgnoredAny>()?.is_some() {}
        let at = fields.at.ok_or_else(|| A::Error::missing_field("at"))?;
        Ok(Entry { at, record })
    }
}

/// The fields of an entry but for its time, which is taken out as it comes by.
struct Fields<A> {
    map: A,
    at: Option<SystemTime>,
    /// What a record can be called; other fields are of no concern.
    variants: &'static [&'static str],
}

enum Field {
    At,
    Other,
    Record(&'static str),
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for &mut Fields<A> {
    type Error = A::Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.variants = variants;
        visitor.visit_enum(MapAccessDeserializer::new(self))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("the record of an entry is not an enum"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(field) = self.map.next_key_seed(Naming(self.variants))? {
            match field {
                Field::At if self.at.is_some() => return Err(A::Error::duplicate_field("at")),
                Field::At => {
                    self.at = Some(self.map.next_value::<humantime_serde::Serde<SystemTime>>()?.into_inner())
                }
                Field::Other => drop(self.map.next_value::<IgnoredAny>()?),
                Field::Record(name) => {
                    return seed.deserialize(de::value::StrDeserializer::new(name)).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

struct Naming(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Naming {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Naming {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Field, E> {
        if name == "at" {
            return Ok(Field::At);
        }
        let known = self.0.iter().find(|known| **known == name);
        Ok(known.map_or(Field::Other, |known| Field::Record(known)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> Result<Entry, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_come_in_any_order_and_with_others() {
        let seize = Record::Seize { by: "ada".to_owned() };
        let entry = Entry { at: SystemTime::UNIX_EPOCH + Duration::from_secs(1), record: seize };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(text, r#"{"at":"1970-01-01T00:00:01Z","seize":{"by":"ada"}}"#);
        for text in [
            &*text,
            r#"{"seize":{"by":"ada"},"at":"1970-01-01T00:00:01Z"}"#,
            r#"{"why":{"at":0},"seize":{"by":"ada"},"who":[],"at":"1970-01-01T00:00:01Z"}"#,
        ] {
            assert_eq!(read(text), Ok(entry.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in [
            "[]",
            "{}",
            r#"{"at":"1970-01-01T00:00:01Z"}"#,
            r#"{"at":"1970-01-01T00:00:01Z","chequed":{}}"#,
            r#"{"at":"yesterday","seize":{"by":"ada"}}"#,
            r#"{"seize":{"by":"ada"}}"#,
            r#"{"at":"1970-01-01T00:00:01Z","at":"1970-01-01T00:00:01Z","seize":{"by":"ada"}}"#,
        ] {
            read(text).unwrap_err();
        }
    }
}
