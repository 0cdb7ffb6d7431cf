//! Where requests go that say so themselves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mesh_core::Failure;
use mesh_core::cluster::DnsTarget;

use super::ClusterHandle;
use super::members::{Members, build_members, endpoint_at, members_of};

/// How many places a pass-through cluster remembers; past that it starts over.
const DYNAMIC_PLACES: usize = 1024;

/// How long a place is taken to stay where it was found, as names of clusters are by default.
pub(super) const DYNAMIC_AGE: Duration = Duration::from_secs(60);

/// Where a request goes that says so itself.
#[derive(Debug)]
pub(super) struct Place {
    members: ArcSwap<Members>,
    /// When it was last looked up, or somebody went to do so; `None` for never.
    asked: Mutex<Option<Instant>>,
    /// Held by who looks it up: the others wait where nothing is known yet, so that all of them come to the same
    /// pools.
    looking: tokio::sync::Mutex<()>,
    /// Look-ups that came to an end.
    looked: AtomicU64,
}

impl Place {
    /// Whether it is for whoever asks now to look it up again: the others go on with what is known.
    fn is_due(&self, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.is_none_or(|asked| now.saturating_duration_since(asked) >= DYNAMIC_AGE);
        if due {
            *asked = Some(now);
        }
        due
    }

    fn was_asked(&self, now: Instant) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

impl ClusterHandle {
    /// The members of a cluster whose requests go where their authority points.
    pub(crate) async fn members_at(&self, host: &str, port: u16) -> Result<Arc<Members>, Failure> {
        let place = self.place(format!("{host}:{port}"));
        let current = place.members.load_full();
        if !current.pools.is_empty() && !place.is_due(crate::clock::now()) {
            return Ok(current);
        }
        // Boxed, since it is rare: it would make every call larger.
        Box::pin(self.look_at(&place, host, port)).await
    }

    /// Looks a place up, or waits for who is doing so.
    async fn look_at(&self, place: &Place, host: &str, port: u16) -> Result<Arc<Members>, Failure> {
        let looked = place.looked.load(Ordering::Acquire);
        let _looking = place.looking.lock().await;
        let current = place.members.load_full();
        if place.looked.load(Ordering::Acquire) != looked {
            // Somebody else has found out meanwhile.
            return if current.pools.is_empty() { Err(Failure::NoHealthyUpstream) } else { Ok(current) };
        }
        let target = DnsTarget::of(host, port);
        let answers = self.resolver.once(&target).await;
        place.looked.fetch_add(1, Ordering::Release);
        let Ok(answers) = answers else {
            // What is known serves on while the resolver has no answer.
            return if current.pools.is_empty() { Err(Failure::NoHealthyUpstream) } else { Ok(current) };
        };
        let endpoints: Vec<_> = answers.into_iter().map(|address| endpoint_at(&target, address)).collect();
        let members = Arc::new(build_members(&self.spec, &self.shared, &endpoints, &members_of(&current)));
        place.members.store(Arc::clone(&members));
        place.was_asked(crate::clock::now());
        Ok(members)
    }

    fn place(&self, name: String) -> Arc<Place> {
        let mut dynamic = self.dynamic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = dynamic.get(name.as_str()) {
            return Arc::clone(place);
        }
        if dynamic.len() >= DYNAMIC_PLACES {
            dynamic.clear();
        }
        let nobody = build_members(&self.spec, &self.shared, &[], &[]);
        let place = Arc::new(Place {
            members: ArcSwap::from_pointee(nobody),
            asked: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            looked: AtomicU64::new(0),
        });
        dynamic.insert(name.into(), Arc::clone(&place));
        place
    }

    /// Forgets where a place was, after connecting there failed.
    pub(crate) fn forget(&self, host: &str, port: u16) {
        self.dynamic.lock().unwrap_or_else(PoisonError::into_inner).remove(format!("{host}:{port}").as_str());
    }
}
