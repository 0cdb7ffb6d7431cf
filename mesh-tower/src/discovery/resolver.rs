//! The endpoints of a cluster that is made of names.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use mesh_core::cluster::DnsTarget;
use tokio::task::AbortHandle;

use super::dns::some_of;
use super::{Addresses, Discovery};

/// A shared [`Discovery`], asked for all names of a cluster at once.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(Arc<dyn Discovery>);

impl Resolver {
    pub(crate) fn new(discovery: Arc<dyn Discovery>) -> Self {
        Self(discovery)
    }

    /// Tells `update` the addresses of all targets, each time those of one change and until the
    /// guard is dropped. `logical`: only the first address of the latest answer counts.
    pub(crate) fn watch(
        &self,
        targets: Vec<DnsTarget>,
        logical: bool,
        refresh: Duration,
        update: impl Fn(Vec<(DnsTarget, Vec<SocketAddr>)>) + Send + 'static,
    ) -> WatchGuard {
        let watched = targets.into_iter().map(|target| {
            let mut addresses = self.0.watch(&target.host, target.port, refresh);
            addresses.mark_unseen();
            (target, addresses)
        });
        let task = tokio::spawn(follow(watched.collect(), logical, update));
        WatchGuard(task.abort_handle())
    }

    /// Looks one target up, now.
    pub(crate) async fn once(&self, target: &DnsTarget) -> io::Result<Vec<SocketAddr>> {
        some_of(self.0.once(&target.host, target.port).await)
    }
}

/// Ends a [`Resolver::watch`] when dropped.
#[derive(Debug)]
pub(crate) struct WatchGuard(AbortHandle);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(
    mut watched: Vec<(DnsTarget, Addresses)>,
    logical: bool,
    update: impl Fn(Vec<(DnsTarget, Vec<SocketAddr>)>) + Send,
) {
    if watched.is_empty() {
        return;
    }
    let most = if logical { 1 } else { usize::MAX };
    loop {
        select_all(watched.iter_mut().map(|(_, addresses)| Box::pin(addresses.changed()))).await;
        let known = watched.iter().map(|(target, addresses)| {
            let current = addresses.current().unwrap_or_default();
            (target.clone(), current.iter().copied().take(most).collect())
        });
        update(known.collect());
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::discovery::Dns;
    use crate::discovery::fake::FakeDns;

    const REFRESH: Duration = Duration::from_secs(5);

    fn target(host: &str) -> DnsTarget {
        DnsTarget::of(host, 80)
    }

    /// Watches, and sends the last byte of each address.
    fn watch(fake: &FakeDns, hosts: &[&str], logical: bool) -> (WatchGuard, mpsc::UnboundedReceiver<Vec<Vec<u8>>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let resolver = Resolver::new(Arc::new(Dns::new(fake.clone())));
        let targets = hosts.iter().map(|host| target(host)).collect();
        let guard = resolver.watch(targets, logical, REFRESH, move |answers| {
            let last = |address: &SocketAddr| match address.ip() {
                std::net::IpAddr::V4(ip) => ip.octets()[3],
                std::net::IpAddr::V6(_) => 0,
            };
            let answers = answers.iter().map(|(_, addresses)| addresses.iter().map(last).collect());
            let _ = sender.send(answers.collect());
        });
        (guard, receiver)
    }

    /// The latest of the updates that come within a few refreshes.
    async fn latest(updates: &mut mpsc::UnboundedReceiver<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
        let mut latest = Vec::new();
        while let Ok(Some(update)) = timeout(3 * REFRESH, updates.recv()).await {
            latest = update;
        }
        latest
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_one_name_tells_all_of_them() {
        let fake = FakeDns::default();
        fake.answer("a", &[1]);
        fake.answer("b", &[2, 3]);
        let (_guard, mut updates) = watch(&fake, &["a", "b"], false);
        assert_eq!(latest(&mut updates).await, [vec![1], vec![2, 3]]);
        fake.answer("b", &[3]);
        assert_eq!(latest(&mut updates).await, [vec![1], vec![3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_does_not_exist_leaves_the_others_alone() {
        let fake = FakeDns::default();
        fake.answer("a", &[1]);
        let (_guard, mut updates) = watch(&fake, &["a", "missing"], false);
        assert_eq!(latest(&mut updates).await, [vec![1], vec![]]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_among_the_names_is_told_too() {
        let fake = FakeDns::default();
        fake.answer("a", &[1]);
        let (_guard, mut updates) = watch(&fake, &["10.0.0.9", "a"], false);
        assert_eq!(latest(&mut updates).await, [vec![9], vec![1]]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_logical_name_only_the_first_address_counts() {
        let fake = FakeDns::default();
        fake.answer("a", &[7, 8]);
        let (_guard, mut updates) = watch(&fake, &["a"], true);
        assert_eq!(latest(&mut updates).await, [vec![7]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_guard_ends_the_lookups() {
        let fake = FakeDns::default();
        fake.answer("a", &[1]);
        let (guard, mut updates) = watch(&fake, &["a"], false);
        latest(&mut updates).await;
        drop(guard);
        let before = fake.asked("a");
        tokio::time::sleep(10 * REFRESH).await;
        assert!(fake.asked("a") <= before + 1);
        assert_eq!(updates.recv().await, None);
    }
}
