//! Template placeholders that nobody filled in.

use crate::diagnostic::FieldPath;

/// The first placeholder in a text, such as `${HOST}`, `{{ .Values.host }}`, `$(host)`, `<HOST>` or `PATCH_ME`.
pub(crate) fn find(text: &str) -> Option<&str> {
    let starts = text.char_indices().filter(|(_, c)| matches!(c, '{' | '$' | '<'));
    for (at, _) in starts {
        if let Some(found) = at_start(&text[at..]) {
            return Some(found);
        }
    }
    words(text).find(|word| WORDS.contains(word))
}

/// What to do about one.
pub(super) const HELP: &str = "render the template first, as with `helm template`, `envsubst` or `kubectl kustomize`";

/// Whether a text is worth a closer look.
pub(super) fn is_suspect(text: &str) -> bool {
    text.contains("{{") || text.contains(['$', '<']) || WORDS.iter().any(|word| text.contains(word))
}

/// Whether the field holds text of a kind in which the marks mean something.
pub(super) fn is_exempt(path: &FieldPath) -> bool {
    path.segments().iter().filter_map(|segment| segment.name()).any(|name| EXEMPT.contains(&name))
}

const WORDS: &[&str] = &["CHANGEME", "CHANGE_ME", "PATCHME", "PATCH_ME", "REPLACEME", "REPLACE_ME", "TODO", "FIXME"];

const EXEMPT: &[&str] = &[
    "accessLogFormat",
    "annotations",
    "body",
    "environmentVariables",
    "expression",
    "formatter",
    "proxyMetadata",
    "regex",
    "uriRegexRewrite",
];

/// A placeholder that begins where the text begins.
fn at_start(text: &str) -> Option<&str> {
    let until = |from: usize, close: &str| {
        let end = text[from..].find(close)? + from;
        let inner = &text[from..end];
        (!inner.contains('\n')).then_some((inner, &text[..end + close.len()]))
    };
    if text.starts_with("{{") {
        return Some(until(2, "}}").map_or(&text[..2], |(_, whole)| whole));
    }
    if text.starts_with("${") {
        return Some(until(2, "}").map_or(&text[..2], |(_, whole)| whole));
    }
    if text.starts_with("$(") {
        return until(2, ")").filter(|(inner, _)| is_name(inner)).map(|(_, whole)| whole);
    }
    if let Some(rest) = text.strip_prefix('$') {
        let end =
            rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')).unwrap_or(rest.len());
        let shouted = end >= 2 && rest.starts_with(|c: char| c.is_ascii_uppercase());
        return shouted.then(|| &text[..=end]);
    }
    if text.starts_with("<<") {
        return until(2, ">>").filter(|(inner, _)| is_name(inner)).map(|(_, whole)| whole);
    }
    if text.starts_with('<') {
        let (inner, whole) = until(1, ">")?;
        let shouted =
            inner.contains(|c: char| c.is_ascii_uppercase()) && !inner.contains(|c: char| c.is_ascii_lowercase());
        return (is_name(inner) && (shouted || inner.contains(['-', '_', ' ']))).then_some(whole);
    }
    None
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(allowed)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_marks_are_found() {
        for (text, expected) in [
            ("{{ .Values.host }}", "{{ .Values.host }}"),
            ("{{ .Values", "{{"),
            ("api.${DOMAIN}.example.com", "${DOMAIN}"),
            ("${ parameters.port }", "${ parameters.port }"),
            ("$(applicationFqdn)", "$(applicationFqdn)"),
            ("$STUDENT_NS-sentences", "$STUDENT_NS"),
            ("<YOUR_DOMAIN>", "<YOUR_DOMAIN>"),
            ("<your-domain>", "<your-domain>"),
            ("<<CLIENT_IP>>", "<<CLIENT_IP>>"),
            ("x-PATCH_ME", "PATCH_ME"),
        ] {
            assert_eq!(find(text), Some(expected), "{text}");
            assert!(is_suspect(text));
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in
            ["", "reviews.default", "a < b", "cost: $5", "^/a/.*$", "<b>bold</b>", "%REQ(x)%", "/{*}/x", "$", "${"]
        {
            assert!(matches!(find(text), None | Some("${")), "{text}");
        }
    }

    #[test]
    fn regexes_and_bodies_are_exempt() {
        assert!(is_exempt(&FieldPath::from("spec.http[0].match[0].uri.regex")));
        assert!(is_exempt(&FieldPath::from("spec.http[0].directResponse.body.string")));
        assert!(!is_exempt(&FieldPath::from("spec.hosts[0]")));
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_searched(text in "[${}()<>A-Zé \n]{0,20}") {
            if let Some(found) = find(&text) {
                proptest::prop_assert!(text.contains(found));
            }
        }
    }
}
