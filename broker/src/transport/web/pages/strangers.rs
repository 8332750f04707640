//! Pages for the wrong person and the wrong browser. They say nothing about the consent.

use super::{
    super::texts,
    consent::Forms,
    fill::sentence,
    layout::{Frame, csrf},
};
use maud::{Markup, html};

/// Somebody else's link. `back` is where the right person is led after switching.
pub(in crate::transport::web) fn wrong_person(frame: &Frame, back: &str, token: &str) -> Markup {
    frame.page(
        texts::WRONG_PERSON_TITLE,
        html! {
            h1 { (texts::WRONG_PERSON_TITLE) }
            p.lead { (sentence(texts::WRONG_PERSON, &[("name", frame.name())])) }
            p { (texts::WRONG_PERSON_NEXT) }
            form.actions method="post" action="/login/switch" {
                (csrf(token))
                input type="hidden" name="return" value=(back);
                button.primary type="submit" { (texts::SWITCH) }
            }
        },
    )
}

/// It began in another browser. With `forms`, it can be declined from here.
pub(in crate::transport::web) fn other_browser(frame: &Frame, forms: Option<&Forms>) -> Markup {
    let next = if forms.is_some() { texts::OTHER_BROWSER_NEXT } else { texts::OTHER_BROWSER_RESTART };
    frame.page(
        texts::OTHER_BROWSER_TITLE,
        html! {
            h1 { (texts::OTHER_BROWSER_TITLE) }
            p.lead { (texts::OTHER_BROWSER) }
            p { (next) }
            @if let Some(forms) = forms {
                div.actions { (forms.decline("reject", &forms.reject, texts::DECLINE)) }
            }
        },
    )
}
