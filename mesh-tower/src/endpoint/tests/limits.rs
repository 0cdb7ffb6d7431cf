//! How many connections, streams and waiting requests there may be.

use futures_util::future::join_all;
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn at_the_limit_a_request_waits_for_the_next_free_connection() {
    let server = Server::start(None, Duration::from_millis(20)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    let all = join_all((0..8).map(|_| ask(&pool, Protocol::Http1))).await;
    assert!(all.iter().all(|answer| answer.as_deref() == Ok("1")), "{all:?}");
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
}

#[tokio::test]
async fn who_waits_is_served_in_order() {
    let server = Server::start(None, Duration::from_millis(5)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (pool, _) = pool_with(server.address, PoolSpec::default(), limits);
    let served = std::sync::Mutex::new(Vec::new());
    let (pool, served) = (&pool, &served);
    join_all((0..6).map(|number| async move {
        ask(pool, Protocol::Http1).await.unwrap();
        served.lock().unwrap().push(number);
    }))
    .await;
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn who_may_not_wait_is_refused_at_once() {
    let server = Server::start(None, Duration::from_millis(50)).await;
    let limits = Limits { connections: 1, pending_requests: 1, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    let first = ask(&pool, Protocol::Http1);
    let others = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        join_all((0..3).map(|_| ask(&pool, Protocol::Http1))).await
    };
    let (first, others) = tokio::join!(first, others);
    assert_eq!(first.unwrap(), "1");
    let refused = others.iter().filter(|answer| **answer == Err(Failure::Overflow(Limit::PendingRequests))).count();
    assert_eq!((others.len() - refused, refused), (1, 2));
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
}

#[tokio::test]
async fn an_endpoint_may_always_have_one_connection_of_each_protocol() {
    let server = Server::start(None, Duration::ZERO).await;
    let limits = Limits { connections: 0, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    for protocol in BOTH {
        let answer = tokio::time::timeout(Duration::from_secs(1), ask(&pool, protocol)).await;
        answer.expect("an idle connection of the other protocol is no hindrance").unwrap();
    }
    assert_eq!(permits.in_use(Limit::Connections), 2);
}

#[tokio::test]
async fn the_limit_counts_over_all_endpoints() {
    let (one, two) = (Server::start(None, Duration::ZERO).await, Server::start(None, Duration::ZERO).await);
    let (first, permits) = pool_with(one.address, PoolSpec::default(), Limits { connections: 2, ..Limits::default() });
    let options =
        PoolOptions { connect_timeout: Duration::from_secs(1), pool: PoolSpec::default(), network: Network::System };
    let second = EndpointPool::new(EndpointAddress::Socket(two.address), options, Arc::clone(&permits));
    let held =
        (first.checkout(Protocol::Http1, false).await.unwrap(), first.checkout(Protocol::Http1, false).await.unwrap());
    assert_eq!(ask(&second, Protocol::Http1).await.unwrap(), "1", "the first connection of an endpoint");
    assert!(is_pending(first.checkout(Protocol::Http1, false)).await);
    assert_eq!((permits.in_use(Limit::Connections), one.opened()), (3, 2));
    drop(held);
}

#[tokio::test]
async fn streams_share_a_connection_until_the_peer_allows_no_more() {
    let server = Server::start(Some(2), Duration::from_millis(40)).await;
    let pool = pool(server.address);
    let mut numbers: Vec<_> =
        join_all((0..4).map(|_| ask(&pool, Protocol::Http2))).await.into_iter().map(Result::unwrap).collect();
    numbers.sort();
    assert_eq!(numbers, ["1", "1", "2", "2"]);
    assert_eq!(server.opened(), 2, "no more than those who wait need");
}

#[tokio::test]
async fn streams_share_a_connection_up_to_our_own_limit() {
    let server = Server::start(None, Duration::from_millis(40)).await;
    let spec = PoolSpec { max_concurrent_streams: 3, ..PoolSpec::default() };
    let (pool, _) = pool_with(server.address, spec, Limits::default());
    let all = join_all((0..6).map(|_| ask(&pool, Protocol::Http2))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn streams_that_have_their_connections_for_themselves_do_not_wait_for_each_other() {
    let server = Server::start(None, Duration::from_millis(40)).await;
    let spec = PoolSpec { max_requests_per_connection: 1, ..PoolSpec::default() };
    let (pool, _) = pool_with(server.address, spec, Limits::default());
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { ask(&pool, Protocol::Http2).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(pool.counts().opening, 6, "all at once");
    for asked in waiting {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(server.opened(), 6);
}

#[tokio::test]
async fn who_waits_for_a_stream_at_the_limit_of_connections_gets_the_next_that_ends() {
    let server = Server::start(Some(1), Duration::from_millis(10)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    let all = join_all((0..6).map(|_| ask(&pool, Protocol::Http2)));
    let all = tokio::time::timeout(Duration::from_secs(5), all).await.expect("nobody is forgotten");
    assert!(all.iter().all(|answer| answer.as_deref() == Ok("1")), "{all:?}");
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
}

#[tokio::test]
async fn whoever_waits_gets_a_connection_when_the_only_one_closes() {
    let server = Server::start(None, Duration::from_millis(10)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let spec = PoolSpec { max_requests_per_connection: 1, ..PoolSpec::default() };
    for protocol in BOTH {
        let (pool, permits) = pool_with(server.address, spec.clone(), limits);
        let all = join_all((0..6).map(|_| ask(&pool, protocol)));
        let all = tokio::time::timeout(Duration::from_secs(5), all).await.expect("nobody is forgotten");
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        all_closed(&permits).await;
        assert_eq!(pool.counts().opened, 6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Requests that give up at any moment leave nothing behind, and take nothing from the others.
    #[test]
    fn whoever_gives_up_leaves_nothing_behind(
        patience in prop::collection::vec(0_u64..12_000, 1..24),
        connections in 1_u32..4,
        http2 in any::<bool>(),
        max_requests in 0_u32..4,
        threads in 1_usize..3,
    ) {
        let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
        runtime.block_on(async move {
            let server = Server::start(Some(2), Duration::from_millis(3)).await;
            let spec = PoolSpec { max_requests_per_connection: max_requests, ..PoolSpec::default() };
            let (pool, permits) = pool_with(server.address, spec, Limits { connections, ..Limits::default() });
            let all = patience.into_iter().map(|patience| {
                let pool = Arc::clone(&pool);
                let asking = async move { ask(&pool, protocol).await };
                tokio::spawn(tokio::time::timeout(Duration::from_micros(patience), asking))
            });
            for asked in join_all(all).await {
                // In time, or not: but never an error.
                if let Ok(answer) = asked.unwrap() {
                    answer.unwrap();
                }
            }
            assert_eq!(permits.in_use(Limit::PendingRequests), 0);
            assert_eq!(pool.counts().waiting, 0);
            let last = tokio::time::timeout(Duration::from_secs(5), ask(&pool, protocol)).await;
            last.expect("the pool still works").unwrap();
            drop(pool);
            all_closed(&permits).await;
        });
    }
}
