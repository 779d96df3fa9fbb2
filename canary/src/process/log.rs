//! What a server prints: a file that stays small, and its last lines in a form that can be shown.

use std::{
    convert::Infallible,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use super::room::private;

/// How often the size is looked at. The server writes to the file itself, so that it goes on doing so when
/// nobody supervises it; what it prints in between two looks comes on top of the limit.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// What is read of the end of a log, and what is shown of that.
const TAIL: u64 = 16 << 10;
const SHOWN: usize = 1_500;
const LINES: usize = 10;

/// The log of one start. Blocks.
pub(super) fn open(path: &Path) -> io::Result<File> {
    private().append(true).create(true).open(path)
}

/// Keeps the log at `path` from growing beyond `limit`, for ever.
pub(super) async fn tend(path: PathBuf, limit: u64) -> Infallible {
    loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let path = path.clone();
        let looked = super::blocking(move || match fs::metadata(&path)?.len() {
            size if size > limit => set_aside(&path, size, limit),
            _ => Ok(()),
        });
        if let Err(error) = looked.await {
            tracing::debug!(%error, "cannot look after the log of a server");
        }
    }
}

/// Moves the last `limit` bytes to `PATH.1` and begins anew. The server has the file open to append, so it
/// writes on at the new end; what it writes between the two steps is lost.
fn set_aside(path: &Path, size: u64, limit: u64) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".1");
    let mut from = File::open(path)?;
    from.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
    let mut to = private().write(true).create(true).truncate(true).open(PathBuf::from(aside))?;
    io::copy(&mut from.take(limit), &mut to)?;
    private().write(true).open(path)?.set_len(0)
}

/// The last lines of the log at `path`, without anything that a terminal would obey, and without `secrets`.
/// Blocks.
pub(super) fn tail<'a>(path: &Path, secrets: impl Iterator<Item = &'a str>) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut text = Vec::new();
        file.take(TAIL).read_to_end(&mut text)?;
        io::Result::Ok(text)
    };
    let mut text = clean(&String::from_utf8_lossy(&read().unwrap_or_default()));
    for secret in secrets {
        text = text.replace(secret, "…");
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    last(&lines[lines.len().saturating_sub(LINES)..].join("\n"), SHOWN)
}

/// The end of `text`, of at most so many bytes.
fn last(text: &str, bytes: usize) -> String {
    let from = (text.len().saturating_sub(bytes)..=text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or(0)..].to_owned()
}

/// `text` without escape sequences (ECMA-48, 5.4 and 5.6) and control characters other than ends of lines.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => match rest.next_if(|c| "[]PX^_".contains(*c)) {
                // Parameters and intermediates, up to a final character.
                Some('[') => {
                    while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
                    rest.next_if(|c| ('@'..='~').contains(c));
                }
                // A string, up to its terminator. One that does not end on its line is no string.
                Some(_) => {
                    while rest.next_if(|c| !['\u{7}', '\u{1b}', '\u{9c}', '\n'].contains(c)).is_some() {}
                    if rest.next_if(|c| *c != '\n') == Some('\u{1b}') {
                        rest.next_if_eq(&'\\');
                    }
                }
                None => {
                    rest.next_if(|c| ('0'..='~').contains(c));
                }
            },
            '\n' => cleaned.push('\n'),
            '\t' => cleaned.push(' '),
            // A carriage return begins the line again; progress bars end up below each other.
            '\r' if rest.peek() != Some(&'\n') => cleaned.push('\n'),
            // Marks that turn the direction of writing could make a line read as another.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            next if next.is_control() => {}
            next => cleaned.push(next),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        for (text, expected) in [
            ("plain\ntext", "plain\ntext"),
            ("\u{1b}[1;31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}Pq...\u{1b}\\x", "x"),
            ("\u{1b}]never ends\nnext", "\nnext"),
            ("\u{1b}cx", "x"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("50%\r100%\r\ndone", "50%\n100%\ndone"),
            ("a\tb\u{0}\u{8}c\u{7f}\u{9b}", "a bc"),
            ("\u{202e}abc", "abc"),
            ("größer", "größer"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_tail_is_short_and_keeps_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert_eq!(tail(&path, std::iter::empty()), "");
        let lines: String = (0..100_000).map(|n| format!("line {n} of hunter22\n\n")).collect();
        fs::write(&path, lines).unwrap();
        let shown = tail(&path, ["hunter22"].into_iter());
        assert_eq!(shown.lines().count(), LINES);
        assert!(shown.starts_with("line 99990 of …\n") && shown.ends_with("line 99999 of …"), "{shown}");
        fs::write(&path, "ä".repeat(1 << 20)).unwrap();
        assert_eq!(tail(&path, std::iter::empty()), "ä".repeat(SHOWN / 2));
    }

    #[test]
    fn what_is_set_aside_is_the_end_and_the_server_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut server = open(&path).unwrap();
        let write = |server: &mut File, text: &str| io::Write::write_all(server, text.as_bytes()).unwrap();
        write(&mut server, "0123456789");
        set_aside(&path, 10, 4).unwrap();
        write(&mut server, "ab");
        assert_eq!(fs::read_to_string(&path).unwrap(), "ab");
        assert_eq!(fs::read_to_string(directory.path().join("1.log.1")).unwrap(), "6789");
    }
}
