//! Folding: what one more record changes.

use std::sync::Arc;

use semver::Version;

use super::{Catalogue, Entry, Fact, Garbage, Ledger, Row, corrupt, record::Publish};
use crate::{Attested, BoxError, Cause, Channel, Digest, ModelRef, Move, Result, Seq, Stamp, Withdrawal};

impl Catalogue {
    /// Takes in the next record of the log.
    ///
    /// An entry that does not follow from those before it is [`Error::Corrupt`](crate::Error::Corrupt) and
    /// is never guessed around; the catalogue is then good for nothing.
    pub(crate) fn apply(&mut self, record: &[u8]) -> Result<()> {
        let seq = self.next;
        let entry = Entry::decode(&self.key, seq, record)?;
        let wrong = |why: String| corrupt(&self.key, seq, why);
        if entry.seq != seq {
            return Err(wrong(format!("it says that it is record {}", entry.seq)));
        }
        if entry.prev != self.head {
            return Err(wrong("its `prev` is not the digest of the record before it".to_owned()));
        }
        for (at, fact) in entry.facts.into_iter().enumerate() {
            let said = Said { seq, at, stamp: &entry.stamp };
            self.learn(&said, fact).map_err(|why| corrupt(&self.key, seq, why))?;
        }
        self.head = Some(Digest::of(record));
        self.next = seq.next();
        Ok(())
    }

    fn learn(&mut self, said: &Said<'_>, fact: Fact) -> Result<(), BoxError> {
        match fact {
            Fact::Attest { version, attestation } => {
                let attested = Attested::new(said.seq, Some(said.at), &attestation);
                self.change(&version, |row| {
                    row.published.attested.push(attested);
                    Ok(())
                })
            }
            Fact::Condemn(garbage) => {
                let ledger = self.ledger();
                ledger.dead.extend(&garbage.publications);
                ledger.garbage.add(garbage);
                Ok(())
            }
            Fact::Delete { version, reason } => {
                if self.currents().any(|(_, made)| *made.to.version() == version) {
                    return Err(format!("it deletes {version}, which a channel points to").into());
                }
                self.change(&version, |row| {
                    row.deleted = Some(said.withdrawal(reason));
                    Ok(())
                })
            }
            Fact::Demote { channel, seq, reason } => self.demote(said, &channel, seq, reason),
            Fact::Lift { digest, .. } => match self.ledger().quarantined.remove(&digest) {
                Some(_) => Ok(()),
                None => Err(format!("it lifts a quarantine of {digest}, which there is not").into()),
            },
            Fact::Policy { channel, policy } => {
                let policies = &mut self.ledger().policies;
                match policy {
                    Some(policy) => policies.insert(channel, policy),
                    None => policies.remove(&channel),
                };
                Ok(())
            }
            Fact::Promote { channel, to, from, cause } => self.promote(said, channel, to, from, cause),
            Fact::Publish(publish) => self.publish(said, publish),
            Fact::Quarantine { digest, reason } => {
                match self.ledger().quarantined.insert(digest, said.withdrawal(reason)) {
                    None => Ok(()),
                    Some(_) => Err(format!("it quarantines {digest} a second time").into()),
                }
            }
            Fact::Settle { channel, seq: of } => self.settled(said, channel, of),
            Fact::Sweep(garbage) => {
                self.ledger().garbage.remove(&garbage);
                Ok(())
            }
            Fact::Unyank { version, .. } => self.change(&version, |row| {
                row.published.yanked.take().map(drop).ok_or("it restores what was not yanked")
            }),
            Fact::Yank { version, reason } => {
                self.change(&version, |row| match row.published.yanked.replace(said.withdrawal(reason)) {
                    None => Ok(()),
                    Some(_) => Err("it yanks what was yanked before"),
                })
            }
        }
    }

    fn publish(&mut self, said: &Said<'_>, publish: Publish) -> Result<(), BoxError> {
        let version = &publish.version;
        if self.rows.get(version)?.is_some() {
            return Err(format!("it publishes {version} a second time").into());
        }
        if publish.publication.is_some_and(|publication| self.is_dead(&publication)) {
            return Err(format!("it publishes {version} of what was condemned before").into());
        }
        self.rows.put(publish.into_row(said.seq, said.stamp))
    }

    fn promote(
        &mut self,
        said: &Said<'_>,
        channel: Channel,
        to: ModelRef,
        from: Option<ModelRef>,
        cause: Cause,
    ) -> Result<(), BoxError> {
        if *to.name() != self.name {
            return Err(format!("it moves a channel of {} to {to}", self.name).into());
        }
        self.change(to.version(), |_| Ok(()))?;
        if self.current(&channel).map(|made| &made.to) != from.as_ref()
            || self.history(&channel).last().is_some_and(|made| made.seq == said.seq)
        {
            return Err("it moves a channel from where it was not".into());
        }
        let moves = self.ledger().channels.entry(channel).or_default();
        moves.push(Move::new(said.seq, to, from, cause, said.stamp.clone()));
        Ok(())
    }

    fn demote(
        &mut self,
        said: &Said<'_>,
        channel: &Channel,
        seq: Seq,
        reason: String,
    ) -> Result<(), BoxError> {
        let last = self.ledger().channels.get_mut(channel).and_then(|moves| moves.last_mut());
        match last.filter(|last| last.seq == seq && last.ended.is_none()) {
            Some(last) => {
                last.ended = Some(said.withdrawal(reason));
                Ok(())
            }
            None => Err(format!("it ends move {seq}, which is not where the channel is").into()),
        }
    }

    fn settled(&mut self, said: &Said<'_>, channel: Channel, of: Seq) -> Result<(), BoxError> {
        let moves = self.ledger().channels.entry(channel).or_default();
        let settled = moves.iter_mut().find(|made| made.seq == of);
        let Some(made) = settled.filter(|made| made.settled.is_none()) else {
            return Err(format!("it settles move {of}, which is not there to be settled").into());
        };
        made.settled = Some(said.stamp.clone());
        Ok(())
    }

    /// Changes the row of a version that exists; an unchanged one is left where it is.
    fn change(
        &mut self,
        version: &Version,
        change: impl FnOnce(&mut Row) -> Result<(), &'static str>,
    ) -> Result<(), BoxError> {
        let row = self.rows.get(version)?.filter(|row| row.published.version == *version);
        let Some(before) = row.filter(|row| row.deleted.is_none()) else {
            return Err(format!("it speaks of {version}, which is not published").into());
        };
        let mut after = before.clone();
        change(&mut after)?;
        if after == before { Ok(()) } else { self.rows.put(after) }
    }

    fn ledger(&mut self) -> &mut Ledger {
        Arc::make_mut(&mut self.ledger)
    }
}

/// Where and by whom a fact is said.
struct Said<'a> {
    seq: Seq,
    at: usize,
    stamp: &'a Stamp,
}

impl Said<'_> {
    fn withdrawal(&self, reason: String) -> Withdrawal {
        Withdrawal { seq: self.seq, stamp: self.stamp.clone(), reason }
    }
}

impl Garbage {
    fn add(&mut self, more: Self) {
        self.publications.extend(more.publications);
        self.blobs.extend(more.blobs);
        self.manifests.extend(more.manifests);
    }

    fn remove(&mut self, swept: &Self) {
        self.publications.retain(|publication| !swept.publications.contains(publication));
        self.blobs.retain(|blob| !swept.blobs.contains(blob));
        self.manifests.retain(|manifest| !swept.manifests.contains(manifest));
    }
}
