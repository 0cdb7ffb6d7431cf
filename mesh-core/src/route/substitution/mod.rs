//! Values in header operations that are made from the request: `%REQ(x-user)%`.

pub(crate) mod address;
mod command;
pub(crate) mod source;
pub(crate) mod time;

use std::net::SocketAddr;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode, Version};

use self::command::Command;
pub(crate) use self::command::{print, protocol};
use super::RequestHead;
use crate::ResponseFlags;

/// What is known about an exchange besides its heads; read by substitution commands only.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The protocol of the caller.
    pub protocol: Version,
    /// When the request came in.
    pub start: SystemTime,
    /// The caller's address; `None` for a request that starts in this process.
    pub downstream_remote: Option<SocketAddr>,
    /// The address the caller connected to.
    pub downstream_local: Option<SocketAddr>,
    /// The caller's identity, proved by mutual TLS.
    pub peer_principal: Option<&'a str>,
    /// The subject of the caller's certificate.
    pub peer_subject: Option<&'a str>,
    /// The identity of this workload.
    pub local_principal: Option<&'a str>,
    /// The server name that the caller asked for.
    pub server_name: Option<&'a str>,
    /// The name of this host.
    pub hostname: &'a str,
    /// The endpoint that answered, or was tried last.
    pub upstream: Option<SocketAddr>,
    /// How many tries were made.
    pub attempts: u32,
    /// The status of the endpoint's answer; `None` before there is one and for answers of the mesh.
    pub response_code: Option<StatusCode>,
    /// Envoy's detail on how the response came about, such as `via_upstream`.
    pub response_details: &'a str,
    /// Why the response is what it is.
    pub response_flags: ResponseFlags,
}

impl Exchange<'_> {
    /// An exchange of which nothing is known but when it began.
    pub fn new(start: SystemTime) -> Self {
        Self {
            protocol: Version::HTTP_11,
            start,
            downstream_remote: None,
            downstream_local: None,
            peer_principal: None,
            peer_subject: None,
            local_principal: None,
            server_name: None,
            hostname: "",
            upstream: None,
            attempts: 0,
            response_code: None,
            response_details: "",
            response_flags: ResponseFlags::NONE,
        }
    }
}

/// All that a command can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) exchange: &'a Exchange<'a>,
    pub(crate) request: Option<RequestHead<'a>>,
    pub(crate) response: Option<(StatusCode, &'a HeaderMap)>,
    pub(crate) route: &'a str,
    pub(crate) cluster: &'a str,
}

/// A value with substitution commands, parsed.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// As it is written.
    source: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Command {
        command: Command,
        /// Longest rendering, in bytes.
        limit: Option<usize>,
    },
}

impl Template {
    /// Reads `%NAME%`, `%NAME(argument)%`, `%NAME(argument):limit%`, and `%%` for a percent sign.
    ///
    /// # Errors
    /// A percent sign that begins no command, a command that does not exist.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let call = Call::parse(after).map_err(|problem| format!("invalid header configuration. {problem}"))?;
            rest = call.rest;
            match Command::lower(call.name, call.argument)? {
                // Known already, and as good as text.
                Command::Constant(value) => literal.push_str(&value),
                command => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal).into()));
                    }
                    parts.push(Part::Command { command, limit: call.limit });
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { source: text.into(), parts: parts.into() })
    }

    /// As it is written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The whole value, if it has no commands.
    pub(crate) fn as_literal(&self) -> Option<&[u8]> {
        match &*self.parts {
            [Part::Text(text)] => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// Whether a part is made from the head of the request.
    pub(crate) fn reads_request(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Command { command, .. } if command.reads_request()))
    }

    /// The value; a command without one renders as nothing.
    pub(crate) fn render(&self, scope: &Scope<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Command { command, limit } => {
                    let start = out.len();
                    command.render(scope, &mut out);
                    if let Some(limit) = limit {
                        out.truncate(start.saturating_add(*limit));
                    }
                }
            }
        }
        out
    }
}

/// One command as it is written, and what follows it.
pub(crate) struct Call<'t> {
    pub(crate) name: &'t str,
    pub(crate) argument: Option<&'t str>,
    pub(crate) limit: Option<usize>,
    pub(crate) rest: &'t str,
}

impl<'t> Call<'t> {
    /// Reads what follows a percent sign.
    pub(crate) fn parse(text: &'t str) -> Result<Self, String> {
        let unescaped = || "Un-escaped %".to_owned();
        let end = text.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        let (name, mut rest) = text.split_at(end.unwrap_or(text.len()));
        if name.is_empty() {
            return Err(unescaped());
        }
        let unterminated = || format!("Un-terminated variable expression '{name}'");
        let mut argument = None;
        if let Some(inside) = rest.strip_prefix('(') {
            let (inside, after) = inside.split_once(')').ok_or_else(unterminated)?;
            (argument, rest) = (Some(inside), after);
        }
        let mut limit = None;
        if let Some(number) = rest.strip_prefix(':') {
            let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
            limit = Some(number[..end].parse().map_err(|_| unescaped())?);
            rest = &number[end..];
        }
        let rest = rest.strip_prefix('%').ok_or_else(unterminated)?;
        Ok(Self { name, argument, limit, rest })
    }
}

#[cfg(test)]
mod tests;
