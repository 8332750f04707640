//! What the pages say, and that what others wrote stays inert.

use super::views::{PLAIN, Words, every_page, forms, frame, view};
use crate::{
    domain::{ConsentReason, ConsentState},
    transport::web::pages,
};

/// Hostile words in every place that others fill.
const HOSTILE: Words = Words {
    person: "<script>p()</script>\u{202e}",
    server: "<img src=x onerror=s()>\u{2067}",
    provider: "\"><form action=//evil.example>",
    account: "</bdi></b>\u{2069}\u{202e}gro.live",
    tool: "'\"><script>t()</script>",
    purpose: "{server}{provider}\u{0}",
    note: "<a href='//evil.example'>win</a>",
    scope: "</li><script>d()</script>\u{200b}",
};

fn count(html: &str, what: &str) -> usize {
    html.matches(what).count()
}

#[test]
fn every_page_is_well_formed_for_people_and_screen_readers() {
    for (name, page) in every_page(PLAIN) {
        let html = page.into_string();
        assert!(html.starts_with("<!DOCTYPE html>"), "{name}");
        for once in ["<html lang=\"en\">", "<h1>", "<main>", "<header>", "<footer>", "<title>"] {
            assert_eq!(count(&html, once), 1, "{name}: {once}");
        }
        assert_eq!(count(&html, "name=\"viewport\""), 1, "{name}");
        assert_eq!(count(&html, "<script"), 0, "{name}");
        assert_eq!(count(&html, "style=\""), 0, "{name}: inline styles are against the policy");
        assert_eq!(count(&html, "<form"), count(&html, "method=\"post\""), "{name}: every form is a POST");
        assert_eq!(count(&html, "<form"), count(&html, "name=\"csrf\""), "{name}: every form has a token");
        assert!(!html.contains('{'), "{name}: a place was not filled");
        let radios = count(&html, "type=\"radio\"");
        assert_eq!(radios, count(&html, "<label"), "{name}: every choice has a label");
        assert_eq!(radios > 0, html.contains("<legend>"), "{name}");
        assert_eq!(
            count(&html, "class=\"notice\""),
            count(&html, "class=\"notice\" role=\"note\"><p class=\"sign\">"),
            "{name}"
        );
        assert_eq!(
            count(&html, "<ul class=") + count(&html, "<ol class="),
            count(&html, "role=\"list\""),
            "{name}: no marker, but a list"
        );
        headings_descend(&name, &html);
    }
}

/// No level of heading is left out on the way down.
fn headings_descend(name: &str, html: &str) {
    let mut level = 0;
    for part in html.split("<h").skip(1) {
        let Some(next) = part.chars().next().and_then(|c| c.to_digit(10)) else { continue };
        assert!(next <= level + 1, "{name}: h{next} after h{level}");
        level = next;
    }
}

/// Proves: CO7
#[test]
fn co7_the_page_names_server_tool_purpose_provider_scopes_and_person() {
    let pending = view(PLAIN, ConsentReason::NotConnected, ConsentState::Pending);
    let html = pages::consent(&frame(PLAIN), &pending, &forms(), true, None).into_string();
    for part in [PLAIN.server, PLAIN.tool, PLAIN.purpose, PLAIN.provider, PLAIN.scope, PLAIN.person] {
        assert!(html.contains(part), "{part}");
    }
    let says = html.split_once("class=\"says\"").unwrap().1.split_once("</section>").unwrap().0;
    assert!(says.contains(&format!("<b><bdi>{}</bdi></b> says", PLAIN.server)));
    assert!(says.contains(PLAIN.tool) && says.contains(PLAIN.purpose));
    assert_eq!(count(&html, PLAIN.purpose), 1, "the server's words stand nowhere else");
    assert!(html.contains("<span class=\"badge\">Read</span>"));
    assert!(html.contains("<span class=\"badge write\">Write</span>"));
    for scope in ["notes.read", "notes.write"] {
        assert!(html.contains(&format!("<code>{scope}</code>")));
    }
}

/// Proves: CO7, CO12
#[test]
fn co7_co12_what_others_wrote_stays_inert() {
    let tags = |html: &str| -> Vec<String> {
        let after = html.split('<').skip(1);
        after.map(|part| part.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
    };
    for ((name, plain), (_, hostile)) in every_page(PLAIN).into_iter().zip(every_page(HOSTILE)) {
        let (plain, hostile) = (plain.into_string(), hostile.into_string());
        assert_eq!(tags(&plain), tags(&hostile), "{name}: an element more or less");
        assert!(!hostile.chars().any(crate::consent::words::is_invisible), "{name}");
        for mark in ["<", ">", "\""] {
            assert_eq!(count(&plain, mark), count(&hostile, mark), "{name}: {mark} got through");
        }
    }
}

/// Proves: CO11
#[test]
fn co11_the_account_is_shown_and_every_difference_is_said() {
    let pages = every_page(PLAIN);
    let html = |wanted: &str| pages.iter().find(|(name, _)| name == wanted).unwrap().1.clone().into_string();
    let good = html("confirm");
    assert!(good.contains(
        "The <b><bdi>Acme Notes</bdi></b> account <b><bdi>alice-w</bdi></b> will be attached to you"
    ));
    assert_eq!(count(&good, "class=\"notice\""), 0);
    let poor = html("confirm-with-notices");
    assert_eq!(count(&poor, "class=\"notice\""), 4);
    for told in ["a different account", "granted less", "granted more", "no way to renew"] {
        assert!(poor.contains(told), "{told}");
    }
    assert!(html("ask-WIDER_THAN_APPROVED").contains("cannot hand out a smaller key"));
}

/// Proves: GR1
#[test]
fn gr1_every_other_server_that_will_hold_the_token_is_named() {
    let pages = every_page(PLAIN);
    let html = |wanted: &str| pages.iter().find(|(name, _)| name == wanted).unwrap().1.clone().into_string();
    for page in ["ask-shared", "choose-shared", "confirm-shared"] {
        let html = html(page);
        let (_, others) = html.split_once("<p>These servers will also hold a token").expect(page);
        let (sentence, names) = others.split_once("</p><ul>").expect(page);
        let (names, _) = names.split_once("</ul>").expect(page);
        assert!(
            sentence.contains("Acme Notes") && names.ends_with("<li><bdi>Report writer</bdi></li>"),
            "{page}"
        );
        assert_eq!(count(names, "<li>"), 2, "{page}: one each");
        assert!(
            html.contains("will hold one that can also:") && html.contains("<code>admin</code>"),
            "{page}"
        );
    }
    for page in ["ask-NOT_APPROVED", "choose-none", "confirm"] {
        assert!(!html(page).contains("will also hold") && !html(page).contains("can also:"), "{page}");
    }
}

/// Proves: CO2
#[test]
fn co2_the_wrong_person_and_the_wrong_browser_learn_nothing() {
    for (name, page) in every_page(PLAIN) {
        if name == "wrong-person" || name.starts_with("other-browser") {
            let html = page.into_string();
            for secret in [PLAIN.server, PLAIN.provider, PLAIN.tool, PLAIN.purpose, PLAIN.account, "notes"] {
                assert!(!html.contains(secret), "{name}: {secret}");
            }
        }
    }
}

#[test]
fn the_truth_about_a_disconnect_is_told() {
    let pages = every_page(PLAIN);
    let html = |wanted: &str| pages.iter().find(|(name, _)| name == wanted).unwrap().1.clone().into_string();
    assert!(!html("disconnected-revoked-false").contains("may go on working"));
    assert!(html("disconnected-unsupported-true").contains("21 November 2026, 07:55 UTC"));
    assert!(html("disconnected-unsupported-false").contains("does not say until when"));
    assert!(html("disconnected-failed_will_retry-true").contains("goes on trying"));
}
