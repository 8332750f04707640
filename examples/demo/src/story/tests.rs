//! The story is told to its end, and gives nothing away.

use super::{
    StepFailed, run, tell,
    teller::{Style, Teller, Told},
};

use crate::world::Options;

const STEPS: usize = 15;

/// Proves: VA10
#[tokio::test]
async fn the_whole_story_is_told_and_holds_no_secret() {
    let mut transcript = Vec::new();
    let outcome = tell(&mut transcript, Style::Plain, Options::default()).await;
    let transcript = String::from_utf8(transcript).expect("text");
    let stage = outcome.unwrap_or_else(|failed| panic!("{failed}\n{transcript}"));

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
        "Ticket helper needs more access to your Notes account than it has.",
        "and now gets 401",
        "connection.revoked",
        "verified: ",
        "README.md",
    ] {
        assert!(transcript.contains(words), "{words:?} in\n{transcript}");
    }
    let secrets = stage.secrets().expect("read");
    assert!(secrets.len() >= 11, "{}", secrets.len());
    // And the forms that tokens have here: JWTs, tokens, codes and sessions of SSO and SaaS, workload secrets.
    let forms = ["eyJ", "notes_at_", "notes_rt_", "sso_at_", "code_", "sid_", "bws_"].map(str::to_owned);
    for secret in secrets.iter().chain(&forms) {
        assert!(!transcript.contains(secret.as_str()), "{secret:?} in\n{transcript}");
    }
    for line in transcript.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line:?}");
    }
    let directory = stage.world.directory().to_owned();
    assert!(directory.join("broker.db").exists());
    stage.clear().await;
    assert!(!directory.exists(), "the temporary directory is left behind");
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

/// Where policy allows nothing, the second step must fail, and say what came instead of a link.
#[tokio::test]
async fn a_story_that_cannot_go_on_stops_at_its_step() {
    let policy = "// Nobody may have anything.".to_owned();
    let options = Options { policy: Some(policy), ..Options::default() };
    let mut transcript = Vec::new();
    let failed = tell(&mut transcript, Style::Colour, options).await.err().expect("cannot go on");
    assert_eq!(failed.number, 2, "{failed}");
    assert!(failed.to_string().contains("POLICY_DENIED"), "{failed}");
    let transcript = String::from_utf8(transcript).expect("text");
    assert!(
        transcript.contains("this did not go as it must") && !transcript.contains("  3  "),
        "{transcript}"
    );
}

#[tokio::test]
async fn the_plain_telling_cleans_up_after_itself() {
    let mut transcript = Vec::new();
    run(&mut transcript).await.expect("told");
    let transcript = String::from_utf8(transcript).expect("text");
    let line = transcript.lines().find(|line| line.contains("fresh keys in")).expect("says where");
    let directory = line.split_whitespace().last().expect("a path");
    assert!(directory.contains("token-broker-") && !std::path::Path::new(directory).exists(), "{directory}");
    assert!(!transcript.contains('\u{1b}'), "plain text has no colours");
}
