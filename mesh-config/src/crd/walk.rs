//! Holds a value against its schema, as the API server does.
//!
//! The order is the API server's: the type first, then bounds, names and fields, then the rules. A value with a finding of
//! its own is not asked about its rules, so that one mistake is one finding.

use super::at::{At, Step};
use super::schema::{Form, Schema, Type};
use super::value::{Found, Value};
use super::{Finding, Objection, help};
use crate::locate::camel_case;

/// What is found in one document.
pub(super) struct Walk {
    pub(super) found: Vec<Finding>,
    /// Whether something was left unchecked, which is said once.
    pub(super) is_cut: bool,
}

impl Walk {
    /// Checks a value that is there, which means: it is not null, or it is an element of a list.
    pub(super) fn check(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        if self.found.len() >= MAX_FINDINGS {
            if !std::mem::replace(&mut self.is_cut, true) {
                let message = format!("{}: the object was checked up to here: {MAX_FINDINGS} findings", at.dotted());
                self.add(at, message, Some("mend what was found, and there may be more".to_owned()));
            }
            return;
        }
        let found = value.found();
        if found == Found::Null && schema.nullable {
            return;
        }
        if !found.fits(schema.of) {
            return self.wrong_type(schema, found, at);
        }
        let before = self.found.len();
        match (schema.of, found) {
            (Type::Text, Found::Text(text)) => self.text(schema, text, at),
            (Type::Whole | Type::Number, Found::Number(number, text)) => self.number(schema, number, text, at),
            (Type::List, _) => self.list(schema, value, at),
            (Type::Map, _) => self.map(schema, value, at),
            (Type::Object, _) => self.object(schema, value, at),
            _ => {}
        }
        if self.found.len() == before {
            self.rules(schema, value, found, at);
        }
        match schema.of {
            Type::List => self.elements(schema, value, at),
            Type::Map => self.values(schema, value, at),
            Type::Object => self.fields(schema, value, at),
            _ => {}
        }
    }

    fn text(&mut self, schema: &Schema, text: &str, at: &At<'_>) {
        let length = schema.least.or(schema.most).map_or(0, |_| text.chars().count());
        let name = at.dotted();
        if let Some(most) = schema.most.filter(|most| length > *most as usize) {
            let message = format!("{name}: Too long: may not be more than {most} bytes");
            return self.add(at, message, Some(format!("it has {length} characters")));
        }
        if let Some(least) = schema.least.filter(|least| length < *least as usize) {
            let detail = format!("{name} in body should be at least {least} chars long");
            let help =
                if length == 0 { "write a value, or leave out what it belongs to" } else { "write a longer value" };
            return self.add(at, format!("{name}: Invalid value: {text:?}: {detail}"), Some(help.to_owned()));
        }
        if let Some(form) = schema.form.filter(|form| !form.fits(text)) {
            return self.add(at, malformed(form, text, at), Some(form.help().to_owned()));
        }
        if !schema.names.is_empty() && !schema.names.contains(&text) {
            let names: Vec<_> = schema.names.iter().map(|name| format!("{name:?}")).collect();
            let message = format!("{name}: Unsupported value: {:?}: supported values: {}", cut(text), names.join(", "));
            self.add(at, message, help::nearest_name(text, schema.names));
        }
    }

    fn number(&mut self, schema: &Schema, number: f64, text: &str, at: &At<'_>) {
        let name = at.dotted();
        let (bound, relation) = match (schema.least, schema.most) {
            (Some(least), _) if number < f64::from(least) => (least, "greater"),
            (_, Some(most)) if number > f64::from(most) => (most, "less"),
            _ => return,
        };
        let message = format!(
            "{name}: Invalid value: {}: {name} in body should be {relation} than or equal to {bound}",
            cut(text)
        );
        self.add(at, message, help::range(schema));
    }

    fn list(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        let name = at.dotted();
        let length = value.elements().len();
        if let Some(least) = schema.least.filter(|least| length < *least as usize) {
            let detail = format!("{name} in body should have at least {least} items");
            let help = "list one, or leave the field out if it is not required";
            self.add(at, format!("{name}: Invalid value: {length}: {detail}"), Some(help.to_owned()));
        }
        if let Some(most) = schema.most.filter(|most| length > *most as usize) {
            let message = format!("{name}: Too many: {length}: must have at most {most} items");
            self.add(at, message, Some("spread them over several objects".to_owned()));
        }
        if schema.keyed {
            self.keys_differ(value, at);
        }
    }

    /// Elements that have a `name` in common; of each name the second one is reported.
    fn keys_differ(&mut self, value: Value<'_>, at: &At<'_>) {
        let mut seen: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        for (index, element) in value.elements().enumerate() {
            let Some(name) = element.get("name").and_then(Value::text) else { continue };
            let times = seen.entry(name).or_default();
            *times += 1;
            if *times == 2 {
                let at = at.then(Step::Index(index));
                let message = format!("{at}: Duplicate value: map[string]interface {{}}{{\"name\":{:?}}}", cut(name));
                self.add(&at, message, Some("give each element a name of its own".to_owned()));
            }
        }
    }

    fn map(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        if schema.least.or(schema.most).is_none() {
            return;
        }
        let name = at.dotted();
        let length = value.keys().len();
        if let Some(least) = schema.least.filter(|least| length < *least as usize) {
            let detail = format!("{name} in body should have at least {least} properties");
            let help = "write an entry, or leave the field out";
            self.add(at, format!("{name}: Invalid value: {length}: {detail}"), Some(help.to_owned()));
        }
        if let Some(most) = schema.most.filter(|most| length > *most as usize) {
            let message = format!("{name}: Too many: {length}: must have at most {most} items");
            self.add(at, message, Some("spread them over several objects".to_owned()));
        }
    }

    fn object(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        for name in schema.required.iter().filter(|name| !value.has(name)) {
            let missing = at.then(Step::Field(name));
            let message = format!("{}: Required value", missing.dotted());
            let help = format!("write `{name}`");
            self.found.push(Finding { at_key: true, ..Finding::new(&missing, Objection::Rule, message, Some(help)) });
        }
        for group in schema.exclusive {
            let set: Vec<_> = group.iter().copied().filter(|name| value.has(name)).collect();
            if set.len() > 1 {
                let name = at.dotted();
                let message = format!(
                    "{name}: Invalid value: \"\": {:?} must validate one and only one schema (oneOf). \
                     Found {} valid alternatives",
                    name.to_string(),
                    set.len()
                );
                self.add(at, message, Some(format!("keep one of {}", help::listing(&set))));
            }
        }
    }

    fn rules(&mut self, schema: &Schema, value: Value<'_>, found: Found<'_>, at: &At<'_>) {
        let mut broken = schema.rules.iter().filter(|rule| !(rule.holds)(value)).peekable();
        if broken.peek().is_none() {
            return;
        }
        let given = match found {
            Found::Text(text) => format!("{:?}: ", cut(text)),
            Found::Number(_, text) => format!("{}: ", cut(text)),
            _ => String::new(),
        };
        for rule in broken {
            self.add(at, format!("{at}: Invalid value: {given}{}", rule.message), Some(rule.help.to_owned()));
        }
    }

    fn elements(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        let Some(inner) = schema.inner else { return };
        for (index, element) in value.elements().enumerate() {
            self.check(inner, element, &at.then(Step::Index(index)));
        }
    }

    fn values(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        let Some(inner) = schema.inner else { return };
        for (key, id) in value.entries().iter() {
            self.field(inner, value.sibling(*id), &at.then(Step::Key(&key.text)));
        }
    }

    fn fields(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        for (key, id) in value.entries().iter() {
            let below = value.sibling(*id);
            if let Some((name, field)) = schema.field(&key.text) {
                self.field(field, below, &at.then(Step::Field(name)));
            } else if let Some((name, field)) = schema.field(&camel_case(&key.text)) {
                self.snake_case(name, &at.then(Step::Field(&key.text)));
                self.field(field, below, &at.then(Step::Field(name)));
            }
            // What is neither is an unknown field, which the reader reports.
        }
    }

    fn field(&mut self, schema: &Schema, value: Value<'_>, at: &At<'_>) {
        // The API server drops a null where null is no value.
        if schema.nullable || !value.is_null() {
            self.check(schema, value, at);
        }
    }

    fn wrong_type(&mut self, schema: &Schema, found: Found<'_>, at: &At<'_>) {
        let is_number_of_name = !schema.names.is_empty() && matches!(found, Found::Number(..));
        let (needed, found) = (schema.of.name(), found.name());
        let name = at.dotted();
        let message = format!("{name}: Invalid value: {found:?}: {name} in body must be of type {needed}: {found:?}");
        // Of an element that is missing the API server's text says more than that something else was expected.
        let about = match found {
            _ if is_number_of_name => Objection::Number,
            found if found == Found::Null.name() => Objection::Rule,
            _ => Objection::Type,
        };
        let help = match about {
            Objection::Number => Some(format!("write its name, one of {}", schema.names.join(", "))),
            _ => help::of_type(needed, found),
        };
        self.found.push(Finding::new(at, about, message, help));
    }

    fn snake_case(&mut self, name: &str, at: &At<'_>) {
        let message = format!("unknown field {:?}", at.dotted().to_string());
        let help = Some(format!("write `{name}`"));
        self.found.push(Finding { at_key: true, ..Finding::new(at, Objection::Name, message, help) });
    }

    fn add(&mut self, at: &At<'_>, message: String, help: Option<String>) {
        self.found.push(Finding::new(at, Objection::Rule, message, help));
    }
}

/// More are not worth reading, and a hostile document could have a million.
const MAX_FINDINGS: usize = 200;

fn malformed(form: Form, text: &str, at: &At<'_>) -> String {
    let name = at.dotted();
    let text = cut(text);
    match form.pattern() {
        Some(pattern) => format!("{name}: Invalid value: {text:?}: {name} in body should match '{pattern}'"),
        None => format!("{name}: Invalid value: {text:?}: {name} in body must be of type byte: {text:?}"),
    }
}

/// A value that is short enough to be shown.
fn cut(text: &str) -> &str {
    text.char_indices().nth(120).map_or(text, |(end, _)| &text[..end])
}
