//! The forms of text in a policy: `abc`, `abc*`, `*abc` and `*`.

/// A text that values are compared with, byte by byte: header values are no UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// `*`: anything that is not empty.
    Present,
    /// `*abc`; a second star is itself.
    Suffix(Box<[u8]>),
    /// `abc*`.
    Prefix(Box<[u8]>),
    /// `abc`; a star within is itself.
    Exact(Box<[u8]>),
}

impl TextMatch {
    /// Reads one of the forms. A star at the start counts before one at the end.
    pub fn parse(text: &str) -> Self {
        let bytes = |text: &str| text.as_bytes().into();
        match text {
            "*" => Self::Present,
            text => match (text.strip_prefix('*'), text.strip_suffix('*')) {
                (Some(suffix), _) => Self::Suffix(bytes(suffix)),
                (None, Some(prefix)) => Self::Prefix(bytes(prefix)),
                (None, None) => Self::Exact(bytes(text)),
            },
        }
    }

    /// Whether a value is as the text says.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => !value.is_empty(),
            Self::Suffix(suffix) => value.ends_with(suffix),
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Exact(exact) => **exact == *value,
        }
    }

    /// The one value that matches, where there is only one.
    pub(super) fn exact(&self) -> Option<&[u8]> {
        match self {
            Self::Exact(exact) => Some(exact),
            _ => None,
        }
    }

    /// The same, upper and lower case of ASCII letters being alike.
    pub fn matches_in_any_case(&self, value: &[u8]) -> bool {
        self.matches_by(value, |text, part| text.eq_ignore_ascii_case(part))
    }

    /// The same for a value that counts in lower case, whereas the text counts as it stands.
    pub fn matches_lowered(&self, value: &[u8]) -> bool {
        self.matches_by(value, |text, part| {
            text.len() == part.len() && text.iter().zip(part).all(|(own, byte)| *own == byte.to_ascii_lowercase())
        })
    }

    /// Compares the text with the part of a value that it is about.
    fn matches_by(&self, value: &[u8], are_alike: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let part = match self {
            Self::Present => return !value.is_empty(),
            Self::Suffix(suffix) => value.len().checked_sub(suffix.len()).map(|start| (suffix, &value[start..])),
            Self::Prefix(prefix) => value.get(..prefix.len()).map(|start| (prefix, start)),
            Self::Exact(exact) => Some((exact, value)),
        };
        part.is_some_and(|(text, part)| are_alike(text, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_an_end_stands_for_anything() {
        for (text, value, expected) in [
            ("abc", "abc", true),
            ("abc", "ABC", false),
            ("abc", "abcd", false),
            ("abc*", "abc", true),
            ("abc*", "abcd", true),
            ("abc*", "xabc", false),
            ("*abc", "xabc", true),
            ("*abc", "abcx", false),
            ("*", "x", true),
            ("*", "", false),
            ("a*c", "abc", false),
            ("a*c", "a*c", true),
            ("*a*", "xa*", true),
            ("*a*", "xay", false),
        ] {
            assert_eq!(TextMatch::parse(text).matches(value.as_bytes()), expected, "{text} {value}");
        }
    }

    #[test]
    fn a_lowered_value_meets_the_text_as_it_stands() {
        for (text, value, expected) in [
            ("example.com", "eXample.COM", true),
            ("Example.com", "Example.com", false),
            ("*.example.com", "A.EXAMPLE.com", true),
            ("A*", "ab", false),
            ("a*", "AB", true),
            ("*", "", false),
        ] {
            assert_eq!(TextMatch::parse(text).matches_lowered(value.as_bytes()), expected, "{text} {value}");
        }
    }

    #[test]
    fn case_counts_only_where_it_should() {
        for (text, value, expected) in [
            ("Example.com", "eXample.COM", true),
            ("*.example.com", "A.EXAMPLE.com", true),
            ("*.example.com", "example.com", false),
            ("example.*", "EXAMPLE.org", true),
            ("example.*", "ex", false),
            ("*", "", false),
            ("example.com", "example.com:80", false),
        ] {
            assert_eq!(TextMatch::parse(text).matches_in_any_case(value.as_bytes()), expected, "{text} {value}");
        }
    }
}
