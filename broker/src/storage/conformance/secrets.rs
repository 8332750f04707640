use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, ConnectionId, SecretKind, Write};

pub(crate) async fn writes(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let connection = samples::connection();
    let id = connection.id.clone();
    pen.write(vec![Write::InsertConnection(pen.tag(connection))]).await;
    let put = |pen: &Pen<'_>, id: &ConnectionId, kind, generation| {
        vec![Write::PutSecret(pen.tag(samples::secret(id, kind, generation)))]
    };
    let nowhere = ConnectionId::random(&samples::rng());
    assert_eq!(pen.write(put(&pen, &nowhere, SecretKind::Refresh, 1)).await, Applied::NotApplied(0));
    for (generation, expected) in
        [(2, Applied::Yes), (2, Applied::NotApplied(0)), (1, Applied::NotApplied(0)), (3, Applied::Yes)]
    {
        for kind in [SecretKind::Refresh, SecretKind::Access] {
            assert_eq!(pen.write(put(&pen, &id, kind, generation)).await, expected, "{generation}");
        }
    }
    let reads = &fixture.connections;
    let refresh = reads.secret(&id, SecretKind::Refresh, "").await.unwrap().unwrap();
    let expected = samples::secret(&id, SecretKind::Refresh, 3);
    assert_eq!(refresh.check(&pen.seal.key).unwrap(), expected);
    assert!(reads.secret(&id, SecretKind::Access, "notes:read").await.unwrap().is_some());
    assert!(reads.secret(&id, SecretKind::Access, "").await.unwrap().is_none());
    assert_eq!(reads.secrets(&id).await.unwrap().len(), 2);

    assert_eq!(pen.write(vec![Write::DeleteAccessTokens(id.clone())]).await, Applied::Yes);
    assert_eq!(reads.secrets(&id).await.unwrap().len(), 1);
    assert_eq!(pen.write(vec![Write::DeleteSecrets(id.clone())]).await, Applied::Yes);
    assert!(reads.secrets(&id).await.unwrap().is_empty());
    assert_eq!(pen.write(vec![Write::DeleteSecrets(id)]).await, Applied::Yes, "none is what was wanted");
}
