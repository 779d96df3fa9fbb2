//! What pictures are drawn on, and how words get onto it.

use console::{Style, Term, measure_text_width};

/// What it is drawn on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paper {
    /// In columns.
    pub(crate) width: usize,
    /// In lines, where there is an end to them.
    pub(crate) height: Option<usize>,
    pub(crate) colours: bool,
}

impl Paper {
    /// For a picture that is drawn once, as long as it is: of `width` columns, or as wide as the terminal, or 100.
    pub(crate) fn of_answers(width: Option<usize>) -> Self {
        let terminal = Term::stdout();
        let on_terminal = terminal.is_term();
        let width = width.unwrap_or_else(|| if on_terminal { terminal.size().1.into() } else { 100 });
        Self { width, height: None, colours: on_terminal && console::colors_enabled() }
    }

    /// The same, neither narrower nor wider than a picture can be.
    pub(crate) fn of_bearable_width(self) -> Self {
        Self { width: self.width.clamp(40, 160), ..self }
    }

    pub(crate) fn paint(self, text: &str, style: Style) -> String {
        if self.colours { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }

    /// Words over as many lines as it takes, `indent` columns from the edge. What is longer than a line is cut.
    pub(crate) fn wrapped(self, text: &str, indent: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let fits = |line: &String| measure_text_width(line) + 1 + measure_text_width(word) <= self.width;
            match lines.last_mut().filter(|line| fits(line)) {
                Some(line) => {
                    line.push(' ');
                    line.push_str(word);
                }
                None => lines.push(" ".repeat(indent) + word),
            }
        }
        lines.into_iter().map(|line| console::truncate_str(&line, self.width, "…").into_owned()).collect()
    }

    /// A name, and beside it its text.
    pub(crate) fn listed(self, name: &str, text: &str, style: Style) -> Vec<String> {
        const INDENT: usize = 13;
        let mut lines = self.wrapped(&text.replace("   ", " \u{2060}"), INDENT);
        lines.iter_mut().for_each(|line| *line = line.replace('\u{2060}', " "));
        if let Some(first) = lines.first_mut() {
            first.replace_range(..INDENT, &format!("  {name:<11}"));
        }
        lines.into_iter().map(|line| self.paint(&line, style.clone())).collect()
    }

    /// `left` at the left, `right` at the right, below it where there is no room.
    pub(crate) fn beside(
        self,
        left: &str,
        left_style: Style,
        right: &str,
        right_style: Style,
    ) -> Vec<String> {
        let room = self.width.saturating_sub(measure_text_width(right) + 2);
        let left = console::truncate_str(left, room, "…").into_owned();
        let gap = " ".repeat(self.width - measure_text_width(&left) - measure_text_width(right));
        vec![self.paint(&left, left_style) + &gap + &self.paint(right, right_style)]
    }
}
