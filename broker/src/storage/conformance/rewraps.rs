use super::{Fixture, pen::Pen, samples};
use crate::{
    domain::{
        AccessToken, Account, Applied, ConnectionId, Consent, ConsentState, RefreshToken, Sealed, SecretKind,
        SecretRow, Tagged, WrappedKey, Write,
        consent::{Leftover, Obtained},
    },
    storage::{Replacement, TokenPlace, Uses},
};

const OLD: &str = "key_00000000000000000000000001";
const NEW: &str = "key_00000000000000000000000002";

/// As every envelope of the key begins.
fn wrapping(key: &str) -> Vec<u8> {
    [&[1, 30], key.as_bytes()].concat()
}

fn envelope(key: &str, content: &str) -> Vec<u8> {
    [&wrapping(key)[..], &[7; 60], content.as_bytes()].concat()
}

fn token(connection: &ConnectionId, kind: SecretKind, generation: i64, key: &str) -> SecretRow {
    let envelope = envelope(key, &format!("token {generation}")).into();
    SecretRow { envelope, ..samples::secret(connection, kind, generation) }
}

async fn connected(pen: &mut Pen<'_>, secrets: Vec<SecretRow>, connection: crate::domain::Connection) {
    let mut effect = vec![Write::InsertConnection(pen.tag(connection))];
    effect.extend(secrets.into_iter().map(|row| Write::PutSecret(pen.tag(row))));
    assert_eq!(pen.write(effect).await, Applied::Yes);
}

fn with(pen: &Pen<'_>, was: &Tagged<SecretRow>, key: &str) -> Replacement<SecretRow> {
    let row = was.clone().check(&pen.seal.key).unwrap();
    let envelope = [&wrapping(key)[..], &row.envelope[32..]].concat().into();
    Replacement { was: was.clone(), becomes: pen.tag(SecretRow { envelope, ..row }) }
}

pub(crate) async fn tokens(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let connection = samples::connection();
        let id = connection.id.clone();
        let both = [SecretKind::Access, SecretKind::Refresh].map(|kind| token(&id, kind, 4, OLD));
        connected(&mut pen, both.to_vec(), connection).await;
        ids.push(id);
    }
    ids.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    let rewraps = &fixture.rewraps;
    assert!(rewraps.tokens(&wrapping(NEW), None, 10).await.unwrap().is_empty());
    assert_eq!(rewraps.uses(OLD, &wrapping(OLD)).await.unwrap(), Uses { tokens: 6, ..Uses::default() });

    // Page by page, each once, in order.
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = rewraps.tokens(&wrapping(OLD), after.as_ref(), 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.place.clone());
        all.extend(page);
    }
    let place = |id: &ConnectionId, kind: SecretKind, scope_key: &str| TokenPlace {
        connection: id.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        scope_key: scope_key.to_owned(),
    };
    let places: Vec<_> = ids
        .iter()
        .flat_map(|id| [place(id, SecretKind::Access, "notes:read"), place(id, SecretKind::Refresh, "")])
        .collect();
    assert_eq!(all.iter().map(|found| found.place.clone()).collect::<Vec<_>>(), places);
    let rows: Vec<_> = all.into_iter().map(|found| found.row.expect("it can be read")).collect();

    // A refresh stores another generation of the second one between the reading and the writing: it stays.
    let newer = token(&ids[0], SecretKind::Refresh, 5, OLD);
    assert_eq!(pen.write(vec![Write::PutSecret(pen.tag(newer.clone()))]).await, Applied::Yes);
    let batch: Vec<_> = rows[..4].iter().map(|row| with(&pen, row, NEW)).collect();
    assert_eq!(rewraps.replace_tokens(&batch).await.unwrap(), 3);
    let stored = fixture.connections.secret(&ids[0], SecretKind::Refresh, "").await.unwrap().unwrap();
    assert_eq!(stored.check(&pen.seal.key).unwrap(), newer);
    let stored = fixture.connections.secret(&ids[1], SecretKind::Refresh, "").await.unwrap().unwrap();
    assert_eq!(stored.check(&pen.seal.key).unwrap().envelope[..], envelope(NEW, "token 4"));
    // Once more with what was read before: nothing is what it was.
    assert_eq!(rewraps.replace_tokens(&batch).await.unwrap(), 0);
    assert_eq!(rewraps.replace_tokens(&[]).await.unwrap(), 0);
    assert_eq!(rewraps.uses(OLD, &wrapping(OLD)).await.unwrap().tokens, 3);
    // A refresh that read a row before it was wrapped anew stores its generation over it.
    assert_eq!(
        pen.write(vec![Write::PutSecret(pen.tag(token(&ids[1], SecretKind::Refresh, 5, NEW)))]).await,
        Applied::Yes
    );
    // Gone meanwhile: it does not come back.
    assert_eq!(pen.write(vec![Write::DeleteSecrets(ids[2].clone())]).await, Applied::Yes);
    let late: Vec<_> = rows[4..].iter().map(|row| with(&pen, row, NEW)).collect();
    assert_eq!(rewraps.replace_tokens(&late).await.unwrap(), 0);
    assert!(fixture.connections.secrets(&ids[2]).await.unwrap().is_empty());
}

fn waiting(key: &str) -> Consent {
    let obtained = Obtained {
        account: Account { id: "a".to_owned(), label: "alice".to_owned() },
        scopes: samples::scopes("notes:read"),
        refresh: Some(Sealed::<RefreshToken>::from_envelope(envelope(key, "refresh"))),
        access: Sealed::<AccessToken>::from_envelope(envelope(key, "access")),
        access_expires_at: None,
    };
    let (state_hash, browser_hash) = ([3; 32], [4; 32]);
    let state = ConsentState::AwaitingConfirmation { state_hash, browser_hash, obtained: Box::new(obtained) };
    Consent { state, ..samples::consent() }
}

pub(crate) async fn consents(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let verifier = Sealed::from_envelope(envelope(OLD, "verifier"));
    let approved = ConsentState::Approved { state_hash: [1; 32], browser_hash: [2; 32], verifier };
    let approved = Consent { state: approved, subject: samples::person("bob"), ..samples::consent() };
    let left = Leftover { refresh: None, access: Some(Sealed::from_envelope(envelope(OLD, "left"))) };
    let over = Consent {
        state: ConsentState::Expired { state_hash: None },
        leftover: left,
        subject: samples::person("carol"),
        ..samples::consent()
    };
    let empty = Consent { subject: samples::person("dave"), ..samples::consent() };
    let mut ids = Vec::new();
    for (n, consent) in [waiting(OLD), approved, over, empty].into_iter().enumerate() {
        ids.push(consent.id.as_str().to_owned());
        let handle_hash = [u8::try_from(n).unwrap(); 32];
        assert_eq!(
            pen.write(vec![Write::InsertConsent { row: pen.tag(consent), handle_hash }]).await,
            Applied::Yes
        );
    }
    ids.pop();
    ids.sort();
    let rewraps = &fixture.rewraps;
    assert_eq!(rewraps.uses(OLD, &wrapping(OLD)).await.unwrap(), Uses { consents: 3, ..Uses::default() });
    let found = rewraps.sealed_consents(&wrapping(OLD), "", 10).await.unwrap();
    assert_eq!(found.iter().map(|found| found.place.clone()).collect::<Vec<_>>(), ids);
    let second = rewraps.sealed_consents(&wrapping(OLD), &ids[0], 1).await.unwrap();
    assert_eq!(second[0].place, ids[1]);

    for found in found {
        let was = found.row.expect("it can be read");
        let row = was.clone().check(&pen.seal.key).unwrap();
        let (id, version) = (row.id.clone(), row.version);
        let anew = |sealed: &[u8]| Ok::<_, ()>([&wrapping(NEW)[..], &sealed[32..]].concat());
        let replacement = Replacement { was, becomes: pen.tag(row.clone().rewrapped(anew).unwrap()) };
        assert!(rewraps.replace_consent(&replacement).await.unwrap());
        assert!(!rewraps.replace_consent(&replacement).await.unwrap(), "it is no more what was read");
        let stored = fixture.consents.by_id(&id).await.unwrap().unwrap().check(&pen.seal.key).unwrap();
        assert_eq!(stored.version, version);
        for (before, after) in row.envelopes().into_iter().zip(stored.envelopes()) {
            assert_eq!(before.map(|b| b[32..].to_vec()), after.map(|a| a[32..].to_vec()));
            assert!(after.is_none_or(|after| after.starts_with(&wrapping(NEW))));
        }
        // Whoever read it before goes on with it.
        let expected_version = row.version;
        let moved = Consent { version: expected_version + 1, mismatches: 1, ..row };
        let update = Write::UpdateConsent { row: pen.tag(moved), expected_version };
        assert_eq!(pen.write(vec![update]).await, Applied::Yes);
        assert!(!rewraps.replace_consent(&replacement).await.unwrap());
    }
}

pub(crate) async fn subject_keys(fixture: &Fixture) {
    let key = |id: &str, subject: &str| WrappedKey {
        id: id.to_owned(),
        tenant: "acme".to_owned(),
        subject: subject.to_owned(),
        wrapped_by: OLD.to_owned(),
        wrapped: vec![1],
        created_at: samples::NOW,
    };
    let (one, other) = (key("s1", "alice"), key("s2", "bob"));
    for row in [&other, &one] {
        fixture.wrapped_keys.insert(row, false).await.unwrap();
    }
    let rewraps = &fixture.rewraps;
    assert_eq!(rewraps.subject_keys(OLD, "", 10).await.unwrap(), [one.clone(), other.clone()]);
    assert_eq!(rewraps.subject_keys(OLD, "s1", 10).await.unwrap(), [other]);
    assert!(fixture.wrapped_keys.rewrap(&one, NEW, &[2]).await.unwrap());
    for key in [OLD, NEW] {
        let uses = rewraps.uses(key, &wrapping(key)).await.unwrap();
        assert_eq!(uses, Uses { subject_keys: 1, ..Uses::default() });
        assert_eq!(uses.sum(), 1);
    }
}

pub(crate) async fn further_key(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let key = WrappedKey {
        id: NEW.to_owned(),
        tenant: "acme".to_owned(),
        subject: String::new(),
        wrapped_by: "root-1".to_owned(),
        wrapped: vec![1, 2],
        created_at: samples::NOW,
    };
    assert_eq!(pen.write(vec![Write::InsertTenantKey(key.clone())]).await, Applied::Yes);
    assert_eq!(pen.write(vec![Write::InsertTenantKey(key.clone())]).await, Applied::NotApplied(0));
    assert_eq!(fixture.wrapped_keys.tenant_keys("acme").await.unwrap(), [key]);
}

/// What `broker keys rewrap` reads and writes: whatever is sealed or wrapped.
pub(crate) const REWRAPPED: &[&str] = &[
    "connection_secrets.envelope",
    "consents.obtained_access",
    "consents.obtained_refresh",
    "consents.pkce_verifier",
    "subject_keys.wrapped",
    "tenant_keys.wrapped",
];

/// Hashes, tags and what the log says: nothing that a key seals. The personal fields in a log's body are sealed by a subject key.
pub(crate) const NOT_SEALED: &[&str] = &[
    "audit_events.body",
    "audit_events.hash",
    "audit_events.mac",
    "audit_events.previous_hash",
    "audit_streams.hash",
    "audit_streams.mac",
    "approvals.mac",
    "connection_secrets.mac",
    "connections.mac",
    "consents.browser_hash",
    "consents.handle_hash",
    "consents.mac",
    "consents.state_hash",
    "parent_pages.handle_hash",
    "parent_pages.mac",
    "requests.fingerprint",
    "requests.key",
    "revocations.mac",
    "schema_migrations.sha256",
    "used_assertions.key",
    "web_sessions.id_hash",
    "web_sessions.mac",
];

/// Every column of bytes is known to be the one or the other: a new secret that rotation would leave behind is found here.
pub(crate) fn every_column(mut found: Vec<String>) {
    found.sort();
    let mut known: Vec<_> = [REWRAPPED, NOT_SEALED].concat();
    known.sort_unstable();
    assert_eq!(
        found, known,
        "a column of bytes is new: is it sealed, and if so, does storage::Rewraps cover it?"
    );
}
