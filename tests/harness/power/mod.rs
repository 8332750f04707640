//! What a power cut leaves of a broker's files. A recorder that is preloaded into the broker writes down every write and every sync; from
//! the record follows what a disk may hold after any moment: what was synced is certain, everything else may be there, in part or not.

mod disk;
mod record;
mod recorder;

pub use disk::{Disk, Left};
pub use record::{Kind, Record, read};
pub use recorder::Recorder;
