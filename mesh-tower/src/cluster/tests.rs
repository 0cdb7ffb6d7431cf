use mesh_core::cluster::{ClusterKey, DnsTarget, EndpointAddress, EndpointSpec};
use tokio::time::{advance, sleep};

use super::places::DYNAMIC_AGE;
use super::*;
use crate::discovery::Dns;
use crate::discovery::fake::FakeDns;

fn environment(fake: &FakeDns) -> Environment {
    Environment {
        resolver: Resolver::new(Arc::new(Dns::new(fake.clone()))),
        profile: Profile::Safe,
        network: Network::System,
        identity: IdentityHandle::default(),
        first_turn: 0,
        metrics: None,
    }
}

fn cluster(endpoints: EndpointSource) -> Arc<ClusterSpec> {
    Arc::new(ClusterSpec::new(ClusterKey::outbound(80, "", "app"), endpoints))
}

/// The addresses of some members, by their last bytes.
fn last_bytes(members: &Members) -> Vec<String> {
    let last = |state: &Arc<EndpointState>| state.address().to_string().rsplit(['.', ':']).nth(1).unwrap().to_owned();
    members.hosts.iter().map(last).collect()
}

#[tokio::test(start_paused = true)]
async fn a_place_is_looked_up_again_when_it_has_aged() {
    let fake = FakeDns::default();
    fake.answer("else.where", &[1]);
    let handle = ClusterHandle::new(cluster(EndpointSource::OriginalDestination { port: None }), &environment(&fake));
    let at = async || last_bytes(&handle.members_at("else.where", 80).await.unwrap());
    assert_eq!(at().await, ["1"]);
    fake.answer("else.where", &[2]);
    advance(DYNAMIC_AGE - Duration::from_secs(1)).await;
    assert_eq!((at().await, fake.asked("else.where")), (vec!["1".to_owned()], 1));
    advance(Duration::from_secs(1)).await;
    assert_eq!((at().await, fake.asked("else.where")), (vec!["2".to_owned()], 2));
    // Without an answer the last one serves on, and is asked for at the same pace.
    fake.fail("else.where");
    advance(DYNAMIC_AGE).await;
    assert_eq!((at().await, at().await), (vec!["2".to_owned()], vec!["2".to_owned()]));
    assert_eq!(fake.asked("else.where"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_name_without_an_address_is_asked_for_each_time() {
    let fake = FakeDns::default();
    let handle = ClusterHandle::new(cluster(EndpointSource::OriginalDestination { port: None }), &environment(&fake));
    for _ in 0..2 {
        assert_eq!(handle.members_at("nowhere", 80).await.unwrap_err(), Failure::NoHealthyUpstream);
    }
    assert_eq!(fake.asked("nowhere"), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_come_first_to_a_place_share_its_look_up_and_its_connections() {
    let fake = FakeDns::slow(Duration::from_millis(50));
    fake.answer("else.where", &[1]);
    let handle = ClusterHandle::new(cluster(EndpointSource::OriginalDestination { port: None }), &environment(&fake));
    let first = futures_util::future::join_all((0..10).map(|_| handle.members_at("else.where", 80))).await;
    let first: Vec<_> = first.into_iter().map(Result::unwrap).collect();
    assert!(first.iter().all(|members| Arc::ptr_eq(&members.pools[0].0, &first[0].pools[0].0)));
    assert_eq!(fake.asked("else.where"), 1);
    // Nor does each of them ask in turn for what is not there.
    let began = crate::clock::now();
    let nobody = futures_util::future::join_all((0..10).map(|_| handle.members_at("nowhere", 80))).await;
    assert!(nobody.iter().all(Result::is_err));
    assert_eq!((fake.asked("nowhere"), crate::clock::now() - began), (1, Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn another_pace_of_look_ups_keeps_the_endpoints_although_nobody_answers() {
    let fake = FakeDns::default();
    fake.answer("db", &[1]);
    let dns = |seconds| {
        let targets = vec![DnsTarget::of("db", 80)];
        cluster(EndpointSource::Dns { targets, logical: false, refresh: Duration::from_secs(seconds) })
    };
    let first = ClusterHandle::new(dns(5), &environment(&fake));
    first.looked_up().await;
    fake.fail("db");
    let environment = Environment { resolver: first.resolver.clone(), ..environment(&fake) };
    let second = first.successor(dns(30), &environment);
    drop(first);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(last_bytes(&second.current(crate::clock::now())), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_address_are_two_endpoints_and_keep_their_connections_at_each_look_up() {
    let fake = FakeDns::default();
    fake.answer("one", &[1]);
    fake.answer("two", &[1]);
    let targets = vec![DnsTarget::of("one", 80), DnsTarget::of("two", 80)];
    let source = EndpointSource::Dns { targets, logical: false, refresh: Duration::from_secs(5) };
    let handle = ClusterHandle::new(cluster(source), &environment(&fake));
    handle.looked_up().await;
    let pools = || handle.members.load().pools.iter().map(|(pool, _)| Arc::as_ptr(pool)).collect::<Vec<_>>();
    let first = pools();
    assert!(first.len() == 2 && first[0] != first[1], "{first:?}");
    sleep(Duration::from_secs(20)).await;
    assert!(fake.asked("one") > 2);
    assert_eq!(pools(), first);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_gets_another_name_keeps_its_permits_and_its_endpoints_until_there_is_an_answer() {
    let fake = FakeDns::default();
    fake.answer("one", &[1]);
    let dns = |host: &str| {
        let refresh = Duration::from_secs(5);
        cluster(EndpointSource::Dns { targets: vec![DnsTarget::of(host, 80)], logical: false, refresh })
    };
    let first = ClusterHandle::new(dns("one"), &environment(&fake));
    first.looked_up().await;
    let held = first.permits().try_acquire(mesh_core::failure::Limit::Requests).unwrap();
    let second = first.successor(dns("two"), &environment(&fake));
    assert_eq!(second.permits().in_use(mesh_core::failure::Limit::Requests), 1);
    assert_eq!(last_bytes(&second.current(crate::clock::now())), ["1"]);
    sleep(Duration::from_secs(1)).await;
    fake.answer("two", &[2]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(last_bytes(&second.current(crate::clock::now())), ["2"]);
    drop(held);
}

fn endpoints(last_bytes: std::ops::RangeInclusive<u8>) -> EndpointSource {
    let at = |last: u8| EndpointSpec::at(EndpointAddress::Socket(([10, 0, 0, last], 80).into()));
    EndpointSource::Static(last_bytes.map(at).collect())
}

/// How many of 1,000 choices fall on the last endpoint.
fn share_of_the_last(handle: &ClusterHandle) -> usize {
    let mut rng = mesh_core::SplitMix64::new(1);
    let pick = Pick::first(crate::clock::now());
    let last = handle.current(pick.now).hosts.iter().last().unwrap().address().clone();
    (0..1_000).filter(|_| handle.pick(&pick, &mut rng).unwrap().state.address() == &last).count()
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_comes_later_warms_up_while_requests_come() {
    let fake = FakeDns::default();
    let warm = |endpoints| {
        let mut spec = ClusterSpec::clone(&cluster(endpoints));
        spec.lb = mesh_core::lb::LbSpec::RoundRobin;
        let window = Duration::from_secs(100);
        spec.warm_up = Some(mesh_core::lb::WarmUp { window, minimum_percent: 10.0, aggression: 1.0 });
        Arc::new(spec)
    };
    let first = ClusterHandle::new(warm(endpoints(1..=4)), &environment(&fake));
    assert_eq!(share_of_the_last(&first), 250, "all of them are as new as each other");
    advance(Duration::from_secs(1_000)).await;
    let second = first.successor(warm(endpoints(1..=5)), &environment(&fake));
    let mut shares = Vec::new();
    for _ in 0..6 {
        shares.push(share_of_the_last(&second));
        advance(Duration::from_secs(20)).await;
    }
    // A tenth of a share at first, then a fifth more each time: of 4.1, of 4.2, and so on up to 5.
    for (share, factor) in shares.iter().zip([0.1, 0.2, 0.4, 0.6, 0.8, 1.0]) {
        let expected = 1_000.0 * factor / (4.0 + factor);
        assert!((*share as f64 - expected).abs() < 8.0, "{shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_stay_keep_their_age_when_the_others_change() {
    let fake = FakeDns::default();
    let first = ClusterHandle::new(cluster(endpoints(1..=2)), &environment(&fake));
    advance(Duration::from_secs(5)).await;
    let second = first.successor(cluster(endpoints(2..=3)), &environment(&fake));
    let now = crate::clock::now();
    let ages: Vec<_> = second.current(now).hosts.iter().map(|host| host.age(now).unwrap().as_secs()).collect();
    assert_eq!(ages, [5, 0]);
}
