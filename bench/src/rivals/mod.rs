//! What the broker is measured against: servers that do part of its work and nothing else, over the same transport.

mod echo;
mod floor;
mod journal;
mod pen;
mod served;

pub use echo::Echo;
pub use floor::{Floor, IssuerKey};
pub use journal::Journal;
pub use pen::Pen;
pub use served::Served;
