//! Keys that are fetched: from each place once at a time, and kept for a while.
//!
//! Nobody waits for a fetch who could be answered without it: while keys are renewed, the old ones count. Who does wait is
//! the caller whose own key is missing. A fetch is a task of its own, and goes on when the caller who began it is gone.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Limited};
use mesh_core::jwt::RemoteKeys;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::keys::KeySet;
use crate::outbound::{Barred, Listener, Shared};
use crate::{Body, MeshClient};

/// How long keys are believed without asking again.
const FRESH: Duration = Duration::from_secs(300);
/// How old keys may be, at most, that count while others are fetched. Older ones are met only after a time without tokens.
const STALE: Duration = Duration::from_secs(600);
/// How long after a failure nobody asks again.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a fetch may take, and a caller waits for one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a set may be.
const MOST_BYTES: usize = 1024 * 1024;

/// The keys of one issuer, which outlive the versions of the configuration that name the same place.
#[derive(Debug)]
pub(crate) struct FetchedKeys {
    at: RemoteKeys,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Since when the keys are there, or the last failure was.
    since: Option<Instant>,
    failed: bool,
    fetching: bool,
}

/// The keys that there are for a token.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) keys: Option<Arc<KeySet>>,
    /// Whether the one that it needs may come with the fetch that is under way.
    pub(crate) is_awaited: bool,
}

impl State {
    /// Whether no key is there for a token that names this one. It may be new, or made up.
    fn lacks(&self, id: Option<&str>) -> bool {
        self.keys.as_ref().is_none_or(|keys| id.is_some_and(|id| !keys.has(id)))
    }

    /// Whether it is time to ask the issuer. For a key that is not there, that is seldom: anybody can make one up.
    fn is_due(&self, id: Option<&str>) -> bool {
        let lasts = if self.failed || self.lacks(id) { PAUSE } else { FRESH };
        !self.fetching && self.since.is_none_or(|since| since.elapsed() > lasts)
    }

    fn is_stale(&self) -> bool {
        self.since.is_none_or(|since| since.elapsed() > STALE)
    }
}

impl FetchedKeys {
    pub(crate) fn new(at: RemoteKeys) -> Self {
        Self { at, state: watch::Sender::new(State::default()) }
    }

    /// Where they are fetched.
    pub(crate) fn at(&self) -> &RemoteKeys {
        &self.at
    }

    /// The keys for a token that names one, or none, by its id. Begins to fetch where it is time to. A failure is an answer
    /// for a while, and keys that cannot be renewed go on being believed.
    pub(crate) fn find(self: &Arc<Self>, id: Option<&str>, shared: &Arc<Shared>) -> Found {
        let is_due = self.state.borrow().is_due(id);
        if is_due
            && self.state.send_if_modified(|state| state.is_due(id) && !std::mem::replace(&mut state.fetching, true))
        {
            tokio::spawn(Arc::clone(self).renew(Arc::clone(shared)));
        }
        let state = self.state.borrow();
        Found { keys: state.keys.clone(), is_awaited: state.fetching && (state.lacks(id) || state.is_stale()) }
    }

    /// Waits until the fetch that is under way has ended, but not for long.
    pub(crate) async fn fetched(&self) {
        let mut state = self.state.subscribe();
        // The sender is here: it ends by a state or by the clock.
        let _ended = timeout(PATIENCE, state.wait_for(|state| !state.fetching)).await;
    }

    async fn renew(self: Arc<Self>, shared: Arc<Shared>) {
        let fetcher = Fetcher::new(shared);
        let at = self.at.clone();
        // A task of its own, so that a panic in it is a failure like any other.
        let fetching = tokio::spawn(async move { timeout(PATIENCE, fetcher.fetch(&at)).await.ok().flatten() });
        let fetched = fetching.await.ok().flatten();
        self.state.send_modify(|state| {
            state.failed = fetched.is_none();
            // Where nothing new can be had, the last that was good counts.
            state.keys = fetched.map(Arc::new).or(state.keys.take());
            state.since = Some(Instant::now());
            state.fetching = false;
            if state.failed {
                let has_old = state.keys.is_some();
                tracing::warn!(
                    has_old,
                    "the keys of an issuer of tokens cannot be fetched; without old ones its tokens are refused"
                );
            }
        });
    }
}

/// Fetches what an issuer says of itself. No redirect is followed.
struct Fetcher {
    client: MeshClient,
    barred: Option<Barred>,
}

impl Fetcher {
    fn new(shared: Arc<Shared>) -> Self {
        let options = &shared.options;
        let barred = options.barred_keys.clone().or_else(|| RemoteKeys::barred_by_default(options.profile));
        Self { barred: barred.map(Barred), client: MeshClient::new(shared, Listener::Mesh { port: None }) }
    }

    async fn fetch(&self, keys: &RemoteKeys) -> Option<KeySet> {
        let at = match keys {
            RemoteKeys::At(uri) => uri.to_string(),
            RemoteKeys::Discovered(issuer) => {
                let about = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                let about: Value = serde_json::from_str(&self.text(&about).await?).ok()?;
                about.get("jwks_uri")?.as_str()?.to_owned()
            }
        };
        KeySet::parse(&self.text(&at).await?)
    }

    async fn text(&self, url: &str) -> Option<String> {
        let mut request = Request::get(url).body(Body::empty()).ok()?;
        if let Some(barred) = &self.barred {
            request.extensions_mut().insert(barred.clone());
        }
        let response = self.client.send(request).await;
        if response.status() != 200 {
            return None;
        }
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.ok()?;
        String::from_utf8(body.to_bytes().to_vec()).ok()
    }
}
