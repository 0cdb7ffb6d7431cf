//! Copies that go nowhere, and copies of copies.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Request;
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, Mesh};

use crate::content::{Hash, content};
use crate::documents;
use crate::faultd::{Fault, Faultd};
use crate::judged::Judged;
use crate::lag::Lag;
use crate::ledger::{ID, Ledger, Reply};
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario, app, eventually};
use crate::served::Served;

/// A rule that copies what is asked for below `/copied` to a service `shadow`.
const COPIED: &str = "match: [{uri: {prefix: /copied}}], route: [{destination: {host: app}}], mirror: {host: shadow}";

/// Every second one is copied.
const REQUESTS: usize = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_never_answers_takes_its_slots_and_nothing_from_the_main_requests() {
    let scenario = Scenario::begin("29 mirror to a black hole", 15, 64).await;
    // A service that has something to do: of what takes no time, whatever is done beside it is a large part.
    let ledger = Ledger::new(|_| Reply::ok().after(Duration::from_millis(20)));
    let hole = Faultd::start(ledger.endpoint().await, |_| Fault::Blackhole);
    let text = app(&[ledger.endpoint().await], PLAIN, &[COPIED, ""]);
    let text = text + &documents::service("shadow", 80, &[("v1", hole.address)]);
    let builder = scenario.with_text(text).max_mirrors(20).mirror_timeout(Duration::from_secs(1));
    let mesh = builder.build().await.unwrap();
    let most = Arc::new(AtomicU32::new(0));
    let watching = {
        let (mesh, most) = (mesh.clone(), Arc::clone(&most));
        tokio::spawn(async move {
            loop {
                most.fetch_max(mesh.gauges().mirrors, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let body = content(4_000);
    // In turns, so that what else happens on this machine happens to both.
    let asks =
        (0..REQUESTS).map(|n| Ask::post(n, &body).to(if n % 2 == 0 { "http://app/copied" } else { "http://app/" }));
    let asks = asks.map(|ask| Ask { streams: true, ..ask });
    let lag = Lag::watch();
    let tally = load::run(&mesh.client(), 16, asks).await;
    let late = lag.percentile(99);
    drop(lag);
    watching.abort();
    let _ended = watching.await;
    let (mut copied, mut plain) = (load::Tally::default(), load::Tally::default());
    for outcome in &tally.outcomes {
        let is_copied = outcome.id[5..].parse::<usize>().unwrap() % 2 == 0;
        if is_copied { &mut copied } else { &mut plain }.outcomes.push(outcome.clone());
    }
    assert_eq!(tally.acknowledged(), tally.requests(), "{:?}", tally.statuses());
    let (with, without) = (copied.percentile(99), plain.percentile(99));
    // A twentieth; what makes timers late hits one of a hundred of either kind as it comes.
    let told = format!("{with:?} with a mirror, {without:?} without, and timers are {late:?} late");
    assert!(with <= without.mul_f64(1.05) + late, "{told}");
    println!("{told}");
    assert_eq!(most.load(Ordering::Relaxed), 20, "slots of mirrors");
    assert!(mesh.gauges().mirrors_skipped > REQUESTS as u64 / 3, "{:?}", mesh.gauges());
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (hole, ledger)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_reaches_the_mirror_whole_or_is_counted_as_given_up() {
    let scenario = Scenario::begin("29 long bodies", 15, 64).await;
    let ledger = Ledger::good();
    let shadow = Ledger::good();
    let text = app(&[ledger.endpoint().await], PLAIN, &[COPIED, ""]);
    let text = text + &documents::service("shadow", 80, &[("v1", shadow.endpoint().await)]);
    let mesh = scenario.with_text(text).build().await.unwrap();
    let body = content(4 * 1024 * 1024);
    let asks = (0..12).map(|n| Ask::post(n, &body).to("http://app/copied"));
    let tally = load::run(&mesh.client(), 2, asks).await;
    assert_eq!(tally.acknowledged(), tally.requests(), "{:?}", tally.statuses());
    let hash = Hash::of(&body);
    let whole = || shadow.entries().values().flat_map(|entry| entry.copied.clone()).collect::<Vec<_>>();
    // So much may lie between the two.
    eventually("the copies are there", || whole().len() == 12).await.unwrap();
    assert!(whole().iter().all(|copy| *copy == hash), "each copy is whole");
    assert_eq!(mesh.gauges().mirrors_cut, 0);
    // Of longer ones, those that keep up; none is cut short.
    let longer = content(16 * 1024 * 1024);
    let asks = (12..16).map(|n| Ask::post(n, &longer).to("http://app/copied"));
    let more = load::run(&mesh.client(), 1, asks).await;
    let all = || 16 - usize::try_from(mesh.gauges().mirrors_cut).unwrap();
    eventually("the copies are there, or given up", || whole().len() == all()).await.unwrap();
    let longer = Hash::of(&longer);
    assert!(whole().iter().all(|copy| *copy == hash || *copy == longer), "each copy is whole");
    // Copies, too, have come whole and once, or not at all.
    let copied = shadow.entries();
    assert!(copied.values().all(|entry| (entry.begun, entry.copies <= 1) == (0, true)), "{copied:?}");
    let took = tally.took + more.took;
    let judged = Judged::by(&ledger, &load::Tally { took, ..tally.join(more) });
    scenario.end(judged, [mesh], (ledger, shadow)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_its_own_mirror_is_copied_once() {
    let scenario = Scenario::begin("29 mirror to self", 15, 48).await;
    let ledger = Ledger::good();
    // What it asks for is copied to itself.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    let rule = "route: [{destination: {host: app}}], mirror: {host: own}";
    let text = app(&[ledger.endpoint().await], PLAIN, &[rule]) + &documents::service("own", 80, &[("v1", own)]);
    let mesh = scenario.with_text(text.clone()).build().await.unwrap();
    drop(listener);
    let served = Served::at(own, mesh, ServeOptions::default(), |mesh: Mesh| {
        tower::service_fn(move |request: Request<Body>| {
            let client = mesh.client();
            async move {
                let call = Request::get("http://app/").header(ID, &request.headers()[ID]).body(Body::empty()).unwrap();
                Ok::<_, Infallible>(client.send(call).await)
            }
        })
    })
    .await;
    let caller = scenario.with_text(documents::service("own", 80, &[("v1", own)])).build().await.unwrap();
    let tally = load::run(&caller.client(), 4, (0..300).map(|n| Ask::get(n).to("http://own/"))).await;
    assert_eq!(tally.acknowledged(), 300, "{:?}", tally.statuses());
    // The handler asks for the request, its copy reaches the handler, and that one asks once more.
    eventually("the copies are there", || ledger.copies() >= 300).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((ledger.arrivals(), ledger.copies()), (300, 300));
    let judged = Judged::counted(tally.requests(), tally.attempts().max(ledger.arrivals()), tally.took);
    // It is connected to itself, so nobody else would close that.
    served.mesh.shutdown(Duration::from_secs(1)).await;
    scenario.end(judged, [caller, served.mesh.clone()], (served, ledger)).await;
}
