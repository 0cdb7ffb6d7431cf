//! How connections end.

use tokio::sync::watch;

use super::*;

#[tokio::test]
async fn idle_connections_close_without_anybody_asking() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::ZERO).await;
        let spec = PoolSpec { idle_timeout: Some(Duration::from_millis(30)), ..PoolSpec::default() };
        let (pool, permits) = pool_with(server.address, spec, Limits::default());
        assert_eq!(ask(&pool, protocol).await.unwrap(), "1");
        assert_eq!(permits.in_use(Limit::Connections), 1);
        all_closed(&permits).await;
        assert_eq!(ask(&pool, protocol).await.unwrap(), "2");
    }
}

#[tokio::test]
async fn a_connection_in_use_is_not_idle() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::from_millis(60)).await;
        let spec = PoolSpec { idle_timeout: Some(Duration::from_millis(20)), ..PoolSpec::default() };
        let (pool, _) = pool_with(server.address, spec, Limits::default());
        assert_eq!(ask(&pool, protocol).await.unwrap(), "1");
    }
}

#[tokio::test]
async fn idle_for_ever_is_possible() {
    let server = Server::start(None, Duration::ZERO).await;
    let spec = PoolSpec { idle_timeout: None, ..PoolSpec::default() };
    let (pool, permits) = pool_with(server.address, spec, Limits::default());
    ask(&pool, Protocol::Http1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(permits.in_use(Limit::Connections), 1);
}

#[tokio::test]
async fn an_old_connection_ends_with_what_is_under_way_on_it() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::from_millis(60)).await;
        let spec = PoolSpec { max_connection_duration: Some(Duration::from_millis(30)), ..PoolSpec::default() };
        let (pool, permits) = pool_with(server.address, spec, Limits::default());
        assert_eq!(ask(&pool, protocol).await.unwrap(), "1", "older than allowed, but in use");
        all_closed(&permits).await;
        assert_eq!(ask(&pool, protocol).await.unwrap(), "2");
    }
}

#[tokio::test]
async fn the_pools_end_closes_its_connections() {
    let server = Server::start(None, Duration::ZERO).await;
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), Limits::default());
    ask(&pool, Protocol::Http1).await.unwrap();
    ask(&pool, Protocol::Http2).await.unwrap();
    assert_eq!(permits.in_use(Limit::Connections), 2);
    drop(pool);
    all_closed(&permits).await;
}

#[tokio::test]
async fn an_answer_outlives_its_pool() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::from_millis(20)).await;
        let (pool, permits) = pool_with(server.address, PoolSpec::default(), Limits::default());
        let checkout = pool.checkout(protocol, false).await.unwrap();
        drop(pool);
        let (response, lease) = checkout.send(request()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1");
        lease.finish();
        all_closed(&permits).await;
    }
}

#[tokio::test]
async fn after_goaway_streams_end_where_they_are_and_others_go_elsewhere() {
    let (leave, leaving) = watch::channel(false);
    let server = Server::accepting(move |io, number| {
        let mut leaving = leaving.clone();
        async move {
            let answer = service_fn(move |_| async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok::<_, Infallible>(Response::new(Body::from(number.to_string())))
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(io), answer);
            let mut connection = std::pin::pin!(connection);
            if number == 1 {
                tokio::select! {
                    _ = connection.as_mut() => return,
                    _ = leaving.wait_for(|leave| *leave) => connection.as_mut().graceful_shutdown(),
                }
            }
            drop(connection.await);
        }
    })
    .await;
    let pool = pool(server.address);
    let under_way = ask(&pool, Protocol::Http2);
    let later = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        leave.send(true).unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        loop {
            let checkout = pool.checkout(Protocol::Http2, false).await.unwrap();
            match checkout.send(request()).await {
                Ok((response, _lease)) => return response.into_body().collect().await.unwrap().to_bytes(),
                Err(unanswered) => assert!(unanswered.unsent.is_some(), "{unanswered:?}"),
            }
        }
    };
    let (under_way, later) = tokio::join!(under_way, later);
    assert_eq!((under_way.unwrap().as_str(), &later[..]), ("1", &b"2"[..]));
}
