//! The languages that servers are asked in: where a gap may stand, and how a value is written there.

/// A language in which a [`Template`](super::Template) is written.
///
/// Sealed in effect: its one method speaks of [`Escape`], which has no constructor elsewhere.
pub trait Language: Copy + std::fmt::Debug + Eq + Send + Sync + 'static {
    /// Its name, in errors.
    const NAME: &'static str;
    /// The quotation marks of its strings.
    const QUOTES: &'static str;
    /// Whether a backslash in a string takes the next character with it.
    const BACKSLASH: bool;
    /// Whether the gaps `{{start}}` and `{{end}}` are the window's, not labels.
    const TIMES: bool = false;

    /// How a value is written in a gap at `place`.
    ///
    /// # Errors
    ///
    /// Why no gap may stand there.
    fn escape(place: Place<'_>) -> Result<Escape, &'static str>;
}

/// Where a gap stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Place<'a> {
    /// The quotation mark of the string that it stands in, if it stands in one.
    pub quote: Option<char>,
    /// The text before that string or, outside of strings, before the gap.
    pub before: &'a str,
}

/// How a value is written in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Escape {
    /// As it is.
    Verbatim,
    /// Backslashes before backslashes, double quotes and line breaks, as in Go and PromQL.
    Backslashed,
    /// A regular expression that matches the value alone, in a string of that kind.
    BackslashedRegex,
    /// Bytes by their number, `\x24`, for all that begins something in strings of Flux: quotes, backslashes, `$`,
    /// `{` and control characters. A backslash before them would not do: Flux reads `$\` as two characters.
    Flux,
    /// As it is, in single quotes; quotes, backslashes and control characters are refused, since how NRQL escapes
    /// them is not documented.
    SingleQuoted,
    /// Tildes before tildes and double quotes, as in selectors of Dynatrace.
    Tilded,
    /// Letters, digits, `_`, `-`; every other character becomes `_`, as senders to Graphite write it.
    PathNode,
    /// Letters, digits, `_`, `-`, `.`, `:`, `/`, in lower case, as Datadog keeps the values of tags; any other is refused.
    Tag,
    /// Any character but quotes, semicolons, brackets and wildcards, which Graphite cannot quote.
    Bare,
    /// Lower-case letters, digits, `_`, `-`, `.`, `+`, a letter or digit first: no wildcard, list or exclusion.
    IndexPart,
    /// Percent-encoded; dots alone are refused, since they would lead elsewhere in a path.
    Percent,
}

impl Escape {
    /// Appends `value` to `text`.
    pub(super) fn push(self, text: &mut String, value: &str) -> Result<(), &'static str> {
        if value.is_empty()
            && matches!(self, Self::Bare | Self::IndexPart | Self::PathNode | Self::Percent | Self::Tag)
        {
            return Err("it is empty, and would be asked for as anything or nothing");
        }
        if self == Self::Percent && value.chars().all(|c| c == '.') {
            return Err("it is made of dots alone, which in a URL lead elsewhere");
        }
        if self == Self::IndexPart && value.starts_with(['_', '-', '.', '+']) {
            return Err("a part of an index's name begins with a letter or a digit");
        }
        for c in value.chars() {
            match (self, c) {
                (Self::Verbatim, c) => text.push(c),
                (Self::Backslashed | Self::BackslashedRegex, '\n') => text.push_str("\\n"),
                (Self::Backslashed | Self::BackslashedRegex, '\\' | '"') => {
                    let regex = self == Self::BackslashedRegex && c == '\\';
                    text.push_str(if regex { r"\\" } else { "" });
                    text.push('\\');
                    text.push(c);
                }
                (Self::BackslashedRegex, c) if ".+*?()|[]{}^$".contains(c) => {
                    text.push_str(r"\\");
                    text.push(c);
                }
                (Self::Flux, c) if c.is_ascii_control() || "\"\\${".contains(c) => {
                    text.push_str(&format!("\\x{:02x}", u32::from(c)));
                }
                (Self::SingleQuoted, c) if c.is_control() || "'\\".contains(c) => {
                    return Err(
                        "it holds a quote, a backslash or a control character, which NRQL may misread",
                    );
                }
                (Self::Tilded, '~' | '"') => text.extend(['~', c]),
                (Self::Tilded, c) if c.is_control() => {
                    return Err("it holds a control character, which this language cannot quote");
                }
                (Self::PathNode, c) => {
                    text.push(if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' });
                }
                (Self::Tag, c) if c.is_alphanumeric() || "_-.:/".contains(c) => text.extend(c.to_lowercase()),
                (Self::Tag, _) => {
                    return Err("a value of a tag is of letters, digits, `_`, `-`, `.`, `:` and `/`");
                }
                (Self::Bare, c) if c.is_control() || "'\"`;*?[](){}|^$~\\".contains(c) => {
                    return Err(
                        "it holds a quote, a semicolon, a bracket or a wildcard, which Graphite cannot quote",
                    );
                }
                (Self::IndexPart, c)
                    if !(c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.+".contains(c)) =>
                {
                    return Err(
                        "a part of an index's name is of lower-case letters, digits, `_`, `-`, `.` and `+`",
                    );
                }
                (Self::Percent, c) => percent(text, c),
                (_, c) => text.push(c),
            }
        }
        Ok(())
    }
}

/// RFC 3986: everything but unreserved characters.
fn percent(text: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || "-._~".contains(c) {
        text.push(c);
        return;
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        text.push_str(&format!("%{byte:02X}"));
    }
}

macro_rules! language {
    ($(#[$doc:meta])* $name:ident, $title:literal, $quotes:literal, $backslash:literal, $times:literal, $escape:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name;

        impl Language for $name {
            const NAME: &'static str = $title;
            const QUOTES: &'static str = $quotes;
            const BACKSLASH: bool = $backslash;
            const TIMES: bool = $times;

            fn escape(place: Place<'_>) -> Result<Escape, &'static str> {
                let escape: fn(Place<'_>) -> Result<Escape, &'static str> = $escape;
                escape(place)
            }
        }
    };
}

language!(
    /// Queries of Datadog: gaps stand for values of tags, `{version:{{version}}}`.
    DatadogQuery,
    "Datadog query",
    "",
    false,
    false,
    |_| Ok(Escape::Tag)
);

language!(
    /// Metric selectors of Dynatrace: gaps stand in strings in double quotes.
    DynatraceSelector,
    "Dynatrace metric selector",
    "\"",
    false,
    false,
    |place| match place.quote {
        Some(_) if place.before.contains("~\"") => Err("{{label}} must stand before every escaped quote"),
        // Such a string is a selector of its own, in which a value would have to be escaped once more.
        Some(_) if place.before.trim_end().trim_end_matches('(').trim_end().ends_with("Selector") => {
            Err("{{label}} must not stand in an entity selector; compare a dimension with it, by eq(…)")
        }
        Some(_) => Ok(Escape::Tilded),
        None => Err("{{label}} may stand only inside a double-quoted string"),
    }
);

language!(
    /// Flux, the language of InfluxDB 2: gaps stand in strings, `{{start}}` and `{{end}}` outside of them.
    Flux,
    "Flux",
    "\"",
    true,
    true,
    |place| match place.quote {
        Some(_) => Ok(Escape::Flux),
        None => Err("{{label}} may stand only inside a double-quoted string"),
    }
);

language!(
    /// Targets of Graphite: a gap in a path is a node or part of one, in a string a value of a tag.
    GraphiteTarget,
    "Graphite target",
    "'\"",
    false,
    false,
    |place| match place.quote {
        Some(_) => Ok(Escape::Bare),
        None => Ok(Escape::PathNode),
    }
);

language!(
    /// Names of indices of Elasticsearch: what a value stands for is one index, or part of its name.
    IndexName,
    "index name",
    "",
    false,
    false,
    |_| Ok(Escape::IndexPart)
);

language!(
    /// NRQL, the language of New Relic: gaps stand in strings in single quotes.
    Nrql,
    "NRQL",
    "'\"`",
    true,
    false,
    |place| {
        let before = place.before.trim_end().to_ascii_uppercase();
        match place.quote {
            Some('\'') if before.ends_with("LIKE") => {
                Err("{{label}} must not stand after LIKE, whose wildcards a value may hold; write = or IN")
            }
            Some('\'') if place.before.ends_with(|c: char| c.is_alphanumeric()) => {
                Err("{{label}} must not stand in a pattern")
            }
            Some('\'') => Ok(Escape::SingleQuoted),
            _ => Err("{{label}} may stand only inside a single-quoted string"),
        }
    }
);

language!(
    /// Text that is no language: a value in a structure that quotes it by itself.
    Plain,
    "text",
    "",
    false,
    true,
    |_| Ok(Escape::Verbatim)
);

language!(
    /// Selectors of PromQL: gaps stand in strings in double quotes.
    PromQl,
    "PromQL selector",
    "\"'`",
    true,
    false,
    |place| {
        let before = place.before.trim_end();
        match place.quote {
            Some('"') if before.ends_with("=~") || before.ends_with("!~") => Ok(Escape::BackslashedRegex),
            Some('"') => Ok(Escape::Backslashed),
            _ => Err("{{label}} may stand only inside a double-quoted string"),
        }
    }
);

language!(
    /// URLs: gaps are percent-encoded.
    UrlText,
    "URL",
    "",
    false,
    true,
    |_| Ok(Escape::Percent)
);

#[cfg(test)]
mod tests {
    use super::*;

    fn written(escape: Escape, value: &str) -> Result<String, &'static str> {
        let mut text = String::new();
        escape.push(&mut text, value).map(|()| text)
    }

    #[test]
    fn what_could_end_its_place_cannot() {
        assert_eq!(
            written(Escape::Flux, "a\"${x}\\\n$\"é$").unwrap(),
            r"a\x22\x24\x7bx}\x5c\x0a\x24\x22é\x24"
        );
        assert_eq!(written(Escape::SingleQuoted, "1.4.0+b \"1\" -- é").unwrap(), "1.4.0+b \"1\" -- é");
        assert_eq!(written(Escape::Tilded, "a~\")").unwrap(), "a~~~\")");
        assert_eq!(written(Escape::PathNode, "1.4.0*{a}").unwrap(), "1_4_0__a_");
        assert_eq!(written(Escape::Tag, "V1.4.0").unwrap(), "v1.4.0");
        assert_eq!(written(Escape::Percent, "a b/é..").unwrap(), "a%20b%2F%C3%A9..");
        assert_eq!(written(Escape::IndexPart, "1.5.0+b_1-x").unwrap(), "1.5.0+b_1-x");
        for (escape, value) in [
            (Escape::Tag, "a} by {b"),
            (Escape::Tag, "a,env:b"),
            (Escape::Tag, "a OR b"),
            (Escape::Tag, "*"),
            (Escape::Tag, ""),
            (Escape::PathNode, ""),
            (Escape::Bare, ""),
            (Escape::Bare, "a','b"),
            (Escape::Bare, "a*"),
            (Escape::Bare, "a|b"),
            (Escape::Bare, "~."),
            (Escape::Bare, "a;b=c"),
            (Escape::SingleQuoted, "a' OR 'a'='a"),
            (Escape::SingleQuoted, r"a\"),
            (Escape::SingleQuoted, "a\n"),
            (Escape::Tilded, "a\0"),
            (Escape::IndexPart, ""),
            (Escape::IndexPart, "_all"),
            (Escape::IndexPart, "a*"),
            (Escape::IndexPart, "a,b"),
            (Escape::IndexPart, "-a"),
            (Escape::IndexPart, ".."),
            (Escape::IndexPart, "a/_search"),
            (Escape::IndexPart, "A"),
            (Escape::Percent, ""),
            (Escape::Percent, "."),
            (Escape::Percent, ".."),
        ] {
            assert!(written(escape, value).is_err(), "{value}");
        }
    }

    fn refused<L: Language>(templates: &[&str]) {
        for template in templates {
            assert!(template.parse::<crate::query::Template<L>>().is_err(), "{template}");
        }
    }

    #[test]
    fn a_pattern_or_a_query_in_a_string_is_no_place() {
        refused::<Nrql>(&[
            "SELECT count(*) FROM T WHERE v LIKE '{{v}}'",
            "SELECT count(*) FROM T WHERE v rlike '{{v}}'",
            "SELECT count(*) FROM T WHERE v RLIKE r'{{v}}'",
            "SELECT count(*) FROM T WHERE v = \"{{v}}\"",
            "SELECT count(*) FROM T WHERE v = \"'{{v}}'\"",
            "SELECT count(*) FROM T WHERE `{{v}}` = 1",
        ]);
        refused::<DynatraceSelector>(&[
            r#"m:filter(in("dt.entity.host",entitySelector("type(HOST),tag({{v}})")))"#,
            r#"m:filter(in("dt.entity.host",entitySelector("type(~"HOST~"),tag(~"{{v}}~")")))"#,
            r#"m:filter(eq("a~"b",{{v}},"))"#,
            "m:filter(eq(v,{{v}}))",
        ]);
        assert!(r#"m:filter(eq("v","{{v}}"))"#.parse::<crate::query::Template<DynatraceSelector>>().is_ok());
        assert!(
            "SELECT count(*) FROM T WHERE v IN ('{{v}}')".parse::<crate::query::Template<Nrql>>().is_ok()
        );
    }
}
