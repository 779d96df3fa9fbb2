//! Who may be asked by checks that go only where they are allowed to: those of load, and a first look.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use url::{Host, Url};

use crate::excerpt::excerpt;

/// Who may be sent load: this machine, and hosts that are named. Load on anybody else is an attack.
///
/// This machine is `localhost`, or an address of the loopback interface written out. Any other name is refused even if
/// it leads here now: it may lead elsewhere by the next request (DNS rebinding). Of a name that is allowed it is for the
/// caller to say where it leads; who sends to the [`addresses`](Destination::addresses) that were found once, as
/// `load::Plain` does, is led nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    hosts: BTreeSet<String>,
}

/// Where load may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The URL.
    #[cfg(feature = "load")]
    pub(crate) url: Url,
    /// The host as the URL says it.
    pub host: String,
    /// Where it is.
    pub addresses: Vec<SocketAddr>,
}

/// Why nobody is sent load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The host is not this machine and was not named. Name it, if it is yours.
    #[error("`{host}` {why}; load goes to 127.0.0.1, and to hosts that are yours and named in `allow_hosts`")]
    Host {
        /// The host.
        host: String,
        /// Why it is none.
        why: &'static str,
    },
    /// It is no address of a server. Write a URL such as `http://127.0.0.1:8080/v1`.
    #[error("`{url}` is no URL that load can go to: {why}; write one such as http://127.0.0.1:8080/v1")]
    Url {
        /// What was written, without what may be a secret.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The name of the host leads nowhere. Check it, and the network.
    #[error("nobody knows where `{host}` is; check its name, and the network")]
    Unknown {
        /// The host.
        host: String,
        /// Why not.
        source: io::Error,
    },
}

impl Destinations {
    /// This machine alone.
    #[must_use]
    pub fn here() -> Self {
        Self::default()
    }

    /// These, and `host`: a name or an address, without a port.
    #[must_use]
    pub fn allow(mut self, host: impl AsRef<str>) -> Self {
        self.hosts.insert(plain(host.as_ref()));
        self
    }

    /// Where `url` leads, if load may go there.
    ///
    /// # Errors
    ///
    /// [`Forbidden`] says why it may not, and what to do.
    pub async fn find(&self, url: &str) -> Result<Destination, Forbidden> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let url = read(url)?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(flaw(&url, "it names no host"));
        };
        let (name, address) = match host {
            Host::Domain(name) => (plain(name), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        let allowed = self.hosts.contains(&name);
        let forbidden = |why| Err(Forbidden::Host { host: excerpt(&name, 100), why });
        if let Some(address) = address {
            if !allowed && !address.to_canonical().is_loopback() {
                return forbidden("is not this machine");
            }
            return Ok(Destination {
                host: name,
                addresses: vec![(address, port).into()],
                #[cfg(feature = "load")]
                url,
            });
        }
        if !allowed && name != "localhost" {
            return forbidden("is a name, which can lead anywhere");
        }
        let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name.as_str(), port))).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let addresses: Vec<_> =
            found.map_err(|source| Forbidden::Unknown { host: excerpt(&name, 100), source })?.collect();
        if addresses.is_empty() {
            return Err(Forbidden::Unknown { host: name, source: io::ErrorKind::NotFound.into() });
        }
        if !allowed && !addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
            return forbidden("is not this machine here");
        }
        Ok(Destination {
            host: name,
            addresses,
            #[cfg(feature = "load")]
            url,
        })
    }
}

impl Destination {
    /// Whether it is this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().to_canonical().is_loopback())
    }
}

fn read(text: &str) -> Result<Url, Forbidden> {
    let wrong = |why: String| {
        // What stands before an `@` or behind a `?` may be a secret.
        let shown = text.split(['?', '#']).next().unwrap_or_default();
        let shown = if text.contains('@') { "(hidden)".to_owned() } else { excerpt(shown, 100) };
        Forbidden::Url { url: shown, why }
    };
    let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds credentials".to_owned()));
    }
    Ok(url)
}

fn flaw(url: &Url, why: &str) -> Forbidden {
    Forbidden::Url { url: excerpt(url.path(), 100), why: why.to_owned() }
}

/// A host as it is compared.
fn plain(host: &str) -> String {
    let host = host.trim().trim_end_matches('.').trim_start_matches('[').trim_end_matches(']');
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn host(allowed: &[&str], url: &str) -> Result<Destination, Forbidden> {
        allowed.iter().fold(Destinations::here(), Destinations::allow).find(url).await
    }

    #[tokio::test]
    async fn this_machine_may_be_sent_load_however_it_is_written() {
        for url in [
            "http://127.0.0.1:80/v1",
            "http://localhost:1234",
            "http://LOCALHOST.:1234",
            "https://127.9.9.9/",
            "http://[::1]:8080/v1",
            "http://[::ffff:127.0.0.1]:8080/v1",
            "http://0x7f.1/",
        ] {
            let found = host(&[], url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
            assert!(found.is_here() && !found.addresses.is_empty(), "{found:?}");
        }
    }

    #[tokio::test]
    async fn nobody_else_is_unless_named() {
        for url in [
            "http://10.0.0.1/v1",
            "http://0.0.0.0:80/",
            "http://169.254.169.254/latest",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost.example.com/",
            "http://127.0.0.1.nip.io/",
            "http://example.com/",
        ] {
            let error = host(&["10.0.0.2"], url).await.unwrap_err();
            assert!(matches!(error, Forbidden::Host { .. }), "{url}: {error}");
            assert!(error.to_string().contains("allow_hosts"), "{error}");
        }
        let found = host(&["10.0.0.2"], "http://10.0.0.2:99/v1").await.unwrap();
        assert_eq!(
            (found.addresses, found.host.as_str()),
            (vec!["10.0.0.2:99".parse().unwrap()], "10.0.0.2")
        );
        assert!(host(&["[fd00::1]"], "http://[fd00::1]/").await.is_ok());
    }

    #[tokio::test]
    async fn what_is_no_server_is_said_without_secrets() {
        for url in ["", "ftp://127.0.0.1/", "http://ada:sesame@127.0.0.1/", "http://?key=sesame"] {
            let error = host(&[], url).await.unwrap_err();
            assert!(matches!(error, Forbidden::Url { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("sesame"), "{error}");
        }
    }
}
