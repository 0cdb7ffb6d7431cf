//! Keys that are fetched: each URL once at a time, kept for a while, and bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Limited};
use mesh_core::jwt::Keys;
use serde_json::Value;
use tokio::time::Instant;

use super::keys::KeySet;
use crate::{Body, MeshClient};

/// How long keys are believed.
const FRESH: Duration = Duration::from_secs(300);
/// How long after a failure nobody asks again.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a set may be.
const MOST_BYTES: usize = 1024 * 1024;
/// How many issuers are remembered.
const MOST_ISSUERS: usize = 256;

/// The keys of all issuers whose keys are fetched.
#[derive(Debug, Default)]
pub(crate) struct RemoteKeys(Mutex<HashMap<Keys, Arc<tokio::sync::Mutex<Slot>>>>);

#[derive(Debug, Default)]
struct Slot {
    keys: Option<Arc<KeySet>>,
    /// Since when the keys are there, or the last failure was.
    since: Option<Instant>,
    failed: bool,
}

impl RemoteKeys {
    /// The keys of an issuer; who comes while they are being fetched waits. A failure is an answer for a while; keys that
    /// cannot be renewed go on being believed.
    pub(crate) async fn get(&self, keys: &Keys, ids: &[String], client: &MeshClient) -> Option<Arc<KeySet>> {
        let slot = self.slot(keys)?;
        let mut slot = slot.lock().await;
        let age = slot.since.map(|since| since.elapsed());
        // An id that is not there may be that of a key that is new, or made up: who asks does so seldom.
        let is_unknown = slot.keys.as_ref().is_some_and(|keys| ids.iter().any(|id| !keys.has(id)));
        let lasts = if slot.failed || is_unknown { PAUSE } else { FRESH };
        if age.is_none_or(|age| age > lasts) {
            let fetched = tokio::time::timeout(PATIENCE, fetch(keys, client)).await.ok().flatten();
            slot.failed = fetched.is_none();
            // Where nothing new can be had, the last that was good counts.
            slot.keys = fetched.map(Arc::new).or(slot.keys.take());
            slot.since = Some(Instant::now());
            if slot.failed {
                let has_old = slot.keys.is_some();
                tracing::warn!(
                    has_old,
                    "the keys of an issuer of tokens cannot be fetched; without old ones its tokens are refused"
                );
            }
        }
        slot.keys.clone()
    }

    fn slot(&self, keys: &Keys) -> Option<Arc<tokio::sync::Mutex<Slot>>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_ISSUERS && !slots.contains_key(keys) {
            // Of configurations that are gone; what is in use is fetched again.
            slots.clear();
        }
        Some(Arc::clone(slots.entry(keys.clone()).or_default()))
    }
}

async fn fetch(keys: &Keys, client: &MeshClient) -> Option<KeySet> {
    let at = match keys {
        Keys::Inline(text) => return KeySet::parse(text),
        Keys::At(uri) => uri.to_string(),
        Keys::Discovered(issuer) => {
            let about = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            let about: Value = serde_json::from_str(&text(&about, client).await?).ok()?;
            about.get("jwks_uri")?.as_str()?.to_owned()
        }
    };
    KeySet::parse(&text(&at, client).await?)
}

async fn text(url: &str, client: &MeshClient) -> Option<String> {
    let request = Request::get(url).body(Body::empty()).ok()?;
    let response = client.send(request).await;
    if response.status() != 200 {
        return None;
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.ok()?;
    String::from_utf8(body.to_bytes().to_vec()).ok()
}
