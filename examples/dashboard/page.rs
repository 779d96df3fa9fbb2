//! What every page has around it.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};
use tidegate::canary::metrics::plot::words;

use crate::session::Session;

#[derive(Default)]
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    pub(crate) session: Option<&'a Session>,
    /// Where the page is found again, and the events that make it old.
    pub(crate) live: Option<Live>,
}

pub(crate) struct Live {
    pub(crate) page: String,
    pub(crate) events: String,
}

impl Page<'_> {
    pub(crate) fn html(&self, content: &Markup) -> Html<String> {
        let (page, events) = self.live.as_ref().map(|live| (&live.page, &live.events)).unzip();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                    script src="/script.js" defer {}
                }
                body data-page=[page] data-events=[events] {
                    a.skip href="#content" { "Skip to the content" }
                    header.top {
                        a.home href="/" { "Rollouts" }
                        @if self.live.is_some() { span #live role="status" { "Load the page again to see what is new." } }
                        @if let Some(session) = self.session {
                            form.leave method="post" action="/sign-out" {
                                (form_token(session))
                                span { bdi { (session.name) } }
                                button { "Sign out" }
                            }
                        }
                    }
                    main #content { (content) }
                }
            }
        };
        Html(page.into_string().replace(words::is_deceptive, "\u{fffd}"))
    }
}

/// Without which no form of a session is accepted.
pub(crate) fn form_token(session: &Session) -> Markup {
    html! { input type="hidden" name="form_token" value=(session.form_token); }
}
