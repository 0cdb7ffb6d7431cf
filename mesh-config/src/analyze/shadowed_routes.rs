//! Rules that an earlier one leaves nothing for.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use super::cover::Earlier;
use super::rules::title;
use super::{Analyzer, Context, MESH};
use crate::api::VirtualService;
use crate::api::virtual_service::{HttpMatchRequest, HttpRoute};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::set::ConfigSet;
use crate::validate::{At, Checker, is_reported_as_covered};
use crate::value::StringMatch;
use crate::value::host::resolve_gateway_name;

/// `MESH0301`: what Istio's own `IST0130` and `IST0131` (equal matches, longer prefixes, rules after one without matches) do
/// not see: a prefix before an exact path, fewer headers before more of them, another VirtualService of the same gateway.
pub(super) struct ShadowedRoutes;

impl Analyzer for ShadowedRoutes {
    fn name(&self) -> &'static str {
        "mesh.ShadowedRoutes"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::SHADOWED_ROUTE]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let mut seen = HashSet::new();
        for service in set.virtual_services().filter(|service| service.spec.http.len() > 1) {
            let mut walk = Walk::new(None, is_bound_to_mesh(&service.spec));
            walk.add(service, &mut seen, out);
        }
        for ((gateway, host), services) in shared_hosts(set) {
            let mut walk = Walk::new(Some((&gateway, host)), false);
            for service in services {
                walk.add(service, &mut seen, out);
            }
        }
    }
}

fn is_bound_to_mesh(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == MESH)
}

type Service<'a> = &'a Object<VirtualService>;

/// The VirtualServices that share a host of a gateway, where there are several: their rules are put one after the other.
fn shared_hosts(set: &ConfigSet) -> BTreeMap<(String, &str), Vec<Service<'_>>> {
    let mut shared: BTreeMap<(String, &str), Vec<Service<'_>>> = BTreeMap::new();
    // Servers that are open to some namespaces only take the rules of some, which is not followed here.
    let is_scoped = |host: &String| host.split_once('/').is_some_and(|(scope, _)| scope != "*");
    let scoped: HashSet<String> = set
        .gateways()
        .filter(|gateway| gateway.spec.servers.iter().flat_map(|server| &server.hosts).any(is_scoped))
        .map(|gateway| gateway.meta.namespaced_name().to_string())
        .collect();
    let is_public = |service: &Service<'_>| {
        service.spec.export_to.is_empty() || service.spec.export_to.iter().any(|namespace| namespace == "*")
    };
    for service in set.virtual_services().filter(|service| !service.spec.http.is_empty()).filter(is_public) {
        for gateway in service.spec.gateways.iter().filter(|gateway| *gateway != MESH) {
            let gateway = resolve_gateway_name(gateway, &service.meta.namespace);
            for host in service.spec.hosts.iter().filter(|_| !scoped.contains(&gateway)) {
                let services = shared.entry((gateway.clone(), host)).or_default();
                if services.last().is_none_or(|last| !std::ptr::eq(*last, service)) {
                    services.push(service);
                }
            }
        }
    }
    shared.retain(|_, services| services.len() > 1);
    shared
}

/// The match of a rule without matches.
static EVERYTHING: LazyLock<HttpMatchRequest> = LazyLock::new(HttpMatchRequest::default);

fn matches_of(route: &HttpRoute) -> &[HttpMatchRequest] {
    if route.matches.is_empty() { std::slice::from_ref(&EVERYTHING) } else { &route.matches }
}

/// Where a match stands: which VirtualService, rule and match. Ordered as they are tried.
type Place = (usize, usize, usize);

/// Goes through rules in the order in which they are tried.
struct Walk<'a> {
    /// The gateway and its host, where several VirtualServices are looked at together.
    together: Option<(&'a str, &'a str)>,
    in_mesh: bool,
    services: Vec<Service<'a>>,
    earlier: Earlier<'a, Place>,
}

/// A rule or match that has a finding already.
type Seen<'a> = HashSet<(*const HttpRoute, Option<usize>)>;

impl<'a> Walk<'a> {
    fn new(together: Option<(&'a str, &'a str)>, in_mesh: bool) -> Self {
        Self { together, in_mesh, services: Vec::new(), earlier: Earlier::new() }
    }

    fn add(&mut self, service: Service<'a>, seen: &mut Seen<'a>, out: &mut Report) {
        let number = self.services.len();
        self.services.push(service);
        let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
        for (index, route) in service.spec.http.iter().enumerate() {
            self.check(cx, number, index, route, seen);
            // What a delegate leaves of the matches is not known.
            for (m, matches) in matches_of(route).iter().enumerate().filter(|_| route.delegate.is_none()) {
                self.earlier.push(matches, (number, index, m));
            }
            // Whatever follows is Istio's to report.
            if route.matches.is_empty() && self.together.is_none() {
                break;
            }
        }
    }

    fn check(&self, cx: &mut Checker<'_>, service: usize, index: usize, route: &'a HttpRoute, seen: &mut Seen<'a>) {
        let mut covered = Vec::new();
        let mut is_free = false;
        for (m, matches) in matches_of(route).iter().enumerate() {
            match self.covering(service, index, matches) {
                Covered::No => is_free = true,
                Covered::ReportedByIstio => {}
                Covered::By(place) => covered.push((m, place)),
            }
        }
        let Some((_, first)) = covered.first() else { return };
        let spec = At::top("spec");
        let http = spec.field("http");
        let at = http.index(index);
        if !is_free {
            if seen.insert((route, None)) {
                let finding = self.finding(*first, &format!("rule {}", title(&route.name, index)), route, None);
                cx.push(&at, finding);
            }
            return;
        }
        for (m, by) in covered {
            if seen.insert((route, Some(m))) {
                let what = format!("match #{m} of rule {}", title(&route.name, index));
                cx.push(&at.field("match").index(m), self.finding(by, &what, route, Some(m)));
            }
        }
    }

    fn covering(&self, service: usize, index: usize, later: &HttpMatchRequest) -> Covered {
        if self.together.is_none() && self.earlier.covering(later, |by, _| is_reported_as_covered(by, later)).is_some()
        {
            return Covered::ReportedByIstio;
        }
        // At a gateway what takes every request is tried last.
        let is_moved = |by: &HttpMatchRequest| !self.in_mesh && is_tried_last(by) && !is_tried_last(later);
        let accept = |by: &HttpMatchRequest, place: Place| match self.together {
            Some(_) => place.0 != service && by.gateways.is_empty() && later.gateways.is_empty() && !is_moved(by),
            None => place.1 != index && !is_moved(by),
        };
        self.earlier.covering(later, accept).map_or(Covered::No, |(_, place)| Covered::By(place))
    }

    fn finding(&self, by: Place, what: &str, route: &HttpRoute, m: Option<usize>) -> Diagnostic {
        let owner = self.services[by.0];
        let earlier = &owner.spec.http[by.1];
        let covering = &matches_of(earlier)[by.2];
        let mut other = format!("rule {}", title(&earlier.name, by.1));
        let mut place = String::new();
        if let Some((gateway, host)) = self.together {
            other = format!("{other} of VirtualService {}", owner.meta.namespaced_name());
            place = format!(" at gateway {gateway} for host {host}");
        }
        let message =
            format!("{what} can never match{place}: {other} comes before it and takes {}", describe(covering));
        let same = is_same_action(earlier, route);
        let finding = match m {
            None if !same => Diagnostic::warning(Code::SHADOWED_ROUTE, message),
            _ => Diagnostic::info(Code::SHADOWED_ROUTE, message),
        };
        let last = if self.in_mesh && owner.spec.gateways.len() > 1 && is_tried_last(covering) {
            " (in the mesh; at a gateway a rule for every path is tried last)"
        } else {
            ""
        };
        let finding = finding.effect(match same {
            true => format!("none: its requests follow {other}, which does the same{last}"),
            false => format!("its requests follow {other}{last}"),
        });
        finding.help(help(covering, route, m))
    }
}

enum Covered {
    No,
    ReportedByIstio,
    By(Place),
}

fn is_same_action(a: &HttpRoute, b: &HttpRoute) -> bool {
    let action = |route: &HttpRoute| HttpRoute { name: String::new(), matches: Vec::new(), ..route.clone() };
    action(a) == action(b)
}

/// What a gateway moves behind all other rules of a host.
fn is_tried_last(matches: &HttpMatchRequest) -> bool {
    let takes_all = match &matches.uri {
        None => true,
        Some(StringMatch::Prefix(prefix)) => prefix == "/",
        Some(StringMatch::Regex(regex)) => regex == ".*",
        Some(_) => false,
    };
    takes_all
        && matches.method.is_none()
        && matches.scheme.is_none()
        && matches.authority.is_none()
        && matches.headers.is_empty()
        && matches.without_headers.is_empty()
        && matches.query_params.is_empty()
}

fn describe(matches: &HttpMatchRequest) -> String {
    let path = match &matches.uri {
        Some(StringMatch::Exact(path)) => format!("path {path}"),
        Some(StringMatch::Prefix(prefix)) if prefix != "/" && !prefix.is_empty() => {
            format!("every path that begins with {prefix}")
        }
        Some(StringMatch::Regex(regex)) if regex != ".*" && regex != "/.*" => format!("every path like {regex}"),
        _ => "every path".to_owned(),
    };
    let further = matches.headers.len()
        + matches.without_headers.len()
        + matches.query_params.len()
        + usize::from(matches.method.is_some())
        + usize::from(matches.authority.is_some())
        + usize::from(matches.scheme.is_some());
    match further {
        0 => path,
        _ => format!("{path} under conditions that this one asks for, too"),
    }
}

fn help(covering: &HttpMatchRequest, route: &HttpRoute, m: Option<usize>) -> String {
    let later = matches_of(route).get(m.unwrap_or(0)).and_then(|matches| matches.uri.as_ref());
    if let (Some(StringMatch::Prefix(prefix)), Some(StringMatch::Exact(path) | StringMatch::Prefix(path))) =
        (&covering.uri, later)
        && !prefix.ends_with('/')
        && path.get(prefix.len()..).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    {
        return format!(
            "a prefix may end within a path segment: match `exact: {prefix}` and `prefix: {prefix}/` there, or put the longer \
             one first"
        );
    }
    "put the narrower one first, or remove it".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places, rules};
    use super::*;

    fn two(first: &str, second: &str) -> String {
        rules(&format!(
            "{{{first} route: [{{destination: {{host: r}}}}]}}, {{{second} route: [{{destination: {{host: s}}}}]}}"
        ))
    }

    const RULE: [&str; 1] = ["MESH0301 warning spec.http[1]"];
    const NONE: [&str; 0] = [];

    #[test]
    fn a_prefix_takes_the_exact_paths_below_it() {
        let yaml = two("match: [{uri: {prefix: /api}}],", "match: [{uri: {exact: /api/v1}}],");
        let finding = only(&ShadowedRoutes, &yaml);
        assert_eq!(
            finding.message,
            "rule #1 can never match: rule #0 comes before it and takes every path that begins with /api"
        );
        assert_eq!(finding.path.to_string(), "spec.http[1]");
        assert_eq!(
            places(&ShadowedRoutes, &two("match: [{uri: {exact: /a}}],", "match: [{uri: {prefix: /a}}],")),
            NONE
        );
    }

    #[test]
    fn a_rule_for_every_path_leaves_nothing_for_the_last_one() {
        assert_eq!(places(&ShadowedRoutes, &two("match: [{uri: {prefix: /}}],", "")), RULE);
        let headers = "match: [{uri: {prefix: /}, headers: {x: {exact: a}}}],";
        assert_eq!(places(&ShadowedRoutes, &two(headers, "")), NONE);
    }

    #[test]
    fn fewer_headers_cover_more() {
        let one = "match: [{headers: {x: {exact: a}}}],";
        let both = "match: [{headers: {x: {exact: a}, z: {exact: b}}}],";
        assert_eq!(places(&ShadowedRoutes, &two(one, both)), RULE);
        assert_eq!(places(&ShadowedRoutes, &two(both, one)), NONE);
    }

    #[test]
    fn what_istio_reports_is_not_repeated() {
        let shorter = two("match: [{uri: {prefix: /a}}],", "match: [{uri: {prefix: /a/b}}],");
        assert_eq!(places(&ShadowedRoutes, &shorter), NONE);
        let equal = two("match: [{uri: {exact: /a}}],", "match: [{uri: {exact: /a}, name: m}],");
        assert_eq!(places(&ShadowedRoutes, &equal), NONE);
        let after_all = two("", "match: [{uri: {exact: /a}}],");
        assert_eq!(places(&ShadowedRoutes, &after_all), NONE);
    }

    #[test]
    fn of_several_matches_the_covered_one_is_named() {
        let yaml = two("match: [{uri: {prefix: /a}}],", "match: [{uri: {exact: /b}}, {uri: {exact: /a/b}}],");
        assert_eq!(places(&ShadowedRoutes, &yaml), ["MESH0301 info spec.http[1].match[1]"]);
        let within = rules("{match: [{uri: {prefix: /a}}, {uri: {exact: /a/b}}], route: [{destination: {host: r}}]}");
        assert_eq!(places(&ShadowedRoutes, &within), NONE);
    }

    #[test]
    fn a_rule_that_does_the_same_is_only_worth_knowing() {
        let rule =
            |matches: &str| format!("{{match: [{{uri: {{{matches}}}}}], route: [{{destination: {{host: r}}}}]}}");
        let yaml = rules(&format!("{}, {}", rule("prefix: /a"), rule("exact: /a/b")));
        assert_eq!(places(&ShadowedRoutes, &yaml), ["MESH0301 info spec.http[1]"]);
    }

    #[test]
    fn at_a_gateway_what_takes_every_request_is_tried_last() {
        let at = |gateways: &str| {
            let http = "[{match: [{uri: {prefix: /}}], route: [{destination: {host: r}}]}, \
                        {match: [{uri: {exact: /a}}], route: [{destination: {host: s}}]}]";
            object("VirtualService", "r", &format!("{{hosts: [r.com], gateways: [{gateways}], http: {http}}}"))
        };
        assert_eq!(places(&ShadowedRoutes, &at("g")), NONE);
        let finding = only(&ShadowedRoutes, &at("g, mesh"));
        assert!(finding.effect.unwrap().contains("(in the mesh;"), "{}", finding.message);
    }

    fn service(name: &str, host: &str, uri: &str) -> String {
        let spec = format!(
            "{{hosts: [{host}], gateways: [g], http: [{{match: [{{uri: {{{uri}}}}}], route: [{{destination: {{host: {name}}}}}]}}]}}"
        );
        object("VirtualService", name, &spec)
    }

    #[test]
    fn rules_of_several_objects_are_put_together_at_a_gateway() {
        let policy = service("a", "r.com", "prefix: /policy");
        let yaml = format!("{policy}{}", service("b", "r.com", "prefix: /policy-author"));
        let finding = only(&ShadowedRoutes, &yaml);
        assert_eq!(
            finding.message,
            "rule #0 can never match at gateway a/g for host r.com: rule #0 of VirtualService a/a comes before it and takes \
             every path that begins with /policy"
        );
        assert!(finding.help.unwrap().contains("`prefix: /policy/`"));
        let elsewhere = format!("{policy}{}", service("b", "s.com", "prefix: /policy-author"));
        assert_eq!(places(&ShadowedRoutes, &elsewhere), NONE);
        let first =
            format!("{}{}", service("a", "r.com", "prefix: /policy-author"), service("b", "r.com", "prefix: /policy"));
        assert_eq!(places(&ShadowedRoutes, &first), NONE);
    }
}
