//! Evaluates a compiled expression.

use std::borrow::Cow;

use mesh_config::value::cel::{Literal, Operator};
use regex::bytes::Regex;

use super::Scope;
use super::arithmetic::{apply, contains, index};
use super::attribute::Attribute;
use super::function::Function;
use super::value::{Erred, Evaluated, Value};

/// A part of a compiled expression. No tree is deeper than that of the expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Literal),
    Type(&'static str),
    Attribute(Attribute),
    Present(Attribute),
    Member(Box<Self>, Vec<NodeStep>),
    Not(Box<Self>),
    Negated(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Chain(Box<Self>, Vec<(Operator, Self)>),
    Choice(Box<[Self; 3]>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// What can only err.
    Erring,
}

#[derive(Clone, Debug)]
pub(super) enum NodeStep {
    Field(Box<str>),
    /// Whether the field is there.
    HasField(Box<str>),
    Index(Node),
    Call(Function, Vec<Node>),
    Matches(Regex),
}

impl Node {
    pub(super) fn truth(&self, scope: Scope<'_>) -> Result<bool, Erred> {
        match self.value(scope)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Erred),
        }
    }

    pub(super) fn value<'r>(&'r self, scope: Scope<'r>) -> Evaluated<'r> {
        Ok(match self {
            Self::Erring => return Err(Erred),
            Self::Constant(literal) => constant(literal),
            Self::Type(name) => Value::Type(name),
            Self::Attribute(attribute) => return attribute.read(scope).ok_or(Erred),
            Self::Present(attribute) => Value::Bool(attribute.read(scope).is_some()),
            Self::Member(base, steps) => {
                let mut value = base.value(scope)?;
                for step in steps {
                    value = step.take(value, scope)?;
                }
                value
            }
            Self::Not(operand) => Value::Bool(!operand.truth(scope)?),
            Self::Negated(operand) => match operand.value(scope)? {
                Value::Int(number) => Value::Int(number.checked_neg().ok_or(Erred)?),
                Value::Double(number) => Value::Double(-number),
                _ => return Err(Erred),
            },
            Self::All(operands) => Value::Bool(decided(operands, scope, false)?),
            Self::Any(operands) => Value::Bool(decided(operands, scope, true)?),
            Self::Chain(first, others) => {
                let mut value = first.value(scope)?;
                for (operator, operand) in others {
                    value = apply(*operator, value, operand.value(scope)?)?;
                }
                value
            }
            Self::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                return if condition.truth(scope)? { then.value(scope) } else { otherwise.value(scope) };
            }
            Self::List(items) => Value::List(items.iter().map(|item| item.value(scope)).collect::<Result<_, _>>()?),
            Self::Map(entries) => return map(entries, scope),
        })
    }
}

impl NodeStep {
    fn take<'r>(&'r self, value: Value<'r>, scope: Scope<'r>) -> Evaluated<'r> {
        match self {
            Self::Field(name) => match value {
                Value::Map(_) | Value::Headers(_) => index(value, &Value::text(name)),
                _ => Err(Erred),
            },
            Self::HasField(name) => match value {
                Value::Map(_) | Value::Headers(_) => contains(&value, &Value::text(name)).map(Value::Bool),
                _ => Err(Erred),
            },
            Self::Index(key) => index(value, &key.value(scope)?),
            Self::Call(function, arguments) => {
                let second = arguments.first().map(|argument| argument.value(scope)).transpose()?;
                function.call(value, second.as_ref())
            }
            Self::Matches(regex) => match value {
                Value::Text(text) => Ok(Value::Bool(regex.is_match(text.as_bytes()))),
                _ => Err(Erred),
            },
        }
    }
}

/// `||` where `by` is true, `&&` where it is false: an operand with that value decides, whatever others err.
fn decided(operands: &[Node], scope: Scope<'_>, by: bool) -> Result<bool, Erred> {
    let mut found = Ok(!by);
    for operand in operands {
        match operand.truth(scope) {
            Ok(truth) if truth == by => return Ok(by),
            Ok(_) => {}
            Err(erred) => found = Err(erred),
        }
    }
    found
}

fn map<'r>(entries: &'r [(Node, Node)], scope: Scope<'r>) -> Evaluated<'r> {
    let mut found: Vec<(Value<'r>, Value<'r>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = key.value(scope)?;
        let is_key = matches!(key, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Text(_));
        if !is_key || found.iter().any(|(known, _)| known.equals(&key)) {
            return Err(Erred);
        }
        found.push((key, value.value(scope)?));
    }
    Ok(Value::Map(found))
}

fn constant(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(truth) => Value::Bool(*truth),
        Literal::Int(number) => Value::Int(*number),
        Literal::Uint(number) => Value::Uint(*number),
        Literal::Double(number) => Value::Double(*number),
        Literal::Text(text) => Value::text(text),
        Literal::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
    }
}
