//! HTTP/1.1 by hand: what is written is what was recorded, and what is read is seen as it is.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::record::Headers;

/// Bytes as the text that stands for them in recordings, one character each.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes that a text of a recording stands for.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    let mut utf8 = [0; 4];
    text.chars()
        .flat_map(|char| match u8::try_from(char) {
            Ok(byte) => vec![byte],
            Err(_) => char.encode_utf8(&mut utf8).as_bytes().to_vec(),
        })
        .collect()
}

/// The first value of a header whose name is in lower case.
pub(crate) fn value_of<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// A start line and headers, whose names are in lower case.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Headers,
}

/// How a body ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Chunked,
    Length(usize),
    ToTheEnd,
}

impl Framing {
    /// As the headers say; what a message without a word about it has, depends on its kind.
    pub(crate) fn of(headers: &Headers, otherwise: Self) -> Self {
        if value_of(headers, "transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            return Self::Chunked;
        }
        let length = value_of(headers, "content-length").and_then(|length| length.parse().ok());
        length.map_or(otherwise, Self::Length)
    }
}

/// A connection that is read message by message.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next head; `None` if the other side has ended.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.more().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        let head = text_of(&self.buffer[..end]);
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        Ok(Some(Head { start, headers: lines.filter_map(header).collect() }))
    }

    /// The body, and the trailers of a chunked one.
    pub(crate) async fn body(&mut self, framing: Framing) -> io::Result<(Vec<u8>, Headers)> {
        match framing {
            Framing::Length(length) => Ok((self.exactly(length).await?, Headers::new())),
            Framing::ToTheEnd => {
                while self.more().await? > 0 {}
                Ok((std::mem::take(&mut self.buffer), Headers::new()))
            }
            Framing::Chunked => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> io::Result<(Vec<u8>, Headers)> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size).await?);
            self.line().await?;
        }
        let mut trailers = Headers::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.extend(header(&line));
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let end = loop {
            match find(&self.buffer, b"\r\n") {
                Some(end) => break end,
                None => self.some().await?,
            }
        };
        let line = text_of(&self.buffer[..end]);
        self.buffer.drain(..end + 2);
        Ok(line)
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.some().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn some(&mut self) -> io::Result<()> {
        if self.more().await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}
