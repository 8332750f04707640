//! Reads the forms of an HTML page, as far as a person filling them needs it.

use std::collections::BTreeMap;

/// One `<form>`: where it goes and what it sends if nothing is typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The `action` as written; empty means the page's own address.
    pub action: String,
    /// Lower case; `get` when the form does not say.
    pub method: String,
    /// Hidden, checked and prefilled fields by name.
    pub fields: BTreeMap<String, String>,
    /// Named buttons as (name, value); pressing one sends it.
    pub buttons: Vec<(String, String)>,
}

/// Every form of the page, in document order.
pub fn parse(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for (name, attributes) in tags(html) {
        match (name.as_str(), &mut open) {
            ("form", _) => open = Some(start(&attributes)),
            ("/form", form) => forms.extend(form.take()),
            ("input", Some(form)) => add_input(form, &attributes),
            ("button", Some(form)) => form.buttons.extend(named(&attributes)),
            _ => {}
        }
    }
    forms
}

type Attributes = BTreeMap<String, String>;

fn start(attributes: &Attributes) -> Form {
    let get = |name: &str| attributes.get(name).cloned().unwrap_or_default();
    let method = Some(get("method").to_lowercase()).filter(|m| !m.is_empty()).unwrap_or("get".into());
    Form { action: get("action"), method, fields: BTreeMap::new(), buttons: Vec::new() }
}

fn named(attributes: &Attributes) -> Option<(String, String)> {
    let name = attributes.get("name")?.clone();
    Some((name, attributes.get("value").cloned().unwrap_or_default()))
}

fn add_input(form: &mut Form, attributes: &Attributes) {
    let Some((name, value)) = named(attributes) else { return };
    match attributes.get("type").map(String::as_str) {
        Some("submit") => form.buttons.push((name, value)),
        Some("checkbox" | "radio") if !attributes.contains_key("checked") => {}
        Some("checkbox" | "radio") if !attributes.contains_key("value") => {
            form.fields.insert(name, "on".into());
        }
        _ => {
            form.fields.insert(name, value);
        }
    }
}

/// Start and end tags with their attributes. Pages under test escape `<` in text, so splitting there is enough.
fn tags(html: &str) -> impl Iterator<Item = (String, Attributes)> {
    html.split('<').skip(1).map(|piece| {
        let name_end = piece.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(piece.len());
        (piece[..name_end].trim_end_matches('/').to_lowercase(), attributes(&piece[name_end..]))
    })
}

fn attributes(mut rest: &str) -> Attributes {
    let mut found = Attributes::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let name_end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c)).unwrap_or(rest.len());
        if name_end == 0 {
            return found;
        }
        let name = rest[..name_end].to_lowercase();
        rest = rest[name_end..].trim_start();
        let value = rest.strip_prefix('=').map(|after| {
            let (value, left) = attribute_value(after.trim_start());
            rest = left;
            unescape(value)
        });
        found.insert(name, value.unwrap_or_default());
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].split_once(quote).unwrap_or((&text[1..], "")),
        _ => text.split_at(text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len())),
    }
}

fn unescape(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x2F;", "/"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_would_send_it() {
        let html = r#"<form method="POST" action="/a?x=1&amp;y=2"><input type=hidden name=csrf value='q"q'>
            <input type="checkbox" name="a" checked/><input type="checkbox" name="b"><input name="free">
            <button name="do" value="approve">Go</button></form><form></form>"#;
        let forms = parse(html);
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].action, "/a?x=1&y=2");
        assert_eq!(forms[0].method, "post");
        let fields: Vec<_> = forms[0].fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(fields, [("a", "on"), ("csrf", "q\"q"), ("free", "")]);
        assert_eq!(forms[0].buttons, [("do".to_owned(), "approve".to_owned())]);
        assert_eq!(forms[1].method, "get");
    }
}
