//! What is known to fail, and why.

/// Cases that are known to fail, with the reason.
pub(crate) struct Gaps<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Gaps<'t> {
    /// One `pattern  reason` a line; empty lines and comments do not count.
    pub(crate) fn parse(text: &'t str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split =
            |line: &'t str| line.split_once(char::is_whitespace).map_or((line, ""), |(id, why)| (id, why.trim()));
        Self(lines.map(split).collect())
    }

    pub(crate) fn reason(&self, id: &str) -> Option<&'t str> {
        self.0.iter().find(|(pattern, _)| is_match(pattern, id)).map(|(_, reason)| *reason)
    }

    /// Patterns that name a case that passes, and no pattern may name one for nothing.
    pub(crate) fn stale(&self, passed: &[String]) -> Vec<&'t str> {
        let names_passed = |pattern: &&str| passed.iter().any(|id| is_match(pattern, id));
        self.0.iter().map(|(pattern, _)| *pattern).filter(names_passed).collect()
    }
}

/// Whether a text matches a pattern in which a star stands for any text.
fn is_match(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        // The last part has to stand at the end, not only somewhere.
        Some(part) => text.ends_with(part),
        None => rest.is_empty(),
    }
}

#[test]
fn gaps_are_read_with_their_reasons() {
    let gaps = Gaps::parse("# comment\n\na/b  why not\n  c/*\tthe rest\nbare\n");
    assert_eq!(gaps.reason("a/b"), Some("why not"));
    assert_eq!(gaps.reason("c/d/e"), Some("the rest"));
    assert_eq!(gaps.reason("bare"), Some(""));
    assert_eq!(gaps.reason("a/bc"), None);
    assert_eq!(gaps.stale(&["a/b".to_owned(), "x".to_owned()]), ["a/b"]);
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("*b", "abc", false),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("*", "", true),
    ] {
        assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
    }
}
