//! Which addresses may be connected to. Public ones; others only where the operator said so by range (NE2).

use super::Cidr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public, from the IANA special-purpose registries (RFC 6890).
fn is_special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0 | 10 | 127, _, _) => true,              // this network, private, loopback
        (100, 64..=127, _) => true,                // CGNAT (RFC 6598)
        (169, 254, _) => true,                     // link-local, and every cloud's metadata service
        (172, 16..=31, _) | (192, 168, _) => true, // private (RFC 1918)
        (192, 0, 0 | 2) | (192, 88, 99) => true,   // protocol assignments, documentation, 6to4 relays
        (198, 18..=19, _) => true,                 // benchmarks (RFC 2544)
        (198, 51, 100) | (203, 0, 113) => true,    // documentation
        (224..=255, _, _) => true,                 // multicast, reserved, broadcast
        _ => false,
    }
}

/// Everything outside global unicast (2000::/3) is special: loopback, unspecified, IPv4-mapped and -compatible,
/// NAT64 (64:ff9b::), discard, ULA, link-local, site-local, multicast. Inside it a few blocks are.
fn is_special_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    match (a, b) {
        (0x2001, 0x0000..=0x01ff) => true, // protocol assignments: Teredo, benchmarks, ORCHID
        (0x2001, 0x0db8) => true,          // documentation
        (0x2002, _) => true,               // 6to4, which carries any IPv4 address
        (0x3fff, 0x0000..=0x0fff) => true, // documentation (RFC 9637)
        _ => a & 0xe000 != 0x2000,
    }
}

/// Whether `address` is not a public unicast address.
pub fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => is_special_v6(address),
    }
}

/// Whether `address` may be connected to: public, or in one of `allowed`.
///
/// An IPv4-mapped address is not taken for the IPv4 address in it: no IPv4 range allows it.
pub fn may_connect(address: IpAddr, allowed: &[Cidr]) -> bool {
    !is_special(address) || allowed.iter().any(|range| range.contains(address))
}
