//! What the query of a request asks for.

use http::Uri;
use percent_encoding::percent_decode_str;

/// The pairs of a query, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask(Vec<(String, String)>);

impl Ask {
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        Self(pairs.map(pair).collect())
    }

    /// The first value of a name that is not empty, as a form sends what was left out.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| &**value)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_a_form_sends_it() {
        let ask = Ask::of(&Uri::from_static("/?url=http%3A%2F%2Fa%2Fb%3Fc%3Dd&h=a:+b&h=c%2B&empty=&roll"));
        assert_eq!(ask.get("url"), Some("http://a/b?c=d"));
        assert_eq!(ask.all("h").collect::<Vec<_>>(), ["a: b", "c+"]);
        assert_eq!((ask.get("empty"), ask.get("roll"), ask.get("none")), (None, None, None));
    }
}
