//! Asks the structs themselves which fields they have.
//!
//! serde hands the list of a struct's field names to the deserializer, so a deserializer that only pretends can walk
//! along a path and pick up the names that are known there. No table has to be kept.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::diagnostic::{FieldPath, Segment};

/// What a struct expects at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// An object with these fields; the snake case forms are left out.
    Struct(Vec<&'static str>),
    List,
    Map,
    Boolean,
    Value,
}

/// What `T` expects at a path; nothing if it has no such path.
pub(super) fn expected<T: DeserializeOwned>(path: &FieldPath) -> Option<Expected> {
    let mut found = None;
    // The walk always ends with an error, at the latest when it has seen what it came for.
    drop(T::deserialize(Probe { path: path.segments(), found: &mut found }));
    found
}

/// Where in `T` a field of that name exists, the nearest to the top first.
pub(super) fn places_of<T: DeserializeOwned>(name: &str, below: &FieldPath) -> Vec<FieldPath> {
    let mut level = vec![below.clone()];
    let mut found = Vec::new();
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for path in level {
            match expected::<T>(&path) {
                Some(Expected::Struct(fields)) => {
                    for field in fields {
                        let inner = path.clone().field(field);
                        if field.eq_ignore_ascii_case(name) {
                            found.push(inner.clone());
                        }
                        next.push(inner);
                    }
                }
                Some(Expected::List) => next.push(path.index(0)),
                Some(Expected::Map) => next.push(path.key("1")),
                Some(Expected::Boolean | Expected::Value) | None => {}
            }
        }
        level = next;
        if !found.is_empty() || level.len() > MAX_PATHS {
            break;
        }
    }
    found
}

const MAX_DEPTH: usize = 8;
const MAX_PATHS: usize = 2_000;

struct Probe<'a> {
    path: &'a [Segment],
    found: &'a mut Option<Expected>,
}

type Stop = serde::de::value::Error;

impl Probe<'_> {
    fn end<T>(self, expected: Expected) -> Result<T, Stop> {
        if self.path.is_empty() {
            self.found.get_or_insert(expected);
        }
        Err(Stop::custom("only asked"))
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.path.first() {
            None => self.end(Expected::Value),
            Some(Segment::Index(_)) => self.deserialize_seq(visitor),
            Some(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        self.end(Expected::Boolean)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.path.split_first() {
            Some((Segment::Index(_), rest)) => visitor.visit_seq(One { key: None, path: rest, found: self.found }),
            Some(_) => Err(Stop::custom("a list has no fields")),
            None => self.end(Expected::List),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.path.split_first() {
            Some((step, rest)) => {
                // A number in brackets may be the key of a map, too.
                let key = match step {
                    Segment::Index(index) => index.to_string(),
                    other => other.name().unwrap_or_default().to_owned(),
                };
                visitor.visit_map(One { key: Some(key), path: rest, found: self.found })
            }
            None => self.end(Expected::Map),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if self.path.is_empty() {
            return self.end(Expected::Struct(fields.iter().copied().filter(|name| !name.contains('_')).collect()));
        }
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(Stop::custom("there is no such field"))
    }
}

/// A map of one entry, or a list of one element.
struct One<'a> {
    key: Option<String>,
    path: &'a [Segment],
    found: &'a mut Option<Expected>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let Some(key) = self.key.take() else { return Ok(None) };
        match key.parse::<u32>() {
            // Ports as keys are numbers, names are not.
            Ok(number) => seed.deserialize(NumberOrText { number, text: &key }).map(Some),
            Err(_) => seed.deserialize(StrDeserializer::new(&key)).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(Probe { path: self.path, found: self.found })
    }
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        seed.deserialize(Probe { path: self.path, found: self.found }).map(Some)
    }
}

struct NumberOrText<'a> {
    number: u32,
    text: &'a str,
}

impl<'de> Deserializer<'de> for NumberOrText<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        StrDeserializer::new(self.text).deserialize_any(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_u32(self.number)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DestinationRule, PeerAuthentication, VirtualService};

    fn fields<T: DeserializeOwned>(path: &str) -> Vec<&'static str> {
        match expected::<T>(&FieldPath::from(path)) {
            Some(Expected::Struct(fields)) => fields,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn the_fields_of_every_level_are_known() {
        assert!(fields::<VirtualService>("").contains(&"exportTo"));
        assert!(fields::<VirtualService>("http[0].match[2]").contains(&"ignoreUriCase"));
        assert!(fields::<VirtualService>("http[0].match[0].headers.x").contains(&"prefix"));
        assert!(fields::<PeerAuthentication>("portLevelMtls[8080]").contains(&"mode"));
        assert!(!fields::<VirtualService>("").contains(&"export_to"));
    }

    #[test]
    fn lists_maps_and_values_are_told_apart() {
        for (path, shape) in [
            ("hosts", Some(Expected::List)),
            ("http[0].match[0].headers", Some(Expected::Map)),
            ("http[0].timeout", Some(Expected::Value)),
            ("http[0].match[0].ignoreUriCase", Some(Expected::Boolean)),
            ("http[0].corsPolicy.allowCredentials", Some(Expected::Boolean)),
            ("nothing", None),
        ] {
            assert_eq!(expected::<VirtualService>(&FieldPath::from(path)), shape, "{path}");
        }
    }

    #[test]
    fn a_misplaced_field_is_found_where_it_belongs() {
        let places = |name| -> Vec<_> {
            places_of::<DestinationRule>(name, &FieldPath::root()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(places("baseEjectionTime")[0], "trafficPolicy.outlierDetection.baseEjectionTime");
        assert_eq!(places("nonsense"), [""; 0]);
    }
}
