//! What two workloads tell each other about themselves, in the headers that Istio's sidecars use for it: base64 of a
//! `google.protobuf.Struct`.
//!
//! It is the other's own word and proves nothing: labels of metrics come from it, and nothing else.

use mesh_config::value::Bytes;

use super::{UNKNOWN, Workload};
use crate::protobuf::{Fields, Malformed, Writer};

/// The header with what a workload tells.
pub const METADATA: &str = "x-envoy-peer-metadata";
/// The header with a name for it, by which Istio's sidecars remember what they have read.
pub const METADATA_ID: &str = "x-envoy-peer-metadata-id";

/// What is longer is not read.
pub const MOST_BYTES: usize = 4 * 1024;

/// Names and labels of Kubernetes are no longer; what is stays unknown.
const MOST_OF_A_VALUE: usize = 253;

const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";

/// The fields of a `Struct`, a `Value` and an entry of a map, by number.
mod number {
    pub(super) const FIELDS: u32 = 1;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const STRING: u32 = 3;
    pub(super) const STRUCT: u32 = 5;
}

impl Workload {
    /// What it tells, as text for [`METADATA`].
    pub fn to_metadata(&self) -> String {
        let mut message = Writer::default();
        text(&mut message, "NAMESPACE", &self.namespace);
        text(&mut message, "WORKLOAD_NAME", &self.name);
        text(&mut message, "CLUSTER_ID", &self.cluster);
        entry(&mut message, "LABELS", |value| {
            value.message(number::STRUCT, |labels| {
                text(labels, "app", &self.app);
                text(labels, "version", &self.version);
                text(labels, CANONICAL_NAME, &self.canonical_service);
                text(labels, CANONICAL_REVISION, &self.canonical_revision);
            });
        });
        Bytes(message.finish()).to_base64()
    }

    /// A workload as it tells of itself; `None` if it is nothing that can be read. It has no SPIFFE id: that is proved,
    /// not told.
    pub fn of_metadata(metadata: &str) -> Option<Self> {
        if metadata.len() > MOST_BYTES {
            return None;
        }
        let bytes = Bytes::from_base64(metadata)?;
        let mut workload = Self::unknown();
        read(&bytes.0, |key, value| {
            match key {
                "NAMESPACE" => set(&mut workload.namespace, value)?,
                "WORKLOAD_NAME" => set(&mut workload.name, value)?,
                "CLUSTER_ID" => set(&mut workload.cluster, value)?,
                "LABELS" => return workload.read_labels(value),
                _ => {}
            }
            Ok(())
        })
        .ok()?;
        if &*workload.canonical_service == UNKNOWN {
            workload.canonical_service.clone_from(&workload.name);
        }
        Some(workload)
    }

    fn read_labels(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let Some(labels) = last(value, number::STRUCT)? else { return Ok(()) };
        read(labels, |key, value| match key {
            "app" => set(&mut self.app, value),
            "version" => set(&mut self.version, value),
            CANONICAL_NAME => set(&mut self.canonical_service, value),
            CANONICAL_REVISION => set(&mut self.canonical_revision, value),
            _ => Ok(()),
        })
    }
}

/// What [`METADATA_ID`] says of a text for [`METADATA`]: another one for another text.
pub fn id_of(metadata: &str) -> u64 {
    twox_hash::XxHash64::oneshot(0, metadata.as_bytes())
}

fn entry(message: &mut Writer, key: &str, value: impl FnOnce(&mut Writer)) {
    message.message(number::FIELDS, |entry| {
        entry.bytes(number::KEY, key.as_bytes());
        entry.message(number::VALUE, value);
    });
}

fn text(message: &mut Writer, key: &str, value: &str) {
    if value != UNKNOWN {
        entry(message, key, |kind| kind.bytes(number::STRING, value.as_bytes()));
    }
}

/// Hands on each key of a `Struct` with its `Value`.
fn read(message: &[u8], mut each: impl FnMut(&str, &[u8]) -> Result<(), Malformed>) -> Result<(), Malformed> {
    for field in Fields::of(message) {
        let (number, field) = field?;
        if number != number::FIELDS {
            continue;
        }
        let entry = field.bytes()?;
        let key = std::str::from_utf8(last(entry, number::KEY)?.unwrap_or_default()).map_err(|_| Malformed)?;
        each(key, last(entry, number::VALUE)?.unwrap_or_default())?;
    }
    Ok(())
}

/// The last field of a number: what counts of several.
fn last(message: &[u8], wanted: u32) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    for field in Fields::of(message) {
        let (number, value) = field?;
        if number == wanted {
            found = Some(value.bytes()?);
        }
    }
    Ok(found)
}

/// Takes a text over, where it is one that a workload can have.
fn set(place: &mut Box<str>, value: &[u8]) -> Result<(), Malformed> {
    let Some(text) = last(value, number::STRING)? else { return Ok(()) };
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    if !text.is_empty() && text.len() <= MOST_OF_A_VALUE && !text.contains(char::is_control) {
        *place = text.into();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reviews() -> Workload {
        let pairs = [("app", "reviews"), ("version", "v2")];
        let labels = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Workload::new(Some("reviews-v2"), Some("shop"), &labels)
    }

    #[test]
    fn a_workload_is_what_it_tells_of_itself_but_for_its_proved_name() {
        let told = reviews().with_principal("spiffe://cluster.local/ns/shop/sa/reviews").to_metadata();
        assert_eq!(Workload::of_metadata(&told), Some(reviews()));
        assert_eq!(Workload::of_metadata(&Workload::unknown().to_metadata()), Some(Workload::unknown()));
    }

    /// As `istio/proxy` writes it: fields sorted by name, with others that nobody needs here.
    #[test]
    fn what_a_sidecar_tells_is_read() {
        let mut message = Writer::default();
        text(&mut message, "CLUSTER_ID", "Kubernetes");
        entry(&mut message, "LABELS", |value| {
            value.message(number::STRUCT, |labels| {
                text(labels, "app", "productpage");
                text(labels, CANONICAL_NAME, "productpage");
                text(labels, CANONICAL_REVISION, "v1");
                text(labels, "version", "v1");
            });
        });
        text(&mut message, "NAME", "productpage-v1-7f44c4d57c-ksf9b");
        text(&mut message, "NAMESPACE", "default");
        text(&mut message, "OWNER", "kubernetes://apis/apps/v1/namespaces/default/deployments/productpage-v1");
        text(&mut message, "WORKLOAD_NAME", "productpage-v1");
        let workload = Workload::of_metadata(&Bytes(message.finish()).to_base64()).unwrap();
        assert_eq!(
            (&*workload.name, &*workload.namespace, &*workload.cluster),
            ("productpage-v1", "default", "Kubernetes")
        );
        assert_eq!((&*workload.app, &*workload.version, &*workload.canonical_revision), ("productpage", "v1", "v1"));
    }

    #[test]
    fn values_that_no_workload_has_stay_unknown() {
        for odd in ["x".repeat(MOST_OF_A_VALUE + 1), "a\nb".to_owned()] {
            let workload = Workload { name: odd.into(), ..reviews() };
            assert_eq!(&*Workload::of_metadata(&workload.to_metadata()).unwrap().name, UNKNOWN);
        }
        assert_eq!(Workload::of_metadata(&"A".repeat(MOST_BYTES + 4)), None);
        assert_eq!(Workload::of_metadata("no base64!"), None);
    }

    proptest! {
        #[test]
        fn nothing_that_is_told_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
            let _ = Workload::of_metadata(&Bytes(bytes).to_base64());
            let _ = Workload::of_metadata(&text);
        }
    }
}
