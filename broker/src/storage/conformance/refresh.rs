use super::{Fixture, pen::Pen, samples};
use crate::domain::{
    Applied, Connection, ConnectionId, ConnectionState, ConsentId, ProviderId, SecretKind, TokenHolder, Write,
};
use crate::storage::StoreError;

async fn connected(pen: &mut Pen<'_>) -> ConnectionId {
    connected_to(pen, samples::provider()).await
}

async fn connected_to(pen: &mut Pen<'_>, provider: ProviderId) -> ConnectionId {
    let connection = Connection { provider, ..samples::connection() };
    let id = connection.id.clone();
    let row = pen.tag(connection);
    assert_eq!(pen.write(vec![Write::InsertConnection(row)]).await, Applied::Yes);
    id
}

pub(crate) async fn provider_queue(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (first, second) = (connected(&mut pen).await, connected(&mut pen).await);
    let consent = samples::consent();
    pen.write(vec![Write::InsertConsent { row: pen.tag(consent.clone()), handle_hash: [1; 32] }]).await;
    let (first, second) = (TokenHolder::Connection(first), TokenHolder::Connection(second));
    let third = TokenHolder::Consent(consent.id);
    let queue = |holder: &TokenHolder, at| {
        vec![Write::QueueProviderRevocation { holder: holder.clone(), due_at: samples::later(at) }]
    };
    let reschedule = |attempts, at: Option<u64>| {
        let due_at = at.map(samples::later);
        vec![Write::RescheduleProviderRevocation { holder: first.clone(), attempts, due_at }]
    };
    let rng = samples::rng();
    let nowhere = TokenHolder::Connection(ConnectionId::random(&rng));
    assert_eq!(pen.write(queue(&nowhere, 0)).await, Applied::NotApplied(0));
    let nowhere = TokenHolder::Consent(ConsentId::random(&rng));
    assert_eq!(pen.write(queue(&nowhere, 0)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(reschedule(1, Some(9))).await, Applied::NotApplied(0), "not queued yet");
    assert_eq!(pen.write(queue(&first, 2)).await, Applied::Yes);
    assert_eq!(pen.write(queue(&first, 9)).await, Applied::Yes, "queued already: the earlier time counts");
    assert_eq!(pen.write(queue(&second, 1)).await, Applied::Yes);

    let due = async |at| {
        let found = fixture.connections.due_revocations(samples::later(at), 10).await?;
        Ok::<_, StoreError>(found.into_iter().map(Result::unwrap).collect::<Vec<_>>())
    };
    assert!(due(0).await.unwrap().is_empty());
    let found = due(2).await.unwrap();
    assert_eq!([&found[0].holder, &found[1].holder], [&second, &first], "oldest first");
    assert_eq!(found[0].tenant, samples::tenant());
    assert_eq!(pen.write(reschedule(2, Some(50))).await, Applied::Yes);
    assert_eq!(pen.write(reschedule(1, Some(3))).await, Applied::NotApplied(0), "attempts do not go back");
    assert_eq!(due(49).await.unwrap().len(), 1);
    assert_eq!(due(50).await.unwrap()[1].attempts, 2);
    assert_eq!(pen.write(reschedule(3, None)).await, Applied::Yes);
    assert_eq!(pen.write(reschedule(3, None)).await, Applied::NotApplied(0), "it has left the queue");
    assert_eq!(due(99).await.unwrap().len(), 1);
    assert_eq!(pen.write(queue(&third, 60)).await, Applied::Yes);
    let found = due(99).await.unwrap();
    assert_eq!((&found[1].holder, &found[1].tenant), (&third, &samples::tenant()));
}

/// Tokens that come after the revoke end at the provider too, whoever is telling it of the ones before at that moment.
pub(crate) async fn late_tokens(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let connection = samples::connection();
    let id = connection.id.clone();
    let row = pen.tag(connection.clone());
    assert_eq!(pen.write(vec![Write::InsertConnection(row)]).await, Applied::Yes);
    let arrives = |pen: &Pen<'_>, generation| {
        let secret = samples::secret(&id, SecretKind::Refresh, generation);
        let queue = Write::QueueIfRevoked { connection: id.clone(), due_at: samples::later(1) };
        vec![Write::PutSecret(pen.tag(secret)), queue]
    };
    let told = |attempts| {
        let holder = TokenHolder::Connection(id.clone());
        let done = Write::RescheduleProviderRevocation { holder, attempts, due_at: None };
        vec![Write::DeleteSecrets(id.clone()), done]
    };
    let queued = async || {
        let found = fixture.connections.due_revocations(samples::later(1), 10).await.unwrap();
        let attempts = found.into_iter().map(|row| row.unwrap().attempts).collect::<Vec<_>>();
        (attempts, fixture.connections.secrets(&id).await.unwrap().len())
    };
    assert_eq!(pen.write(arrives(&pen, 1)).await, Applied::Yes);
    assert_eq!(queued().await, (vec![], 1), "it has not ended");

    let revoked = Connection { state: ConnectionState::Revoked, version: 2, ..connection };
    let ended = Write::UpdateConnection { row: pen.tag(revoked), expected_version: 1 };
    let holder = TokenHolder::Connection(id.clone());
    let queue = Write::QueueProviderRevocation { holder, due_at: samples::later(60) };
    assert_eq!(pen.write(vec![ended, queue]).await, Applied::Yes);
    assert_eq!(pen.write(arrives(&pen, 2)).await, Applied::Yes);
    assert_eq!(queued().await, (vec![2], 1), "due now");
    assert_eq!(pen.write(told(1)).await, Applied::NotApplied(1), "told of the token before");
    assert_eq!(queued().await, (vec![2], 1), "the late one is kept until it is told too");
    assert_eq!(pen.write(told(3)).await, Applied::Yes);
    assert_eq!(queued().await, (vec![], 0));

    assert_eq!(pen.write(arrives(&pen, 3)).await, Applied::Yes, "after everything was done");
    assert_eq!(queued().await, (vec![0], 1));
}

/// However many wait for one provider, every other has its turn.
pub(crate) async fn provider_turns(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let queue = |holder: &TokenHolder, at| {
        vec![Write::QueueProviderRevocation { holder: holder.clone(), due_at: samples::later(at) }]
    };
    for at in 0..5 {
        let holder = TokenHolder::Connection(connected(&mut pen).await);
        assert_eq!(pen.write(queue(&holder, at)).await, Applied::Yes);
    }
    let other = ProviderId::parse("other").unwrap();
    let other = TokenHolder::Connection(connected_to(&mut pen, other).await);
    assert_eq!(pen.write(queue(&other, 9)).await, Applied::Yes);
    let found = fixture.connections.due_revocations(samples::later(9), 3).await.unwrap();
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    let turns: Vec<_> = found.iter().map(|row| (row.provider.as_slice(), row.due_at)).collect();
    let notes = samples::provider();
    let expected = [
        (notes.as_str().as_bytes(), samples::later(0)),
        (b"other".as_slice(), samples::later(9)),
        (notes.as_str().as_bytes(), samples::later(1)),
    ];
    assert_eq!(turns, expected);
}
