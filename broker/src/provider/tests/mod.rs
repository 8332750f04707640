//! The engine against a scripted provider on this machine.

mod answers;
mod calls;
mod fake;
mod pacing;
mod refusals;

use super::Engine;
use crate::{
    domain::{
        EventId, ManualClock, Position, ProviderId, ProviderSpec, Scope, ScopeSet, StreamId, SystemRng,
        Timestamp,
        provider::{
            AccountLookup, ClientAuth, Environment, Expiry, IssParameter, Narrowing, Pkce, ProviderClient,
            RevokeStyle, Rotation, ScopeAccess, ScopeSpec,
        },
    },
    net::{Limits, Outbound},
    policy::Purpose,
    vault::Opened,
};
use std::{sync::Arc, time::Duration};
use url::Url;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn set(text: &str) -> ScopeSet {
    ScopeSet::split(text, ' ').unwrap()
}

/// A provider at `base` with nothing peculiar.
fn spec(base: &Url) -> ProviderSpec {
    ProviderSpec {
        id: ProviderId::parse("notes").unwrap(),
        display_name: "Notes".to_owned(),
        environment: Environment::Sandbox,
        authorize_url: base.join("/authorize").unwrap(),
        authorize_params: Vec::new(),
        token_url: base.join("/token").unwrap(),
        revoke: RevokeStyle::Rfc7009(base.join("/revoke").unwrap()),
        revocation_ends: crate::domain::provider::RevocationEnds::EveryAuthorization,
        account: AccountLookup {
            url: base.join("/me").unwrap(),
            id_pointer: "/user/id".to_owned(),
            label_pointer: "/user/name".to_owned(),
        },
        iss: IssParameter::Unknown,
        pkce: Pkce::S256,
        client: ProviderClient {
            id: "client:1".to_owned(),
            secret: "s e+c%ret".to_owned().into(),
            auth: ClientAuth::Basic,
        },
        scopes: vec![ScopeSpec {
            scope: Scope::parse("read").unwrap(),
            description: "Read notes".to_owned(),
            access: ScopeAccess::Read,
        }],
        technical_scopes: set("offline_access"),
        scope_separator: ' ',
        narrowing: Narrowing::RefreshWithScope,
        rotation: Rotation::SingleUse,
        refresh_kills_access_token: false,
        expiry: Expiry::GivenOr(Duration::from_secs(900)),
        refresh_margin: Duration::from_secs(60),
        refuses_early_refresh: false,
        idle_limit: None,
        absolute_limit: None,
        header_name: "authorization".to_owned(),
        header_prefix: "Bearer ".to_owned(),
        allowed_networks: vec!["127.0.0.0/8".to_owned()],
        ca_file: None,
    }
}

/// A clock that stands, and an engine that counts on it.
fn engine(total_deadline: Duration) -> (Arc<ManualClock>, Engine) {
    let clock = Arc::new(ManualClock::at(NOW));
    let outbound = Arc::new(Outbound::new(clock.clone()));
    let limits = Limits { max_bytes: 256 * 1024, total_deadline };
    (clock.clone(), Engine::with_limits(outbound, clock, limits))
}

/// An engine with a deadline that no passing test comes near.
fn patient() -> Engine {
    engine(Duration::from_secs(20)).1
}

fn opened<P: Purpose>(secret: &str) -> Opened<P> {
    opened_in("acme", secret)
}

fn opened_in<P: Purpose>(tenant: &str, secret: &str) -> Opened<P> {
    let rng = SystemRng::default();
    let position = Position { stream: StreamId::opened_at(NOW, &rng), seq: 1 };
    Opened::for_test_in(tenant, secret.to_owned().into(), EventId::random(&rng), position)
}
