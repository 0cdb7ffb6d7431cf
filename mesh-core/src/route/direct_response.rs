//! Direct responses: a fixed answer.

use std::sync::Arc;

use http::StatusCode;
use mesh_config::api::virtual_service::{HttpBody, HttpDirectResponse};

use super::lower::LowerError;

/// A fixed answer. [`reply`](super::reply) makes the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// Sent as it is: nothing is substituted in it.
    pub body: Arc<[u8]>,
}

impl DirectResponse {
    /// Whether the answer names the request's own URL as its `location`, as Envoy has it for 201 and
    /// all redirects.
    pub fn has_location(&self) -> bool {
        self.status == StatusCode::CREATED || self.status.is_redirection()
    }

    /// From `directResponse`.
    ///
    /// # Errors
    /// A status outside 200 to 599.
    pub(crate) fn lower(from: &HttpDirectResponse) -> Result<Self, LowerError> {
        let status = u16::try_from(from.status).ok().filter(|status| (200..600).contains(status));
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let problem = || LowerError::new("status", format!("HTTP status {} is not in range 200-599", from.status));
        Ok(Self { status: status.ok_or_else(problem)?, body: from.body.as_ref().map_or_else(Arc::default, body) })
    }
}

fn body(from: &HttpBody) -> Arc<[u8]> {
    match (&from.string, &from.bytes) {
        (Some(text), _) => text.as_bytes().into(),
        (None, Some(bytes)) => bytes.0.as_slice().into(),
        (None, None) => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route::testing::parse;

    #[test]
    fn a_body_is_text_or_bytes() {
        for (body, expected) in [
            (json!({"string": "100%% %PROTOCOL%"}), &b"100%% %PROTOCOL%"[..]),
            (json!({"bytes": "AAH/gA=="}), b"\x00\x01\xff\x80"),
            (json!({}), b""),
            (json!({"string": ""}), b""),
        ] {
            let from: HttpDirectResponse = parse(json!({"status": 200, "body": body}));
            assert_eq!(&*DirectResponse::lower(&from).unwrap().body, expected);
        }
    }

    #[test]
    fn the_status_is_between_200_and_599() {
        for (status, accepted) in [(0, false), (199, false), (200, true), (599, true), (600, false), (70_000, false)] {
            let from: HttpDirectResponse = parse(json!({"status": status}));
            assert_eq!(DirectResponse::lower(&from).is_ok(), accepted, "{status}");
        }
    }

    #[test]
    fn created_and_redirects_have_a_location() {
        for (status, expected) in [(200, false), (201, true), (202, false), (300, true), (304, true), (400, false)] {
            let from: HttpDirectResponse = parse(json!({"status": status}));
            assert_eq!(DirectResponse::lower(&from).unwrap().has_location(), expected, "{status}");
        }
    }
}
