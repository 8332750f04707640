//! The story is told to its end, and gives nothing away.

use super::{StepFailed, run, teller::{Style, Teller, Told}};

const STEPS: usize = 14;

/// Proves: VA10
#[tokio::test]
async fn the_whole_story_is_told_and_holds_no_secret() {
    let mut transcript = Vec::new();
    let outcome = run(&mut transcript).await;
    let transcript = String::from_utf8(transcript).expect("text");
    outcome.unwrap_or_else(|failed| panic!("{failed}\n{transcript}"));

    for number in 1..=STEPS {
        let head = format!("{number:>3}  ");
        let told = transcript.lines().filter(|line| line.starts_with(&head) && line.ends_with(" ms")).count();
        assert_eq!(told, 1, "step {number} in\n{transcript}");
    }
    for words in [
        "Connect your Notes account so that Ticket helper can use it for you.",
        "alice@notes.example",
        "This link is not for this account",
        "ASSERTION_AUDIENCE",
        "and now gets 401",
        "connection.revoked",
        "verified: ",
        "README.md",
    ] {
        assert!(transcript.contains(words), "{words:?} in\n{transcript}");
    }
    // The forms every secret of this world has: JWTs, tokens and codes of SSO and SaaS, workload secrets, passwords.
    let secrets = ["eyJ", "notes_at_", "notes_rt_", "sso_at_", "code_", "sid_", "bws_", "wonderland", "alice-notes"];
    for secret in secrets {
        assert!(!transcript.contains(secret), "{secret:?} in\n{transcript}");
    }
    for line in transcript.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line:?}");
    }
}

#[tokio::test]
async fn a_step_that_goes_wrong_is_named() {
    let mut out = Vec::new();
    let mut teller = Teller::new(&mut out, Style::Plain);
    teller.step("first", async { Told::lines(["fine"]) }).await.expect("goes well");
    let failed = teller.step("second", async { Err::<Told<()>, _>("no such page".into()) }).await;
    let failed: StepFailed = failed.expect_err("goes wrong");
    assert_eq!((failed.number, failed.title.as_str()), (2, "second"));
    assert_eq!(failed.to_string(), "step 2 (second) failed: no such page");
    assert!(String::from_utf8(out).expect("text").contains("this did not go as it must"));
}
