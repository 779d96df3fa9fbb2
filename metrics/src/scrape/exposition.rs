//! What a `/metrics` page says: the text format of Prometheus, 0.0.4, and OpenMetrics 1.0.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, <https://prometheus.io/docs/specs/om/open_metrics_spec/>
//!
//! Read here rather than by a crate: `openmetrics-parser` (0.5) is under the LGPL, and keeps a tree of the whole
//! page; `prometheus-parse` (0.2) knows no OpenMetrics and passes over lines that it cannot read. A page
//! that is wrong or cut short must be an error: fewer series would look like fewer events.
//!
//! Only what numbers need is checked: not, say, whether the samples of a family stand together.

use std::borrow::Cow;

use crate::{http::excerpt, prometheus::number};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Text,
}

/// One sample, as the page has it.
#[derive(Debug, PartialEq)]
pub(super) struct Exposed<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) value: f64,
    /// Milliseconds since 1970, if the page says when it was taken.
    pub(super) at: Option<i64>,
}

/// Why a page cannot be read. The line counts from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no line of {}: {problem}", .format.name())]
pub(super) struct Unreadable {
    line: usize,
    format: Format,
    problem: String,
}

impl Format {
    /// What to ask servers for.
    pub(super) const ACCEPT: &str =
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// By the content type of an answer. Without one it is text, as it was before there was another.
    pub(super) fn of(content_type: Option<&str>) -> Result<Self, String> {
        let media = content_type.unwrap_or("text/plain").split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            "text/plain" | "" => Ok(Self::Text),
            other => Err(format!("it is `{}`, neither OpenMetrics nor text of Prometheus", excerpt(other))),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::OpenMetrics => "OpenMetrics",
            Self::Text => "Prometheus text",
        }
    }

    /// Hands every sample of `page` to `take`, in order. What `take` says is wrong with one is as wrong as what
    /// cannot be read.
    pub(super) fn read<'a>(
        self,
        page: &'a [u8],
        mut take: impl FnMut(Exposed<'a>) -> Result<(), String>,
    ) -> Result<(), Unreadable> {
        let mut ended = false;
        let mut line = 0;
        for text in page.split_inclusive(|&byte| byte == b'\n') {
            line += 1;
            self.line(text, &mut ended, &mut take).map_err(|problem| Unreadable {
                line,
                format: self,
                problem,
            })?;
        }
        let cut_short = self == Self::OpenMetrics && !ended;
        let problem = || "it ends here without `# EOF`, and so was cut short".to_owned();
        if cut_short { Err(Unreadable { line, format: self, problem: problem() }) } else { Ok(()) }
    }

    fn line<'a>(
        self,
        line: &'a [u8],
        ended: &mut bool,
        take: &mut impl FnMut(Exposed<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        if *ended {
            return Err("something comes after `# EOF`".to_owned());
        }
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
        let Some(text) = text.strip_suffix('\n') else {
            // The one line that need not end is the last of OpenMetrics.
            *ended = self == Self::OpenMetrics && text == "# EOF";
            return if *ended { Ok(()) } else { Err("it does not end, and so was cut short".to_owned()) };
        };
        let mut cursor = Cursor { rest: text, format: self };
        if self == Self::Text {
            cursor.blanks();
        }
        match cursor.rest.strip_prefix('#') {
            Some("") | None if self == Self::Text && matches!(cursor.rest, "" | "#") => Ok(()),
            Some(" EOF") if self == Self::OpenMetrics => {
                *ended = true;
                Ok(())
            }
            Some(comment) => cursor.comment(comment),
            None => take(cursor.sample()?),
        }
    }
}

/// The rest of a line.
struct Cursor<'a> {
    rest: &'a str,
    format: Format,
}

impl<'a> Cursor<'a> {
    /// What follows a `#`. Only the type could change what a number means.
    fn comment(&self, comment: &'a str) -> Result<(), String> {
        let separators: &[char] = if self.format == Format::Text { &[' ', '\t'] } else { &[' '] };
        let mut words = comment.split(separators).filter(|word| !word.is_empty());
        let (keyword, name, kind) = (words.next(), words.next(), words.next());
        match (self.format, keyword) {
            (_, Some("HELP" | "TYPE")) | (Format::OpenMetrics, Some("UNIT")) => {}
            (Format::Text, _) => return Ok(()),
            (Format::OpenMetrics, _) => return Err("it is a comment, which has no place here".to_owned()),
        }
        let name = name.ok_or("it names no metric")?;
        let mut rest = Cursor { rest: name, format: self.format };
        rest.name(true)?;
        rest.end()?;
        let known = match (keyword, self.format) {
            (Some("TYPE"), Format::Text) => &["counter", "gauge", "histogram", "summary", "untyped"][..],
            (Some("TYPE"), Format::OpenMetrics) => {
                &["counter", "gauge", "gaugehistogram", "histogram", "info", "stateset", "summary", "unknown"]
            }
            _ => return Ok(()),
        };
        let kind = kind.unwrap_or_default();
        if known.contains(&kind) { Ok(()) } else { Err(format!("`{}` is no type", excerpt(kind))) }
    }

    fn sample(&mut self) -> Result<Exposed<'a>, String> {
        let name = self.name(true)?;
        let mut separated = self.format == Format::Text && self.blanks();
        let mut labels = Vec::new();
        if self.rest.starts_with('{') {
            labels = self.labels()?;
            separated = self.format == Format::Text;
        }
        if separated {
            self.blanks();
        } else {
            self.blank("the value")?;
        }
        let value = self.number("value")?;
        let at = self.time()?;
        if self.format == Format::OpenMetrics && self.rest.starts_with(" # ") {
            // An exemplar is one of the values that were counted, and counts nothing itself.
            self.rest = &self.rest[3..];
            self.labels()?;
            self.blank("the value of the exemplar")?;
            self.number("value")?;
            self.time()?;
        }
        self.end()?;
        Ok(Exposed { name, labels, value, at })
    }

    fn labels(&mut self) -> Result<Vec<(&'a str, Cow<'a, str>)>, String> {
        let is_text = self.format == Format::Text;
        self.expect('{')?;
        let mut labels = Vec::new();
        loop {
            if is_text {
                self.blanks();
            }
            // Only text may have a comma after the last.
            if self.rest.starts_with('}') && (is_text || labels.is_empty()) {
                break;
            }
            let name = self.name(false)?;
            if is_text {
                self.blanks();
            }
            self.expect('=')?;
            if is_text {
                self.blanks();
            }
            labels.push((name, self.quoted()?));
            if is_text {
                self.blanks();
            }
            if self.rest.starts_with('}') {
                break;
            }
            self.expect(',')?;
        }
        self.expect('}')?;
        Ok(labels)
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        self.expect('"')?;
        let mut unescaped = String::new();
        let whole = self.rest;
        loop {
            let at = self.rest.find(['"', '\\']).ok_or("the value of a label is not closed")?;
            let (text, rest) = self.rest.split_at(at);
            if let Some(after) = rest.strip_prefix('"') {
                self.rest = after;
                let is_plain = unescaped.is_empty() && text.len() + rest.len() == whole.len();
                return Ok(if is_plain { text.into() } else { (unescaped + text).into() });
            }
            unescaped += text;
            let escaped = rest[1..].chars().next().ok_or("the value of a label is not closed")?;
            match escaped {
                'n' => unescaped.push('\n'),
                '"' | '\\' => unescaped.push(escaped),
                // OpenMetrics leaves what is no escape as it is.
                other if self.format == Format::OpenMetrics => unescaped.extend(['\\', other]),
                other => return Err(format!("`\\{}` is no escape", other.escape_default())),
            }
            self.rest = &rest[1 + escaped.len_utf8()..];
        }
    }

    /// The name of a metric or of a label.
    fn name(&mut self, is_metric: bool) -> Result<&'a str, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
        let (name, rest) = self.rest.split_at(self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len()));
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let what = if is_metric { "metric" } else { "label" };
            return Err(format!("`{}` begins with no name of a {what}", excerpt(self.rest)));
        }
        self.rest = rest;
        Ok(name)
    }

    /// The time after a value, if there is one.
    fn time(&mut self) -> Result<Option<i64>, String> {
        let is_text = self.format == Format::Text;
        let separated = if is_text { self.blanks() } else { self.rest.starts_with(' ') };
        if !separated || self.rest.is_empty() || self.rest.starts_with(" #") {
            return Ok(None);
        }
        if !is_text {
            self.blank("the time")?;
        }
        // Text counts milliseconds, OpenMetrics seconds.
        let at = self.number("time")? * if is_text { 1.0 } else { 1000.0 };
        let is_time = (0.0..1e15).contains(&at) && (!is_text || at.fract() == 0.0);
        if is_time { Ok(Some(at.round() as i64)) } else { Err("its time is none since 1970".to_owned()) }
    }

    fn number(&mut self, what: &str) -> Result<f64, String> {
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        number(text).ok_or_else(|| format!("`{}` is no {what}", excerpt(text)))
    }

    /// Skips blanks and tabs, and says whether there were some.
    fn blanks(&mut self) -> bool {
        let rest = self.rest.trim_start_matches([' ', '\t']);
        let skipped = rest.len() < self.rest.len();
        self.rest = rest;
        skipped
    }

    /// One blank.
    fn blank(&mut self, before: &str) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(' ').ok_or_else(|| format!("a blank lacks before {before}"))?;
        Ok(())
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        self.rest = self
            .rest
            .strip_prefix(c)
            .ok_or_else(|| format!("`{c}` should stand where `{}` begins", excerpt(self.rest)))?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        if self.format == Format::Text {
            self.blanks();
        }
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(format!("`{}` follows where it should end", excerpt(self.rest)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(format: Format, page: &str) -> Result<Vec<(String, f64, Option<i64>)>, String> {
        let mut samples = Vec::new();
        let take = |exposed: Exposed<'_>| {
            let labels: Vec<_> =
                exposed.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            samples.push((format!("{}|{}", exposed.name, labels.join("|")), exposed.value, exposed.at));
            Ok(())
        };
        format.read(page.as_bytes(), take).map_err(|error| error.to_string())?;
        Ok(samples)
    }

    fn sample(name: &str, value: f64, at: Option<i64>) -> (String, f64, Option<i64>) {
        (name.to_owned(), value, at)
    }

    /// In the forms of the example in the specification of the text format.
    #[test]
    fn text_is_read() {
        let page = concat!(
            "# HELP http_requests_total The total number of HTTP requests.\n",
            "# TYPE http_requests_total counter\n",
            "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n",
            "\n# any comment \\ with \"whatever\"\n#\n",
            "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot\\nfind:\\\"F\\\"\"} 1.458255915e9\n",
            "metric_without_timestamp_and_labels 12.47\n",
            "something_weird{problem=\"division by zero\"} +Inf\n",
            " \t a:b \t { x = \"1\" , }\t-Inf \t 7 \n",
            "rpc_duration_seconds{quantile=\"0.01\"} NaN\n",
        );
        let samples = read(Format::Text, page).unwrap();
        assert_eq!(
            samples[0],
            sample("http_requests_total|method=post|code=200", 1027.0, Some(1_395_066_363_000))
        );
        let path = "msdos_file_access_time_seconds|path=C:\\DIR\\FILE.TXT|error=Cannot\nfind:\"F\"";
        assert_eq!(samples[1], sample(path, 1.458_255_915e9, None));
        assert_eq!(samples[2], sample("metric_without_timestamp_and_labels|", 12.47, None));
        assert_eq!(samples[3], sample("something_weird|problem=division by zero", f64::INFINITY, None));
        assert_eq!(samples[4], sample("a:b|x=1", f64::NEG_INFINITY, Some(7)));
        assert!(samples[5].1.is_nan() && samples.len() == 6);
    }

    /// In the forms of the examples in the specification of OpenMetrics.
    #[test]
    fn openmetrics_is_read() {
        let page = concat!(
            "# TYPE acme_http_router_request_seconds summary\n",
            "# UNIT acme_http_router_request_seconds seconds\n",
            "# HELP acme_http_router_request_seconds Latency \\\\ though all \\n of it.\n",
            "acme_http_router_request_seconds_sum{path=\"/api/v1\",method=\"GET\"} 9036.32\n",
            "acme_http_router_request_seconds_created{path=\"/api/v1\",method=\"GET\"} 1605281325.0\n",
            "# TYPE foo histogram\n",
            "foo_bucket{le=\"0.1\"} 8 # {} 0.054\n",
            "foo_bucket{le=\"1\"} 11 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67\n",
            "foo_bucket{le=\"+Inf\"} 17 # {trace_id=\"a \\\" # }\"} 9.8 1520879607.789\n",
            "# TYPE bar stateset\n",
            "bar{bar=\"a\\x\"} 1\n",
            "baz nan\n",
            "# EOF",
        );
        for page in [page.to_owned(), format!("{page}\n")] {
            let samples = read(Format::OpenMetrics, &page).unwrap();
            assert_eq!(samples[0].1, 9036.32);
            assert_eq!(samples[2], sample("foo_bucket|le=0.1", 8.0, None));
            assert_eq!(samples[3], sample("foo_bucket|le=1", 11.0, Some(1_520_879_607_789)));
            assert_eq!(samples[4], sample("foo_bucket|le=+Inf", 17.0, None));
            assert_eq!(samples[5], sample("bar|bar=a\\x", 1.0, None));
            assert!(samples[6].1.is_nan() && samples.len() == 7);
        }
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        use Format::{OpenMetrics, Text};
        for (format, page, line, problem) in [
            (Text, "a 1\nb\n", 2, "a blank lacks"),
            (Text, "a 1\nb \n", 2, "`` is no value"),
            (Text, "a 1\nb 2", 2, "cut short"),
            (Text, "a{x=\"1} 1\n", 1, "not closed"),
            (Text, "a{x=\"1\\", 1, "cut short"),
            (Text, "a{x=\"\\t\"} 1\n", 1, "no escape"),
            (Text, "a{x=1} 1\n", 1, "`\"` should stand"),
            (Text, "a{x=\"1\" y=\"2\"} 1\n", 1, "`,` should stand"),
            (Text, "a{1x=\"1\"} 1\n", 1, "no name of a label"),
            (Text, "1a 1\n", 1, "no name of a metric"),
            (Text, "a 1 2 3\n", 1, "should end"),
            (Text, "a 1 2.5\n", 1, "time"),
            (Text, "a 1 -2\n", 1, "time"),
            (Text, "a 1e999\n", 1, "no value"),
            (Text, "<html>\n", 1, "no name of a metric"),
            (Text, "# TYPE a meter\n", 1, "`meter` is no type"),
            (Text, "# TYPE\n", 1, "names no metric"),
            (Text, "a 1 # {} 1\n", 1, "no time"),
            (OpenMetrics, "a 1\n", 1, "without `# EOF`"),
            (OpenMetrics, "", 0, "without `# EOF`"),
            (OpenMetrics, "a 1\n# EOF\nb 1\n", 3, "after `# EOF`"),
            (OpenMetrics, "a 1\n# EO", 2, "cut short"),
            (OpenMetrics, "a  1\n# EOF\n", 1, "`` is no value"),
            (OpenMetrics, "a{x=\"1\",} 1\n# EOF\n", 1, "no name of a label"),
            (OpenMetrics, "a{x=\"1\"}1\n# EOF\n", 1, "a blank lacks"),
            (OpenMetrics, "\n# EOF\n", 1, "no name of a metric"),
            (OpenMetrics, "# a comment\n# EOF\n", 1, "a comment"),
            (OpenMetrics, "a 1 # {x=\"1\"\n# EOF\n", 1, "`,` should stand"),
        ] {
            let error = read(format, page).unwrap_err();
            assert!(
                error.starts_with(&format!("line {line} ")) && error.contains(problem),
                "{page:?}: {error}"
            );
        }
        let error = Text.read(b"a 1\nb{x=\"\xff\"} 2\n", |_| Ok(())).unwrap_err();
        assert_eq!((error.line, error.problem.as_str()), (2, "it is not UTF-8"));
        let error =
            Text.read(b"a 1\nb 2\n", |sample| if sample.name == "b" { Err("no".into()) } else { Ok(()) });
        assert_eq!(error.unwrap_err().line, 2);
    }

    #[test]
    fn the_content_type_tells() {
        let of = |content_type| Format::of(Some(content_type)).ok();
        assert_eq!(
            of("application/openmetrics-text; version=1.0.0; charset=utf-8"),
            Some(Format::OpenMetrics)
        );
        assert_eq!(of("text/plain; version=0.0.4"), Some(Format::Text));
        assert_eq!(Format::of(None), Ok(Format::Text));
        assert_eq!(of("application/vnd.google.protobuf; proto=x"), None);
        assert!(Format::of(Some("text/html")).unwrap_err().contains("text/html"));
    }

    type Printed = (String, Vec<(String, String)>, f64, Option<i64>);

    fn printed() -> impl Strategy<Value = Printed> {
        let labels =
            prop::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,5}", ".{0,9}|[\\\\\"\n x]{0,6}", 0..4);
        let value = prop_oneof![any::<f64>(), (0..1000_u32).prop_map(f64::from)];
        let at = prop::option::of(0..2_000_000_000_000_i64);
        ("[a-z:][a-z0-9_:]{0,9}", labels.prop_map(|map| map.into_iter().collect()), value, at)
    }

    fn print(format: Format, samples: &[Printed]) -> String {
        let mut page = String::new();
        for (name, labels, value, at) in samples {
            let escape = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let at = at.map_or_else(String::new, |at| match format {
                Format::Text => format!(" {at}"),
                Format::OpenMetrics => format!(" {}.{:03}", at / 1000, at % 1000),
            });
            page += &format!("{name}{{{}}} {value:?}{at}\n", labels.join(","));
        }
        page + if format == Format::OpenMetrics { "# EOF\n" } else { "" }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(samples in prop::collection::vec(printed(), 0..6)) {
            for format in [Format::OpenMetrics, Format::Text] {
                let mut back: Vec<Printed> = Vec::new();
                let take = |exposed: Exposed<'_>| {
                    let labels = exposed.labels.into_iter();
                    let labels = labels.map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
                    back.push((exposed.name.to_owned(), labels, exposed.value, exposed.at));
                    Ok(())
                };
                format.read(print(format, &samples).as_bytes(), take).unwrap();
                prop_assert_eq!(back.len(), samples.len());
                for (back, sample) in back.iter().zip(&samples) {
                    prop_assert_eq!((&back.0, &back.1, back.3), (&sample.0, &sample.1, sample.3));
                    prop_assert!(back.2.to_bits() == sample.2.to_bits() || back.2.is_nan() && sample.2.is_nan());
                }
            }
        }

        #[test]
        fn what_is_cut_short_is_no_page(samples in prop::collection::vec(printed(), 1..4), cut in any::<prop::sample::Index>()) {
            let page = print(Format::OpenMetrics, &samples);
            // The line feed after `# EOF` may be absent.
            let cut = cut.index(page.len() - 1);
            prop_assert!(Format::OpenMetrics.read(&page.as_bytes()[..cut], |_| Ok(())).is_err());
        }

        #[test]
        fn whatever_comes_there_is_an_answer(page in prop::collection::vec(any::<u8>(), 0..200)) {
            for format in [Format::OpenMetrics, Format::Text] {
                let _ = format.read(&page, |_| Ok(()));
            }
        }

        #[test]
        fn whatever_looks_like_a_page_has_an_answer(page in "([a#]|[{}=\",\\\\ \n\t]|EOF|TYPE|1|é){0,60}") {
            for format in [Format::OpenMetrics, Format::Text] {
                let _ = format.read(page.as_bytes(), |_| Ok(()));
            }
        }
    }
}
