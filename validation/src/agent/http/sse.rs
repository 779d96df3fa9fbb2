//! Server-sent events out of bytes, however these are cut into chunks.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>. The fields
//! `id` and `retry` are read over: they are for clients that connect anew, and an answer to a model's
//! question cannot be gone on with.

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its type; empty if it names none, which means `message`.
    pub(crate) kind: String,
    /// Its lines of data, joined by line feeds.
    pub(crate) data: String,
}

/// An event, or a line of one, is longer than the parser was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Turns bytes into events. It keeps no more than one event and one line.
#[derive(Debug)]
pub(crate) struct Parser {
    longest: usize,
    /// The line so far.
    line: Vec<u8>,
    /// The event so far.
    event: Event,
    has_data: bool,
    /// Whether the last byte was a carriage return, with which a line feed belongs together.
    after_return: bool,
    /// Whether the first line, which may begin with a byte order mark, has ended.
    begun: bool,
}

impl Parser {
    /// A parser of events that are at most `longest` bytes long, as is each of their lines.
    pub(crate) const fn new(longest: usize) -> Self {
        let event = Event { kind: String::new(), data: String::new() };
        Self { longest, line: Vec::new(), event, has_data: false, after_return: false, begun: false }
    }

    /// Takes the next bytes and passes the events that they complete to `each`. What follows the last
    /// empty line is no event, whether more comes or not.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Event)) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (more, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + more.len() > self.longest {
                return Err(TooLong);
            }
            self.line.extend_from_slice(more);
            let Some((&ending, rest)) = rest.split_first() else { break };
            self.after_return = ending == b'\r';
            bytes = rest;
            if let Some(event) = self.end_line()? {
                each(event);
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Event>, TooLong> {
        let line = std::mem::take(&mut self.line);
        let line = match std::mem::replace(&mut self.begun, true) {
            true => &line[..],
            false => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line),
        };
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => {
                if self.event.data.len() + value.len() >= self.longest {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(&value);
            }
            b"event" => self.event.kind = value.into_owned(),
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use eventsource_stream::Eventsource as _;
    use futures::StreamExt as _;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let (mut parser, mut events) = (Parser::new(1 << 20), Vec::new());
        for chunk in chunks {
            parser.feed(chunk, |event| events.push((event.kind, event.data))).unwrap();
        }
        events
    }

    fn data(text: &str) -> Vec<String> {
        parse(&[text.as_bytes()]).into_iter().map(|(_, data)| data).collect()
    }

    /// What the crate `eventsource-stream` makes of it.
    async fn oracle(text: &str) -> Vec<(String, String)> {
        // It panics at a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let events = futures::stream::iter([Ok::<_, std::convert::Infallible>(text)]).eventsource();
        let untold = |kind: String| if kind == "message" { String::new() } else { kind };
        events.map(|event| event.unwrap()).map(|event| (untold(event.event), event.data)).collect().await
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        assert_eq!(
            data(
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
            ),
            ["first event", "second event", " third event"]
        );
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn every_line_ending_ends_a_line_once() {
        for ending in ["\n", "\r", "\r\n"] {
            let text = ["data: a", "data: b", "", "event: e", "data: c", "", ""].join(ending);
            assert_eq!(
                parse(&[text.as_bytes()]),
                [(String::new(), "a\nb".into()), ("e".into(), "c".into())],
                "{ending:?}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_one_only_at_the_beginning() {
        assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
        assert_eq!(parse(&[b"\xef", b"\xbb", b"\xbfdata: a\n", b"\n"]).len(), 1);
    }

    #[test]
    fn a_line_without_end_is_too_long() {
        let mut parser = Parser::new(100);
        let mut fed = 0;
        while parser.feed(&[b'x'; 30], |_| panic!("no event")).is_ok() {
            fed += 30;
        }
        assert_eq!(fed, 90);
        let mut parser = Parser::new(100);
        let lines = (0..100).take_while(|_| parser.feed(b"data: 0123456789\n", |_| ()).is_ok()).count();
        assert_eq!(lines, 9);
    }

    #[test]
    fn comments_without_end_are_no_burden() {
        let mut parser = Parser::new(100);
        for _ in 0..10_000 {
            parser.feed(b": still thinking\n\n", |_| panic!("no event")).unwrap();
        }
        assert!(parser.line.capacity() < 1000);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(parse(&[b"data: \xff\xfe\n\n"])[0].1, "\u{fffd}\u{fffd}");
    }

    /// Pieces of streams, the awkward ones often.
    fn streams() -> impl Strategy<Value = String> {
        let pieces = [
            "data",
            "data:",
            "data: ",
            "event: ",
            "id: 1",
            "retry: 9",
            ":",
            ": ",
            "\n",
            "\n\n",
            "\r",
            "\r\n",
            "\r\n\r\n",
            "x",
            "日本",
            "\u{1f600}",
            "{\"a\":1}",
            "[DONE]",
            " ",
            "\0",
            "unknown: y",
            "\u{feff}",
        ];
        let start = select(vec!["", "\u{feff}"]);
        (start, vec(select(pieces.to_vec()), 0..60)).prop_map(|(start, pieces)| {
            // What the oracle does with a mark after the mark, and with an end that may go on, is its own.
            format!("{start}x\n{}\n\n", pieces.concat())
        })
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(text in streams(), cuts in vec(any::<prop::sample::Index>(), 0..20)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = parse(&[bytes]);
            prop_assert_eq!(&parse(&chunks), &whole);
            let single: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(&parse(&single), &whole);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(oracle(&text)), whole);
        }

        #[test]
        fn no_bytes_are_too_hostile(bytes in vec(any::<u8>(), 0..300), cut in 1_usize..50) {
            let mut parser = Parser::new(64);
            for chunk in bytes.chunks(cut) {
                if parser.feed(chunk, |event| assert!(event.data.len() <= 64)).is_err() {
                    break;
                }
            }
        }
    }
}
