//! Lines of JSON: a value that is one command keeps its kind, all others are text.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Part, Scope, Template, Written};
use crate::telemetry::record::Wanted;

/// An object, its names sorted as Envoy sorts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object(BTreeMap<Box<str>, Node>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Template(Template),
    Object(Object),
    List(Vec<Self>),
    /// A number or truth value.
    Constant(Box<str>),
}

impl Object {
    pub(super) fn parse<'v>(values: impl IntoIterator<Item = (&'v str, Value)>) -> Result<Self, String> {
        let parse = |(name, value)| match Node::parse(value) {
            Ok(node) => Ok((Box::from(name), node)),
            Err(problem) => Err(format!("{name}: {problem}")),
        };
        values.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn want(&self, wanted: &mut Wanted) {
        self.0.values().for_each(|node| node.want(wanted));
    }

    pub(super) fn write(&self, scope: Scope<'_>, omits_empty: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut is_first = true;
        for (name, node) in &self.0 {
            let start = out.len();
            if !is_first {
                out.push(b',');
            }
            push_text(name.as_bytes(), out);
            out.push(b':');
            if node.write(scope, omits_empty, out) || !omits_empty {
                is_first = false;
            } else {
                out.truncate(start);
            }
        }
        out.push(b'}');
    }
}

impl Node {
    fn parse(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Template(Template::parse(&text)?),
            Value::Object(values) => {
                Self::Object(Object::parse(values.iter().map(|(name, value)| (name.as_str(), value.clone())))?)
            }
            Value::Array(values) => Self::List(values.into_iter().map(Self::parse).collect::<Result<_, _>>()?),
            constant => Self::Constant(constant.to_string().into()),
        })
    }

    fn want(&self, wanted: &mut Wanted) {
        match self {
            Self::Template(template) => template.want(wanted),
            Self::Object(object) => object.want(wanted),
            Self::List(nodes) => nodes.iter().for_each(|node| node.want(wanted)),
            Self::Constant(_) => {}
        }
    }

    /// Gives whether there is a value.
    fn write(&self, scope: Scope<'_>, omits_empty: bool, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Template(template) => return write_template(template, scope, omits_empty, out),
            Self::Object(object) => object.write(scope, omits_empty, out),
            Self::List(nodes) => {
                out.push(b'[');
                for (place, node) in nodes.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    node.write(scope, false, out);
                }
                out.push(b']');
            }
            Self::Constant(text) => out.extend_from_slice(text.as_bytes()),
        }
        true
    }
}

fn write_template(template: &Template, scope: Scope<'_>, omits_empty: bool, out: &mut Vec<u8>) -> bool {
    let mut text = Vec::new();
    if let [Part::Command(command)] = &*template.0 {
        match command.write(scope, &mut text) {
            Written::Nothing => {
                out.extend_from_slice(b"null");
                return false;
            }
            Written::Number => out.extend_from_slice(&text),
            Written::Text => push_text(&text, out),
        }
        return true;
    }
    for part in &template.0 {
        match part {
            Part::Text(literal) => text.extend_from_slice(literal.as_bytes()),
            Part::Command(command) => {
                if command.write(scope, &mut text) == Written::Nothing && !omits_empty {
                    text.push(b'-');
                }
            }
        }
    }
    push_text(&text, out);
    true
}

/// A text of JSON; what is no UTF-8 is replaced.
fn push_text(text: &[u8], out: &mut Vec<u8>) {
    // A text can always be written.
    let _ = serde_json::to_writer(out, &*String::from_utf8_lossy(text));
}
