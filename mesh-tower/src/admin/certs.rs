//! Who this process is.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::identity::{CertificateInfo, IdentityHandle};

pub(super) fn certs(identity: &IdentityHandle) -> Value {
    let chain = identity.chain();
    let id = chain.first().and_then(CertificateInfo::id).map(|id| id.to_string());
    let left = identity.expires().map(|expires| seconds(expires) - seconds(crate::clock::wall()));
    json!({
        "id": id,
        "expires": identity.expires().map(seconds),
        "seconds_left": left,
        "reloaded": identity.since().map(seconds),
        "reloaded_seconds_ago": identity.since().map(|since| seconds(crate::clock::wall()) - seconds(since)),
        "chain": chain.iter().map(certificate).collect::<Vec<_>>(),
    })
}

fn certificate(info: &CertificateInfo) -> Value {
    json!({
        "subject": info.subject,
        "issuer": info.issuer,
        "uris": info.uris,
        "not_before": seconds(info.not_before),
        "not_after": seconds(info.not_after),
        "is_authority": info.is_authority,
    })
}

/// Unix time.
pub(super) fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}
