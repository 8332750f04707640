//! What is left after a cut: a real broker starts on it, and everything that somebody was told by then is there.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use broker_tests::cluster::on_any_ports;
use broker_tests::database::{Database, Event};
use broker_tests::history::{Act, Call, Deed, End};
use broker_tests::process::{self, BrokerProcess};
use demo::world::Site;
use tempfile::TempDir;

use crate::history::load::Load;

/// Per connection: its state, and the newest generation of its tokens.
const CONNECTIONS: &str = "\
SELECT string_agg(line, ';') FROM (
    SELECT c.id || '|' || c.state || '|' || coalesce(max(s.generation), 0) AS line
    FROM connections c LEFT JOIN connection_secrets s ON s.connection = c.id GROUP BY c.id, c.state)";

/// Starts a broker on `files`, ends it in order, verifies its log, and looks for what was told before `cut` (microseconds since 1970).
///
/// # Errors
/// What is wrong with it.
pub async fn examine(load: &Load, files: &BTreeMap<String, Vec<u8>>, cut: i64) -> Result<(), String> {
    let directory = lay_out(&load.site, files);
    let serving = serve(directory.path().to_owned());
    // A broker that does not start panics: here it is a finding.
    tokio::spawn(serving).await.map_err(|_| "it does not start, or not end".to_owned())?;
    let ran = process::run(directory.path(), &["audit", "verify", "--json"]).await;
    if ran.code != 0 {
        return Err(format!("its log does not verify: {}", ran.stderr));
    }
    let mut database = Database::open(&directory.path().join("broker.db")).await;
    let (log, connections) = (database.events().await, database.text(CONNECTIONS).await);
    database.close().await;
    let connections = read(&connections);
    told(load, &log, &connections, cut)?;
    consistent(&log, &connections)
}

/// The files in a directory of their own; their broker listens on any ports.
pub fn lay_out(site: &Site, files: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let directory = tempfile::Builder::new().prefix("power-").tempdir().expect("a directory");
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("its directory")).expect("made");
        fs::write(&path, bytes).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its owner's");
    }
    // Somebody else may have taken the ports meanwhile.
    let path = directory.path().join("broker.yaml");
    let text = fs::read_to_string(&path).expect("the configuration");
    fs::write(&path, on_any_ports(&text, site)).expect("written");
    directory
}

/// Starts a broker there, and ends it in order.
pub async fn serve(directory: impl AsRef<Path>) {
    let mut broker = BrokerProcess::serve(directory.as_ref(), "broker.yaml");
    broker.listening().await;
    broker.terminate().await;
    let (status, stderr) = broker.ended().await;
    assert!(status.success(), "{stderr}");
}

struct Connection<'a> {
    state: &'a str,
    generation: usize,
}

fn read(lines: &str) -> HashMap<&str, Connection<'_>> {
    let lines = lines.split(';').filter(|line| !line.is_empty());
    let each = lines.map(|line| {
        let fields: Vec<&str> = line.split('|').collect();
        (fields[0], Connection { state: fields[1], generation: fields[2].parse().expect("a number") })
    });
    each.collect()
}

/// Whatever was answered before the cut is there.
fn told(
    load: &Load,
    log: &[Event],
    connections: &HashMap<&str, Connection<'_>>,
    cut: i64,
) -> Result<(), String> {
    let rows: HashMap<&str, &Event> = log.iter().map(|row| (row.text("/id"), row)).collect();
    let calls = load.calls.lock().expect("no holder panicked");
    for Call { end, .. } in calls.iter().filter(|call| call.ended < cut) {
        let End::Granted(grants) = end else { continue };
        for grant in grants {
            if rows.get(grant.id.as_str()).is_none_or(|row| row.outcome != "allowed") {
                return Err(format!("{} was received and has no row", grant.id));
            }
        }
    }
    let acts = load.acts.lock().expect("no holder panicked");
    let mut blocks = 0;
    for Act { deed, acknowledged, .. } in acts.iter() {
        if acknowledged.is_none_or(|at| at >= cut) {
            continue;
        }
        match deed {
            Deed::Revoke(id) if connections.get(id.as_str()).is_none_or(|c| c.state != "revoked") => {
                return Err(format!("{id} is not revoked"));
            }
            Deed::Block(_) => blocks += 1,
            _ => {}
        }
    }
    let set = log.iter().filter(|row| row.kind == "block.set").count();
    if set < blocks { Err(format!("{set} blocks, {blocks} were acknowledged")) } else { Ok(()) }
}

/// Tokens are stored with the event that says so: a connection's newest generation is the number of its events.
fn consistent(log: &[Event], connections: &HashMap<&str, Connection<'_>>) -> Result<(), String> {
    let exchanged: Vec<&str> =
        log.iter().filter(|row| row.kind == "consent.exchange").map(|row| row.text("/consent")).collect();
    let mut stored = HashMap::<&str, usize>::new();
    for row in log {
        let came = match row.kind.as_str() {
            "refresh.stored" => true,
            "consent.completed" => exchanged.contains(&row.text("/consent")),
            _ => false,
        };
        *stored.entry(row.text("/connection")).or_default() += usize::from(came);
    }
    for (id, connection) in connections.iter().filter(|(_, connection)| connection.state == "active") {
        let told = stored.get(id).copied().unwrap_or(0);
        if told != connection.generation {
            return Err(format!("{id}: generation {}, the log tells of {told}", connection.generation));
        }
    }
    Ok(())
}
