//! A form as it stands on a page: fill it in, press a button.

use url::Url;
use url::form_urlencoded::Serializer;

use super::navigation::Initiator;
use super::page::Page;
use super::{Browser, BrowserError, Request};

/// What a control does when the form is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hidden,
    Text,
    Checkbox,
    Radio,
    Submit,
}

/// One control.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) label: String,
    pub(super) checked: bool,
    pub(super) disabled: bool,
    pub(super) required: bool,
    pub(super) has_value: bool,
    pub(super) form: Option<String>,
    pub(super) form_action: Option<String>,
}

/// A form without the page around it.
#[derive(Clone)]
pub(super) struct FormData {
    pub(super) id: String,
    pub(super) action: String,
    pub(super) post: bool,
    pub(super) controls: Vec<Control>,
}

impl FormData {
    /// What the form looks like, without values.
    pub(super) fn describe(&self) -> String {
        let fields = self.controls.iter().filter(|control| control.kind != Kind::Submit);
        let fields: Vec<&str> = fields.map(|control| control.name.as_str()).collect();
        let buttons = self.controls.iter().filter(|control| control.kind == Kind::Submit);
        let buttons: Vec<&str> = buttons.map(|control| control.label.as_str()).collect();
        let method = if self.post { "post" } else { "get" };
        let action = self.action.split('?').next().unwrap_or_default();
        format!("form {:?} ({method} {action}, fields {fields:?}, buttons {buttons:?})", self.id)
    }
}

/// A form on a page.
#[derive(Clone)]
pub struct Form {
    data: FormData,
    browser: Browser,
    initiator: Initiator,
    policies: Vec<String>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without values: they are passwords and handles.
        f.write_str(&self.data.describe())
    }
}

impl Form {
    pub(super) fn new(page: &Page, data: FormData) -> Form {
        let browser = page.browser().clone();
        Form { data, browser, initiator: page.initiator(), policies: page.content_security_policies() }
    }

    /// The value a field would be sent with.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut named = self.data.controls.iter().filter(|c| c.name == name && c.kind != Kind::Submit);
        named.find(|c| !matches!(c.kind, Kind::Checkbox | Kind::Radio) || c.checked).map(|c| c.value.as_str())
    }

    /// The labels of the form's buttons.
    pub fn buttons(&self) -> Vec<&str> {
        self.data.controls.iter().filter(|c| c.kind == Kind::Submit).map(|c| c.label.as_str()).collect()
    }

    /// Types `value` into the field `name`, or picks the radio button or option of that value. Hidden fields can
    /// be changed too, which is what an attacker would do.
    ///
    /// # Errors
    /// [`BrowserError::NoField`] when there is no such field.
    pub fn fill(mut self, name: &str, value: &str) -> Result<Form, BrowserError> {
        let radio = |c: &Control| c.kind == Kind::Radio && c.name == name;
        if self.data.controls.iter().any(|c| radio(c) && c.value == value) {
            self.data.controls.iter_mut().filter(|c| radio(c)).for_each(|c| c.checked = c.value == value);
            return Ok(self);
        }
        let typed = |c: &&mut Control| c.name == name && matches!(c.kind, Kind::Hidden | Kind::Text);
        match self.data.controls.iter_mut().find(typed) {
            Some(control) => value.clone_into(&mut control.value),
            None => return Err(self.no_field(name)),
        }
        Ok(self)
    }

    /// Ticks or unticks the box `name` that stands for `value`.
    ///
    /// # Errors
    /// [`BrowserError::NoField`] when there is no such box.
    pub fn tick(mut self, name: &str, value: &str, on: bool) -> Result<Form, BrowserError> {
        let named = |c: &&mut Control| c.kind == Kind::Checkbox && c.name == name && c.value == value;
        match self.data.controls.iter_mut().find(named) {
            Some(control) => control.checked = on,
            None => return Err(self.no_field(name)),
        }
        Ok(self)
    }

    /// Presses the button with this label or value, and loads what follows.
    ///
    /// # Errors
    /// When there is no such button, a required field is empty, the page's policy forbids the target, or the
    /// next page cannot be loaded.
    pub async fn submit(self, button: &str) -> Result<Page, BrowserError> {
        let pressed = |c: &Control| {
            c.kind == Kind::Submit && !c.disabled && (c.label == button || (c.has_value && c.value == button))
        };
        let Some(pressed) = self.data.controls.iter().position(pressed) else {
            return Err(BrowserError::NoButton { wanted: button.to_owned(), form: self.data.describe() });
        };
        if let Some(empty) = self.data.controls.iter().find(|c| self.lacks(c)) {
            let form = self.data.describe();
            return Err(BrowserError::RequiredFieldEmpty { field: empty.name.clone(), form });
        }
        let action = self.data.controls[pressed].form_action.as_ref().unwrap_or(&self.data.action);
        let mut target = self.initiator.url.join(action).map_err(|_| BrowserError::NotAnAddress)?;
        let body = self.encode(pressed);
        let body = if self.data.post {
            Some(body)
        } else {
            target.set_query(Some(&body));
            None
        };
        let page: Url = self.initiator.url.clone();
        let form_policy = Some((self.policies, page));
        let request =
            Request { url: target, body, initiator: Some(self.initiator), by_hand: true, form_policy };
        self.browser.load(request).await
    }

    fn lacks(&self, control: &Control) -> bool {
        control.required && !control.disabled && self.value(&control.name).is_none_or(str::is_empty)
    }

    /// The successful controls in page order (HTML §4.10.22.4).
    fn encode(&self, pressed: usize) -> String {
        let mut body = Serializer::new(String::new());
        for (index, control) in self.data.controls.iter().enumerate() {
            let sent = match control.kind {
                Kind::Hidden | Kind::Text => true,
                Kind::Checkbox | Kind::Radio => control.checked,
                Kind::Submit => index == pressed,
            };
            if sent && !control.disabled && !control.name.is_empty() {
                body.append_pair(&control.name, &control.value);
            }
        }
        body.finish()
    }

    fn no_field(&self, name: &str) -> BrowserError {
        BrowserError::NoField { wanted: name.to_owned(), form: self.data.describe() }
    }
}
