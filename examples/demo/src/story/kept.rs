//! What can be tried while everything is left running.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use serde_json::json;

use super::Stage;
use crate::world::{ADMIN, ALICE, AUDITOR, CALENDAR, PROVIDER, Workload};

/// URLs and commands, ready to paste. Writes what they need into the broker's directory: no secret is shown.
///
/// # Errors
/// When a file cannot be written.
pub fn kept(stage: &Stage) -> io::Result<Vec<String>> {
    let world = &stage.world;
    let assertion = world.assertion(&ALICE, Workload::TicketHelper);
    let ask = json!({
        "assertion": assertion, "provider": PROVIDER, "scopes": ["notes.read"], "tool": "by_hand", "purpose": "Try it",
    });
    let both = json!({
        "assertion": assertion, "tool": "by_hand", "purpose": "Try two at once",
        "items": [
            { "provider": PROVIDER, "scopes": ["notes.read"] },
            { "provider": CALENDAR, "scopes": ["calendar.read"] },
        ],
    });
    let files = [
        ("ticket-helper.secret", world.secret(Workload::TicketHelper).to_owned()),
        ("ask.json", ask.to_string()),
        ("ask-both.json", both.to_string()),
    ];
    let [secret, ask, both] = files.map(|(name, text)| (world.path(name), text));
    for (path, text) in [&secret, &ask, &both] {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
    }
    let [secret, ask, both] = [&secret, &ask, &both].map(|(path, _)| path.display());
    let config = world.config_path();
    let broker =
        |command: &str| format!("  cargo run -q -p broker -- {command} --config {}", config.display());
    let grpc = world.addresses().grpc;
    Ok(vec![
        "Everything is still running. In your browser:".to_owned(),
        format!("  {}/connections   what alice is connected to, and her own off switch", world.web_url()),
        "  the last link above, from the step \"The next tool call asks again\"".to_owned(),
        format!("  as alice: at the SSO {} / {},", ALICE.sso.name, ALICE.sso.password),
        format!("            at Notes {} / {}", ALICE.notes.name, ALICE.notes.password),
        format!("            at Calendar {} / {}", ALICE.calendar.name, ALICE.calendar.password),
        format!("  {}/readyz and /metrics", world.ops_url()),
        String::new(),
        "The broker's own commands, beside it:".to_owned(),
        broker("audit list"),
        broker("audit verify"),
        broker("workload list"),
        broker("provider list"),
        broker("keys list"),
        format!(
            "{} \\\n      --subject alice --issuer sso --role notes-users --workload ticket-helper --provider notes --scope notes.read",
            broker("policy explain")
        ),
        String::new(),
        "A call as Ticket helper makes it, with an assertion that is good for an hour; and one for two"
            .to_owned(),
        "systems at once, whose answer is one link for both:".to_owned(),
        format!("  grpcurl -plaintext -H \"authorization: Bearer $(cat {secret})\" -d @ \\"),
        format!("    {grpc} broker.v1.GrantService/IssueGrant <{ask}"),
        format!("  grpcurl -plaintext -H \"authorization: Bearer $(cat {secret})\" -d @ \\"),
        format!("    {grpc} broker.v1.GrantService/BatchIssueGrants <{both}"),
        String::new(),
        format!("Auditors and administrators sign in at the SSO as {} and {}.", AUDITOR.name, ADMIN.name),
        "Ctrl-C ends it all and removes every file.".to_owned(),
    ])
}
