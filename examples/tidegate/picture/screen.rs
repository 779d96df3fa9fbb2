//! A terminal on which a picture is drawn again and again, in its place.

use std::io::{self, IsTerminal as _, Write as _};

use console::Term;

use super::paper::Paper;

#[derive(Debug)]
pub(crate) struct Screen {
    term: Term,
    size: (u16, u16),
    drawn: usize,
}

impl Screen {
    /// The terminal that answers go to, if they go to one that can move its cursor.
    pub(crate) fn of_answers() -> Option<Self> {
        let term = Term::stdout();
        let moves = io::stdout().is_terminal() && !term.features().is_msys_tty() && !is_dumb();
        let size = term.size();
        moves.then_some(Self { term, size, drawn: 0 })
    }

    pub(crate) fn paper(&self) -> Paper {
        let (height, width) = self.term.size();
        // The last line is for the cursor.
        let height = Some(usize::from(height).saturating_sub(1).max(5));
        Paper { width: width.into(), height, colours: console::colors_enabled() }
    }

    /// Draws over what was drawn before, in one go, so that nothing flickers.
    pub(crate) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let size = self.term.size();
        // Terminals break lines anew when they change, so nobody knows where the picture is now.
        let begin = match self.drawn {
            _ if size != self.size => "\x1b[2J\x1b[H".to_owned(),
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r"),
        };
        self.size = size;
        self.drawn = lines.len();
        // Between the two marks terminals that know them show nothing half done.
        let mut picture = format!("\x1b[?2026h{begin}");
        for line in lines {
            picture.push_str(line);
            picture.push_str("\x1b[K\n");
        }
        picture.push_str("\x1b[J\x1b[?2026l");
        let mut out = io::stdout().lock();
        out.write_all(picture.as_bytes()).and_then(|()| out.flush())
    }
}

#[expect(clippy::disallowed_methods, reason = "terminals are described by the environment")]
fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}
