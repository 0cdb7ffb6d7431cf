//! Tags of spans that a Telemetry resource asks for.

use std::collections::BTreeMap;
use std::env;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Request};
use mesh_config::api::telemetry::CustomTag;
use mesh_core::access_log::Attributes;
use mesh_core::telemetry::{Record, Side};
use opentelemetry::KeyValue;

use crate::identity::Peer;

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

/// The tags of a request that are formatted, by what is known of it when it begins. Those that come to nothing are left out.
pub(super) fn formatted<B>(tags: &Attributes, request: &Request<B>, side: Side) -> Vec<KeyValue> {
    let mut record = Record::new(side, crate::clock::wall(), request.method().clone());
    let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    record.authority = request.uri().authority().map_or_else(host, Authority::as_str).into();
    record.path = request.uri().path_and_query().cloned();
    record.protocol = request.version();
    record.request_headers = tags.wanted().request.of(request.headers());
    record.unique_id = fastrand::u128(..);
    if let Some(peer) = request.extensions().get::<Peer>() {
        record.downstream_remote = peer.address().socket();
        record.downstream_local = peer.local_address();
        record.tls = peer.facts();
    }
    let found = tags.of(&record, "", "").filter(|(_, value)| !value.is_empty());
    found.map(|(name, value)| KeyValue::new(name.to_owned(), value)).collect()
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
