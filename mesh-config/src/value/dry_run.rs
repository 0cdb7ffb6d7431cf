//! The annotation that puts an `AuthorizationPolicy` on trial.

/// The name of the annotation.
pub const ANNOTATION: &str = "istio.io/dry-run";

/// Reads its value, in the spellings of Go's `strconv.ParseBool`; `None` for any other.
#[must_use]
pub fn parse(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spellings_of_go_are_read() {
        assert_eq!(
            (parse("T"), parse("False"), parse("tRUE"), parse("yes"), parse("")),
            (Some(true), Some(false), None, None, None)
        );
    }
}
