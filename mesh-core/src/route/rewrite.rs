//! Rewrites: path and authority of a request before it is forwarded.

use std::borrow::Cow;
use std::fmt;

use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Uri, request};
use mesh_config::api::virtual_service::{HttpRewrite, RegexRewrite as ApiRegexRewrite};
use mesh_config::value::regex as re2;
use regex::bytes::{Captures, Regex};

use super::condition::path::Matched;
use super::lower::LowerError;

/// What a rule changes about the target of a request. At least one of the two is set.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// What becomes of the path; the query always stays.
    pub path: Option<PathRewrite>,
    /// What the authority becomes.
    pub authority: Option<Authority>,
}

/// What becomes of a path.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// What the rule matched is replaced; a rule without `uri` matched the `/` at the beginning.
    Replace {
        /// What is replaced.
        matched: Matched,
        /// What stands there instead.
        with: Box<str>,
    },
    /// Every place that a regular expression matches is replaced.
    Regex(RegexRewrite),
}

/// Search and replace in a path.
#[derive(Clone, Debug)]
pub struct RegexRewrite {
    regex: Regex,
    /// The expression as it is written.
    pattern: Box<str>,
    /// `None` if the replacement names a group that the expression lacks: then nothing is replaced.
    replacement: Option<Box<[Piece]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Group(usize),
}

/// The path and query before a rewrite.
pub const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
/// The authority before a rewrite.
pub const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-envoy-original-host");

impl Rewrite {
    /// Rewrites a head whose URI is absolute. What was there before stands in
    /// `x-envoy-original-host` and, query included, in `x-envoy-original-path`, replacing what the
    /// caller may have sent there; the path also if it came out the same.
    pub fn apply(&self, parts: &mut request::Parts) {
        if let Some(authority) = &self.authority {
            if let Some(before) = parts.uri.authority()
                && let Ok(before) = HeaderValue::from_str(before.as_str())
            {
                parts.headers.insert(ORIGINAL_HOST, before);
            }
            set_authority(&mut parts.uri, authority.clone());
        }
        if let Some(rewrite) = &self.path {
            let before = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            if let Ok(before) = HeaderValue::from_bytes(before.as_bytes()) {
                parts.headers.insert(ORIGINAL_PATH, before);
            }
            if let Some(after) = rewrite.rewritten(&parts.uri) {
                set_path(&mut parts.uri, after);
            }
        }
    }

    /// The regular expression and what replaces its matches, where the path is rewritten by one.
    pub fn describe_regex(&self) -> Option<String> {
        match &self.path {
            Some(PathRewrite::Regex(rewrite)) => Some(rewrite.to_string()),
            _ => None,
        }
    }

    /// From `rewrite` and what the rule's header operations make of the authority, which counts
    /// where `rewrite` names none.
    ///
    /// # Errors
    /// A regular expression that does not compile, a replacement that cannot stand in a path or
    /// authority.
    pub(crate) fn lower(
        from: Option<&HttpRewrite>,
        matched: Matched,
        authority: Option<Authority>,
    ) -> Result<Option<Self>, LowerError> {
        let Some(from) = from else {
            return Ok(authority.map(|authority| Self { path: None, authority: Some(authority) }));
        };
        let authority = match &*from.authority {
            "" => authority,
            named => Some(lower_authority(named, "authority")?),
        };
        let path = match &from.uri_regex_rewrite {
            Some(regex) => Some(PathRewrite::Regex(RegexRewrite::lower(regex)?)),
            None if from.uri.is_empty() => None,
            None => {
                check_path_text(&from.uri, "uri")?;
                Some(PathRewrite::Replace { matched, with: from.uri.as_str().into() })
            }
        };
        Ok((path.is_some() || authority.is_some()).then_some(Self { path, authority }))
    }
}

impl PathRewrite {
    /// The new path and query; `None` if nothing changes or what comes out cannot be a path.
    fn rewritten(&self, uri: &Uri) -> Option<PathAndQuery> {
        let path = match self {
            Self::Replace { matched, with } => Cow::Owned([with, matched.rest(uri.path())].concat()),
            Self::Regex(rewrite) => rewrite.replace(uri.path())?,
        };
        // HTTP asks for the slash; Envoy would send the path without it.
        let slash = if path.starts_with('/') { "" } else { "/" };
        let whole = match uri.query() {
            Some(query) => [slash, &*path, "?", query].concat(),
            None => [slash, &*path].concat(),
        };
        PathAndQuery::try_from(whole).ok()
    }
}

/// `/v(1|2) by /x\1`
impl fmt::Display for RegexRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by ", self.pattern)?;
        for piece in self.replacement.iter().flatten() {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Group(group) => write!(f, "\\{group}")?,
            }
        }
        if self.replacement.is_none() { f.write_str("nothing: it names a group that there is not") } else { Ok(()) }
    }
}

impl RegexRewrite {
    fn replace<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let pieces = self.replacement.as_deref()?;
        let replaced = self.regex.replace_all(path.as_bytes(), |captures: &Captures<'_>| expand(pieces, captures));
        match replaced {
            Cow::Borrowed(_) => None,
            Cow::Owned(replaced) => String::from_utf8(replaced).ok().map(Cow::Owned),
        }
    }

    fn lower(from: &ApiRegexRewrite) -> Result<Self, LowerError> {
        let field = "uriRegexRewrite.match";
        let regex = re2::search(&from.pattern).map_err(|error| LowerError::new(field, error.to_string()))?;
        let field = "uriRegexRewrite.rewrite";
        let pieces = pieces(&from.rewrite).map_err(|message| LowerError::new(field, message))?;
        let mut groups = 0;
        for piece in &pieces {
            match piece {
                Piece::Text(text) => check_path_text(text, field)?,
                Piece::Group(group) => groups = groups.max(*group),
            }
        }
        let replacement = (groups < regex.captures_len()).then(|| pieces.into());
        Ok(Self { regex, pattern: from.pattern.as_str().into(), replacement })
    }
}

fn expand(pieces: &[Piece], captures: &Captures<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Group(group) => {
                if let Some(group) = captures.get(*group) {
                    out.extend_from_slice(group.as_bytes());
                }
            }
        }
    }
    out
}

/// Reads a replacement: `\0` to `\9` are groups, `\\` is a backslash, `$` is a dollar sign.
fn pieces(replacement: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = replacement.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            text.push(next);
            continue;
        }
        match rest.next() {
            Some('\\') => text.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                pieces.push(Piece::Group(digit as usize - '0' as usize));
            }
            _ => return Err("a backslash stands before a digit or another backslash".into()),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces)
}

pub(crate) fn lower_authority(text: &str, field: &str) -> Result<Authority, LowerError> {
    text.parse().map_err(|_| LowerError::new(field, format!("{text:?} is not an authority")))
}

/// Whether a text can be a part of a path, or of the query behind it.
pub(crate) fn check_path_text(text: &str, field: &str) -> Result<(), LowerError> {
    let probe = format!("/{text}");
    match PathAndQuery::try_from(probe.as_str()) {
        // A fragment is cut off when it is parsed.
        Ok(path) if path.as_str() == probe => Ok(()),
        _ => Err(LowerError::new(field, format!("{text:?} cannot stand in a path"))),
    }
}

/// Replaces the authority of an absolute URI.
pub(crate) fn set_authority(uri: &mut Uri, authority: Authority) {
    replace(uri, |parts| parts.authority = Some(authority));
}

fn set_path(uri: &mut Uri, path: PathAndQuery) {
    replace(uri, |parts| parts.path_and_query = Some(path));
}

/// Changes a part of a URI; one that is not absolute stays as it is.
fn replace(uri: &mut Uri, change: impl FnOnce(&mut http::uri::Parts)) {
    let mut parts = uri.clone().into_parts();
    change(&mut parts);
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

#[cfg(test)]
mod tests;
