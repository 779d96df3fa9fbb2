//! What Prometheus answers: <https://prometheus.io/docs/prometheus/latest/querying/api/>.
//!
//! It is read without a tree in between: an answer of 10 MB is half a million samples. What is not written as
//! [`canonical`] expects is read here.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    canonical,
    series::{Labels, Native, NativeBucket, Sample, Series},
};
use crate::http::excerpt;

/// Why an answer is none. What the server says of itself is in the text.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("it answered in part: {0}")]
    Partial(String),
    #[error("it answered {kind}: {message}")]
    Refused { kind: String, message: String },
    #[error("it answered a {0}, not a matrix; a template is a series selector, without functions")]
    NotSeries(String),
    #[error("it answered something that is no result of a query: {0}")]
    NotJson(String),
}

/// The series in the body of an answer to a range-vector query.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Series>, NoAnswer> {
    match canonical::matrix(body) {
        Some((series, rest)) => read(rest.as_bytes()).map(|_none| series),
        None => read(body),
    }
}

fn read(body: &[u8]) -> Result<Vec<Series>, NoAnswer> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    let of = |text: Option<Text<'_>>| excerpt(text.as_ref().map_or("nothing", |text| &text.0));
    if !answer.infos.first.is_empty() {
        tracing::debug!(infos = %answer.infos, "prometheus remarked");
    }
    match (&*answer.status.0, answer.data) {
        ("success", _) if !answer.warnings.first.is_empty() => {
            Err(NoAnswer::Partial(answer.warnings.to_string()))
        }
        ("success", Some(data)) if data.result_type.0 == "matrix" => match data.result {
            Elements::Series(series) => Ok(series),
            Elements::Other => Err(NoAnswer::NotJson("the result is no list of series".to_owned())),
        },
        ("success", Some(data)) => Err(NoAnswer::NotSeries(excerpt(&data.result_type.0))),
        ("success", None) => Err(NoAnswer::NotJson("it holds no data".to_owned())),
        ("error", _) => Err(NoAnswer::Refused { kind: of(answer.error_type), message: of(answer.error) }),
        (other, _) => Err(NoAnswer::NotJson(format!("its status is `{}`", excerpt(other)))),
    }
}

/// serde_json repeats what it did not expect, however long it is.
impl From<serde_json::Error> for NoAnswer {
    fn from(error: serde_json::Error) -> Self {
        Self::NotJson(excerpt(&error.to_string()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(borrow)]
    error_type: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(default)]
    warnings: Remarks,
    #[serde(default)]
    infos: Remarks,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    result_type: Text<'a>,
    result: Elements,
}

/// A text, borrowed from the body wherever it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The first few of what may be many.
#[derive(Default)]
struct Remarks {
    first: Vec<String>,
    more: usize,
}

impl fmt::Display for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join("; "))?;
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

/// A result. Only that of type `matrix` has samples over time, and the type may come after it.
enum Elements {
    Other,
    Series(Vec<Series>),
}

/// One element of a result; `None` if it is nothing that has samples over time.
struct Element(Option<Series>);

/// What a series of an answer has.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Histograms,
    Metric,
    Values,
    #[serde(other)]
    Other,
}

/// What a native histogram has.
#[derive(Deserialize)]
struct Histogram {
    count: Number,
    #[serde(default)]
    buckets: List<NativeBucket>,
}

/// Seconds since 1970 in JSON, milliseconds here.
struct Time(i64);

/// A number, in quotes.
#[derive(Deserialize)]
#[serde(try_from = "Text<'_>")]
struct Number(f64);

/// A list that gives back the room it did not need.
struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A [`Visitor`] for one form of JSON: what it expects, and how it is read.
macro_rules! visit {
    ($target:ty, $method:ident($($argument:expr),*), $expecting:literal, { $($visit:tt)* }) => {
        impl<'de> Deserialize<'de> for $target {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;

                impl<'de> Visitor<'de> for Reader {
                    type Value = $target;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    $($visit)*
                }

                deserializer.$method($($argument,)* Reader)
            }
        }
    };
}

visit!(Elements, deserialize_any(), "a result of a query", {
    fn visit_str<E: Error>(self, _: &str) -> Result<Elements, E> {
        Ok(Elements::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Elements, E> {
        Ok(Elements::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
        let mut series = Vec::new();
        while let Some(Element(element)) = seq.next_element()? {
            series.extend(element);
        }
        Ok(Elements::Series(series))
    }
});

visit!(Element, deserialize_any(), "a series", {
    // A scalar is a time and a text.
    fn visit_str<E: Error>(self, _: &str) -> Result<Element, E> {
        Ok(Element(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Element, E> {
        Ok(Element(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Element, E> {
        Ok(Element(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let (mut labels, mut samples, mut natives) = (None::<Labels>, None::<List<_>>, None::<List<_>>);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Metric if labels.is_some() => return Err(A::Error::duplicate_field("metric")),
                Field::Values if samples.is_some() => return Err(A::Error::duplicate_field("values")),
                Field::Histograms if natives.is_some() => {
                    return Err(A::Error::duplicate_field("histograms"));
                }
                Field::Metric => labels = Some(map.next_value()?),
                Field::Values => samples = Some(map.next_value()?),
                Field::Histograms => natives = Some(map.next_value()?),
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let labels = labels.ok_or_else(|| A::Error::missing_field("metric"))?;
        let (samples, natives) = (samples.unwrap_or_default().0, natives.unwrap_or_default().0);
        let is_ascending = samples.is_sorted_by(|a: &Sample, b| a.at < b.at)
            && natives.is_sorted_by(|a: &Native, b| a.at < b.at);
        if !is_ascending {
            return Err(A::Error::custom(format_args!("the samples of {labels} do not ascend in time")));
        }
        let is_empty = samples.is_empty() && natives.is_empty();
        Ok(Element((!is_empty).then_some(Series { labels, samples, natives })))
    }
});

visit!(Labels, deserialize_map(), "labels", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut pairs = Vec::with_capacity(8);
        while let Some(pair) = map.next_entry::<Text<'_>, Text<'_>>()? {
            pairs.push(pair);
            if pairs.len() > Labels::MOST {
                break;
            }
        }
        Labels::new(&mut pairs).map_err(A::Error::custom)
    }
});

visit!(Sample, deserialize_tuple(2), "a time and a value", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sample, A::Error> {
        let (Time(at), Number(value)) = (item(&mut seq)?, item(&mut seq)?);
        Ok(Sample { at, value })
    }
});

visit!(Native, deserialize_tuple(2), "a time and a histogram", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Native, A::Error> {
        let (Time(at), histogram): (_, Histogram) = (item(&mut seq)?, item(&mut seq)?);
        Ok(Native { at, count: histogram.count.0, buckets: histogram.buckets.0.into() })
    }
});

visit!(NativeBucket, deserialize_tuple(4), "a rule, two boundaries and a count", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NativeBucket, A::Error> {
        // Which of the boundaries belong to the bucket; see `Query::NativeHistogram`.
        let _rule: u8 = item(&mut seq)?;
        let (Number(left), Number(right), Number(count)) =
            (item(&mut seq)?, item(&mut seq)?, item(&mut seq)?);
        Ok(NativeBucket { left, right, count })
    }
});

visit!(Time, deserialize_any(), "seconds since 1970", {
    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Time, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Time, E> {
        let at = (seconds * 1000.0).round();
        if !(0.0..1e15).contains(&at) {
            return Err(E::custom(format_args!("{seconds:e} is no time")));
        }
        Ok(Time(at as i64))
    }
});

visit!(Remarks, deserialize_any(), "a list of texts", {
    fn visit_unit<E: Error>(self) -> Result<Remarks, E> {
        Ok(Remarks::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Remarks, A::Error> {
        let mut remarks = Remarks::default();
        while let Some(Text(remark)) = seq.next_element()? {
            if remarks.first.len() < 3 {
                remarks.first.push(excerpt(&remark));
            } else {
                remarks.more += 1;
            }
        }
        Ok(remarks)
    }
});

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut list: Vec<T> = Vec::deserialize(deserializer)?;
        list.shrink_to_fit();
        Ok(Self(list))
    }
}

impl TryFrom<Text<'_>> for Number {
    type Error = String;

    fn try_from(Text(text): Text<'_>) -> Result<Self, Self::Error> {
        canonical::number(&text).map(Self).ok_or_else(|| format!("`{}` is no value", excerpt(&text)))
    }
}

fn item<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::custom("a list ends too early"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(result: &str) -> Result<Vec<Series>, String> {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#);
        parse(body.as_bytes()).map_err(|error| error.to_string())
    }

    fn with_values(values: &str) -> Result<Vec<Series>, String> {
        matrix(&format!(r#"[{{"metric":{{"a":"b"}},"values":{values}}}]"#))
    }

    #[test]
    fn samples_keep_their_times_to_the_millisecond() {
        let values =
            r#"[[1800000000,"7"],[1800000000.001,"+Inf"],[1800000015.781,"0.25"],[1800000030.5,"1e3"]]"#;
        let expected = [
            (1_800_000_000_000, 7.0),
            (1_800_000_000_001, f64::INFINITY),
            (1_800_000_015_781, 0.25),
            (1_800_000_030_500, 1000.0),
        ];
        assert_eq!(with_values(values).unwrap(), [Series::of(&[("a", "b")], &expected)]);
        assert!(with_values(r#"[[1,"NaN"]]"#).unwrap()[0].samples[0].value.is_nan());
    }

    #[test]
    fn fields_may_come_in_any_order_and_with_others() {
        let body = r#"{"infos":["slow"],"data":{"stats":{"a":[[]]},"result":[
            {"values":[[1,"2"]],"x":null,"metric":{"b":"\u00e9","a":"1"}},{"metric":{}}],"resultType":"matrix"},
            "status":"success","warnings":null}"#;
        assert_eq!(parse(body.as_bytes()).unwrap(), [Series::of(&[("a", "1"), ("b", "é")], &[(1000, 2.0)])]);
    }

    #[test]
    fn native_histograms_are_read() {
        let series = matrix(
            r#"[{"metric":{},"histograms":[[1.5,{"count":"3","sum":"NaN"}],
            [2,{"sum":"1","count":"4","buckets":[[0,"0.5","1","3"],[3,"-0.001","0.001","1"]]}]]}]"#,
        )
        .unwrap();
        let bucket = |left, right, count| NativeBucket { left, right, count };
        let buckets = [bucket(0.5, 1.0, 3.0), bucket(-0.001, 0.001, 1.0)];
        let natives = [
            Native { at: 1500, count: 3.0, buckets: Box::default() },
            Native { at: 2000, count: 4.0, buckets: buckets.into() },
        ];
        assert_eq!(series[0].natives, natives);
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let deep = "[".repeat(100_000);
        let labels: String = (0..2000).map(|i| format!(r#""l{i}":"","#)).collect();
        for (result, cause) in [
            (deep.as_str(), "invalid type: sequence, expected a series"),
            (r#"[{"metric":{},"values":[[1,2]]}]"#, "invalid type: integer `2`, expected a string"),
            (r#"[{"metric":{},"values":[[1]]}]"#, "ends too early"),
            (r#"[{"metric":{},"values":[[1,"2",3]]}]"#, "trailing"),
            (r#"[{"metric":{},"values":[["1","2"]]}]"#, "expected seconds"),
            (r#"[{"metric":{},"values":[[1e999,"2"]]}]"#, "out of range"),
            (r#"[{"metric":{},"values":[[-1,"2"]]}]"#, "expected seconds"),
            (r#"[{"metric":{},"values":[[1e300,"2"]]}]"#, "is no time"),
            (r#"[{"metric":{},"values":[[1,"1e999"]]}]"#, "`1e999` is no value"),
            (r#"[{"metric":{},"values":[[1,""]]}]"#, "`` is no value"),
            (r#"[{"metric":{},"values":[[2,"1"],[1,"2"]]}]"#, "do not ascend"),
            (r#"[{"metric":{},"values":[],"values":[]}]"#, "duplicate field `values`"),
            (r#"[{"metric":{},"metric":{},"values":[]}]"#, "duplicate field `metric`"),
            (r#"[{"metric":{"a":"1","a":"2"},"values":[]}]"#, "`a` twice"),
            (r#"[{"values":[]}]"#, "missing field `metric`"),
            (r#"[{"metric":{"a":1}}]"#, "invalid type: integer"),
            (&format!(r#"[{{"metric":{{{labels}"a":"b"}}}}]"#), "1001 labels"),
            (r#"[],"result":[]"#, "duplicate field `result`"),
            (r#""text""#, "no list of series"),
            ("[1,2", "expected `,` or `]`"),
        ] {
            let error = matrix(result).unwrap_err();
            assert!(error.contains(cause), "{cause}: {error}");
            assert!(error.len() < 1000);
        }
    }

    #[test]
    fn other_types_of_results_are_named_whatever_they_hold() {
        for (kind, result) in [
            ("vector", r#"[{"metric":{},"value":[1,"2"]}]"#),
            ("scalar", r#"[1.5,"2"]"#),
            ("string", r#"[1,"text"]"#),
        ] {
            for body in [
                format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#),
                format!(r#"{{"data":{{"result":{result},"resultType":"{kind}"}},"status":"success"}}"#),
            ] {
                let error = parse(body.as_bytes()).unwrap_err();
                assert!(matches!(&error, NoAnswer::NotSeries(named) if named == kind), "{error}");
            }
        }
    }

    #[test]
    fn remarks_are_cut_short() {
        let warnings = vec![format!("\"{}\"", "w".repeat(1000)); 10_000].join(",");
        let body = format!(
            r#"{{"status":"success","warnings":[{warnings}],"data":{{"resultType":"matrix","result":[]}}}}"#
        );
        let error = parse(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("and 9997 more") && error.len() < 1200, "{error}");
    }
}
