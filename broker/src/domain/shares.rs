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

/// One place or several; given back when dropped.
#[derive(Debug)]
pub struct Share {
    places: usize,
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
        let share = self.claim(claimant, 1);
        (share.0 == 0 || share.0 <= self.most.saturating_sub(share.1)).then_some(share.2)
    }

    /// So many further places for what has one already; `None`: they, or some of them, are beyond this claimant's share. Whoever
    /// holds nothing but that one place gets them in any case: the largest call must be served when nothing else is under way.
    pub fn take_further<Q>(&self, claimant: &Q, places: usize) -> Option<Share>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let (own, all, share) = self.claim(claimant, places);
        (own <= 1 || own + places <= self.most.saturating_sub(all) + 1).then_some(share)
    }

    /// What the claimant held before, what all hold after, and the claim itself.
    fn claim<Q>(&self, claimant: &Q, places: usize) -> (usize, usize, Share)
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let share = Share { places, own: self.counter(claimant), all: Arc::clone(&self.all) };
        let own = share.own.fetch_add(places, Ordering::Relaxed);
        let all = share.all.fetch_add(places, Ordering::Relaxed) + places;
        (own, all, share)
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
        self.own.fetch_sub(self.places, Ordering::Relaxed);
        self.all.fetch_sub(self.places, Ordering::Relaxed);
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

    /// A call of eight takes the room of eight calls of one, and as much is left for others.
    #[test]
    fn what_counts_for_several_takes_the_places_of_several() {
        let batch = |shares: &Shares<String>, who: &str, of: usize| {
            let first = shares.take(who)?;
            Some((first, shares.take_further(who, of - 1)?))
        };
        let shares = Shares::new(64);
        let held: Vec<_> = std::iter::from_fn(|| batch(&shares, "first", 8)).collect();
        assert_eq!(held.len(), 4, "half of the places, and no more");
        assert_eq!(shares.all.load(Ordering::Relaxed), 32, "what was refused is given back");
        assert_eq!(fill(&shares, "second").len(), 16);
        drop(held);
        assert_eq!(shares.all.load(Ordering::Relaxed), 0);
        // Where there are fewer places than one call takes, it is served while nothing else of its claimant is.
        let few = Shares::new(4);
        let alone = batch(&few, "first", 16).expect("alone");
        assert!(batch(&few, "first", 16).is_none() && few.take("second").is_some());
        drop(alone);
        assert_eq!(few.all.load(Ordering::Relaxed), 0);
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
