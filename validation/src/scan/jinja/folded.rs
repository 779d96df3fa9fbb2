//! What an expression comes to, as far as that can be told without running it.

/// Longest text that is put together, in bytes.
const LONGEST: usize = 4096;
/// Most elements of a list that are followed.
const ELEMENTS: usize = 256;

/// The value of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    Text(String),
    Number(i64),
    List(Vec<Self>),
    /// A text put together from what is not known.
    Computed,
    Unknown,
}

impl Folded {
    fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::List(_) | Self::Computed | Self::Unknown => None,
        }
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Computed)
    }

    fn text(text: String) -> Self {
        if text.len() > LONGEST { Self::Computed } else { Self::Text(text) }
    }

    pub(super) fn list(mut items: Vec<Self>) -> Self {
        if items.len() > ELEMENTS {
            items.truncate(ELEMENTS);
            items.push(Self::Computed);
        }
        Self::List(items)
    }

    /// `~`.
    pub(super) fn concat(&self, other: &Self) -> Self {
        match (self.as_text(), other.as_text()) {
            (Some(left), Some(right)) => Self::text(left + &right),
            _ => Self::Computed,
        }
    }

    /// `+`.
    pub(super) fn add(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                left.checked_add(*right).map_or(Self::Unknown, Self::Number)
            }
            (Self::List(left), Self::List(right)) => Self::list([left.as_slice(), right].concat()),
            (left, right) if left.is_text() || right.is_text() => left.concat(right),
            _ => Self::Unknown,
        }
    }

    /// `*`.
    pub(super) fn times(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Text(text), Self::Number(times)) | (Self::Number(times), Self::Text(text)) => {
                let times = usize::try_from(*times).unwrap_or(0);
                if text.len().saturating_mul(times) > LONGEST {
                    Self::Computed
                } else {
                    Self::Text(text.repeat(times))
                }
            }
            (left, right) if left.is_text() || right.is_text() => Self::Computed,
            _ => Self::Unknown,
        }
    }

    /// The elements, with `self` between them.
    pub(super) fn join(&self, items: &Self) -> Self {
        let items = match items {
            Self::List(items) => items.iter().map(Self::as_text).collect::<Option<Vec<_>>>(),
            Self::Text(text) => Some(text.chars().map(String::from).collect()),
            _ => None,
        };
        match (self.as_text(), items) {
            (Some(between), Some(items)) => Self::text(items.join(&between)),
            _ => Self::Computed,
        }
    }

    /// `%` and the filter `format`: as many of its marks as there are values.
    pub(super) fn printf(&self, values: &[Self]) -> Self {
        let Some(format) = self.as_text() else { return Self::Computed };
        let (mut out, mut values) = (String::new(), values.iter());
        let mut rest = format.as_str();
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let mark = rest[at + 1..].chars().next();
            let value = match mark {
                Some('%') => Some("%".to_owned()),
                Some('c') => values.next().and_then(Self::chr),
                Some('s' | 'd') => values.next().and_then(Self::as_text),
                _ => None,
            };
            let Some(value) = value else { return Self::Computed };
            out.push_str(&value);
            rest = &rest[at + 2..];
        }
        Self::text(out + rest)
    }

    /// `str.format`, with plain fields.
    pub(super) fn format(&self, values: &[Self]) -> Self {
        let Some(format) = self.as_text() else { return Self::Computed };
        let (mut out, mut next) = (String::new(), 0);
        let mut rest = format.as_str();
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}').map(|end| at + end) else { return Self::Computed };
            let field = &rest[at + 1..end];
            let (field, kind) = field.split_once(':').unwrap_or((field, ""));
            let index = if field.is_empty() { Some(next) } else { field.parse().ok() };
            next += 1;
            let value = index.and_then(|index| values.get(index));
            let value = value.and_then(|value| match kind {
                "" | "s" | "d" => value.as_text(),
                "c" => value.chr(),
                _ => None,
            });
            let Some(value) = value else { return Self::Computed };
            out.push_str(&value);
            rest = &rest[end + 1..];
        }
        Self::text(out + rest)
    }

    /// The character of a number, or of a text of one character.
    pub(super) fn chr(&self) -> Option<String> {
        match self {
            Self::Number(number) => u32::try_from(*number).ok().and_then(char::from_u32).map(String::from),
            Self::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn replace(&self, from: &Self, to: &Self) -> Self {
        match (self.as_text(), from.as_text(), to.as_text()) {
            (Some(text), Some(from), Some(to)) => {
                let grown = text.len().saturating_add(1).saturating_mul(to.len().saturating_add(1));
                if grown > LONGEST * 16 { Self::Computed } else { Self::text(text.replace(&from, &to)) }
            }
            _ => Self::Computed,
        }
    }

    pub(super) fn reversed(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.chars().rev().collect()),
            Self::List(items) => Self::List(items.iter().rev().cloned().collect()),
            Self::Computed => Self::Computed,
            _ => Self::Unknown,
        }
    }

    /// This text, changed.
    pub(super) fn changed(&self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Text(text) => Self::text(change(text)),
            other => other.clone(),
        }
    }

    /// The element at an index.
    pub(super) fn element(&self, index: &Self) -> Self {
        let Self::Number(index) = index else { return Self::Unknown };
        let place = |len: usize| {
            let index = if *index < 0 { index.checked_add(len as i64)? } else { *index };
            usize::try_from(index).ok()
        };
        match self {
            Self::List(items) => {
                place(items.len()).and_then(|at| items.get(at)).cloned().unwrap_or(Self::Unknown)
            }
            Self::Text(text) => {
                let found = place(text.chars().count()).and_then(|at| text.chars().nth(at));
                found.map_or(Self::Unknown, |found| Self::Text(found.into()))
            }
            Self::Computed => Self::Computed,
            _ => Self::Unknown,
        }
    }

    /// The part from one index up to another.
    pub(super) fn part(&self, start: Option<i64>, stop: Option<i64>) -> Self {
        match self {
            Self::Text(text) => {
                let len = text.chars().count() as i64;
                let place =
                    |index: i64| (if index < 0 { index.saturating_add(len) } else { index }).clamp(0, len);
                let (start, stop) = (place(start.unwrap_or(0)), place(stop.unwrap_or(len)));
                let count = usize::try_from(stop - start).unwrap_or(0);
                Self::Text(text.chars().skip(start as usize).take(count).collect())
            }
            Self::Computed => Self::Computed,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Folded {
        Folded::Text(text.to_owned())
    }

    #[test]
    fn texts_are_put_together_as_python_does() {
        assert_eq!(text("__cla").concat(&text("ss__")), text("__class__"));
        assert_eq!(text("_").times(&Folded::Number(2)), text("__"));
        assert_eq!(text("").join(&Folded::List(vec![text("a"), text("b")])), text("ab"));
        assert_eq!(text("%c%s").printf(&[Folded::Number(95), text("_")]), text("__"));
        assert_eq!(text("{1}{0:c}").format(&[Folded::Number(97), text("b")]), text("ba"));
        assert_eq!(text("{}{}").format(&[text("a"), text("b")]), text("ab"));
        assert_eq!(text("cba").reversed(), text("abc"));
        assert_eq!(text("abcd").part(Some(1), Some(-1)), text("bc"));
        assert_eq!(text("abcd").element(&Folded::Number(-1)), text("d"));
        assert_eq!(text("a").concat(&Folded::Unknown), Folded::Computed);
    }

    #[test]
    fn nothing_grows_without_bound() {
        assert_eq!(text("x").times(&Folded::Number(i64::MAX)), Folded::Computed);
        let long = text(&"a".repeat(4000));
        assert_eq!(long.replace(&text("a"), &long), Folded::Computed);
        assert_eq!(long.concat(&long), Folded::Computed);
    }
}
