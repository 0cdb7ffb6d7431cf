//! Header names that stand for a claim of the caller's token: `@request.auth.claims.group`.

/// What such names begin with.
const CLAIMS: &str = "@request.auth.claims";

/// The way to a claim, from the outermost object inwards; `None` for the name of a header.
///
/// Written with dots, or in brackets where the name of a claim holds dots:
/// `@request.auth.claims[https://example.com/group][0]`.
pub fn path_of(name: &str) -> Option<Vec<&str>> {
    let begins = name.get(..CLAIMS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(CLAIMS));
    let rest = if begins { &name[CLAIMS.len()..] } else { return None };
    if let Some(dotted) = rest.strip_prefix('.') {
        return (!dotted.is_empty()).then(|| dotted.split('.').collect());
    }
    let inner = rest.strip_prefix('[')?.strip_suffix(']')?;
    Some(inner.split("][").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_written_with_dots_or_in_brackets() {
        for (name, expected) in [
            ("@request.auth.claims.sub", Some(&["sub"][..])),
            ("@Request.Auth.Claims.realm.Roles", Some(&["realm", "Roles"])),
            ("@request.auth.claims[a.b][c]", Some(&["a.b", "c"])),
            ("@request.auth.claims.[a]", Some(&["[a]"])),
            ("@request.auth.claims", None),
            ("@request.auth.claims.", None),
            ("@request.auth.claimsub", None),
            ("@request.auth.claims[a", None),
            ("x-sub", None),
        ] {
            assert_eq!(path_of(name).as_deref(), expected, "{name}");
        }
    }
}
