//! A real broker on a real database, with as many connected people as are wanted.

use crate::{
    Fault,
    call::{Call, Deck},
    dialect::Databases,
};
use broker::{
    audit::Deadline,
    domain::{
        AccessToken, Account, Approval, ApprovalId, ApprovedBy, Connection, ConnectionId, ConnectionState,
        Entry, EventDraft, EventId, EventKind, Group, Outcome, Owner, ProviderId, RealmId, RefreshToken,
        ScopeSet, SecretKind, SecretRow, SecretString, Subject, TenantId, Timestamp, WorkloadId, Write,
    },
    usecase::Rooms,
};
use broker_proto::v1::IssueGrantRequest;
use demo::world::{Options, PROVIDER, Site, Workload, World};
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const SCOPE: &str = "notes.read";
/// Who asks for everybody.
const CALLER: Workload = Workload::TicketHelper;
/// Longer than any run: warm calls never refresh. Shorter than policy's bound on tokens that outlive their grant.
pub const TOKEN_LIFE: Duration = Duration::from_secs(20 * 3600);
/// Longer than any run.
const ASSERTION_LIFE: i64 = 10 * 3600;
/// People who are settled in one group of the ledger, and groups under way at once.
const HOUSEHOLD: u64 = 64;
const MOVING: usize = 4;
const TOKEN_BYTES: usize = 900;

/// A broker and its people.
pub struct Estate {
    /// SSO, SaaS, broker.
    pub world: World,
}

impl Estate {
    /// A broker with fresh keys on an empty database, on default settings.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn found(databases: &Databases) -> Result<Self, Fault> {
        Self::with(databases, Options::default()).await
    }

    /// The same on these settings.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn with(databases: &Databases, options: Options) -> Result<Self, Fault> {
        Ok(Self { world: databases.found(options).await? })
    }

    /// What is below the transports.
    pub fn rooms(&self) -> &Arc<Rooms> {
        self.world.rooms()
    }

    /// Connects `count` people: connection, approval, access and refresh token each, through the ledger.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn settle(&self, count: u64) -> Result<(), Fault> {
        self.settle_for(count, TOKEN_LIFE).await
    }

    /// The same with access tokens that live so long from now on.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn settle_for(&self, count: u64, life: Duration) -> Result<(), Fault> {
        let households = (0..count).step_by(usize::try_from(HOUSEHOLD)?);
        futures::stream::iter(households)
            .map(|first| self.household(first, HOUSEHOLD.min(count - first), life))
            .buffer_unordered(MOVING)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    async fn household(&self, first: u64, count: u64, life: Duration) -> Result<(), Fault> {
        let mut entries = Vec::new();
        for person in first..first + count {
            entries.push(self.settlement(person, life).await?);
        }
        self.rooms().audit.note_group(Group { entries }, Deadline::none()).await?;
        Ok(())
    }

    async fn settlement(&self, person: u64, life: Duration) -> Result<Entry, Fault> {
        let rooms = self.rooms();
        let (key, now) = (rooms.row_key(), rooms.clock.now());
        let scopes = ScopeSet::parse([SCOPE])?;
        let connection = self.connection(person, &scopes, now)?;
        let approval = approval(rooms, &connection, &scopes, now)?;
        let token = |kind: &str| token(kind, person);
        let (access, refresh) = (connection.access_key(&scopes, 1), connection.refresh_key(1));
        let access = rooms.vault.seal::<AccessToken>(&access, token("access")).await?;
        let refresh = rooms.vault.seal::<RefreshToken>(&refresh, token("refresh")).await?;
        let row = |kind, envelope: &[u8], expires_at| {
            Write::PutSecret(key.tag(SecretRow {
                connection: connection.id.clone(),
                kind,
                scopes: scopes.clone(),
                generation: 1,
                envelope: envelope.into(),
                expires_at,
                obtained_at: now,
            }))
        };
        let event = EventId::random(&*rooms.rng);
        let mut draft = EventDraft::new(event, EventKind::ConsentCompleted, Outcome::Allowed);
        draft.connection = Some(connection.id.clone());
        draft.approval = Some(approval.id.clone());
        let effect = vec![
            row(SecretKind::Access, access.envelope(), Some(now.plus(life))),
            row(SecretKind::Refresh, refresh.envelope(), None),
        ];
        let mut all = vec![
            Write::InsertConnection(key.tag(connection)),
            Write::PutApproval { row: key.tag(approval), expected_version: None },
        ];
        all.extend(effect);
        Ok(Entry { effect: all, ..Entry::note(draft) })
    }

    fn connection(&self, person: u64, scopes: &ScopeSet, now: Timestamp) -> Result<Connection, Fault> {
        let rooms = self.rooms();
        let provider = ProviderId::parse(PROVIDER)?;
        Ok(Connection {
            id: ConnectionId::random(&*rooms.rng),
            owner: owner(person)?,
            client_id: rooms.provider(&provider)?.client.id.clone(),
            provider,
            account: Account {
                id: format!("acct-{person}"),
                label: format!("person-{person}@notes.example"),
            },
            state: ConnectionState::Active,
            scopes: scopes.clone(),
            version: 1,
            born_epoch: 0,
            created_at: now,
            expires_at: None,
        })
    }

    /// One call in the name of a person, with an assertion made for it. Every other workload credential is a static secret, the rest are
    /// signed tokens.
    ///
    /// # Errors
    /// When a credential cannot travel in a header.
    pub fn call(&self, person: u64, sequence: u64) -> Result<Call, Fault> {
        let sso = self.world.sso();
        let credential = if sequence.is_multiple_of(2) {
            self.world.secret(CALLER).to_owned()
        } else {
            sso.mint_workload_token(CALLER.service_account(), "token-broker")
        };
        Ok(Call {
            message: IssueGrantRequest {
                assertion: self.assertion(person, sequence),
                provider: PROVIDER.to_owned(),
                scopes: vec![SCOPE.to_owned()],
                tool: "list_notes".to_owned(),
                purpose: "Show notes".to_owned(),
                ..IssueGrantRequest::default()
            },
            authorization: format!("Bearer {credential}").parse()?,
        })
    }

    /// An ID token as the company's SSO makes them, ES256; each `sequence` is another one.
    pub fn assertion(&self, person: u64, sequence: u64) -> String {
        let now = self.world.clock().now().unix_seconds();
        let audience = CALLER.audience();
        let claims = json!({
            "iss": self.world.sso().issuer(),
            "sub": subject_claim(person),
            "aud": audience,
            "azp": audience,
            "exp": now + ASSERTION_LIFE,
            "iat": now,
            "auth_time": now,
            "acr": "urn:company:acr:password",
            "name": format!("Person {person}"),
            "email": format!("person-{person}@company.example"),
            "roles": ["engineering", "notes-users"],
            "sid": format!("sid_{sequence:043}"),
        });
        self.world.sso().mint_raw(json!({}), &claims)
    }

    /// One call for each of these people.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn deck(&self, people: impl Iterator<Item = u64>) -> Result<Arc<Deck>, Fault> {
        // A tool server shows one token for an hour: two credentials serve the whole deck.
        let two = [self.call(0, 0)?.authorization, self.call(0, 1)?.authorization];
        let call = |(turn, person): (usize, u64)| {
            let sequence = self.call(person, 0)?;
            Ok(Call { authorization: two[turn % 2].clone(), ..sequence })
        };
        let calls: Result<Vec<Call>, Fault> = people.enumerate().map(call).collect();
        Ok(Arc::new(Deck::of(calls?)))
    }

    /// As many calls with assertions that nobody has seen, for people taken in turn. `batch` sets them apart from other decks'.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn unseen(&self, people: u64, count: u64, batch: u64) -> Result<Arc<Deck>, Fault> {
        let two = [self.call(0, 0)?.authorization, self.call(0, 1)?.authorization];
        let call = |n: u64| {
            let mut call = self.call(n % people, 0)?;
            call.message.assertion = self.assertion(n % people, (batch << 32) + n + 1);
            call.authorization = two[usize::from(!n.is_multiple_of(2))].clone();
            Ok(call)
        };
        let calls: Result<Vec<Call>, Fault> = (0..count).map(call).collect();
        Ok(Arc::new(Deck::of(calls?)))
    }

    /// Stops the broker; its files and peers stay.
    pub async fn close(self) -> Site {
        self.world.stop().await
    }
}

fn approval(
    rooms: &Rooms,
    connection: &Connection,
    scopes: &ScopeSet,
    now: Timestamp,
) -> Result<Approval, Fault> {
    Ok(Approval {
        id: ApprovalId::random(&*rooms.rng),
        tenant: connection.owner.tenant().clone(),
        connection: connection.id.clone(),
        workload: WorkloadId::parse(CALLER.id())?,
        scopes: scopes.clone(),
        by: ApprovedBy::User,
        default_account: true,
        withdrawn_at: None,
        version: 1,
        born_epoch: 0,
        created_at: now,
    })
}

/// Whose connection is a person's.
///
/// # Errors
/// Never: the names are sound.
pub fn owner(person: u64) -> Result<Owner, Fault> {
    let (tenant, realm) = (TenantId::parse("company")?, RealmId::parse("staff")?);
    Ok(Owner::Subject(Subject { tenant, realm, id: subject_claim(person) }))
}

/// A token of a person's, as long as those of providers that issue JWTs.
pub fn token(kind: &str, person: u64) -> SecretString {
    SecretString::from(format!("{kind}-{person:0width$}", width = TOKEN_BYTES))
}

/// Spread over the index as real subject claims are: neighbours in number are not neighbours on a page.
fn subject_claim(person: u64) -> String {
    format!("u-{:016x}", (person + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
