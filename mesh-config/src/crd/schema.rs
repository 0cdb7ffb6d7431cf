//! What a CRD demands of a value, as data: the types, bounds, names and rules of its schema.

use super::rule::Rule;

/// What JSON calls the type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Whole,
    Number,
    Boolean,
    List,
    /// An object with keys of the user's choice.
    Map,
    /// An object with fields of its own.
    Object,
}

impl Type {
    /// The name of the type in a schema.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Whole => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "array",
            Self::Map | Self::Object => "object",
        }
    }
}

/// The demands on one value.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    pub(super) of: Type,
    /// Whether null is a value like any other; else it counts as absent.
    pub(super) nullable: bool,
    /// The smallest value, or the fewest characters, elements or entries.
    pub(super) least: Option<u32>,
    /// The greatest value, or the most characters, elements or entries.
    pub(super) most: Option<u32>,
    pub(super) form: Option<Form>,
    /// The only values; any if empty.
    pub(super) names: &'static [&'static str],
    pub(super) fields: &'static [(&'static str, Schema)],
    /// What elements or entries have to be.
    pub(super) inner: Option<&'static Schema>,
    pub(super) required: &'static [&'static str],
    /// Groups of fields of which at most one may be set.
    pub(super) exclusive: &'static [&'static [&'static str]],
    /// Whether no two elements may have the same `name`.
    pub(super) keyed: bool,
    pub(super) rules: &'static [Rule],
}

/// How a text has to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The group of an API: a DNS name, or empty for the core group.
    Group,
    /// The kind of an object.
    Kind,
    HeaderName,
    Base64,
}

impl Schema {
    const fn new(of: Type) -> Self {
        Self {
            of,
            nullable: false,
            least: None,
            most: None,
            form: None,
            names: &[],
            fields: &[],
            inner: None,
            required: &[],
            exclusive: &[],
            keyed: false,
            rules: &[],
        }
    }

    pub(super) const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    pub(super) const fn at_least(mut self, least: u32) -> Self {
        self.least = Some(least);
        self
    }

    pub(super) const fn at_most(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }

    pub(super) const fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    pub(super) const fn required(mut self, names: &'static [&'static str]) -> Self {
        self.required = names;
        self
    }

    pub(super) const fn exclusive(mut self, groups: &'static [&'static [&'static str]]) -> Self {
        self.exclusive = groups;
        self
    }

    pub(super) const fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    pub(super) const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// The schema of a field, and whether it has one.
    pub(super) fn field(&self, name: &str) -> Option<&'static (&'static str, Schema)> {
        self.fields.iter().find(|(known, _)| *known == name)
    }
}

pub(super) const TEXT: Schema = Schema::new(Type::Text);
pub(super) const WHOLE: Schema = Schema::new(Type::Whole);
pub(super) const NUMBER: Schema = Schema::new(Type::Number);
pub(super) const BOOLEAN: Schema = Schema::new(Type::Boolean);
/// A number that protobuf keeps in 32 bits without sign.
pub(super) const UNSIGNED: Schema = WHOLE.at_least(0).at_most(u32::MAX);

pub(super) const fn object(fields: &'static [(&'static str, Schema)]) -> Schema {
    let mut schema = Schema::new(Type::Object);
    schema.fields = fields;
    schema
}

pub(super) const fn list(elements: &'static Schema) -> Schema {
    let mut schema = Schema::new(Type::List);
    schema.inner = Some(elements);
    schema
}

pub(super) const fn map(values: &'static Schema) -> Schema {
    let mut schema = Schema::new(Type::Map);
    schema.inner = Some(values);
    schema
}

pub(super) const fn one_of(names: &'static [&'static str]) -> Schema {
    let mut schema = TEXT;
    schema.names = names;
    schema
}

impl Form {
    /// The pattern as the schema has it; none for a format, which has a name.
    pub(super) const fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Group => Some(r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
            Self::Kind => Some("^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"),
            Self::HeaderName => Some("^[-_A-Za-z0-9]+$"),
            Self::Base64 => None,
        }
    }

    /// Whether a text is built like this.
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Group => text.is_empty() || text.split('.').all(is_dns_label),
            Self::Kind => text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_label(text, |_| true),
            Self::HeaderName => {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            }
            Self::Base64 => is_base64(text),
        }
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::Group => "a group is a name like `gateway.networking.k8s.io`, or \"\" for Kubernetes' own kinds",
            Self::Kind => "a kind has letters, digits and `-` only, like `Service` or `Gateway`",
            Self::HeaderName => "a name has letters, digits, `-` and `_` only",
            Self::Base64 => "bytes are written in base64 with `+`, `/` and padding; plain text belongs in `string`",
        }
    }
}

/// Letters, digits and inner hyphens.
pub(super) fn is_label(text: &str, also: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let fits = |b: u8| b.is_ascii_alphanumeric() && also(b);
    bytes.first().is_some_and(|b| fits(*b))
        && bytes.last().is_some_and(|b| fits(*b))
        && bytes.iter().all(|b| fits(*b) || *b == b'-')
}

fn is_dns_label(text: &str) -> bool {
    is_label(text, |b| !b.is_ascii_uppercase())
}

/// Standard base64 with padding, of one byte at least.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    !digits.is_empty()
        && padding <= 2
        && text.len().is_multiple_of(4)
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_takes_what_its_pattern_takes() {
        let texts = [
            "",
            "a",
            "A",
            "1",
            "-",
            "a-",
            "-a",
            "a-b",
            "a.b",
            "a..b",
            ".a",
            "a.",
            "gateway.networking.k8s.io",
            "Service",
            "x_y",
            "X-Y",
            "a b",
            "é",
            "a\n",
            "0a",
            "a0",
            "ab.C",
        ];
        for form in [Form::Group, Form::Kind, Form::HeaderName] {
            let pattern = regex::Regex::new(&form.pattern().unwrap().replace('$', r"\z")).unwrap();
            for text in texts {
                assert_eq!(form.fits(text), pattern.is_match(text), "{form:?} {text:?}");
            }
        }
    }

    #[test]
    fn bytes_are_padded_base64_and_not_empty() {
        for (text, fits) in [
            ("YQ==", true),
            ("YWE=", true),
            ("YWFh", true),
            ("YWFhYQ==", true),
            ("", false),
            ("YQ", false),
            ("YQ=", false),
            ("Y===", false),
            ("====", false),
            ("a-_b", false),
            ("YQ==YQ==", false),
            ("hello", false),
        ] {
            assert_eq!(Form::Base64.fits(text), fits, "{text:?}");
        }
    }
}
