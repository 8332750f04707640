use super::{Fixture, samples};
use crate::storage::{StoreError, WrappedKey};

fn key(id: &str, subject: &str) -> WrappedKey {
    WrappedKey {
        id: id.to_owned(),
        tenant: "acme".to_owned(),
        subject: subject.to_owned(),
        wrapped_by: "root-1".to_owned(),
        wrapped: vec![1, 2, 3],
        created_at: samples::NOW,
    }
}

pub(crate) async fn writes(fixture: &Fixture) {
    let keys = &fixture.wrapped_keys;
    assert!(keys.tenant_keys("acme").await.unwrap().is_empty());
    keys.insert(&key("k1", ""), true).await.unwrap();
    assert!(matches!(keys.insert(&key("k2", ""), true).await, Err(StoreError::Exists)), "it has a first key");
    assert!(matches!(keys.insert(&key("k1", ""), false).await, Err(StoreError::Exists)), "the id exists");
    keys.insert(&WrappedKey { tenant: String::new(), ..key("system", "") }, true).await.unwrap();
    let second = WrappedKey { created_at: samples::later(1), ..key("k2", "") };
    keys.insert(&second, false).await.unwrap();
    assert_eq!(keys.tenant_keys("acme").await.unwrap(), [second, key("k1", "")], "newest first");
    assert_eq!(keys.tenant_keys("").await.unwrap().len(), 1);

    keys.insert(&key("s1", "pseudonym"), false).await.unwrap();
    assert!(matches!(keys.insert(&key("s2", "pseudonym"), false).await, Err(StoreError::Exists)));
    let was = key("s1", "pseudonym");
    assert!(keys.rewrap(&was, "k2", &[9]).await.unwrap());
    let rewrapped = WrappedKey { wrapped_by: "k2".to_owned(), wrapped: vec![9], ..was.clone() };
    assert_eq!(keys.subject_key("acme", "pseudonym").await.unwrap(), Some(rewrapped.clone()));
    assert_eq!(keys.subject_key("globex", "pseudonym").await.unwrap(), None);
    assert!(!keys.rewrap(&was, "k3", &[7]).await.unwrap(), "it is no more what was read");
    assert!(!keys.rewrap(&WrappedKey { wrapped: vec![8], ..rewrapped.clone() }, "k3", &[7]).await.unwrap());
    assert_eq!(keys.subject_key("acme", "pseudonym").await.unwrap(), Some(rewrapped));
    assert!(keys.rewrap(&key("k1", ""), "root-2", &[8]).await.unwrap());
    assert_eq!(keys.tenant_keys("acme").await.unwrap()[1].wrapped, [8]);
    assert!(!keys.rewrap(&key("gone", ""), "root-2", &[8]).await.unwrap(), "a key that is not there");
    assert_eq!(keys.counts().await.unwrap(), [(String::new(), 1), ("acme".to_owned(), 2)]);
}
