//! What a route's journal adds up to, written down, so that a driver need not read all of it.
//!
//! The first line seals the rest: by which tidegate it was written, at which record, and of what content. The second
//! is all that is not a matter of floats, as JSON; then come the judges and their evidence, to the last bit.
//!
//! A snapshot is a cache. It counts only if the same version on the same kind of machine wrote it (other arithmetic
//! might come to other bits), if not a byte of it has changed, if the last record it is made of is the very one that
//! lies in the log, and if the plan is one that the journal has. Whatever else is said of it, the journal is read.

use std::{collections::BTreeSet, env::consts, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_registry::{Digest, Journal, Log, LogKey, Seq, Snapshot};

use super::{Account, Entry, Record, RolloutId};
use crate::{BoxError, Event, Plan, Request, Rollout, rollout::Outline};

const FORMAT: u32 = 1;

/// Bytes of the largest snapshot. A rollout whose evidence takes more is read from its journal.
const MOST: usize = 64 << 20;

/// Replacing a plan so often is no rollout any more.
const MOST_PLANS: usize = 16;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Seal {
    v: u32,
    by: String,
    seq: Seq,
    /// Of the last record that is folded in.
    record: Digest,
    /// Of all that follows.
    content: Digest,
}

/// The second line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Front {
    ids: BTreeSet<RolloutId>,
    holder: Option<String>,
    at: SystemTime,
    id: RolloutId,
    plans: Vec<Seq>,
    rollout: Outline,
}

/// A snapshot that is not sealed yet.
pub(super) struct Draft {
    key: LogKey,
    seq: Seq,
    content: Vec<u8>,
}

impl Draft {
    /// Of an account up to record `seq`. `None` where it is of no rollout that goes on, or too large.
    pub(super) fn new(account: &Account, key: LogKey, seq: Seq) -> Option<Self> {
        let (id, rollout) = account.latest().filter(|(_, rollout)| !rollout.state().is_end())?;
        let (outline, evidence) = rollout.outline();
        let front = Front {
            ids: account.ids.clone(),
            holder: account.holder.clone(),
            at: account.at?,
            id: id.clone(),
            plans: account.plans.clone(),
            rollout: outline,
        };
        let mut content = serde_json::to_vec(&front).ok()?;
        content.push(b'\n');
        content.extend(evidence);
        (content.len() < MOST).then_some(Self { key, seq, content })
    }

    /// Keeps it.
    pub(super) async fn keep(self, log: &dyn Log) -> Result<(), BoxError> {
        let Self { key, seq, content } = self;
        let record = log.record(&key, seq).await?.ok_or("its last record is not there")?;
        let (record, content_digest) = (Digest::of(record), Digest::of(&content));
        let seal = Seal { v: FORMAT, by: by(), seq, record, content: content_digest };
        let mut bytes = serde_json::to_vec(&seal)?;
        bytes.push(b'\n');
        bytes.extend(content);
        Ok(log.keep(&key, Snapshot { seq, bytes: bytes.into() }).await?)
    }
}

/// The account that `snapshot` was made of, if it is one of this journal that counts.
pub(super) async fn open(log: &dyn Log, key: &LogKey, snapshot: &Snapshot) -> Result<Account, BoxError> {
    if snapshot.bytes.len() > MOST {
        return Err(format!("it has {} bytes, more than {MOST}", snapshot.bytes.len()).into());
    }
    let (seal, content) = line(&snapshot.bytes)?;
    let seal: Seal = serde_json::from_slice(seal)?;
    if (seal.v, &seal.by, seal.seq) != (FORMAT, &by(), snapshot.seq) {
        return Err(format!("it is of format {}, by {}, at record {}", seal.v, seal.by, seal.seq).into());
    }
    if Digest::of(content) != seal.content {
        return Err("its content is not what was sealed".into());
    }
    let record = log.record(key, seal.seq).await?;
    if record.map(Digest::of) != Some(seal.record) {
        return Err("it was made of another journal".into());
    }
    let (front, evidence) = line(content)?;
    let Front { ids, holder, at, id, plans, rollout } = serde_json::from_slice(front)?;
    let rollout = Rollout::restore(rollout, evidence).ok_or("its parts do not make a rollout")?;
    let known = known_plans(log, key, &id, &plans).await?;
    let follows = [Some(rollout.plan()), rollout.next_plan()];
    if !ids.contains(&id) || !follows.into_iter().flatten().all(|plan| known.contains(plan)) {
        return Err("its rollout follows a plan that the journal does not have".into());
    }
    Ok(Account { ids, holder, latest: Some((id, rollout)), plans, at: Some(at) })
}

/// The plans that the journal has for a rollout in these records.
async fn known_plans(
    log: &dyn Log,
    key: &LogKey,
    id: &RolloutId,
    plans: &[Seq],
) -> Result<Vec<Plan>, BoxError> {
    if plans.len() > MOST_PLANS {
        return Err(format!("its plan was replaced {} times", plans.len()).into());
    }
    let mut known = Vec::new();
    for (i, &seq) in plans.iter().enumerate() {
        match Journal::<Entry>::record(log, key, seq).await?.map(|entry| entry.record) {
            Some(Record::Open { id: opened, plan }) if i == 0 && opened == *id => known.push(*plan),
            Some(Record::Happen(Event::Ask(Request::Replace { plan, .. }))) if i > 0 => known.push(*plan),
            _ => return Err(format!("record {seq} has no plan of rollout {id}").into()),
        }
    }
    Ok(known)
}

/// The first line of `bytes`, and the rest.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), BoxError> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

/// Who writes snapshots that are read here. Other machines may come to other last bits.
fn by() -> String {
    format!("tidegate {} on {} {}", env!("CARGO_PKG_VERSION"), consts::OS, consts::ARCH)
}
