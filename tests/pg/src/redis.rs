//! A Redis server of a test's own: on a port of loopback, in a directory of its own, nothing kept on disk.

use super::free_port;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};
use tempfile::TempDir;

/// Where Debian puts it; `REDIS_SERVER` names another.
const PROGRAM: &str = "/usr/bin/redis-server";
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that can be killed, stopped and started again at the same address.
pub struct Redis {
    port: u16,
    directory: TempDir,
    /// How it listens, and to whom.
    settings: Vec<String>,
    running: Option<Running>,
}

struct Running {
    pid: String,
    /// Ends with the server.
    told: JoinHandle<()>,
    // Closing its standard input ends the server.
    _stdin: ChildStdin,
    _shell: Child,
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A word, a number or an error, as it stands.
    Line(String),
    /// Bytes; `None` = there are none.
    Bytes(Option<Vec<u8>>),
    /// Several.
    Many(Vec<Reply>),
}

/// Everything that a server is asked, by whomever.
#[derive(Clone)]
pub struct Tape(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Tape {
    /// So far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once `word` is on it.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait_for(&self, word: &str) {
        let bytes = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |bytes: &Vec<u8>| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        let (_bytes, waited) = self
            .0
            .1
            .wait_timeout_while(bytes, PATIENCE, |bytes| !there(bytes))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "nobody says {word}");
    }
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Redis {
        let port = free_port();
        Redis::with(port, vec!["--port".to_owned(), port.to_string()])
    }

    /// Starts one that is reached over TLS alone, with this certificate and key (files), by whoever knows the password.
    ///
    /// # Panics
    /// When it does not start.
    pub fn encrypted(certificate: &Path, key: &Path, password: &str) -> Redis {
        let (port, file) = (free_port(), |path: &Path| path.display().to_string());
        let (number, certificate, key) = (port.to_string(), file(certificate), file(key));
        let tls = ["--tls-port", &number, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let access = ["--port", "0", "--tls-auth-clients", "no", "--requirepass", password];
        Redis::with(port, tls.iter().chain(&access).map(|&word| word.to_owned()).collect())
    }

    fn with(port: u16, settings: Vec<String>) -> Redis {
        let directory = tempfile::Builder::new().prefix("broker-redis-").tempdir().expect("a directory");
        let mut redis = Redis { port, directory, settings, running: None };
        redis.raise();
        redis
    }

    /// Starts it again where it was; what it held is gone.
    ///
    /// # Panics
    /// When it does not start, or runs.
    pub fn raise(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let program = std::env::var_os("REDIS_SERVER").map_or_else(|| PROGRAM.into(), PathBuf::from);
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("redis.sh"), "sh"])
            .arg(program)
            .args(&self.settings)
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stdin = shell.stdin.take().expect("a pipe");
        let mut told = BufReader::new(shell.stdout.take().expect("a pipe"));
        let (mut pid, mut before) = (None, String::new());
        while !before.contains("Ready to accept connections") {
            let start = before.len();
            let missing = "this test needs redis-server (tests/run setup installs it), or REDIS_SERVER";
            assert!(told.read_line(&mut before).expect("a pipe") > 0, "{missing}: {before}");
            if let Some(number) = before[start..].strip_prefix("pid ") {
                pid = Some(number.trim().to_owned());
            }
        }
        let told = thread::spawn(move || drop(io::copy(&mut told, &mut io::sink())));
        self.running =
            Some(Running { pid: pid.expect("its process id"), told, _stdin: stdin, _shell: shell });
    }

    /// `kill -9`; returns once it is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        let running = self.running.take().expect("it runs");
        running.told.join().expect("it ends");
    }

    /// SIGSTOP: it takes connections and answers nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = &self.running.as_ref().expect("it runs").pid;
        let sent = Command::new("kill").args([signal, pid]).status().expect("kill");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What a broker is configured with.
    pub fn section(&self) -> String {
        format!("\nredis:\n  url: redis://{}\n", self.address())
    }

    /// Asks it.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ask(&self, command: &[&[u8]]) -> Reply {
        let stream = self.connect();
        send(&stream, command);
        read(&mut BufReader::new(stream)).expect("an answer")
    }

    /// Asks it something that is answered by a number.
    ///
    /// # Panics
    /// When it is not.
    pub fn number_of(&self, command: &[&[u8]]) -> u64 {
        match self.ask(command) {
            Reply::Line(line) => line.parse().unwrap_or_else(|_| panic!("{line}")),
            other => panic!("{other:?}"),
        }
    }

    /// Every key and what is under it.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn dump(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let Reply::Many(keys) = self.ask(&[b"KEYS", b"*"]) else { panic!("keys") };
        for key in keys {
            let Reply::Bytes(Some(key)) = key else { panic!("a key") };
            all.extend_from_slice(&key);
            if let Reply::Bytes(Some(value)) = self.ask(&[b"GET", &key]) {
                all.extend_from_slice(&value);
            }
            all.push(b'\n');
        }
        all
    }

    /// Forgets everything.
    pub fn flush(&self) {
        assert_eq!(self.ask(&[b"FLUSHALL"]), Reply::Line("OK".to_owned()));
    }

    /// Records what it is asked from now on, until it ends.
    pub fn tape(&self) -> Tape {
        let mut stream = self.connect();
        send(&stream, &[b"MONITOR"]);
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).expect("an answer");
        assert_eq!(&greeting, b"+OK\r\n");
        stream.set_read_timeout(None).expect("a stream");
        let tape = Tape(Arc::default());
        let writing = tape.clone();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                writing.0.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
                writing.0.1.notify_all();
            }
        });
        tape
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a stream");
        stream
    }
}

fn send(mut stream: &TcpStream, command: &[&[u8]]) {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    stream.write_all(&bytes).expect("it listens");
}

fn read(from: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::UnexpectedEof)?;
    let count = || rest.parse::<i64>().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    Ok(match kind {
        "$" => match usize::try_from(count()?) {
            Err(_) => Reply::Bytes(None),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Bytes(Some(bytes))
            }
        },
        "*" => Reply::Many((0..count()?).map(|_| read(from)).collect::<io::Result<_>>()?),
        _ => Reply::Line(rest.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_is_killed_and_comes_back_empty() {
        let mut redis = Redis::start();
        assert_eq!(redis.ask(&[b"SET", b"a", b"1"]), Reply::Line("OK".to_owned()));
        assert_eq!(redis.ask(&[b"GET", b"a"]), Reply::Bytes(Some(b"1".to_vec())));
        redis.kill();
        assert!(TcpStream::connect(redis.address()).is_err());
        redis.raise();
        assert_eq!(redis.number_of(&[b"DBSIZE"]), 0);
    }
}
