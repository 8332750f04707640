//! A bounded JSON reader (RFC 8259) that refuses duplicate member names at every level (RFC 7519 §4 leaves it open;
//! two readers that disagree on which one counts are an attack).

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::{
    cell::Cell,
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

/// Any JSON value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A number written without fraction or exponent that fits.
    Integer(i64),
    /// Any other finite number.
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// The members of an object.
pub(super) type Object = BTreeMap<String, Json>;

/// What is wrong with a JSON text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JsonFault {
    /// Not UTF-8, not JSON, not an object, or something follows it.
    Malformed,
    /// A member name occurs twice.
    Duplicate,
    /// Nested deeper than allowed.
    TooDeep,
    /// More members at the top than allowed.
    TooMany,
}

/// How large a document may be.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Levels of nesting; the outermost object is level 1.
    pub depth: usize,
    /// Members of the outermost object.
    pub members: usize,
}

/// Reads one JSON object.
pub(super) fn read_object(bytes: &[u8], limits: Limits) -> Result<Object, JsonFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::Malformed)?;
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node { level: 0, limits, fault: &fault }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|_| fault.get().unwrap_or(JsonFault::Malformed))?;
    match value {
        Json::Object(object) => Ok(object),
        _ => Err(JsonFault::Malformed),
    }
}

/// Reads one value whose container is at `level`.
#[derive(Clone, Copy)]
struct Node<'a> {
    level: usize,
    limits: Limits,
    // serde's error type cannot carry ours; the cell does.
    fault: &'a Cell<Option<JsonFault>>,
}

impl Node<'_> {
    fn fail<E: de::Error>(self, fault: JsonFault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.level == self.limits.depth {
            return Err(self.fail(JsonFault::TooDeep));
        }
        Ok(Self { level: self.level + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut members = Object::new();
        while let Some(name) = map.next_key::<String>()? {
            if inside.level == 1 && members.len() == self.limits.members {
                return Err(self.fail(JsonFault::TooMany));
            }
            let Entry::Vacant(place) = members.entry(name) else {
                return Err(self.fail(JsonFault::Duplicate));
            };
            place.insert(map.next_value_seed(inside)?);
        }
        Ok(Json::Object(members))
    }
}
