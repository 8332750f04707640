//! Begin, approve, callback, confirm, complete.
