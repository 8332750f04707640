//! pgbouncer before a test's server, in transaction mode.

use super::{APPLICATION, OWNER, Server, free_port, user};
use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};
use tempfile::TempDir;

/// Where Debian puts it; `PGBOUNCER` names another.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running pooler.
pub struct Pooler {
    address: SocketAddr,
    // Closing its standard input ends it.
    _stdin: ChildStdin,
    _shell: Child,
    _directory: TempDir,
}

impl Pooler {
    /// Major and minor version of the one that is installed.
    ///
    /// # Panics
    /// When there is none.
    pub fn version() -> (u32, u32) {
        let missing = "this test needs pgbouncer (tests/run setup installs it), or PGBOUNCER";
        let told = Command::new(program()).arg("--version").output().expect(missing);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let version = text.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
        let mut numbers = version.split('.').map_while(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => (major, minor),
            _ => panic!("not a version of pgbouncer: {text}"),
        }
    }

    /// Starts one with few sessions, so that they are shared; `settings` are further lines of its configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub fn before(server: &Server, settings: &str) -> Pooler {
        let directory = tempfile::Builder::new().prefix("broker-pooler-").tempdir().expect("a directory");
        // Another user runs it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("readable");
        let [users, file] = ["users", "pgbouncer.ini"].map(|name| directory.path().join(name));
        fs::write(&users, format!("\"{APPLICATION}\" \"\"\n\"{OWNER}\" \"\"\n")).expect("written");
        let socket = server.socket();
        let at = socket.parent().expect("a directory").display();
        let port = free_port();
        let text = format!(
            "[databases]\n* = host={at} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 4\n{settings}\n",
            server.port(),
            users.display(),
        );
        fs::write(&file, text).expect("written");
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("pooler.sh"), "sh"])
            .args([program().as_os_str(), file.as_os_str(), user().as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stdin = shell.stdin.take().expect("a pipe");
        let mut told = BufReader::new(shell.stdout.take().expect("a pipe"));
        let mut before = String::new();
        while !before.contains("process up") {
            assert!(told.read_line(&mut before).expect("a pipe") > 0, "pgbouncer did not start: {before}");
        }
        // It stops where nobody reads what it says.
        thread::spawn(move || io::copy(&mut told, &mut io::sink()));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Pooler { address, _stdin: stdin, _shell: shell, _directory: directory }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn program() -> PathBuf {
    std::env::var_os("PGBOUNCER").map_or_else(|| PROGRAM.into(), PathBuf::from)
}
