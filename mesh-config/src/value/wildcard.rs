//! Values with a star at their start or end.

/// Checks that a value is not empty. `field` is named in the text.
///
/// # Errors
/// Istio's text.
pub fn check_not_empty(value: &str, field: &str) -> Result<(), String> {
    if value.is_empty() { Err(format!("empty value not allowed, found in {field}")) } else { Ok(()) }
}

/// Checks that a value is not empty and has one star at most, at its start or end. `field` is named in the text.
///
/// # Errors
/// Istio's text.
pub fn check_affix(value: &str, field: &str) -> Result<(), String> {
    check_not_empty(value, field)?;
    match value.matches('*').count() {
        0 => Ok(()),
        1 if value.starts_with('*') || value.ends_with('*') => Ok(()),
        1 => Err(format!("wildcard is only allowed at the start or end, found in {field}: {value:?}")),
        _ => Err(format!("at most one wildcard is allowed, found in {field}: {value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_at_the_start_or_the_end() {
        for (value, problem) in [
            ("a", None),
            ("*", None),
            ("a*", None),
            ("*a", None),
            ("", Some("empty value not allowed, found in F")),
            ("a*b", Some("wildcard is only allowed at the start or end, found in F: \"a*b\"")),
            ("*a*", Some("at most one wildcard is allowed, found in F: \"*a*\"")),
        ] {
            assert_eq!(check_affix(value, "F").err().as_deref(), problem, "{value}");
        }
    }
}
