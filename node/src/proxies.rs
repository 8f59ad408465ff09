//! Which address a request came from, when there are proxies in front.

use std::{net::IpAddr, str::FromStr};

use http::HeaderMap;

/// Networks whose `x-forwarded-for` is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Vec<Network>);

/// An address block, `10.0.0.0/8` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Not an address block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address, or an address and a prefix length as in 10.0.0.0/8")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| NotANetwork)?,
            None => most,
        };
        (bits <= most)
            .then_some(Self { address, bits })
            .ok_or(NotANetwork)
    }
}

impl Network {
    fn contains(&self, other: IpAddr) -> bool {
        let differ = match (self.address, other.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let width = 32 - u32::from(self.bits);
                u128::from(
                    (ours.to_bits() ^ other.to_bits())
                        .checked_shr(width)
                        .unwrap_or(0),
                )
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let width = 128 - u32::from(self.bits);
                (ours.to_bits() ^ other.to_bits())
                    .checked_shr(width)
                    .unwrap_or(0)
            }
            _ => return false,
        };
        differ == 0
    }
}

impl TrustedProxies {
    /// Whether this peer is one of them.
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(peer))
    }

    /// The client's address: the last one in `x-forwarded-for` that no trusted proxy has, if the
    /// peer is a trusted proxy. What stands before it may be invented.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.contains(peer) {
            return peer;
        }
        let values = headers.get_all("x-forwarded-for");
        let hops: Vec<&str> = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            match hop.trim().parse() {
                Ok(address) if self.contains(address) => client = address,
                Ok(address) => return address,
                Err(_) => break,
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = TrustedProxies(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(client(&[], "1.1.1.1", &["2.2.2.2"]), "1.1.1.1");
        assert_eq!(client(&["10.0.0.0/8"], "1.1.1.1", &["2.2.2.2"]), "1.1.1.1");
    }

    #[test]
    fn the_last_untrusted_hop_counts() {
        let trusted = ["10.0.0.0/8", "::1"];
        assert_eq!(
            client(&trusted, "10.1.2.3", &["9.9.9.9, 2.2.2.2, 10.0.0.7"]),
            "2.2.2.2"
        );
        assert_eq!(client(&trusted, "::1", &["9.9.9.9", "2.2.2.2"]), "2.2.2.2");
        assert_eq!(client(&trusted, "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client(&trusted, "10.1.2.3", &["10.0.0.9"]), "10.0.0.9");
        assert_eq!(client(&trusted, "10.1.2.3", &["junk, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(client(&trusted, "10.1.2.3", &["2.2.2.2, junk"]), "10.1.2.3");
    }

    #[test]
    fn networks_are_parsed_strictly() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
        let everything: Network = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains("8.8.8.8".parse().unwrap()));
        assert!(!everything.contains("::1".parse().unwrap()));
    }
}
