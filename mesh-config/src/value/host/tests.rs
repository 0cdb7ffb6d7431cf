use proptest::prelude::*;

use super::*;

#[test]
fn two_hosts_match_when_they_have_names_in_common() {
    for (a, b, common, a_in_b) in [
        ("foo.com", "foo.com", true, true),
        ("foo.com", "bar.com", false, false),
        ("a.foo.com", "foo.com", false, false),
        ("*.foo.com", "foo.com", false, false),
        ("a.foo.com", "*.foo.com", true, true),
        ("a.b.foo.com", "*.com", true, true),
        ("*.foo.com", "*.com", true, true),
        ("*.com", "*.foo.com", true, false),
        ("*.foo.com", "*.bar.com", false, false),
        ("*", "foo.com", true, false),
        ("foo.com", "*", true, true),
        ("*", "*", true, true),
        ("afoo.com", "*foo.com", true, true),
        ("*.foo.com", "a.foo.com", true, false),
        ("", "", true, true),
        ("", "foo.com", false, false),
    ] {
        assert_eq!(matches(a, b), common, "{a} {b}");
        assert_eq!(matches(b, a), common, "{b} {a}");
        assert_eq!(subset_of(a, b), a_in_b, "{a} in {b}");
    }
}

#[test]
fn hosts_are_ordered_from_specific_to_wide() {
    let mut hosts = ["*", "*.com", "bar.com", "*.foo.com", "a.foo.com", "foo.com"];
    hosts.sort_by(|a, b| by_specificity(a, b));
    assert_eq!(hosts, ["a.foo.com", "bar.com", "foo.com", "*.foo.com", "*.com", "*"]);
}

#[test]
fn the_most_specific_host_is_found() {
    for (needle, hosts, found) in [
        ("a.foo.com", &["*.foo.com", "*.com"][..], Some("*.foo.com")),
        ("a.foo.com", &["*.foo.com", "a.foo.com"], Some("a.foo.com")),
        ("a.foo.com", &["*.bar.com", "foo.com"], None),
        ("*.foo.com", &["*.foo.com", "foo.com"], Some("*.foo.com")),
        ("*.foo.com", &["*.com", "a.foo.com"], Some("*.com")),
        ("*.com", &["bar.com", "foo.com"], None),
        ("a.foo.com", &["*", "*foo.com"], Some("*foo.com")),
        ("a.foo.com", &["*oo.com", "*.com"], Some("*oo.com")),
        ("*", &["*"], Some("*")),
        ("*", &[], None),
    ] {
        assert_eq!(most_specific_match(needle, hosts.iter().copied()), found, "{needle}");
    }
}

#[test]
fn the_intersection_holds_the_narrower_hosts() {
    for (a, b, common) in [
        (&["foo.com", "bar.com"][..], &["bar.com"][..], &["bar.com"][..]),
        (&["foo.com", "bar.com"], &["*.com"], &["foo.com", "bar.com"]),
        (&["foo.com", "*.net"], &["*.com", "bar.net"], &["foo.com", "bar.net"]),
        (&["*.com"], &["*.foo.com", "*.net"], &["*.foo.com"]),
        (&["*", "foo.com"], &["foo.com"], &["foo.com"]),
        (&["foo.com"], &[], &[]),
    ] {
        assert_eq!(intersection(a, b), common, "{a:?} {b:?}");
    }
}

#[test]
fn hosts_are_open_to_the_namespace_in_front_of_them() {
    let hosts = ["ns1/foo.com", "*/bar.com", "plain.com"];
    assert_eq!(for_namespace(&hosts, "ns1"), ["foo.com", "bar.com", "plain.com"]);
    assert_eq!(for_namespace(&hosts, "ns2"), ["bar.com", "plain.com"]);
}

#[test]
fn only_short_names_are_completed() {
    for (host, namespace, domain, full) in [
        ("foo", "default", "cluster.local", "foo.default.svc.cluster.local"),
        ("foo", "default", "", "foo.default"),
        ("foo.bar", "default", "cluster.local", "foo.bar"),
        ("*", "default", "cluster.local", "*"),
        ("42.185.131.210", "default", "cluster.local", "42.185.131.210"),
        ("::1", "default", "cluster.local", "::1"),
        ("foo.", "default", "cluster.local", "foo."),
    ] {
        assert_eq!(resolve_short_name(host, namespace, domain), full, "{host}");
    }
}

#[test]
fn the_first_value_of_a_host_stays() {
    let mut map = HostMap::new();
    assert_eq!(*map.insert_first("foo.com", 1), 1);
    assert_eq!(*map.insert_first("foo.com", 2), 1);
    assert_eq!(map.len(), 1);
}

fn host() -> impl Strategy<Value = String> {
    "(\\*|\\*\\.|)(a|b|ab)?(\\.(a|b|ab)){0,3}"
}

proptest! {
    #[test]
    fn a_map_finds_what_a_search_finds(hosts in prop::collection::vec(host(), 0..8), needle in host()) {
        let mut map = HostMap::new();
        for host in &hosts {
            map.insert_first(host, ());
        }
        prop_assert_eq!(
            map.most_specific(&needle).map(|(host, ())| host),
            most_specific_match(&needle, hosts.iter().map(String::as_str))
        );
    }

    #[test]
    fn a_part_matches_the_whole(a in host(), b in host()) {
        if subset_of(&a, &b) {
            prop_assert!(matches(&a, &b));
        }
    }

    #[test]
    fn no_text_panics(text in ".*") {
        drop(check_fqdn(&text));
        drop(check_wildcard_domain(&text));
        drop(check_gateway_name(&text));
        let _ = resolve_gateway_name(&text, "ns");
    }
}
