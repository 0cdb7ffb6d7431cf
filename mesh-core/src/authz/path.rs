//! Paths of an operation: text, or a template.

use mesh_config::value::path_template;
use regex::bytes::Regex;

use super::text::TextMatch;

/// What a normalized path without its query is compared with.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// One of the forms of text.
    Text(TextMatch),
    /// With `{*}`, one segment that is not empty, or `{**}`, any number of them; before it, what stands before the first.
    Template(Box<str>, Regex),
}

impl PathMatch {
    /// Reads a path of a policy; `None` for a template that no proxy would load.
    pub fn parse(path: &str) -> Option<Self> {
        if !path_template::has_operator(path) {
            return Some(Self::Text(TextMatch::parse(path)));
        }
        if !path.starts_with('/') || path_template::check_path(path, "Paths").is_err() {
            return None;
        }
        let segments: Vec<String> = path.split('/').map(segment).collect();
        let start = path.split('{').next().unwrap_or_default();
        let regex = Regex::new(&format!(r"\A(?s-u:{})\z", segments.join("/"))).ok()?;
        Some(Self::Template(start.into(), regex))
    }

    /// Whether a path is as it says.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Text(text) => text.matches(path.as_bytes()),
            Self::Template(_, template) => template.is_match(path.as_bytes()),
        }
    }
}

/// Any character stands for itself in what an operator takes, a star too.
fn segment(segment: &str) -> String {
    match segment {
        "{*}" => "[^/]+".to_owned(),
        "{**}" => ".*".to_owned(),
        literal => regex::escape(literal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(template: &str, path: &str) -> bool {
        PathMatch::parse(template).unwrap().matches(path)
    }

    #[test]
    fn an_operator_stands_for_one_segment_or_for_the_rest() {
        for (path, expected) in [
            ("/tmpl/a/x/", true),
            ("/tmpl/a/x/b", true),
            ("/tmpl/a/x/b/c", true),
            ("/tmpl/a/x", false),
            ("/tmpl//x/b", false),
            ("/tmpl/a/b/x/c", false),
            ("/tmpl/a%2Fb/x/c", true),
            ("/tmpl/*/x/|", true),
        ] {
            assert_eq!(matches("/tmpl/{*}/x/{**}", path), expected, "{path}");
        }
        assert!(matches("/e/{**}/end", "/e/x/y/end"));
        assert!(!matches("/e/{**}/end", "/e/end"));
        assert!(!matches("/a.c/{*}", "/abc/x"));
    }

    #[test]
    fn what_is_no_template_is_text() {
        assert!(matches("/a*", "/abc"));
        assert!(!matches("/a", "/a/"));
        assert!(matches("*", "/"));
        assert!(PathMatch::parse("/{*}x").is_none());
        assert!(PathMatch::parse("{*}").is_none());
    }
}
