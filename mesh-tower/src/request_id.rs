//! `x-request-id`: one name for a request on its whole way.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes sure that there is one `x-request-id` and that it says something: a missing or empty one is
/// made up, several lines are joined.
pub(crate) fn ensure(headers: &mut HeaderMap) {
    let mut values = headers.get_all(&X_REQUEST_ID).iter();
    match (values.next(), values.next()) {
        (Some(only), None) if !only.is_empty() => {}
        (Some(_), Some(_)) => {
            let lines: Vec<&[u8]> = headers.get_all(&X_REQUEST_ID).iter().map(HeaderValue::as_bytes).collect();
            // Made of what a value may hold.
            if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b',')) {
                headers.insert(X_REQUEST_ID, joined);
            }
        }
        _ => make_up(headers),
    }
}

/// Gives a request that has none an `x-request-id`.
pub(crate) fn make_up(headers: &mut HeaderMap) {
    // Made of what a value may hold.
    if let Ok(id) = HeaderValue::from_str(random().as_hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
        headers.insert(X_REQUEST_ID, id);
    }
}

fn random() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensured(lines: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_REQUEST_ID, HeaderValue::from_static(line));
        }
        ensure(&mut headers);
        assert_eq!(headers.get_all(X_REQUEST_ID).iter().count(), 1);
        headers[X_REQUEST_ID].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_request_id_is_made_kept_or_joined() {
        assert_eq!(Uuid::try_parse(&ensured(&[])).unwrap().get_version_num(), 4);
        assert_eq!(Uuid::try_parse(&ensured(&[""])).unwrap().get_version_num(), 4);
        assert_eq!(ensured(&["mine"]), "mine");
        assert_eq!(ensured(&["one", "two"]), "one,two");
    }
}
