//! What comes where TLS should.

use std::time::{Duration, Instant};

use mesh_tower::serve::ServeOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::world::{World, all_of, last_words};

const LIMIT: Duration = Duration::from_secs(2);

/// A ClientHello as a client of the mesh begins with.
fn client_hello() -> Vec<u8> {
    let mut config = rustls::ClientConfig::builder_with_provider(crate::anybody::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(crate::anybody::Anybody))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"istio".to_vec(), b"http/1.1".to_vec()];
    let name = "app.default".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Sends pieces with pauses; the connection is closed within the limit of a handshake, with nothing said but an alert.
fn slow(address: std::net::SocketAddr, bytes: Vec<u8>, piece: usize, pause: Duration) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        for piece in bytes.chunks(piece) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        let said = last_words(&mut stream, LIMIT + Duration::from_secs(2)).await;
        let took = began.elapsed();
        assert!(took <= LIMIT + Duration::from_secs(2), "{took:?}");
        let is_alert = said.len() == 7 && said.starts_with(&[21, 3]);
        assert!(said.is_empty() || is_alert, "{:?}", String::from_utf8_lossy(&said));
    })
}

/// A burst of many connections would be turned away by the system.
async fn breathe() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn world(name: &'static str, ca: &Authority, mode: &str) -> World {
    World::start(name, ServeOptions::new().handshake_timeout(LIMIT), Some(ca.workload("app")), mode)
}

#[test]
fn bad_openings_where_both_are_taken_end_in_time() {
    let ca = Authority::new();
    let world = world("openings of a PERMISSIVE port", &ca, "PERMISSIVE");
    let address = world.address;
    let mut garbage = vec![0x16, 3, 1, 0x40, 0, 1];
    let mut chance = fastrand::Rng::with_seed(7);
    garbage.extend((0..64 * 1024).map(|_| chance.u8(..)));
    let hello = client_hello();
    let ended = world.under(64, async {
        let mut tasks = Vec::new();
        for _ in 0..200 {
            breathe().await;
            // Nothing; half of a record's header; a whole hello that takes too long; and what is none.
            tasks.push(slow(address, Vec::new(), 1, Duration::ZERO));
            tasks.push(slow(address, hello[..3].to_vec(), 1, Duration::ZERO));
            tasks.push(slow(address, hello.clone(), 1, Duration::from_millis(40)));
            tasks.push(slow(address, garbage.clone(), 8_192, Duration::ZERO));
        }
        all_of(tasks).await
    });
    assert_eq!(ended, 800);
}

#[test]
fn a_hello_byte_by_byte_is_a_hello() {
    let ca = Authority::new();
    let world = world("a hello byte by byte", &ca, "PERMISSIVE");
    let address = world.address;
    world.under(64, async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in client_hello() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.unwrap();
        assert_eq!(answer[..2], [22, 3], "the handshake goes on");
    });
}

#[test]
fn strict_says_nothing_to_plaintext() {
    let ca = Authority::new();
    let strict = world("openings of a STRICT port", &ca, "STRICT");
    let address = strict.address;
    // Nobody is served here: there is no honest caller without a certificate.
    strict.calling.block_on(async {
        let mut tasks = Vec::new();
        for opening in
            [&b"GET / HTTP/1.1\r\nhost: app\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x80\x01", b"\0"]
        {
            for _ in 0..100 {
                breathe().await;
                tasks.push(tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let began = Instant::now();
                    let _reset = stream.write_all(opening).await;
                    assert_eq!(last_words(&mut stream, LIMIT).await, b"");
                    assert!(began.elapsed() < LIMIT, "at once");
                }));
            }
        }
        for _ in 0..100 {
            breathe().await;
            tasks.push(slow(address, Vec::new(), 1, Duration::ZERO));
            tasks.push(slow(address, client_hello(), 1, Duration::from_millis(40)));
        }
        assert_eq!(all_of(tasks).await, 600);
    });
}
