use super::{Fixture, pen::Pen, samples};
use crate::domain::{
    Account, Applied, ConnectionId, Consent, ConsentState, Reason, Sealed, Write,
    consent::{Leftover, Obtained},
};

fn insert(pen: &Pen<'_>, consent: &Consent, handle: u8) -> Vec<Write> {
    vec![Write::InsertConsent { row: pen.tag(consent.clone()), handle_hash: [handle; 32] }]
}

fn update(pen: &Pen<'_>, consent: &Consent, expected_version: i64) -> Vec<Write> {
    vec![Write::UpdateConsent { row: pen.tag(consent.clone()), expected_version }]
}

fn obtained() -> Obtained {
    Obtained {
        account: Account { id: "4711".to_owned(), label: "alice".to_owned() },
        scopes: samples::scopes("notes:read"),
        refresh: None,
        access: Sealed::from_envelope(b"access".to_vec()),
        access_expires_at: Some(samples::later(60)),
    }
}

pub(crate) async fn equal_need(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let first = samples::consent();
    assert_eq!(pen.write(insert(&pen, &first, 1)).await, Applied::Yes);
    let same_need = samples::consent();
    assert_eq!(pen.write(insert(&pen, &same_need, 2)).await, Applied::NotApplied(0));
    let wider = Consent { scopes: samples::scopes("notes:write"), ..samples::consent() };
    assert_eq!(pen.write(insert(&pen, &wider, 1)).await, Applied::NotApplied(0), "the handle exists");
    assert_eq!(pen.write(insert(&pen, &wider, 3)).await, Applied::Yes);
    let other = Consent { subject: samples::person("bob"), ..samples::consent() };
    assert_eq!(pen.write(insert(&pen, &other, 4)).await, Applied::Yes);

    let consents = &fixture.consents;
    let mut hers = consents.open_of(&samples::alice(), pen.now, 9).await.unwrap();
    assert_eq!(hers.len(), 2);
    assert_eq!(consents.open_of(&samples::alice(), pen.now, 1).await.unwrap().len(), 1);
    let hers: Vec<_> = hers.drain(..).map(|row| row.unwrap().check(&pen.seal.key).unwrap().id).collect();
    assert!(hers.contains(&first.id) && hers.contains(&wider.id));
    let find = |now| {
        let (workload, provider) = (samples::workload(), samples::provider());
        async move {
            consents
                .open_need(&samples::alice(), &workload, &provider, &samples::scopes("notes:read"), now)
                .await
        }
    };
    let open = find(pen.now).await.unwrap().remove(0).unwrap().check(&pen.seal.key).unwrap();
    assert_eq!(open.id, first.id);

    // Its time is over, though nobody wrote that down yet: the need may be met anew.
    pen.now = first.expires_at;
    assert!(find(pen.now).await.unwrap().is_empty());
    assert!(consents.open_of(&samples::alice(), pen.now, 9).await.unwrap().is_empty());
    assert_eq!(consents.overdue(pen.now, 10).await.unwrap().len(), 3);
    assert_eq!(consents.overdue(pen.now, 1).await.unwrap().len(), 1);
    let anew = Consent { expires_at: samples::later(1200), ..samples::consent() };
    assert_eq!(pen.write(insert(&pen, &anew, 5)).await, Applied::Yes);
}

pub(crate) async fn advance(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let consent = samples::consent();
    pen.write(insert(&pen, &consent, 1)).await;
    let other = Consent { scopes: samples::scopes("x"), ..samples::consent() };
    pen.write(insert(&pen, &other, 2)).await;
    let declined = consent.clone().decline().unwrap();
    assert_eq!(pen.write(update(&pen, &declined, 7)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(update(&pen, &declined, 1)).await, Applied::Yes);
    assert_eq!(pen.write(update(&pen, &declined, 1)).await, Applied::NotApplied(0), "read before it changed");
    let stolen = Consent { subject: samples::person("bob"), version: 3, ..declined };
    assert_eq!(
        pen.write(update(&pen, &stolen, 2)).await,
        Applied::NotApplied(0),
        "a consent stays its person's"
    );

    let approve = |c: Consent| c.approve([5; 32], [6; 32], Sealed::from_envelope(vec![1])).unwrap();
    let third = Consent { scopes: samples::scopes("y"), ..samples::consent() };
    pen.write(insert(&pen, &third, 3)).await;
    assert_eq!(pen.write(update(&pen, &approve(other), 1)).await, Applied::Yes);
    let same_state = update(&pen, &approve(third), 1);
    assert_eq!(pen.write(same_state).await, Applied::NotApplied(0), "an OAuth state belongs to one consent");
}

pub(crate) async fn states(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (state_hash, browser_hash) = ([2; 32], [3; 32]);
    let connection = ConnectionId::random(&samples::rng());
    let refresh = Some(Sealed::from_envelope(b"refresh".to_vec()));
    let states = [
        ConsentState::Pending,
        ConsentState::Approved { state_hash, browser_hash, verifier: Sealed::from_envelope(b"v".to_vec()) },
        ConsentState::Exchanging { state_hash, browser_hash },
        ConsentState::AwaitingConfirmation { state_hash, browser_hash, obtained: Box::new(obtained()) },
        ConsentState::AwaitingConfirmation {
            state_hash,
            browser_hash,
            obtained: Box::new(Obtained { refresh, access_expires_at: None, ..obtained() }),
        },
        ConsentState::Completed { connection: connection.clone(), state_hash: None },
        ConsentState::Failed { reason: Reason::PolicyError, state_hash: Some(state_hash) },
        ConsentState::Declined { state_hash: None },
        ConsentState::Declined { state_hash: Some(state_hash) },
        ConsentState::Expired { state_hash: None },
        ConsentState::Expired { state_hash: Some(state_hash) },
        ConsentState::Completed { connection, state_hash: Some(state_hash) },
    ];
    let mut consent = samples::consent();
    pen.write(insert(&pen, &consent, 1)).await;
    let [refresh, access] = [b"left refresh".to_vec(), b"left access".to_vec()];
    let (refresh, access) = (Some(Sealed::from_envelope(refresh)), Some(Sealed::from_envelope(access)));
    for state in states {
        let expected_version = consent.version;
        consent.version += 1;
        consent.leftover = match state {
            ConsentState::Declined { state_hash: None } => Leftover { refresh: None, access: access.clone() },
            ConsentState::Expired { .. } => Leftover { refresh: refresh.clone(), access: access.clone() },
            ConsentState::Failed { .. } => Leftover { refresh: refresh.clone(), access: None },
            _ => Leftover::default(),
        };
        consent.state = state;
        assert_eq!(pen.write(update(&pen, &consent, expected_version)).await, Applied::Yes);
        let read = fixture.consents.by_handle(&[1; 32]).await.unwrap().expect("it is there");
        // The MAC covers every column, so the check proves that each came back as it was.
        let read = read.check(&pen.seal.key).unwrap();
        assert_eq!(read.state.as_str(), consent.state.as_str());
        assert!(read.leftover.is(&consent.leftover));
        let by_state = fixture.consents.by_state(&state_hash).await.unwrap();
        assert_eq!(by_state.is_some(), consent.state.state_hash().is_some());
    }
    assert!(fixture.consents.by_id(&consent.id).await.unwrap().is_some());
    assert!(fixture.consents.by_handle(&[2; 32]).await.unwrap().is_none());
}

pub(crate) async fn wakeups(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let mut changed = fixture.wakeups.consents();
    let consent = samples::consent();
    pen.write(insert(&pen, &consent, 1)).await;
    assert_eq!(changed.recv().await.unwrap(), consent.id);
    pen.write(update(&pen, &consent.clone().expire().unwrap(), 7)).await;
    assert!(changed.try_recv().is_err(), "nothing changed");
    pen.write(update(&pen, &consent.clone().expire().unwrap(), 1)).await;
    assert_eq!(changed.recv().await.unwrap(), consent.id);
}
