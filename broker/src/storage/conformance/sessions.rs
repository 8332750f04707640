use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, Entry, LoggedOut, LogoutNames, RealmId, TenantId, WebSession, Write};

/// `begun`: seconds from the beginning.
fn begin(pen: &Pen<'_>, session: WebSession, begun: u64) -> Write {
    Write::InsertSession { row: pen.tag(session), begun_at: samples::later(begun) }
}

pub(crate) async fn writes(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let session = samples::session(1);
    let insert = |pen: &Pen<'_>, session: &WebSession| vec![begin(pen, session.clone(), 0)];
    let update = |pen: &Pen<'_>, session: &WebSession, expected_version| {
        vec![Write::UpdateSession { row: pen.tag(session.clone()), expected_version }]
    };
    assert_eq!(pen.write(insert(&pen, &session)).await, Applied::Yes);
    assert_eq!(pen.write(insert(&pen, &session)).await, Applied::NotApplied(0));
    let reads = &fixture.sessions;
    reads.touch(&session.id_hash, samples::later(7)).await.unwrap();
    reads.touch(&session.id_hash, samples::later(3)).await.unwrap();

    let ended = WebSession { ended: true, version: 2, ..session.clone() };
    let handed_over = WebSession { subject: samples::person("bob"), ..ended.clone() };
    assert_eq!(pen.write(update(&pen, &handed_over, 1)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(update(&pen, &ended, 2)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(update(&pen, &ended, 1)).await, Applied::Yes);
    let stored = reads.by_id(&session.id_hash).await.unwrap().unwrap().check(&pen.seal.key).unwrap();
    let expected = WebSession { last_seen_at: samples::later(7), ..ended };
    assert_eq!(stored, expected, "the last sign of life does not go back");

    pen.write(insert(&pen, &samples::session(2))).await;
    let short = WebSession { expires_at: samples::later(5), ..samples::session(3) };
    pen.write(insert(&pen, &short)).await;
    pen.entry(Entry { claim: Some(samples::claim(1)), ..samples::note() }).await;
    assert_eq!(reads.purge(samples::later(5)).await.unwrap(), 2, "the ended one and the one that ran out");
    assert!(reads.by_id(&[2; 32]).await.unwrap().is_some());
    assert!(reads.by_id(&[3; 32]).await.unwrap().is_none());
    assert_eq!(reads.purge(samples::later(600)).await.unwrap(), 1, "the request id");
}

pub(crate) async fn logouts(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let with_sid = |byte, sid: &str| WebSession { sid: sid.to_owned(), ..samples::session(byte) };
    let bob = samples::person("bob");
    let (mut elsewhere, mut other_realm) = (samples::alice(), samples::alice());
    elsewhere.tenant = TenantId::parse("elsewhere").unwrap();
    other_realm.realm = RealmId::parse("guests").unwrap();
    for session in [
        with_sid(1, "s1"),
        with_sid(2, "s1"),
        with_sid(3, "s2"),
        with_sid(4, ""),
        WebSession { subject: bob, ..with_sid(5, "s1") },
        WebSession { subject: elsewhere, ..with_sid(6, "s1") },
        WebSession { subject: other_realm, ..with_sid(7, "s1") },
        WebSession { issuer: "https://sso.example/".to_owned(), ..with_sid(8, "s1") },
        WebSession { ended: true, ..with_sid(9, "s1") },
    ] {
        assert_eq!(pen.write(vec![begin(&pen, session, 0)]).await, Applied::Yes);
    }
    let named = async |who| {
        let subject = samples::alice();
        let issuer = samples::session(0).issuer;
        let names = LogoutNames { tenant: subject.tenant, realm: subject.realm, issuer, who };
        let mut found: Vec<u8> =
            fixture.sessions.named(&names).await.unwrap().iter().map(|hash| hash[0]).collect();
        found.sort_unstable();
        found
    };
    let by_sid = |sid: &str, subject: Option<&str>| LoggedOut::Session {
        sid: sid.to_owned(),
        subject: subject.map(str::to_owned),
    };
    let person = |subject: &str| LoggedOut::Person { subject: subject.to_owned() };
    assert_eq!(named(by_sid("s1", None)).await, [1, 2, 5]);
    assert_eq!(named(by_sid("s1", Some("alice"))).await, [1, 2]);
    assert_eq!(named(by_sid("s1", Some("Alice"))).await, [0u8; 0]);
    assert_eq!(named(by_sid("S1", None)).await, [0u8; 0]);
    assert_eq!(named(by_sid("s2", Some("bob"))).await, [0u8; 0]);
    assert_eq!(named(person("alice")).await, [1, 2, 3, 4]);
    assert_eq!(named(person("bob")).await, [5]);
    assert_eq!(named(person("carol")).await, [0u8; 0]);
}

pub(crate) async fn logouts_under_way(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let issuer = samples::session(0).issuer;
    let log_out = |who, until, expires| Write::InsertLogout {
        names: LogoutNames {
            tenant: samples::alice().tenant,
            realm: samples::alice().realm,
            issuer: issuer.clone(),
            who,
        },
        until: samples::later(until),
        expires_at: samples::later(expires),
    };
    let by_sid = |sid: &str, subject: Option<&str>| LoggedOut::Session {
        sid: sid.to_owned(),
        subject: subject.map(str::to_owned),
    };
    let person = |subject: &str| LoggedOut::Person { subject: subject.to_owned() };
    for (who, until) in [(by_sid("s1", None), 5), (by_sid("s2", Some("bob")), 5), (person("carol"), 5)] {
        assert_eq!(pen.write(vec![log_out(who.clone(), until, 60)]).await, Applied::Yes);
        assert_eq!(
            pen.write(vec![log_out(who, until - 1, 50)]).await,
            Applied::Yes,
            "an earlier one takes nothing back"
        );
    }
    let session = |byte, person: &str, sid: &str| WebSession {
        sid: sid.to_owned(),
        subject: samples::person(person),
        ..samples::session(byte)
    };
    let mut elsewhere = session(11, "alice", "s1");
    elsewhere.subject.tenant = TenantId::parse("elsewhere").unwrap();
    let mut other_realm = session(12, "alice", "s1");
    other_realm.subject.realm = RealmId::parse("guests").unwrap();
    let no = Applied::NotApplied(0);
    for (session, begun, expected) in [
        (session(1, "alice", "s1"), 5, &no),
        (session(2, "bob", "s1"), 0, &no),
        (session(3, "alice", "s1"), 6, &Applied::Yes),
        (session(4, "bob", "s2"), 5, &no),
        (session(5, "alice", "s2"), 5, &Applied::Yes),
        (session(6, "alice", "S1"), 5, &Applied::Yes),
        (session(7, "carol", ""), 5, &no),
        (session(8, "carol", "s9"), 5, &no),
        (session(9, "carol", "s9"), 6, &Applied::Yes),
        (session(10, "alice", ""), 5, &Applied::Yes),
        (elsewhere, 5, &Applied::Yes),
        (other_realm, 5, &Applied::Yes),
        (
            WebSession { issuer: "https://sso.example/".to_owned(), ..session(13, "alice", "s1") },
            5,
            &Applied::Yes,
        ),
    ] {
        let what = session.id_hash[0];
        assert_eq!(&pen.write(vec![begin(&pen, session, begun)]).await, expected, "{what}");
    }
    let count = "UPDATE logouts SET until = until";
    assert_eq!(fixture.sql.run(count).await.unwrap(), 3);
    fixture.sessions.purge(samples::later(59)).await.unwrap();
    assert_eq!(fixture.sql.run(count).await.unwrap(), 3);
    fixture.sessions.purge(samples::later(60)).await.unwrap();
    assert_eq!(fixture.sql.run(count).await.unwrap(), 0);
    assert_eq!(pen.write(vec![begin(&pen, session(1, "alice", "s1"), 5)]).await, Applied::Yes);
}
