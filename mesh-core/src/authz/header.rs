//! Conditions on a header.

use http::HeaderName;

use super::text::TextMatch;
use crate::RequestView;

/// A header and what its value may be.
#[derive(Clone, Debug)]
pub(super) struct HeaderMatch {
    source: Source,
    values: Box<[TextMatch]>,
    lines: Lines,
    /// Whether each element of a list separated by commas is a value.
    elements: bool,
}

#[derive(Clone, Debug)]
enum Source {
    Authority,
    Method,
    /// With its query.
    Path,
    Scheme,
    Named(HeaderName),
    /// No request has it.
    Nowhere,
}

/// Which of several lines of one header have to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// One of them, as in Envoy.
    Any,
    /// One of them, or all of them joined by commas, with or without the white space around them: nothing that some
    /// reader might see slips through.
    AnyOrJoined,
    /// Every one: whichever of them a reader takes, it is one that is let in.
    Every,
}

impl HeaderMatch {
    /// A header by its name, and the forms of text of which one has to match.
    pub(super) fn new(name: &str, values: &[String], lines: Lines) -> Self {
        let source = match name.to_ascii_lowercase().as_str() {
            ":authority" | "host" => Source::Authority,
            ":method" => Source::Method,
            ":path" => Source::Path,
            ":scheme" => Source::Scheme,
            name => name.parse().map_or(Source::Nowhere, Source::Named),
        };
        Self { source, values: values.iter().map(|value| TextMatch::parse(value)).collect(), lines, elements: false }
    }

    /// The same, where the value is a list separated by commas of which one element has to match.
    #[must_use]
    pub(super) fn of_elements(self) -> Self {
        Self { elements: true, ..self }
    }

    /// The header, and the values of which one has to be there, where nothing else matches. Of several lines it may be all
    /// of them joined.
    pub(super) fn exact(&self) -> Option<(&HeaderName, Vec<&[u8]>)> {
        match &self.source {
            Source::Named(name) if !self.elements => {
                Some((name, self.values.iter().map(TextMatch::exact).collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    /// Whether the header is there and as asked for.
    pub(super) fn matches(&self, request: &RequestView<'_>) -> bool {
        match &self.source {
            Source::Authority => self.value_matches(request.authority.as_bytes()),
            Source::Method => self.value_matches(request.method.as_str().as_bytes()),
            Source::Scheme => self.value_matches(request.scheme.as_str().as_bytes()),
            Source::Path => match request.query {
                None => self.value_matches(request.path.as_bytes()),
                Some(query) => self.value_matches(format!("{}?{query}", request.path).as_bytes()),
            },
            Source::Named(name) => self.lines_match(request, name),
            Source::Nowhere => false,
        }
    }

    fn lines_match(&self, request: &RequestView<'_>, name: &HeaderName) -> bool {
        let lines = || request.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
        match self.lines {
            Lines::Every => lines().next().is_some() && lines().all(|line| self.value_matches(line)),
            Lines::Any => lines().any(|line| self.value_matches(line)),
            Lines::AnyOrJoined => {
                // HTTP/2 hands on the white space around a value, which readers pass over.
                let trimmed = || lines().map(<[u8]>::trim_ascii);
                let joined = |by: &[u8]| self.value_matches(&trimmed().collect::<Vec<_>>().join(by));
                lines().chain(trimmed()).any(|line| self.value_matches(line))
                    || (lines().count() > 1 && (joined(b",") || joined(b", ")))
            }
        }
    }

    fn value_matches(&self, value: &[u8]) -> bool {
        // A star asks for the header alone, which may be empty.
        let whole = |text: &TextMatch| *text == TextMatch::Present || text.matches(value);
        let element = |text: &TextMatch| value.split(|byte| *byte == b',').any(|part| text.matches(part.trim_ascii()));
        self.values.iter().any(|text| whole(text) || (self.elements && element(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::Request;

    fn matches(values: &[&str], lines: Lines, sent: &[&str]) -> bool {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let request = sent.iter().fold(Request::get("/p?q"), |request, line| request.header("x-role", line));
        HeaderMatch::new("X-Role", &values, lines).matches(&request.view())
    }

    #[test]
    fn lines_of_one_header_count_as_asked() {
        for (sent, any, joined, every) in [
            (&[][..], false, false, false),
            (&["admin"], true, true, true),
            (&["admin", "guest"], true, true, false),
            (&["admin", "admin"], true, true, true),
            (&["guest"], false, false, false),
        ] {
            assert_eq!(matches(&["admin"], Lines::Any, sent), any, "{sent:?}");
            assert_eq!(matches(&["admin"], Lines::AnyOrJoined, sent), joined, "{sent:?}");
            assert_eq!(matches(&["admin"], Lines::Every, sent), every, "{sent:?}");
        }
        assert!(!matches(&["a,b"], Lines::Any, &["a", "b"]));
        assert!(!matches(&["c"], Lines::AnyOrJoined, &["a", "b"]));
        assert!(matches(&["a,b"], Lines::AnyOrJoined, &["a", "b"]));
        assert!(matches(&["a, b"], Lines::AnyOrJoined, &["a", "b"]));
        assert!(matches(&["a", "b"], Lines::Every, &["a", "b"]));
    }

    #[test]
    fn white_space_around_a_value_hides_nothing_from_what_closes_and_opens_nothing() {
        for sent in [" admin", "admin\t", "  admin "] {
            assert!(
                matches(&["admin"], Lines::AnyOrJoined, &[sent]) && matches(&["*min"], Lines::AnyOrJoined, &[sent])
            );
            assert!(!matches(&["admin"], Lines::Every, &[sent]) && !matches(&["admin"], Lines::Any, &[sent]));
        }
        assert!(matches(&["a,b"], Lines::AnyOrJoined, &["a ", " b"]));
    }

    #[test]
    fn a_star_asks_for_the_header_alone() {
        assert!(matches(&["*"], Lines::Any, &[""]));
        assert!(!matches(&["*"], Lines::Any, &[]));
    }

    #[test]
    fn any_byte_can_be_compared() {
        for byte in (0_u8..=255).filter(|byte| !matches!(byte, 0..=8 | 10..=31 | 127)) {
            let value = [b"admin".as_slice(), &[byte]].concat();
            let mut headers = http::HeaderMap::new();
            headers.insert("x-role", http::HeaderValue::from_bytes(&value).unwrap());
            let request = Request::get("/");
            let view = RequestView { headers: &headers, ..request.view() };
            let is = |text: &str| HeaderMatch::new("x-role", &[text.to_owned()], Lines::Any).matches(&view);
            assert!(is("admin*") && !is("admin"), "{byte}");
        }
    }

    #[test]
    fn pseudo_headers_and_the_host_are_read_where_they_are() {
        let request = Request::get("/p?q").method("POST");
        let is =
            |name: &str, text: &str| HeaderMatch::new(name, &[text.to_owned()], Lines::Any).matches(&request.view());
        assert!(is(":path", "/p?q") && is(":method", "POST") && is("Host", "reviews") && is(":scheme", "http"));
        assert!(!is(":status", "*") && !is("no name", "*"));
    }

    #[test]
    fn an_element_of_a_list_counts_where_it_is_asked_for() {
        let request = Request::get("/").header("x-role", "guest, admin");
        let elements = HeaderMatch::new("x-role", &["admin".to_owned()], Lines::Any).of_elements();
        assert!(elements.matches(&request.view()));
        assert!(!matches(&["admin"], Lines::Any, &["guest, admin"]));
    }
}
