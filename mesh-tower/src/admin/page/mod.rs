//! The page: everything at a glance, made here and complete without a script. The script only brings over every second what
//! has changed, from the same page asked for with `?live=1`.

mod choice;
mod conditions;
mod figures;
mod graph;
mod markup;
mod names;
mod tables;

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use serde_json::Value;

pub(super) use self::choice::Choice;
use self::markup::{Escaped, shown};
use super::reply::{Reply, typed};
use crate::identity::base64;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the page shows, in the form in which it is told elsewhere.
pub(super) struct Shown<'v> {
    pub(super) name: &'v str,
    pub(super) generation: u64,
    /// For how long it has run, in seconds.
    pub(super) uptime: u64,
    pub(super) choice: Choice,
    pub(super) certs: &'v Value,
    pub(super) lint: &'v Value,
    pub(super) graph: &'v Value,
    pub(super) peers: &'v Value,
    pub(super) routes: &'v Value,
    pub(super) endpoints: &'v Value,
    pub(super) limits: &'v Value,
    /// Unix time in seconds.
    pub(super) time: u64,
    /// Whether only what changes is wanted.
    pub(super) only_live: bool,
    /// The other paths, with what they say.
    pub(super) index: &'v [(&'v str, &'v str)],
}

pub(super) fn page(shown: &Shown<'_>) -> Reply {
    let mut reply = typed(StatusCode::OK, "text/html; charset=utf-8", html(shown));
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

/// The whole page, or only the parts of it that change, for a page that is open already.
fn html(shown: &Shown<'_>) -> String {
    let live = [
        status(shown),
        graph::graph(shown.name, shown.graph, shown.endpoints, shown.choice),
        tables::findings(shown.lint),
        tables::routes(shown.routes),
        tables::endpoints(shown.endpoints),
        tables::callers(shown.peers),
        tables::limits(shown.limits),
    ];
    if shown.only_live {
        return live.concat();
    }
    let [status, graph, findings, routes, endpoints, callers, limits] = live;
    let name = Escaped(shown.name);
    let head = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>mesh: {name}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
         <a class=\"skip\" href=\"#main\">To the content</a><header><h1>mesh: {name}</h1>{status}\
         <button id=\"pause\" type=\"button\" data-script hidden>Pause</button></header><main id=\"main\" tabindex=\"-1\">\
         <p id=\"gone\" role=\"alert\" hidden></p>",
    );
    let index = tables::index(shown.index);
    let foot = format!("</main><script>{SCRIPT}</script></body></html>\n");
    [&*head, &graph, &findings, &routes, &endpoints, &callers, TAP, WHAT_IF, &limits, &index, &foot].concat()
}

fn status(shown: &Shown<'_>) -> String {
    let certificate = match (shown.certs["id"].as_str(), shown.certs["seconds_left"].as_i64()) {
        (Some(id), Some(left)) if left > 0 => {
            format!(
                "<span title=\"{}\">certificate <b>{}</b> left</span>",
                Escaped(id),
                figures::span(left.unsigned_abs())
            )
        }
        (Some(id), _) => format!("<span class=\"bad\">certificate of {} has expired</span>", Escaped(id)),
        (None, _) => "<span>no certificate</span>".to_owned(),
    };
    let clock = shown.time % 86400;
    format!(
        "<p id=\"status\" data-live><span>generation <b>{}</b></span>{certificate}<span>mTLS <b>{}</b></span>\
         <span>up <b>{}</b></span><span class=\"number faint\">as of {:02}:{:02}:{:02} UTC</span></p>",
        shown.generation,
        mode(shown.peers),
        figures::span(shown.uptime),
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

/// `STRICT`, and the ports that differ from it.
fn mode(peers: &Value) -> String {
    let all = &peers["mode"];
    let ports = peers["port_modes"].as_object().into_iter().flatten().filter(|(_, mode)| *mode != all);
    let ports: String = ports.map(|(port, mode)| format!(", {} {}", Escaped(port), shown(mode))).collect();
    shown(all) + &ports
}

const TAP: &str = "<section id=\"tap\"><h2 id=\"tap-heading\">Requests</h2><noscript><p>This part needs the script of the \
    page; <a href=\"/mesh/tap\">/mesh/tap</a> tells the same.</p></noscript><p class=\"bar\" data-script hidden>\
    <button id=\"listen\" type=\"button\">Listen</button><select id=\"only\" aria-label=\"which requests\">\
    <option value=\"\">all</option><option>4xx</option><option>5xx</option></select>\
    <span id=\"heard\" class=\"faint\" role=\"status\">queries and headers are not shown</span></p>\
    <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"tap-heading\"><table><thead><tr>\
    <th scope=\"col\">request</th><th scope=\"col\">status</th><th scope=\"col\">flags</th><th scope=\"col\">endpoint</th>\
    <th scope=\"col\">tries</th><th scope=\"col\">took</th><th scope=\"col\">side</th><th scope=\"col\">time</th>\
    <th scope=\"col\">explained</th></tr></thead><tbody id=\"requests\"></tbody></table></div></section>";

const WHAT_IF: &str = "<section id=\"try\"><h2>What if</h2><form id=\"what-if\" action=\"/mesh/explain\" method=\"get\">\
    <label>method<input name=\"method\" value=\"GET\" size=\"6\"></label>\
    <label class=\"grow\">URL<input name=\"url\" required placeholder=\"http://reviews:9080/\"></label>\
    <label>header<input name=\"h\" placeholder=\"end-user: jason\"></label>\
    <label>called by<input name=\"from\" placeholder=\"namespace/account\"></label>\
    <label>roll<input name=\"roll\" inputmode=\"numeric\" size=\"4\"></label>\
    <button>Explain</button></form><pre id=\"answer\" aria-live=\"polite\"></pre></section>";
