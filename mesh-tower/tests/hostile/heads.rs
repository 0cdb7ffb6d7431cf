//! Heads of HTTP/2 that are far larger than what is sent of them, or have no end.

use std::time::Duration;

use mesh_tower::serve::ServeOptions;

use crate::frames::{
    Attack, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, field, frame, kept_field, request,
};
use crate::world::World;

const SOON: Duration = Duration::from_secs(5);

fn world(name: &'static str) -> World {
    World::start(name, ServeOptions::new(), None, "PERMISSIVE")
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let world = world("CONTINUATION");
    let address = world.address;
    world.under(64, async {
        for (first, piece) in [(request("GET", "/"), field("x", &"a".repeat(100))), (Vec::new(), Vec::new())] {
            for _ in 0..20 {
                let mut attack = Attack::begin(address, &[]).await;
                attack.send(&frame(HEADERS, END_STREAM, 1, &first), 1).await;
                attack.flood(&frame(CONTINUATION, 0, 1, &piece), 1, 100_000, SOON).await;
                let sent = attack.sent;
                let end = attack.end(SOON).await;
                assert!(end.closed && sent < 50_000, "{end:?} after {sent}");
                assert!(end.answers == 0 && matches!(end.goaway, None | Some(ENHANCE_YOUR_CALM)), "{end:?}");
            }
        }
    });
}

#[test]
fn a_head_that_grows_when_it_is_unpacked_is_not_kept() {
    let world = world("HPACK bomb");
    let address = world.address;
    let large = world.under(64, async {
        let mut large = 0;
        for _ in 0..20 {
            let mut attack = Attack::begin(address, &[]).await;
            let first = [request("GET", "/"), kept_field("x", &"a".repeat(3_900))].concat();
            attack.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &first), 1).await;
            // Each byte stands for nearly 4 KiB: 60 MiB in a frame, 12 GiB in all streams.
            for stream in 1..200 {
                let bomb = [request("GET", "/slow"), vec![0xbe; 16_000]].concat();
                if !attack.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, &bomb), 1).await {
                    break;
                }
            }
            let end = attack.end(SOON).await;
            assert!(end.closed, "{end:?}");
            large += 1;
        }
        large
    });
    assert_eq!(large, 20);
}

#[test]
fn many_cookies_are_many_lines() {
    let world = world("cookies");
    let address = world.address;
    world.under(64, async {
        let cookies = |count: usize| [request("GET", "/"), field("cookie", "a=b").repeat(count)].concat();
        let mut attack = Attack::begin(address, &[]).await;
        for stream in 0..100 {
            let head = cookies(if stream == 0 { 90 } else { 150 });
            attack.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, &head), 1).await;
        }
        let end = attack.end(Duration::from_millis(500)).await;
        assert_eq!((end.answers, end.served, end.closed), (100, 1, false), "{end:?}");
    });
}
