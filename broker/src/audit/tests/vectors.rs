use crate::{
    audit::{
        Recorded,
        body::{Place, SealedPersonal, encode},
        chain::{StreamState, event_hash, head_mac},
    },
    domain::{
        ApprovalId, ConnectionId, ConsentId, EventDraft, EventId, EventKind, Input, Outcome, PolicyTrace,
        ProviderId, RealmId, Reason, RowMac, ScopeSet, StreamId, Subject, TenantId, Timestamp, WorkloadId,
        ledger::Head,
    },
    keys::testing::audit_keys,
};
use std::{collections::BTreeSet, sync::Arc};

fn hex(value: &serde_json::Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn hex32(value: &serde_json::Value) -> [u8; 32] {
    hex(value).try_into().unwrap()
}

fn event(number: u32) -> EventId {
    EventId::parse(&format!("evt_{number:026}")).unwrap()
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// An event that has every field.
fn full() -> EventDraft {
    let mut draft = EventDraft::new(event(2), EventKind::GrantIssue, Outcome::Denied).about(&Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse("staff").unwrap(),
        id: "alice".into(),
    });
    draft.reason = Some(Reason::Blocked);
    draft.workload = Some(WorkloadId::parse("notes-mcp").unwrap());
    draft.client_id = Some("agent-7".into());
    draft.provider = Some(ProviderId::parse("notes").unwrap());
    draft.connection = Some(ConnectionId::parse("con_04hkaq2s8d1m5n7p9rbtdvfu2k").unwrap());
    draft.approval = Some(ApprovalId::parse(&format!("apr_{:026}", 3)).unwrap());
    draft.consent = Some(ConsentId::parse(&format!("cns_{:026}", 4)).unwrap());
    draft.scopes_asked = ScopeSet::parse(["notes.write", "notes.read"]).unwrap();
    draft.scopes_granted = ScopeSet::parse(["notes.read"]).unwrap();
    draft.ttl_seconds = Some(300);
    draft.expires_at = Some(time("2027-01-15T08:05:01.500000Z"));
    draft.assertion_sha256 = Some("00ff".into());
    draft.tool = "list \"notes\"".into();
    draft.purpose = "Übersicht".into();
    let inputs = [
        ("roles", Input::Texts(BTreeSet::from(["staff".to_owned()]).into())),
        ("acr", Input::Text("2".into())),
    ];
    let inputs = inputs.into_iter().collect();
    let trace = PolicyTrace { version: "p1".into(), rules: Arc::new(vec!["allow-notes".into()]), inputs };
    draft.policy = Some(trace.into());
    draft.grant = Some(event(1));
    draft.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
    draft.detail.insert("rule_epoch", 9.into());
    draft
}

/// Proves: AU5, AU8
#[test]
fn au8_known_answers_hold_for_body_hash_and_macs() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
    let stream = StreamId::parse(file["stream"].as_str().unwrap()).unwrap();
    let keys = audit_keys(file["system_key_id"].as_str().unwrap(), &hex(&file["system_key"]));
    let opened = EventDraft::new(event(1), EventKind::StreamOpened, Outcome::Allowed);
    let personal =
        SealedPersonal { key: "key_2d4f6h8j0k1m3n5p7r9s2t4v6a".into(), sealed: vec![0, 1, 2, 3, 4] };
    let drafts = [
        (opened, "2027-01-15T08:00:00.000001Z", "", None),
        (full(), "2027-01-15T08:00:01.500000Z", "5f2c", Some(&personal)),
    ];
    assert_eq!(file["events"].as_array().unwrap().len(), drafts.len());
    for ((vector, seq), (draft, at, subject, personal)) in
        file["events"].as_array().unwrap().iter().zip(1..).zip(drafts)
    {
        let place = Place { stream: &stream, seq, time: time(at), subject, personal };
        let body = encode(&draft, &place);
        assert_eq!(String::from_utf8(body.clone()).unwrap(), vector["body"].as_str().unwrap());
        let hash = event_hash(&hex32(&vector["previous_hash"]), &body);
        assert_eq!(hash, hex32(&vector["hash"]));
        assert_eq!(keys.sign(&hash), hex32(&vector["mac"]));
        assert!(keys.verify(keys.current(), &hash, &hex32(&vector["mac"])));
        assert_eq!(Recorded::read(&body).unwrap().seq, seq);
    }
    for (vector, state) in file["heads"].as_array().unwrap().iter().zip(StreamState::ALL) {
        let head = Head {
            stream: stream.clone(),
            seq: vector["seq"].as_i64().unwrap(),
            hash: hex32(&vector["hash"]),
        };
        let mac = head_mac(&keys, &head, state);
        assert_eq!(RowMac::from_bytes(&mac).parts().unwrap().1, hex32(&vector["mac"]));
        assert_eq!(StreamState::vouched(&keys, &head, &mac), Some(state));
    }
}

#[test]
fn an_unknown_version_or_field_is_not_an_event() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
    let body = file["events"][0]["body"].as_str().unwrap();
    assert!(Recorded::read(body.as_bytes()).is_some());
    assert!(Recorded::read(body.replace("\"v\":1", "\"v\":2").as_bytes()).is_none());
    assert!(Recorded::read(body.replace("{\"v\":1", "{\"v\":1,\"extra\":1").as_bytes()).is_none());
}
