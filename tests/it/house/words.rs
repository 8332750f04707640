//! What people read on the pages stands in one place, `transport/web/texts`, for whoever translates it.

use super::sources;

const WEB: &str = "broker/src/transport/web";

/// A literal of a page, with the code before it on its line.
struct Literal<'l> {
    before: &'l str,
    text: &'l str,
}

/// The string literals of a line of code. Escaped quotes do not occur where this is used.
fn literals(line: &str) -> Vec<Literal<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = line[at..].find('"').map(|n| at + n) {
        let Some(length) = line[begin + 1..].find('"') else { break };
        let end = begin + 1 + length;
        found.push(Literal { before: line[..begin].trim_end(), text: &line[begin + 1..end] });
        at = end + 1;
    }
    found
}

/// Whether people would read it: words between tags, or anything that looks like a sentence and is no attribute.
fn is_read(literal: &Literal<'_>) -> bool {
    let is_content = literal.before.is_empty()
        || literal.before.ends_with(['{', '}', ')', ';', '"'])
        || literal.before.ends_with("=>");
    let is_attribute = literal.before.ends_with('=') || literal.before.ends_with("=(format!(");
    let mut letters = literal.text.chars().filter(|c| c.is_alphabetic());
    let Some(first) = letters.next() else { return false };
    is_content || (!is_attribute && (first.is_uppercase() || literal.text.trim().contains(' ')))
}

#[test]
fn no_page_holds_a_sentence_of_its_own() {
    let pages = sources::rust(&format!("{WEB}/pages"));
    assert!(pages.len() > 8, "the pages were not found");
    let mut seen = 0;
    let mut faults = Vec::new();
    for page in &pages {
        for (number, line) in page.code() {
            let found = literals(line);
            seen += found.len();
            let read = found.iter().filter(|literal| is_read(literal));
            faults.extend(read.map(|literal| format!("{}:{number}: {:?}", page.path, literal.text)));
        }
    }
    assert!(seen > 50, "the pages were not understood");
    assert!(faults.is_empty(), "words that belong into {WEB}/texts:\n{}", faults.join("\n"));
}

#[test]
fn markup_is_made_by_pages_alone() {
    let others = sources::rust(WEB).into_iter().filter(|s| !s.is_test() && !s.path.contains("/pages/"));
    let made = others.filter(|source| source.code().any(|(_, line)| line.contains("html!")));
    let made: Vec<_> = made.map(|source| source.path).collect();
    assert!(made.is_empty(), "markup outside {WEB}/pages: {made:?}");
}

#[test]
fn a_sentence_is_recognised() {
    let read = |line: &str| literals(line).iter().any(is_read);
    for line in [
        r#"p { "Go on" }"#,
        r#"(name) " said" "#,
        r#"h1 { (title) } "declined""#,
        r#"let lead = if one { "Wait a moment." } else { texts::X };"#,
        r#"State::Done => "done","#,
        r#"plain("Hello {name}", &names)"#,
    ] {
        assert!(read(line), "{line}");
    }
    for line in [
        r#"p.fine { (texts::REFERENCE) " " code { (trace) } }"#,
        r#"meta name="color-scheme" content="light dark";"#,
        r#"a.button href="/connections" { (texts::SEE) }"#,
        r#"action=(format!("/consent/{}", handle))"#,
        r#"[("server", &view.server), ("provider", &view.provider)]"#,
        r#"p { b { (why.title) "." } " " (why.what) }"#,
    ] {
        assert!(!read(line), "{line}");
    }
}
