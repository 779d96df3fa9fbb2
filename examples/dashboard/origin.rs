//! Under which names this dashboard is reached, and what comes from its own pages.

use std::{net::SocketAddr, str::FromStr};

use axum::http::{
    HeaderMap, Request,
    header::{HOST, HeaderName, ORIGIN},
};
use url::{Host, Url};

/// A URL that people reach it by: `https`, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: &'static str,
    /// The host, with the port unless it is the scheme's own.
    authority: String,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Origins {
    public: Option<Origin>,
    local: Vec<Origin>,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Origins {
    /// Those of a server on `address`. Once there is a public one, nothing else is answered.
    pub(crate) fn new(address: SocketAddr, public: Option<Origin>) -> Self {
        let port = address.port();
        let names = [address.ip().to_string(), "localhost".to_owned()];
        let local = names.into_iter().map(|name| Origin {
            scheme: "http",
            authority: match name.contains(':') {
                true => format!("[{name}]:{port}"),
                false if port == 80 => name,
                false => format!("{name}:{port}"),
            },
        });
        Self { local: if public.is_some() { Vec::new() } else { local.collect() }, public }
    }

    /// The one to tell people.
    pub(crate) fn advertised(&self) -> String {
        let told = self.public.as_ref().or_else(|| self.local.first());
        told.map(|origin| format!("{}://{}", origin.scheme, origin.authority)).unwrap_or_default()
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.public.as_ref().is_some_and(|origin| origin.scheme == "https")
    }

    /// Whether the request is for one of these names. A page of somebody else whose name was made to lead here
    /// (DNS rebinding) asks for another.
    pub(crate) fn expects<B>(&self, request: &Request<B>) -> bool {
        let mut hosts = request.headers().get_all(HOST).iter();
        match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next(), request.uri().authority()) {
            (Some(host), None, None) => self.knows(host),
            (Some(host), None, Some(authority)) => authority.as_str() == host && self.knows(host),
            _ => false,
        }
    }

    /// Whether the browser says that a page of this dashboard sends the request. One that says nothing does not.
    pub(crate) fn sent(&self, headers: &HeaderMap) -> bool {
        let said = |name| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => None,
                (Some(value), None) => Some(value.to_str().unwrap_or("?")),
                // A browser says it once.
                (Some(_), Some(_)) => Some("?"),
            }
        };
        let site = said(SEC_FETCH_SITE).map(|site| site == "same-origin");
        let origin = said(ORIGIN).map(|origin| self.all().any(|ours| ours.is(origin)));
        match (site, origin) {
            (None, None) => false,
            (site, origin) => site.unwrap_or(true) && origin.unwrap_or(true),
        }
    }

    fn knows(&self, host: &str) -> bool {
        self.all().any(|origin| origin.authority.eq_ignore_ascii_case(host))
    }

    fn all(&self) -> impl Iterator<Item = &Origin> {
        self.public.iter().chain(&self.local)
    }
}

impl Origin {
    fn is(&self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(scheme, authority)| {
            scheme == self.scheme && authority.eq_ignore_ascii_case(&self.authority)
        })
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let url = Url::parse(s).map_err(|error| format!("{error}; write https://HOST"))?;
        let bare = matches!(url.path(), "/" | "") && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("write only https://HOST or https://HOST:PORT".to_owned());
        }
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err("it names no host; write https://HOST".to_owned()),
        };
        let scheme = match url.scheme() {
            "https" => "https",
            "http" if local => "http",
            _ => return Err("tokens must not travel in the clear; write https://HOST".to_owned()),
        };
        Ok(Self { scheme, authority: url[url::Position::BeforeHost..url::Position::AfterPort].to_owned() })
    }
}
