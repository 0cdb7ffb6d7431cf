//! What every object has besides its spec.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The parts of Kubernetes' `metadata` that mean something to a mesh.
///
/// The other fields that Kubernetes defines (`uid`, `managedFields`, `ownerReferences`, ...) are known and passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// The name, unique within kind and namespace.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace. Empty as written means the loader's default; after loading it is empty for a Namespace or Node only.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Labels, which selectors look at.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// When the object was made, in RFC 3339. Objects from files have none and count as equally old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// The version that the API server gave to this state of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// How often the spec was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// Fields of `metadata` that Kubernetes defines and a mesh has no use for.
pub(crate) const OTHER_FIELDS: &[&str] = &[
    "clusterName",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "managedFields",
    "ownerReferences",
    "selfLink",
    "uid",
];

impl ObjectMeta {
    /// Metadata of an object with this namespace and name.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), ..Self::default() }
    }

    /// When the object was made; nothing where that is not known.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.as_deref().and_then(Timestamp::parse)
    }

    /// Where the object stands in Istio's order: the oldest first, then by name, then by namespace.
    pub(crate) fn order(&self) -> Order {
        Order { created: self.created(), name: self.name.clone(), namespace: self.namespace.clone() }
    }

    /// Namespace and name.
    #[must_use]
    pub fn namespaced_name(&self) -> NamespacedName {
        NamespacedName { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A namespace and a name in it, printed `namespace/name`; the name alone where there is no namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// The key by which Istio sorts objects. Without a time of creation an object counts as older than any with one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    created: Option<Timestamp>,
    name: String,
    namespace: String,
}

/// A point in time of RFC 3339, comparable across offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Since 1970, in UTC.
    pub seconds: i64,
    /// Beyond them.
    pub nanos: u32,
}

impl Timestamp {
    /// Reads `2024-01-31T12:00:00.5+01:00`; nothing if the text is not of that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let at = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at(at);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..=9999).contains(&year);
        if !in_range || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
            return None;
        }
        let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Self { seconds: seconds - zone_seconds(zone)?, nanos: nanos(fraction)? })
    }
}

/// Seconds that a zone is ahead of UTC.
fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let ahead = hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60;
    Some(if zone.starts_with('-') { -ahead } else { ahead })
}

fn nanos(fraction: &str) -> Option<u32> {
    if fraction.is_empty() {
        return Some(0);
    }
    fraction.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    format!("{fraction:0<9}").get(..9)?.parse().ok()
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
pub(crate) fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Timestamp::parse(text).map(|t| t.seconds)
    }

    #[test]
    fn times_are_compared_as_points_in_time() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-03-01T00:00:00Z"), Some(951_868_800));
        assert_eq!(seconds("2024-02-29T23:59:59Z"), Some(1_709_251_199));
        assert_eq!(seconds("2024-01-01T01:00:00+01:00"), seconds("2024-01-01T00:00:00Z"));
        assert!(Timestamp::parse("2024-01-01T00:00:00.25Z") > Timestamp::parse("2024-01-01T00:00:00.05Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2024-13-01T00:00:00Z", "2024-01-01", "2024-01-01T25:00:00Z", "T", "--T::Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn order_is_age_then_name_then_namespace_and_no_age_comes_first() {
        let meta = |created: Option<&str>, namespace: &str, name: &str| {
            let mut meta = ObjectMeta::new(namespace, name);
            meta.creation_timestamp = created.map(str::to_owned);
            meta.order()
        };
        let old = Some("2020-01-01T00:00:00Z");
        let new = Some("2021-01-01T00:00:00Z");
        assert!(meta(old, "z", "z") < meta(new, "a", "a"));
        assert!(meta(old, "z", "a") < meta(old, "a", "b"));
        assert!(meta(old, "a", "a") < meta(old, "b", "a"));
        assert!(meta(None, "z", "z") < meta(old, "a", "a"));
    }

    #[test]
    fn null_parts_are_unset() {
        let meta: ObjectMeta =
            crate::document::from_str("{name: a, namespace: null, labels: ~, creationTimestamp: null}").unwrap();
        assert_eq!(meta, ObjectMeta::new("", "a"));
    }
}
