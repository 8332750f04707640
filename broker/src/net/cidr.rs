//! A range of IP addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3).

use std::{fmt, net::IpAddr, str::FromStr};

/// A text that is not a range.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("not an address range like 10.0.0.0/8 or fd00::/8 with no bits set after the prefix")]
pub struct BadCidr;

/// A range of IPv4 or IPv6 addresses. An IPv4 range holds no IPv6 address, mapped or not, and the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Whether `address` is in this range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }

    /// Whether the whole range is loopback (127.0.0.0/8 or ::1).
    pub fn is_loopback(&self) -> bool {
        match self.network {
            IpAddr::V4(network) => network.is_loopback() && self.prefix >= 8,
            IpAddr::V6(network) => network.is_loopback() && self.prefix == 128,
        }
    }

    fn has_bits_after_prefix(&self) -> bool {
        match self.network {
            IpAddr::V4(network) => network.to_bits().checked_shl(u32::from(self.prefix)).unwrap_or(0) != 0,
            IpAddr::V6(network) => network.to_bits().checked_shl(u32::from(self.prefix)).unwrap_or(0) != 0,
        }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (network, prefix) = text.split_once('/').ok_or(BadCidr)?;
        let network: IpAddr = network.parse().map_err(|_| BadCidr)?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadCidr);
        }
        let prefix: u8 = prefix.parse().map_err(|_| BadCidr)?;
        let cidr = Self { network, prefix };
        let longest = if network.is_ipv4() { 32 } else { 128 };
        // Bits after the prefix mean that the operator meant something else than what would be allowed.
        if prefix > longest || cidr.has_bits_after_prefix() { Err(BadCidr) } else { Ok(cidr) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "203.0.113.9", "::"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.8"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("::1/128", "::1", "::2"),
            ("127.0.0.0/8", "127.0.0.1", "::ffff:127.0.0.1"),
        ] {
            let cidr: Cidr = range.parse().unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{inside} in {range}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{outside} not in {range}");
            assert_eq!(cidr.to_string(), range);
        }
    }

    #[test]
    fn only_wholly_loopback_ranges_are_loopback() {
        for (range, loopback) in [
            ("127.0.0.0/8", true),
            ("127.0.0.1/32", true),
            ("::1/128", true),
            ("126.0.0.0/7", false),
            ("::/0", false),
        ] {
            assert_eq!(range.parse::<Cidr>().unwrap().is_loopback(), loopback, "{range}");
        }
    }

    #[test]
    fn malformed_ranges_are_errors() {
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "fd00::1/8",
            "a/8",
            "10.0.0.0/+8",
            "10.0.0.0/256",
        ] {
            assert_eq!(bad.parse::<Cidr>(), Err(BadCidr), "{bad}");
        }
    }
}
