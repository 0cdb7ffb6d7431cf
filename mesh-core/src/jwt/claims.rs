//! What a token says.

use std::fmt;

use serde_json::{Map, Value};

/// The claims of a token that was verified.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The claims of a payload.
    pub fn new(payload: Map<String, Value>) -> Self {
        Self(payload)
    }

    /// As [`new`](Self::new), where these claims are lists whose parts are separated by spaces, beside `scope` and
    /// `permission`, which always are.
    pub fn with_lists(mut payload: Map<String, Value>, names: &[String]) -> Self {
        for name in ["scope", "permission"].into_iter().chain(names.iter().map(String::as_str)) {
            if let Some(claim @ Value::String(_)) = payload.get_mut(name) {
                let parts = claim.as_str().unwrap_or_default().split(' ').filter(|part| !part.is_empty());
                *claim = parts.collect();
            }
        }
        Self(payload)
    }

    /// The claim at the end of a way of names, from the outermost object inwards.
    pub fn get<S: AsRef<str>>(&self, way: &[S]) -> Option<&Value> {
        let (first, rest) = way.split_first()?;
        rest.iter().try_fold(self.0.get(first.as_ref())?, |value, name| value.get(name.as_ref()))
    }

    /// The text of a claim.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Whether a claim is a text that passes, or a list with one. Numbers, booleans and objects never pass.
    pub fn has<S: AsRef<str>>(&self, way: &[S], passes: impl Fn(&str) -> bool) -> bool {
        match self.get(way) {
            Some(Value::String(text)) => passes(text),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(passes),
            _ => false,
        }
    }
}

/// The names alone: what a token says is nobody's business.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(json: Value) -> Claims {
        let Value::Object(map) = json else { panic!("an object") };
        Claims::with_lists(map, &["roles".to_owned()])
    }

    #[test]
    fn a_text_counts_and_so_does_one_of_a_list() {
        let claims = claims(json!({"a": "x", "b": ["x", 1], "c": {"d": ["y"]}, "n": 1, "t": true, "e": []}));
        let has = |way: &[&str]| claims.has(way, |text| !text.is_empty());
        assert!(has(&["a"]) && has(&["b"]) && has(&["c", "d"]));
        assert!(!has(&["n"]) && !has(&["t"]) && !has(&["c"]) && !has(&["e"]) && !has(&["a", "d"]) && !has(&[]));
    }

    #[test]
    fn lists_separated_by_spaces_have_parts_and_no_whole() {
        let claims = claims(json!({"scope": "read write", "roles": "a", "other": "a b", "permission": ["a b"]}));
        let is = |name: &str, text: &str| claims.has(&[name], |part| part == text);
        assert!(is("scope", "read") && is("scope", "write") && is("roles", "a"));
        assert!(!is("scope", "read write"));
        assert!(is("other", "a b") && is("permission", "a b"));
    }
}
