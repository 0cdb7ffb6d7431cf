//! Operators between two values. Whole numbers of different types do not mix, and what overflows errs.

use std::borrow::Cow;
use std::cmp::Ordering;

use mesh_config::value::cel::Operator;

use super::value::{Erred, Evaluated, Value};

pub(super) fn apply<'r>(operator: Operator, left: Value<'r>, right: Value<'r>) -> Evaluated<'r> {
    let ordered = |is: fn(Ordering) -> bool| left.order(&right).map(|order| Value::Bool(order.is_some_and(is)));
    match operator {
        Operator::Equal => Ok(Value::Bool(left.equals(&right))),
        Operator::NotEqual => Ok(Value::Bool(!left.equals(&right))),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::In => contains(&right, &left).map(Value::Bool),
        Operator::Add => add(left, right),
        Operator::Subtract => subtract(&left, &right).ok_or(Erred),
        Operator::Multiply => multiply(&left, &right).ok_or(Erred),
        Operator::Divide => divide(&left, &right).ok_or(Erred),
        Operator::Remainder => remainder(&left, &right).ok_or(Erred),
    }
}

/// What stands in a list under an index, or in a map under a key.
pub(super) fn index<'r>(container: Value<'r>, key: &Value<'r>) -> Evaluated<'r> {
    match container {
        Value::List(mut items) => {
            let at = match key {
                Value::Int(at) => usize::try_from(*at).ok(),
                Value::Uint(at) => usize::try_from(*at).ok(),
                // Those in a list are few, so what a double of no whole value means does not matter.
                Value::Double(at) => (0..items.len()).find(|place| *place as f64 == *at),
                _ => None,
            };
            at.filter(|at| *at < items.len()).map(|at| items.swap_remove(at)).ok_or(Erred)
        }
        Value::Map(entries) => {
            entries.into_iter().find(|(known, _)| known.equals(key)).map(|(_, value)| value).ok_or(Erred)
        }
        Value::Headers(headers) => match key {
            Value::Text(name) => headers.get(name).map(Value::Text).ok_or(Erred),
            _ => Err(Erred),
        },
        _ => Err(Erred),
    }
}

/// Whether something is in a list, or is a key of a map.
pub(super) fn contains(container: &Value<'_>, wanted: &Value<'_>) -> Result<bool, Erred> {
    match container {
        Value::List(items) => Ok(items.iter().any(|item| item.equals(wanted))),
        Value::Map(entries) => Ok(entries.iter().any(|(key, _)| key.equals(wanted))),
        Value::Headers(headers) => match wanted {
            Value::Text(name) => Ok(headers.get(name).is_some()),
            _ => Err(Erred),
        },
        _ => Err(Erred),
    }
}

/// What is joined is copied each time: past so many bytes it errs.
const LONGEST_TEXT: usize = 64 * 1024;

/// Texts are joined, too, where Envoy errs unless it is told to.
fn add<'r>(left: Value<'r>, right: Value<'r>) -> Evaluated<'r> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(b).map(Value::Int).ok_or(Erred),
        (Value::Uint(a), Value::Uint(b)) => a.checked_add(b).map(Value::Uint).ok_or(Erred),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::Text(a), Value::Text(b)) if a.len() + b.len() <= LONGEST_TEXT => {
            Ok(Value::Text(Cow::Owned(format!("{a}{b}"))))
        }
        (Value::Duration(a), Value::Duration(b)) => a.checked_add(b).map(Value::Duration).ok_or(Erred),
        (Value::Timestamp(a), Value::Duration(b)) | (Value::Duration(a), Value::Timestamp(b)) => {
            a.checked_add(b).map(Value::Timestamp).ok_or(Erred)
        }
        _ => Err(Erred),
    }
}

fn subtract(left: &Value<'_>, right: &Value<'_>) -> Option<Value<'static>> {
    Some(match (left, right) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_sub(*b)?),
        (Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_sub(*b)?),
        (Value::Double(a), Value::Double(b)) => Value::Double(a - b),
        (Value::Duration(a), Value::Duration(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => {
            Value::Duration(a.checked_sub(*b)?)
        }
        (Value::Timestamp(a), Value::Duration(b)) => Value::Timestamp(a.checked_sub(*b)?),
        _ => return None,
    })
}

fn multiply(left: &Value<'_>, right: &Value<'_>) -> Option<Value<'static>> {
    Some(match (left, right) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_mul(*b)?),
        (Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_mul(*b)?),
        (Value::Double(a), Value::Double(b)) => Value::Double(a * b),
        _ => return None,
    })
}

fn divide(left: &Value<'_>, right: &Value<'_>) -> Option<Value<'static>> {
    Some(match (left, right) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_div(*b)?),
        (Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_div(*b)?),
        (Value::Double(a), Value::Double(b)) => Value::Double(a / b),
        _ => return None,
    })
}

fn remainder(left: &Value<'_>, right: &Value<'_>) -> Option<Value<'static>> {
    Some(match (left, right) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_rem(*b)?),
        (Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_rem(*b)?),
        _ => return None,
    })
}
