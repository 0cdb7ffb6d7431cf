//! Header names and values: which are valid where, in Istio's words.
//!
//! ```
//! use mesh_config::value::header;
//!
//! assert!(header::check_match_name(":authority").is_ok());
//! assert!(header::check_value("%DOWNSTREAM_REMOTE_ADDRESS%, 100%%").is_ok());
//! assert!(header::check_value("100%").is_err());
//! ```

mod substitution;

/// Checks a name as HTTP has it: a token.
///
/// # Errors
/// Istio's text.
pub fn check_name(name: &str) -> Result<(), String> {
    not_empty(name)?;
    if is_token(name) { Ok(()) } else { Err(invalid(name)) }
}

/// Checks a name that has to be plain: letters, digits, hyphens and underscores. Headers made from claims, and those of
/// probes, are held to this.
///
/// # Errors
/// Istio's text.
pub fn check_strict_name(name: &str) -> Result<(), String> {
    not_empty(name)?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_plain { Ok(()) } else { Err(invalid(name)) }
}

/// Checks a name in a match, where pseudo headers and claims of a token may stand too.
///
/// # Errors
/// Istio's text.
pub fn check_match_name(name: &str) -> Result<(), String> {
    if is_claim(name) || PSEUDO_HEADERS.contains(&name) {
        return Ok(());
    }
    check_name(name)
}

/// Checks a name that a request's operations set or add; of the pseudo headers only the authority may be.
///
/// # Errors
/// Istio's text.
pub fn check_request_change(name: &str) -> Result<(), String> {
    not_empty(name)?;
    if is_authority(name) { Ok(()) } else { not_pseudo(name) }
}

/// Checks a name that operations remove, or set or add to a response.
///
/// # Errors
/// Istio's text.
pub fn check_response_change(name: &str) -> Result<(), String> {
    not_empty(name)?;
    if name.eq_ignore_ascii_case("host") {
        return Err(format!("invalid header {name:?}: cannot set Host header"));
    }
    not_pseudo(name)
}

/// Checks a value that is written to a header: no control characters, and substitutions (`%NAME%`, `%NAME(argument)%`)
/// that are complete; `%%` is a percent sign. Which names there are is not looked at.
///
/// # Errors
/// Istio's text.
pub fn check_value(value: &str) -> Result<(), String> {
    if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        return Err(format!("header value configuration {value} is invalid"));
    }
    substitution::check(value).map_err(|problem| format!("header value configuration: {problem}"))
}

/// Whether the name stands for a claim of a token: `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`.
#[must_use]
pub fn is_claim(name: &str) -> bool {
    let Some((start, rest)) = name.split_at_checked(CLAIMS.len()) else { return false };
    start.eq_ignore_ascii_case(CLAIMS) && (rest.starts_with('.') || (rest.starts_with('[') && rest.ends_with(']')))
}

/// Whether the name stands for the authority.
#[must_use]
pub fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

fn not_empty(name: &str) -> Result<(), String> {
    if name.is_empty() { Err("header name cannot be empty".to_owned()) } else { Ok(()) }
}

fn not_pseudo(name: &str) -> Result<(), String> {
    match name.starts_with(':') {
        true => Err(format!("invalid header {name:?}: header cannot have \":\" prefix")),
        false => Ok(()),
    }
}

fn invalid(name: &str) -> String {
    format!("header name {name} is not a valid header name")
}

fn is_token(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

const CLAIMS: &str = "@request.auth.claims";
const PSEUDO_HEADERS: &[&str] = &[":method", ":scheme", ":authority", ":path", ":status"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_may_be_changed_in_requests_only() {
        assert!(check_request_change("Host").is_ok() && check_request_change(":authority").is_ok());
        assert!(check_request_change(":path").is_err() && check_request_change("").is_err());
        assert!(check_response_change("host").is_err() && check_response_change(":status").is_err());
        assert!(check_response_change("x").is_ok() && check_response_change("").is_err());
    }

    #[test]
    fn matches_take_the_five_pseudo_headers_and_claims() {
        for name in ["x-a", "x_a.b~", ":method", ":status", "@request.auth.claims.a.b", "@request.auth.claims[a][b]"] {
            assert_eq!(check_match_name(name), Ok(()), "{name}");
        }
        for name in ["", "x a", "@request.auth.claims", "@request.auth.claims[a", ":", "::", ":other", "ü"] {
            assert!(check_match_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_strict_name_has_letters_digits_hyphens_and_underscores() {
        for (name, valid) in [("X-Claim_1", true), ("", false), ("x.y", false), (":path", false), ("x y", false)] {
            assert_eq!(check_strict_name(name).is_ok(), valid, "{name}");
        }
    }

    #[test]
    fn control_characters_do_not_stand_in_a_value_but_tabs_may() {
        assert_eq!(check_value("a\nb"), Err("header value configuration a\nb is invalid".to_owned()));
        assert!(check_value("a\u{7f}").is_err());
        assert_eq!(check_value("a\tb"), Ok(()));
    }
}
