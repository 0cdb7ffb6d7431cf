//! Holds the tables against the rules and field paths of Istio's CRDs, where those lists are at hand.

use serde_json::Value;

use super::super::schema::{Form, Schema, Type};
use super::super::schema_of;
use crate::resource::Kind;

#[test]
fn every_field_path_is_in_the_tables_with_its_type() {
    let mut wrong = Vec::new();
    let Some(entries) = entries("field-paths.json") else { return };
    for entry in entries {
        let (kind, path) = (text(&entry, "kind"), text(&entry, "path"));
        let Some(schema) = schema_at(kind, path) else { continue };
        match schema {
            Some(schema) if schema.of.name() == text(&entry, "type") => {}
            Some(schema) => wrong.push(format!("{kind} {path} is {}", schema.of.name())),
            None => wrong.push(format!("{kind} {path} is missing")),
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_rule_is_in_the_tables() {
    let mut wrong = Vec::new();
    let mut held = 0;
    let Some(entries) = entries("crd-rules.json") else { return };
    for entry in entries {
        let (kind, path, rule) = (text(&entry, "kind"), text(&entry, "path"), text(&entry, "rule"));
        let Some(schema) = schema_at(kind, path) else { continue };
        match schema {
            Some(schema) if holds(schema, rule, &entry) => held += 1,
            _ => wrong.push(format!("{kind} {path}: {rule} {}", entry["value"])),
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(held > 500, "{held}");
}

/// The lists are not part of the repository; where `$MESH_CASES` says that there are some, they have to be there.
fn entries(file: &str) -> Option<Vec<Value>> {
    let directory = std::env::var("MESH_CASES").ok()?;
    let text = std::fs::read_to_string(format!("{directory}/conformance/reference/{file}")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry[key].as_str().unwrap()
}

/// The schema at a path like `spec.a[].b{}`; nothing where the table has none on purpose.
fn schema_at(kind: &str, path: &str) -> Option<Option<&'static Schema>> {
    let kind = Kind::ALL.iter().find(|known| known.as_str() == kind)?;
    let below = path.strip_prefix("spec")?;
    let mut at = schema_of(*kind)?.0;
    for step in below.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches(['[', ']', '{', '}']);
        match at.field(name) {
            Some((_, field)) => at = field,
            None => return Some(None),
        }
        if name.len() < step.len() {
            at = at.inner?;
        }
    }
    Some(Some(at))
}

fn holds(schema: &Schema, rule: &str, entry: &Value) -> bool {
    let value = &entry["value"];
    let texts = |value: &Value| {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match rule {
        "required" => schema.required == texts(value),
        "enum" => schema.names == texts(value),
        "minimum" | "minLength" | "minItems" | "minProperties" => schema.least == number,
        "maximum" | "maxLength" | "maxItems" | "maxProperties" => schema.most == number,
        "pattern" => schema.form.and_then(Form::pattern) == value.as_str(),
        "nullable" => schema.nullable,
        "cel" => {
            // One rule of certificates has the expression of another.
            let message = text(entry, "message")
                .replace("credentialName or tlsCertificates", "credentialNames or tlsCertificates");
            schema.rules.iter().any(|rule| rule.message == message)
        }
        "oneOf" => {
            let names: Vec<_> =
                value.as_array().unwrap().iter().filter_map(|one| one["required"][0].as_str()).collect();
            // An only alternative excludes nothing.
            names.len() == 1 || schema.exclusive.iter().any(|group| *group == names)
        }
        "format" => match value.as_str().unwrap() {
            "byte" => schema.form == Some(Form::Base64),
            // The API server does not check these.
            _ => matches!(schema.of, Type::Whole | Type::Number),
        },
        "x-kubernetes-list-type" | "x-kubernetes-list-map-keys" => schema.keyed,
        _ => false,
    }
}
