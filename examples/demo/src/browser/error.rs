//! Why a walk stopped; every message says what was on the page. Queries of URLs are left out: they carry codes.

/// Why the browser could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The address is not an absolute http or https URL.
    #[error("not an address a browser can open")]
    NotAnAddress,
    /// The server could not be reached, or broke off.
    #[error("{at} could not be loaded: {source}")]
    Transport {
        /// The URL, without its query.
        at: String,
        /// What went wrong, without the URL.
        source: reqwest::Error,
    },
    /// More than ten redirects in a row.
    #[error("too many redirects: {trail}")]
    TooManyRedirects {
        /// The way taken.
        trail: String,
    },
    /// The page is larger than a megabyte.
    #[error("{at} is larger than a megabyte")]
    TooBig {
        /// The URL, without its query.
        at: String,
    },
    /// The page has no such form.
    #[error("no form {wanted:?} on {page}")]
    NoForm {
        /// What was looked for.
        wanted: String,
        /// What was there.
        page: String,
    },
    /// The form has no such field.
    #[error("no field {wanted:?} in {form}")]
    NoField {
        /// What was looked for.
        wanted: String,
        /// What was there.
        form: String,
    },
    /// The form has no such button.
    #[error("no button {wanted:?} in {form}")]
    NoButton {
        /// What was looked for.
        wanted: String,
        /// What was there.
        form: String,
    },
    /// The page has no such link.
    #[error("no link {wanted:?} on {page}")]
    NoLink {
        /// What was looked for.
        wanted: String,
        /// What was there.
        page: String,
    },
    /// A required field is empty: a browser would not send the form.
    #[error("the required field {field:?} is empty in {form}")]
    RequiredFieldEmpty {
        /// The field.
        field: String,
        /// What was there.
        form: String,
    },
    /// The page's Content-Security-Policy forbids sending a form there, at once or by a redirect.
    #[error("the page's form-action policy forbids {target}")]
    FormActionForbids {
        /// The URL, without its query.
        target: String,
    },
}
