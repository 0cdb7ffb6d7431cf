//! Names looked up again and again.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Addresses, Discovery};

/// Answers one question.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, each with `port`.
    ///
    /// # Errors
    ///
    /// If the name does not exist or nobody could be asked.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system: name servers, the hosts file and whatever else it asks.
///
/// It does not tell how long an answer is good for, so the refresh interval decides when it is asked
/// again. Of a name with addresses of both families those of IPv4 count, as in Istio outside of dual-stack clusters: the
/// others would be endpoints of their own, which a host without IPv6 never reaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        async move { Ok(of_one_family(tokio::net::lookup_host((host.as_str(), port)).await?.collect())) }.boxed()
    }
}

fn of_one_family(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.iter().any(SocketAddr::is_ipv4) {
        addresses.retain(SocketAddr::is_ipv4);
    }
    addresses
}

/// Discovery by name lookups. Watchers of one name share its lookups.
///
/// After a failure the name is asked for again in 1 s, then with doubled pauses up to the refresh
/// interval, so that a service that starts late is found soon.
pub struct Dns {
    resolve: Arc<dyn Resolve>,
    watched: Arc<Mutex<Watched>>,
}

impl Dns {
    /// Lookups by `resolve`.
    pub fn new(resolve: impl Resolve) -> Self {
        Self { resolve: Arc::new(resolve), watched: Arc::default() }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self::new(SystemResolver)
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("watched", &lock(&self.watched).len()).finish_non_exhaustive()
    }
}

impl Discovery for Dns {
    fn watch(&self, host: &str, port: u16, refresh: Duration) -> Addresses {
        if let Some(address) = literal(host, port) {
            return Addresses::fixed([address]);
        }
        let name = Name { host: host.into(), port };
        let refresh = refresh.max(SHORTEST_REFRESH);
        let mut watched = lock(&self.watched);
        let paces = watched.entry(name.clone()).or_default();
        if let Some((_, sender)) = paces.iter().find(|(pace, _)| *pace == refresh) {
            return Addresses::new(sender.subscribe());
        }
        // What is known at another pace is known.
        let known = paces.iter().find_map(|(_, sender)| sender.borrow().clone().filter(|known| !known.is_empty()));
        let (sender, receiver) = watch::channel(known);
        paces.push((refresh, sender.clone()));
        let lookups = Lookups {
            name,
            refresh,
            sender,
            resolve: Arc::clone(&self.resolve),
            watched: Arc::clone(&self.watched),
            failures: 0,
        };
        tokio::spawn(lookups.run());
        Addresses::new(receiver)
    }

    fn once(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        match literal(host, port) {
            Some(address) => std::future::ready(Ok(vec![address])).boxed(),
            None => self.resolve.resolve(host, port),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    host: Box<str>,
    port: u16,
}

/// Those who are told, by how often the name is looked up for them.
type Watched = HashMap<Name, Vec<(Duration, watch::Sender<Option<Arc<[SocketAddr]>>>)>>;

/// The lookups of one name, in a task of their own.
struct Lookups {
    name: Name,
    refresh: Duration,
    sender: watch::Sender<Option<Arc<[SocketAddr]>>>,
    resolve: Arc<dyn Resolve>,
    watched: Arc<Mutex<Watched>>,
    failures: u32,
}

impl Lookups {
    async fn run(mut self) {
        while self.is_wanted() {
            let pause = tokio::select! {
                answer = self.resolve.resolve(&self.name.host, self.name.port) => self.take(answer),
                () = self.sender.closed() => continue,
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.sender.closed() => {}
            }
        }
    }

    /// Whether anybody watches; otherwise the name is forgotten, under the lock under which it is
    /// joined.
    fn is_wanted(&self) -> bool {
        let mut watched = lock(&self.watched);
        let wanted = self.sender.receiver_count() > 0;
        if !wanted && let Some(paces) = watched.get_mut(&self.name) {
            paces.retain(|(pace, _)| *pace != self.refresh);
            if paces.is_empty() {
                watched.remove(&self.name);
            }
        }
        wanted
    }

    /// Publishes an answer; returns when to ask again.
    fn take(&mut self, answer: io::Result<Vec<SocketAddr>>) -> Duration {
        let host = &self.name.host;
        match some_of(answer) {
            Ok(addresses) => {
                if self.failures > 0 {
                    tracing::info!(%host, addresses = addresses.len(), "name lookup works again");
                }
                self.failures = 0;
                self.publish(&addresses);
                self.refresh
            }
            Err(error) => {
                if self.failures == 0 {
                    let kept = self.sender.borrow().as_ref().map_or(0, |addresses| addresses.len());
                    tracing::warn!(%host, %error, kept, "name lookup failed; keeping the addresses it had");
                }
                self.failures = self.failures.saturating_add(1);
                if self.sender.borrow().is_none() {
                    self.publish(&[]);
                }
                let backoff = FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(16));
                backoff.min(self.refresh)
            }
        }
    }

    fn publish(&self, addresses: &[SocketAddr]) {
        self.sender.send_if_modified(|current| {
            let news = current.as_deref() != Some(addresses);
            if news {
                *current = Some(addresses.into());
            }
            news
        });
    }
}

/// An answer without an address says as little as none: what was known is the better guess.
pub(super) fn some_of(answer: io::Result<Vec<SocketAddr>>) -> io::Result<Vec<SocketAddr>> {
    match answer {
        Ok(addresses) if addresses.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "no address")),
        answer => answer,
    }
}

/// The address that a host is, if it is one; IPv6 with or without brackets.
fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHORTEST_REFRESH: Duration = Duration::from_millis(100);
const FIRST_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::fake::FakeDns;

    const REFRESH: Duration = Duration::from_secs(60);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    #[test]
    fn of_both_families_the_one_counts_that_every_host_has() {
        let of = |texts: &[&str]| {
            let all = texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 80)).collect();
            of_one_family(all).iter().map(|address| address.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(&["::1", "127.0.0.1", "::2", "127.0.0.2"]), ["127.0.0.1", "127.0.0.2"]);
        assert_eq!(of(&["::1", "::2"]), ["::1", "::2"]);
    }

    async fn seconds(count: u64) {
        sleep(Duration::from_secs(count)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_looked_up_at_once_and_every_refresh() {
        let fake = FakeDns::default();
        fake.answer("db", &[1]);
        let dns = Dns::new(fake.clone());
        let mut addresses = dns.watch("db", 80, REFRESH);
        assert_eq!(addresses.current(), None);
        assert_eq!(*addresses.changed().await, [address(1)]);

        fake.answer("db", &[1, 2]);
        assert_eq!(*addresses.changed().await, [address(1), address(2)]);
        assert_eq!(fake.asked("db"), 2);
        seconds(605).await;
        assert_eq!(fake.asked("db"), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_the_last_good_answer() {
        let fake = FakeDns::default();
        fake.answer("db", &[1]);
        let mut addresses = Dns::new(fake.clone()).watch("db", 80, REFRESH);
        addresses.settled().await;
        fake.fail("db");
        seconds(600).await;
        assert_eq!(addresses.current().as_deref(), Some(&[address(1)][..]));
    }

    #[tokio::test(start_paused = true)]
    async fn another_pace_begins_with_what_was_known_at_the_one_before() {
        let fake = FakeDns::default();
        fake.answer("db", &[1]);
        let dns = Dns::new(fake.clone());
        let mut before = dns.watch("db", 80, REFRESH);
        before.settled().await;
        fake.fail("db");
        let after = dns.watch("db", 80, REFRESH / 2);
        drop(before);
        seconds(600).await;
        assert_eq!(after.current().as_deref(), Some(&[address(1)][..]));
        // Somewhere else is another matter.
        let mut elsewhere = dns.watch("db", 81, REFRESH);
        elsewhere.settled().await;
        assert_eq!(elsewhere.current().as_deref(), Some(&[][..]));
        drop((after, elsewhere));
        seconds(600).await;
        assert!(lock(&dns.watched).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_answer_keeps_the_last_one_too() {
        let fake = FakeDns::default();
        fake.answer("db", &[1]);
        let mut addresses = Dns::new(fake.clone()).watch("db", 80, REFRESH);
        addresses.settled().await;
        fake.answer("db", &[]);
        seconds(600).await;
        assert_eq!(addresses.current().as_deref(), Some(&[address(1)][..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_starts_late_is_found_soon() {
        let fake = FakeDns::default();
        let mut addresses = Dns::new(fake.clone()).watch("late", 80, REFRESH);
        addresses.settled().await;
        assert_eq!(addresses.current().as_deref(), Some(&[][..]));
        // Asked after 0, 1, 3, 7, 15, 31, 63 seconds, then once a minute.
        seconds(6).await;
        assert_eq!(fake.asked("late"), 3);
        fake.answer("late", &[5]);
        seconds(2).await;
        assert_eq!(addresses.current().as_deref(), Some(&[address(5)][..]));
    }

    #[tokio::test(start_paused = true)]
    async fn watchers_share_lookups_and_the_last_one_ends_them() {
        let fake = FakeDns::default();
        fake.answer("db", &[1]);
        let dns = Dns::new(fake.clone());
        let (mut first, mut second) = (dns.watch("db", 80, REFRESH), dns.watch("db", 80, REFRESH));
        first.settled().await;
        second.settled().await;
        assert_eq!(fake.asked("db"), 1);

        drop(first);
        seconds(61).await;
        assert_eq!(fake.asked("db"), 2);
        drop(second);
        seconds(600).await;
        assert_eq!(fake.asked("db"), 2);
        assert!(lock(&dns.watched).is_empty());

        dns.watch("db", 80, REFRESH).settled().await;
        assert_eq!(fake.asked("db"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_says_the_same_is_no_news() {
        let fake = FakeDns::default();
        fake.answer("db", &[1]);
        let mut addresses = Dns::new(fake.clone()).watch("db", 80, REFRESH);
        addresses.changed().await;
        assert!(tokio::time::timeout(10 * REFRESH, addresses.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ip_address_is_never_looked_up() {
        let fake = FakeDns::default();
        let dns = Dns::new(fake.clone());
        for host in ["10.0.0.1", "::1", "[::1]"] {
            assert_eq!(dns.watch(host, 80, REFRESH).current().map(|found| found.len()), Some(1), "{host}");
            assert_eq!(dns.once(host, 80).await.unwrap()[0].port(), 80, "{host}");
            assert_eq!(fake.asked(host), 0, "{host}");
        }
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let found = Dns::default().once("localhost", 81).await.unwrap();
        assert!(found.iter().any(|address| address.ip().is_loopback() && address.port() == 81), "{found:?}");
    }
}
