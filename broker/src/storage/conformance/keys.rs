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
    keys.rewrap("s1", "k2", &[9]).await.unwrap();
    let rewrapped = WrappedKey { wrapped_by: "k2".to_owned(), wrapped: vec![9], ..key("s1", "pseudonym") };
    assert_eq!(keys.subject_key("acme", "pseudonym").await.unwrap(), Some(rewrapped));
    assert_eq!(keys.subject_key("globex", "pseudonym").await.unwrap(), None);
    keys.rewrap("k1", "root-2", &[8]).await.unwrap();
    assert_eq!(keys.tenant_keys("acme").await.unwrap()[1].wrapped, [8]);
    keys.rewrap("gone", "root-2", &[8]).await.expect_err("a key that is not there");
}
