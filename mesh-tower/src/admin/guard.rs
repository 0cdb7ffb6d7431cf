//! Who may ask, and for what.

use std::net::IpAddr;

use aws_lc_rs::constant_time;
use http::header::{ALLOW, AUTHORIZATION, HOST, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, StatusCode};

use super::options::Admin;
use super::reply::{Reply, text};
use super::state::is_page;

/// Refuses who must not ask. A page in a browser reaches this address too, under a name of its own.
pub(super) fn refuse<B>(request: &Request<B>, admin: &Admin) -> Option<Reply> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    // An absolute form counts before the header, and both have to be good.
    let absolute = request.uri().authority();
    let is_good = named.iter().chain(absolute).all(|authority| is_ours(authority.host(), admin));
    if named.is_none() || !is_good {
        let why = "this server is called by its address, as localhost, or by a name that Admin::host allows";
        return Some(text(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let is_opened = is_page(request.uri().path()) && is_navigation(request.headers());
    if is_from_elsewhere(request.headers()) && !is_opened {
        return Some(text(StatusCode::FORBIDDEN, "pages of other sites may open /mesh/ and ask for nothing"));
    }
    match *request.method() {
        Method::GET | Method::HEAD => None,
        Method::POST => refuse_change(request.headers(), admin),
        _ => {
            let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "this server is read with GET");
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            Some(reply)
        }
    }
}

/// No name that somebody else can point here.
fn is_ours(host: &str, admin: &Admin) -> bool {
    let host = host.to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    bare.parse::<IpAddr>().is_ok() || host == "localhost" || admin.hosts.contains(&host)
}

/// Whether a browser says that a page of another site is behind it: such a page reads no answer, but what is asked for is
/// done all the same. Programs say nothing.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().any(|site| site != "same-origin" && site != "none")
}

/// Whether somebody has followed a link, as far as the browser says.
fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-mode").iter().all(|mode| mode == "navigate")
}

fn refuse_change(headers: &HeaderMap, admin: &Admin) -> Option<Reply> {
    let Some(token) = &admin.token else {
        return Some(text(StatusCode::FORBIDDEN, "changes are not allowed here: Admin::token allows them"));
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let is_right = given.is_some_and(|given| constant_time::verify_slices_are_equal(given, token.as_bytes()).is_ok());
    (!is_right).then(|| text(StatusCode::UNAUTHORIZED, "changes need the token of this server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, host: Option<&str>, token: Option<&str>) -> Option<u16> {
        let mut request = Request::builder().method(method).uri("/mesh/");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let admin = Admin::at("127.0.0.1:0").host("Mesh.Local").token("secret");
        refuse(&request.body(()).unwrap(), &admin).map(|reply| reply.status().as_u16())
    }

    #[test]
    fn names_that_others_can_point_here_are_refused() {
        for good in ["127.0.0.1:15000", "localhost:15000", "LOCALHOST", "[::1]:15000", "10.0.0.1", "mesh.local:1"] {
            assert_eq!(status(Method::GET, Some(good), None), None, "{good}");
        }
        for bad in ["attacker.example:15000", "127.0.0.1.attacker.example", "localhost.attacker.example", "", "a b"] {
            assert_eq!(status(Method::GET, Some(bad), None), Some(421), "{bad}");
        }
        assert_eq!(status(Method::GET, None, None), Some(421));
    }

    #[test]
    fn pages_of_other_sites_may_link_to_the_page_and_no_more() {
        let asked = |path: &str, site: &str| {
            let request = Request::get(path).header(HOST, "localhost").header("sec-fetch-site", site);
            refuse(&request.body(()).unwrap(), &Admin::at("127.0.0.1:0")).map(|reply| reply.status().as_u16())
        };
        for site in ["cross-site", "same-site", "whatever comes"] {
            assert_eq!((asked("/mesh/explain", site), asked("/mesh/tap", site)), (Some(403), Some(403)), "{site}");
            assert_eq!(asked("/mesh/", site), None, "{site}");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(asked("/mesh/explain", site), None, "{site}");
        }
        for (mode, refused) in [("navigate", None), ("no-cors", Some(403)), ("cors", Some(403))] {
            let request = Request::get("/mesh/").header(HOST, "localhost").header("sec-fetch-site", "cross-site");
            let request = request.header("sec-fetch-mode", mode).body(()).unwrap();
            let reply = refuse(&request, &Admin::at("127.0.0.1:0")).map(|reply| reply.status().as_u16());
            assert_eq!(reply, refused, "{mode}");
        }
    }

    #[test]
    fn changes_need_the_token() {
        let post = |token| status(Method::POST, Some("localhost"), token);
        assert_eq!(post(Some("Bearer secret")), None);
        for bad in [None, Some("Bearer secre"), Some("Bearer secret2"), Some("Bearer "), Some("secret")] {
            assert_eq!(post(bad), Some(401), "{bad:?}");
        }
        assert_eq!(status(Method::DELETE, Some("localhost"), Some("Bearer secret")), Some(405));
    }

    #[test]
    fn an_empty_token_allows_nobody_anything() {
        let request = Request::post("/mesh/drain").header(HOST, "localhost").header(AUTHORIZATION, "Bearer ");
        let refused = refuse(&request.body(()).unwrap(), &Admin::at("127.0.0.1:0").token(""));
        assert_eq!(refused.unwrap().status(), 403);
    }
}
