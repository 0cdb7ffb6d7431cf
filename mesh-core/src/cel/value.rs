//! Values, and how they compare.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::attribute::HeaderMapOf;
use super::time;

/// What there is in place of a value that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Erred;

pub(super) type Evaluated<'r> = Result<Value<'r>, Erred>;

#[derive(Clone, Debug)]
pub(super) enum Value<'r> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Cow<'r, str>),
    Bytes(Cow<'r, [u8]>),
    List(Vec<Self>),
    /// Keys are truth values, whole numbers or texts, no two of them equal.
    Map(Vec<(Self, Self)>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds from 1970.
    Timestamp(i64),
    Type(&'static str),
    Headers(HeaderMapOf<'r>),
}

impl<'r> Value<'r> {
    pub(super) fn text(text: &'r str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) | Self::Headers(_) => "map",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Type(_) => "type",
        }
    }

    /// Whether both are the same. Values of different types are not, numbers of different types by what they count.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) | (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (Self::Map(a), Self::Map(b)) => {
                let has = |key: &Self, value: &Self| b.iter().any(|(other, of)| other.equals(key) && of.equals(value));
                a.len() == b.len() && a.iter().all(|(key, value)| has(key, value))
            }
            (Self::Headers(a), Self::Headers(b)) => a.is(*b),
            _ => numeric(self, other) == Some(Some(Ordering::Equal)),
        }
    }

    /// How both are ordered; `Ok(None)` where one is no number.
    pub(super) fn order(&self, other: &Self) -> Result<Option<Ordering>, Erred> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(Some(a.cmp(b))),
            (Self::Text(a), Self::Text(b)) => Ok(Some(a.cmp(b))),
            (Self::Bytes(a), Self::Bytes(b)) => Ok(Some(a.cmp(b))),
            (Self::Duration(a), Self::Duration(b)) | (Self::Timestamp(a), Self::Timestamp(b)) => Ok(Some(a.cmp(b))),
            _ => numeric(self, other).ok_or(Erred),
        }
    }

    /// As the value of a tag, in the way that Envoy prints values.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Bool(truth) => truth.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Uint(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Text(text) => text.to_string(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Duration(nanos) => time::duration_text(*nanos),
            Self::Timestamp(nanos) => time::timestamp_text(*nanos),
            Self::Type(name) => (*name).to_owned(),
            other => format!("{} value", other.type_name()),
        }
    }
}

/// How two numbers are ordered: nothing where one is none of the two, or not a number.
fn numeric(one: &Value<'_>, other: &Value<'_>) -> Option<Option<Ordering>> {
    let whole = |value: &Value<'_>| match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    };
    let double = |value: &Value<'_>| match value {
        // Nearest is what Envoy compares with.
        Value::Int(number) => Some(*number as f64),
        Value::Uint(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    };
    match (whole(one), whole(other)) {
        (Some(a), Some(b)) => Some(Some(a.cmp(&b))),
        _ => Some(double(one)?.partial_cmp(&double(other)?)),
    }
}
