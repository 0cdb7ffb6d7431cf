//! The text patterns of AuthorizationPolicy: `abc`, `abc*`, `*abc`, `*`, and for paths `{*}` and `{**}`.

/// Whether a pattern holds for a text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    if pattern == "*" {
        return !text.is_empty();
    }
    if pattern.contains('{') {
        let (pattern, text): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), text.split('/').collect());
        return segments_match(&pattern, &text);
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => text.ends_with(end),
        (None, Some(begin)) => text.starts_with(begin),
        (None, None) => pattern == text,
    }
}

fn segments_match(pattern: &[&str], text: &[&str]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        // It is the last operator, so that what follows is plain text.
        (Some((&"{**}", rest)), _) => {
            text.len() >= rest.len() && segments_match(rest, &text[text.len() - rest.len()..])
        }
        (Some((&"{*}", pattern)), Some((segment, text))) => !segment.is_empty() && segments_match(pattern, text),
        (Some((plain, pattern)), Some((segment, text))) => plain == segment && segments_match(pattern, text),
        _ => false,
    }
}

/// Whether a `*` stands where it is plain text: neither first nor last.
pub(super) fn has_plain_star(pattern: &str) -> bool {
    if pattern.contains('{') {
        return false;
    }
    let inner = pattern.strip_prefix('*').unwrap_or_else(|| pattern.strip_suffix('*').unwrap_or(pattern));
    inner.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_counts_at_either_end() {
        for (pattern, text, expected) in [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a*", "/ab", true),
            ("*/a", "/b/a", true),
            ("*", "", false),
            ("/a/*/b", "/a/x/b", false),
            ("/a/{*}/b", "/a/x/b", true),
            ("/a/{*}", "/a/", false),
            ("/a/{**}", "/a/x/y", true),
            ("/a/{**}/end", "/a/x/y/end", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(has_plain_star("/a/*/b") && has_plain_star("*/a*") && has_plain_star("a**"));
        assert!(!has_plain_star("/a*") && !has_plain_star("*") && !has_plain_star("/{*}/{**}"));
    }
}
