//! What to do about a finding, where it depends on what is there.

use super::schema::Schema;
use crate::document::typed::nearest;

/// The name that was probably meant.
pub(super) fn nearest_name(text: &str, names: &'static [&'static str]) -> Option<String> {
    nearest(text, names.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

pub(super) fn range(schema: &Schema) -> Option<String> {
    match (schema.least, schema.most) {
        (Some(least), Some(most)) => Some(format!("write a number from {least} to {most}")),
        (Some(least), None) => Some(format!("write {least} or more")),
        (None, Some(most)) => Some(format!("write {most} or less")),
        (None, None) => None,
    }
}

/// Names in a sentence.
pub(super) fn listing(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn of_type(needed: &str, found: &str) -> Option<String> {
    let help = match (needed, found) {
        (_, "null") => "an element of a list may not be empty; write it, or take the dash away",
        ("integer" | "number" | "boolean", "string") => "write the value without quotes",
        ("string", "integer" | "number" | "boolean") => "write the value in quotes",
        ("array", _) => "write a list: each element on a line that begins with `- `",
        ("object", _) => "write fields, `name: value`, below it",
        ("integer", "number") => "write a whole number",
        _ => return None,
    };
    Some(help.to_owned())
}
