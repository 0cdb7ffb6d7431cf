//! Heads of requests.

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use mesh_core::Profile;
use mesh_core::request_form::{Head, Told, check, prepare_headers, single_host};

/// Reads lines as the head of a request: version, method, authority, then headers.
pub fn head(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut next = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (first, method, authority) = (next(), next(), next());
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    let version = if first.starts_with('2') { Version::HTTP_2 } else { Version::HTTP_11 };
    let scheme = first.split_once(' ').map(|(_, scheme)| scheme);
    let authority = (!authority.is_empty()).then_some(authority.as_str());
    let head = Head { version, method: &method, scheme, authority, headers: &headers };
    let (safe, istio) = (check(&head, Profile::Safe), check(&head, Profile::Istio));
    // A safe mesh takes a part of what Envoy takes, and tells the application the same host.
    if let Ok(host) = &safe {
        assert_eq!(istio.as_ref().ok(), Some(host), "{head:?}");
        assert!(single_host(&headers).is_ok(), "{head:?}");
    }
    let Ok(host) = istio else { return };
    if let Some(host) = host {
        assert_eq!(authority.map(str::as_bytes), Some(host.as_bytes()));
        headers.insert(HOST, host);
    }
    if prepare_headers(&mut headers, Told::default()).is_err() {
        return;
    }
    let is_left = |name: &str| headers.contains_key(name);
    assert!(!is_left("x-forwarded-client-cert") && is_left("x-forwarded-proto"), "{headers:?}");
    assert!(!is_left("keep-alive") && !is_left("proxy-connection") && !is_left("transfer-encoding"), "{headers:?}");
    assert!(!is_left("upgrade") || headers.get_all("connection").iter().count() == 1, "{headers:?}");
    // What is in form stays as it is.
    let mut again = headers.clone();
    assert!(prepare_headers(&mut again, Told::default()).is_ok(), "{headers:?}");
    assert_eq!(again, headers);
}
