//! The address a request came from.
//!
//! Behind a load balancer the connection is the balancer's, and the client's address is what it wrote in
//! `X-Forwarded-For`. Anybody can send that header, so it is believed only from the proxies that the operator names, and
//! only as far as they can vouch for it: from the right, up to the first address that is not one of theirs.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};

/// The header proxies write in.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Addresses with a common beginning: one address, or a range such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// A text that is no address and no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither an IP address nor a range of them such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| InvalidNetwork)?)),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits { Err(InvalidNetwork) } else { Ok(Self { address, prefix }) }
    }
}

impl Network {
    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same_beginning(u128::from(u32::from(own)), u128::from(u32::from(other)), 32 - self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same_beginning(own.into(), other.into(), 128 - self.prefix),
            _ => false,
        }
    }
}

/// Whether two numbers are the same but for their last bits.
fn same_beginning(one: u128, other: u128, last: u32) -> bool {
    (one ^ other).checked_shr(last).unwrap_or(0) == 0
}

/// Where a request came from; `None` if the server was not told of its connections.
pub(crate) fn of_request(extensions: &Extensions, headers: &HeaderMap, proxies: &[Network]) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    Some(behind(peer, headers, proxies))
}

fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut address = peer;
    while is_proxy(address) {
        match hops.next().and_then(|hop| hop.trim().parse::<IpAddr>().ok()) {
            Some(hop) => address = hop.to_canonical(),
            None => break,
        }
    }
    address
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(peer: &str, lines: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies: Vec<Network> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        behind(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn the_header_is_believed_from_named_proxies_only() {
        assert_eq!(found("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(found("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(found("10.0.0.1", &["198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(found("::1", &["2001:db8::7"], &["::1"]), "2001:db8::7");
    }

    #[test]
    fn what_a_client_wrote_itself_is_passed_over() {
        let proxies = ["10.0.0.0/8", "127.0.0.1"];
        assert_eq!(found("127.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.3.4"], &proxies), "198.51.100.1");
        assert_eq!(found("127.0.0.1", &["1.1.1.1", "198.51.100.1", "10.2.3.4"], &proxies), "198.51.100.1");
    }

    #[test]
    fn nonsense_ends_the_search() {
        for lines in [&[][..], &[""], &["unknown"], &["198.51.100.1, unknown"]] {
            assert_eq!(found("10.0.0.1", lines, &["10.0.0.1"]), "10.0.0.1", "{lines:?}");
        }
        assert_eq!(found("10.0.0.1", &["unknown, 10.0.0.7"], &["10.0.0.0/24"]), "10.0.0.7");
    }

    #[test]
    fn networks_are_read_and_hold_what_they_say() {
        let holds =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(holds("192.168.4.0/22", "192.168.7.255") && !holds("192.168.4.0/22", "192.168.8.0"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(holds("2001:db8::/32", "2001:db8:ff::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && holds("::/0", "2001:db8::1") && !holds("::/0", "203.0.113.9"));
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "10.0.0.1:80"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }
}
