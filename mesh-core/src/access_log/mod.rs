//! Access logs: formats with `%...%` commands, parsed once, and the lines that they make of [`Record`]s.
//!
//! Texts and names are Envoy's and Istio's. In text, control characters and bytes that are no UTF-8 become `\xNN`: no
//! header makes a second line, and none is obeyed by a terminal.

mod command;
mod json;

#[cfg(test)]
mod tests;

use self::command::Command;
use self::json::Object;
use crate::route::substitution::{Call, print};
use crate::telemetry::Record;
use crate::telemetry::record::{NOTHING, Wanted};

/// Istio's format of lines of text.
pub const DEFAULT_TEXT: &str = concat!(
    r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% "#,
    r#"%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" "#,
    r#"%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "#,
    r#""%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% "#,
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% ",
    "%ROUTE_NAME%\n",
);

/// Istio's format of lines of JSON.
pub const DEFAULT_JSON: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
];

/// The format of a line, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    kind: Kind,
    /// Whether what is not there is left out, in place of `-` or `null`.
    omits_empty: bool,
    /// Headers that the line is made from.
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Text(Template),
    Json(Object),
}

impl Format {
    /// A line of text. As in Istio a format without a line break gets one.
    ///
    /// # Errors
    /// A percent sign that begins no command, a command that does not exist, or one with a wrong argument; says where.
    pub fn text(text: &str, omits_empty: bool) -> Result<Self, String> {
        let mut template = Template::parse(text)?;
        if !text.ends_with('\n') {
            template.0.push(Part::Text("\n".into()));
        }
        let mut wanted = NOTHING.clone();
        template.want(&mut wanted);
        Ok(Self { kind: Kind::Text(template), omits_empty, wanted })
    }

    /// A line of JSON: each text is a format, and so is each within lists and objects.
    ///
    /// # Errors
    /// As [`text`](Self::text), with the name of the value.
    pub fn json<'v>(
        values: impl IntoIterator<Item = (&'v str, serde_json::Value)>,
        omits_empty: bool,
    ) -> Result<Self, String> {
        let object = Object::parse(values)?;
        let mut wanted = NOTHING.clone();
        object.want(&mut wanted);
        Ok(Self { kind: Kind::Json(object), omits_empty, wanted })
    }

    /// Istio's line of text.
    pub fn default_text(omits_empty: bool) -> Self {
        Self::text(DEFAULT_TEXT, omits_empty).unwrap_or_else(|_| Self::nothing())
    }

    /// Istio's line of JSON.
    pub fn default_json(omits_empty: bool) -> Self {
        let values = DEFAULT_JSON.map(|(name, value)| (name, serde_json::Value::from(value)));
        Self::json(values, omits_empty).unwrap_or_else(|_| Self::nothing())
    }

    fn nothing() -> Self {
        Self { kind: Kind::Text(Template::default()), omits_empty: false, wanted: NOTHING.clone() }
    }

    /// Headers that have to be in the records.
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Appends the line of a request, with its line break. `hostname`: the name of this host.
    pub fn write(&self, record: &Record, hostname: &str, out: &mut Vec<u8>) {
        let scope = Scope { record, hostname };
        match &self.kind {
            Kind::Text(template) => {
                let absent = if self.omits_empty { "" } else { "-" };
                template.write(scope, absent, out);
            }
            Kind::Json(object) => {
                object.write(scope, self.omits_empty, out);
                out.push(b'\n');
            }
        }
    }
}

/// Names with texts that have commands: attributes of lines that are exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    all: Vec<(Box<str>, Template)>,
    /// Headers that they are made from.
    wanted: Wanted,
}

impl Attributes {
    /// By name and text.
    ///
    /// # Errors
    /// As for [`Format::text`], with the name.
    pub fn new<'v>(texts: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<Self, String> {
        let mut attributes = Self::default();
        for (name, text) in texts {
            let template = Template::parse(text).map_err(|problem| format!("{name}: {problem}"))?;
            template.want(&mut attributes.wanted);
            attributes.all.push((name.into(), template));
        }
        Ok(attributes)
    }

    /// Headers that have to be in the records.
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The names of those that tell of the answer, of which nothing is known when a request begins.
    pub fn of_answers(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter(|(_, template)| template.reads_answer()).map(|(name, _)| &**name)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those of a request, with `absent` for what is not there. `hostname`: the name of this host.
    pub fn of<'a>(
        &'a self,
        record: &'a Record,
        absent: &'a str,
        hostname: &'a str,
    ) -> impl Iterator<Item = (&'a str, String)> {
        self.all.iter().map(move |(name, template)| {
            let mut out = Vec::new();
            template.write(Scope { record, hostname }, absent, &mut out);
            (&**name, String::from_utf8_lossy(&out).into_owned())
        })
    }
}

/// What a line is made from.
#[derive(Clone, Copy)]
struct Scope<'r> {
    record: &'r Record,
    hostname: &'r str,
}

/// Text with commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Command(Command),
}

/// What a command has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Number,
    Text,
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, after)) = rest.split_once('%') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let place = text.len() - after.len();
            let at = |problem: String| format!("{problem} (at character {place})");
            let call = Call::parse(after).map_err(at)?;
            rest = call.rest;
            let command = Command::lower(call.name, call.argument, call.limit).map_err(at)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Command(command));
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self(parts))
    }

    fn reads_answer(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Command(command) if command.reads_answer()))
    }

    fn want(&self, wanted: &mut Wanted) {
        for part in &self.0 {
            if let Part::Command(command) = part {
                command.want(wanted);
            }
        }
    }

    fn write(&self, scope: Scope<'_>, absent: &str, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Command(command) => {
                    let start = out.len();
                    if command.write(scope, out) == Written::Nothing {
                        out.extend_from_slice(absent.as_bytes());
                    }
                    escape_controls(out, start);
                }
            }
        }
    }
}

/// Makes visible what was written from `start` on and is a control character, or no UTF-8: a terminal obeys those above
/// 0x7f, too.
fn escape_controls(out: &mut Vec<u8>, start: usize) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
    if out[start..].iter().all(is_plain) {
        return;
    }
    let written = out.split_off(start);
    for chunk in written.utf8_chunks() {
        for c in chunk.valid().chars() {
            let bytes = &mut [0; 4];
            let bytes = c.encode_utf8(bytes).as_bytes();
            if c.is_control() { push_escaped(bytes, out) } else { out.extend_from_slice(bytes) }
        }
        push_escaped(chunk.invalid(), out);
    }
}

fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        print(out, format_args!("\\x{byte:02x}"));
    }
}
