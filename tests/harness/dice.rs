//! Randomness that can be had again: print the seed, run once more with it.

use std::sync::Mutex;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose moments.
#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(Mutex::new(seed))
    }

    /// A seed from the operating system, or the one in the environment variable `TEST_SEED`.
    ///
    /// # Panics
    /// When `TEST_SEED` is no number.
    pub fn seed(rng: &dyn broker::domain::Rng) -> u64 {
        if let Ok(text) = std::env::var("TEST_SEED") {
            return text.parse().expect("TEST_SEED is a whole number");
        }
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Below `bound`.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&self, bound: usize) -> usize {
        let mut state = self.0.lock().expect("no holder panicked");
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below a usize")
    }

    /// True once in `times`.
    ///
    /// # Panics
    /// When `times` is 0.
    pub fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
