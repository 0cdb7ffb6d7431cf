//! The rules that CRDs write in CEL, as checks with names. There are few, so no interpreter is needed.
//!
//! A rule is only asked about a value of the right type. Where the expression could not be evaluated the API server
//! refuses the value, too, so such a check does not hold.

use super::schema::is_label;
use super::value::Value;
use crate::value::Duration;

/// A check of one value, the text that the API server gives if it does not hold, and what to do about it.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) message: &'static str,
    pub(super) help: &'static str,
    pub(super) holds: fn(Value<'_>) -> bool,
}

pub(super) const DURATION: Rule = Rule {
    message: "must be a valid duration greater than 1ms",
    help: "write at least `1ms`, with a unit (`ms`, `s`, `m`, `h`); leave the field out to have no limit of your own",
    holds: |value| is_duration(value.text().unwrap_or_default()),
};

pub(super) const NO_WILDCARD_KEY: Rule = Rule {
    message: "wildcard not allowed in label key match",
    help: "labels are compared as they are; name the label in full",
    holds: |value| value.keys().iter().all(|key| !key.contains('*')),
};

pub(super) const NO_EMPTY_KEY: Rule = Rule {
    message: "key must not be empty",
    help: "name the label in front of the colon",
    holds: |value| value.keys().iter().all(|key| !key.is_empty()),
};

pub(super) const NO_WILDCARD_VALUE: Rule = Rule {
    message: "wildcard not allowed in label value match",
    help: "labels are compared as they are; give the value in full, or leave the label out to match any",
    holds: has_no_star,
};

pub(super) const NO_WILDCARD_LABEL: Rule = Rule {
    message: "wildcard is not supported in selector",
    help: "labels are compared as they are; give the value in full, or leave the label out to match any",
    holds: has_no_star,
};

pub(super) const NAMES_OR_CERTIFICATES: Rule = Rule {
    message: "only one of credentialNames or tlsCertificates can be set",
    help: "keep one source of certificates",
    holds: |value| at_most_one(value, &["credentialNames", "tlsCertificates"]),
};

pub(super) const NAME_OR_NAMES: Rule = Rule {
    message: "only one of credentialName or credentialNames can be set",
    help: "put the name among `credentialNames`",
    holds: |value| at_most_one(value, &["credentialName", "credentialNames"]),
};

pub(super) const SELECTOR_OR_ENDPOINTS: Rule = Rule {
    message: "only one of WorkloadSelector or Endpoints can be set",
    help: "list the `endpoints` here, or select WorkloadEntries and pods by `workloadSelector`",
    holds: |value| at_most_one(value, &["workloadSelector", "endpoints"]),
};

pub(super) const CIDR_RESOLUTION: Rule = Rule {
    message: "CIDR addresses are allowed only for NONE/STATIC resolution types",
    help: "list single addresses, or set `resolution: NONE` to send to the address that the client dialled",
    holds: |value| {
        let addresses = value.get("addresses").into_iter().flat_map(Value::elements);
        let cidr = addresses.filter_map(Value::text).any(|address| address.contains('/'));
        !cidr || ["STATIC", "NONE"].contains(&resolution(value))
    },
};

pub(super) const NONE_WITHOUT_ENDPOINTS: Rule = Rule {
    message: "NONE mode cannot set endpoints",
    help: "without `resolution` it is NONE; set `resolution: STATIC` (or DNS) to use the endpoints",
    holds: |value| resolution(value) != "NONE" || !value.has("endpoints"),
};

pub(super) const ONE_ROUND_ROBIN_ENDPOINT: Rule = Rule {
    message: "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
    help: "keep one endpoint, or set `resolution: DNS` to use all of them",
    holds: |value| {
        let endpoints = value.get("endpoints").map_or(0, |endpoints| endpoints.elements().len());
        value.text_of("resolution") != "DNS_ROUND_ROBIN" || endpoints <= 1
    },
};

pub(super) const ADDRESS: Rule = Rule {
    message: "Address is required",
    help: "set `address` to an IP address, a host name, or `unix://` and a path",
    holds: |value| value.has("address") || value.has("network"),
};

pub(super) const SOCKET_WITHOUT_PORTS: Rule = Rule {
    message: "UDS may not include ports",
    help: "a Unix socket has no ports; leave `ports` out",
    holds: |value| !value.text_of("address").starts_with(UNIX) || !value.has("ports"),
};

pub(super) const SOCKET_PATH: Rule = Rule {
    message: "UDS must be an absolute path or abstract socket",
    help: "write `unix:///path/to/socket` or `unix://@name`",
    holds: |value| match value.text().unwrap_or_default().strip_prefix(UNIX) {
        Some(path) => path.starts_with(['/', '@']),
        None => true,
    },
};

pub(super) const SOCKET_NO_DIRECTORY: Rule = Rule {
    message: "UDS may not be a dir",
    help: "name the socket, not its directory",
    holds: |value| {
        let text = value.text().unwrap_or_default();
        !text.starts_with(UNIX) || !text.ends_with('/')
    },
};

pub(super) const PORT_NAMES: Rule = Rule {
    message: "port name must be valid",
    help: "a name of a port has letters, digits and inner hyphens, 62 characters at most",
    holds: |value| value.keys().iter().all(|key| key.chars().count() < 63 && is_label(key, |_| true)),
};

pub(super) const PORT: Rule = Rule {
    message: "port must be between 1-65535",
    help: "ports go from 1 to 65535",
    holds: |value| value.number().is_some_and(|port| (1.0..=65535.0).contains(&port)),
};

pub(super) const PORT_KEYS: Rule = Rule {
    message: "port must be between 1-65535",
    help: "each key is the number of a port of the workload, from 1 to 65535",
    holds: |value| value.keys().iter().all(|key| key.parse().is_ok_and(|port: i64| (1..=65535).contains(&port))),
};

pub(super) const NO_WILDCARD_HOST: Rule = Rule {
    message: "hostname cannot be wildcard",
    help: "name the hosts, or all below a domain, as in `*.example.com`",
    holds: |value| value.text() != Some("*"),
};

pub(super) const PORT_NUMBERS_DIFFER: Rule = Rule {
    message: "port number cannot be duplicated",
    help: "list each number once",
    holds: |value| {
        let mut numbers: Vec<f64> =
            value.elements().filter_map(|port| port.get("number")).filter_map(Value::number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.windows(2).all(|pair| pair[0].total_cmp(&pair[1]).is_ne())
    },
};

pub(super) const PROBE_SCHEME: Rule = Rule {
    message: "scheme must be one of [HTTP, HTTPS]",
    help: "write `HTTP` or `HTTPS`, in capitals",
    holds: |value| value.text().is_some_and(|scheme| ["", "HTTP", "HTTPS"].contains(&scheme)),
};

pub(super) const SELECTOR_OR_TARGETS: Rule = Rule {
    message: "only one of targetRefs or selector can be set",
    help: "`selector` is for workloads, `targetRefs` for gateways and waypoints; write a policy for each",
    holds: |value| at_most_one(value, &["selector", "targetRef", "targetRefs"]),
};

pub(super) const SERVICE_ACCOUNTS_ALONE: Rule = Rule {
    message: "Cannot set serviceAccounts with namespaces or principals",
    help: "a service account names its namespace already (`namespace/account`); give the others a `source` of their own",
    holds: |value| {
        let accounts = ["serviceAccounts", "notServiceAccounts"];
        let others = ["principals", "notPrincipals", "namespaces", "notNamespaces"];
        !accounts.iter().any(|name| value.has(name)) || !others.iter().any(|name| value.has(name))
    },
};

pub(super) const SAME_NAMESPACE: Rule = Rule {
    message: "cross namespace referencing is not currently supported",
    help: "leave `namespace` out; the target is in the namespace of the policy",
    holds: |value| value.text() == Some(""),
};

pub(super) const PORTS_NEED_SELECTOR: Rule = Rule {
    message: "portLevelMtls requires selector",
    help: "ports belong to workloads: set `selector.matchLabels`",
    holds: |value| {
        let labels = value.get("selector").and_then(|selector| selector.get("matchLabels"));
        !value.has("portLevelMtls") || labels.is_some_and(|labels| !labels.keys().is_empty())
    },
};

pub(super) const ONE_KEY_SOURCE: Rule = Rule {
    message: "only one of jwks or jwksUri can be set",
    help: "keep `jwksUri`, or the keys themselves in `jwks`",
    // `jwks_uri` is a field of its own beside `jwksUri`.
    holds: |value| {
        let keys = value.keys();
        keys.iter().filter(|key| ["jwksUri", "jwks_uri", "jwks"].contains(&key.as_str())).count() <= 1
    },
};

pub(super) const WEB_ADDRESS: Rule = Rule {
    message: "url must have scheme http:// or https://",
    help: "give the whole address, as in `https://issuer.example.com/.well-known/jwks.json`",
    holds: |value| is_web_address(value.text().unwrap_or_default()),
};

pub(super) const UPSERT_HAS_VALUE: Rule = Rule {
    message: "value must be set when operation is UPSERT",
    help: "set `value` to an expression, or use `operation: REMOVE`",
    holds: |value| value.text_of("operation") != "UPSERT" || !value.text_of("value").is_empty(),
};

pub(super) const REMOVE_HAS_NO_VALUE: Rule = Rule {
    message: "value must not be set when operation is REMOVE",
    help: "leave `value` out, or use `operation: UPSERT`",
    holds: |value| value.text_of("operation") != "REMOVE" || !value.has("value"),
};

const UNIX: &str = "unix://";

fn at_most_one(value: Value<'_>, names: &[&str]) -> bool {
    names.iter().filter(|name| value.has(name)).count() <= 1
}

fn has_no_star(value: Value<'_>) -> bool {
    !value.text().unwrap_or_default().contains('*')
}

fn resolution(value: Value<'_>) -> &str {
    value.get("resolution").map_or("NONE", |resolution| resolution.text().unwrap_or_default())
}

/// A text in Go's notation of at least a millisecond.
fn is_duration(text: &str) -> bool {
    // Go cuts what is finer than a nanosecond, which is no reason to refuse it here.
    match text.parse::<Duration>() {
        Ok(duration) => duration >= Duration::from_millis(1),
        Err(error) => error.is_too_fine() && !text.starts_with('-'),
    }
}

/// An address that Go takes for one of a request, with one of the two schemes.
fn is_web_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) || text.contains(is_control) {
        return false;
    }
    let Some(rest) = rest.strip_prefix("//") else { return true };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((name, port)) => (name, port.strip_prefix(':')),
            None => return false,
        },
        None => host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    !name.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
        && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_control(c: char) -> bool {
    c.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::Tree;

    fn holds(rule: Rule, yaml: &str) -> bool {
        let tree = Tree::parse(yaml).unwrap();
        (rule.holds)(Value::new(&tree, tree.root().unwrap()))
    }

    /// Each text with whether the rule holds for it.
    fn check(rule: Rule, cases: &[(&str, bool)]) {
        for (yaml, expected) in cases {
            assert_eq!(holds(rule, yaml), *expected, "{}: {yaml}", rule.message);
        }
    }

    #[test]
    fn a_duration_is_in_gos_notation_and_a_millisecond_at_least() {
        let good = ["1ms", "1s", "1m30.5s", "1h", "+2s", "1000us", "1000µs", ".5s", "1.0000000001s"];
        let bad = ["'0'", "0s", "999us", "0.999ms", "-1s", "'5'", "5 s", "1d", "''", "soon", "1e3s"];
        check(DURATION, &good.map(|text| (text, true)));
        check(DURATION, &bad.map(|text| (text, false)));
    }

    #[test]
    fn labels_are_compared_without_wildcards() {
        check(NO_WILDCARD_KEY, &[("{app: a}", true), ("{'app*': a}", false), ("{'a*': null}", true)]);
        check(NO_EMPTY_KEY, &[("{app: a}", true), ("{'': a}", false)]);
        check(NO_WILDCARD_VALUE, &[("a", true), ("a*", false)]);
        check(NO_WILDCARD_LABEL, &[("a", true), ("'*'", false)]);
    }

    #[test]
    fn of_fields_that_exclude_each_other_an_empty_one_counts_and_a_null_does_not() {
        check(SELECTOR_OR_ENDPOINTS, &[("{endpoints: [], workloadSelector: {}}", false), ("{endpoints: []}", true)]);
        check(
            SELECTOR_OR_TARGETS,
            &[("{selector: {}, targetRefs: []}", false), ("{selector: , targetRefs: []}", true)],
        );
        check(NAME_OR_NAMES, &[("{credentialName: '', credentialNames: [a]}", false), ("{credentialName: a}", true)]);
        check(NAMES_OR_CERTIFICATES, &[("{tlsCertificates: [{}], credentialNames: [a]}", false)]);
        check(
            ONE_KEY_SOURCE,
            &[("{jwks: a, jwks_uri: b}", false), ("{jwksUri: a, jwks_uri: b}", false), ("{jwks_uri: a}", true)],
        );
        check(
            SERVICE_ACCOUNTS_ALONE,
            &[
                ("{serviceAccounts: [a], namespaces: [b]}", false),
                ("{notServiceAccounts: [a], notPrincipals: [b]}", false),
                ("{serviceAccounts: [a], ipBlocks: [b]}", true),
                ("{namespaces: [a], principals: [b]}", true),
            ],
        );
    }

    #[test]
    fn endpoints_and_addresses_fit_the_resolution() {
        check(
            NONE_WITHOUT_ENDPOINTS,
            &[
                ("{endpoints: []}", false),
                ("{resolution: NONE, endpoints: []}", false),
                ("{resolution: STATIC, endpoints: []}", true),
                ("{resolution: NONE}", true),
            ],
        );
        check(
            CIDR_RESOLUTION,
            &[
                ("{addresses: [10.0.0.0/8]}", true),
                ("{addresses: [10.0.0.0/8], resolution: DNS}", false),
                ("{addresses: [10.0.0.1], resolution: DNS}", true),
                ("{addresses: [10.0.0.0/8], resolution: STATIC}", true),
            ],
        );
        check(
            ONE_ROUND_ROBIN_ENDPOINT,
            &[
                ("{resolution: DNS_ROUND_ROBIN, endpoints: [{}, {}]}", false),
                ("{resolution: DNS_ROUND_ROBIN, endpoints: [{}]}", true),
                ("{resolution: DNS, endpoints: [{}, {}]}", true),
            ],
        );
        check(NO_WILDCARD_HOST, &[("'*'", false), ("'*.a'", true)]);
    }

    #[test]
    fn a_workload_has_an_address_and_a_socket_has_no_ports() {
        check(ADDRESS, &[("{}", false), ("{address: ''}", true), ("{network: n}", true), ("{address: null}", false)]);
        check(
            SOCKET_WITHOUT_PORTS,
            &[
                ("{address: 'unix:///a', ports: {}}", false),
                ("{address: 'unix:///a'}", true),
                ("{address: 1.2.3.4, ports: {}}", true),
            ],
        );
        check(
            SOCKET_PATH,
            &[("unix:///a", true), ("unix://@a", true), ("unix://a", false), ("'unix://'", false), ("a", true)],
        );
        check(SOCKET_NO_DIRECTORY, &[("unix:///a/", false), ("unix:///a", true), ("a/", true)]);
    }

    #[test]
    fn ports_have_numbers_and_names_in_range() {
        check(PORT, &[("0", false), ("1", true), ("65535", true), ("65536", false)]);
        check(PORT_KEYS, &[("{0: {}}", false), ("{80: {}}", true), ("{http: {}}", false), ("{65536: {}}", false)]);
        let long = format!("{{{}: 1}}", "a".repeat(63));
        check(
            PORT_NAMES,
            &[("{http-1: 1}", true), ("{-a: 1}", false), ("{a_b: 1}", false), (&long, false), ("{'': 1}", false)],
        );
        check(
            PORT_NUMBERS_DIFFER,
            &[
                ("[{number: 1}, {number: 2}]", true),
                ("[{number: 1}, {number: 2}, {number: 1}]", false),
                ("[{}, {}]", true),
            ],
        );
    }

    #[test]
    fn a_policy_for_ports_selects_workloads() {
        check(
            PORTS_NEED_SELECTOR,
            &[
                ("{portLevelMtls: {80: {}}}", false),
                ("{portLevelMtls: {80: {}}, selector: {matchLabels: {}}}", false),
                ("{portLevelMtls: {80: {}}, selector: {matchLabels: {a: b}}}", true),
                ("{}", true),
            ],
        );
        check(SAME_NAMESPACE, &[("''", true), ("a", false)]);
    }

    #[test]
    fn keys_are_fetched_from_a_web_address() {
        let good = ["http://a", "HTTPS://a:8080/b c", "https://u:p@a/", "http://[::1]:80/x?y", "http:a"];
        let bad = ["a", "/a", "ftp://a", "http://a:b/", "http://[::1", "http://a b/", "''", "://a"];
        check(WEB_ADDRESS, &good.map(|text| (text, true)));
        check(WEB_ADDRESS, &bad.map(|text| (text, false)));
    }

    #[test]
    fn a_tag_is_set_with_a_value_and_removed_without() {
        check(
            UPSERT_HAS_VALUE,
            &[("{operation: UPSERT}", false), ("{operation: UPSERT, value: ''}", false), ("{}", true)],
        );
        check(UPSERT_HAS_VALUE, &[("{operation: UPSERT, value: x}", true), ("{operation: REMOVE}", true)]);
        check(REMOVE_HAS_NO_VALUE, &[("{operation: REMOVE, value: ''}", false), ("{operation: REMOVE}", true)]);
        check(PROBE_SCHEME, &[("HTTP", true), ("''", true), ("http", false)]);
    }
}
