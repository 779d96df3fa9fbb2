//! The one way in which anything is said about a model.

use crate::{
    Error, Invalid, Log, LogKey, ModelName, Result, Seq, Stamp,
    catalogue::Catalogue,
    record::{Fact, what},
};

/// How often a commit starts over because others were faster. Each loss means that somebody else made
/// progress, so this is reached only beside that many other writers at once.
const ATTEMPTS: usize = 512;

/// Everything said about `name` so far.
pub(crate) async fn fold(log: &dyn Log, name: &ModelName) -> Result<Catalogue> {
    let mut catalogue = Catalogue::new(name.clone());
    catch_up(log, &mut catalogue).await?;
    Ok(catalogue)
}

/// Says about `name` what `decide` answers to the state of the log, in one entry.
///
/// `decide` is asked again whenever another writer was first, so what it says always follows from what
/// is there. An empty answer writes nothing. Returns the state afterwards, and the entry's number if
/// one was written.
pub(crate) async fn commit(
    log: &dyn Log,
    name: &ModelName,
    stamp: &Stamp,
    mut decide: impl FnMut(&Catalogue) -> Result<Vec<Fact>> + Send,
) -> Result<(Catalogue, Option<Seq>)> {
    stamp.check()?;
    let mut catalogue = fold(log, name).await?;
    for _ in 0..ATTEMPTS {
        let facts = decide(&catalogue)?;
        if facts.is_empty() {
            return Ok((catalogue, None));
        }
        let seq = catalogue.next();
        let record = catalogue.entry(stamp.clone(), facts).encode(catalogue.key())?;
        // Folded before it is written: a record that nobody could read must never be in the log.
        let mut after = catalogue.clone();
        after.apply(&record).map_err(|error| unreadable(catalogue.key(), seq, &error))?;
        match log.append(catalogue.key(), seq, record).await {
            Ok(()) => return Ok((after, Some(seq))),
            Err(Error::SeqTaken { .. }) => {
                tracing::debug!(key = %catalogue.key(), %seq, "another writer was first, deciding again");
                catch_up(log, &mut catalogue).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::SeqTaken { key: LogKey::model(name), seq: catalogue.next() })
}

fn unreadable(key: &LogKey, seq: Seq, error: &Error) -> Invalid {
    let cause = std::error::Error::source(error).unwrap_or(error);
    Invalid::new("record", what(key, seq), format!("it could not be read again ({cause})"))
}

async fn catch_up(log: &dyn Log, catalogue: &mut Catalogue) -> Result<()> {
    for record in log.read(catalogue.key(), catalogue.next()).await? {
        catalogue.apply(&record)?;
    }
    Ok(())
}
