//! Cookies of a request.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// The value of the first cookie of that name, without quotes around it, as Envoy reads it: bytes, since not every cookie
/// is text.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let value = lines.flat_map(|line| line.split(|byte| *byte == b';')).find_map(|pair| {
        let name_end = pair.iter().position(|byte| *byte == b'=')?;
        let (own, value) = pair.split_at(name_end);
        (own.trim_ascii_start() == name.as_bytes()).then(|| &value[1..])
    })?;
    match value {
        [b'"', inner @ .., b'"'] => Some(inner),
        value => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&[u8]], name: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        cookie(&headers, name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn the_first_of_a_name_counts_on_whatever_line_it_stands() {
        assert_eq!(found(&[b"a=1; c=x", b"c=y"], "c").as_deref(), Some("x"));
        assert_eq!(found(&[b"a=1", b" c=y=z"], "c").as_deref(), Some("y=z"));
        assert_eq!(found(&[b"C=x; cc=y; c"], "c"), None);
    }

    #[test]
    fn quotes_around_a_value_are_not_a_part_of_it() {
        assert_eq!(found(&[b"c=\"x\""], "c").as_deref(), Some("x"));
        assert_eq!(found(&[b"c=\"x"], "c").as_deref(), Some("\"x"));
        assert_eq!(found(&[b"c=\""], "c").as_deref(), Some("\""));
    }

    #[test]
    fn other_cookies_of_a_line_may_be_any_bytes() {
        assert_eq!(found(&[b"a=\xff\xfe; c=x"], "c").as_deref(), Some("x"));
    }
}
