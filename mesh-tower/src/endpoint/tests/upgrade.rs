//! Connections that stop speaking HTTP.

use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn upgrade() -> Request<Body> {
    Request::get("http://app/").header(CONNECTION, "upgrade").header(UPGRADE, "echo").body(Body::empty()).unwrap()
}

/// Switches to an echo where it is asked to.
async fn echo(mut request: Request<hyper::body::Incoming>) -> Result<Response<Body>, Infallible> {
    if !request.headers().contains_key(UPGRADE) {
        return Ok(Response::new(Body::from("plain")));
    }
    let switched = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(switched.await.unwrap()));
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header(CONNECTION, "upgrade");
    Ok(response.header(UPGRADE, "echo").body(Body::empty()).unwrap())
}

async fn echo_server() -> Server {
    Server::accepting(|io, _| async move {
        let builder = auto::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection_with_upgrades(TokioIo::new(io), service_fn(echo)).await);
    })
    .await
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_and_keeps_its_place_until_it_closes() {
    let server = echo_server().await;
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), Limits::default());
    let (mut response, lease) = pool.checkout(Protocol::Http1, false).await.unwrap().send(upgrade()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut io = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    lease.finish();
    for _ in 0..3 {
        io.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        io.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
    }
    assert_eq!(permits.in_use(Limit::Connections), 1);
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "plain", "on a connection of its own");
    assert_eq!((server.opened(), permits.in_use(Limit::Connections)), (2, 2));
    drop(io);
    eventually("the upgraded connection is gone", || permits.in_use(Limit::Connections) == 1).await;
}

#[tokio::test]
async fn an_upgrade_that_is_declined_leaves_an_ordinary_connection() {
    let server = Server::start(None, Duration::ZERO).await;
    let pool = pool(server.address);
    assert_eq!(exchange(&pool, Protocol::Http1, upgrade()).await.unwrap(), "1");
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "1");
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_breaks_the_protocol() {
    let server = Server::accepting(|mut io, _| async move {
        let _ = io.read(&mut [0; 1024]).await;
        let _ = io.write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    })
    .await;
    assert_eq!(ask(&pool(server.address), Protocol::Http1).await, Err(Failure::ProtocolError));
}
