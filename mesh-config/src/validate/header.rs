//! Header names and values in matches and operations.

use super::checker::{At, Checker};
use crate::api::virtual_service::{HeaderOperations, Headers};

/// The operations of a route or of one of its destinations.
pub(super) fn operations(cx: &mut Checker<'_>, at: &At<'_>, headers: Option<&Headers>) {
    let Some(headers) = headers else { return };
    if let Some(request) = &headers.request {
        changes(cx, &at.field("request"), request, request_name);
    }
    if let Some(response) = &headers.response {
        changes(cx, &at.field("response"), response, response_name);
    }
}

type NameCheck = fn(&str) -> Result<(), String>;

fn changes(cx: &mut Checker<'_>, at: &At<'_>, operations: &HeaderOperations, check_name: NameCheck) {
    for (field, changes) in [("set", &operations.set), ("add", &operations.add)] {
        let at = at.field(field);
        for (name, value) in changes {
            cx.check(&at.key(name), check_name(name));
            cx.check(&at.key(name), check_value(value));
        }
    }
    for (index, name) in operations.remove.iter().enumerate() {
        cx.check(&at.field("remove").index(index), response_name(name));
    }
}

/// The authority of a request may be changed like a header.
fn request_name(name: &str) -> Result<(), String> {
    not_empty(name)?;
    if is_authority(name) { Ok(()) } else { not_pseudo(name) }
}

fn response_name(name: &str) -> Result<(), String> {
    not_empty(name)?;
    if name.eq_ignore_ascii_case("host") {
        return Err(format!("invalid header {name:?}: cannot set Host header"));
    }
    not_pseudo(name)
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

/// Whether the name stands for the authority.
pub(super) fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

/// A name that is allowed in lists of headers.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    not_empty(name)?;
    if is_token(name) { Ok(()) } else { Err(format!("header name {name} is not a valid header name")) }
}

/// A name that is allowed in a match: pseudo headers and claims, too.
pub(super) fn check_match_name(name: &str) -> Result<(), String> {
    if is_claim(name) {
        return Ok(());
    }
    check_name(name.strip_prefix(':').filter(|rest| !rest.is_empty()).unwrap_or(name)).map_err(|_| match name {
        "" => "header name cannot be empty".to_owned(),
        name => format!("header name {name} is not a valid header name"),
    })
}

/// `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`.
pub(super) fn is_claim(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("@request.auth.claims") else { return false };
    rest.strip_prefix('.').is_some_and(|path| !path.is_empty()) || (rest.starts_with('[') && rest.ends_with(']'))
}

fn is_token(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A value that is written to a header: no control characters, and substitutions that are complete.
fn check_value(value: &str) -> Result<(), String> {
    if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        return Err(format!("header value configuration {value} is invalid"));
    }
    check_substitutions(value).map_err(|problem| format!("header value configuration: {problem}"))
}

/// Checks the form of `%NAME%`, `%NAME(text)%` and `%NAME(["a", "b"])%`; `%%` is a percent sign.
fn check_substitutions(value: &str) -> Result<(), String> {
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        let after = &rest[at + 1..];
        rest = match after.strip_prefix('%') {
            Some(literal) => literal,
            None if after.is_empty() => return Err("invalid header configuration. Un-escaped %".to_owned()),
            None => skip_variable(after).map_err(|problem| problem.unwrap_or_else(|| unterminated(&rest[at..])))?,
        };
    }
    Ok(())
}

fn unterminated(from: &str) -> String {
    format!("invalid header configuration. Un-terminated variable expression '{from}'")
}

/// What follows a variable. The error is a problem with its arguments, or none where it just never ends.
fn skip_variable(text: &str) -> Result<&str, Option<String>> {
    let end = text.find(['%', '(']).ok_or(None)?;
    if text.as_bytes()[end] == b'%' {
        return Ok(&text[end + 1..]);
    }
    let arguments = text[end + 1..].trim_start();
    let after = match arguments.strip_prefix('[') {
        Some(list) => skip_list(list)?,
        None => &arguments[arguments.find(')').ok_or(None)?..],
    };
    let after = after.trim_start();
    let after = after.strip_prefix(')').ok_or_else(|| expecting("')' or whitespace", text, after))?.trim_start();
    after.strip_prefix('%').ok_or_else(|| expecting("'%' or whitespace", text, after))
}

/// What follows the closing bracket of a list of strings.
fn skip_list(list: &str) -> Result<&str, Option<String>> {
    let mut rest = list;
    loop {
        rest = rest.trim_start();
        rest = rest.strip_prefix('"').ok_or_else(|| expecting("'\"'", list, rest))?;
        rest = skip_string(rest)?.trim_start();
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b']') => return Ok(&rest[1..]),
            _ => return Err(expecting("',', ']', or whitespace", list, rest)),
        }
    }
}

/// What follows the closing quote of a string.
fn skip_string(text: &str) -> Result<&str, Option<String>> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(&text[at + 1..]),
            _ => {}
        }
    }
    Err(escaped.then(|| format!("invalid header configuration. Un-terminated backslash in JSON string after '{text}'")))
}

fn expecting(what: &str, whole: &str, found: &str) -> Option<String> {
    let found = found.chars().next()?;
    Some(format!("invalid header configuration. Expecting {what} after '{whole}', but found '{found}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_substitutions_are_accepted() {
        for value in [
            "",
            "plain",
            "100%%",
            "%START_TIME%",
            "a-%REQ(x-a?x-b)%-b",
            "%DYNAMIC_METADATA([\"a\", \"b\"])%",
            "%UPSTREAM_METADATA( [ \"a\\\"]\" ] ) %",
            "tab\tinside",
        ] {
            assert_eq!(check_value(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn incomplete_ones_are_refused_with_the_reason() {
        for (value, reason) in [
            ("50%", "Un-escaped %"),
            ("%START_TIME", "Un-terminated variable expression '%START_TIME'"),
            ("%REQ(x", "Un-terminated variable expression"),
            ("%V([\"a\")%", "Expecting ',', ']', or whitespace"),
            ("%V([a])%", "Expecting '\"'"),
            ("%V([\"a\\", "Un-terminated backslash in JSON string"),
            ("%V([\"a\"]x)%", "Expecting ')' or whitespace"),
            ("%V(a)x%", "Expecting '%' or whitespace"),
            ("%REQ(x):10%", "Expecting '%' or whitespace"),
        ] {
            let problem = check_value(value).unwrap_err();
            assert!(problem.starts_with("header value configuration: invalid header configuration. "), "{problem}");
            assert!(problem.contains(reason), "{value}: {problem}");
        }
        assert_eq!(check_value("a\nb"), Err("header value configuration a\nb is invalid".to_owned()));
    }

    #[test]
    fn the_authority_may_be_changed_in_requests_only() {
        assert!(request_name("Host").is_ok() && request_name(":authority").is_ok());
        assert!(request_name(":path").is_err() && request_name("").is_err());
        assert!(response_name("host").is_err() && response_name(":status").is_err() && response_name("x").is_ok());
    }

    #[test]
    fn matches_take_pseudo_headers_and_claims() {
        for name in ["x-a", ":method", "@request.auth.claims.a.b", "@request.auth.claims[a][b]"] {
            assert_eq!(check_match_name(name), Ok(()), "{name}");
        }
        for name in ["", "x a", "@request.auth.claims", ":"] {
            assert!(check_match_name(name).is_err(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_value_can_be_checked(value in "[%()\\[\\]\", \\\\aé]{0,24}") {
            let _ = check_value(&value);
        }
    }
}
