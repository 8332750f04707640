//! One OAuth engine for every provider.
