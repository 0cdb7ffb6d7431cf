//! HTTP/2 endpoints that go away in the middle of a load.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::judged::Judged;
use crate::load::{self, Ask};
use crate::raw::Raw;
use crate::scenario::{Scenario, app, speaking};

/// A frame as it stands on the wire.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Ends a stream, or acknowledges.
const END: u8 = 1;
const END_HEADERS: u8 = 4;

async fn read(stream: &mut TcpStream) -> std::io::Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await?;
    let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    Ok(Frame { kind: head[3], flags: head[4], stream: number, payload })
}

async fn write(to: &mut TcpStream, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    to.write_all(&frame).await
}

/// How often each content was taken.
type Processed = Arc<Mutex<HashMap<Vec<u8>, usize>>>;

/// Requests that a connection takes before its endpoint goes away.
const TAKEN: usize = 96;

/// Requests that it has got by then, and does not take any more.
const LEFT: usize = 4;

/// Answers each request with its own content. Once there are [`LEFT`] more than [`TAKEN`] it goes away, and says so:
/// what it has not taken it has never looked at.
async fn serve(number: usize, mut stream: TcpStream, processed: Processed) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    write(&mut stream, SETTINGS, 0, 0, &[]).await?;
    let mut contents: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    // Whole ones that wait, in order of their streams.
    let mut waiting = BTreeMap::new();
    let (mut taken, mut last) = (0, u32::MAX);
    loop {
        let frame = match tokio::time::timeout(Duration::from_millis(30), read(&mut stream)).await {
            Ok(frame) => frame?,
            // Nothing more comes for now, so what waits is taken after all.
            Err(_) => {
                for (id, content) in std::mem::take(&mut waiting) {
                    answer(&mut stream, id, content, &processed).await?;
                }
                continue;
            }
        };
        match (frame.kind, frame.flags & END) {
            (SETTINGS, 0) => write(&mut stream, SETTINGS, END, 0, &[]).await?,
            (PING, 0) => write(&mut stream, PING, END, 0, &frame.payload).await?,
            (HEADERS | DATA, end) if frame.stream <= last => {
                let content = contents.entry(frame.stream).or_default();
                if frame.kind == DATA {
                    content.extend(&frame.payload);
                }
                if end == END {
                    waiting.extend(contents.remove_entry(&frame.stream));
                }
            }
            _ => {}
        }
        // After it has gone away it goes on with what it has promised.
        while last < u32::MAX || taken < TAKEN {
            let Some((id, content)) = waiting.pop_first() else { break };
            taken += 1;
            answer(&mut stream, id, content, &processed).await?;
        }
        if last == u32::MAX && waiting.len() >= LEFT {
            // Whatever came before the first that waits is promised.
            last = *waiting.first_key_value().unwrap().0 - 1;
            let reason = if number.is_multiple_of(2) { 0 } else { 11_u32 };
            let mut payload = last.to_be_bytes().to_vec();
            payload.extend(reason.to_be_bytes());
            write(&mut stream, GOAWAY, 0, 0, &payload).await?;
            waiting.clear();
        }
    }
}

async fn answer(stream: &mut TcpStream, id: u32, content: Vec<u8>, processed: &Processed) -> std::io::Result<()> {
    *processed.lock().unwrap().entry(content.clone()).or_default() += 1;
    // The eighth of HPACK's own entries is the status 200.
    write(stream, HEADERS, END_HEADERS, id, &[0x88]).await?;
    write(stream, DATA, END, id, &content).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_endpoint_that_goes_away_only_what_it_has_not_taken_is_sent_again() {
    let scenario = Scenario::begin("34 goaway", 15, 48).await;
    let processed = Processed::default();
    let noted = Arc::clone(&processed);
    let raw = Raw::start(move |number, stream| serve(number, stream, Arc::clone(&noted))).await;
    // Where nothing is said about retries, Istio's default has those of refused streams.
    let text = app(&[raw.address], "connectionPool: {http: {maxRetries: 100}}", &["timeout: 5s"]);
    let mesh = scenario.with_text(speaking("HTTP2", &text)).build().await.unwrap();
    let asks = (0..3_000).map(|n| {
        let content = Bytes::from(format!("content {n}"));
        Ask { streams: false, expected: Some(content.clone()), ..Ask::post(n, &content) }
    });
    let tally = load::run(&mesh.client(), 8, asks).await;
    assert!(raw.connections() >= 3_000 / (TAKEN + LEFT) / 2, "{} connections", raw.connections());
    let processed = processed.lock().unwrap().clone();
    assert!(processed.values().all(|times| *times == 1), "nothing is taken twice");
    assert!(tally.outcomes.iter().all(|outcome| outcome.is_whole));
    assert!(tally.acknowledged() <= processed.len());
    assert!(tally.acknowledged() * 1_000 >= tally.requests() * 995, "{:?}", tally.statuses());
    assert!(tally.attempts() > tally.requests() + 100, "{} tries", tally.attempts());
    let judged = Judged::counted(tally.requests(), tally.attempts(), tally.took);
    scenario.end(judged, [mesh], raw).await;
}
