//! What is wrong at this moment that no document tells.

use std::time::{Duration, SystemTime};

use mesh_core::cluster::EndpointSource;
use serde_json::{Value, json};

use super::peers;
use crate::cluster::ClusterHandle;
use crate::identity::{CertificateInfo, IdentityHandle};
use crate::live::Live;
use crate::telemetry::Seen;

/// A certificate is renewed long before only this part of its time is left.
const LAST_PART: u32 = 5;

/// So many clusters are named for each fact.
const MOST: usize = 100;

pub(super) fn facts(live: &Live, identity: &IdentityHandle, seen: &Seen) -> Vec<Value> {
    let mut facts = Vec::new();
    facts.extend(live.clusters().iter().filter_map(|cluster| of_endpoints(cluster)).take(MOST));
    facts.extend(live.clusters().iter().filter_map(|cluster| of_ejections(cluster)).take(MOST));
    facts.extend(of_certificate(identity.chain().first(), crate::clock::wall()));
    facts.extend(of_callers(live, seen));
    facts.extend(of_edges(seen));
    facts
}

fn fact(fact: &str, severity: &str, about: &str, message: &str) -> Value {
    json!({ "fact": fact, "severity": severity, "about": about, "message": message })
}

fn of_endpoints(cluster: &ClusterHandle) -> Option<Value> {
    let spec = cluster.spec();
    if matches!(spec.endpoints, EndpointSource::OriginalDestination { .. }) || !cluster.endpoints_now().is_empty() {
        return None;
    }
    let why = match spec.endpoints {
        EndpointSource::Dns { .. } => "no address of its name is known",
        _ => "no workload has the labels, or the service has none",
    };
    let severity = if matches!(spec.endpoints, EndpointSource::Dns { .. }) { "info" } else { "warning" };
    Some(fact(
        "no-endpoints",
        severity,
        &spec.name,
        &format!("there is no endpoint, so requests are answered 503 UH: {why}"),
    ))
}

fn of_ejections(cluster: &ClusterHandle) -> Option<Value> {
    let outlier = cluster.spec().outlier.as_ref()?;
    let count = cluster.endpoints_now().len();
    if count == 0 || outlier.can_eject(count) {
        return None;
    }
    let percent = outlier.max_ejection_percent;
    let message = format!("{count} endpoints x maxEjectionPercent {percent} % is less than one: none is ever ejected");
    Some(fact("impossible-ejection", "warning", &cluster.spec().name, &message))
}

fn of_certificate(own: Option<&CertificateInfo>, now: SystemTime) -> Option<Value> {
    let own = own?;
    let about = own.uris.first().map_or("", |id| id);
    let Ok(left) = own.not_after.duration_since(now) else {
        return Some(fact(
            "certificate-expired",
            "error",
            about,
            "the certificate has expired: no mutual TLS succeeds",
        ));
    };
    let whole = own.not_after.duration_since(own.not_before).unwrap_or(Duration::ZERO);
    (left < whole / LAST_PART).then(|| {
        let message =
            format!("{} minutes are left of the certificate: it should have been renewed", left.as_secs() / 60);
        fact("certificate-expires", "warning", about, &message)
    })
}

fn of_callers(live: &Live, seen: &Seen) -> Option<Value> {
    let count = peers::callers(seen).iter().filter(|caller| caller["would_be_cut_off_by_strict"] == true).count();
    let mode = live.snapshot().peer_modes().mode.as_str();
    let others = if peers::left_out(seen).is_some() { "; further ones are not told apart" } else { "" };
    (count > 0 || !others.is_empty()).then(|| {
        let message = format!(
            "{count} callers of the last 15 minutes prove nothing by a certificate: STRICT cuts them off{others}"
        );
        fact("plaintext-callers", "info", mode, &message)
    })
}

fn of_edges(seen: &Seen) -> Vec<Value> {
    let mut clusters: Vec<_> =
        seen.edges.rows.iter().filter(|(_, sum)| sum.is_tls == Some(false)).map(|(edge, _)| &*edge.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let of = |cluster: &&str| fact("plaintext-edge", "info", cluster, "requests go there in plaintext");
    clusters.iter().take(MOST).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(past: Duration, left: Duration) -> Option<Value> {
        let now = SystemTime::UNIX_EPOCH + 100 * DAY;
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let mut own = crate::identity::inspect(made.pem()).unwrap().remove(0);
        (own.not_before, own.not_after) = (now - past, now - past + left);
        of_certificate(Some(&own), now)
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_certificate_that_nobody_renews_is_told_before_it_expires() {
        assert_eq!(told(DAY, 2 * DAY), None);
        assert_eq!(told(DAY, DAY + Duration::from_secs(600)).unwrap()["fact"], "certificate-expires");
        assert_eq!(told(DAY, DAY - Duration::from_secs(1)).unwrap()["severity"], "error");
        assert_eq!(of_certificate(None, SystemTime::UNIX_EPOCH), None);
    }
}
