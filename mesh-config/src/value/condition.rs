//! Conditions of an authorization policy (`when`): their keys, and which values each takes.

use super::address::check_subnet;
use super::{trust_domain, wildcard};

/// Checks a condition: a key that is known, and values that it takes.
///
/// ```
/// use mesh_config::value::condition;
///
/// assert!(condition::check("source.ip", &["10.0.0.0/8"]).is_ok());
/// assert!(condition::check("request.headers[x-user]", &["alice", ""]).is_err());
/// assert!(condition::check("source.user", &["alice"]).is_err());
/// ```
///
/// # Errors
/// Istio's text about the key or the first bad value.
pub fn check(key: &str, values: &[impl AsRef<str>]) -> Result<(), String> {
    let kind = ValueKind::of_key(key)?;
    if kind == ValueKind::ServiceAccount {
        check_account_count(values.len())?;
    }
    values.iter().try_for_each(|value| kind.check(value.as_ref(), key))
}

/// What the values of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text that is not empty.
    Text,
    /// An IP address or a CIDR block.
    Address,
    /// A port.
    Port,
    /// `account` or `namespace/account`.
    ServiceAccount,
    /// A trust domain, with a star at an end perhaps.
    TrustDomain,
}

impl ValueKind {
    /// What the values of a key are.
    ///
    /// # Errors
    /// Istio's text: the key is not known, or not of the form that it should have.
    pub fn of_key(key: &str) -> Result<Self, String> {
        match key {
            "source.ip" | "remote.ip" | "destination.ip" => Ok(Self::Address),
            "destination.port" => Ok(Self::Port),
            "source.serviceAccount" => Ok(Self::ServiceAccount),
            "source.trustDomain" => Ok(Self::TrustDomain),
            key if PLAIN_KEYS.contains(&key) => Ok(Self::Text),
            key if MAPS.iter().any(|map| key.starts_with(map)) => check_map_key(key).map(|()| Self::Text),
            "destination.namespace" => Err(format!("attribute {key} is replaced by the metadata.namespace")),
            key if key.starts_with("destination.labels") => {
                Err(format!("attribute {key} is replaced by the workload selector"))
            }
            "destination.name" | "destination.user" => {
                Err(format!("deprecated attribute {key}: only supported in v1alpha1"))
            }
            key => Err(format!("unknown attribute: {key}")),
        }
    }

    /// Checks one value. `field` is named in the text.
    ///
    /// # Errors
    /// Istio's text.
    pub fn check(self, value: &str, field: &str) -> Result<(), String> {
        wildcard::check_not_empty(value, field)?;
        match self {
            Self::Text => Ok(()),
            Self::Address => check_address(value),
            Self::Port => check_port(value),
            Self::ServiceAccount => check_account(value, field),
            Self::TrustDomain => trust_domain::check_pattern(value, field),
        }
    }
}

/// The keys that take any text and no argument, without the keys that have a kind of their own.
pub const PLAIN_KEYS: &[&str] = &[
    "source.namespace",
    "source.principal",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "connection.sni",
];

/// What the keys with an argument begin with, as in `request.headers[x-user]`.
const MAPS: &[&str] =
    &["request.headers", "request.experimental.inline.headers", "request.auth.claims", "experimental.envoy.filters."];

/// Any name, and an argument in brackets that is not empty.
fn check_map_key(key: &str) -> Result<(), String> {
    let open = key.find('[').filter(|open| *open > 0 && open + 2 < key.len());
    if key.ends_with(']') && open.is_some() {
        return Ok(());
    }
    Err(format!("bad key ({key}): should have format a[b]"))
}

/// Checks an IP address or a CIDR block.
///
/// # Errors
/// Istio's text.
pub fn check_address(value: &str) -> Result<(), String> {
    check_subnet(value).map_err(|problem| match value.contains('/') {
        true => format!("bad CIDR range ({value}): {problem}"),
        false => format!("bad IP address ({value})"),
    })
}

/// Checks a port. Istio takes 0 here, which no connection has.
///
/// # Errors
/// Istio's text.
pub fn check_port(value: &str) -> Result<(), String> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u32>() {
        Ok(number) if is_number && number <= u32::from(u16::MAX) => Ok(()),
        Ok(_) if is_number => Err(format!("bad port ({value}): not in the range 0..65535")),
        _ => Err(format!("bad port ({value}): not a number")),
    }
}

/// Checks how many service accounts a field lists.
///
/// # Errors
/// Istio's text.
pub fn check_account_count(count: usize) -> Result<(), String> {
    if count > 16 { Err("may not have more than 16 values".to_owned()) } else { Ok(()) }
}

/// Checks a service account, `account` or `namespace/account`. `field` is named in the text.
///
/// # Errors
/// Istio's text.
pub fn check_account(value: &str, field: &str) -> Result<(), String> {
    const LONGEST: usize = 320;
    wildcard::check_not_empty(value, field)?;
    if value.contains('*') {
        return Err(format!("wildcard not allowed, found in {field}"));
    }
    let form = "expected format 'serviceAccount' or 'namespace/serviceAccount'";
    let (namespace, account) = value.split_once('/').unwrap_or(("-", value));
    if account.contains('/') {
        return Err(format!("{form}, found {value:?} in {field}"));
    }
    if value.len() > LONGEST {
        return Err(format!("value cannot exceed {LONGEST} characters, found {value:?} in {field}"));
    }
    match (namespace, account) {
        ("", _) => Err(format!("{form}, found empty namespace {value:?} in {field}")),
        (_, "") => Err(format!("{form}, found empty serviceAccount {value:?} in {field}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_form_that_its_kind_asks_for() {
        for good in [
            "source.ip",
            "request.headers[x]",
            "request.auth.claims[a][b]",
            "request.experimental.inline.headers[x]",
            "experimental.envoy.filters.a.b[c]",
        ] {
            assert!(ValueKind::of_key(good).is_ok(), "{good}");
        }
        for (bad, problem) in [
            ("request.headers", "bad key (request.headers): should have format a[b]"),
            ("request.headers[]", "bad key (request.headers[]): should have format a[b]"),
            ("destination.labels[x]", "attribute destination.labels[x] is replaced by the workload selector"),
            ("destination.namespace", "attribute destination.namespace is replaced by the metadata.namespace"),
            ("destination.user", "deprecated attribute destination.user: only supported in v1alpha1"),
            ("source.user", "unknown attribute: source.user"),
            ("source.IP", "unknown attribute: source.IP"),
        ] {
            assert_eq!(ValueKind::of_key(bad).err().as_deref(), Some(problem));
        }
    }

    #[test]
    fn a_value_has_the_form_that_its_key_asks_for() {
        for (key, value, problem) in [
            ("source.ip", "10.0.0.0/8", ""),
            ("remote.ip", "a", "bad IP address (a)"),
            ("destination.ip", "1.2.3.4/40", "bad CIDR range (1.2.3.4/40): 1.2.3.4/40 is not a valid CIDR block"),
            ("destination.port", "0", ""),
            ("destination.port", "70000", "bad port (70000): not in the range 0..65535"),
            ("destination.port", "+80", "bad port (+80): not a number"),
            ("source.serviceAccount", "a", ""),
            ("source.serviceAccount", "ns/a", ""),
            (
                "source.serviceAccount",
                "td/ns/a",
                "expected format 'serviceAccount' or 'namespace/serviceAccount', found \"td/ns/a\" in source.serviceAccount",
            ),
            ("source.serviceAccount", "a*", "wildcard not allowed, found in source.serviceAccount"),
            ("source.trustDomain", "td/x", "trust domain must not contain '/', found in source.trustDomain: \"td/x\""),
            ("source.principal", "", "empty value not allowed, found in source.principal"),
        ] {
            assert_eq!(check(key, &[value]).err().unwrap_or_default(), problem, "{key} {value}");
        }
        let empty = |value: &str| check_account(value, "F").unwrap_err();
        assert!(empty("/a").contains("found empty namespace") && empty("a/").contains("found empty serviceAccount"));
        assert!(empty(&"a".repeat(321)).starts_with("value cannot exceed 320 characters"));
        assert_eq!(check("source.serviceAccount", &["a"; 17]).unwrap_err(), "may not have more than 16 values");
    }
}
