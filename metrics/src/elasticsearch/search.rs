//! What documents are searched for, and what is made of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Selector, Window,
    query::{IndexName, InvalidTemplate, JsonTemplate, Language, Template, Unfilled},
};

/// A query for documents in an index, and what to make of those that it finds.
///
/// As data: `{"index": "requests-*", "query": {"term": {"version": "{{version}}"}}}`, with `"aggregation": {"sum":
/// {"field": "tokens"}}` for more than their number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
pub struct Search {
    index: Template<IndexName>,
    query: JsonTemplate,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregation: Option<Aggregation>,
}

/// A search as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    index: String,
    query: JsonTemplate,
    aggregation: Option<Aggregation>,
}

/// What is made of a field of the documents that were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Aggregation {
    /// The mean of its values.
    #[serde(rename = "avg")]
    Mean {
        /// The field.
        field: String,
    },
    /// The greatest of its values.
    Max {
        /// The field.
        field: String,
    },
    /// The smallest of its values.
    Min {
        /// The field.
        field: String,
    },
    /// A percentile of its values, estimated.
    Percentile {
        /// The field.
        field: String,
        /// Which, from 0 to 100.
        percent: f64,
    },
    /// The sum of its values.
    Sum {
        /// The field.
        field: String,
    },
    /// The number of its values.
    ValueCount {
        /// The field.
        field: String,
    },
}

/// A search that cannot be asked. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSearch {
    /// A value would be read as a language of its own.
    #[error(
        "{{{{label}}}} stands in `{clause}`, which would read a value as syntax; compare by `term` or `match`"
    )]
    Clause {
        /// The clause.
        clause: String,
    },
    /// The query or the name of the index has gaps that cannot be filled, or none.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
}

/// Clauses that read text as a language.
const LANGUAGES: [&str; 8] = [
    "query_string",
    "regexp",
    "runtime_mappings",
    "script",
    "script_score",
    "simple_query_string",
    "wildcard",
    "wrapper",
];

impl Search {
    /// The number of documents in `index` that match `query`, a clause of the [query language]. The index may be an
    /// alias, a data stream, a list or a pattern, with gaps; a value there is a part of one name. At least one of
    /// the two has a gap for a label.
    ///
    /// # Errors
    ///
    /// Gaps must not stand where a value would be syntax (`query_string`, `regexp`, `wildcard`, `script`, …).
    ///
    /// [query language]: https://www.elastic.co/docs/explore-analyze/query-filter/languages/querydsl
    pub fn new(index: &str, query: JsonTemplate) -> Result<Self, InvalidSearch> {
        let template = Template::part(index)?;
        let invalid = |template: &str, problem| InvalidTemplate {
            template: template.to_owned(),
            language: IndexName::NAME,
            problem,
        };
        if index.is_empty() {
            return Err(invalid(index, "it is empty, which would search every index").into());
        }
        let texts = query.texts();
        for (path, _) in &texts {
            if let Some(clause) = path.iter().find(|name| LANGUAGES.contains(name)) {
                return Err(InvalidSearch::Clause { clause: (*clause).to_owned() });
            }
        }
        if template.labels().next().is_none() && query.labels().next().is_none() {
            let problem = "neither it nor the query names a label, so every side would get the same answer; write \
                {{label}}";
            return Err(invalid(index, problem).into());
        }
        Ok(Self { index: template, query, aggregation: None })
    }

    /// What `aggregation` makes of the documents, in place of their number.
    #[must_use]
    pub fn with_aggregation(mut self, aggregation: Aggregation) -> Self {
        self.aggregation = Some(aggregation);
        self
    }

    pub(super) const fn aggregation(&self) -> Option<&Aggregation> {
        self.aggregation.as_ref()
    }

    /// The index and the query for `selector` in `window`.
    pub(super) fn fill(&self, selector: &Selector, window: Window) -> Result<(String, Value), Unfilled> {
        Ok((self.index.fill(selector, window)?, self.query.fill(selector, window)?))
    }
}

impl Aggregation {
    pub(super) fn request(&self) -> Value {
        match self {
            Self::Mean { field } => json!({"avg": {"field": field}}),
            Self::Max { field } => json!({"max": {"field": field}}),
            Self::Min { field } => json!({"min": {"field": field}}),
            Self::Percentile { field, percent } => {
                json!({"percentiles": {"field": field, "percents": [percent], "keyed": false}})
            }
            Self::Sum { field } => json!({"sum": {"field": field}}),
            Self::ValueCount { field } => json!({"value_count": {"field": field}}),
        }
    }
}

impl TryFrom<Unchecked> for Search {
    type Error = InvalidSearch;

    fn try_from(search: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { index, query, aggregation } = search;
        Ok(Self { aggregation, ..Self::new(&index, query)? })
    }
}
