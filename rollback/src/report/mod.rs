//! What an incident was, for people: what was seen, decided and done, when and by whom, with the evidence.
//!
//! An [`Incident`] is what the journals of a route say of one watch and the rollback that it ordered, or of a rollback
//! that a person ordered. It becomes one self-contained HTML page ([`html`]) or a Markdown text ([`markdown`]) in which
//! people write down what no journal knows. Both are pure functions of the incident: the same lines give the same
//! bytes. Everything in a journal is text to them, never markup, and of what is long only the beginning is shown.
//!
//! ```
//! # use tidegate_canary::World;
//! use tidegate_rollback::report::{self, Incident};
//!
//! # async fn write(world: World) -> Result<(), Box<dyn std::error::Error>> {
//! if let Some(incident) = Incident::read(&world, &"serving/fraud".parse()?, None).await? {
//!     std::fs::write("incident.html", report::html(&incident))?;
//!     std::fs::write("incident.md", report::markdown(&incident))?;
//! }
//! # Ok(())
//! # }
//! ```

mod choice;
mod incident;
mod markdown;
mod moment;
mod moments;
mod page;
mod picture;
mod proof;
mod story;
mod tell;

pub use self::incident::{Incident, Records};
use self::story::Story;

/// The incident as one HTML page, for light and dark, narrow and wide, and paper.
///
/// The page needs nothing but itself: no script, no link, no font.
#[must_use]
pub fn html(incident: &Incident) -> String {
    page::html(&Story::of(incident))
}

/// The incident as Markdown (CommonMark with tables), with empty sections for what people have to say.
#[must_use]
pub fn markdown(incident: &Incident) -> String {
    markdown::text(&Story::of(incident))
}
