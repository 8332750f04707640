//! Who is calling and for whom: the one strict verifier of tokens.
