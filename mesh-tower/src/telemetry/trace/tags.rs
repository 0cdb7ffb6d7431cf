//! Tags of spans that a Telemetry resource asks for.

use std::collections::BTreeMap;
use std::env;

use http::HeaderMap;
use mesh_config::api::telemetry::CustomTag;
use opentelemetry::KeyValue;

/// The tags of a request. One whose value is not there, and has no default, is left out.
pub(super) fn of<'a>(
    tags: &'a BTreeMap<String, CustomTag>,
    headers: &'a HeaderMap,
) -> impl Iterator<Item = KeyValue> + 'a {
    tags.iter().filter_map(|(name, tag)| Some(KeyValue::new(name.clone(), value(tag, headers)?)))
}

fn value(tag: &CustomTag, headers: &HeaderMap) -> Option<String> {
    let found = match (&tag.literal, &tag.environment, &tag.header) {
        (Some(literal), ..) => literal.value.clone(),
        (_, Some(from), _) => env::var(&from.name).unwrap_or_else(|_| from.default_value.clone()),
        (.., Some(from)) => {
            let line = headers.get(&from.name).and_then(|line| line.to_str().ok());
            line.unwrap_or(&from.default_value).to_owned()
        }
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(yaml: &str, headers: &HeaderMap) -> Vec<String> {
        let tags: BTreeMap<String, CustomTag> = serde_json::from_str(yaml).unwrap();
        of(&tags, headers).map(|tag| format!("{}={}", tag.key, tag.value)).collect()
    }

    #[test]
    fn a_tag_is_a_text_a_header_or_a_variable() {
        let headers = HeaderMap::from_iter([("x-user".parse().unwrap(), "ann".parse().unwrap())]);
        let asked = r#"{
            "a": {"literal": {"value": "text"}},
            "b": {"header": {"name": "X-User"}},
            "c": {"header": {"name": "x-none", "defaultValue": "nobody"}},
            "d": {"header": {"name": "x-none"}},
            "e": {"environment": {"name": "CARGO_PKG_NAME"}},
            "f": {"environment": {"name": "NOT_THERE_AT_ALL", "defaultValue": "unset"}}
        }"#;
        let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
        let mut expected = vec!["a=text".to_owned(), "b=ann".to_owned(), "c=nobody".to_owned()];
        expected.extend((!package.is_empty()).then(|| format!("e={package}")));
        expected.push("f=unset".to_owned());
        assert_eq!(tags(asked, &headers), expected);
    }
}
