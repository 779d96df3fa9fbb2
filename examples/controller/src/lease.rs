//! Who drives a release: a Lease beside it.
//!
//! It says who is alive, so that a release whose replica died is taken over. It does not make anything safe:
//! a replica that slept through the loss of its lease is stopped by the fence of the journal.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client, Error, Resource as _, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};
use tidegate::canary::WallClock;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::resource::Release;

/// How long a lease holds, and how eagerly it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whoever has not renewed it for so long has lost it.
    pub(crate) duration: Duration,
    /// Whoever could not renew it for so long stops.
    pub(crate) renew_within: Duration,
    /// How often it is renewed, or looked at.
    pub(crate) retry: Duration,
}

/// Takes leases in the name of one replica.
pub(crate) struct Elector {
    pub(crate) client: Client,
    pub(crate) replica: String,
    pub(crate) terms: Terms,
    pub(crate) clock: WallClock,
}

/// Since when a lease is seen to be as it is. Clocks of replicas may differ, so only one's own counts.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    version: Option<String>,
    since: Instant,
}

/// How an attempt to take a lease ended.
pub(crate) enum Taken {
    /// It is ours.
    Ours(Box<Held>),
    /// Somebody else has it, at least for so long.
    Theirs(Duration),
}

/// A lease that is ours, for as long as it is kept.
pub(crate) struct Held {
    elector: Arc<Elector>,
    lease: Lease,
    renewed: Instant,
}

/// Who may have a lease.
#[derive(Debug, PartialEq)]
enum Claim {
    Open,
    Theirs(Duration),
}

impl Terms {
    pub(crate) fn check(self) -> Result<Self, &'static str> {
        let Self { duration, renew_within, retry } = self;
        match () {
            () if retry.is_zero() => Err("the retry period must be longer than nothing"),
            () if renew_within <= retry => Err("the renew deadline must be longer than the retry period"),
            () if duration <= renew_within || duration.subsec_nanos() != 0 => {
                Err("the lease must last whole seconds, and longer than the renew deadline")
            }
            () => Ok(self),
        }
    }
}

impl Elector {
    /// Takes the lease of `release`, if nobody has it. Of two who try, one does. Whoever holds some already lets
    /// others go first, so that replicas share releases.
    pub(crate) async fn take(
        self: &Arc<Self>,
        release: &Release,
        sight: &mut Option<Sight>,
    ) -> Result<Taken> {
        // Each lease that is held has a reference to this.
        let busy = Arc::strong_count(self) - 1;
        let api = self.leases(release);
        let name = format!("tidegate-{}", release.name_any());
        let read =
            || async { api.get_opt(&name).await.with_context(|| format!("cannot read the Lease {name}")) };
        let mut lease = read().await?;
        if self.claim(lease.as_ref(), sight) == Claim::Open && busy > 0 {
            sleep(self.terms.retry.mul_f64(busy as f64 / (busy + 1) as f64)).await;
            lease = read().await?;
        }
        if let Claim::Theirs(left) = self.claim(lease.as_ref(), sight) {
            return Ok(Taken::Theirs(left));
        }
        let before = Instant::now();
        let taken = match lease {
            None => api.create(&PostParams::default(), &self.first(release, name.clone())).await,
            Some(mut lease) => {
                self.sign(lease.spec.get_or_insert_default());
                api.replace(&name, &PostParams::default(), &lease).await
            }
        };
        match taken {
            Ok(lease) => {
                let held = Held { elector: Arc::clone(self), lease, renewed: before };
                Ok(Taken::Ours(Box::new(held)))
            }
            Err(error) if is_conflict(&error) => Ok(Taken::Theirs(self.terms.retry)),
            Err(error) => Err(error).with_context(|| format!("cannot take the Lease {name}")),
        }
    }

    fn leases(&self, release: &Release) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &release.namespace().unwrap_or_default())
    }

    fn claim(&self, lease: Option<&Lease>, sight: &mut Option<Sight>) -> Claim {
        let Some(lease) = lease else { return Claim::Open };
        let version = lease.resource_version();
        let since = match sight {
            Some(seen) if seen.version == version => seen.since,
            _ => sight.insert(Sight { version, since: Instant::now() }).since,
        };
        claim(lease.spec.as_ref(), &self.replica, since.elapsed(), self.terms)
    }

    fn first(&self, release: &Release, name: String) -> Lease {
        let mut spec = LeaseSpec::default();
        self.sign(&mut spec);
        // It goes with the release.
        let owner = release.owner_ref(&());
        let metadata = ObjectMeta {
            name: Some(name),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// Makes it ours.
    fn sign(&self, spec: &mut LeaseSpec) {
        let now = self.now();
        let changes = spec.holder_identity.as_ref() != Some(&self.replica);
        spec.lease_transitions = match spec.lease_transitions {
            None => Some(0),
            Some(transitions) => Some(transitions.saturating_add(i32::from(changes))),
        };
        spec.holder_identity = Some(self.replica.clone());
        spec.lease_duration_seconds = i32::try_from(self.terms.duration.as_secs()).ok();
        spec.acquire_time = Some(now.clone());
        spec.renew_time = Some(now);
    }

    fn now(&self) -> MicroTime {
        MicroTime(Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl Held {
    /// Renews it again and again; returns once it may be lost.
    pub(crate) async fn keep(&mut self) {
        let terms = self.elector.terms;
        loop {
            sleep(terms.retry).await;
            let deadline = self.renewed + terms.renew_within;
            let before = Instant::now();
            match timeout_at(deadline.min(before + terms.renew_within / 2), self.renew()).await {
                Ok(Ok(())) => self.renewed = before,
                Ok(Err(error)) if is_conflict(&error) => {
                    // It was perhaps our own renewal, whose answer was lost.
                    if !matches!(timeout_at(deadline, self.reread()).await, Ok(true)) {
                        return;
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "a lease was not renewed"),
                Err(_) => tracing::warn!("a lease was not renewed in time"),
            }
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Lets others have it at once.
    pub(crate) async fn give_back(mut self: Box<Self>) {
        let name = self.lease.name_any();
        if let Some(spec) = &mut self.lease.spec {
            spec.holder_identity = None;
        }
        let (api, params) = (self.api(), PostParams::default());
        let replace = api.replace(&name, &params, &self.lease);
        if !matches!(timeout(self.elector.terms.renew_within, replace).await, Ok(Ok(_))) {
            tracing::debug!(name, "a lease was not given back; it expires");
        }
    }

    async fn renew(&mut self) -> kube::Result<()> {
        let mut lease = self.lease.clone();
        lease.spec.get_or_insert_default().renew_time = Some(self.elector.now());
        self.lease = self.api().replace(&lease.name_any(), &PostParams::default(), &lease).await?;
        Ok(())
    }

    /// Whether it is still ours, as it is now.
    async fn reread(&mut self) -> bool {
        let Ok(lease) = self.api().get(&self.lease.name_any()).await else { return false };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
        let ours = holder == Some(&self.elector.replica);
        self.lease = lease;
        ours
    }

    fn api(&self) -> Api<Lease> {
        let namespace = self.lease.namespace().unwrap_or_default();
        Api::namespaced(self.elector.client.clone(), &namespace)
    }
}

/// Whose a lease is that has been as it is for `unchanged`.
fn claim(spec: Option<&LeaseSpec>, replica: &str, unchanged: Duration, terms: Terms) -> Claim {
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    // One of our own is of a process before this one.
    if holder.is_none_or(|holder| holder == replica) {
        return Claim::Open;
    }
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|secs| u64::try_from(secs).ok());
    let left = seconds.map_or(terms.duration, Duration::from_secs).saturating_sub(unchanged);
    if left.is_zero() { Claim::Open } else { Claim::Theirs(left) }
}

pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        duration: Duration::from_secs(15),
        renew_within: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };

    fn held(by: &str, seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            lease_duration_seconds: seconds,
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_open_once_it_has_not_changed_for_as_long_as_its_holder_said() {
        let after =
            |spec: &LeaseSpec, unchanged| claim(Some(spec), "a", Duration::from_secs(unchanged), TERMS);
        let theirs = |left| Claim::Theirs(Duration::from_secs(left));
        let lease = held("b", Some(20));
        assert_eq!(after(&lease, 0), theirs(20));
        assert_eq!(after(&lease, 19), theirs(1));
        assert_eq!(after(&lease, 20), Claim::Open);
        for unsaid in [held("b", None), held("b", Some(-1))] {
            assert_eq!((after(&unsaid, 14), after(&unsaid, 15)), (theirs(1), Claim::Open));
        }
        for open in [held("", Some(20)), held("a", Some(20)), LeaseSpec::default()] {
            assert_eq!(after(&open, 0), Claim::Open);
        }
        assert_eq!(claim(None, "a", Duration::ZERO, TERMS), Claim::Open);
    }

    #[test]
    fn terms_that_would_let_two_act_are_refused() {
        assert!(TERMS.check().is_ok());
        for bad in [
            Terms { duration: TERMS.renew_within, ..TERMS },
            Terms { renew_within: TERMS.retry, ..TERMS },
            Terms { retry: Duration::ZERO, ..TERMS },
            Terms { duration: Duration::from_millis(15_500), ..TERMS },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
