//! Callers that take their time.

use std::time::{Duration, Instant};

use mesh_tower::serve::ServeOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::frames::{Attack, DATA, END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::world::{World, all_of, last_words};

const SLOW: usize = 2_000;

/// Runs this test again where as many files may be open as it takes; whether it has done so.
fn with_more_files(test: &str) -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
    if soft.is_none_or(|soft| soft > 2 * SLOW + 500) {
        return false;
    }
    let command = format!("ulimit -n {} && exec \"$0\" --exact {test} --nocapture", 2 * SLOW + 1_000);
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new("sh").arg("-c").arg(command).arg(program).status().unwrap();
    assert!(status.success(), "{test} with more files: {status}");
    true
}

#[test]
fn two_thousand_slow_heads_hold_up_nobody_and_end_in_time() {
    if with_more_files("slow::two_thousand_slow_heads_hold_up_nobody_and_end_in_time") {
        return;
    }
    let limit = Duration::from_secs(6);
    let world = World::start("slow heads", ServeOptions::new().header_timeout(limit), None, "PERMISSIVE");
    let address = world.address;
    let closed = world.under(160, async {
        let mut tasks = Vec::new();
        for n in 0..SLOW {
            // A burst of all would be turned away by the system.
            if n % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tasks.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let began = Instant::now();
                stream.write_all(b"GET / HTTP/1.1\r\nhost: app\r\nx: ").await.unwrap();
                while stream.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    assert!(began.elapsed() < limit * 2, "still open");
                }
                let took = began.elapsed();
                assert!(took >= limit && took <= limit * 5 / 4 + Duration::from_secs(4), "{took:?}");
            }));
        }
        all_of(tasks).await
    });
    assert_eq!(closed, SLOW);
}

#[test]
fn connections_without_a_word_end_in_time() {
    let limit = Duration::from_secs(2);
    let world = World::start("silence", ServeOptions::new().header_timeout(limit), None, "PERMISSIVE");
    let address = world.address;
    world.under(64, async {
        let mut silent = Vec::new();
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            silent.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                assert_eq!(last_words(&mut stream, limit * 3).await, b"");
            }));
        }
        all_of(silent).await
    });
}

#[test]
fn heads_of_http2_that_do_not_go_on_end_in_time_and_hold_up_nobody() {
    let limit = Duration::from_secs(3);
    let world = World::start("slow heads of HTTP/2", ServeOptions::new().header_timeout(limit), None, "PERMISSIVE");
    let address = world.address;
    let closed = world.under(96, async {
        let mut tasks = Vec::new();
        for n in 0..400_u32 {
            tasks.push(tokio::spawn(async move {
                // Half of them have a request under way, whose answer takes longer.
                let mut connection = Attack::begin(address, &[]).await;
                if n % 2 == 0 {
                    let slow = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/slow"));
                    assert!(connection.send(&slow, 1).await);
                }
                let began = Instant::now();
                assert!(connection.send(&frame(HEADERS, END_STREAM, 3, &request("GET", "/")), 1).await);
                let end = connection.end(limit * 3).await;
                let took = began.elapsed();
                assert!(end.closed, "still open after {took:?}");
                assert!(took >= limit * 9 / 10 && took <= limit * 5 / 4 + Duration::from_secs(2), "{took:?}");
                assert_eq!(end.answers, 0);
            }));
        }
        all_of(tasks).await
    });
    assert_eq!(closed, 400);
}

#[test]
fn bodies_of_http2_that_do_not_go_on_end_in_time_and_hold_up_nobody() {
    let limit = Duration::from_secs(2);
    let world = World::start("slow bodies of HTTP/2", ServeOptions::new().body_timeout(limit), None, "PERMISSIVE");
    let address = world.address;
    world.under(96, async {
        let mut tasks = Vec::new();
        for _ in 0..20 {
            tasks.push(tokio::spawn(async move {
                let mut connection = Attack::begin(address, &[]).await;
                for stream in 0..50 {
                    let begun = [
                        frame(HEADERS, END_HEADERS, 2 * stream + 1, &request("POST", "/read")),
                        frame(DATA, 0, 2 * stream + 1, b"begun"),
                    ];
                    assert!(connection.send(&begun.concat(), 1).await);
                }
                // The application is told that there will be no more, and answers.
                let end = connection.end(limit * 3).await;
                assert_eq!(end.answers, 50, "{end:?}");
            }));
        }
        assert_eq!(all_of(tasks).await, 20);
    });
}
