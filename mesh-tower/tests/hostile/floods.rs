//! Frames that cost the caller less than the server.
//!
//! Counts are those of the plan; a run ends after some seconds where a machine does not get that far.

use std::time::Duration;

use mesh_tower::serve::ServeOptions;

use crate::frames::{
    Attack, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, request,
};
use crate::world::World;

const MILLION: usize = 1_000_000;
const TIME: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(5);

fn world(name: &'static str, options: ServeOptions) -> World {
    World::start(name, options, None, "PERMISSIVE")
}

fn cancelled(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let world = world("rapid reset", ServeOptions::new());
    let address = world.address;
    world.under(64, async {
        for _ in 0..20 {
            let mut attack = Attack::begin(address, &[]).await;
            let head = request("GET", "/slow");
            let mut stream = 1;
            while attack.sent < 100_000 {
                let mut frames = Vec::new();
                for _ in 0..50 {
                    frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
                    frames.extend(cancelled(stream));
                    stream += 2;
                }
                if !attack.send(&frames, 50).await {
                    break;
                }
            }
            let sent = attack.sent;
            let end = attack.end(SOON).await;
            assert!(end.closed && sent < 100_000, "{end:?} after {sent}");
            assert!(matches!(end.goaway, None | Some(ENHANCE_YOUR_CALM)), "{end:?}");
        }
    });
}

#[test]
fn streams_that_are_reset_a_little_later_end_it_too() {
    let world = world("rapid reset, patiently", ServeOptions::new());
    let address = world.address;
    world.under(64, async {
        let mut attack = Attack::begin(address, &[]).await;
        let head = request("GET", "/slow");
        let mut stream = 1;
        while attack.sent < 2_000 {
            let streams: Vec<u32> = (0..10).map(|n| stream + 2 * n).collect();
            stream += 20;
            let begun = streams.iter().flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, *stream, &head));
            if !attack.send(&begun.collect::<Vec<_>>(), 0).await {
                break;
            }
            // Their requests are under way by then.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let resets = streams.iter().flat_map(|stream| cancelled(*stream));
            if !attack.send(&resets.collect::<Vec<_>>(), 10).await {
                break;
            }
        }
        let sent = attack.sent;
        assert!(attack.end(SOON).await.closed && sent < 1_000, "after {sent}");
    });
}

/// Floods with one kind of frame; whether the connection was closed.
fn flooded(name: &'static str, start: &[u8], frames: &[u8], each: usize) -> bool {
    let world = world(name, ServeOptions::new());
    let address = world.address;
    world.under(64, async {
        let mut attack = Attack::begin(address, &[]).await;
        assert!(attack.send(start, 0).await);
        attack.flood(frames, each, MILLION, TIME).await;
        let sent = attack.sent;
        let end = attack.end(Duration::from_millis(500)).await;
        println!("{name}: {sent} frames, {end:?}");
        end.closed
    })
}

#[test]
fn pings_and_settings_are_answered_one_by_one() {
    flooded("PING", &[], &frame(PING, 0, 0, &[0; 8]).repeat(100), 100);
    flooded("SETTINGS", &[], &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(100), 100);
}

#[test]
fn pings_whose_answers_are_not_read_are_not_read_on() {
    let world = world("PING, unread", ServeOptions::new());
    let address = world.address;
    world.under(64, async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut sent = 0;
        let pings = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
        let start = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
        let mut stream = stream;
        tokio::io::AsyncWriteExt::write_all(&mut stream, &start).await.unwrap();
        let flooding = async {
            while tokio::io::AsyncWriteExt::write_all(&mut stream, &pings).await.is_ok() {
                sent += 1_000;
            }
        };
        let _throttled = tokio::time::timeout(TIME, flooding).await;
        // As many as two sockets hold, and not one more.
        println!("PING, unread: {sent} frames");
        assert!(sent < MILLION);
    });
}

#[test]
fn data_without_content_ends_the_connection() {
    let begun = frame(HEADERS, END_HEADERS, 1, &request("POST", "/read"));
    assert!(flooded("empty DATA", &begun, &frame(DATA, 0, 1, &[]).repeat(100), 100));
}

#[test]
fn windows_that_grow_for_nothing_end_the_connection_or_cost_little() {
    let begun = frame(HEADERS, END_HEADERS, 1, &request("POST", "/read"));
    let connection = frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(100);
    flooded("WINDOW_UPDATE", &begun, &connection, 100);
    let stream = frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).repeat(100);
    flooded("WINDOW_UPDATE of a stream", &begun, &stream, 100);
}

#[test]
fn windows_that_stay_shut_end_the_connection() {
    let limit = Duration::from_secs(2);
    let world = world("shut windows", ServeOptions::new().stall_timeout(limit));
    let address = world.address;
    world.under(64, async {
        let mut attacks = Vec::new();
        for _ in 0..20 {
            // SETTINGS_INITIAL_WINDOW_SIZE: 0.
            let mut attack = Attack::begin(address, &[0, 4, 0, 0, 0, 0]).await;
            for stream in 0..300 {
                let head = frame(HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, &request("GET", "/large"));
                attack.send(&head, 1).await;
            }
            attacks.push(attack);
        }
        for attack in attacks {
            let end = attack.end(limit * 3).await;
            assert!(end.closed, "{end:?}");
            // More than 200 at once are refused.
            assert!(end.answers <= 200 && end.resets >= 100, "{end:?}");
        }
    });
}
