//! Finding claims by name and joining those that name a person.

use super::{
    SubjectClaims, TokenError,
    json::{Json, Object},
};
use crate::domain::Subject;

/// A claim by name or, when the name begins with `/`, by JSON pointer (RFC 6901). `None` when it is not there.
pub(super) fn lookup<'a>(claims: &'a Object, name: &str) -> Option<&'a Json> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut segments = path.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~"));
    let mut value = claims.get(&segments.next()?)?;
    for segment in segments {
        let Json::Object(inside) = value else { return None };
        value = inside.get(&segment)?;
    }
    Some(value)
}

/// A string claim. Present with another type, `null` included, is an error, never "absent".
pub(super) fn optional_text<'a>(claims: &'a Object, name: &str) -> Result<Option<&'a str>, TokenError> {
    match lookup(claims, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::claim_invalid(name)),
    }
}

/// The subject id, 1 to 255 bytes without control characters.
pub(super) fn subject_id(claims: &Object, names: &SubjectClaims) -> Result<String, TokenError> {
    let mut parts = Vec::with_capacity(names.0.len());
    for name in &names.0 {
        let part = optional_text(claims, name)?.ok_or_else(|| TokenError::claim_missing(name))?;
        if part.is_empty() || part.len() > Subject::MAX_LENGTH || part.chars().any(char::is_control) {
            return Err(TokenError::claim_invalid(name));
        }
        parts.push(part);
    }
    let id = match parts.as_slice() {
        [one] => (*one).to_owned(),
        several => several
            .iter()
            .map(|part| part.replace('%', "%25").replace(':', "%3A"))
            .collect::<Vec<_>>()
            .join(":"),
    };
    if id.len() <= Subject::MAX_LENGTH { Ok(id) } else { Err(TokenError::claim_invalid(&names.0.join("+"))) }
}
