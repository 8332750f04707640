//! Reads the HTML that simple server-rendered pages are made of: text, links, forms, a meta refresh.

use super::form::{Control, FormData, Kind};

/// What a page holds.
#[derive(Clone, Default)]
pub(super) struct Document {
    pub(super) title: String,
    /// The visible text: one line per block, white space collapsed.
    pub(super) text: String,
    /// Text and target of each link.
    pub(super) links: Vec<(String, String)>,
    pub(super) forms: Vec<FormData>,
    /// The target of `<meta http-equiv="refresh">`.
    pub(super) refresh: Option<String>,
}

impl Document {
    /// Reads a page; there is no such thing as an unreadable one.
    pub(super) fn parse(html: &str) -> Document {
        let mut builder = Builder::default();
        let mut rest = html;
        while let Some(open) = rest.find('<') {
            builder.text(&rest[..open]);
            rest = builder.markup(&rest[open..]);
        }
        builder.text(rest);
        builder.finish()
    }
}

#[derive(Default)]
struct Builder {
    document: Document,
    text: String,
    form: Option<usize>,
    link: Option<(String, String)>,
    /// The button, option or text area whose content is being read, and the form it goes to.
    open_control: Option<(Option<usize>, Control)>,
    select: Option<(Option<usize>, Control)>,
    /// Controls outside a form that name theirs by `form="…"`.
    adopted: Vec<(String, Control)>,
}

impl Builder {
    fn text(&mut self, raw: &str) {
        let decoded = decode(raw);
        self.text.push_str(&decoded.replace(char::is_whitespace, " "));
        if let Some((_, label)) = &mut self.link {
            label.push_str(&decoded);
        }
        if let Some((_, control)) = &mut self.open_control {
            control.label.push_str(&decoded);
        }
    }

    /// Takes one piece of markup off the front; answers what follows it.
    fn markup<'a>(&mut self, rest: &'a str) -> &'a str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.find("-->").map_or("", |end| &comment[end + 3..]);
        }
        if let Some(end_tag) = rest.strip_prefix("</") {
            let (inside, after) = split_once_or_all(end_tag, '>');
            self.close(inside.trim().to_ascii_lowercase().as_str());
            return after;
        }
        if !rest[1..].starts_with(|next: char| next.is_ascii_alphabetic()) {
            if rest[1..].starts_with(['!', '?']) {
                return split_once_or_all(rest, '>').1;
            }
            self.text("<");
            return &rest[1..];
        }
        let (tag, after) = Tag::parse(&rest[1..]);
        match tag.name.as_str() {
            "script" | "style" | "template" => skip_past(after, &tag.name).1,
            "title" => {
                let (title, after) = skip_past(after, "title");
                self.document.title = collapse(&decode(title));
                after
            }
            "textarea" => {
                let (content, after) = skip_past(after, "textarea");
                let value = decode(content.strip_prefix('\n').unwrap_or(content));
                self.attach(self.form, tag.control(Kind::Text, value));
                after
            }
            _ => {
                self.open(&tag);
                after
            }
        }
    }

    fn open(&mut self, tag: &Tag) {
        self.break_line(&tag.name);
        match tag.name.as_str() {
            "a" => self.link = tag.get("href").map(|href| (href.to_owned(), String::new())),
            "meta" if tag.get("http-equiv").is_some_and(|name| name.eq_ignore_ascii_case("refresh")) => {
                self.document.refresh = tag.get("content").and_then(refresh_target);
            }
            "form" => {
                self.document.forms.push(FormData {
                    id: tag.owned("id"),
                    action: tag.owned("action"),
                    post: tag.get("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
                    controls: Vec::new(),
                });
                self.form = Some(self.document.forms.len() - 1);
            }
            "input" => {
                let kind = match tag.get("type").unwrap_or("text").to_ascii_lowercase().as_str() {
                    "submit" | "image" => Kind::Submit,
                    "button" | "reset" => return,
                    "checkbox" => Kind::Checkbox,
                    "radio" => Kind::Radio,
                    "hidden" => Kind::Hidden,
                    _ => Kind::Text,
                };
                let default = if matches!(kind, Kind::Checkbox | Kind::Radio) { "on" } else { "" };
                let value = tag.get("value").unwrap_or(default).to_owned();
                let mut control = tag.control(kind, value);
                control.label = control.value.clone();
                self.attach(self.form, control);
            }
            "button" if tag.get("type").is_none_or(|kind| kind.eq_ignore_ascii_case("submit")) => {
                self.open_control = Some((self.form, tag.control(Kind::Submit, tag.owned("value"))));
            }
            "select" => self.select = Some((self.form, tag.control(Kind::Text, String::new()))),
            "option" => {
                self.close("option");
                self.open_control = Some((self.form, tag.control(Kind::Text, tag.owned("value"))));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        self.break_line(name);
        match name {
            "a" => {
                if let Some((href, label)) = self.link.take() {
                    self.document.links.push((collapse(&label), href));
                }
            }
            "form" => self.form = None,
            "button" => {
                if let Some((form, mut control)) = self.open_control.take() {
                    control.label = collapse(&control.label);
                    self.attach(form, control);
                }
            }
            "option" if self.select.is_some() => {
                if let (Some((_, option)), Some((_, select))) = (self.open_control.take(), &mut self.select) {
                    let value = if option.has_value { option.value } else { collapse(&option.label) };
                    if option.checked || select.label.is_empty() {
                        select.value.clone_from(&value);
                    }
                    select.label.push_str(&value);
                    select.label.push(' ');
                }
            }
            "select" => {
                self.close("option");
                if let Some((form, control)) = self.select.take() {
                    self.attach(form, control);
                }
            }
            _ => {}
        }
    }

    fn attach(&mut self, form: Option<usize>, control: Control) {
        match (&control.form, form) {
            (Some(named), _) => self.adopted.push((named.clone(), control)),
            (None, Some(form)) => self.document.forms[form].controls.push(control),
            (None, None) => {}
        }
    }

    fn break_line(&mut self, name: &str) {
        const INLINE: [&str; 12] =
            ["a", "abbr", "b", "code", "em", "i", "kbd", "small", "span", "strong", "time", "u"];
        if !INLINE.contains(&name) {
            self.text.push('\n');
        }
    }

    fn finish(mut self) -> Document {
        for (id, control) in std::mem::take(&mut self.adopted) {
            if let Some(form) = self.document.forms.iter_mut().find(|form| form.id == id) {
                form.controls.push(control);
            }
        }
        let lines = self.text.lines().map(collapse).filter(|line| !line.is_empty());
        self.document.text = lines.collect::<Vec<_>>().join("\n");
        self.document
    }
}

/// A start tag.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// Parses what follows `<`; answers the tag and what follows its `>`.
    fn parse(text: &str) -> (Tag, &str) {
        let end = text.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(text.len());
        let mut tag = Tag { name: text[..end].to_ascii_lowercase(), attributes: Vec::new() };
        let mut rest = &text[end..];
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if let Some(after) = rest.strip_prefix('>') {
                return (tag, after);
            }
            if rest.is_empty() {
                return (tag, "");
            }
            let end = rest[1..].find(|c: char| c.is_whitespace() || "=>/".contains(c));
            let (name, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            let (value, after) = match after.trim_start().strip_prefix('=') {
                Some(value) => attribute_value(value.trim_start()),
                None => ("", after),
            };
            let name = name.to_ascii_lowercase();
            // The first of two attributes with one name counts.
            if tag.get(&name).is_none() {
                tag.attributes.push((name, decode(value)));
            }
            rest = after;
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn owned(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    fn control(&self, kind: Kind, value: String) -> Control {
        Control {
            kind,
            name: self.owned("name"),
            value,
            label: String::new(),
            checked: self.get("checked").or(self.get("selected")).is_some(),
            disabled: self.get("disabled").is_some(),
            required: self.get("required").is_some(),
            has_value: self.get("value").is_some(),
            form: self.get("form").map(str::to_owned),
            form_action: self.get("formaction").map(str::to_owned),
        }
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => split_once_or_all(&text[1..], quote),
        _ => text.split_at(text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len())),
    }
}

fn split_once_or_all(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

/// What stands before the next end tag of `name`, and what follows that tag.
fn skip_past<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let lower = text.to_ascii_lowercase();
    match lower.find(&format!("</{name}")) {
        Some(start) => (&text[..start], split_once_or_all(&text[start..], '>').1),
        None => (text, ""),
    }
}

/// `0; url=/next` → `/next`.
fn refresh_target(content: &str) -> Option<String> {
    let (_, target) = content.split_once([';', ','])?;
    let target = target.trim();
    let named = target.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("url"));
    let target = if named { target[3..].trim_start().strip_prefix('=')?.trim() } else { target };
    Some(target.trim_matches(['"', '\'']).to_owned())
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Replaces character references; unknown ones stay as written.
fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest
            .find(';')
            .filter(|end| *end <= 10)
            .and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        let (character, length) = reference.unwrap_or(('&', 1));
        decoded.push(character);
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    decoded
}

fn character(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        "middot" => Some('·'),
        "hellip" => Some('…'),
        "mdash" => Some('—'),
        "ndash" => Some('–'),
        "copy" => Some('©'),
        _ => {
            let digits = name.strip_prefix('#')?;
            match digits.strip_prefix(['x', 'X']) {
                Some(hex) => number(hex, 16),
                None => number(digits, 10),
            }
        }
    }
}
