//! Very long bodies, very many draws, very large rings.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::mesh_core::{PeerView, RequestView, Scheme, SplitMix64};
use mesh_tower::{Body, Mesh, RouteInfo};

use crate::content::{Hash, content};
use crate::documents;
use crate::judged::Judged;
use crate::ledger::Ledger;
use crate::load::{self, Ask, streaming};
use crate::scenario::{PLAIN, Scenario, app};
use crate::served::Served;

const PIECE: usize = 64 * 1024;

/// 1 GiB.
const PIECES: usize = 16_384;

/// A body of so many pieces, none of which is there before it is asked for.
fn long(content: &Bytes) -> Body {
    let piece = content.clone();
    let pieces = (0..PIECES).map(move |_| Ok::<_, Infallible>(Frame::data(piece.clone())));
    Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
}

async fn hash_of(mut body: Body) -> (usize, String) {
    let (mut length, mut hash) = (0, Hash::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap();
        length += frame.data_ref().map_or(0, Bytes::len);
        hash.feed(frame.data_ref().map_or(&[], |data| data));
    }
    (length, hash.text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_long_bodies_stream_through_a_policy_that_tries_again() {
    let scenario = Scenario::begin("30 very long bodies", 40, 32).await;
    let piece = content(PIECE);
    let sent = piece.clone();
    let served = Served::start(move |_| {
        tower::service_fn(move |request: Request<Body>| {
            let sent = sent.clone();
            async move {
                if request.method() == Method::GET {
                    return Ok::<_, Infallible>(Response::new(long(&sent)));
                }
                let (length, hash) = hash_of(request.into_body()).await;
                let text = format!("{length} {hash}");
                Ok(Response::builder().status(503).body(Body::from(text)).unwrap())
            }
        })
    })
    .await;
    let rule = "retries: {attempts: 3, retryOn: '5xx,reset'}, timeout: 60s";
    let mesh = scenario.mesh(&[served.address], PLAIN, &[rule]).await;
    let mut whole = Hash::new();
    (0..PIECES).for_each(|_| whole.feed(&piece));
    let whole = whole.text();
    // It fails, and would be tried again, were it not so long.
    let upload = Request::post("http://app/").body(long(&piece)).unwrap();
    let response = mesh.client().send(upload).await;
    let info = response.extensions().get::<RouteInfo>().unwrap().clone();
    assert_eq!((info.attempts(), info.skipped_retries()), (1, 1));
    let mut judged = Judged::untried();
    judged.note(info.attempts() as usize);
    let said = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(said, format!("{} {whole}", PIECE * PIECES));
    drop(info);
    let response = mesh.client().send(Request::get("http://app/").body(Body::empty()).unwrap()).await;
    judged.note(response.extensions().get::<RouteInfo>().unwrap().attempts() as usize);
    assert_eq!(hash_of(response.into_body()).await, (PIECE * PIECES, whole));
    let own = served.mesh.clone();
    scenario.end(judged, [mesh, own], served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_all_bodies_together_is_bounded() {
    let scenario = Scenario::begin("30 many bodies", 20, 48).await;
    let served = Served::start(|_| {
        tower::service_fn(|request: Request<Body>| async move {
            let (length, _) = hash_of(request.into_body()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
        })
    })
    .await;
    let text = app(&[served.address], PLAIN, &["retries: {attempts: 3, retryOn: 5xx}"]);
    let most = 2 * 1024 * 1024;
    let mesh = scenario.with_text(text).replay_memory(most).build().await.unwrap();
    let body = content(60 * 1024);
    // 12 MiB at once.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let request = Request::post("http://app/").body(streaming(&body)).unwrap();
        let client = mesh.client();
        calls.spawn(async move {
            let response = client.send(request).await;
            let attempts = response.extensions().get::<RouteInfo>().unwrap().attempts();
            (attempts as usize, response.into_body().collect().await.unwrap().to_bytes())
        });
    }
    let mut judged = Judged::untried();
    let mut seen = 0;
    while !calls.is_empty() {
        seen = seen.max(mesh.gauges().replay_bytes);
        assert!(seen <= most, "{seen} bytes are kept");
        if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_millis(1), calls.join_next()).await {
            let (attempts, length) = answer.unwrap();
            judged.note(attempts);
            assert_eq!(length, "61440");
        }
    }
    assert!(seen > most * 3 / 4, "{seen} bytes are kept");
    let own = served.mesh.clone();
    scenario.end(judged, [mesh, own], served).await;
}

/// Which share of the draws each version gets, and how many are copied.
fn drawn(mesh: &Mesh, rng: &mut SplitMix64, draws: usize) -> ([usize; 4], usize) {
    let live = mesh.snapshot();
    let headers = HeaderMap::new();
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority: "app",
        path: "/",
        query: None,
        headers: &headers,
        peer: PeerView::default(),
        port: 80,
    };
    let (mut drawn, mut copied) = ([const { None }; 4], 0);
    for _ in 0..draws {
        let routed = live.snapshot().route(&view, rng).unwrap();
        drawn[usize::from(routed.destination)].get_or_insert((routed, 0)).1 += 1;
        let rule = live.snapshot().rule(routed.route);
        copied += usize::from(rule.mirrors.iter().any(|mirror| mirror.is_hit(routed.draw)));
    }
    let mut shares = [0; 4];
    for (routed, times) in drawn.into_iter().flatten() {
        let to = &live.snapshot().destination(routed).unwrap().cluster.name;
        let version: usize = to.split('|').nth(2).unwrap()[1..].parse().unwrap();
        shares[version] += times;
    }
    (shares, copied)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_a_split_and_of_a_mirror_are_those_that_were_asked_for() {
    let scenario = Scenario::begin("24 weights", 10, 48).await;
    /// Of each set, a million together.
    const DRAWS: usize = 200_000;
    let mut seeds = scenario.chance();
    let near = |count: usize, share: f64| {
        let n = DRAWS as f64;
        (count as f64 - n * share).abs() <= 4.0 * (n * share * (1.0 - share)).sqrt()
    };
    for (weights, percent) in [
        ([1, 1, 1, 1], 50.0),
        ([0, 1, 99, 900], 1.0),
        ([0, 0, 1, 2_147_483_646], 0.01),
        ([2_147_483_647, 2_147_483_647, 0, 0], 100.0),
        ([70, 20, 10, 0], 99.9),
    ] {
        let routes: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(n, weight)| format!("{{destination: {{host: app, subset: v{n}}}, weight: {weight}}}"))
            .collect();
        let rule =
            format!("route: [{}], mirror: {{host: app}}, mirrorPercentage: {{value: {percent}}}", routes.join(", "));
        let text = documents::service("app", 80, &[])
            + &documents::subsets("app", &["v0", "v1", "v2", "v3"])
            + &documents::virtual_service("app", &[&rule]);
        let mesh =
            scenario.with_text(text).build().await.unwrap_or_else(|error| panic!("{weights:?}: {}", error.report()));
        // By two threads, of which each draws half.
        let halves = std::thread::scope(|scope| {
            let draw = |seed| drawn(&mesh, &mut SplitMix64::new(seed), DRAWS / 2);
            let half = [seeds.u64(..), seeds.u64(..)].map(|seed| scope.spawn(move || draw(seed)));
            half.map(|half| half.join().unwrap())
        });
        let [(shares, copied), (others, other)] = halves;
        let shares: Vec<_> = shares.iter().zip(others).map(|(share, other)| share + other).collect();
        let copied = copied + other;
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        for (weight, share) in weights.iter().zip(&shares) {
            assert!(near(*share, f64::from(*weight) / total), "{weights:?}: {shares:?}");
        }
        assert!(near(copied, percent / 100.0), "{percent} %: {copied} of {DRAWS}");
    }
    scenario.end(Judged::untried(), [], ()).await;
}

/// A service whose endpoints have a weight, and a ring of a size.
fn ringed(addresses: &[SocketAddr], weight: u32, size: u64) -> String {
    let hash =
        format!("loadBalancer: {{consistentHash: {{httpHeaderName: x-user, ringHash: {{minimumRingSize: {size}}}}}}}");
    app(addresses, &hash, &["timeout: 5s"]).replace("labels: {version: v1}}", &format!("weight: {weight}}}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_is_refused_or_has_room_in_memory() {
    // Five seconds, and without optimization more than twice that: nearly all of it is `sort_unstable` of 8 Mi points.
    let seconds = if cfg!(debug_assertions) { 20 } else { 5 };
    // The largest ring takes 64 MiB.
    let mut scenario = Scenario::begin("23 large rings", seconds, 72).await;
    let ledger = Ledger::good();
    let addresses = [ledger.endpoint().await, ledger.endpoint().await];
    let refused = scenario.with_text(ringed(&addresses, 1, 8 * 1024 * 1024 + 1)).build().await;
    assert!(refused.is_err(), "no ring is larger than 8 Mi");
    let refused = scenario.with_text(ringed(&addresses, 1, 1 << 32)).build().await;
    assert!(refused.is_err(), "nor does its size wrap round");
    // What is refused stands in the log.
    scenario.errors = 4;
    let largest = scenario.with_text(ringed(&addresses, 1, 8 * 1024 * 1024)).build().await.unwrap();
    let tally = load::run(&largest.client(), 8, (0..200).map(|n| Ask::get(10_000 + n).header("x-user", "ann"))).await;
    assert_eq!(tally.acknowledged(), 200, "{:?}", tally.statuses());
    assert_eq!(tally.outcomes.iter().map(|outcome| &outcome.info.endpoint).collect::<BTreeSet<_>>().len(), 1);
    let (before, took) = (tally.outcomes, tally.took);
    largest.shutdown(Duration::from_secs(1)).await;
    drop(largest);
    // The sum of the weights has no room in 32 bits.
    let mesh = scenario.with_text(ringed(&addresses, u32::MAX, 100_000)).build().await.unwrap();
    let users = ["ann", "bob", "cid", "dan", "eve", "flo", "gus", "hal", "ida", "jim", "kay", "leo"];
    let asks = (0..600).map(|n| Ask::get(n).header("x-user", users[n % users.len()]));
    let tally = load::run(&mesh.client(), 8, asks).await;
    assert_eq!(tally.acknowledged(), 600, "{:?}", tally.statuses());
    let mut homes = BTreeMap::<usize, BTreeSet<String>>::new();
    for outcome in &tally.outcomes {
        let user = outcome.id[4..].parse::<usize>().unwrap() % users.len();
        homes.entry(user).or_default().insert(outcome.info.endpoint.clone().unwrap());
    }
    assert!(homes.values().all(|homes| homes.len() == 1), "each has one home: {homes:?}");
    let both: BTreeSet<_> = homes.values().flatten().collect();
    assert_eq!(both.len(), 2, "{homes:?}");
    // The one mesh and the other.
    let judged =
        Judged::by(&ledger, &load::Tally { took: tally.took + took, outcomes: [before, tally.outcomes].concat() });
    scenario.end(judged, [mesh], ledger).await;
}
