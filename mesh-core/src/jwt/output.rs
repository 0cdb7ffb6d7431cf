//! Claims as the values of headers.

use mesh_config::value::Bytes;
use serde_json::Value;

/// A text as it is, a number or truth value in words, a list or object as JSON in padded base64. Nothing for what is
/// empty.
pub(super) fn text(claim: &Value) -> Option<String> {
    match claim {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(match number.as_u64() {
            Some(whole) => whole.to_string(),
            // All others are printed with six places, as Envoy does.
            None => format!("{:.6}", number.as_f64()?),
        }),
        list_or_object => Some(Bytes(list_or_object.to_string().into_bytes()).to_base64()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_claim_has_its_text() {
        for (claim, expected) in [
            (json!("a"), Some("a")),
            (json!(""), None),
            (json!(null), None),
            (json!(true), Some("true")),
            (json!(3), Some("3")),
            (json!(-3), Some("-3.000000")),
            (json!(1.5), Some("1.500000")),
            (json!(["a"]), Some("WyJhIl0=")),
        ] {
            assert_eq!(text(&claim).as_deref(), expected, "{claim}");
        }
    }
}
