//! What `x-request-id` says of a trace, as Envoy has it: one digit of the UUID, that of its version, tells whether the
//! request is traced, and why.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::request_id::X_REQUEST_ID;

/// By it a client asks for a trace, as Istio lets it.
const CLIENT_TRACE_ID: HeaderName = HeaderName::from_static("x-client-trace-id");

/// Where the digit stands in the text of a UUID.
const PLACE: usize = 14;

/// By chance.
const SAMPLED: u8 = b'9';
/// Somebody inside asked for it.
const FORCED: u8 = b'a';
/// A client asked for it.
const ASKED: u8 = b'b';

/// What a request says about its trace, beside the trace's own headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Traced,
    /// Its id is none that could say so: as in Envoy there is no trace then.
    NotTraced,
}

pub(super) fn told(headers: &HeaderMap) -> Told {
    let Some(id) = headers.get(X_REQUEST_ID).map(HeaderValue::as_bytes) else { return asked(headers) };
    match id.get(PLACE) {
        _ if id.is_empty() => asked(headers),
        _ if !is_uuid(id) => Told::NotTraced,
        Some(&(SAMPLED | FORCED | ASKED)) => Told::Traced,
        _ => asked(headers),
    }
}

fn asked(headers: &HeaderMap) -> Told {
    if headers.contains_key(CLIENT_TRACE_ID) { Told::Traced } else { Told::Nothing }
}

fn is_uuid(id: &[u8]) -> bool {
    // Looked at for each trace that begins: whether all else are digits makes no difference.
    id.len() == 36 && [8, 13, 18, 23].iter().all(|place| id[*place] == b'-')
}

/// Notes that a request is traced, for Envoys further on, which look at nothing else.
pub(super) fn note(headers: &mut HeaderMap) {
    let Some(id) = headers.get(X_REQUEST_ID).map(HeaderValue::as_bytes).filter(|id| is_uuid(id)) else { return };
    if matches!(id[PLACE], SAMPLED | FORCED | ASKED) {
        return;
    }
    let mut noted = id.to_vec();
    noted[PLACE] = if headers.contains_key(CLIENT_TRACE_ID) { ASKED } else { SAMPLED };
    // It was a value before.
    if let Ok(noted) = HeaderValue::from_bytes(&noted) {
        headers.insert(X_REQUEST_ID, noted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "11111111-2222-4333-8444-555555555555";

    fn headers(id: &str) -> HeaderMap {
        HeaderMap::from_iter([(X_REQUEST_ID, id.parse().unwrap())])
    }

    /// As measured in Envoy 1.40.
    #[test]
    fn one_digit_of_the_id_says_whether_there_is_a_trace() {
        let with = |digit: &str| told(&headers(&format!("{}{digit}{}", &ID[..PLACE], &ID[PLACE + 1..])));
        assert_eq!(["4", "9", "a", "b"].map(with), [Told::Nothing, Told::Traced, Told::Traced, Told::Traced]);
        assert_eq!(told(&headers("mine")), Told::NotTraced);
        assert_eq!(told(&headers(&ID.replace('-', ""))), Told::NotTraced);
        assert_eq!((told(&headers("")), told(&HeaderMap::new())), (Told::Nothing, Told::Nothing));
        let mut asked = headers(ID);
        asked.insert(CLIENT_TRACE_ID, HeaderValue::from_static("77"));
        assert_eq!(told(&asked), Told::Traced);
    }

    #[test]
    fn it_is_noted_in_an_id_that_can_say_so() {
        let noted = |id: &str, more: Option<HeaderName>| {
            let mut headers = headers(id);
            headers.extend(more.map(|name| (name, HeaderValue::from_static("77"))));
            note(&mut headers);
            headers[X_REQUEST_ID].to_str().unwrap().to_owned()
        };
        assert_eq!(noted(ID, None), "11111111-2222-9333-8444-555555555555");
        assert_eq!(noted(ID, Some(CLIENT_TRACE_ID)), "11111111-2222-b333-8444-555555555555");
        let forced = "11111111-2222-a333-8444-555555555555";
        assert_eq!(noted(forced, None), forced);
        assert_eq!(noted("mine", None), "mine");
    }
}
