//! Edits of `parent_pages`: an edited page leads nowhere, whoever opens it.

use broker_tests::composite::{Composite, both, open, standing};
use demo::world::{ALICE, BOB};

/// Proves: GR6, VA11
#[tokio::test]
async fn va11_an_edited_parent_page_leads_nowhere() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    let browser = duo.browser();
    open(&browser, &required.url, &ALICE).await;
    let bob = duo.needed(&BOB, both()).await;
    let (bobs, _) = standing(&bob, 0).expect("a consent");
    let alices = open(&duo.browser(), &bob.url, &BOB).await;
    assert_eq!(alices.status, 200);
    let mut database = duo.stage.database().await;
    let hers = database.text("SELECT subject FROM parent_pages ORDER BY created_at, id LIMIT 1").await;
    database.save().await;
    for edit in [
        format!("consents = '{bobs}'"),
        format!("consents = consents || ' {bobs}'"),
        "consents = ''".to_owned(),
        "workload = 'report-writer'".to_owned(),
        "expires_at = expires_at + 86400000000".to_owned(),
        "created_at = created_at + 1".to_owned(),
        "mismatches = -1000".to_owned(),
        "version = version + 1".to_owned(),
        "realm = 'cluster'".to_owned(),
        "tenant = 'elsewhere'".to_owned(),
        format!("subject = '{hers}', version = 9"),
    ] {
        database.edit(&format!("UPDATE parent_pages SET {edit}")).await;
        for (browser, link) in [(&browser, &required.url), (&browser, &bob.url)] {
            let page = browser.get(link).await.expect("answers");
            assert_ne!(page.status, 200, "{edit}");
            assert!(!page.html().contains("Tasks"), "{edit}: {}", page.describe());
        }
        database.restore().await;
    }
    assert_eq!(browser.get(&required.url).await.expect("the page").status, 200);
    duo.stop().await;
}
