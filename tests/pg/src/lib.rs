//! Private servers for tests: PostgreSQL without a TCP port, a pooler before it, Redis; each with a directory of its own, gone when the
//! test process is.

mod pooler;
mod redis;

pub use pooler::Pooler;
pub use redis::{Redis, Reply, Tape};

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind},
    net::TcpListener,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Speed instead of safety: nothing here outlives the process.
const FAST: &str = "-c listen_addresses= -c max_connections=300 -c fsync=off -c full_page_writes=off";
/// As in production, for tests that pull the plug.
const DURABLE: &str = "-c listen_addresses= -c max_connections=100";

const STANDARD_PORT: u16 = 5432;

/// Owns the databases and migrates them.
pub const OWNER: &str = "broker_owner";
/// Serves.
pub const APPLICATION: &str = "broker_app";

/// A running server.
pub struct Server {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    databases: AtomicU32,
    // Closing its standard input ends the server.
    _stdin: ChildStdin,
    _shell: Child,
}

/// The server that every test of this process shares; each makes databases of its own on it.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(FAST))
}

impl Server {
    /// A server of one's own that keeps what it acknowledged, to be stopped and killed.
    pub fn durable() -> Server {
        Server::start(DURABLE)
    }

    /// A server of one's own that listens on 127.0.0.1 too, with this certificate and key (PEM).
    pub fn encrypted(certificate: &str, key: &str) -> Server {
        let directory = new_directory();
        let port = free_port();
        let mut settings = format!("{DURABLE} -c listen_addresses=127.0.0.1 -c port={port} -c ssl=on");
        for (setting, name, text) in
            [("ssl_cert_file", "tls.crt", certificate), ("ssl_key_file", "tls.key", key)]
        {
            let file = directory.join(name);
            fs::write(&file, text).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner's");
            settings += &format!(" -c {setting}={}", file.display());
        }
        Server::start_in(directory, port, &settings)
    }

    fn start(settings: &str) -> Server {
        Server::start_in(new_directory(), STANDARD_PORT, settings)
    }

    fn start_in(directory: PathBuf, port: u16, settings: &str) -> Server {
        let bin = programs();
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("server.sh"), "sh"])
            .args([bin.as_os_str(), directory.as_os_str(), settings.as_ref(), user().as_ref()])
            .env("PGPORT", port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stdin = shell.stdin.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("a pipe")).read_line(&mut line).expect("an answer");
        assert_eq!(line, "ready\n", "PostgreSQL did not start");
        Server { bin, directory, port, databases: AtomicU32::new(0), _stdin: stdin, _shell: shell }
    }

    /// A new, empty database of the owner's; its name.
    pub fn database(&self) -> String {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.program("createdb", &["-O", OWNER, &name]);
        name
    }

    /// A URL of a database for a role.
    pub fn url(&self, role: &str, database: &str) -> String {
        let socket = self.directory.join("sock").display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{socket}:{}/{database}", self.port)
    }

    /// The number of its port, and of its socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket it listens on.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("sock").join(format!(".s.PGSQL.{}", self.port))
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).expect("the server's log")
    }

    /// Runs SQL as the server's superuser; its output.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.program("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql])
    }

    /// Kills the server at once, as a crash would: no session ends in order.
    pub fn crash(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    /// Stops it in order.
    pub fn stop(&self) {
        self.control(&["-m", "fast", "stop"]);
    }

    /// Starts it again.
    pub fn restart(&self) {
        let socket = format!("-k {} {DURABLE}", self.directory.join("sock").display());
        let log = self.directory.join("log").display().to_string();
        self.control(&["-l", &log, "-o", &socket, "start"]);
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.directory.join("data").display().to_string();
        let mut command = self.as_server_user("pg_ctl");
        let done = command.args(["-w", "-D", &data]).args(arguments).stdout(Stdio::null()).status();
        assert!(done.expect("pg_ctl").success(), "pg_ctl {arguments:?}");
    }

    fn program(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.bin.join(name));
        command
            .arg("-h")
            .arg(self.directory.join("sock"))
            .args(["-p", &self.port.to_string(), "-U", "postgres"])
            .args(arguments);
        let done = command.output().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(done.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text").trim_end().to_owned()
    }

    fn as_server_user(&self, program: &str) -> Command {
        let user = user();
        if user.is_empty() {
            return Command::new(self.bin.join(program));
        }
        let mut command = Command::new("runuser");
        command.args(["-u", user, "--"]).arg(self.bin.join(program));
        command
    }
}

fn new_directory() -> PathBuf {
    tempfile::Builder::new().prefix("broker-pg-").tempdir().expect("a directory").keep()
}

/// Below the range from which Linux hands out ports by itself, and below the ports of the demo's brokers: until its server listens, no
/// connection that goes out is given one of them.
const PORTS: Range<u32> = 10_000..20_000;

/// A port that nobody listens on, given to nobody else as long as this process lives: the same port of another loopback address is held.
/// For servers that cannot be asked to choose one, and those that must find theirs again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static HELD: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    // Another test process begins elsewhere.
    let first = std::process::id().wrapping_mul(97);
    loop {
        let step = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = (PORTS.start + step % (PORTS.end - PORTS.start)) as u16;
        // Only Linux has more than one loopback address from the start.
        let guard = match TcpListener::bind(("127.0.0.2", port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
            guard => guard.ok(),
        };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().expect("no holder panicked").extend(guard);
            return port;
        }
    }
}

/// PostgreSQL refuses to run as root.
fn user() -> &'static str {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    if root { "nobody" } else { "" }
}

/// Where `initdb` is: `PG_BIN`, or the newest of Debian's.
fn programs() -> PathBuf {
    if let Some(bin) = std::env::var_os("PG_BIN") {
        return bin.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .max();
    match newest {
        Some((_, bin)) => bin,
        None if Path::new("/usr/bin/initdb").exists() => "/usr/bin".into(),
        None => panic!("these tests need PostgreSQL 14 or later (apt-get install postgresql), or PG_BIN"),
    }
}
