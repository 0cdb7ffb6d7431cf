//! HTTP/2 byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What a connection ends with that asks for too much.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field that enters no table.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(&mut bytes, text.len());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A field that enters the table of the connection, where 0xbe then stands for it.
pub(crate) fn kept_field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = field(name, value);
    bytes[0] = 0x40;
    bytes
}

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

pub(crate) fn request(method: &str, path: &str) -> Vec<u8> {
    [field(":method", method), field(":scheme", "http"), field(":authority", "app"), field(":path", path)].concat()
}

/// What came of an attack.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    /// The reason of a GOAWAY, if one came.
    pub(crate) goaway: Option<u32>,
    /// Streams that were reset, with the reason.
    pub(crate) resets: usize,
    /// Heads of answers.
    pub(crate) answers: usize,
    /// Those of them that say 200.
    pub(crate) served: usize,
    /// Whether the server has closed the connection.
    pub(crate) closed: bool,
}

/// A connection of HTTP/2 whose answers are read as they come.
pub(crate) struct Attack {
    write: OwnedWriteHalf,
    reading: JoinHandle<()>,
    seen: Arc<Mutex<End>>,
    pub(crate) sent: usize,
}

impl Attack {
    /// With these settings of the caller's.
    pub(crate) async fn begin(address: SocketAddr, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut read, mut write) = stream.into_split();
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        write.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        write.write_all(&frame(SETTINGS, 1, 0, &[])).await.unwrap();
        let seen = Arc::<Mutex<End>>::default();
        let noted = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            let mut head = [0; 9];
            while read.read_exact(&mut head).await.is_ok() {
                let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
                if read.read_exact(&mut payload).await.is_err() {
                    break;
                }
                let mut end = noted.lock().unwrap();
                match head[3] {
                    HEADERS => {
                        end.answers += 1;
                        // 200 has a place in the table that all begin with.
                        end.served += usize::from(payload.contains(&0x88));
                    }
                    RST_STREAM => end.resets += 1,
                    GOAWAY => end.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
                    _ => {}
                }
            }
            noted.lock().unwrap().closed = true;
        });
        Self { write, reading, seen, sent: 0 }
    }

    /// Whether they could be sent.
    pub(crate) async fn send(&mut self, frames: &[u8], count: usize) -> bool {
        let sent = tokio::time::timeout(Duration::from_secs(10), self.write.write_all(frames)).await;
        let is_sent = matches!(sent, Ok(Ok(())));
        self.sent += if is_sent { count } else { 0 };
        is_sent
    }

    /// Sends the same bytes until so many frames are sent, the time is over or the connection is.
    pub(crate) async fn flood(&mut self, frames: &[u8], each: usize, most: usize, time: Duration) {
        let began = Instant::now();
        while self.sent < most && began.elapsed() < time && self.send(frames, each).await {}
    }

    /// Waits for the end; without one in this time the connection is given up.
    pub(crate) async fn end(mut self, within: Duration) -> End {
        let _open = tokio::time::timeout(within, &mut self.reading).await;
        self.reading.abort();
        self.seen.lock().unwrap().clone()
    }
}
