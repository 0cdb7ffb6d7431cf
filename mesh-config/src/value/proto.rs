//! How the API structs are read and written: proto-JSON rules, stated once.
//!
//! * A missing field, and a field that is `null`, is unset. A `null` in a list or map is an error unless the message says
//!   otherwise: an empty authorization rule matches everything, so it must not come from a slip.
//! * Names are lowerCamelCase; the original snake_case of a name is an alias.
//! * An enum value is its upper-case name or its number.
//! * What is unset is not written, so that reading what was written gives the same value again.
//!
//! [`message!`] makes a struct that follows these rules, [`proto_enum!`] an enum.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Reads a field; `null` gives the default of its type.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Whether a field has the default of its type and is left out when written.
pub(crate) fn is_unset<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// Reads a message with `read`; `null` gives the empty message.
pub(crate) fn nullable<'de, D, T, F>(deserializer: D, read: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default,
    F: NullableRead<'de, T>,
{
    deserializer.deserialize_option(Nullable { read, message: PhantomData })
}

/// Reads a message that is not `null`. A trait, since a closure cannot be generic over the deserializer.
pub(crate) trait NullableRead<'de, T> {
    fn read<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error>;
}

struct Nullable<T, F> {
    read: F,
    message: PhantomData<T>,
}

impl<'de, T: Default, F: NullableRead<'de, T>> Visitor<'de> for Nullable<T, F> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_none<E: de::Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        self.read.read(deserializer)
    }
}

/// The names that the fields of a message are read by, aliases included; empty for what is not a struct.
///
/// ```
/// use mesh_config::{api::PeerAuthentication, value::field_names};
///
/// assert!(field_names::<PeerAuthentication>().contains(&"portLevelMtls"));
/// assert!(field_names::<String>().is_empty());
/// ```
#[must_use]
pub fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The probe answers every question with an error; the names were noted on the way.
    drop(T::deserialize(FieldNames(&mut names)));
    names
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only the names are asked for"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Makes a struct whose every field follows the proto-JSON rules of this module.
macro_rules! message {
    ($(#[$meta:meta])* pub struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident : $type:ty, )* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $(
            $(#[$field_meta])*
            #[serde(
                deserialize_with = "crate::value::proto::or_default",
                skip_serializing_if = "crate::value::proto::is_unset"
            )]
            pub $field: $type,
        )* }
    };
}

/// Lets `null` stand for the empty message in lists and maps too. For structs that derive their serde impls with
/// `remote = "Self"`.
macro_rules! null_is_empty {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Read;
                impl<'de> $crate::value::proto::NullableRead<'de, $name> for Read {
                    fn read<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<$name, D::Error> {
                        $name::deserialize(deserializer)
                    }
                }
                $crate::value::proto::nullable(deserializer, Read)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }
    };
}

/// Makes an enum that is read from its upper-case name or its number and written as its name.
macro_rules! proto_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $number:literal => $text:literal, )* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )* }

        impl $name {
            /// Every name, in the order of the enum.
            pub const NAMES: &'static [&'static str] = &[$($text),*];

            /// The name as it stands in YAML.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }

            /// The value of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$variant), )* _ => None }
            }

            /// The value of that proto number.
            #[must_use]
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $( $number => Some(Self::$variant), )* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::value::proto::EnumVisitor {
                    names: Self::NAMES,
                    from_name: Self::from_name,
                    from_number: Self::from_number,
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use {message, null_is_empty, proto_enum};

/// Reads an enum of [`proto_enum!`].
pub(crate) struct EnumVisitor<T> {
    pub(crate) names: &'static [&'static str],
    pub(crate) from_name: fn(&str) -> Option<T>,
    pub(crate) from_number: fn(i64) -> Option<T>,
}

impl<T> Visitor<'_> for EnumVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "one of {}", self.names.join(", "))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        (self.from_name)(name).ok_or_else(|| E::unknown_variant(name, self.names))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        (self.from_number)(number).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        i64::try_from(number)
            .ok()
            .and_then(self.from_number)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macros make public types")]
mod tests {
    use super::*;

    message! {
        /// A message with a message in it.
        pub struct Outer {
            /// A string.
            pub first_name: String,
            /// A list of messages.
            pub parts: Vec<Inner>,
            /// An enum.
            pub colour: Colour,
            /// A wrapper type.
            pub flag: Option<bool>,
        }
    }

    message! {
        /// The inner one.
        pub struct Inner {
            /// A number.
            pub count: u32,
        }
    }

    proto_enum! {
        /// Two colours.
        pub enum Colour {
            /// Zero.
            #[default]
            Red = 0 => "RED",
            /// One.
            Blue = 1 => "BLUE",
        }
    }

    fn outer(yaml: &str) -> Outer {
        crate::document::from_str(yaml).unwrap()
    }

    #[test]
    fn null_is_unset_in_fields_and_refused_in_lists() {
        assert_eq!(outer("{firstName: null, parts: null, colour: ~, flag:}"), Outer::default());
        assert_eq!(outer("parts: [{}, {count: 2}]").parts, [Inner { count: 0 }, Inner { count: 2 }]);
        assert!(crate::document::from_str::<Outer>("parts: [null]").is_err());
    }

    #[test]
    fn false_and_zero_of_a_wrapper_type_are_not_unset() {
        assert_eq!(outer("flag: false").flag, Some(false));
    }

    #[test]
    fn an_enum_is_read_from_its_name_or_its_number() {
        assert_eq!(outer("colour: BLUE").colour, Colour::Blue);
        assert_eq!(outer("colour: 1").colour, Colour::Blue);
        assert!(crate::document::from_str::<Outer>("colour: blue").is_err());
        assert!(crate::document::from_str::<Outer>("colour: 2").is_err());
        assert!(crate::document::from_str::<Outer>("colour: -1").is_err());
    }

    #[test]
    fn what_is_unset_is_not_written() {
        let value = outer("{parts: [{}], flag: false}");
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"parts":[{}],"flag":false}"#);
    }

    #[test]
    fn the_names_of_a_message_are_known() {
        assert_eq!(field_names::<Outer>(), ["firstName", "parts", "colour", "flag"]);
        assert!(field_names::<Colour>().is_empty());
    }
}
