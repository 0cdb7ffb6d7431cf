//! Figures that are looked at when a scrape comes.

use mesh_tower::Body;

use super::{Scrape, caller};
use crate::authority::Authority;

const CLUSTER: (&str, &str) = ("cluster_name", "outbound|9080||reviews.shop.svc.cluster.local");

#[tokio::test]
async fn clusters_and_endpoints_are_told_of_by_envoys_names() {
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refusing.local_addr().unwrap();
    drop(refusing);
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews.shop.svc.cluster.local
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100, baseEjectionTime: 60s}}
";
    let scrape = Scrape::new();
    let mesh = caller(&[address]).config_yaml("policy.yaml", policy).meter_provider(&scrape.provider);
    let mesh = mesh.build().await.unwrap();
    assert_eq!(scrape.value("envoy_cluster_membership_healthy", &[CLUSTER]), 1.0);
    let request = http::Request::get("http://reviews:9080/").body(Body::empty()).unwrap();
    assert_eq!(mesh.client().send(request).await.status(), 503);
    let told = |name: &str| scrape.value(name, &[CLUSTER]);
    assert_eq!(told("envoy_cluster_membership_total"), 1.0);
    assert_eq!(told("envoy_cluster_membership_healthy"), 0.0);
    assert_eq!(told("envoy_cluster_outlier_detection_ejections_active"), 1.0);
    assert_eq!(told("envoy_cluster_outlier_detection_ejections_enforced_total"), 1.0);
    assert_eq!(told("envoy_cluster_upstream_rq_active"), 0.0);
    let endpoint = address.to_string();
    assert_eq!(scrape.value("mesh_endpoint_ejected", &[CLUSTER, ("endpoint", &endpoint)]), 1.0);
    // Once the mesh is gone there is nothing to tell of it.
    drop(mesh);
    assert_eq!(scrape.lines("envoy_cluster_membership_total", &[]), Vec::<String>::new());
}

#[tokio::test]
async fn the_configuration_the_certificate_and_the_version_are_told_of() {
    let scrape = Scrape::new();
    let mesh = caller(&[]).identity(Authority::new().workload("web")).meter_provider(&scrape.provider);
    let mesh = mesh.build().await.unwrap();
    assert_eq!(scrape.value("mesh_config_generation", &[]), 1.0);
    assert!(mesh.apply_yaml("more.yaml", "").accepted);
    assert_eq!(scrape.value("mesh_config_generation", &[]), 2.0);
    #[allow(clippy::disallowed_methods, reason = "certificates are of the time of day")]
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let expires = scrape.value("mesh_certificate_expiration_timestamp_seconds", &[]);
    assert!(expires > now, "{expires}");
    let version = ("tag", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.value("istio_build", &[("component", "proxy"), version]), 1.0);
}
