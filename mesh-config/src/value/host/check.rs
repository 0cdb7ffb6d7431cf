//! Which host names are valid, in Istio's words.

/// Whether the text is a DNS label: letters (upper case too), digits and inner hyphens, at most 63.
#[must_use]
pub fn is_dns_label(label: &str) -> bool {
    label.len() <= MAX_LABEL && has_label_form(label)
}

fn has_label_form(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A label with an optional `*` or `*-` in front, or `*` alone.
fn is_wildcard_label(label: &str) -> bool {
    let Some(rest) = label.strip_prefix('*') else {
        return is_dns_label(label);
    };
    label.len() <= MAX_LABEL && (rest.is_empty() || has_label_form(rest.strip_prefix('-').unwrap_or(rest)))
}

/// Checks a full name. One trailing dot is allowed; the last label must not be a number.
///
/// # Errors
/// Istio's text.
pub fn check_fqdn(host: &str) -> Result<(), String> {
    check_length(host)?;
    check_labels(host)
}

/// Checks a full name whose first label may be or hold a wildcard: `*`, `*.foo.com`, `*foo.com`, `*-foo.com`.
///
/// # Errors
/// Istio's text.
pub fn check_wildcard_domain(host: &str) -> Result<(), String> {
    check_length(host)?;
    let (first, rest) = match host.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (host, None),
    };
    if !is_wildcard_label(first) {
        return Err(format!("domain name {host:?} invalid (label {first:?} invalid)"));
    }
    rest.map_or(Ok(()), check_labels)
}

/// Checks a host of a rule that is bound to gateways: as [`check_wildcard_domain`], but where the rule is about server
/// names, those of clusters (`outbound_.PORT_.SUBSET_.HOST`) are taken too, which TLS between networks goes by.
///
/// # Errors
/// Istio's text.
pub fn check_gateway_domain(host: &str, by_server_name: bool) -> Result<(), String> {
    check_length(host)?;
    if !by_server_name || !host.starts_with("outbound_") {
        return check_wildcard_domain(host);
    }
    let form = "outbound_.<PORT>_._.<HOSTNAME>";
    let parts: Vec<_> = host.split('_').map(|part| part.trim_matches('.')).collect();
    let [_, port, _, name, ..] = parts.as_slice() else {
        return Err(format!("domain name {host} invalid, should follow '{form}' format"));
    };
    let problem =
        |part: &str| Err(format!("domain name {host:?} invalid (label {part:?} invalid). should follow {form} format"));
    if !port.contains(|c: char| c.is_ascii_digit()) {
        return problem(port);
    }
    if !name.contains(|c: char| c.is_ascii_alphabetic()) {
        return problem(name);
    }
    Ok(())
}

/// Whether the host holds a star that is neither the whole of it nor its first label: `*foo.com`, and not `*` or
/// `*.foo.com`.
#[must_use]
pub fn is_partial_wildcard(host: &str) -> bool {
    host.len() > 1 && host.contains('*') && !host.starts_with("*.")
}

fn check_length(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("empty domain name not allowed".to_owned());
    }
    if host.len() > MAX_HOST {
        return Err(format!("domain name {host:?} too long (max {MAX_HOST})"));
    }
    Ok(())
}

fn check_labels(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Ok(()); // What follows a trailing dot.
    }
    let top = host.rsplit('.').next().unwrap_or(host);
    if top.parse::<i64>().is_ok() {
        return Err(format!("domain name {host:?} invalid (top level domain {top:?} cannot be all-numeric)"));
    }
    let labels = match host.rsplit_once('.') {
        Some((labels, "")) => labels,
        _ => host,
    };
    for label in labels.split('.') {
        if !is_dns_label(label) {
            return Err(format!("domain name {host:?} invalid (label {label:?} invalid)"));
        }
    }
    Ok(())
}

const MAX_HOST: usize = 255;
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_checked_as_istio_checks_them() {
        for (host, problem) in [
            ("istio.io", None),
            ("istio.io.", None),
            ("a", None),
            ("UPPER.example", None),
            ("", Some("empty domain name not allowed")),
            ("istio.io..", Some("domain name \"istio.io..\" invalid (label \"\" invalid)")),
            ("*.foo.com", Some("domain name \"*.foo.com\" invalid (label \"*\" invalid)")),
            ("-a.com", Some("domain name \"-a.com\" invalid (label \"-a\" invalid)")),
            ("a_b.com", Some("domain name \"a_b.com\" invalid (label \"a_b\" invalid)")),
            ("foo.1", Some("domain name \"foo.1\" invalid (top level domain \"1\" cannot be all-numeric)")),
        ] {
            assert_eq!(check_fqdn(host).err().as_deref(), problem, "{host}");
        }
        let long = format!("{}com", "a.".repeat(127));
        assert_eq!(check_fqdn(&long).unwrap_err(), format!("domain name {long:?} too long (max 255)"));
        assert!(check_fqdn(&"a".repeat(64)).is_err());
    }

    #[test]
    fn a_wildcard_stands_in_the_first_label_only() {
        for (host, valid) in [
            ("*", true),
            ("*.foo.com", true),
            ("*foo.com", true),
            ("*-foo.com", true),
            ("foo.com", true),
            ("foo.*.com", false),
            ("foo*.com", false),
            ("**.com", false),
            ("*.", true),
            ("*--foo.com", false),
        ] {
            assert_eq!(check_wildcard_domain(host).is_ok(), valid, "{host}");
        }
    }

    #[test]
    fn the_name_of_a_cluster_is_one_of_a_server() {
        for (host, by_server_name, valid) in [
            ("*.foo.com", false, true),
            ("outbound_.80_._.a.example", false, false),
            ("outbound_.80_._.a.example", true, true),
            ("outbound_.80_.v1_.a.example", true, true),
            ("outbound_.http_._.a.example", true, false),
            ("outbound_.80_._", true, false),
            ("outbound_.80", true, false),
            ("inbound_.80_._.a.example", true, false),
            ("", true, false),
        ] {
            assert_eq!(check_gateway_domain(host, by_server_name).is_ok(), valid, "{host}");
        }
    }

    #[test]
    fn a_partial_wildcard_covers_a_part_of_a_label() {
        for (host, partial) in
            [("*", false), ("*.foo.com", false), ("foo.com", false), ("*foo.com", true), ("foo*.com", true)]
        {
            assert_eq!(is_partial_wildcard(host), partial, "{host}");
        }
    }
}
