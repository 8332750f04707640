//! The judge of the pages is one: it finds what is wrong.

use broker_tests::chromium::Chromium;

#[tokio::test]
async fn what_is_wrong_with_a_page_is_found() {
    let chromium = Chromium::start().await;
    let tab = chromium.profile().await.tab().await;
    let kept = tempfile::tempdir().expect("a directory");
    tab.open("data:text/html,<title>x</title><h1>Pale</h1><p style='color:%23bbb'>grey</p><input><div style='width:600px'>wide</div>").await;
    let faults = tab.faults(kept.path(), "bad").await.join("\n");
    for fault in ["html-has-lang", "color-contrast", "label", "600"] {
        assert!(faults.contains(fault), "{fault}: {faults}");
    }
    assert!(faults.contains("390 dark: "), "{faults}");
    let pictures = std::fs::read_dir(kept.path()).expect("the pictures").count();
    assert_eq!(pictures, 4);
    chromium.close().await;
}
