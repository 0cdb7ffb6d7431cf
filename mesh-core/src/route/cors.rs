//! Cross-origin calls: which origins may call, and what their browsers are told.
//!
//! As Envoy's CORS filter: it answers preflights itself and adds headers to the answers of other requests. It
//! never refuses anything; a browser does, when the headers are not there. It acts behind faults and only on
//! rules that forward, even to a destination that does not exist.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_config::api::virtual_service::{CorsPolicy, UnmatchedPreflights};

use super::condition::string_match::StringMatcher;
use super::lower::LowerError;

/// The `corsPolicy` of a rule.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Box<[StringMatcher]>,
    /// Whether every origin may call.
    any: bool,
    methods: Option<Allowed>,
    headers: Option<Allowed>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    credentials: bool,
    /// Whether a preflight of a strange origin is answered, and not forwarded.
    keeps_unmatched: bool,
}

/// A list of what a browser may send.
#[derive(Clone, Debug)]
enum Allowed {
    /// Whatever it asks for.
    Asked,
    These(HeaderValue),
}

/// What becomes of a request under a [`Cors`].
#[derive(Clone, Debug, PartialEq)]
pub enum CorsVerdict {
    /// It is a preflight, and answered: 200, these headers, no body.
    Preflight(HeaderMap),
    /// The origin may call: its answer gets [headers](Cors::grant).
    Allowed(HeaderValue),
    /// It goes on, and nothing is added.
    Untouched,
}

impl Cors {
    /// Compiles a `corsPolicy`. `allowOrigin`, which is deprecated, counts where there is no `allowOrigins`.
    ///
    /// # Errors
    /// A regular expression that RE2 does not know, and a list that no header can hold.
    pub fn lower(from: &CorsPolicy) -> Result<Self, LowerError> {
        let origins: Box<[StringMatcher]> = if from.allow_origins.is_empty() {
            from.allow_origin.iter().map(|origin| StringMatcher::Exact(origin.as_str().into())).collect()
        } else {
            let lower = |(index, origin)| StringMatcher::lower(origin, &format!("corsPolicy.allowOrigins[{index}]"));
            from.allow_origins.iter().enumerate().map(lower).collect::<Result<_, _>>()?
        };
        Ok(Self {
            // What takes a star takes everything, whichever way it is written.
            any: origins.iter().any(|origin| origin.is_match(b"*")),
            origins,
            methods: Allowed::lower(&from.allow_methods, "allowMethods")?,
            headers: Allowed::lower(&from.allow_headers, "allowHeaders")?,
            expose: list(&from.expose_headers, "exposeHeaders")?,
            max_age: from.max_age.map(|age| HeaderValue::from(age.to_std().as_secs())),
            credentials: from.allow_credentials == Some(true),
            keeps_unmatched: from.unmatched_preflights == UnmatchedPreflights::Ignore,
        })
    }

    /// What the policy allows, in words.
    pub fn describe(&self) -> Vec<String> {
        let mut origins: Vec<_> = self.origins.iter().map(ToString::to_string).collect();
        // Their order means nothing.
        origins.sort_unstable();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let allowed = |allowed: &Allowed| match allowed {
            Allowed::Asked => "whatever is asked for".to_owned(),
            Allowed::These(these) => text(these),
        };
        let parts = [
            Some(format!("origins {}", if self.any { "all".to_owned() } else { origins.join(" or ") })),
            self.methods.as_ref().map(|methods| format!("methods {}", allowed(methods))),
            self.headers.as_ref().map(|headers| format!("headers {}", allowed(headers))),
            self.expose.as_ref().map(|expose| format!("exposes {}", text(expose))),
            self.max_age.as_ref().map(|age| format!("preflights good for {} s", text(age))),
            self.credentials.then(|| "credentials".to_owned()),
            (!self.keeps_unmatched).then(|| "preflights of other origins are forwarded".to_owned()),
        ];
        parts.into_iter().flatten().collect()
    }

    /// Looks at a request. One without origin, or with an empty one, is no concern of this.
    pub fn judge(&self, method: &Method, headers: &HeaderMap) -> CorsVerdict {
        let Some(origin) = joined(headers, &ORIGIN) else { return CorsVerdict::Untouched };
        let allowed = self.any || self.origins.iter().any(|known| known.is_match(origin.as_bytes()));
        let asked = joined(headers, &ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS);
        match (asked, allowed) {
            (Some(asked), true) => CorsVerdict::Preflight(self.preflight(Some(&origin), asked, headers)),
            (Some(asked), false) if self.keeps_unmatched => {
                CorsVerdict::Preflight(self.preflight(None, asked, headers))
            }
            (None, true) => CorsVerdict::Allowed(origin),
            (_, false) => CorsVerdict::Untouched,
        }
    }

    fn preflight(&self, origin: Option<&HeaderValue>, method: HeaderValue, asked: &HeaderMap) -> HeaderMap {
        let mut told = HeaderMap::new();
        let expose = self.expose.as_ref().filter(|_| origin.is_some());
        let headers = || joined(asked, &ACCESS_CONTROL_REQUEST_HEADERS);
        let lines = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, origin.cloned()),
            (ACCESS_CONTROL_ALLOW_CREDENTIALS, self.credentials.then(|| HeaderValue::from_static("true"))),
            (ACCESS_CONTROL_ALLOW_METHODS, self.methods.as_ref().and_then(|allowed| allowed.tell(|| Some(method)))),
            (ACCESS_CONTROL_ALLOW_HEADERS, self.headers.as_ref().and_then(|allowed| allowed.tell(headers))),
            (ACCESS_CONTROL_MAX_AGE, self.max_age.clone()),
            (ACCESS_CONTROL_EXPOSE_HEADERS, expose.cloned()),
        ];
        told.extend(lines.into_iter().filter_map(|(name, value)| Some((name, value?))));
        told
    }

    /// Adds to the answer of a request of an allowed origin what its browser wants to know; replaces what the
    /// upstream, or the rule's own operations, said of it.
    pub fn grant(&self, origin: &HeaderValue, response: &mut HeaderMap) {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(expose) = &self.expose {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

impl Allowed {
    fn lower(names: &[String], field: &str) -> Result<Option<Self>, LowerError> {
        Ok(match names {
            [only] if only == "*" => Some(Self::Asked),
            _ => list(names, field)?.map(Self::These),
        })
    }

    fn tell(&self, asked: impl FnOnce() -> Option<HeaderValue>) -> Option<HeaderValue> {
        match self {
            Self::Asked => asked(),
            Self::These(these) => Some(these.clone()),
        }
    }
}

fn list(names: &[String], field: &str) -> Result<Option<HeaderValue>, LowerError> {
    if names.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_str(&names.join(","))
        .map(Some)
        .map_err(|error| LowerError::new(format!("corsPolicy.{field}"), error.to_string()))
}

/// A header's value, its lines in one as Envoy keeps them; `None` if it says nothing.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    let value = if lines.next().is_none() {
        first.clone()
    } else {
        let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        HeaderValue::from_bytes(&lines.join(&b',')).ok()?
    };
    Some(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route::testing;

    fn cors(policy: &serde_json::Value) -> Cors {
        Cors::lower(&testing::parse(policy.clone())).unwrap()
    }

    /// A policy that sets everything.
    fn full(unmatched: &str) -> Cors {
        cors(&json!({
            "allowOrigins": [{"exact": "https://a"}], "allowMethods": ["GET", "PUT"], "allowHeaders": ["x-a"],
            "exposeHeaders": ["x-e", "X-F"], "maxAge": "86400s", "allowCredentials": true,
            "unmatchedPreflights": unmatched,
        }))
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn preflight(cors: &Cors, origin: &'static str) -> Option<Vec<String>> {
        let asks = headers(&[
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a,x-b"),
        ]);
        match cors.judge(&Method::OPTIONS, &asks) {
            CorsVerdict::Preflight(told) => {
                let mut lines: Vec<_> = told
                    .iter()
                    .map(|(name, value)| {
                        let name = name.as_str().trim_start_matches("access-control-");
                        format!("{name}: {}", value.to_str().unwrap())
                    })
                    .collect();
                lines.sort();
                Some(lines)
            }
            _ => None,
        }
    }

    #[test]
    fn a_preflight_of_a_known_origin_is_told_everything() {
        assert_eq!(
            preflight(&full("UNSPECIFIED"), "https://a").unwrap(),
            [
                "allow-credentials: true",
                "allow-headers: x-a",
                "allow-methods: GET,PUT",
                "allow-origin: https://a",
                "expose-headers: x-e,X-F",
                "max-age: 86400"
            ]
        );
    }

    #[test]
    fn a_preflight_of_another_origin_goes_on_unless_the_rule_keeps_it() {
        assert_eq!(preflight(&full("UNSPECIFIED"), "https://b"), None);
        assert_eq!(preflight(&full("FORWARD"), "https://b"), None);
        assert_eq!(
            preflight(&full("IGNORE"), "https://b").unwrap(),
            ["allow-credentials: true", "allow-headers: x-a", "allow-methods: GET,PUT", "max-age: 86400"]
        );
    }

    #[test]
    fn a_star_allows_what_is_asked_for() {
        let cors = cors(&json!({"allowOrigins": [{"exact": "*"}], "allowMethods": ["*"], "allowHeaders": ["*"]}));
        let told = ["allow-headers: x-a,x-b", "allow-methods: PUT", "allow-origin: https://b"];
        assert_eq!(preflight(&cors, "https://b").unwrap(), told);
    }

    #[test]
    fn what_is_not_set_is_not_told() {
        assert_eq!(
            preflight(&cors(&json!({"allowOrigin": ["https://a"]})), "https://a").unwrap(),
            ["allow-origin: https://a"]
        );
    }

    #[test]
    fn the_deprecated_list_counts_only_without_the_other() {
        let both = cors(&json!({"allowOrigin": ["*"], "allowOrigins": [{"prefix": "https://a"}]}));
        assert!(preflight(&both, "https://a.example").is_some());
        assert!(preflight(&both, "https://b").is_none());
    }

    #[test]
    fn options_without_a_method_asked_for_is_a_request_like_others() {
        let cors = cors(&json!({"allowOrigins": [{"regex": "https://[a-c]"}]}));
        let plain = headers(&[("origin", "https://b")]);
        let allowed = CorsVerdict::Allowed(HeaderValue::from_static("https://b"));
        assert_eq!(cors.judge(&Method::OPTIONS, &plain), allowed);
        let empty = headers(&[("origin", "https://b"), ("access-control-request-method", "")]);
        assert_eq!(cors.judge(&Method::OPTIONS, &empty), allowed);
        let asks = headers(&[("origin", "https://b"), ("access-control-request-method", "GET")]);
        assert_eq!(cors.judge(&Method::GET, &asks), allowed);
    }

    #[test]
    fn no_origin_an_empty_one_and_two_are_no_origin_that_is_known() {
        let cors = cors(&json!({"allowOrigins": [{"exact": "https://a"}]}));
        let lists: [&[(&'static str, &'static str)]; 3] =
            [&[], &[("origin", "")], &[("origin", "https://a"), ("origin", "https://a")]];
        for lines in lists {
            assert_eq!(cors.judge(&Method::GET, &headers(lines)), CorsVerdict::Untouched, "{lines:?}");
        }
    }

    #[test]
    fn a_grant_replaces_what_the_upstream_said() {
        let cors = cors(&json!({
            "allowOrigins": [{"exact": "https://a"}], "exposeHeaders": ["x-e"], "allowCredentials": true,
        }));
        let mut response = headers(&[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-origin", "b"),
            ("access-control-expose-headers", "x-up"),
            ("vary", "accept"),
        ]);
        cors.grant(&HeaderValue::from_static("https://a"), &mut response);
        assert_eq!(
            response,
            headers(&[
                ("access-control-allow-origin", "https://a"),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "x-e"),
                ("vary", "accept"),
            ])
        );
    }
}
