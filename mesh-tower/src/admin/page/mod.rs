//! The page: everything at a glance, made here and complete without a script.

mod graph;
mod markup;
mod tables;

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use serde_json::Value;

use self::markup::Escaped;
use super::reply::{Reply, typed};
use crate::identity::base64;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the page shows, in the form in which it is told elsewhere.
pub(super) struct Seen<'v> {
    pub(super) name: &'v str,
    pub(super) generation: u64,
    pub(super) certs: &'v Value,
    pub(super) lint: &'v Value,
    pub(super) routes: &'v Value,
    pub(super) endpoints: &'v Value,
    pub(super) limits: &'v Value,
    /// The other paths, with what they say.
    pub(super) index: &'v [(&'v str, &'v str)],
}

pub(super) fn page(seen: &Seen<'_>) -> Reply {
    let mut reply = typed(StatusCode::OK, "text/html; charset=utf-8", html(seen));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    reply
}

/// Nothing runs but what stands above, and nothing is fetched from elsewhere.
fn policy() -> HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    let hash = |text: &str| base64(digest(&SHA256, text.as_bytes()).as_ref());
    let policy = || {
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        // Base64 and the text above are good in a header; without it nothing would be allowed less.
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    };
    POLICY.get_or_init(policy).clone()
}

fn html(seen: &Seen<'_>) -> String {
    let name = Escaped(seen.name);
    let head = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>mesh: {name}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
         <a class=\"skip\" href=\"#main\">To the content</a><header><h1>mesh: {name}</h1>{}</header><main id=\"main\">",
        status(seen)
    );
    let parts = [
        head,
        graph::graph(seen.name, seen.endpoints),
        tables::routes(seen.routes),
        tables::endpoints(seen.endpoints),
        tables::limits(seen.limits),
        TAP.to_owned(),
        WHAT_IF.to_owned(),
        tables::findings(seen.lint),
        tables::index(seen.index),
        format!("</main><script>{SCRIPT}</script></body></html>\n"),
    ];
    parts.concat()
}

fn status(seen: &Seen<'_>) -> String {
    let certificate = match (seen.certs["id"].as_str(), seen.certs["seconds_left"].as_i64()) {
        (Some(id), Some(left)) if left > 0 => {
            format!("certificate of {} for {} more minutes", Escaped(id), left / 60)
        }
        (Some(id), _) => format!("<span class=\"bad\">certificate of {} has expired</span>", Escaped(id)),
        (None, _) => "no certificate".to_owned(),
    };
    format!("<p>generation {} · {certificate}</p>", seen.generation)
}

const TAP: &str = "<h2 id=\"tap\">Requests</h2><p><button id=\"listen\" type=\"button\">Listen</button> \
    <span class=\"faint\">requests as they end, without queries and headers</span></p><div class=\"wide\" tabindex=\"0\" \
    role=\"region\" aria-labelledby=\"tap\"><table><thead><tr><th scope=\"col\">time</th><th scope=\"col\">method</th>\
    <th scope=\"col\">url</th><th scope=\"col\">status</th><th scope=\"col\">flags</th><th scope=\"col\">endpoint</th>\
    <th scope=\"col\">tries</th><th scope=\"col\">took</th></tr></thead><tbody id=\"requests\"></tbody></table></div>";

const WHAT_IF: &str = "<h2>What if</h2><form id=\"what-if\" action=\"/mesh/explain\" method=\"get\">\
    <label>method<input name=\"method\" value=\"GET\" size=\"6\"></label>\
    <label class=\"grow\">URL<input name=\"url\" required placeholder=\"http://reviews:9080/\"></label>\
    <label>header<input name=\"h\" placeholder=\"end-user: jason\"></label>\
    <label>roll<input name=\"roll\" inputmode=\"numeric\" size=\"4\"></label>\
    <button>Explain</button></form><pre id=\"answer\" aria-live=\"polite\"></pre>";
