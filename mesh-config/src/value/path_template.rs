//! Paths of an authorization policy that hold operators: `{*}` for one segment, `{**}` for the rest.

/// Whether the path holds an operator. Without one it is compared as text.
#[must_use]
pub fn has_operator(path: &str) -> bool {
    path.contains(ONE) || path.contains(REST)
}

/// Whether a segment may stand beside operators as it is.
#[must_use]
pub fn is_literal(segment: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte);
    !segment.is_empty() && segment.bytes().all(is_allowed)
}

/// Checks a path: braces belong to operators, which are whole segments; `{**}` is the last of them. `field` is named in the
/// text.
///
/// # Errors
/// Istio's text.
pub fn check_path(path: &str, field: &str) -> Result<(), String> {
    let trimmed = path.trim_matches('/');
    let refuse = |why: &str| Err(format!("invalid or unsupported path {trimmed}, found in {field}. {why}"));
    let mut ended = false;
    for segment in trimmed.split('/') {
        match segment {
            ONE | REST if ended => return refuse("{**} is not the last operator"),
            ONE => {}
            REST => ended = true,
            segment if segment.contains(['{', '}']) => {
                return refuse("Contains '{' or '}' beyond a supported path template");
            }
            segment if has_operator(path) && !is_literal(segment) => {
                return refuse(&format!("Contains segment {segment} with invalid string literal"));
            }
            _ => {}
        }
    }
    Ok(())
}

const ONE: &str = "{*}";
const REST: &str = "{**}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_whole_segments_and_the_rest_comes_last() {
        for good in ["/a/b*", "/{*}/x/{**}", "/a/{**}/end", "{*}", "*", "/a b", "/{*}/foo/", ""] {
            assert_eq!(check_path(good, "Paths"), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("/{**}/{*}", "{**} is not the last operator"),
            ("/{**}/a/{**}", "{**} is not the last operator"),
            ("/a{*}", "Contains '{' or '}'"),
            ("/{x}", "Contains '{' or '}'"),
            ("{x}", "Contains '{' or '}'"),
            ("/{*}/{x=*}", "Contains '{' or '}'"),
            ("/{", "Contains '{' or '}'"),
            ("/{*}/a b", "Contains segment a b with invalid string literal"),
            ("/{*}/a/*", "Contains segment * with invalid string literal"),
            ("/{*}//a", "with invalid string literal"),
        ] {
            let problem = check_path(bad, "Paths").unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
    }
}
