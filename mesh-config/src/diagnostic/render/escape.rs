//! Keeps texts out of files from commanding the terminal that shows them.

use std::borrow::Cow;

/// A text without control characters: they are written as `\n`, `\t` or `\u{1b}`, and so are the marks that turn the
/// direction of writing around.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_hostile(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// JSON with every such character outside ASCII written as `\u009b`; those within ASCII are already.
pub(super) fn escape_json(json: String) -> String {
    let wanted = |c: char| c != '\n' && is_hostile(c);
    if !json.contains(wanted) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len() + 16), |mut out, c| {
        match wanted(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
        out
    })
}

/// A line with one harmless character for each hostile one, so that places in it stay what they are. A tab stays.
pub(super) fn tame(line: &str) -> Cow<'_, str> {
    let wanted = |c: char| c != '\t' && is_hostile(c);
    if !line.contains(wanted) {
        return Cow::Borrowed(line);
    }
    Cow::Owned(line.chars().map(|c| if wanted(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(escape("a\u{1b}[31mb\n\u{9b}c\u{202e}é\t"), "a\\u{1b}[31mb\\n\\u{9b}c\\u{202e}é\\t");
        assert_eq!(tame("a\t\u{1b}b"), "a\t\u{fffd}b");
        assert!(matches!(escape("plain é 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_json() {
        let json = escape_json(serde_json::to_string(&"a\u{9b}\u{7f}\u{202e}\u{1b}").unwrap());
        assert_eq!(json, r#""a\u009b\u007f\u202e\u001b""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "a\u{9b}\u{7f}\u{202e}\u{1b}");
    }
}
