//! What stands in the way.

use console::Style;

use super::Paper;

/// Why it does not go on, and what ends that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) why: String,
    /// What ends it, a line each.
    pub(crate) ends: Vec<String>,
    pub(crate) is_for_a_person: bool,
}

impl Obstacle {
    pub(crate) fn lines(&self, paper: Paper) -> Vec<String> {
        let Self { why, ends, is_for_a_person } = self;
        let style = if *is_for_a_person { Style::new().yellow().bold() } else { Style::new().yellow() };
        let why = paper.wrapped(&format!("▌ {why}"), 0);
        let why = why.iter().map(|line| paper.paint(line, style.clone()));
        let ends = ends.iter().flat_map(|end| paper.wrapped(end, 2));
        [String::new()].into_iter().chain(why).chain(ends).collect()
    }
}
