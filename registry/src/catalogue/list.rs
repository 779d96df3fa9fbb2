//! Listing versions.

use futures::{
    FutureExt as _, TryStreamExt as _,
    stream::{self, BoxStream, StreamExt as _},
};

use super::{Catalogue, Catalogues, Filter, Published, Row, range::range};
use crate::{BoxError, Error, Log, ModelName, Result};

impl Catalogues {
    /// What [`ModelStore::versions`](crate::ModelStore::versions) answers for a store whose versions are in
    /// `log`.
    pub(crate) fn list<'a>(
        &'a self,
        log: &'a dyn Log,
        name: ModelName,
        filter: Filter,
    ) -> BoxStream<'a, Result<Published>> {
        let listed = async move {
            let catalogue = self.fold(log, &name).await?;
            catalogue.expect_versions()?;
            Ok::<_, Error>(stream::iter(catalogue.list(filter)))
        };
        listed.into_stream().try_flatten().boxed()
    }
}

impl Catalogue {
    /// The versions that `filter` admits, the highest first. Pages are read as they are come to.
    pub(crate) fn list(self, filter: Filter) -> impl Iterator<Item = Result<Published>> + Send {
        let (least, beyond) = filter.matching.as_ref().map(range).unwrap_or_default();
        let rows = self.rows.descending(beyond.as_ref());
        let reaches = move |row: &Result<Row, BoxError>| match (row, &least) {
            (Ok(row), Some(least)) => row.published.version.cmp_precedence(least).is_ge(),
            _ => true,
        };
        rows.take_while(reaches).filter_map(move |row| match row {
            Ok(row) if row.deleted.is_some() => None,
            Ok(row) => Some(self.shown(row)).filter(|shown| filter.admits(&self, shown)).map(Ok),
            Err(error) => Some(Err(self.damaged(error))),
        })
    }

    #[cfg(feature = "object-store")]
    /// Every version there ever was, the highest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Row>> {
        self.rows.descending(None).map(|row| row.map_err(|error| self.damaged(error)))
    }

    /// Fails if no version was ever published.
    pub(crate) fn expect_versions(&self) -> Result<()> {
        if self.rows.len() == 0 { Err(Error::unknown(&self.name)) } else { Ok(()) }
    }

    /// Which versions there are, for an error about one that is not: all, or the highest few of many.
    pub(crate) fn remedy(&self) -> Result<String> {
        const SHOWN: usize = 5;
        let all = self.rows.len();
        if all == 0 {
            return Ok("publish a version of it first, or list the models for their names".to_owned());
        }
        let shown: Vec<_> = self.clone().list(Filter::default()).take(SHOWN).collect::<Result<_>>()?;
        let shown = shown.iter().map(|there| there.version.to_string()).collect::<Vec<_>>().join(", ");
        Ok(match all.checked_sub(SHOWN) {
            _ if shown.is_empty() => "all of its versions were deleted".to_owned(),
            None | Some(0) => format!("there is {shown}"),
            Some(_) => format!("there is {shown} and lower ones"),
        })
    }

    /// What a list shows of a row.
    pub(super) fn shown(&self, row: Row) -> Published {
        let quarantined = self.quarantine(&row.published.digest).cloned();
        Published { quarantined, ..row.published }
    }

    /// Whether so much changed that it should be put into pages.
    pub(super) fn changes_fill_a_page(&self) -> bool {
        self.rows.changes_fill_a_page()
    }

    /// Puts what changed into pages.
    pub(super) fn compact(&mut self) -> Result<(), BoxError> {
        self.rows.settle()
    }
}
