//! What this workload and others tell each other about themselves, for the labels of metrics; see
//! [`peer_metadata`](mesh_core::telemetry::peer_metadata).

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::telemetry::Workload;
use mesh_core::telemetry::peer_metadata::{METADATA as METADATA_NAME, METADATA_ID as METADATA_ID_NAME, MOST_BYTES};

const METADATA: HeaderName = HeaderName::from_static(METADATA_NAME);
const METADATA_ID: HeaderName = HeaderName::from_static(METADATA_ID_NAME);

/// What this workload tells.
#[derive(Debug)]
pub(super) struct Exchange {
    metadata: HeaderValue,
    id: HeaderValue,
}

impl Exchange {
    pub(super) fn new(own: &Workload) -> Self {
        let metadata = own.to_metadata();
        // Others remember what they have read by it: it changes with what is told.
        let id = format!("mesh~{:016x}", mesh_core::telemetry::peer_metadata::id_of(&metadata));
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        Self { metadata: value(&metadata), id: value(&id) }
    }

    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(METADATA, self.metadata.clone());
        headers.insert(METADATA_ID, self.id.clone());
    }
}

/// Takes out what this workload has told of itself.
pub(crate) fn forget_introduction(headers: &mut HeaderMap) {
    headers.remove(METADATA_ID);
    headers.remove(METADATA);
}

/// What the other side has told, which is for nobody else.
pub(super) fn heard(headers: &mut HeaderMap) -> Option<HeaderValue> {
    headers.remove(METADATA_ID);
    headers.remove(METADATA).filter(|told| told.len() <= MOST_BYTES)
}
