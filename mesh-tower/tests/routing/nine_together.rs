//! All nine files in one set: of several that want the same, one wins, and the report names the others.

use mesh_tower::mesh_config::{Code, Diagnostic, Kind};

use super::edge;
use super::how_to::{MyApp, NINE, URL};
use crate::support::ask::{ask, shares};
use crate::support::curl::Curl;
use crate::support::lies_in_band;

fn is_about(finding: &Diagnostic, kind: Kind, name: &str) -> bool {
    finding.resource.as_ref().is_some_and(|id| id.kind == kind && id.name == *name)
}

#[tokio::test]
async fn the_canary_owns_the_host_and_the_others_are_named_as_losers() {
    const REQUESTS: usize = 2_000;
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.caller(NINE).await;
    let report = mesh.report();
    let overruled: Vec<_> = report.iter().filter(|finding| finding.code == Code::OVERRULED).collect();
    let of = |kind| overruled.iter().filter(|f| f.resource.as_ref().is_some_and(|id| id.kind == kind)).count();
    assert_eq!((of(Kind::VirtualService), of(Kind::DestinationRule), overruled.len()), (2, 1, 3), "{report}");
    for (kind, loser, winner) in [
        (Kind::VirtualService, "my-app-mirror", "VirtualService default/my-app-canary owns the host"),
        (Kind::VirtualService, "my-app-resilience", "VirtualService default/my-app-canary owns the host"),
        (Kind::DestinationRule, "my-app-cb", "DestinationRule default/my-app already sets the one"),
    ] {
        let finding = overruled.iter().find(|finding| is_about(finding, kind, loser));
        let finding = finding.unwrap_or_else(|| panic!("{loser}: {report}"));
        assert!(finding.message.contains(winner), "{finding}");
        assert!(finding.origin.file.ends_with(&format!("{loser}.yaml")) && finding.origin.line > 0, "{finding}");
    }
    // The winner's rules act.
    let client = mesh.client();
    shares(&client, URL, &[("x-canary", "true")], 50).await;
    assert_eq!((app.v1.count(), app.v2.count()), (0, 50));
    shares(&client, URL, &[], REQUESTS).await;
    assert_eq!(app.v1.count() + app.v2.count(), 50 + REQUESTS, "nothing is mirrored");
    assert!(lies_in_band(app.v1.count(), REQUESTS, 95.0), "{}", app.v1.count());
    let busiest = app.v1.connections().into_values().max().unwrap();
    assert!(busiest > 2, "the other rule's two requests per connection do not count: {busiest}");
    // Nor do the other one's retries.
    app.v2.fail(1);
    let answer = ask(&client, URL, &[("x-canary", "true")]).await;
    assert_eq!((answer.status, answer.flags(), answer.info.attempts()), (503, "-".into(), 1));
}

#[tokio::test]
async fn what_does_not_act_and_what_is_out_of_date_is_pointed_out() {
    let Some(app) = MyApp::start().await else { return };
    let report = app.caller(NINE).await.report();
    let has = |code, kind, name: &str| report.iter().any(|f| f.code == code && is_about(f, kind, name));
    for (code, kind, name) in [
        (Code::SCHEMA_WARNING, Kind::DestinationRule, "my-app"),
        (Code::SCHEMA_WARNING, Kind::DestinationRule, "my-app-cb"),
        (Code::IMPOSSIBLE_EJECTION, Kind::DestinationRule, "my-app"),
    ] {
        assert!(has(code, kind, name), "{code} {name}: {report}");
    }
    // Half of two endpoints is one.
    assert!(!has(Code::IMPOSSIBLE_EJECTION, Kind::DestinationRule, "my-app-cb"), "{report}");
}

#[tokio::test]
async fn the_gateway_works_as_if_it_were_alone() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.ingress(NINE).await;
    let (gateway, address) = edge::open(&mesh).await;
    assert!(gateway.not_served().is_empty() && gateway.address_of(443).is_some());
    let curl = || Curl::at(address, "/").header("Host: my-app.example.com");
    assert_eq!(curl().header("version: v2").run_many(50).await, [200; 50]);
    assert_eq!((app.v1.count(), app.v2.count()), (0, 50));
    assert_eq!(curl().run_many(500).await, [200; 500]);
    assert_eq!(app.v1.count() + app.v2.count(), 550);
    assert!(lies_in_band(app.v1.count(), 500, 90.0), "{}", app.v1.count());
    // What the mesh's own callers get is no business of the gateway's.
    assert_eq!(Curl::at(address, "/").header("Host: my-app").run().await.status, 404);
}
