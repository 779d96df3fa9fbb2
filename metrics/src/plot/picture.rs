//! Pictures in pages and in files.

use maud::{Markup, PreEscaped, Render, html};

use super::{Gap, chart, key, length::px, style, words};

/// What was drawn: nothing, the evidence, the confidence sequence, or both. In a page it is one element, whose pictures
/// lie side by side where there is room; the page needs [`style()`](super::style()) and
/// [`patterns()`](super::patterns()).
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// A name, and more about it; for files.
    pub(super) heading: (String, String),
    pub(super) evidence: Option<Markup>,
    pub(super) confidence: Option<Markup>,
    pub(super) gaps: Vec<Gap>,
}

impl Picture {
    /// Whether there was nothing to draw.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.evidence.is_none() && self.confidence.is_none()
    }

    /// The windows that were no evidence, which are hatched: missing observations, and such that the rule cannot use.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn plots(&self) -> impl Iterator<Item = &Markup> {
        self.evidence.iter().chain(&self.confidence)
    }
}

impl Render for Picture {
    fn render(&self) -> Markup {
        html! { @if !self.is_empty() { div.plots { @for plot in self.plots() { (plot) } } } }
    }
}

const MARGIN: f64 = 16.0;
/// From one picture to the next one, beside it and below.
const GAP: (f64, f64) = (24.0, 20.0);
const LINE: f64 = 18.0;
/// About what a character takes in the text of a chart, rather too much.
const CHARACTER: f64 = 6.0;
const KEY: (f64, f64) = (182.0, 20.0);

/// One SVG file of `pictures`, one below the other, each with its name; for browsers and viewers of images, on light and
/// dark ground.
///
/// It needs nothing but itself, and it is well-formed XML whatever the title and the names are.
#[must_use]
pub fn standalone<'a>(title: &str, pictures: impl IntoIterator<Item = &'a Picture>) -> String {
    let pictures: Vec<_> = pictures.into_iter().filter(|picture| !picture.is_empty()).collect();
    let across = pictures.iter().map(|picture| picture.plots().count()).max().unwrap_or(1);
    let inner = across as f64 * (chart::SIZE.0 + GAP.0) - GAP.0;
    let fits = |text: &str| words::clip(text, (inner / CHARACTER) as usize);
    let mut y = MARGIN;
    let mut body = Vec::new();
    let mut write = |y: &mut f64, class: &str, text: &str| {
        if !text.is_empty() {
            body.push(html! { text.(class) x=(px(MARGIN)) y=(px(*y + 12.0)) { (fits(text)) } });
            *y += LINE;
        }
    };
    write(&mut y, "heading title", title);
    y += 6.0;
    let mut plots = Vec::new();
    for picture in &pictures {
        let (name, more) = &picture.heading;
        write(&mut y, "heading", name);
        write(&mut y, "more", more);
        y += 4.0;
        for (column, plot) in picture.plots().enumerate() {
            let x = MARGIN + column as f64 * (chart::SIZE.0 + GAP.0);
            plots.push(html! { svg x=(px(x)) y=(px(y)) width=(px(chart::SIZE.0)) height=(px(chart::SIZE.1)) { (plot) } });
        }
        y += chart::SIZE.1 + GAP.1;
    }
    if pictures.is_empty() {
        write(&mut y, "more", "No window was observed.");
    }
    let keys = keys(&pictures);
    let columns = (inner / KEY.0) as usize;
    let place = |n: usize| (MARGIN + (n % columns) as f64 * KEY.0, y + (n / columns) as f64 * KEY.1);
    let (width, height) = (inner + 2.0 * MARGIN, y + keys.len().div_ceil(columns) as f64 * KEY.1 + MARGIN);
    let file = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(px(width)) height=(px(height)) viewBox={ "0 0 " (px(width)) " " (px(height)) } role="img" {
            title { (words::clip(title, 200)) }
            style { (PreEscaped(style::of_file())) }
            (style::hatch())
            rect.ground width="100%" height="100%" {}
            @for part in body.iter().chain(&plots) { (part) }
            @for (n, (sample, name)) in keys.iter().enumerate() {
                @let (x, y) = place(n);
                svg x=(px(x)) y=(px(y)) width="26" height="12" { (sample) }
                text x=(px(x + 32.0)) y=(px(y + 10.0)) { (name) }
            }
        }
    };
    file.into_string() + "\n"
}

/// What to know to read these pictures.
fn keys(pictures: &[&Picture]) -> Vec<(Markup, &'static str)> {
    let mut keys = Vec::new();
    if pictures.iter().any(|picture| picture.evidence.is_some()) {
        keys.extend(key::of_evidence());
    }
    if pictures.iter().any(|picture| picture.confidence.is_some()) {
        keys.push(key::of_confidence());
    }
    if !keys.is_empty() {
        keys.extend([key::of_levels(), key::of_gaps()]);
    }
    keys
}
