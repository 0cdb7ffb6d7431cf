//! What a regular expression says in plain text.

/// A text that every match of an RE2 pattern begins with; empty if none is easily seen.
pub(super) fn prefix(pattern: &str) -> String {
    let mut literal = String::new();
    if has_outer_alternatives(pattern) {
        return literal;
    }
    let mut rest = pattern.strip_prefix('^').unwrap_or(pattern).chars().peekable();
    while let Some(next) = rest.next() {
        let Some(character) = plain(next, &mut rest) else {
            break;
        };
        // What may be missing is no part of the beginning, nor is what follows.
        if matches!(rest.peek(), Some('*' | '?' | '{')) {
            break;
        }
        literal.push(character);
        if rest.peek() == Some(&'+') {
            break;
        }
    }
    literal
}

/// The path segments that an RE2 pattern spells out: texts that stand between two slashes, or
/// behind the last, of every path that matches.
pub(super) fn segments(pattern: &str) -> Vec<String> {
    let mut segments = Vec::new();
    if has_outer_alternatives(pattern) {
        return segments;
    }
    // `None` while the segment at hand holds something that is not plain text.
    let mut segment = None;
    let mut depth = 0_u32;
    let mut rest = pattern.strip_prefix('^').unwrap_or(pattern).chars().peekable();
    while let Some(next) = rest.next() {
        let repeated =
            |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| matches!(rest.peek(), Some('*' | '?' | '{' | '+'));
        match next {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '[' => skip_class(&mut rest),
            '$' if depth == 0 && rest.peek().is_none() => break,
            _ => {
                let character = plain(next, &mut rest).filter(|_| depth == 0);
                match (character, repeated(&mut rest)) {
                    (Some('/'), false) => segments.extend(segment.replace(String::new())),
                    (Some(character), false) => {
                        if let Some(segment) = &mut segment {
                            segment.push(character);
                        }
                    }
                    _ => segment = None,
                }
                continue;
            }
        }
        segment = None;
    }
    segments.extend(segment);
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// The character that a pattern's next one stands for, if that is itself.
fn plain(next: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match next {
        '\\' => rest.next().filter(char::is_ascii_punctuation),
        '.' | '[' | ']' | '(' | ')' | '*' | '+' | '?' | '{' | '}' | '|' | '^' | '$' => None,
        other => Some(other),
    }
}

/// Whether a pattern is, or may be, a choice between wholes, or says that letters do not stand for themselves alone.
fn has_outer_alternatives(pattern: &str) -> bool {
    let mut depth = 0_u32;
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '|' if depth == 0 => return true,
            '(' if sets_flags(rest.clone()) => return true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '[' => skip_class(&mut rest),
            // Quoted text is not read here.
            '\\' if rest.next() == Some('Q') => return true,
            _ => {}
        }
    }
    false
}

/// Whether a group that begins here holds nothing but flags, such as `(?i)`, which count for what follows.
fn sets_flags(mut group: std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    group.next() == Some('?') && group.find(|next| !next.is_ascii_alphabetic() && *next != '-') == Some(')')
}

/// Goes behind the end of a class, or to the end of a class within it, which is early enough.
fn skip_class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    rest.next_if_eq(&'^');
    rest.next_if_eq(&']');
    while let Some(next) = rest.next() {
        match next {
            ']' => return,
            '\\' => {
                rest.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_config::value::regex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_beginning_of_a_pattern_is_found() {
        for (pattern, expected) in [
            ("/api/v[0-9]+/users", "/api/v"),
            ("^/a/b$", "/a/b"),
            (r"/file\.txt", "/file.txt"),
            ("/ab*", "/a"),
            ("/ab+c", "/ab"),
            ("/ab{0,2}", "/a"),
            ("/ab?c", "/a"),
            (r"/n/\d+", "/n/"),
            ("/x|/y", ""),
            ("/(x|y)", "/"),
            ("/[|]x", "/"),
            ("(?i)/case", ""),
            (r"\Q/lit\E", ""),
            (".*", ""),
            ("", ""),
        ] {
            assert_eq!(prefix(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn spelled_out_segments_are_found() {
        for (pattern, expected) in [
            ("/api/v[0-9]+/thing-17", &["api", "thing-17"][..]),
            ("^/users/[^/]+/orders$", &["users", "orders"]),
            ("/svc-17/.*", &["svc-17"]),
            ("/a(b)/c", &["c"]),
            ("/a/b*/c+", &["a"]),
            ("/a/?/b", &["b"]),
            (".*/x.js", &[]),
            ("/(a/b)/c", &["c"]),
            ("/x|/y", &[]),
            ("(?i)/a/b", &[]),
            ("/(?i:a)/b", &["b"]),
            (r"/a\.b/", &["a.b"]),
            (r"/[[:alpha:]/]x/y", &["y"]),
        ] {
            assert_eq!(segments(pattern), expected, "{pattern}");
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "a", "b", "/a", "ab/", ".", "*", "+", "?", "{2}", "(", ")", "(a|b)", "|", "[ab]", "[^/]", "[]|]", "$",
            "^", r"\.", r"\d", r"\Q|\E", "(?i)",
        ]);
        prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn every_match_has_the_text_that_was_found(pattern in pattern(), path in "/?[ab/.AB|]{0,6}") {
            if let Ok(regex) = regex::full_match(&pattern)
                && regex.is_match(path.as_bytes())
            {
                prop_assert!(path.starts_with(&prefix(&pattern)), "{pattern}");
                for segment in segments(&pattern) {
                    prop_assert!(path.split('/').any(|part| part == segment), "{pattern}: {segment}");
                }
            }
        }
    }
}
