//! Who a server is: its https origin.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::{Host, Url};

/// Why a URL does not name a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Not a URL at all.
    #[error("not an address such as https://kino.example (in development, http://127.0.0.1:PORT)")]
    NotAUrl,
    /// Servers speak https.
    #[error("a server's address begins with https:// (in development, with http://127.0.0.1:PORT)")]
    NotHttps,
    /// Servers are named, not numbered.
    #[error("a server is named by a domain, not by an IP address")]
    IpAddress,
    /// An origin is scheme and host: no user, no port, no path, no query.
    #[error("a server's address is https:// and a domain, without user, port, path or query")]
    NotAnOrigin,
    /// A domain has at least two labels and no dot at the end.
    #[error("not the domain of a server on the public network, such as https://kino.example")]
    NotADomain,
}

/// Which origins are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginPolicy {
    /// `https://domain` only.
    Public,
    /// For development: `http://127.0.0.1:PORT`, too.
    Loopback,
}

/// The name of a server: `https://` and a domain in lower-case A-labels. Compared as text.
///
/// ```
/// use admit_protocol::origin::{Origin, OriginPolicy::Public};
/// assert_eq!(Origin::parse("https://Kino.Example/", Public)?.as_str(), "https://kino.example");
/// assert!(Origin::parse("https://192.0.2.7", Public).is_err());
/// # Ok::<(), admit_protocol::origin::OriginError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Box<str>);

impl Origin {
    /// Reads an origin.
    ///
    /// # Errors
    /// When the URL is anything but scheme and host, as `policy` lets in.
    pub fn parse(text: &str, policy: OriginPolicy) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError::NotAUrl)?;
        if !matches!(url.path(), "/" | "") || url.query().is_some() || url.fragment().is_some() {
            return Err(OriginError::NotAnOrigin);
        }
        Self::of(&url, policy)
    }

    /// The origin that `url` points into.
    ///
    /// # Errors
    /// When its scheme, user, host or port are not those of a server.
    pub fn of(url: &Url, policy: OriginPolicy) -> Result<Self, OriginError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::NotAnOrigin);
        }
        if policy == OriginPolicy::Loopback
            && url.scheme() == "http"
            && url.host() == Some(Host::Ipv4(Ipv4Addr::LOCALHOST))
            && let Some(port) = url.port()
        {
            return Ok(Self(format!("http://127.0.0.1:{port}").into()));
        }
        if url.scheme() != "https" {
            return Err(OriginError::NotHttps);
        }
        if url.port().is_some() {
            return Err(OriginError::NotAnOrigin);
        }
        match url.host() {
            Some(Host::Domain(domain)) if is_public_domain(domain) => Ok(Self(format!("https://{domain}").into())),
            Some(Host::Domain(_)) | None => Err(OriginError::NotADomain),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => Err(OriginError::IpAddress),
        }
    }

    /// The origin as text, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, and the port of a development server.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether this is a development server on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// A URL on this origin; `path` begins with `/`.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// Two labels at least, each of the letters, digits and hyphens that DNS has (RFC 1123), the last not a number.
fn is_public_domain(domain: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(label)
        && !last.bytes().all(|b| b.is_ascii_digit())
        && !matches!(last, "localhost" | "local" | "internal" | "onion")
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Origin {
    /// Reads any origin, development ones too: whether one is acceptable is decided where it is used.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        let origin = Self::parse(&text, OriginPolicy::Loopback).map_err(de::Error::custom)?;
        // One server, one name: `https://A.example/` is read from people, never from the wire.
        if origin.as_str() == text { Ok(origin) } else { Err(de::Error::custom(OriginError::NotAnOrigin)) }
    }
}
impl JsonSchema for Origin {
    fn schema_name() -> Cow<'static, str> {
        "Origin".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^(https://[a-z0-9-]+(\.[a-z0-9-]+)+|http://127\.0\.0\.1:[0-9]{1,5})$",
            "description": "https:// and a domain in lower-case A-labels; http://127.0.0.1:PORT in development only.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_one_way() {
        for (given, kept) in [
            ("https://kino.example", "https://kino.example"),
            ("HTTPS://KINO.Example:443/", "https://kino.example"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://ｋｉｎｏ.example", "https://kino.example"),
        ] {
            assert_eq!(Origin::parse(given, OriginPolicy::Public).expect(given).as_str(), kept);
        }
    }

    #[test]
    fn what_only_looks_like_a_server_is_refused() {
        for bad in [
            "",
            "kino.example",
            "http://kino.example",
            "https://kino.example:8443",
            "https://u@kino.example",
            "https://kino.example/x",
            "https://kino.example/?q",
            "https://kino.example/#f",
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://[::1]",
            "https://localhost",
            "https://kino.example.",
            "https://kino..example",
            "https://-kino.example",
            "https://kino_x.example",
            "https://printer.local",
            "ftp://kino.example",
            "https://",
            "https://a.b.1",
            "http://127.0.0.1:80800",
            "javascript:alert(1)",
        ] {
            assert!(Origin::parse(bad, OriginPolicy::Public).is_err(), "{bad}");
        }
    }

    #[test]
    fn development_servers_need_the_switch() {
        let text = "http://127.0.0.1:4000";
        assert_eq!(Origin::parse(text, OriginPolicy::Public), Err(OriginError::NotHttps));
        assert!(Origin::parse(text, OriginPolicy::Loopback).expect(text).is_loopback());
        for bad in ["http://127.0.0.2:4000", "http://localhost:4000", "http://127.0.0.1", "http://[::1]:4000"] {
            assert!(Origin::parse(bad, OriginPolicy::Loopback).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_on_the_wire_is_not_tidied_up() {
        assert!(serde_json::from_str::<Origin>(r#""https://kino.example""#).is_ok());
        for bad in ["https://kino.example/", "https://Kino.example", "https://kino.example:443"] {
            assert!(serde_json::from_str::<Origin>(&format!("{bad:?}")).is_err(), "{bad}");
        }
    }
}
