//! A fresh access token: resolve, single flight, lease.
