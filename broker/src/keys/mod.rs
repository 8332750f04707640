//! KEK, tenant keys and named subkeys; makes and checks tags.
