//! How many of something one listener holds at once, altogether and from one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// A bounded number of places. One address has at most a share of them, so that one caller alone shuts nobody out; whoever
/// puts every client behind one address has that share.
#[derive(Clone)]
pub struct Slots {
    most: usize,
    each: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One place; given back when dropped.
pub struct Slot {
    slots: Slots,
    from: IpAddr,
}

impl Slots {
    /// `most` places, half of them for one address.
    pub fn new(most: usize) -> Self {
        Self::shared(most, 2)
    }

    /// `most` places, one in so many of them for one address.
    pub fn shared(most: usize, one_in: usize) -> Self {
        Self { most, each: most.div_ceil(one_in), held: Arc::default() }
    }

    /// `None` when too many are held from this address, or altogether.
    pub fn take(&self, from: IpAddr) -> Option<Slot> {
        let from = customer(from);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.by_address.get(&from).copied().unwrap_or_default();
        if held.all >= self.most || own >= self.each {
            return None;
        }
        held.all += 1;
        held.by_address.insert(from, own + 1);
        Some(Slot { slots: self.clone(), from })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.slots.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= 1;
        let own = held.by_address.get(&self.from).copied().unwrap_or_default();
        if own > 1 {
            held.by_address.insert(self.from, own - 1);
        } else {
            held.by_address.remove(&self.from);
        }
    }
}

/// One IPv6 customer is a /64.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Proves: AV1
    #[test]
    fn av1_one_address_has_half_of_the_places_and_all_come_back() {
        let slots = Slots::new(4);
        let first = slots.take(ip("192.0.2.1")).unwrap();
        let second = slots.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(slots.take(ip("192.0.2.1")).is_none(), "half of them");
        let _six = slots.take(ip("2001:db8::1")).unwrap();
        let _same = slots.take(ip("2001:db8::2:1")).unwrap();
        assert!(slots.take(ip("198.51.100.1")).is_none(), "all of them");
        drop(first);
        assert!(slots.take(ip("2001:db8::ffff")).is_none(), "one customer's network");
        let _other = slots.take(ip("198.51.100.1")).unwrap();
        drop(second);
        assert!(slots.take(ip("192.0.2.1")).is_some());
        assert_eq!(slots.held.lock().unwrap().by_address.len(), 2, "nothing is kept of who is gone");
    }
}
