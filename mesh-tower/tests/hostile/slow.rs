//! Callers that take their time.

use std::time::{Duration, Instant};

use mesh_tower::serve::ServeOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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
