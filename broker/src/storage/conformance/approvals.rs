use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, Approval, ApprovalId, ConnectionId, TenantId, Write};

fn put(pen: &Pen<'_>, approval: &Approval, expected_version: Option<i64>) -> Vec<Write> {
    vec![Write::PutApproval { row: pen.tag(approval.clone()), expected_version }]
}

pub(crate) async fn writes(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let connection = samples::connection();
    let (id, tenant) = (connection.id.clone(), samples::tenant());
    pen.write(vec![Write::InsertConnection(pen.tag(connection))]).await;
    let approval = samples::approval(&id);
    let nowhere = samples::approval(&ConnectionId::random(&samples::rng()));
    assert_eq!(pen.write(put(&pen, &nowhere, None)).await, Applied::NotApplied(0));
    let foreign = Approval { tenant: TenantId::parse("globex").unwrap(), ..approval.clone() };
    assert_eq!(pen.write(put(&pen, &foreign, None)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(put(&pen, &approval, Some(1))).await, Applied::NotApplied(0), "there is none yet");
    assert_eq!(pen.write(put(&pen, &approval, None)).await, Applied::Yes);

    let withdrawn = Approval { withdrawn_at: Some(samples::later(1)), version: 2, ..approval.clone() };
    assert_eq!(pen.write(put(&pen, &withdrawn, Some(1))).await, Applied::Yes);
    let anew = Approval { id: ApprovalId::random(&samples::rng()), version: 3, ..approval };
    assert_eq!(pen.write(put(&pen, &anew, None)).await, Applied::NotApplied(0), "a withdrawn one is there");
    assert_eq!(pen.write(put(&pen, &anew, Some(1))).await, Applied::NotApplied(0));
    let stored = || fixture.approvals.find(&tenant, &id, &anew.workload);
    assert_eq!(stored().await.unwrap().unwrap().unwrap().check(&pen.seal.key).unwrap(), withdrawn);
    assert_eq!(pen.write(put(&pen, &anew, Some(2))).await, Applied::Yes);
    assert_eq!(stored().await.unwrap().unwrap().unwrap().check(&pen.seal.key).unwrap(), anew);
    assert_eq!(fixture.approvals.of_connection(&tenant, &id).await.unwrap().len(), 1);
}
