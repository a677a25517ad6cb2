//! From where a request comes. A forwarded address is believed only when a listed proxy says it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;

/// The address a request comes from. The accept loop puts it among the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The network it is in, for limits: /24 of IPv4, /48 of IPv6, as a number.
    #[must_use]
    pub fn network(self) -> u64 {
        match self.0.to_canonical() {
            IpAddr::V4(v4) => u64::from(u32::from(v4) >> 8),
            // One bit above tells the families apart.
            IpAddr::V6(v6) => 1 << 63 | u64::try_from(u128::from(v6) >> 80).unwrap_or(0),
        }
    }
}

/// Proxies whose `X-Forwarded-For` is believed. None by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<BTreeSet<IpAddr>>);

impl TrustedProxies {
    /// These, and nobody else.
    #[must_use]
    pub fn new(proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        Self(Arc::new(proxies.into_iter().map(|ip| ip.to_canonical()).collect()))
    }

    /// Whether `ip` is one of them.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }

    /// The client's address: the peer, or, when the peer is a listed proxy, the last address in `X-Forwarded-For`
    /// that is not itself a listed proxy. What stands before it was written by the client and proves nothing.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.ip();
        if self.contains(client) {
            let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok());
            let hops: Vec<&str> = forwarded.flat_map(|v| v.split(',')).map(str::trim).collect();
            for hop in hops.into_iter().rev() {
                let Ok(ip) = hop.parse::<IpAddr>() else { break };
                client = ip;
                if !self.contains(ip) {
                    break;
                }
            }
        }
        ClientAddress(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(proxies.iter().map(|p| p.parse().expect("address")));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().expect("header"));
        }
        proxies.client(format!("{peer}:9").parse().expect("peer"), &headers).0.to_string()
    }

    #[test]
    fn strangers_cannot_choose_their_address() {
        assert_eq!(client(&[], "203.0.113.5", &["198.51.100.7"]), "203.0.113.5");
        assert_eq!(client(&["192.0.2.1"], "203.0.113.5", &["198.51.100.7"]), "203.0.113.5");
    }

    #[test]
    fn a_listed_proxy_is_believed_for_one_hop() {
        assert_eq!(client(&["192.0.2.1"], "192.0.2.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&["192.0.2.1"], "192.0.2.1", &["10.9.9.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            client(&["192.0.2.1", "192.0.2.2"], "192.0.2.1", &["6.6.6.6", "198.51.100.7, 192.0.2.2"]),
            "198.51.100.7"
        );
        assert_eq!(client(&["192.0.2.1"], "192.0.2.1", &["rubbish"]), "192.0.2.1");
    }

    #[test]
    fn networks_are_prefixes() {
        let network = |ip: &str| ClientAddress(ip.parse().expect(ip)).network();
        assert_eq!(network("203.0.113.5"), network("203.0.113.250"));
        assert_ne!(network("203.0.113.5"), network("203.0.114.5"));
        assert_eq!(network("::ffff:203.0.113.5"), network("203.0.113.5"));
        assert_eq!(network("2001:db8:1::1"), network("2001:db8:1:ffff::1"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
    }
}
