//! The one outbound HTTP client: address filter after DNS, pinned, no redirects, size and time limits (NE1–NE3).
