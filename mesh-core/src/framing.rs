//! Where messages of HTTP/1.1 end, and what leaves that in doubt.
//!
//! A server that repairs what is ambiguous may see another end than whoever has sent it on, and take a part of one request
//! for the next. So it is told of the bytes as they come, beside its parser, and refuses them.

/// Follows the bytes of one connection from a caller. It keeps nothing but the line that it is in.
#[derive(Debug)]
pub struct Framing {
    place: Place,
    line: Vec<u8>,
    head: Head,
    /// Whether a line may end with a line feed alone.
    takes_bare_feeds: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// A line of a head ends with a line feed alone. Envoy takes that.
    BareLineFeed,
    /// The size of a chunk is no number, or the chunk is longer than it says.
    Chunk,
    /// The body has a transfer coding other than `chunked`, or several. Envoy refuses them, too.
    Coding,
    /// The body has both a length and a coding. Envoy refuses them, too.
    LengthAndCoding,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    Body(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// After a request for another protocol: what comes is of the one or of the other.
    Held,
    /// What comes is no HTTP/1.1, or what the parser refuses.
    Off,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_begun: bool,
    has_length: bool,
    length: Option<u64>,
    codings: usize,
    is_chunked: bool,
    asks_for_another: bool,
}

impl Framing {
    /// At the beginning of a connection. Only `strict` refuses [`Flaw::BareLineFeed`].
    #[must_use]
    pub fn new(strict: bool) -> Self {
        Self { place: Place::Head, line: Vec::new(), head: Head::default(), takes_bare_feeds: !strict }
    }

    /// Reads on. What it says does not depend on how the bytes are cut.
    ///
    /// # Errors
    /// The first flaw; nothing is read any more after it.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), Flaw> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Off | Place::Held => return Ok(()),
                Place::Body(left) | Place::Chunk(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[skipped..];
                    *left -= skipped as u64;
                    if *left == 0 {
                        self.part_ended();
                    }
                }
                _ => bytes = self.read_line(bytes)?,
            }
        }
        Ok(())
    }

    /// Whether the last request asks for another protocol, so that nothing is followed until [`resume`](Self::resume).
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.place, Place::Held)
    }

    /// Whether there is more to come of a request's body.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        matches!(self.place, Place::Body(_) | Place::Size | Place::Chunk(_) | Place::ChunkEnd | Place::Trailers)
    }

    /// The other protocol was refused: the next request follows.
    pub fn resume(&mut self) {
        if self.is_held() {
            self.place = Place::Head;
        }
    }

    fn part_ended(&mut self) {
        match self.place {
            Place::Chunk(_) => self.place = Place::ChunkEnd,
            _ => self.message_ended(),
        }
    }

    fn message_ended(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.place = if head.asks_for_another { Place::Held } else { Place::Head };
    }

    /// Reads to the end of a line, and gives what is left.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Flaw> {
        let Some(feed) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            return Ok(&[]);
        };
        let (line, rest) = (&bytes[..feed], &bytes[feed + 1..]);
        let ended = if self.line.is_empty() {
            self.line_ended(line)
        } else {
            self.line.extend_from_slice(line);
            let line = std::mem::take(&mut self.line);
            self.line_ended(&line)
        };
        if ended.is_err() {
            self.place = Place::Off;
        }
        ended.map(|()| rest)
    }

    fn line_ended(&mut self, line: &[u8]) -> Result<(), Flaw> {
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None if matches!(self.place, Place::Head | Place::Trailers) && !self.takes_bare_feeds => {
                return Err(Flaw::BareLineFeed);
            }
            None => line,
        };
        match self.place {
            Place::Head => self.head_line(line),
            Place::Size => {
                let size = chunk_size(line).ok_or(Flaw::Chunk)?;
                self.place = if size == 0 { Place::Trailers } else { Place::Chunk(size) };
                Ok(())
            }
            Place::ChunkEnd => {
                self.place = Place::Size;
                if line.is_empty() { Ok(()) } else { Err(Flaw::Chunk) }
            }
            _ => {
                if line.is_empty() {
                    self.message_ended();
                }
                Ok(())
            }
        }
    }

    fn head_line(&mut self, line: &[u8]) -> Result<(), Flaw> {
        if !self.head.is_begun {
            // Empty lines in front are passed over.
            self.head.is_begun = !line.is_empty();
            self.head.asks_for_another = line.starts_with(b"CONNECT ");
            if line == HTTP2 {
                self.place = Place::Off;
            }
            return Ok(());
        }
        if line.is_empty() {
            return self.head_ended();
        }
        // No parser takes a name with a space behind it.
        if let Some(value) = value_of(b"content-length", line) {
            self.head.has_length = true;
            self.head.length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
        } else if let Some(value) = value_of(b"transfer-encoding", line) {
            self.head.codings += 1;
            self.head.is_chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if value_of(b"upgrade", line).is_some() {
            self.head.asks_for_another = true;
        }
        Ok(())
    }

    fn head_ended(&mut self) -> Result<(), Flaw> {
        let head = self.head;
        if head.codings > 0 {
            if head.has_length {
                return Err(Flaw::LengthAndCoding);
            }
            if head.codings > 1 || !head.is_chunked {
                return Err(Flaw::Coding);
            }
            self.place = Place::Size;
            return Ok(());
        }
        match (head.has_length, head.length) {
            (false, _) | (true, Some(0)) => self.message_ended(),
            (true, Some(length)) => self.place = Place::Body(length),
            // No number, which the parser refuses.
            (true, None) => self.place = Place::Off,
        }
        Ok(())
    }
}

/// The value of a line of a head, if it has this name.
fn value_of<'l>(name: &[u8], line: &'l [u8]) -> Option<&'l [u8]> {
    let has_colon = line.get(name.len()) == Some(&b':');
    let (start, value) = line.split_at_checked(name.len() + 1).filter(|_| has_colon)?;
    start[..name.len()].eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// The size in front of a chunk, extensions left out.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(line.len());
    let digits = &line[..end];
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_number)?, 16).ok()
}

/// The first line of a connection of HTTP/2, which no parser of HTTP/1.1 takes.
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<(), Flaw> {
        Framing::new(true).read(text.as_bytes())
    }

    fn post(lines: &str, body: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: app\r\n{lines}\r\n{body}")
    }

    #[test]
    fn requests_follow_each_other() {
        let get = "\r\nGET / HTTP/1.1\r\nHost: app\r\n\r\n";
        let sized = post("Content-Length: 3\r\n", "\n\n\n");
        let chunked =
            post("Transfer-Encoding: Chunked\r\n", "3;a=b\r\n\n\n\n\r\nA \r\n0123456789\r\n0\r\nt: 1\r\n\r\n");
        let flawed = post("Transfer-Encoding: x\r\n", "");
        for texts in [vec![get, &sized, &chunked], vec![&chunked, get, &sized], vec![&sized, &sized, &chunked, get]] {
            assert_eq!(read(&texts.concat()), Ok(()));
            assert_eq!(read(&[texts.concat(), flawed.clone()].concat()), Err(Flaw::Coding));
        }
    }

    #[test]
    fn what_leaves_the_end_in_doubt_is_refused() {
        for (lines, body, flaw) in [
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "", Flaw::LengthAndCoding),
            ("transfer-encoding: chunked\r\ncontent-length: 0\r\n", "", Flaw::LengthAndCoding),
            ("transfer-encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "", Flaw::Coding),
            ("transfer-encoding: identity, chunked\r\n", "", Flaw::Coding),
            ("transfer-encoding: chunked, chunked\r\n", "", Flaw::Coding),
            ("transfer-encoding:\r\n chunked\r\n", "", Flaw::Coding),
            ("transfer-encoding: chunked\r\n", "-1\r\n", Flaw::Chunk),
            ("transfer-encoding: chunked\r\n", "0x1\r\n", Flaw::Chunk),
            ("transfer-encoding: chunked\r\n", "\r\n", Flaw::Chunk),
            ("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n", Flaw::Chunk),
            ("transfer-encoding: chunked\r\n", "1\r\nab\r\n", Flaw::Chunk),
            ("x: 1\n", "", Flaw::BareLineFeed),
        ] {
            assert_eq!(read(&post(lines, body)), Err(flaw), "{lines:?} {body:?}");
        }
    }

    #[test]
    fn bare_line_feeds_are_taken_if_it_is_done_as_by_envoy() {
        let mut framing = Framing::new(false);
        assert_eq!(framing.read(b"GET / HTTP/1.1\nHost: app\n\n"), Ok(()));
        assert_eq!(framing.read(b"POST / HTTP/1.1\ntransfer-encoding: x\n\n"), Err(Flaw::Coding));
    }

    #[test]
    fn another_protocol_is_not_followed_until_it_is_refused() {
        let flawed = post("transfer-encoding: x\r\n", "");
        for asks in
            [post("Upgrade: websocket\r\nContent-Length: 2\r\n", "\n\n"), "CONNECT a:1 HTTP/1.1\r\n\r\n".to_owned()]
        {
            let mut framing = Framing::new(true);
            assert_eq!(framing.read(asks.as_bytes()), Ok(()));
            assert!(framing.is_held());
            assert_eq!(framing.read(flawed.as_bytes()), Ok(()));
            framing.resume();
            assert_eq!(framing.read(flawed.as_bytes()), Err(Flaw::Coding));
        }
        let mut http2 = Framing::new(true);
        assert_eq!(http2.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n\n"), Ok(()));
    }

    fn text() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "POST / HTTP/1.1\r\n",
            "\r\n",
            "\n",
            "\r",
            "content-length: 2\r\n",
            "transfer-encoding: chunked\r\n",
            "a: b\r\n",
            "2\r\n",
            "ab\r\n",
            "0\r\n\r\n",
            "-1",
            "upgrade: x\r\n",
            "PRI * HTTP/2.0\r\n",
            ";x",
            ":",
            "f",
        ]);
        prop::collection::vec(pieces, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(text in text(), cuts in prop::collection::vec(1_usize..9, 300)) {
            let mut whole = Framing::new(true);
            let expected = whole.read(text.as_bytes());
            let mut framing = Framing::new(true);
            let (mut rest, mut said) = (text.as_bytes(), Ok(()));
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                said = said.and_then(|()| framing.read(piece));
                rest = after;
            }
            prop_assert_eq!(said, expected);
            prop_assert_eq!(framing.is_held(), whole.is_held());
        }
    }
}
