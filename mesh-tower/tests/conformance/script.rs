//! What an endpoint is told to do with a request.

use std::time::Duration;

use crate::record::Headers;

/// One entry of the recording's `upstream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Answer {
        status: u16,
        headers: Headers,
    },
    /// The connection, or the stream, ends within the body of an answer.
    Break,
    /// The connection, or the stream, ends before a byte.
    Close,
    Delay(Duration, Box<Act>),
    /// A gRPC status without a message.
    Grpc(i32),
    /// A gRPC status behind a message.
    GrpcTrailer(i32),
    Hang,
    /// The connection is reset, or the stream refused.
    Reset,
}

impl Act {
    pub(crate) fn ok() -> Self {
        Self::Answer { status: 200, headers: Headers::new() }
    }

    /// Reads an entry such as `delay:300:200` or `200+name:value`.
    pub(crate) fn parse(text: &str) -> Self {
        let parsed = match text.split_once(':') {
            _ if text == "reset" => Some(Self::Reset),
            _ if text == "break" => Some(Self::Break),
            _ if text == "close" => Some(Self::Close),
            _ if text == "hang" => Some(Self::Hang),
            Some(("grpc", code)) => code.parse().ok().map(Self::Grpc),
            Some(("grpc-trailer", code)) => code.parse().ok().map(Self::GrpcTrailer),
            Some(("delay", rest)) => rest.split_once(':').and_then(|(millis, then)| {
                let millis = millis.parse().ok()?;
                Some(Self::Delay(Duration::from_millis(millis), Box::new(Self::parse(then))))
            }),
            _ => Self::answer(text),
        };
        parsed.unwrap_or_else(|| panic!("an endpoint cannot do {text:?}"))
    }

    fn answer(text: &str) -> Option<Self> {
        let mut parts = text.split('+');
        let status = parts.next()?.parse().ok()?;
        let headers = parts.map(|part| part.split_once(':').map(|(name, value)| (name.into(), value.into())));
        Some(Self::Answer { status, headers: headers.collect::<Option<_>>()? })
    }
}

#[test]
fn entries_are_read() {
    assert_eq!(Act::parse("200"), Act::ok());
    let headers = vec![("x-a".to_owned(), "b:c".to_owned()), ("x-b".to_owned(), "d".to_owned())];
    assert_eq!(Act::parse("404+x-a:b:c+x-b:d"), Act::Answer { status: 404, headers });
    assert_eq!(Act::parse("delay:300:reset"), Act::Delay(Duration::from_millis(300), Box::new(Act::Reset)));
    assert_eq!(Act::parse("break"), Act::Break);
    assert_eq!(Act::parse("grpc-trailer:14"), Act::GrpcTrailer(14));
}
