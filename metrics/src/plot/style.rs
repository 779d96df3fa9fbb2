//! The colours of pictures, and what they apply to.

use std::fmt::Write as _;

use maud::{Markup, html};

/// Names of colours, each on light and dark ground and on paper. Okabe and Ito's for what must be told apart, which
/// people who do not see all colours can.
const COLOURS: [(&str, [&str; 3]); 7] = [
    ("card", ["#fff", "#1a1e25", "#fff"]),
    ("good", ["#0069a6", "#5cb8f2", "#0069a6"]),
    ("grid", ["#e9ecf0", "#272d36", "#ddd"]),
    ("muted", ["#616b78", "#97a2b0", "#444"]),
    ("rule", ["#dfe3e8", "#2f3641", "#bbb"]),
    ("text", ["#1b2028", "#e4e8ed", "#000"]),
    ("worse", ["#ad4500", "#ff9150", "#ad4500"]),
];
const DARK: &str = "(prefers-color-scheme: dark)";

const PICTURE: &str = include_str!("style.css");
const PAGE: &str = include_str!("page.css");
const FILE: &str = include_str!("file.css");

/// The style sheet of pictures and of their [`legend()`](super::legend()) in a page, for light and dark. Once a page,
/// before the page's own; it names its colours by custom properties (`--card`, the ground; `--text`; `--muted`;
/// `--rule`; `--grid`; `--good`; `--worse`), which the page may use.
#[must_use]
pub fn style() -> String {
    let mut sheet = String::new();
    for (ground, query) in [(0, ""), (1, DARK), (2, "print")] {
        let names = COLOURS.iter().fold(String::new(), |mut names, (name, colours)| {
            _ = write!(names, " --{name}: {};", colours[ground]);
            names
        });
        let root = format!(":root {{{names} }}");
        sheet +=
            &if query.is_empty() { format!("{root}\n") } else { format!("@media {query} {{ {root} }}\n") };
    }
    sheet + PICTURE + PAGE
}

/// The style sheet of a file. Many viewers of images know no custom properties, so that colours are by value.
pub(super) fn of_file() -> String {
    let [light, dark] = [0, 1].map(|ground| {
        COLOURS.iter().fold(PICTURE.to_owned() + FILE, |sheet, (name, colours)| {
            sheet.replace(&format!("var(--{name})"), colours[ground])
        })
    });
    format!("{light}@media {DARK} {{\n{dark}}}\n")
}

/// What is hatched in any picture of a page. Once a page.
#[must_use]
pub fn patterns() -> Markup {
    html! { svg.patterns aria-hidden="true" { (hatch()) } }
}

pub(super) fn hatch() -> Markup {
    html! {
        defs {
            pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                line x1="0" y1="0" x2="0" y2="6" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_colours_by_value() {
        assert!(!of_file().contains("var("), "{}", of_file());
        assert!(style().contains("var(--good)") && style().contains("--good: #0069a6;"));
    }

    #[test]
    fn no_sheet_could_end_its_element_or_ask_for_more() {
        for sheet in [style(), of_file()] {
            assert!(!sheet.contains(['<', '&']) && !sheet.contains("@import") && !sheet.contains("//"));
            assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
        }
    }
}
