//! What the API server takes as a name.

/// Checks the name of an object. An empty one is not looked at here.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_good = name.len() <= 253 && name.split('.').all(is_label);
    if is_good || name.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name for an object: lower case letters, digits, `-` and `.`, with a letter or digit first and last"
    ))
}

/// Checks the name of a namespace. An empty one is not looked at here.
pub(super) fn check_namespace(name: &str) -> Result<(), String> {
    if name.is_empty() || (name.len() <= 63 && is_label(name)) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name for a namespace: up to 63 lower case letters, digits and `-`, with a letter or digit first \
         and last"
    ))
}

fn is_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_subdomains_and_namespaces_are_labels() {
        for (name, is_name, is_namespace) in [
            ("a", true, true),
            ("", true, true),
            ("reviews-v2.shop", true, false),
            ("0-0", true, true),
            ("../../etc/x", false, false),
            ("Reviews", false, false),
            ("a_b", false, false),
            ("-a", false, false),
            ("a.", false, false),
            ("a..b", false, false),
            ("é", false, false),
            (&"a".repeat(64), true, false),
            (&"a".repeat(254), false, false),
        ] {
            assert_eq!((check_name(name).is_ok(), check_namespace(name).is_ok()), (is_name, is_namespace), "{name}");
        }
    }
}
