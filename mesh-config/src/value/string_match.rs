//! How a string is compared.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One way to compare a string: an object with one of the keys `exact`, `prefix`, `regex`, or with none.
///
/// Two keys at once are refused. The text of a regex is not compiled here, since validation reports a bad one with the
/// field it stands in: see [`crate::value::regex`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StringMatch {
    /// `{}` or null: whatever the value, as long as there is one.
    #[default]
    Presence,
    /// The whole string, byte for byte.
    Exact(String),
    /// How the string begins.
    Prefix(String),
    /// A regex in RE2 syntax for the whole string.
    Regex(String),
}

impl<'de> Deserialize<'de> for StringMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(StringMatchVisitor)
    }
}

struct StringMatchVisitor;

impl<'de> Visitor<'de> for StringMatchVisitor {
    type Value = StringMatch;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with one of the keys `exact`, `prefix`, `regex`")
    }

    fn visit_none<E: de::Error>(self) -> Result<StringMatch, E> {
        Ok(StringMatch::Presence)
    }

    fn visit_unit<E: de::Error>(self) -> Result<StringMatch, E> {
        Ok(StringMatch::Presence)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<StringMatch, D::Error> {
        // As a struct, so that the known keys can be asked for.
        deserializer.deserialize_struct("StringMatch", KEYS, self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringMatch, A::Error> {
        let mut found = StringMatch::Presence;
        while let Some(key) = map.next_key::<String>()? {
            let make = match key.as_str() {
                "exact" => StringMatch::Exact,
                "prefix" => StringMatch::Prefix,
                "regex" => StringMatch::Regex,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let Some(text) = map.next_value::<Option<String>>()? else {
                continue;
            };
            if found != StringMatch::Presence {
                return Err(de::Error::custom("only one of `exact`, `prefix`, `regex` can be set"));
            }
            found = make(text);
        }
        Ok(found)
    }
}

impl Serialize for StringMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, text) = match self {
            Self::Presence => return serializer.serialize_map(Some(0))?.end(),
            Self::Exact(text) => ("exact", text),
            Self::Prefix(text) => ("prefix", text),
            Self::Regex(text) => ("regex", text),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, text)?;
        map.end()
    }
}

const KEYS: &[&str] = &["exact", "prefix", "regex"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_comparison() {
        for (yaml, expected) in [
            ("exact: a", StringMatch::Exact("a".into())),
            ("exact: ''", StringMatch::Exact(String::new())),
            ("prefix: /a", StringMatch::Prefix("/a".into())),
            ("regex: '*'", StringMatch::Regex("*".into())),
            ("{}", StringMatch::Presence),
            ("null", StringMatch::Presence),
            ("{exact: null, prefix: a}", StringMatch::Prefix("a".into())),
        ] {
            assert_eq!(crate::document::from_str::<StringMatch>(yaml).unwrap(), expected, "{yaml}");
        }
    }

    #[test]
    fn two_keys_at_once_are_refused() {
        let error = crate::document::from_str::<StringMatch>("{exact: a, regex: b}").unwrap_err();
        assert!(error.contains("only one of"), "{error}");
        assert!(serde_json::from_str::<StringMatch>(r#"{"exact":"","prefix":""}"#).is_err());
    }

    #[test]
    fn an_unknown_key_is_left_to_the_strict_reader() {
        let (parsed, unknown) = crate::document::from_str_noting::<StringMatch>(r#"{"suffix":"a"}"#).unwrap();
        assert_eq!(parsed, StringMatch::Presence);
        assert_eq!(unknown, ["suffix"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for value in [StringMatch::Presence, StringMatch::Exact(String::new()), StringMatch::Regex("a.*".into())] {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<StringMatch>(&json).unwrap(), value);
        }
    }
}
