//! `envoyExtAuthzHttp`: a service that is asked about requests over HTTP.
//!
//! It gets the request, with its body only where that is asked for: method and path, `host` and `authorization` as they came, and what
//! `includeRequestHeadersInCheck` names. 200 lets the request go on, a 5xx is no answer, and all else is what the caller
//! gets. Measured on Envoy 1.40 with the filter that Istio makes of a provider.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use mesh_config::api::mesh_config::ExtAuthzHttpProvider;

use super::TextMatch;
use super::grpc_check::PARTIAL_BODY;
use crate::route::internal_headers;

/// How a service is asked over HTTP, and what its answers may change.
#[derive(Clone, Debug)]
pub struct HttpProvider {
    path_prefix: Box<str>,
    told: Vec<TextMatch>,
    added: Vec<(HeaderName, HeaderValue)>,
    to_application: Vec<TextMatch>,
    to_caller_on_allow: Vec<TextMatch>,
    /// Empty: all.
    to_caller_on_deny: Vec<TextMatch>,
}

/// What a service has said about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderAnswer {
    /// It goes on.
    Allow {
        /// These replace its own headers.
        to_application: HeaderMap,
        /// These are appended to them.
        added: HeaderMap,
        /// These are added to the answer that the caller gets.
        to_caller: HeaderMap,
    },
    /// The caller gets the answer's status and body, with these headers.
    Deny(HeaderMap),
    /// It has said nothing.
    Error,
}

impl HttpProvider {
    pub(super) fn of(http: &ExtAuthzHttpProvider) -> Self {
        let texts = |texts: &[String]| texts.iter().map(|text| TextMatch::parse(text)).collect();
        let mut told: Vec<TextMatch> = texts(&http.include_request_headers_in_check);
        // The older field knows no stars.
        let exact = |name: &String| TextMatch::Exact(name.as_bytes().into());
        told.extend(http.include_headers_in_check.iter().map(exact));
        Self {
            path_prefix: http.path_prefix.as_str().into(),
            told,
            added: added(http),
            to_application: texts(&http.headers_to_upstream_on_allow),
            to_caller_on_allow: texts(&http.headers_to_downstream_on_allow),
            to_caller_on_deny: texts(&http.headers_to_downstream_on_deny),
        }
    }

    /// The target to ask about: the request's own, behind the prefix. `None` if that is none.
    pub fn target(&self, authority: &str, uri: &Uri) -> Option<Uri> {
        let own = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = format!("{}{own}", self.path_prefix);
        Uri::builder().scheme("http").authority(authority).path_and_query(target).build().ok()
    }

    /// The headers to tell; with a body its length, and whether it is a part of one.
    pub fn headers(&self, request: &HeaderMap, body: Option<(usize, bool)>) -> HeaderMap {
        let mut headers = chosen(request, |name| name == AUTHORIZATION || takes(&self.told, name));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.map_or(0, |(length, _)| length)));
        headers.remove(PARTIAL_BODY);
        if let Some((_, is_partial)) = body {
            headers.insert(PARTIAL_BODY, HeaderValue::from_static(if is_partial { "true" } else { "false" }));
        }
        for (name, value) in &self.added {
            headers.insert(name, value.clone());
        }
        headers
    }

    /// What an answer means.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap) -> ProviderAnswer {
        if status.is_server_error() {
            return ProviderAnswer::Error;
        }
        if status == StatusCode::OK {
            let mut to_application = HeaderMap::new();
            // What frames the answer says nothing about the request.
            let is_told = |name: &HeaderName| !internal_headers::frames(name) && takes(&self.to_application, name);
            for (name, value) in headers.iter().filter(|(name, _)| is_told(name)) {
                // Of several lines the last counts.
                to_application.insert(name, value.clone());
            }
            return ProviderAnswer::Allow {
                to_application,
                added: HeaderMap::new(),
                to_caller: chosen(headers, |name| takes(&self.to_caller_on_allow, name)),
            };
        }
        let always = [WWW_AUTHENTICATE, LOCATION];
        let is_told = |name: &HeaderName| {
            self.to_caller_on_deny.is_empty() || always.contains(name) || takes(&self.to_caller_on_deny, name)
        };
        ProviderAnswer::Deny(chosen(headers, is_told))
    }
}

fn added(http: &ExtAuthzHttpProvider) -> Vec<(HeaderName, HeaderValue)> {
    let pairs = http.include_additional_headers_in_check.iter();
    pairs.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
}

fn takes(texts: &[TextMatch], name: &HeaderName) -> bool {
    texts.iter().any(|text| text.matches_in_any_case(name.as_str().as_bytes()))
}

fn chosen(headers: &HeaderMap, is_wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut chosen = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| is_wanted(name)) {
        chosen.append(name, value.clone());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider(fields: &Value) -> HttpProvider {
        let mut http = json!({"service": "authz.ns.svc", "port": 80});
        fields.as_object().unwrap().iter().for_each(|(name, value)| http[name] = value.clone());
        HttpProvider::of(&serde_json::from_value(http).unwrap())
    }

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).fold(
            HeaderMap::new(),
            |mut headers, (name, value): (HeaderName, _)| {
                headers.append(name, value);
                headers
            },
        )
    }

    #[test]
    fn the_service_is_told_the_target_the_credentials_and_what_is_listed() {
        let fields = json!({"pathPrefix": "/pre", "includeRequestHeadersInCheck": ["X-In*", "cookie"],
                            "includeAdditionalHeadersInCheck": {"x-add": "v", "x-in-b": "added"}});
        let provider = provider(&fields);
        let target = provider.target("shop", &"http://shop/a/b?q=1".parse().unwrap()).unwrap();
        assert_eq!(target, "http://shop/pre/a/b?q=1");
        let request = map(&[
            ("x-in-a", "1"),
            ("x-in-b", "orig"),
            ("cookie", "a=1"),
            ("authorization", "old"),
            ("x-not", "1"),
            ("content-length", "5"),
        ]);
        let expected = map(&[
            ("authorization", "old"),
            ("cookie", "a=1"),
            ("x-in-a", "1"),
            ("x-add", "v"),
            ("x-in-b", "added"),
            ("content-length", "0"),
        ]);
        assert_eq!(provider.headers(&request, None), expected);
        let mut with_body = expected;
        with_body.insert(CONTENT_LENGTH, HeaderValue::from_static("3"));
        with_body.insert(PARTIAL_BODY, HeaderValue::from_static("true"));
        assert_eq!(provider.headers(&request, Some((3, true))), with_body);
    }

    #[test]
    fn only_200_lets_in_and_the_last_line_of_a_listed_header_counts() {
        let provider =
            provider(&json!({"headersToUpstreamOnAllow": ["x-up"], "headersToDownstreamOnAllow": ["x-down"]}));
        let all = self::provider(&json!({"headersToUpstreamOnAllow": ["*"]}));
        let framed =
            map(&[("content-length", "9"), ("transfer-encoding", "chunked"), ("connection", "x-up"), ("x-up", "1")]);
        let ProviderAnswer::Allow { to_application, .. } = all.judge(StatusCode::OK, &framed) else {
            panic!("it lets in")
        };
        assert_eq!(to_application, map(&[("x-up", "1")]), "what frames an answer says nothing about the request");
        let headers = map(&[("x-up", "1"), ("x-up", "2"), ("x-down", "d"), ("x-else", "e")]);
        let allowed = ProviderAnswer::Allow {
            to_application: map(&[("x-up", "2")]),
            added: HeaderMap::new(),
            to_caller: map(&[("x-down", "d")]),
        };
        assert_eq!(provider.judge(StatusCode::OK, &headers), allowed);
        for status in [StatusCode::CREATED, StatusCode::NO_CONTENT, StatusCode::FOUND, StatusCode::UNAUTHORIZED] {
            assert_eq!(provider.judge(status, &headers), ProviderAnswer::Deny(headers.clone()));
        }
        assert_eq!(provider.judge(StatusCode::BAD_GATEWAY, &headers), ProviderAnswer::Error);
    }

    #[test]
    fn a_denial_says_what_is_listed_and_where_to_log_in() {
        let provider = provider(&json!({"headersToDownstreamOnDeny": ["X-Den*"]}));
        let headers =
            map(&[("www-authenticate", "Basic"), ("location", "/l"), ("x-denied", "y"), ("set-cookie", "a=b")]);
        let told = map(&[("www-authenticate", "Basic"), ("location", "/l"), ("x-denied", "y")]);
        assert_eq!(provider.judge(StatusCode::UNAUTHORIZED, &headers), ProviderAnswer::Deny(told));
    }
}
