//! Headers that commands read: `REQ(name)`, `RESP(name?alternative)`.

use http::{HeaderMap, HeaderName};

/// A header and the one that is read where it is missing. Of a repeated header the first line counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    main: Field,
    alternative: Option<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Authority,
    Method,
    Path,
    Scheme,
    Status,
    /// A pseudo header that there never is.
    Nowhere,
    Named(HeaderName),
}

impl Source {
    /// From `name` or `name?alternative`.
    ///
    /// # Errors
    /// No name, or one that no header has.
    pub(crate) fn lower(command: &str, argument: Option<&str>) -> Result<Self, String> {
        let argument = argument.filter(|argument| !argument.is_empty());
        let argument = argument.ok_or_else(|| format!("%{command}% needs the name of a header in parentheses"))?;
        let (main, alternative) = match argument.split_once('?') {
            Some((main, alternative)) => (main, Some(alternative)),
            None => (argument, None),
        };
        Ok(Self { main: Field::lower(main)?, alternative: alternative.map(Field::lower).transpose()? })
    }

    /// Appends the first of the two that `push` finds.
    pub(crate) fn render(&self, out: &mut Vec<u8>, push: impl Fn(&Field, &mut Vec<u8>) -> bool) -> bool {
        self.fields().any(|field| push(field, out))
    }

    /// What it is read from.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        std::iter::once(&self.main).chain(&self.alternative)
    }
}

impl Field {
    fn lower(name: &str) -> Result<Self, String> {
        Ok(match name.to_ascii_lowercase().as_str() {
            ":authority" | "host" => Self::Authority,
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":scheme" => Self::Scheme,
            ":status" => Self::Status,
            pseudo if pseudo.starts_with(':') => Self::Nowhere,
            other => Self::Named(other.parse().map_err(|_| format!("{name:?} is not a header name"))?),
        })
    }
}

/// Appends the first line of a header; false if there is none.
pub(crate) fn push_header(out: &mut Vec<u8>, headers: &HeaderMap, name: &HeaderName) -> bool {
    let value = headers.get(name);
    out.extend_from_slice(value.map_or(b"", |value| value.as_bytes()));
    value.is_some()
}
