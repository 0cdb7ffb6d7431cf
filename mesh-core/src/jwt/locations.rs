//! Where a request holds tokens: headers, query parameters, cookies.

use std::borrow::Cow;

use http::header::HeaderName;
use mesh_config::api::request_authentication::JwtRule;
use percent_encoding::percent_decode_str;

use crate::RequestView;
use crate::cookie::cookie;

/// The places that a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations(Vec<Location>);

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A header, and what stands before the token in it.
    Header(HeaderName, Box<str>),
    /// A query parameter.
    Param(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

impl Locations {
    /// Those of a rule; without any, `Authorization: Bearer` and the parameter `access_token`.
    pub fn of(rule: &JwtRule) -> Self {
        let header = |header: &mesh_config::api::request_authentication::JwtHeader| {
            Some(Location::Header(header.name.parse().ok()?, header.prefix.as_str().into()))
        };
        let mut all: Vec<_> = rule.from_headers.iter().filter_map(header).collect();
        all.extend(rule.from_params.iter().map(|name| Location::Param(name.as_str().into())));
        all.extend(rule.from_cookies.iter().map(|name| Location::Cookie(name.as_str().into())));
        if all.is_empty() {
            all.push(Location::Header(http::header::AUTHORIZATION, "Bearer ".into()));
            all.push(Location::Param("access_token".into()));
        }
        Self(all)
    }

    /// Every token of a request, as it stands there, with its place. One that is there and empty is a token too.
    pub fn find<'l, 'r>(&'l self, request: &RequestView<'r>) -> Vec<(&'l Location, Cow<'r, str>)> {
        let mut found = Vec::new();
        for location in &self.0 {
            match location {
                Location::Header(name, prefix) => {
                    let lines = request.headers.get_all(name).iter();
                    found.extend(
                        lines.filter_map(|line| in_header(line.as_bytes(), prefix)).map(|token| (location, token)),
                    );
                }
                Location::Param(name) => {
                    let values = params(request.query).filter(|(own, _)| own == &**name);
                    found.extend(values.map(|(_, value)| (location, value)));
                }
                Location::Cookie(name) => {
                    let token = cookie(request.headers, name).map(String::from_utf8_lossy);
                    found.extend(token.map(|token| (location, token)));
                }
            }
        }
        found
    }
}

/// The prefix may stand anywhere; the token begins behind it. A prefix with nothing behind it is no token.
fn in_header<'a>(line: &'a [u8], prefix: &str) -> Option<Cow<'a, str>> {
    if prefix.is_empty() {
        return Some(String::from_utf8_lossy(line.trim_ascii()));
    }
    let at = line.windows(prefix.len()).position(|window| window == prefix.as_bytes())?;
    let token = line[at + prefix.len()..].trim_ascii();
    (!token.is_empty()).then(|| String::from_utf8_lossy(token))
}

/// The parameters of a query, names and values decoded; one without a value has an empty one.
fn params(query: Option<&str>) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.into_iter().flat_map(|query| query.split('&')).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(name).decode_utf8_lossy(), percent_decode_str(value).decode_utf8_lossy())
    })
}

/// A query without the parameters of these names; `None` if nothing is left. What is left is written anew.
pub fn without_params(query: &str, names: &[&str]) -> Option<String> {
    let mut left = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if names.contains(&&*percent_decode_str(name).decode_utf8_lossy()) {
            continue;
        }
        if !left.is_empty() {
            left.push('&');
        }
        left.push_str(name);
        left.push('=');
        left.push_str(value);
    }
    (!left.is_empty()).then_some(left)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route::testing::{Request, parse};

    fn found(rule: serde_json::Value, request: &Request) -> Vec<String> {
        let locations = Locations::of(&parse(rule));
        locations.find(&request.view()).into_iter().map(|(_, token)| token.into_owned()).collect()
    }

    #[test]
    fn without_any_the_usual_places_are_looked_at() {
        let of = |request: &Request| found(json!({"issuer": "i"}), request);
        assert_eq!(of(&Request::get("/").header("authorization", "Bearer a.b.c")), ["a.b.c"]);
        assert_eq!(of(&Request::get("/?x=1&access_token=zzz")), ["zzz"]);
        for none in ["Basic eA==", "bearer a.b.c", "Bearer "] {
            assert!(of(&Request::get("/").header("authorization", none)).is_empty(), "{none}");
        }
    }

    #[test]
    fn each_place_is_found_by_its_name() {
        let rule = json!({
            "issuer": "i", "fromHeaders": [{"name": "x-tok", "prefix": "T "}, {"name": "x-raw"}],
            "fromParams": ["tok"], "fromCookies": ["c"],
        });
        let of = |request: &Request| found(rule.clone(), request);
        assert_eq!(of(&Request::get("/").header("x-tok", "more T a")), ["a"]);
        assert_eq!(of(&Request::get("/").header("x-raw", "")), [""]);
        assert_eq!(of(&Request::get("/?%74ok=a&tok=b&tok&TOK=c")), ["a", "b", ""]);
        assert_eq!(of(&Request::get("/").header("cookie", "a=1; c=x; C=y")), ["x"]);
        assert!(of(&Request::get("/").header("authorization", "Bearer a")).is_empty());
    }

    #[test]
    fn a_cookie_is_found_beside_one_that_is_no_text() {
        let request = Request::get("/").header("cookie", "a=\u{e9}; c=\"x\"");
        assert_eq!(found(json!({"issuer": "i", "fromCookies": ["c"]}), &request), ["x"]);
    }

    #[test]
    fn what_is_left_of_a_query_is_written_anew() {
        assert_eq!(without_params("a=1&tok=x&c", &["tok"]).as_deref(), Some("a=1&c="));
        assert_eq!(without_params("tok=x", &["tok"]), None);
    }
}
