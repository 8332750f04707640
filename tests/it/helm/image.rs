//! The image's root file system, made without Docker: the binary starts in it as the numeric user, with nothing writable but its volume, and opens
//! what the chart says.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use broker_tests::pki::{Authority, KeyFiles};
use broker_tests::process::broker_binary;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::driver::{install, python, repository, values};
use super::kubelet::{Cluster, Mount, mount};
use super::rendered::{Rendered, list};

const USER: u32 = 65_532;
const PATIENCE: Duration = Duration::from_secs(60);

/// A container of the rendered Deployment.
struct Container {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    ca: PathBuf,
    _directory: TempDir,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What the installation needs beside the chart. The certificate is for 127.0.0.1.
async fn cluster(directory: &Path) -> Cluster {
    let (authority, files) = (Authority::new(), KeyFiles::named(directory, "server"));
    authority.issue(&files);
    authority.write(&directory.join("ca.crt"));
    let read = |file: &Path| fs::read_to_string(file).expect("PEM");
    let made = broker_tests::process::run(directory, &["init"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let mut cluster = Cluster::default();
    cluster.secret("broker-keys", "keys.json", &read(&directory.join("keys.json")));
    for secret in ["broker-tls", "broker-web-tls"] {
        cluster.secret(secret, "tls.crt", &read(&files.certificate));
        cluster.secret(secret, "tls.key", &read(&files.key));
    }
    cluster
}

/// As `fsGroup` does it: files belong to root and to the pod's group, and what may be written is the group's.
fn hand_over(directory: &Path, mounts: &[Mount]) {
    for mount in mounts {
        let path = directory.join(&mount.path[1..]);
        if is_root() {
            chown(&path, None, Some(USER)).expect("given");
            for file in fs::read_dir(&path).expect("a directory") {
                chown(file.expect("a file").path(), None, Some(USER)).expect("given");
            }
        } else {
            // There is no other user: the file is the caller's alone.
            for file in fs::read_dir(&path).expect("a directory") {
                fs::set_permissions(file.expect("a file").path(), fs::Permissions::from_mode(0o400))
                    .expect("set");
            }
        }
        if !mount.read_only {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o2770)).expect("set");
        }
    }
}

async fn rootfs(root: &Path) {
    let mut build = Command::new(repository().join("image/rootfs.sh"));
    let made = build.arg(broker_binary()).arg(root).output().await.expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

impl Container {
    async fn start(rendered: &Rendered) -> Container {
        let directory = tempfile::tempdir().expect("a directory");
        // The user of the container has to pass through it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let [root, volumes] = ["root", "volumes"].map(|name| directory.path().join(name));
        rootfs(&root).await;
        let cluster = cluster(directory.path()).await;
        let mounts = mount(&volumes, rendered, rendered.pod(), &cluster);
        hand_over(&volumes, &mounts);
        for mount in &mounts {
            fs::create_dir_all(root.join(&mount.path[1..])).expect("a mount point");
        }
        let paths: String = mounts.iter().map(|mount| format!("{}\n", mount.path)).collect();
        fs::write(volumes.join(".mounts"), paths).expect("written");
        let arguments = list(rendered.container(), "/args");
        let words: Vec<&str> = arguments.iter().map(|word| word.as_str().expect("text")).collect();
        let mut command = Command::new(repository().join("image/enter.sh"));
        command.arg(&root).arg(&volumes).arg(format!("/usr/bin/broker {}", words.join(" ")));
        command.args(mounts.iter().filter(|mount| !mount.read_only).map(|mount| &mount.path));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for variable in list(rendered.container(), "/env") {
            command.env(
                variable["name"].as_str().expect("a name"),
                variable["value"].as_str().expect("a value"),
            );
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("its log")).lines();
        Container { child, log, ca: directory.path().join("ca.crt"), _directory: directory }
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Reads the log until it listens.
    async fn listening(&mut self) {
        let mut seen = String::new();
        let waiting = async {
            while let Some(line) = self.log.next_line().await.expect("its log") {
                seen += &format!("{line}\n");
                if line.contains("\"message\":\"listening\"") {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(matches!(found, Ok(true)), "it never listened:\n{seen}");
    }

    /// Runs a program in the container's network.
    async fn beside(&self, program: &Path, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid().to_string(), "--net"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let ran = command.arg(program).args(arguments).output().await.expect("nsenter runs");
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        (ran.status.success(), said.trim().to_owned())
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.pid());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The TCP ports it listens on, with the address as the kernel writes it.
    fn sockets(&self) -> BTreeSet<(String, u16)> {
        let tables = self.proc("net/tcp") + &self.proc("net/tcp6");
        let listening = tables.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let (address, port) = cells.get(1)?.split_once(':')?;
            (cells.get(3) == Some(&"0A"))
                .then(|| (address.to_owned(), u16::from_str_radix(port, 16).expect("hex")))
        });
        listening.collect()
    }

    /// The mounts that can be written to, but for the machine's devices.
    fn writable(&self) -> Vec<String> {
        let mounts = self.proc("mountinfo");
        let cells = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        cells
            .filter(|cells| cells[5].split(',').any(|option| option == "rw"))
            .map(|cells| cells[4].to_owned())
            .filter(|path| !path.starts_with("/dev"))
            .collect()
    }
}

/// Proves: OP1, OP6
#[tokio::test]
async fn op1_the_rendered_container_serves_in_the_images_root_file_system() {
    let rendered = install(&values("helm/broker/ci/sqlite-values.yaml").await).await.rendered();
    let mut container = Container::start(&rendered).await;
    container.listening().await;

    // Health over gRPC and TLS, as `helm test` asks for it, by the port of the Deployment.
    let url = "--url=https://127.0.0.1:7443";
    let ca = format!("--ca-file={}", container.ca.display());
    let health = container.beside(&broker_binary(), &["health", url, &ca]).await;
    assert_eq!(health, (true, "SERVING".to_owned()));

    // It opens the ports of the Deployment and no other.
    let any = |port| ("00000000".to_owned(), port);
    assert_eq!(container.sockets(), BTreeSet::from([any(7443), any(8443), any(9443)]));
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asked = &rendered.container()[probe]["httpGet"];
        let path = asked["path"].as_str().expect("a path");
        let program = repository().join("tests/helm/probe.py");
        let url = format!("https://127.0.0.1:9443{path}");
        let answer = container.beside(&python(), &[program.to_str().expect("a path"), &url]).await;
        assert_eq!(answer, (true, "200".to_owned()), "{probe}");
    }

    // As nobody special, and with nothing to write to but its volumes.
    let status = container.proc("status");
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    if is_root() {
        assert_eq!(line("Uid:"), format!("Uid:\t{USER}\t{USER}\t{USER}\t{USER}"));
        assert_eq!(line("CapEff:"), "CapEff:\t0000000000000000");
    }
    let mut writable = container.writable();
    writable.sort();
    assert_eq!(writable, ["/tmp", "/var/lib/broker"]);

    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(container.pid()).expect("a pid")).expect("a pid"),
        rustix::process::Signal::TERM,
    )
    .expect("told to stop");
    let ended =
        tokio::time::timeout(PATIENCE, container.child.wait()).await.expect("in time").expect("it ends");
    assert!(ended.success(), "{ended}");
}

/// Proves: OP6
#[tokio::test]
async fn op6_the_root_file_system_holds_the_binary_what_it_needs_and_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    rootfs(directory.path()).await;
    let mut files = BTreeSet::new();
    let mut waiting = vec![directory.path().to_owned()];
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(at).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let mode = path.metadata().expect("it").permissions().mode();
                assert_eq!(mode & 0o6022, 0, "{}: {mode:o}", path.display());
                files.insert(path.strip_prefix(directory.path()).expect("below").display().to_string());
            }
        }
    }
    let library =
        |file: &&String| file.contains(".so") && (file.starts_with("lib") || file.starts_with("usr/lib"));
    let rest: Vec<&String> = files.iter().filter(|file| !library(file)).collect();
    let expected = [
        "etc/group",
        "etc/nsswitch.conf",
        "etc/os-release",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/bin/broker",
    ];
    assert_eq!(rest, expected);
    let libraries = files.len() - rest.len();
    assert!((2..8).contains(&libraries), "{files:?}");
    assert!(!files.iter().any(|file| file.contains("libssl") || file.contains("libcrypto")), "{files:?}");
}

/// Proves: OP6
#[test]
fn op6_the_image_is_built_from_pinned_bases_and_runs_as_a_numeric_user() {
    let text = fs::read_to_string(repository().join("Dockerfile")).expect("it");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let from: Vec<&str> = lines.iter().filter(|line| line.starts_with("FROM ")).copied().collect();
    assert_eq!(
        from,
        ["FROM ${BUILDER} AS build", "FROM ${RUNTIME}"],
        "bases are arguments without a default"
    );
    assert!(!lines.iter().any(|line| line.starts_with("ARG ") && line.contains('=')));
    let last = text.rsplit("FROM ").next().expect("the last stage");
    assert!(last.contains("\nUSER 65532:65532\n") && last.contains("ENTRYPOINT [\"/usr/bin/broker\"]"));
    assert!(!last.contains("\nRUN "), "there is no shell to run anything");

    let digest = format!("sha256:{}", "0".repeat(64));
    let check = |builder: &str, runtime: &str| {
        let mut command = std::process::Command::new(repository().join("image/build.sh"));
        let ran =
            command.args(["--check", "--builder", builder, "--runtime", runtime]).output().expect("it runs");
        (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (rust, distroless) = (
        format!("docker.io/library/rust:1.95-bookworm@{digest}"),
        format!("gcr.io/distroless/cc-debian12@{digest}"),
    );
    assert_eq!(check(&rust, &distroless), (true, String::new()));
    for loose in
        ["gcr.io/distroless/cc-debian12", "gcr.io/distroless/cc-debian12:nonroot", "gcr.io/a@sha256:00", ""]
    {
        let (passed, told) = check(&rust, loose);
        assert!(!passed && told.contains("--runtime is not pinned"), "{loose}: {told}");
        let (passed, told) = check(loose, &distroless);
        assert!(!passed && told.contains("--builder is not pinned"), "{loose}: {told}");
    }
}
