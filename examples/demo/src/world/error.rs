//! Why a world did not come to be.

use std::io;

use broker::app::StartError;
use broker::config::Problems;
use broker::keys::KeyringError;

/// Why a world did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A file or a port.
    #[error("files or ports: {0}")]
    Io(#[from] io::Error),
    /// The root key file.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The configuration.
    #[error("configuration: {0}")]
    Config(#[from] Problems),
    /// The broker.
    #[error("the broker did not start: {0}")]
    Broker(#[from] StartError),
}
