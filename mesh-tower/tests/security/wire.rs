//! Bytes as they are sent, and the status that comes back.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::anybody::Io;

/// A request of HTTP/1.1 as it stands; characters are bytes.
pub(crate) fn http1(method: &str, target: &str, headers: &[(String, String)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    latin1(&text)
}

pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}

/// A connection of HTTP/2 with one request whose fields are sent as they stand.
pub(crate) fn http2(fields: &[(String, String)], body: &str) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal that enters no table.
        block.push(0);
        for text in [name, value] {
            let text = latin1(text);
            length(&mut block, text.len());
            block.extend(text);
        }
    }
    let ends = if body.is_empty() { 1 } else { 0 };
    let mut parts = block.chunks(16_000).enumerate().peekable();
    while let Some((n, part)) = parts.next() {
        let last = if parts.peek().is_none() { 4 } else { 0 };
        let (kind, flags) = if n == 0 { (1, ends | last) } else { (9, last) };
        bytes.extend(frame(kind, flags, 1, part));
    }
    if !body.is_empty() {
        bytes.extend(frame(0, 1, 1, &latin1(body)));
    }
    bytes
}

/// A length in the form of HPACK, 7 bits in the first byte.
fn length(to: &mut Vec<u8>, length: usize) {
    if length < 127 {
        to.push(length as u8);
        return;
    }
    to.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        to.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    to.push(rest as u8);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Sends, and reads the status of the first answer; nothing if there is none.
pub(crate) async fn exchange(mut stream: Box<dyn Io>, bytes: &[u8], is_http2: bool) -> Option<u16> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()?;
    let mut read = Vec::new();
    loop {
        let found = if is_http2 { status2(&read) } else { status1(&read) };
        // An interim answer is followed by another.
        if !is_http2 && found == Some(Some(100)) {
            let end = read.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                read.drain(..end + 4);
                continue;
            }
        }
        if found.is_some() {
            return found.flatten();
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

fn status1(read: &[u8]) -> Option<Option<u16>> {
    let line = read.split(|byte| *byte == b'\n').next().filter(|line| line.len() < read.len())?;
    let code = std::str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    Some(code)
}

/// The status in the first HEADERS frame; none if the stream or the connection ends before.
fn status2(read: &[u8]) -> Option<Option<u16>> {
    let mut rest = read;
    while rest.len() >= 9 {
        let size = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let kind = rest[3];
        let payload = rest.get(9..9 + size)?;
        match kind {
            1 => return Some(status_of(payload)),
            3 | 7 => return Some(None),
            _ => rest = &rest[9 + size..],
        }
    }
    None
}

fn status_of(block: &[u8]) -> Option<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [first @ 0x88..=0x8e, ..] => Some(INDEXED[usize::from(first - 0x88)]),
        [0x48, 3, a, b, c, ..] => std::str::from_utf8(&[*a, *b, *c]).ok()?.parse().ok(),
        [0x48, coded, rest @ ..] => digits(rest.get(..usize::from(coded & 127))?).parse().ok(),
        _ => None,
    }
}

/// Three digits in Huffman's code of HPACK: 0, 1 and 2 have five bits, the others six.
fn digits(coded: &[u8]) -> String {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0_u8, |number, bit| number << 1 | bit);
    let (mut at, mut text) = (0, String::new());
    while text.len() < 3 && at + 5 <= bits.len() {
        let five = number(&bits[at..at + 5]);
        let (digit, used) = match five {
            0..=2 => (five, 5),
            _ if at + 6 <= bits.len() => (number(&bits[at..at + 6]).wrapping_sub(0x19) + 3, 6),
            _ => break,
        };
        text.push(char::from(b'0' + digit % 10));
        at += used;
    }
    text
}

#[test]
fn a_status_is_read_in_every_form() {
    assert_eq!(status_of(&[0x88]), Some(200));
    assert_eq!(status_of(&[0x48, 0x83, 0x68, 0x0c, 0xff]), Some(403));
    assert_eq!(status_of(b"\x48\x03403"), Some(403));
}
