//! The broker and its rivals, side by side in one process.

use crate::{
    Fault,
    call::Deck,
    dialect::Databases,
    estate::Estate,
    load::{Line, Until, closed},
    rivals::{Echo, Floor, IssuerKey, Journal, Pen, Served},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use broker::{
    domain::{Clock, EventKind},
    storage::{AuditFilter, AuditRow, Store},
};
use broker_proto::v1::{IssueGrantResponse, grant_service_client::GrantServiceClient};
use std::{net::SocketAddr, sync::Arc};

/// Connections of the load generator to each server: a few tool servers.
pub const CONNECTIONS: usize = 4;

/// The broker and its rivals.
pub struct Stand {
    /// The broker.
    pub estate: Estate,
    /// How many people are connected.
    pub people: u64,
    /// One call for each of them, with an assertion that was seen before.
    pub warm: Arc<Deck>,
    /// The bare echo.
    pub echo: Served,
    /// The floor.
    pub floor: Served,
    /// Commits to the floor's database, one at a time.
    pub pen: tokio::sync::Mutex<Pen>,
    /// Checks signatures and nothing else.
    pub key: IssuerKey,
}

impl Stand {
    /// Founds an estate of `people` and puts its rivals beside it. Everybody has called once when this returns.
    ///
    /// # Errors
    /// When something does not start, or a call is not granted.
    pub async fn set_up(databases: &Databases, people: u64, clock: &Arc<dyn Clock>) -> Result<Self, Fault> {
        let estate = Estate::found(databases).await?;
        estate.settle(people).await?;
        let warm = estate.deck(0..people)?;
        let broker = estate.world.addresses().grpc;
        call_all(clock, broker, &warm).await?;

        let answer = one_answer(broker, &warm).await?;
        let row = recorded(&estate.rooms().store).await?;
        let key = sso_key(&estate).await?;
        let store = databases.beside(&estate.world).await?;
        let rng = || Arc::clone(estate.world.rng());
        let journal = Journal::start(Pen::open(&store, row.clone(), Arc::clone(clock), rng()).await?);
        // A database of the floor has two writers in turn, as the broker's has one: never at the same time.
        let pen = Pen::open(&store, row, Arc::clone(clock), rng()).await?;
        let floor = Served::start(Floor::new(answer.clone(), key.clone(), journal))?;
        let echo = Served::start(Echo(answer))?;
        call_all(clock, floor.address, &warm).await?;
        Ok(Self { estate, people, warm, echo, floor, pen: tokio::sync::Mutex::new(pen), key })
    }

    /// Where the broker takes calls.
    pub fn broker(&self) -> SocketAddr {
        self.estate.world.addresses().grpc
    }
}

/// Makes every call of the deck once.
///
/// # Errors
/// When one is not granted.
pub async fn call_all(clock: &Arc<dyn Clock>, server: SocketAddr, deck: &Arc<Deck>) -> Result<(), Fault> {
    let line = Line::open(&[server], CONNECTIONS).await?;
    deck.begin_again();
    closed(clock, &line, deck, 64, Until::Empty).await?.all_granted()?;
    deck.begin_again();
    Ok(())
}

/// An answer of the broker, for others to give.
async fn one_answer(broker: SocketAddr, deck: &Deck) -> Result<IssueGrantResponse, Fault> {
    let mut client = GrantServiceClient::connect(format!("http://{broker}")).await?;
    let call = deck.draw().ok_or("nobody to call for")?;
    Ok(client.issue_grant(call.request()).await?.into_inner())
}

/// A row that the broker wrote for a grant, for others to copy.
async fn recorded(store: &Store) -> Result<AuditRow, Fault> {
    let mut after = None;
    loop {
        let rows = store.audit_log.list(&AuditFilter::default(), after.as_ref(), 500).await?;
        let last = rows.last().ok_or("no grant in the log")?;
        after = Some(broker::domain::Position { stream: last.stream.clone(), seq: last.seq });
        let grant = |row: &AuditRow| row.columns.kind == EventKind::GrantIssue.as_str();
        if let Some(row) = rows.into_iter().find(grant) {
            return Ok(row);
        }
    }
}

/// The public key that assertions are signed with.
async fn sso_key(estate: &Estate) -> Result<IssuerKey, Fault> {
    let url = format!("{}/jwks", estate.world.sso().issuer());
    let keys = demo::http::client(b"")?.get(url).send().await?.text().await?;
    let keys: serde_json::Value = serde_json::from_str(&keys)?;
    let coordinate = |name: &str| -> Result<Vec<u8>, Fault> {
        let text = keys["keys"][0][name].as_str().ok_or("no P-256 key in the key set")?;
        Ok(URL_SAFE_NO_PAD.decode(text)?)
    };
    Ok(IssuerKey::new([vec![4], coordinate("x")?, coordinate("y")?].concat()))
}
