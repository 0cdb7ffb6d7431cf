//! IP addresses, blocks of them, sockets, and `host:port`.

use std::net::IpAddr;

use super::host::check_fqdn;
use super::port::check_port;

/// Whether the text is an IP address; one of IPv6 may name a zone (`fe80::1%eth0`).
#[must_use]
pub fn is_ip(text: &str) -> bool {
    match text.split_once('%') {
        None => text.parse::<IpAddr>().is_ok(),
        Some((address, zone)) => !zone.is_empty() && matches!(address.parse(), Ok(IpAddr::V6(_))),
    }
}

/// Checks an IP address.
///
/// # Errors
/// Istio's text.
pub fn check_ip(text: &str) -> Result<(), String> {
    if is_ip(text) { Ok(()) } else { Err(format!("{text} is not a valid IP")) }
}

/// Checks an IP address, or a block of them in CIDR notation.
///
/// # Errors
/// Istio's text.
pub fn check_subnet(text: &str) -> Result<(), String> {
    match text.split_once('/') {
        Some((address, bits)) if !is_block(address, bits) => Err(format!("{text} is not a valid CIDR block")),
        Some(_) => Ok(()),
        None => check_ip(text),
    }
}

fn is_block(address: &str, bits: &str) -> bool {
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let is_plain = bits == "0" || bits.starts_with(|c: char| ('1'..='9').contains(&c));
    is_plain && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Checks the path of a unix socket, or the name of an abstract one (`@name`), without `unix://`.
///
/// # Errors
/// Istio's text.
pub fn check_unix(path: &str) -> Result<(), String> {
    match path {
        "" => Err("unix address must not be empty".to_owned()),
        path if path.starts_with('@') => Ok(()),
        path if path.starts_with('/') && !path.ends_with('/') => Ok(()),
        path => Err(format!("{path} is not an absolute path to a file")),
    }
}

/// Checks `host:port`, where the host is a full name or an IP address (one of IPv6 in brackets).
///
/// # Errors
/// Istio's text.
pub fn check_host_and_port(text: &str) -> Result<(), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("unable to split {text:?}: address {text}: missing port in address"));
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(format!("unable to split {text:?}: address {text}: too many colons in address"));
    }
    let number = port.parse().map_err(|_| format!("port ({port}) is not a number"))?;
    check_port(number)?;
    let host = bare.unwrap_or(host);
    match check_fqdn(host) {
        Err(_) if !is_ip(host) => Err(format!("{host:?} is not a valid hostname or an IP address")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_and_addresses_are_read_strictly() {
        for good in ["1.2.3.4", "1.2.3.0/24", "2001:db8::/32", "::1", "0.0.0.0/0", "fe80::1%eth0"] {
            assert_eq!(check_subnet(good), Ok(()), "{good}");
        }
        for (bad, problem) in [
            ("192.168.0.01", "192.168.0.01 is not a valid IP"),
            ("1.2.3.4/33", "1.2.3.4/33 is not a valid CIDR block"),
            ("1.2.3.4/+8", "1.2.3.4/+8 is not a valid CIDR block"),
            ("1.2.3.4/08", "1.2.3.4/08 is not a valid CIDR block"),
            ("1.2.3.4/", "1.2.3.4/ is not a valid CIDR block"),
            ("a/8", "a/8 is not a valid CIDR block"),
            ("1.2.3.4%eth0", "1.2.3.4%eth0 is not a valid IP"),
            ("", " is not a valid IP"),
        ] {
            assert_eq!(check_subnet(bad), Err(problem.to_owned()));
        }
    }

    #[test]
    fn unix_addresses_are_absolute_or_abstract() {
        assert!(check_unix("/run/x.sock").is_ok() && check_unix("@x").is_ok());
        assert!(check_unix("x").is_err() && check_unix("/run/").is_err() && check_unix("").is_err());
    }

    #[test]
    fn a_host_with_a_port_has_both() {
        for good in ["zipkin.istio-system:9411", "1.2.3.4:80", "[::1]:80"] {
            assert_eq!(check_host_and_port(good), Ok(()), "{good}");
        }
        for bad in ["zipkin", "zipkin:", "zipkin:http", "zipkin:0", "zipkin:70000", "::1:80", "a_b:80", ":80"] {
            assert!(check_host_and_port(bad).is_err(), "{bad}");
        }
    }
}
