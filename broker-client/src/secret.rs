//! Secrets that cannot be printed and are wiped when the last copy goes.

use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

macro_rules! secret {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        ///
        /// `Debug` prints `[redacted]`, there is no `Display`, and the memory is wiped when the last clone is dropped.
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Arc<Zeroizing<String>>);

        impl $name {
            /// Takes over a value.
            pub fn new(value: impl Into<String>) -> Self {
                Self(Arc::new(Zeroizing::new(value.into())))
            }

            /// The value itself. Do not log it, store it or put it into a URL.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[redacted]")
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self::new(value)
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self::new(value)
            }
        }
    };
}

secret! {
    /// The token of a [`Grant`](crate::Grant), to be sent to the provider and to nobody else.
    AccessToken
}
secret! {
    /// The user's SSO token, as your server received it (RFC 8693 subject token).
    Assertion
}
secret! {
    /// A consent link. It works for nobody but the user it was made for; show it to them and to nobody else.
    ConsentUrl
}
