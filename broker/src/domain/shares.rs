//! Places that claimants share: whoever holds many leaves room for the next (AV4).

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Counts who holds how many of a number of places. A claimant is refused a further one while it holds more than are free: one
/// alone gets half of them, two that want all get a third each, and there is always some room for whoever comes next.
///
/// Claimants are names from the configuration, and so there are few: their counters are kept.
pub struct Shares<K> {
    most: usize,
    all: Arc<AtomicUsize>,
    each: RwLock<HashMap<K, Arc<AtomicUsize>>>,
}

/// One place; given back when dropped.
#[derive(Debug)]
pub struct Share {
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl<K: Eq + Hash> Shares<K> {
    /// Of `most` places.
    pub fn new(most: usize) -> Self {
        Self { most, all: Arc::default(), each: RwLock::default() }
    }

    /// `None`: this claimant holds its share already. Everybody has at least one place.
    pub fn take<Q>(&self, claimant: &Q) -> Option<Share>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let share = Share { own: self.counter(claimant), all: Arc::clone(&self.all) };
        let own = share.own.fetch_add(1, Ordering::Relaxed);
        let all = share.all.fetch_add(1, Ordering::Relaxed) + 1;
        (own == 0 || own <= self.most.saturating_sub(all)).then_some(share)
    }

    fn counter<Q>(&self, claimant: &Q) -> Arc<AtomicUsize>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        if let Some(own) = self.each.read().unwrap_or_else(PoisonError::into_inner).get(claimant) {
            return Arc::clone(own);
        }
        let mut each = self.each.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(each.entry(claimant.to_owned()).or_default())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.own.fetch_sub(1, Ordering::Relaxed);
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(shares: &Shares<String>, who: &str) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(who)).collect()
    }

    #[test]
    fn one_who_wants_all_gets_half_and_the_next_ones_still_find_room() {
        let shares = Shares::new(16);
        let first = fill(&shares, "first");
        assert_eq!(first.len(), 8);
        let second = fill(&shares, "second");
        assert_eq!(second.len(), 4);
        assert_eq!(fill(&shares, "third").len(), 2);
        drop((first, second));
        assert_eq!(fill(&shares, "third").len(), 8, "what is given back is there again");
    }

    #[test]
    fn everybody_has_one_place() {
        let shares = Shares::new(1);
        let held = (shares.take("first"), shares.take("second"));
        assert!(held.0.is_some() && held.1.is_some() && shares.take("first").is_none());
        drop(held);
        assert_eq!(shares.all.load(Ordering::Relaxed), 0, "refused ones too are given back");
    }
}
