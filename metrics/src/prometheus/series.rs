//! Series of samples, as compact as they are many.

use std::fmt;

/// The labels of a series, ascending by name. One piece of text and where its parts end: maps of strings would
/// take several times what the answer of a server does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Labels {
    text: Box<str>,
    ends: Box<[u32]>,
}

/// Milliseconds since 1970, and a value that may be anything a float can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at: i64,
    pub(crate) value: f64,
}

/// A native histogram at one time, counted since its process started.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Native {
    pub(crate) at: i64,
    pub(crate) count: f64,
    pub(crate) buckets: Box<[NativeBucket]>,
}

/// The values between two boundaries, in any order of buckets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NativeBucket {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) count: f64,
}

/// One series: its labels and its samples, ascending by time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<Sample>,
    pub(crate) natives: Vec<Native>,
}

impl Labels {
    /// The label that holds the name of a metric.
    pub(crate) const NAME: &str = "__name__";

    /// The most labels that a series may have. Ten are many.
    pub(crate) const MOST: usize = 1000;

    /// These labels, in any order.
    ///
    /// # Errors
    ///
    /// What is wrong with them: one that occurs twice, or too many.
    pub(crate) fn new<T: AsRef<str>>(pairs: &mut [(T, T)]) -> Result<Self, String> {
        if pairs.len() > Self::MOST {
            return Err(format!("a series has {} labels, more than {}", pairs.len(), Self::MOST));
        }
        pairs.sort_unstable_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0.as_ref() == pair[1].0.as_ref()) {
            return Err(format!("a series has the label `{}` twice", twice[0].0.as_ref()));
        }
        let length = pairs.iter().map(|(name, value)| name.as_ref().len() + value.as_ref().len()).sum();
        let mut text = String::with_capacity(length);
        let mut ends = Vec::with_capacity(2 * pairs.len());
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            text.push_str(part.as_ref());
            ends.push(u32::try_from(text.len()).map_err(|_| "the labels of a series are too long")?);
        }
        Ok(Self { text: text.into(), ends: ends.into() })
    }

    /// The value of a label, if the series has it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(label, _)| *label >= name)
            .filter(|(label, _)| *label == name)
            .map(|(_, value)| value)
    }

    /// Every label with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let from = std::iter::once(0).chain(self.ends.iter().skip(1).step_by(2).copied());
        from.zip(self.ends.chunks_exact(2)).map(|(from, ends)| {
            let (name, value) = (ends[0] as usize, ends[1] as usize);
            (&self.text[from as usize..name], &self.text[name..value])
        })
    }

    /// Every label but one.
    pub(crate) fn without<'a>(&'a self, name: &'static str) -> Vec<(&'a str, &'a str)> {
        self.iter().filter(|(label, _)| *label != name).collect()
    }
}

impl Series {
    /// The time of the first sample.
    pub(crate) fn first(&self) -> Option<i64> {
        let plain = self.samples.first().map(|sample| sample.at);
        let native = self.natives.first().map(|native| native.at);
        plain.into_iter().chain(native).min()
    }

    /// The time of the last sample up to `end`.
    pub(crate) fn last_until(&self, end: i64) -> Option<i64> {
        let plain = self.samples.iter().rev().map(|sample| sample.at).find(|&at| at <= end);
        let native = self.natives.iter().rev().map(|native| native.at).find(|&at| at <= end);
        plain.max(native)
    }
}

/// As PromQL writes it: `up{job="model"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get(Self::NAME).unwrap_or_default())?;
        f.write_str("{")?;
        for (i, (name, value)) in self.without(Self::NAME).into_iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
impl Series {
    pub(crate) fn of(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Self {
        let samples = samples.iter().map(|&(at, value)| Sample { at, value }).collect();
        Self { labels: Labels::new(&mut labels.to_vec()).unwrap(), samples, natives: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_whatever_their_order() {
        let labels =
            Labels::new(&mut [("job", "m"), ("__name__", "up"), ("empty", ""), ("a", "é\"")]).unwrap();
        assert_eq!(labels.get("a"), Some("é\""));
        assert_eq!(labels.get("empty"), Some(""));
        assert_eq!(labels.get("up"), None);
        assert_eq!(labels.iter().count(), 4);
        assert_eq!(labels.to_string(), r#"up{a="é\"",empty="",job="m"}"#);
        let again =
            Labels::new(&mut [("a", "é\""), ("empty", ""), ("job", "m"), ("__name__", "up")]).unwrap();
        assert_eq!(again, labels);
    }

    #[test]
    fn labels_are_few_and_each_its_own() {
        assert_eq!(Labels::new::<&str>(&mut []).unwrap().to_string(), "{}");
        assert!(Labels::new(&mut [("a", "1"), ("b", ""), ("a", "2")]).unwrap_err().contains("`a` twice"));
        let mut many: Vec<_> = (0..=Labels::MOST).map(|i| (i.to_string(), String::new())).collect();
        assert!(Labels::new(&mut many).unwrap_err().contains("1001 labels"));
    }
}
