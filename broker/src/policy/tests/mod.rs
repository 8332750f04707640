//! What the rules promise, tried on small policies.

mod background;
mod beyond;
mod cache;
mod decide;
mod explain;
mod issue;
mod load;
mod people;

use super::{Policy, PolicySet, Question, Settings, Source, Verdict};
use crate::domain::{
    Account, Approval, ApprovalId, ApprovedBy, Connection, ConnectionId, ConnectionState, Owner, ProviderId,
    ProviderSpec, RealmId, Scope, ScopeSet, SecretKind, SecretRow, SecretString, Subject, SystemRng,
    TenantId, Timestamp, WorkloadId,
    provider::{
        AccountLookup, ClientAuth, Environment, Expiry, IssParameter, Narrowing, Pkce, ProviderClient,
        RevokeStyle, Rotation, ScopeAccess, ScopeSpec,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// 2026-11-21T08:00:00Z, a Saturday.
pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_248_000);

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn source(text: &str) -> Source {
    Source { name: "rules.cedar".to_owned(), text: text.to_owned() }
}

pub(super) fn policy(text: &str) -> Policy {
    Policy::new(PolicySet::load(&[source(text)]).unwrap(), Settings::default())
}

/// A rule about issuing: `effect`, id, extra annotations and the condition.
pub(super) fn rule(effect: &str, id: &str, annotations: &str, condition: &str) -> String {
    format!(
        "@id(\"{id}\") {annotations}\n{effect} (principal, action == Broker::Action::\"issue\", resource) when {{ {condition} }};\n"
    )
}

/// The same about holding a wider token.
pub(super) fn wider(effect: &str, id: &str, annotations: &str, condition: &str) -> String {
    rule(effect, id, annotations, condition).replace("Action::\"issue\"", "Action::\"holdWider\"")
}

pub(super) fn scopes(list: &[&str]) -> ScopeSet {
    ScopeSet::parse(list).unwrap()
}

pub(super) fn provider() -> ProviderSpec {
    let url = |path: &str| format!("https://notes.example/{path}").parse().unwrap();
    let scope = |name: &str, access| ScopeSpec {
        scope: Scope::parse(name).unwrap(),
        description: name.to_owned(),
        access,
    };
    ProviderSpec {
        id: ProviderId::parse("notes").unwrap(),
        display_name: "Notes".to_owned(),
        environment: Environment::Production,
        authorize_url: url("authorize"),
        authorize_params: Vec::new(),
        token_url: url("token"),
        revoke: RevokeStyle::Unsupported,
        revocation_ends: crate::domain::provider::RevocationEnds::EveryAuthorization,
        account: AccountLookup {
            url: url("me"),
            id_pointer: "/id".to_owned(),
            label_pointer: "/name".to_owned(),
        },
        iss: IssParameter::Unknown,
        pkce: Pkce::S256,
        client: ProviderClient {
            id: "broker".to_owned(),
            secret: SecretString::from("s"),
            auth: ClientAuth::Basic,
        },
        scopes: vec![
            scope("read", ScopeAccess::Read),
            scope("list", ScopeAccess::Read),
            scope("write", ScopeAccess::Write),
            scope("delete", ScopeAccess::Write),
        ],
        technical_scopes: scopes(&["offline_access"]),
        scope_separator: ' ',
        narrowing: Narrowing::RefreshWithScope,
        rotation: Rotation::SingleUse,
        refresh_kills_access_token: false,
        expiry: Expiry::Never,
        refresh_margin: seconds(60),
        refuses_early_refresh: false,
        idle_limit: None,
        absolute_limit: None,
        header_name: "authorization".to_owned(),
        header_prefix: "Bearer ".to_owned(),
        allowed_networks: Vec::new(),
        ca_file: None,
    }
}

/// Everything a question borrows from.
#[derive(Debug)]
pub(super) struct Scene {
    pub subject: Subject,
    pub issuer: String,
    pub roles: Arc<BTreeSet<String>>,
    pub acr: Option<String>,
    pub auth_time: Option<Timestamp>,
    pub client_id: Option<String>,
    pub workload: WorkloadId,
    pub workload_roles: Arc<BTreeSet<String>>,
    pub provider: ProviderSpec,
    pub scopes: ScopeSet,
    pub tool: String,
    pub purpose: String,
    pub requested_ttl: Option<Duration>,
    pub now: Timestamp,
}

impl Scene {
    pub(super) fn asking(list: &[&str]) -> Self {
        Self {
            subject: alice(),
            issuer: "https://sso.example".to_owned(),
            roles: Arc::new(["engineering".to_owned()].into()),
            acr: None,
            auth_time: Some(NOW.minus(seconds(600))),
            client_id: None,
            workload: WorkloadId::parse("notes-server").unwrap(),
            workload_roles: Arc::default(),
            provider: provider(),
            scopes: scopes(list),
            tool: String::new(),
            purpose: String::new(),
            requested_ttl: None,
            now: NOW,
        }
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question {
            subject: &self.subject,
            issuer: &self.issuer,
            roles: &self.roles,
            acr: self.acr.as_deref(),
            auth_time: self.auth_time,
            client_id: self.client_id.as_deref(),
            workload: &self.workload,
            workload_roles: &self.workload_roles,
            provider: &self.provider,
            scopes: &self.scopes,
            tool: &self.tool,
            purpose: &self.purpose,
            requested_ttl: self.requested_ttl,
            now: self.now,
        }
    }

    pub(super) fn decide(&self, policy: &Policy) -> Verdict {
        policy.decide(&self.question())
    }
}

pub(super) fn alice() -> Subject {
    Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse("staff").unwrap(),
        id: "alice".to_owned(),
    }
}

pub(super) fn connection(list: &[&str]) -> Connection {
    Connection {
        id: ConnectionId::random(&SystemRng::default()),
        owner: Owner::Subject(alice()),
        provider: ProviderId::parse("notes").unwrap(),
        client_id: "broker".to_owned(),
        account: Account { id: "1".to_owned(), label: "alice".to_owned() },
        state: ConnectionState::Active,
        scopes: scopes(list),
        version: 1,
        born_epoch: 0,
        created_at: NOW,
        expires_at: None,
    }
}

pub(super) fn approval(connection: &Connection, list: &[&str]) -> Approval {
    Approval {
        id: ApprovalId::random(&SystemRng::default()),
        tenant: connection.owner.tenant().clone(),
        connection: connection.id.clone(),
        workload: WorkloadId::parse("notes-server").unwrap(),
        scopes: scopes(list),
        by: ApprovedBy::User,
        default_account: true,
        withdrawn_at: None,
        version: 1,
        born_epoch: 0,
        created_at: NOW,
    }
}

pub(super) fn secret(connection: &Connection, kind: SecretKind, list: &[&str]) -> SecretRow {
    SecretRow {
        connection: connection.id.clone(),
        kind,
        scopes: scopes(list),
        generation: 7,
        envelope: vec![1].into(),
        expires_at: Some(NOW.plus(seconds(3600))),
        obtained_at: NOW,
    }
}
