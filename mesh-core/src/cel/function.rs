//! The functions that Envoy has without being told to, and conversions to text.

use std::borrow::Cow;

use mesh_config::value::Duration;

use super::time::{self, Part};
use super::value::{Erred, Evaluated, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Part(Part),
    Bool,
    Bytes,
    Double,
    Duration,
    Dyn,
    Int,
    Text,
    Timestamp,
    Type,
    Uint,
}

impl Function {
    /// By name; `is_method`: written behind its first argument. With how many arguments it may have beside the first.
    pub(super) fn named(name: &str, is_method: bool) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        Some(match (name, is_method) {
            ("size", _) => (Self::Size, 0..=0),
            ("startsWith", _) => (Self::StartsWith, 1..=1),
            ("endsWith", _) => (Self::EndsWith, 1..=1),
            ("contains", _) => (Self::Contains, 1..=1),
            (name, true) => (Self::Part(Part::named(name)?), 0..=1),
            ("bool", _) => (Self::Bool, 0..=0),
            ("bytes", _) => (Self::Bytes, 0..=0),
            ("double", _) => (Self::Double, 0..=0),
            ("duration", _) => (Self::Duration, 0..=0),
            ("dyn", _) => (Self::Dyn, 0..=0),
            ("int", _) => (Self::Int, 0..=0),
            ("string", _) => (Self::Text, 0..=0),
            ("timestamp", _) => (Self::Timestamp, 0..=0),
            ("type", _) => (Self::Type, 0..=0),
            ("uint", _) => (Self::Uint, 0..=0),
            _ => return None,
        })
    }

    /// `second`: the argument beside the first.
    pub(super) fn call<'r>(self, first: Value<'r>, second: Option<&Value<'r>>) -> Evaluated<'r> {
        let about_texts = |is: fn(&str, &str) -> bool| match (&first, second) {
            (Value::Text(text), Some(Value::Text(other))) => Ok(Value::Bool(is(text, other))),
            _ => Err(Erred),
        };
        match self {
            Self::Size => size(&first).ok_or(Erred),
            Self::StartsWith => about_texts(|text, start| text.starts_with(start)),
            Self::EndsWith => about_texts(|text, end| text.ends_with(end)),
            Self::Contains => about_texts(|text, part| text.contains(part)),
            Self::Part(part) => part_of(part, &first, second).map(Value::Int).ok_or(Erred),
            Self::Dyn => Ok(first),
            Self::Type => Ok(Value::Type(first.type_name())),
            Self::Bytes => match first {
                Value::Bytes(_) => Ok(first),
                Value::Text(text) => Ok(Value::Bytes(Cow::Owned(text.into_owned().into_bytes()))),
                _ => Err(Erred),
            },
            Self::Text => to_text(first),
            Self::Bool => to_bool(&first).map(Value::Bool).ok_or(Erred),
            Self::Int => to_int(&first).map(Value::Int).ok_or(Erred),
            Self::Uint => to_uint(&first).map(Value::Uint).ok_or(Erred),
            Self::Double => to_double(&first).map(Value::Double).ok_or(Erred),
            Self::Duration => to_duration(&first).map(Value::Duration).ok_or(Erred),
            Self::Timestamp => to_timestamp(&first).map(Value::Timestamp).ok_or(Erred),
        }
    }
}

fn size<'r>(value: &Value<'_>) -> Option<Value<'r>> {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        Value::Headers(headers) => headers.len(),
        _ => return None,
    };
    i64::try_from(size).ok().map(Value::Int)
}

fn part_of(part: Part, time: &Value<'_>, zone: Option<&Value<'_>>) -> Option<i64> {
    match (time, zone) {
        (Value::Timestamp(nanos), None) => part.of_timestamp(*nanos, None),
        (Value::Timestamp(nanos), Some(Value::Text(zone))) => part.of_timestamp(*nanos, Some(zone)),
        (Value::Duration(nanos), None) => part.of_duration(*nanos),
        _ => None,
    }
}

fn to_text(value: Value<'_>) -> Evaluated<'_> {
    match value {
        Value::Text(_) => Ok(value),
        Value::Bytes(bytes) => match String::from_utf8(bytes.into_owned()) {
            Ok(text) => Ok(Value::Text(Cow::Owned(text))),
            Err(_) => Err(Erred),
        },
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Double(_)
        | Value::Duration(_)
        | Value::Timestamp(_) => Ok(Value::Text(Cow::Owned(value.to_text()))),
        _ => Err(Erred),
    }
}

fn to_bool(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        // The largest that a double can tell from the next power of two.
        Value::Double(number) if *number > -9.223_372_036_854_775e18 && *number < 9.223_372_036_854_775e18 => {
            Some(number.trunc() as i64)
        }
        Value::Text(text) => text.parse().ok(),
        Value::Timestamp(nanos) => Some(nanos.div_euclid(1_000_000_000)),
        _ => None,
    }
}

fn to_uint(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Uint(number) => Some(*number),
        Value::Double(number) if *number >= 0.0 && *number < 1.844_674_407_370_955e19 => Some(number.trunc() as u64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn to_double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Uint(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn to_duration(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Duration(nanos) => Some(*nanos),
        Value::Text(text) => text.parse::<Duration>().ok().map(Duration::as_nanos),
        _ => None,
    }
}

fn to_timestamp(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Timestamp(nanos) => Some(*nanos),
        Value::Int(seconds) => seconds.checked_mul(1_000_000_000),
        Value::Text(text) => time::timestamp(text),
        _ => None,
    }
}
